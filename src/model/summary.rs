//! One line on how a stage went, and the one line of its output that tells why.
//!
//! The summary's words and their order are the published orchestrator's. The excerpt is a guess for people: it shows the
//! first line that looks like an error and never decides anything. Both are bounded; the excerpt holds no control
//! character, because it goes to terminals.

use crate::limits::{FAILURE_EXCERPT_CHARS_MAX, SUMMARY_UNITS_MAX};
use crate::model::id::RunId;
use crate::model::run::{Ending, Exit};
use std::time::Duration;

/// Says of a stage that was not executed which run's pass was taken over.
#[must_use]
pub fn reused(executed: &RunId) -> String {
    format!("Reused: proven by run {executed}.")
}

/// Says how a stage went: `timed_out` is its timeout where that ended it, `hint` its configured summary of a success.
#[must_use]
pub fn stage_summary(ending: &Ending, timed_out: Option<Duration>, hint: Option<&str>) -> String {
    let stderr = ending.stderr.trim();
    let because = |what: String| {
        if stderr.is_empty() {
            what
        } else {
            format!("{what} — {}", cut(stderr))
        }
    };
    if let Some(timeout) = timed_out {
        return because(format!("Timed out after {}ms", timeout.as_millis()));
    }
    let code = match &ending.exit {
        Exit::Unspawnable(reason) => return format!("Execution error: {}", cut(reason)),
        Exit::Signal(number) => {
            return because(format!("Terminated with signal {}", signal_name(*number)));
        }
        Exit::Code(code) => *code,
    };
    if code != 0 {
        return because(format!("Exited with code {code}"));
    }
    let stdout = ending.stdout.trim();
    match hint {
        Some(hint) if !hint.is_empty() => hint.to_owned(),
        _ if !stdout.is_empty() => cut(stdout),
        _ if !stderr.is_empty() => cut(stderr),
        _ => "Command completed with code 0".to_owned(),
    }
}

/// Cuts a text at `SUMMARY_UNITS_MAX` UTF-16 units, between characters, and says so with `…`.
#[must_use]
pub fn cut(text: &str) -> String {
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if units > SUMMARY_UNITS_MAX {
            return format!("{}…", text.get(..at).unwrap_or_default());
        }
    }
    text.to_owned()
}

/// The name of a signal on this platform, such as `SIGTERM`; its number where it has none.
#[must_use]
pub fn signal_name(number: i32) -> String {
    named_signal(number).map_or_else(|| number.to_string(), str::to_owned)
}

#[cfg(unix)]
fn named_signal(number: i32) -> Option<&'static str> {
    use rustix::process::Signal;
    const NAMES: [(Signal, &str); 20] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::SYS, "SIGSYS"),
    ];
    NAMES
        .iter()
        .find(|(signal, _)| signal.as_raw() == number)
        .map(|(_, name)| *name)
}

#[cfg(not(unix))]
fn named_signal(_number: i32) -> Option<&'static str> {
    None
}

/// The line of a failed stage's output that most likely tells why: the first that looks like an error, else the last of
/// its standard error, else the last of its standard output. A line without a letter or a digit tells nothing.
#[must_use]
pub fn failure_excerpt(stdout: &str, stderr: &str) -> Option<String> {
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(printable)
            .filter(|line| line.contains(char::is_alphanumeric))
            .collect()
    };
    let (out, err) = (lines(stdout), lines(stderr));
    let telling = err.iter().chain(&out).find(|line| looks_like_error(line));
    telling.or(err.last()).or(out.last()).cloned()
}

/// Whether a line without escape sequences looks like one that tells of a failure: by words that begin the telling line
/// of compilers, linters and test runners, or stand in it as a word of their own.
#[must_use]
pub fn looks_like_error(line: &str) -> bool {
    const MARKS: [&str; 9] = [
        "✗", "✖", "✘", "❌", "not ok ", "E   ", "--- FAIL", "● ", "Diff in ",
    ];
    const WORDS: [&str; 10] = [
        "error",
        "fail",
        "failed",
        "failure",
        "fatal",
        "panicked",
        "exception",
        "traceback",
        "denied",
        "assertionerror",
    ];
    if MARKS.iter().any(|mark| line.starts_with(mark)) {
        return true;
    }
    let lower = line.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.iter().enumerate().any(|(at, word)| {
        let names_it =
            WORDS.contains(word) || word.ends_with("error") || word.ends_with("exception");
        // "0 failed", "failed: 0" and "without error" are how tools report that all is well.
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        let denied = before.is_some_and(|word| matches!(*word, "0" | "no" | "without"))
            || words.get(at + 1) == Some(&"0");
        names_it && !denied
    })
}

/// One line without escape sequences and control characters, trimmed and bounded.
fn printable(line: &str) -> String {
    let plain = anstream::adapter::strip_str(line).to_string();
    let clean = plain.replace('\t', " ");
    let kept: String = clean
        .chars()
        .filter(|c| !c.is_control() && !is_direction(*c))
        .collect();
    let kept = kept.trim();
    match kept.char_indices().nth(FAILURE_EXCERPT_CHARS_MAX) {
        Some((at, _)) => format!("{}…", kept.get(..at).unwrap_or_default()),
        None => kept.to_owned(),
    }
}

/// Characters that reorder the text around them: in a terminal they make a line say something else.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: Exit, stdout: &str, stderr: &str) -> Ending {
        Ending {
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            ..Ending::silent(exit)
        }
    }

    #[test]
    fn a_summary_has_the_published_words_in_their_order() {
        let second = Some(Duration::from_millis(1500));
        for (ending, timed_out, hint, said) in [
            (
                ended(Exit::Signal(15), "x", " late \n"),
                second,
                Some("hint"),
                "Timed out after 1500ms — late",
            ),
            (
                ended(Exit::Signal(15), "x", ""),
                None,
                Some("hint"),
                "Terminated with signal SIGTERM",
            ),
            (
                ended(Exit::Signal(9), "", "oom\n"),
                None,
                None,
                "Terminated with signal SIGKILL — oom",
            ),
            (
                ended(Exit::Code(1), "x", "oops\n"),
                None,
                Some("hint"),
                "Exited with code 1 — oops",
            ),
            (
                ended(Exit::Code(3), "x", ""),
                None,
                None,
                "Exited with code 3",
            ),
            (
                ended(Exit::Code(0), "x", "y"),
                None,
                Some("Lint is clean"),
                "Lint is clean",
            ),
            (
                ended(Exit::Code(0), "\n built \n", "y"),
                None,
                None,
                "built",
            ),
            (ended(Exit::Code(0), "\n", "warned\n"), None, None, "warned"),
            (
                ended(Exit::Code(0), "", " "),
                None,
                None,
                "Command completed with code 0",
            ),
            (
                ended(Exit::Unspawnable("no such directory".to_owned()), "", ""),
                None,
                None,
                "Execution error: no such directory",
            ),
        ] {
            assert_eq!(stage_summary(&ending, timed_out, hint), said);
        }
    }

    #[test]
    fn a_long_text_is_cut_at_240_units_and_never_within_a_character() {
        let exact = "x".repeat(240);
        assert_eq!(cut(&exact), exact);
        assert_eq!(cut(&format!("{exact}y")), format!("{exact}…"));
        let faces = "😀".repeat(121);
        assert_eq!(cut(&faces), format!("{}…", "😀".repeat(120)));
        let odd = format!("x{}", "😀".repeat(120));
        assert_eq!(cut(&odd), format!("x{}…", "😀".repeat(119)));
    }

    #[test]
    fn the_excerpt_is_the_first_line_that_looks_like_an_error() {
        let rustc =
            "warning: unused\n\u{1b}[1m\u{1b}[31merror[E0308]\u{1b}[0m: mismatched types\n --> x\n";
        assert_eq!(
            failure_excerpt("", rustc).unwrap(),
            "error[E0308]: mismatched types"
        );
        let eslint = "/w/a.ts\n  3:5  error  'frob' is not defined\n\n1 problem\n";
        assert_eq!(
            failure_excerpt(eslint, "npm warn x\n").unwrap(),
            "3:5  error  'frob' is not defined"
        );
        let pytest = "E   assert 1 == 2\nFAILED test_a.py\n";
        assert_eq!(failure_excerpt(pytest, "").unwrap(), "E   assert 1 == 2");
        assert_eq!(failure_excerpt("ok\n", "first\nlast\n\n").unwrap(), "last");
        assert_eq!(failure_excerpt("a\n3 tests\n", " \n").unwrap(), "3 tests");
        assert_eq!(
            failure_excerpt("0 failed\nfailed: 0\n10 failed\n", "").unwrap(),
            "10 failed"
        );
        let rustfmt = "Diff in /w/src/lib.rs:1:\n-fn  a() {}\n+fn a() {}\n-\n";
        assert_eq!(
            failure_excerpt(rustfmt, "").unwrap(),
            "Diff in /w/src/lib.rs:1:"
        );
        assert_eq!(failure_excerpt("one\n-\n", "---\n").unwrap(), "one");
        assert_eq!(failure_excerpt("", "\n"), None);
    }

    #[test]
    fn the_excerpt_cannot_write_to_a_terminal() {
        let hostile = "\u{1b}]0;title\u{7}error:\u{202e} \rx\u{1b}[2J\u{9b}31m\ttail\n";
        let said = failure_excerpt("", hostile).unwrap();
        assert!(!said.chars().any(|c| c.is_control() || c == '\u{202e}'));
        assert!(
            said.starts_with("error:") && said.ends_with("tail"),
            "{said:?}"
        );
        assert_eq!(
            failure_excerpt(&"y".repeat(10_000), "")
                .unwrap()
                .chars()
                .count(),
            FAILURE_EXCERPT_CHARS_MAX + 1
        );
    }
}

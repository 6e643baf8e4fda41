//! What in a command line keeps its guardrail from failing: `--dry-run`, `|| true`, `| tee`, a command that does nothing.
//!
//! The line is read as a shell reads it, as far as words, quotes and operators go; nothing is expanded and nothing run.
//! What is found is what people write, not all that can be: a script that always exits 0 looks like any other.

use crate::model::config::CommandLine;

/// Flags with which a tool tells what it would say and exits 0.
const FLAGS: [&str; 7] = [
    "--dry-run",
    "--exit-zero",
    "--no-run",
    "--if-present",
    "--passWithNoTests",
    "--pass-with-no-tests",
    "--collect-only",
];
/// Programs that do nothing, or that only say something.
const IDLE: [&str; 6] = ["true", ":", "/bin/true", "/usr/bin/true", "echo", "printf"];
/// Programs that hand on what they read, whatever came of its writer.
const SINKS: [&str; 3] = ["tee", "cat", "/usr/bin/tee"];
/// Shells that take a line after `-c`.
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "/bin/sh", "/bin/bash"];
/// Lines within lines that are looked at.
const DEPTH_MAX: usize = 4;

/// A part of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A word, without its quotes where they make no difference.
    Word(String),
    /// What stands between two commands: `;`, `&&`, `||`, `|`, `&`, a line break.
    Operator(&'static str),
}

/// A command line, and what keeps it from failing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The line without what weakens it: two that are alike do the same work.
    pub work: Vec<Token>,
    /// What weakens it, in the words of the line; each once.
    pub weaknesses: Vec<String>,
}

/// Reads what a stage runs.
#[must_use]
pub fn read(line: &CommandLine) -> Read {
    read_text(&line.text())
}

/// Reads a command line as a manifest has it.
#[must_use]
pub fn read_text(line: &str) -> Read {
    read_at(line, 0)
}

fn read_at(line: &str, depth: usize) -> Read {
    let mut commands = split(&tokens(line));
    let mut weaknesses = Vec::new();
    let mut note = |said: String| {
        if !weaknesses.contains(&said) {
            weaknesses.push(said);
        }
    };
    // From behind, because what is taken away may uncover what was hidden by it.
    while let Some((operator, words)) = commands.last() {
        let before = commands.len() > 1;
        let said = match (*operator, before) {
            ("||" | ";", true) if is_idle(words) => said(operator, words),
            ("|", true) if words.first().is_some_and(|word| SINKS.contains(&&**word)) => {
                said(operator, words)
            }
            ("&", true) if words.is_empty() => "&".to_owned(),
            (_, false) if is_idle(words) => {
                note(format!("{}, which checks nothing", shown(words)));
                break;
            }
            _ => break,
        };
        note(said);
        commands.pop();
    }
    let mut work = Vec::new();
    for (operator, words) in commands {
        if !operator.is_empty() {
            work.push(Token::Operator(operator));
        }
        if let [shell, flag, inner, ..] = &words[..]
            && SHELLS.contains(&&**shell)
            && flag.starts_with('-')
            && flag.ends_with('c')
            && depth < DEPTH_MAX
        {
            read_at(inner, depth.saturating_add(1))
                .weaknesses
                .into_iter()
                .for_each(&mut note);
        }
        for word in words {
            if is_flag(&word) {
                note(word);
            } else {
                work.push(Token::Word(word));
            }
        }
    }
    Read { work, weaknesses }
}

fn is_flag(word: &str) -> bool {
    FLAGS.iter().any(|flag| {
        let rest = word.strip_prefix(flag);
        rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('=') && rest != "=false"))
    })
}

fn is_idle(words: &[String]) -> bool {
    match words {
        [only, ..] if IDLE.contains(&&**only) => true,
        [exit, code] => exit == "exit" && code == "0",
        _ => false,
    }
}

fn said(operator: &str, words: &[String]) -> String {
    format!("{operator} {}", shown(words))
}

fn shown(words: &[String]) -> String {
    words.join(" ")
}

/// The commands of a line, each with the operator before it.
fn split(tokens: &[Token]) -> Vec<(&'static str, Vec<String>)> {
    let mut commands = vec![("", Vec::new())];
    for token in tokens {
        match token {
            Token::Operator(operator) => commands.push((operator, Vec::new())),
            Token::Word(word) => {
                if let Some((_, words)) = commands.last_mut() {
                    words.push(word.clone());
                }
            }
        }
    }
    // A line may end in `;` or a line break, which says nothing.
    while commands
        .last()
        .is_some_and(|(operator, words)| words.is_empty() && *operator == ";")
    {
        commands.pop();
    }
    commands
}

/// The words and operators of a line.
#[must_use]
pub fn tokens(line: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                let word = word.get_or_insert_default();
                match rest.next() {
                    // A line that goes on.
                    Some('\n') => {}
                    Some(next) => word.extend(['\\', next]),
                    None => word.push('\\'),
                }
            }
            '\'' | '"' => quoted(c, &mut rest, word.get_or_insert_default()),
            ';' | '&' | '|' | '\n' => {
                tokens.extend(word.take().map(Token::Word));
                let operator = match (c, rest.peek()) {
                    ('&', Some('&')) => "&&",
                    ('|', Some('|')) => "||",
                    // Output and errors of what stands before, as in `2>&1`, `&>`: no operator.
                    ('&', Some('>')) => {
                        word = Some("&".to_owned());
                        continue;
                    }
                    ('&', _) if is_redirection(&tokens) => {
                        if let Some(Token::Word(before)) = tokens.pop() {
                            word = Some(format!("{before}&"));
                        }
                        continue;
                    }
                    ('&', _) => "&",
                    ('|', _) => "|",
                    _ => ";",
                };
                if operator.len() == 2 {
                    rest.next();
                }
                tokens.push(Token::Operator(operator));
            }
            // A comment up to the end of the line.
            '#' if word.is_none() => while rest.next_if(|next| *next != '\n').is_some() {},
            c if c.is_whitespace() => tokens.extend(word.take().map(Token::Word)),
            c => word.get_or_insert_default().push(c),
        }
    }
    tokens.extend(word.map(Token::Word));
    tokens
}

fn is_redirection(tokens: &[Token]) -> bool {
    matches!(tokens.last(), Some(Token::Word(word)) if word.ends_with('>') || word.ends_with('<'))
}

/// Adds what stands in quotes; the quotes too where they make a difference.
fn quoted(quote: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut String) {
    let mut inside = String::new();
    while let Some(c) = rest.next() {
        if c == quote {
            break;
        }
        inside.push(c);
        if c == '\\' && quote == '"' {
            inside.extend(rest.next());
        }
    }
    if inside.contains(['$', '`', '\\']) {
        word.extend([quote]);
        word.push_str(&inside);
        word.extend([quote]);
    } else {
        word.push_str(&inside);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weak(line: &str) -> Vec<String> {
        read_text(line).weaknesses
    }

    #[test]
    fn what_keeps_a_command_from_failing_is_found() {
        let cases: [(&str, &[&str]); 22] = [
            ("npm test", &[]),
            ("npm test || true", &["|| true"]),
            ("npm test||:", &["|| :"]),
            ("npm test || exit 0", &["|| exit 0"]),
            ("npm test || exit 1", &[]),
            ("npm test || echo 'it failed'", &["|| echo it failed"]),
            ("npm test; true", &["; true"]),
            ("npm test;", &[]),
            ("npm test\ntrue\n", &["; true"]),
            ("npm test || npm run again || true", &["|| true"]),
            ("npm test | tee log", &["| tee log"]),
            ("npm test 2>&1 | tee log || true", &["|| true", "| tee log"]),
            ("npm test &", &["&"]),
            ("npm test &> log", &[]),
            ("a && b", &[]),
            ("bash scripts/spec-guard.sh --dry-run", &["--dry-run"]),
            ("kubectl diff --dry-run=client", &["--dry-run=client"]),
            ("x --dry-run=false", &[]),
            ("echo '|| true' && npm test", &[]),
            ("true", &["true, which checks nothing"]),
            ("sh -c 'npm test || true'", &["|| true"]),
            ("npm test # || true", &[]),
        ];
        for (line, expected) in cases {
            assert_eq!(weak(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_left_is_the_work() {
        let work = |line: &str| read_text(line).work;
        assert_eq!(work("npm  test || true"), work("npm test"));
        assert_eq!(work("npm 'test'"), work("npm test --dry-run"));
        assert_ne!(work("npm test"), work("npm run test"));
        assert_ne!(work("echo \"$A\""), work("echo '$A'"));
        let argv = ["npm", "run", "a b"].map(str::to_owned).to_vec();
        assert_eq!(read(&CommandLine::Argv(argv)).work, work("npm run 'a b'"));
    }

    proptest! {
        #[test]
        fn any_line_is_read_and_what_is_left_is_not_weak(line in "[a-z '\"\\\\;&|\n#>-]{0,40}|\\PC{0,30}") {
            let read = read_text(&line);
            for token in &read.work {
                if let Token::Word(word) = token {
                    prop_assert!(!is_flag(word));
                }
            }
        }

        #[test]
        fn whatever_is_weakened_does_the_same_work(words in proptest::collection::vec("[a-z]{2,6}", 1..5), weak in 0_usize..6) {
            let line = words.join(" ");
            prop_assume!(!IDLE.contains(&&*words[0]) && !SINKS.contains(&&*words[0]));
            let ends = [" || true", " ; :", " | tee x", " --dry-run", " || exit 0", " &"];
            let weakened = format!("{line}{}", ends[weak]);
            prop_assert_eq!(read_text(&weakened).work, read_text(&line).work);
            prop_assert_eq!(read_text(&weakened).weaknesses.len(), 1 + read_text(&line).weaknesses.len());
        }
    }
}

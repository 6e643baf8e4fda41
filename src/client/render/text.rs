//! Words in columns: durations, ages, shortened paths, and text from elsewhere made harmless.
//!
//! What a stage wrote may hold escape sequences and line breaks of its own. Whatever is shown inside our own lines goes
//! through [`clean`] first; only `logs` passes bytes on as they are.

use anstyle::{AnsiColor, Style};
use std::fmt::{self, Write as _};
use std::time::Duration;

/// Things that went well.
pub const GREEN: Style = AnsiColor::Green.on_default().bold();
/// Things that did not.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// Things to look at.
pub const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// Things under way.
pub const CYAN: Style = AnsiColor::Cyan.on_default();
/// Things beside the point.
pub const DIM: Style = Style::new().dimmed();
/// Headings.
pub const BOLD: Style = Style::new().bold();

/// Adds a piece to a text.
pub fn add(text: &mut String, piece: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = text.write_fmt(piece);
}

/// Puts `text` into `style`.
#[must_use]
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A span of time as somebody would say it: `310ms`, `0.9s`, `12s`, `3m 10s`, `2h 5m`, `4d`.
#[must_use]
pub fn took(span: Duration) -> String {
    let (ms, s) = (span.as_millis(), span.as_secs());
    match s {
        0 if ms < 100 => format!("{ms}ms"),
        0..10 => format!("{}.{}s", s, (ms % 1_000) / 100),
        10..60 => format!("{s}s"),
        60..3_600 => format!("{}m {}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h {}m", s / 3_600, (s % 3_600) / 60),
        _ => format!("{}d {}h", s / 86_400, (s % 86_400) / 3_600),
    }
}

/// An age, coarser than [`took`]: `now`, `12s ago`, `3m ago`, `2h ago`, `4d ago`.
#[must_use]
pub fn ago(age: Duration) -> String {
    match age.as_secs() {
        0..2 => "now".to_owned(),
        s @ 2..60 => format!("{s}s ago"),
        s @ 60..3_600 => format!("{}m ago", s / 60),
        s @ 3_600..86_400 => format!("{}h ago", s / 3_600),
        s => format!("{}d ago", s / 86_400),
    }
}

/// A size in memory or on disk: `512 B`, `1.5 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1_024;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    while tenths >= 10_240 {
        let Some(larger) = units.next() else { break };
        unit = larger;
        tenths /= 1_024;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// One line of somebody else's text: no escape sequence, no control character, nothing that turns the writing around.
#[must_use]
pub fn clean(text: &str) -> String {
    let stripped = anstream::adapter::strip_str(text).to_string();
    stripped
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() || is_direction(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// One line of somebody else's text for a page that is kept: what [`clean`] takes out can be seen, `\u{202e}`, and so can
/// what has no width. Only colours are left out, because there are so many of them.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\u{1b}' if coloured(rest).is_some() => rest = coloured(rest).unwrap_or_default(),
            '\t' => shown.push(' '),
            c if c.is_control() || is_direction(c) || is_unseen(c) => {
                shown.extend(c.escape_unicode());
            }
            c => shown.push(c),
        }
    }
    shown
}

/// What follows on the rest of a sequence that sets a colour or clears the rest of a line, as compilers and grep write
/// them; nothing where it is none.
fn coloured(rest: &str) -> Option<&str> {
    let parameters = rest.strip_prefix('[')?;
    let is_parameter = |c: char| c.is_ascii_digit() || matches!(c, ';' | ':');
    parameters
        .trim_start_matches(is_parameter)
        .strip_prefix(['m', 'K'])
}

/// Characters that reorder the text around them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that take no room, so that two texts look alike that are not, or that end a line for some readers.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The number of columns that `text` takes, where every character takes one.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().count()
}

/// `text` with its end cut away where it is longer than `max` columns.
#[must_use]
pub fn clip(text: &str, max: usize) -> String {
    if columns(text) <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// `path` with its middle cut away where it is longer than `max` columns: both ends say most.
#[must_use]
pub fn middle(path: &str, max: usize) -> String {
    let count = columns(path);
    if count <= max {
        return path.to_owned();
    }
    let kept = max.saturating_sub(1);
    let head = kept / 3;
    let tail = kept - head;
    let start: String = path.chars().take(head).collect();
    let end: String = path.chars().skip(count - tail).collect();
    format!("{start}…{end}")
}

/// `text` filled up with spaces to `width` columns.
#[must_use]
pub fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(missing))
}

/// `1 stage`, `2 stages`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// How many findings a check ends with.
#[must_use]
pub fn findings_said(number: usize) -> String {
    match number {
        0 => styled(GREEN, "no finding"),
        some => styled(RED, &count(some, "finding")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_ages_read_like_speech() {
        let spans = [
            0,
            42,
            310,
            940,
            3_149,
            12_700,
            190_000,
            7_500_000,
            360_000_000,
        ];
        let said: Vec<String> = spans.map(|ms| took(Duration::from_millis(ms))).to_vec();
        assert_eq!(
            said,
            [
                "0ms", "42ms", "0.3s", "0.9s", "3.1s", "12s", "3m 10s", "2h 5m", "4d 4h"
            ]
        );
        let ages = [1, 12, 200, 7_300, 400_000].map(|s| ago(Duration::from_secs(s)));
        assert_eq!(ages, ["now", "12s ago", "3m ago", "2h ago", "4d ago"]);
        assert_eq!(
            [0, 1_536, 12_700_000, 5 << 40].map(size),
            ["0 B", "1.5 KiB", "12.1 MiB", "5.0 TiB"]
        );
    }

    #[test]
    fn a_long_path_keeps_both_ends() {
        let path = "/srv/ann/src/a-very-long-directory-name/packages/web";
        assert_eq!(middle(path, 20), "/srv/a…/packages/web");
        assert_eq!(columns(&middle(path, 33)), 33);
        assert_eq!(middle("short", 20), "short");
        assert_eq!(clip("error: mismatched types", 10), "error: mi…");
    }

    #[test]
    fn text_from_elsewhere_cannot_drive_the_terminal() {
        assert_eq!(
            clean("\u{1b}[31mred\u{1b}[0m\tand \u{7}\u{202e}back"),
            "red and \u{fffd}back"
        );
        assert_eq!(clean("\u{1b}]0;title\u{7}text"), "text");
        assert_eq!(clean("grün ✓"), "grün ✓");
    }

    #[test]
    fn what_is_taken_out_of_a_page_can_be_seen_in_it() {
        assert_eq!(
            visible("\u{1b}[1;31mred\u{1b}[0m\u{1b}[K\tand \u{7}\u{202e}back\u{200b}\r"),
            "red and \\u{7}\\u{202e}back\\u{200b}\\u{d}"
        );
        assert_eq!(
            visible("\u{1b}]0;title\u{7}text\u{1b}[2J\u{9b}\u{1b}"),
            "\\u{1b}]0;title\\u{7}text\\u{1b}[2J\\u{9b}\\u{1b}"
        );
        assert_eq!(visible("grün ✓ 👩\u{200d}🔬"), "grün ✓ 👩\u{200d}🔬");
    }
}

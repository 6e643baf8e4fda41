//! Where in a configuration file something stands, and how that is shown: line, column, the line itself and a caret.
//!
//! Parsers keep a [`Spot`] (cheap, byte offsets) for whatever a later check may complain about; a [`Place`] is made of
//! it only for a complaint. A line is shown without control characters and cut around the caret, so that a minified or
//! hostile file cannot flood or steer a terminal.

use crate::limits::SOURCE_LINE_CHARS_MAX;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Which of the two files a spot lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `orchd.toml`.
    Toml,
    /// `codex.orchestrator.json`.
    Codex,
}

impl Origin {
    /// The file's name at the workspace root.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Toml => "orchd.toml",
            Self::Codex => "codex.orchestrator.json",
        }
    }
}

/// A range of bytes of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The file.
    pub origin: Origin,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

impl Spot {
    /// A range of bytes of `origin`.
    #[must_use]
    pub fn new(origin: Origin, bytes: Range<usize>) -> Self {
        Self {
            origin,
            start: bytes.start,
            end: bytes.end.max(bytes.start),
        }
    }
}

/// Something and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spotted<T> {
    /// What is written.
    pub value: T,
    /// Where.
    pub spot: Spot,
}

impl<T> Spotted<T> {
    /// `value`, written at `spot`.
    #[must_use]
    pub fn new(value: T, spot: Spot) -> Self {
        Self { value, spot }
    }
}

/// A spot as a person finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: Cow<'static, str>,
    /// Its line, from 1.
    pub line: usize,
    /// Its column, from 1, in characters.
    pub column: usize,
    /// The line, or the part around the spot.
    excerpt: String,
    /// Characters of the excerpt before the caret.
    indent: usize,
    /// Carets.
    width: usize,
}

impl Place {
    /// Finds `spot` in the text of its file.
    #[must_use]
    pub fn of(spot: Spot, text: &str) -> Self {
        let start = text.floor_char_boundary(spot.start);
        let (before, after) = text.split_at(start);
        let (head, line) = match before.rfind('\n') {
            Some(end) => (before.split_at(end + 1).1, before.matches('\n').count() + 1),
            None => (before, 1),
        };
        let tail = after.split('\n').next().unwrap_or_default();
        let marked = text
            .get(start..text.floor_char_boundary(spot.end))
            .unwrap_or_default();
        let marked = marked
            .split('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count();
        let column = head.chars().count() + 1;
        let (cut, excerpt) = window(head, tail);
        let indent = column - 1 - cut.min(column - 1) + usize::from(cut > 0);
        let room = excerpt.chars().count().saturating_sub(indent);
        Self {
            file: Cow::Borrowed(spot.origin.file_name()),
            line,
            column,
            excerpt,
            indent,
            width: marked.min(room).max(1),
        }
    }
}

/// Whether a character steers a terminal or hides what stands beside it: controls, and those that turn the direction of
/// text or have no width.
pub(super) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The part of a line that is shown, and how many characters were cut before it (their place is taken by one `…`).
fn window(head: &str, tail: &str) -> (usize, String) {
    let shown = |c: char| if steers(c) { ' ' } else { c };
    let behind = head.chars().count();
    let tail = tail.trim_end();
    let fits = behind < SOURCE_LINE_CHARS_MAX
        && tail.chars().nth(SOURCE_LINE_CHARS_MAX - behind).is_none();
    let cut = if fits {
        0
    } else {
        behind.saturating_sub(SOURCE_LINE_CHARS_MAX / 2)
    };
    let mut excerpt = String::new();
    if cut > 0 {
        excerpt.push('…');
    }
    excerpt.extend(head.chars().skip(cut).map(shown));
    let room = SOURCE_LINE_CHARS_MAX.saturating_sub(behind - cut);
    excerpt.extend(tail.chars().take(room).map(shown));
    if tail.chars().nth(room).is_some() {
        excerpt.push('…');
    }
    (cut, excerpt)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let (indent, carets) = (" ".repeat(self.indent), "^".repeat(self.width));
        writeln!(f, " {gutter} |")?;
        writeln!(f, " {number} | {}", self.excerpt)?;
        write!(f, " {gutter} | {indent}{carets}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, bytes: Range<usize>) -> String {
        let place = Place::of(Spot::new(Origin::Toml, bytes), text);
        format!("{}:{}\n{place}", place.line, place.column)
    }

    #[test]
    fn a_caret_stands_below_what_is_meant() {
        insta::assert_snapshot!(shown("a = 1\nü = \"ß\" # x\n", 11..15), @r#"
        2:5
           |
         2 | ü = "ß" # x
           |     ^^^
        "#);
    }

    #[test]
    fn the_end_of_a_file_and_spots_beyond_it_have_a_place() {
        assert!(shown("a = ", 4..4).starts_with("1:5\n"));
        assert!(shown("a\n", 99..120).starts_with("2:1\n"));
        assert!(shown("", 0..0).starts_with("1:1\n"));
    }

    #[test]
    fn a_long_or_hostile_line_is_cut_and_tamed() {
        let text = format!("{}\x1b[31mx{}", "a".repeat(500), "b".repeat(500));
        let place = Place::of(Spot::new(Origin::Codex, 505..506), &text);
        assert_eq!(place.column, 506);
        let shown = place.to_string();
        assert!(
            shown
                .lines()
                .all(|line| line.chars().count() < SOURCE_LINE_CHARS_MAX + 10)
        );
        assert!(!shown.contains('\x1b'));
        let mut lines = shown.lines().skip(1);
        let (code, caret) = (lines.next().unwrap(), lines.next().unwrap());
        let at = caret.chars().position(|c| c == '^').unwrap();
        assert_eq!(code.chars().nth(at), Some('x'));
    }
}

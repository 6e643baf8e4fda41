//! What the failing stages of a run have said: the first lines from the one that looks like an error.
//!
//! Of a log its beginning is read, the last attempt in it, and of that a few lines. Bytes that are no text stand as
//! escapes; control characters are let alone here, and made harmless by whoever shows them.

use crate::documents::records::Record;
use crate::documents::shelf::Shelf;
use crate::limits::documents::{
    EXCERPT_CHARS_MAX, EXCERPT_LINES_MAX, EXCERPT_LOG_BYTES_MAX, REPORT_EXCERPTS_MAX,
};
use crate::model::evidence::StageKind;
use crate::model::id::StageId;
use crate::model::log::{LogEvent, decode};
use crate::model::run::StageStatus;
use crate::model::summary::looks_like_error;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What a failing stage has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// The stage.
    pub stage: StageId,
    /// Its log, relative to the workspace.
    pub log: String,
    /// The number of the first line that is shown, from 1.
    pub from: usize,
    /// How many lines there are, as far as the log was read.
    pub of: usize,
    /// Whether the log goes on beyond what was read.
    pub goes_on: bool,
    /// The lines, each cut where it is long.
    pub lines: Vec<String>,
}

/// What the first failing stages of a run have said; of a log that is gone nothing.
#[must_use]
pub(super) fn of_run(shelf: &Shelf, record: &Record) -> Vec<Excerpt> {
    let stages = record.manifest().into_iter().flat_map(|it| &it.commands);
    let failed = stages.filter(|stage| {
        // Of one that is a run that run tells.
        stage.status == StageStatus::Failed && stage.kind == StageKind::Command
    });
    let each = failed.filter_map(|stage| {
        let log = stage.log_path.as_deref()?;
        // Absolute where the runs lie outside of the workspace.
        let (bytes, goes_on) = read(&shelf.root().as_path().join(log))?;
        let (from, of, lines) = telling(&output(&bytes));
        let shown = Excerpt {
            stage: stage.id.clone(),
            log: log.to_owned(),
            from,
            of,
            goes_on,
            lines,
        };
        (!shown.lines.is_empty()).then_some(shown)
    });
    each.take(REPORT_EXCERPTS_MAX).collect()
}

/// The beginning of a file, and whether there is more; nothing where it cannot be read.
fn read(path: &Path) -> Option<(Vec<u8>, bool)> {
    // A pipe under this name would hold us for ever.
    let meta = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(EXCERPT_LOG_BYTES_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    Some((bytes, meta.len() > EXCERPT_LOG_BYTES_MAX))
}

/// What the last attempt in a log has put out, in the order in which it came.
fn output(log: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    for line in log.split(|byte| *byte == b'\n') {
        match decode(&String::from_utf8_lossy(line)).map(|line| line.event) {
            Ok(LogEvent::Start { .. }) => output.clear(),
            Ok(LogEvent::Output { bytes, .. }) => output.extend_from_slice(&bytes),
            Ok(LogEvent::Truncated { .. } | LogEvent::End(_) | LogEvent::Other) | Err(_) => {}
        }
    }
    output
}

/// A few lines from the first that looks like an error, else the last few: the number of the first of them, how many
/// lines there are, and the lines.
fn telling(output: &[u8]) -> (usize, usize, Vec<String>) {
    let whole = text(output);
    let lines: Vec<&str> = whole.trim_end().lines().collect();
    let is_telling = |line: &&str| {
        let plain = anstream::adapter::strip_str(line).to_string();
        looks_like_error(plain.trim())
    };
    let last = lines.len().saturating_sub(EXCERPT_LINES_MAX);
    let first = lines.iter().position(is_telling).unwrap_or(last);
    let shown = lines.iter().skip(first).take(EXCERPT_LINES_MAX);
    (
        first + 1,
        lines.len(),
        shown.map(|line| cut(line)).collect(),
    )
}

/// Bytes as text: what is none stands as `\xff`.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_begins_with_the_line_that_tells_why() {
        let many =
            |telling: &str| format!("{}{telling}\n{}", "ok\n".repeat(20), "more\n".repeat(20));
        let (from, of, lines) = telling(many("\u{1b}[31merror\u{1b}[0m: no").as_bytes());
        assert_eq!((from, of, lines.len()), (21, 41, EXCERPT_LINES_MAX));
        assert!(lines[0].contains("error"), "{lines:?}");
        let (from, of, lines) = telling(many("nothing").as_bytes());
        assert_eq!((from, of, lines.len()), (30, 41, EXCERPT_LINES_MAX));
        assert_eq!(telling(b"\n \n"), (1, 0, Vec::new()));
    }

    #[test]
    fn what_is_no_text_and_what_is_long_is_shown_as_far_as_it_goes() {
        let (_, _, lines) = telling(b"error: a\xff\xfeb\r\nrest");
        assert_eq!(lines, ["error: a\\xff\\xfeb", "rest"]);
        let (_, _, lines) = telling("é".repeat(9_999).as_bytes());
        assert_eq!(lines[0].chars().count(), EXCERPT_CHARS_MAX + 1);
    }

    #[test]
    fn of_several_attempts_the_last_one_speaks() {
        let log = br#"{"type":"command:start","command":"x","attempt":1,"timestamp":"2026-11-22T10:09:50.592Z","index":1}
{"type":"command:stdout","data":"first\n","timestamp":"2026-11-22T10:09:50.592Z","index":1}
{"type":"command:start","command":"x","attempt":2,"timestamp":"2026-11-22T10:09:50.592Z","index":1}
{"type":"command:stderr","data":"second\n","timestamp":"2026-11-22T10:09:50.592Z","index":1}
{"type":"comma"#;
        assert_eq!(output(log), b"second\n");
    }
}

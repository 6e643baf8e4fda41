//! Where projects stand, in the pages about them: blocks that are made again of what runs have left.
//!
//! A block names the project's latest run, its latest green one, its metrics, its state and who approved what. Where there
//! is nothing of a task here, as in a fresh clone, a block that says something is left as it is. Nothing of the time of
//! writing is in it, so that two writers of one state write the same bytes.

mod blocks;
mod runs;
#[cfg(test)]
mod tests;

use crate::documents::checklist::edit::{Splice, apply};
use crate::documents::rewrite::Rewrite;
use crate::documents::shelf::{Shelf, ShelfError};
use crate::documents::upkeep::pages;
use crate::limits::documents::{APPROVAL_CHARS_MAX, APPROVALS_SHOWN_MAX};
use crate::model::evidence::Layout;
use crate::model::id::{RunId, TaskId};
use crate::model::path::RelPath;
use crate::model::run::RunStatus;
use crate::model::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

pub use blocks::{Block, blocks, empty};
pub use runs::read;

/// What the runs of a task say of its project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its newest run that is no part of another.
    pub latest: Option<Told>,
    /// The newest of those of its own pipeline that is green.
    pub green: Option<Told>,
    /// What was approved, the newest first.
    pub approvals: Vec<Approved>,
}

/// One run, in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// When it ended; else when it began.
    pub at: Timestamp,
}

/// One approval, in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// The run that it is of.
    pub run: RunId,
    /// Who approved, and why: as text that can end no block and begin no markup.
    pub words: String,
}

/// A block that was made again, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Synced {
    /// The page.
    pub file: String,
    /// The line of the block, from 1.
    pub line: usize,
    /// Whose it is.
    pub task_id: TaskId,
}

/// Makes the blocks of all pages again; what is to be written, and what that is.
///
/// # Errors
/// When a page or the runs cannot be read.
pub fn sync(shelf: &Shelf) -> Result<(Rewrite, Vec<Synced>), ShelfError> {
    let mut known = BTreeMap::new();
    let (mut rewrite, mut synced) = (Rewrite::default(), Vec::new());
    for path in pages(shelf)? {
        let Some(bytes) = shelf.read(&path)? else {
            continue;
        };
        let splices = refilled(shelf, &path, &bytes, &mut known, &mut synced)?;
        rewrite.change(&path, Some(&bytes), apply(&bytes, splices));
    }
    Ok((rewrite, synced))
}

/// The blocks of one page, filled with what is there now.
///
/// # Errors
/// When the runs cannot be read.
pub fn filled(shelf: &Shelf, path: &RelPath, bytes: &[u8]) -> Result<Vec<u8>, ShelfError> {
    let splices = refilled(shelf, path, bytes, &mut BTreeMap::new(), &mut Vec::new())?;
    Ok(apply(bytes, splices))
}

fn refilled(
    shelf: &Shelf,
    path: &RelPath,
    bytes: &[u8],
    known: &mut BTreeMap<TaskId, Option<Standing>>,
    synced: &mut Vec<Synced>,
) -> Result<Vec<Splice>, ShelfError> {
    let mut splices = Vec::new();
    for block in blocks(bytes) {
        let project = shelf.config().projects.iter();
        let mut own = project.filter(|project| project.task.as_str() == block.key);
        let (Some(project), Some(span)) = (own.next(), block.body) else {
            continue;
        };
        if !known.contains_key(&project.task) {
            known.insert(project.task.clone(), read(shelf, project)?);
        }
        let standing = known.get(&project.task).and_then(Option::as_ref);
        let before = bytes.get(span.clone()).unwrap_or_default();
        if standing.is_none() && !before.trim_ascii().is_empty() {
            continue;
        }
        let after = body(&project.task, standing, newline(bytes));
        if before != after.as_bytes() {
            splices.push(Splice {
                span,
                bytes: after.into_bytes(),
            });
            synced.push(Synced {
                file: path.to_text(),
                line: block.line,
                task_id: project.task.clone(),
            });
        }
    }
    Ok(splices)
}

/// How the lines of a page end.
#[must_use]
pub fn newline(bytes: &[u8]) -> &'static str {
    if bytes.windows(2).any(|pair| pair == b"\r\n") {
        "\r\n"
    } else {
        "\n"
    }
}

/// What a block holds; with placeholders where nothing of the task is here.
#[must_use]
pub fn body(task: &TaskId, standing: Option<&Standing>, newline: &str) -> String {
    let layout = Layout::default();
    let placeholder = format!("`.runs/{task}/cli/<run-id>/manifest.json`");
    let told = |told: Option<&Told>| match (standing, told) {
        (None, _) => placeholder.clone(),
        (Some(_), None) => "none".to_owned(),
        (Some(_), Some(told)) => {
            let manifest = layout.manifest(task, &told.run);
            format!("`{manifest}` ({}, {})", status(told.status), told.at)
        }
    };
    let latest = standing.and_then(|standing| standing.latest.as_ref());
    let green = standing.and_then(|standing| standing.green.as_ref());
    let mut lines = vec![
        format!("- Latest run: {}", told(latest)),
        format!("- Latest green run: {}", told(green)),
        format!("- Metrics: `.runs/{task}/metrics.json`"),
        format!("- State: `out/{task}/state.json`"),
    ];
    let all = standing.map_or(&[][..], |standing| &standing.approvals);
    let shown = all.iter().take(APPROVALS_SHOWN_MAX);
    let mut approvals: Vec<String> = shown
        .map(|approved| {
            let manifest = layout.manifest(task, &approved.run);
            format!("{} (`{manifest}#approvals`)", approved.words)
        })
        .collect();
    match all.len().saturating_sub(APPROVALS_SHOWN_MAX) {
        0 => {}
        more => approvals.push(format!("{more} older")),
    }
    let approvals = match approvals.is_empty() {
        true => "none".to_owned(),
        false => approvals.join("; "),
    };
    lines.push(format!("- Approvals: {approvals}"));
    lines
        .iter()
        .map(|line| format!("{line}{newline}"))
        .collect()
}

fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => "queued",
        RunStatus::InProgress => "in progress",
        RunStatus::Succeeded => "succeeded",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
    }
}

/// Somebody's text in one line of Markdown: no markup, no end of a comment, no evidence for an item, and not without end.
#[must_use]
pub(crate) fn tame(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let joined = words.join(" ");
    let mut tame = String::new();
    for (at, c) in joined.chars().enumerate() {
        if at == APPROVAL_CHARS_MAX {
            tame.push('…');
            break;
        }
        match c {
            '<' => tame.push_str("&lt;"),
            '>' => tame.push_str("&gt;"),
            '&' => tame.push_str("&amp;"),
            '[' | ']' | '`' | '*' | '_' | '\\' | '|' | '!' | '~' | '#' => tame.extend(['\\', c]),
            '/' => tame.push_str("&#47;"),
            c if c.is_control() || is_bidi(c) => tame.push('\u{fffd}'),
            c => tame.push(c),
        }
    }
    tame
}

/// Whether a character changes the direction of those around it, so that a line reads otherwise than it is.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

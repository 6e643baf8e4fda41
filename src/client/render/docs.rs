//! `orchctl docs`: findings with their places, and the blocks that were made again.
//!
//! A finding begins with `file:line:`, as compilers have it, so that editors and `grep` find the place.

use crate::client::output::Look;
use crate::client::render::checklist::annotation;
use crate::client::render::text::{RED, YELLOW, add, clean, count, findings_said, styled};
use crate::documents::standings::Synced;
use crate::documents::upkeep::Checked;

/// Renders what a check has found.
#[must_use]
pub fn checked(checked: &Checked, _look: &Look) -> String {
    let mut text = String::new();
    for finding in &checked.findings {
        let style = if finding.kind.is_fault() { RED } else { YELLOW };
        let kind = styled(style, finding.kind.as_str());
        let (file, message) = (clean(&finding.file), clean(&finding.message));
        let line = finding.line;
        add(
            &mut text,
            format_args!("{file}:{line}: {kind}: {message}\n"),
        );
    }
    let all = checked.findings.iter();
    let faults = all.filter(|finding| finding.kind.is_fault()).count();
    let others = match checked.findings.len().saturating_sub(faults) {
        0 => String::new(),
        some => format!(", {some} to write or unverifiable here"),
    };
    let said = findings_said(faults);
    add(&mut text, format_args!("{said}{others}\n"));
    text
}

/// Renders what a check has found as annotations of GitHub Actions.
#[must_use]
pub fn annotations(checked: &Checked) -> String {
    let mut text = String::new();
    for finding in &checked.findings {
        let level = if finding.kind.is_fault() {
            "error"
        } else {
            "notice"
        };
        let place = (&*finding.file, finding.line);
        text.push_str(&annotation(
            level,
            place,
            finding.kind.as_str(),
            &finding.message,
        ));
    }
    text
}

/// Renders which blocks were made again, or would be.
#[must_use]
pub fn synced(blocks: &[Synced], dry: bool, _look: &Look) -> String {
    let mut text = String::new();
    for block in blocks {
        let (file, task) = (clean(&block.file), clean(block.task_id.as_str()));
        add(&mut text, format_args!("{file}:{}: {task}\n", block.line));
    }
    match (blocks.len(), dry) {
        (0, _) => text.push_str("all blocks say what the runs do\n"),
        (some, true) => add(
            &mut text,
            format_args!("{} would be made again\n", count(some, "block")),
        ),
        (some, false) => add(
            &mut text,
            format_args!("{} made again\n", count(some, "block")),
        ),
    }
    text
}

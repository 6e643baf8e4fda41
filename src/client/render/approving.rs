//! Approvals in words: what was accepted, by whom, for how long, and by which of them a gate passes.
//!
//! What somebody typed as a reason is one line here, whatever is in it.

use crate::client::output::Look;
use crate::client::render::mark::short;
use crate::client::render::status::indented;
use crate::client::render::text::{DIM, GREEN, YELLOW, add, clean, pad, styled};
use crate::documents::approvals::give::Approved;
use crate::model::evidence::Approval;
use crate::model::id::StageId;
use crate::model::time::Day;

/// Columns of the longest word on an approval, with its symbol.
const STATE_COLUMNS: usize = 10;
/// Hex digits of a content digest that are shown.
const DIGEST_CHARS: usize = 8;

/// Renders that a run was approved.
#[must_use]
pub fn approved(approved: &Approved, look: &Look) -> String {
    let Approved {
        task,
        approval,
        stages,
        written,
    } = approved;
    let state = match written {
        true => "+ approved",
        false => "- the same was approved before",
    };
    let (run, task) = (short(&approval.run_id), clean(task.as_str()));
    let mut text = format!("{}  run {run} of {task}\n", styled(GREEN, state));
    text.push_str(&indented(&said(approval), 4, look));
    let stages = ids(stages);
    let content = content(approval);
    let whole = format!("for {stages} on {content}; a gate passes on this content only");
    text.push_str(&indented(&whole, 4, look));
    text
}

/// Renders approvals, and whether a gate still honours them.
#[must_use]
pub fn listed(all: &[Approval], today: Day, look: &Look) -> String {
    let mut text = String::new();
    for approval in all {
        let (style, state) = match approval {
            it if it.is_in_force(today) => (GREEN, "+ in force"),
            it if it.is_over(today) => (DIM, "- over"),
            _ => (YELLOW, "? unbound"),
        };
        let state = styled(style, &pad(state, STATE_COLUMNS));
        let run = short(&approval.run_id);
        let scope = match &approval.scope {
            Some(stages) => ids(stages),
            None => "the whole run".to_owned(),
        };
        let content = content(approval);
        add(
            &mut text,
            format_args!("{state}  run {}  {scope}, {content}\n", clean(run)),
        );
        let at = approval.timestamp;
        let line = format!("{} ({at})", said(approval));
        text.push_str(&indented(&line, 4, look));
    }
    if all.is_empty() {
        text.push_str("nothing was approved\n");
    }
    text
}

/// By what a gate passes that is red without it.
#[must_use]
pub fn honoured(approvals: &[Approval]) -> String {
    let each = approvals.iter().map(|approval| {
        let scope = approval.scope.as_deref().map(ids);
        let scope = scope.map_or_else(String::new, |stages| format!(", for {stages}"));
        format!("{}{scope}", said(approval))
    });
    let each: Vec<String> = each.collect();
    format!("pass ({})", each.join("; "))
}

/// Who approved, why, and for how long.
fn said(approval: &Approval) -> String {
    let actor = line(&approval.actor);
    let reason = approval.reason.as_deref().map(line);
    let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
    let until = approval.until;
    let until = until.map_or_else(String::new, |day| format!(", until {day}"));
    format!("approved by {actor}: {reason}{until}")
}

fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    clean(&words.join(" "))
}

fn ids(stages: &[StageId]) -> String {
    let ids: Vec<String> = stages.iter().map(|id| clean(id.as_str())).collect();
    ids.join(", ")
}

fn content(approval: &Approval) -> String {
    let Some(input) = &approval.input_digest else {
        return "of no known content: no gate honours it".to_owned();
    };
    let digest: String = input.to_string().chars().take(DIGEST_CHARS).collect();
    format!("inputs {digest}…")
}

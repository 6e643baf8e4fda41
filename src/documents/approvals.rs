//! Approvals: who has accepted what a run said, and for what.
//!
//! They stand in the runs themselves; there is no other register. `red` says what of a run can be accepted, `give` writes that
//! somebody does, `look` finds what a gate may honour. Whether it may is judged here, by values alone, so that a daemon and a
//! gate without one say the same.

mod files;
pub mod give;
pub mod look;
pub mod red;

use crate::documents::records;
use crate::documents::shelf::{Shelf, ShelfError};
use crate::model::digest::InputDigest;
use crate::model::evidence::{Approval, ApprovedStage, RecordedApproval, approvals};
use crate::model::id::{RunId, TaskId};
use crate::model::time::Day;
use give::ApproveError;
use red::RedStage;
use serde::Serialize;
use std::path::Path;

/// Approvals, as `--json` has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approvals {
    /// The newest first.
    pub approvals: Vec<Approval>,
}

/// The approvals of a task's runs, the newest first; of what cannot be read nothing.
///
/// # Errors
/// When the task's runs cannot be listed.
pub fn of_task(shelf: &Shelf, task: &TaskId) -> Result<Vec<Approval>, ShelfError> {
    let records = records::of_task(shelf, task)?;
    let each = records.iter().filter_map(|record| {
        let recorded = record.sidecar().map(|it| it.approvals.as_slice());
        let manifest = record.manifest()?;
        Some(approvals(
            &record.run_id,
            &manifest.approvals,
            recorded.unwrap_or_default(),
        ))
    });
    let mut all: Vec<Approval> = each.flatten().collect();
    newest_first(&mut all);
    Ok(all)
}

/// The tasks that have runs, whether the configuration still names them or not.
///
/// # Errors
/// When the directory that holds their runs cannot be read.
pub fn tasks(shelf: &Shelf) -> Result<Vec<TaskId>, ApproveError> {
    let runs = shelf.places().open_runs(shelf.root())?;
    let Some(runs) = runs else {
        return Ok(Vec::new());
    };
    let names = runs.list()?.into_iter();
    let named = names.filter_map(|name| TaskId::parse(name.to_str()?).ok());
    let has_runs = |task: &TaskId| runs.stamp(&Path::new(task.as_str()).join("cli")).is_some();
    Ok(named.filter(has_runs).collect())
}

/// Orders approvals as lists have them.
pub fn newest_first(all: &mut [Approval]) {
    all.sort_by(|a, b| (b.timestamp, &b.run_id).cmp(&(a.timestamp, &a.run_id)));
}

/// An approval, and the run that it is of.
pub type Given = (RunId, RecordedApproval);

/// The approvals of `given` that together accept a run on `input` whose stages `red` did not succeed: for each the first that
/// covers it. Nothing where one of them is covered by none, and where no stage is red, because then it is not known what made
/// the run so.
#[must_use]
pub fn honoured<'g>(
    input: InputDigest,
    red: &[RedStage],
    given: &'g [Given],
    today: Day,
) -> Option<Vec<&'g Given>> {
    let mut used: Vec<&Given> = Vec::new();
    for stage in red {
        let mut of_content = given
            .iter()
            .filter(|(_, approval)| approval.input_digest == input && !approval.is_over(today));
        let found = of_content.find(|(_, it)| it.stages.iter().any(|one| covers(one, stage)))?;
        if !used.iter().any(|one| std::ptr::eq(*one, found)) {
            used.push(found);
        }
    }
    (!used.is_empty()).then_some(used)
}

/// Whether what was approved of a stage is what happened to it: it failed on the very key, or it was not run on the same
/// content. That it was not run says nothing of how it would fail.
fn covers(approved: &ApprovedStage, stage: &RedStage) -> bool {
    let is_same = match stage.failed {
        true => approved.key.is_some() && approved.key == stage.key,
        false => approved.content_key().is_some() && approved.content_key() == stage.content_key,
    };
    approved.id == stage.id && is_same
}

#[cfg(test)]
mod tests;

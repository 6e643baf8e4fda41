//! The runs of a task that say something of what lies there, newest first.
//!
//! Left out are the parts of other runs, those of a commit or an index, and those that prove nothing: void, superseded, not
//! ended. Each run is read when it is asked for, so that the newest costs one.

use crate::documents::coverage;
use crate::documents::records::{self, Record};
use crate::documents::shelf::{Shelf, ShelfError};
use crate::model::config::Flaky;
use crate::model::evidence::{Layout, RunRecord};
use crate::model::id::{PipelineId, TaskId};
use crate::model::run::RunStatus;

/// The row of a run that says something; none of one that does not, or is of another pipeline than the one that is meant.
#[must_use]
pub fn telling(
    record: &Record,
    layout: &Layout,
    pipeline: Option<&PipelineId>,
) -> Option<RunRecord> {
    let row = record.row(layout)?;
    let manifest = record.manifest()?;
    let is_own = pipeline.is_none_or(|own| *own == manifest.pipeline_id);
    // What was run on a commit tells nothing of what lies there.
    let is_judged = record.sidecar().is_some_and(|it| it.judged.is_some());
    (is_own && !is_judged && coverage::counts(record, &row)).then_some(row)
}

/// The newest run of a pipeline that says something.
///
/// # Errors
/// When the task's runs cannot be listed.
pub fn newest(
    shelf: &Shelf,
    task: &TaskId,
    pipeline: &PipelineId,
) -> Result<Option<Record>, ShelfError> {
    let runs = records::run_ids(shelf, task)?.into_iter();
    let mut runs = runs.map(|run| records::one(shelf, task, run));
    Ok(runs.find(|record| telling(record, shelf.layout(), Some(pipeline)).is_some()))
}

/// Whether a run succeeded, and its content was the same all along. What another tool ran has no word on the latter.
#[must_use]
pub fn is_green(record: &Record, flaky: Flaky) -> bool {
    let manifest = record.manifest();
    let succeeded = manifest.is_some_and(|it| it.status == RunStatus::Succeeded);
    let holds = record
        .sidecar()
        .is_none_or(|sidecar| sidecar.void.is_none() && sidecar.verdict.is_green(flaky));
    succeeded && holds
}

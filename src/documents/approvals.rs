//! Approvals: who has accepted what a run said, and for what.
//!
//! Read from the runs themselves; there is no other register. What a gate honours is judged here, so that a daemon and a
//! gate without one say the same.

use crate::documents::records;
use crate::documents::shelf::{Shelf, ShelfError};
use crate::model::evidence::{Approval, approvals};
use crate::model::id::TaskId;

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
    all.sort_by(|a, b| (b.timestamp, &b.run_id).cmp(&(a.timestamp, &a.run_id)));
    Ok(all)
}

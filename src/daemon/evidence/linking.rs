//! What the chain of a task is owed by runs that have ended before: by an end that was cut off just before its link, and
//! by a link that was cut off itself.
//!
//! The owner's note goes last, behind the link: where it is there still, and its owner is dead, the link may be missing.
//! Trouble with one run costs only that run.

use super::files::{Files, OWNER};
use super::owner::Life;
use super::{Desk, EvidenceError};
use crate::daemon::index::Key;
use crate::disk::chain;
use crate::disk::durable::Dir;
use crate::limits::RESTORED_RUNS_MAX;
use crate::model::evidence::{Manifest, Why};
use crate::model::id::{RunId, TaskId};
use crate::model::time::Timestamp;
use std::ffi::OsStr;

/// What the link of a run says of its end.
pub(super) fn why_ended(manifest: &Manifest) -> Why {
    match manifest.resume_events.is_empty() {
        true => Why::Ended,
        false => Why::Resumed,
    }
}

/// Finishes links that were cut off, or sets them aside.
pub(super) fn mend(runs: &Dir, tasks: &[TaskId], now: Timestamp) {
    for task in tasks {
        if let Err(error) = chain::mend(runs, task, now) {
            tracing::warn!(%task, error = &error as &dyn std::error::Error, "the end of the chain is not mended");
        }
    }
}

/// Tells a task's chain that runs are gone; whether it could be told.
pub(crate) fn note_removed(runs: &Dir, task: &TaskId, gone: &[RunId], now: Timestamp) -> bool {
    let told: Vec<(RunId, Why)> = gone.iter().map(|run| (run.clone(), Why::Removed)).collect();
    let written = chain::append_unsynced(runs, task, &told, now);
    let noted = written.and_then(|all| Ok(crate::disk::durable::Unsynced::sync_all(all)?));
    if let Err(error) = &noted {
        tracing::warn!(%task, error = error as &dyn std::error::Error, "the chain does not say that runs were removed");
    }
    noted.is_ok()
}

impl Desk {
    /// Links runs whose end is written but for their link.
    pub(super) fn link_owed(&self, runs: &Dir, now: Timestamp) {
        let rows = self.index.rows().filter(|row| row.complete && row.ours);
        let mut ended: Vec<_> = rows.map(|row| &row.record).collect();
        ended.sort_unstable_by(|one, other| other.run_id.cmp(&one.run_id));
        let ended = ended.into_iter().take(RESTORED_RUNS_MAX);
        let keys = ended.map(|record| (record.task_id.clone(), record.run_id.clone()));
        for key in keys.filter(|key| !self.open.contains_key(&key.1)) {
            if let Err(error) = self.link_if_owed(runs, &key, now) {
                tracing::warn!(run = %key.1, error = &error as &dyn std::error::Error, "a run has no link");
            }
        }
    }

    fn link_if_owed(
        &self,
        runs: &Dir,
        (task, run): &Key,
        now: Timestamp,
    ) -> Result<(), EvidenceError> {
        let note = super::run_path(task, run).join(OWNER);
        if runs.stamp(&note).is_none() {
            return Ok(());
        }
        let Some(files) = Files::open(runs, task, run)? else {
            return Ok(());
        };
        let lives = match files.read_owner() {
            Some(owner) if owner == self.owner => false,
            Some(owner) => owner.life() != Life::Dead,
            // A power cut may have emptied it.
            None => false,
        };
        let (false, Ok(manifest)) = (lives, files.read_manifest()) else {
            return Ok(());
        };
        // What was linked after its end and has changed since is no end of ours.
        let ended = manifest.completed_at.unwrap_or(manifest.updated_at);
        let linked = chain::linked_at(runs, task, run)?;
        if linked.is_none_or(|at| at < ended) {
            tracing::info!(%task, %run, "its end was cut off before its link: it has one now");
            chain::append(runs, task, run, why_ended(&manifest), now)?;
        }
        files.run.remove(OsStr::new(OWNER))?;
        Ok(())
    }
}

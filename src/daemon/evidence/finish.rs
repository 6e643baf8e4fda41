//! The end of a run on disk, in the documented order; the same for a run that ended and for one that was lost.
//!
//! Every act of it may be done again, so that an end that was cut off is finished at the next start.

use super::files::{Files, METRICS, OWNER, random_token};
use super::open::Open;
use super::places::Grown;
use super::snapshots::StateFile;
use super::{Desk, EvidenceError, lock};
use crate::disk::chain::{self, ChainError};
use crate::disk::durable::{Dir, DurableError, Former, SHARED, Staged};
use crate::limits::METRICS_TAIL_BYTES;
use crate::model::evidence::{Entry, Metrics, RunSummary, TaskState, Why};
use crate::model::id::{RunId, TaskId};
use crate::model::time::Timestamp;
use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Whether a run's end may have been written in part before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was not.
    New,
    /// It may have been: the metrics line is looked for before it is written.
    Again,
}

impl Desk {
    /// Writes the end of a run whose manifest is terminal and whose metrics are not recorded.
    pub(super) fn finish(
        &mut self,
        files: &Files,
        open: &mut Open,
        state: Option<&TaskState>,
        mut grown: Grown,
        now: Timestamp,
    ) -> Result<(), EvidenceError> {
        let Open {
            manifest,
            sidecar,
            guardrails_required,
            ending,
            why,
            ..
        } = open;
        files.lay_log()?;
        manifest.beat(now);
        let metrics = Metrics::of(manifest, now);
        let mut terminal = files.stage_manifest(manifest)?;
        manifest.note_metrics(*guardrails_required);
        let mut recorded = vec![files.stage_manifest(manifest)?];
        if let Some(sidecar) = sidecar {
            recorded.push(files.stage_sidecar(sidecar)?);
        }
        let path = self.layout.manifest(&manifest.task_id, &manifest.run_id);
        let summary = RunSummary::of(manifest, &path);
        let summary_path = self.layout.run_summary(&manifest.task_id, &manifest.run_id);
        manifest.run_summary_path = Some(summary_path);
        let mut last = vec![
            files.stage_legacy(&summary, &mut grown)?,
            files.stage_summary(&summary)?,
            files.stage_manifest(manifest)?,
        ];

        // What is known of the present content is no matter of a run on something else.
        let is_of_present = sidecar.as_ref().is_none_or(|it| it.judged.is_none());
        let state = match is_of_present {
            true => StateFile::Says(state),
            false => StateFile::Stands,
        };
        let task = &manifest.task_id;
        let held = lock::take(&files.runs, task, &random_token()?, now)?;
        if held.is_none() {
            tracing::warn!(%task, "another program keeps the task's lock: the snapshot is written without it");
        }
        let snapped = self
            .snapshots
            .stage(task, Entry::of(&summary), state, &mut grown, now);
        let snapped = snapped.and_then(|(dir, mut snapshot)| {
            let first = std::iter::once(&mut terminal);
            let all = first
                .chain(&mut recorded)
                .chain(&mut snapshot)
                .chain(&mut last);
            Staged::sync_all(all)?;
            self.former.push(terminal.place()?);
            record_metrics(&files.task, &metrics, *ending, &mut grown)?;
            for staged in recorded.into_iter().chain(snapshot) {
                self.former.push(staged.place()?);
            }
            self.snapshots.note_placed(task, &dir);
            Ok(())
        });
        if let Some(held) = held {
            self.former.push(held.release(&files.runs)?);
        }
        snapped?;

        for staged in last {
            self.former.push(staged.place()?);
        }
        let ids = (&manifest.task_id, &manifest.run_id);
        self.former.push(seal(files, ids, *why, grown, now)?);
        self.index.note(&files.runs, manifest, sidecar.as_ref());
        Ok(())
    }
}

/// Links a run of which all else has its name, syncs the names and the link together, and says last that it is nobody's
/// any more: whose owner is noted still and dead is owed the rest of its end.
fn seal(
    files: &Files,
    (task, run): (&TaskId, &RunId),
    why: Why,
    mut grown: Grown,
    now: Timestamp,
) -> Result<Former, ChainError> {
    files.beat(now)?;
    for written in chain::append_unsynced(&files.runs, task, &[(run.clone(), why)], now)? {
        grown.note_unsynced(written);
    }
    grown.note(files.run.clone());
    grown.sync()?;
    Ok(files.run.take_away(OsStr::new(OWNER))?)
}

fn record_metrics(
    task: &Dir,
    metrics: &Metrics,
    ending: Ending,
    grown: &mut Grown,
) -> Result<(), DurableError> {
    let name = OsStr::new(METRICS);
    let new = task.stamp(Path::new(name)).is_none();
    if ending == Ending::Again && !new && metrics.stands_in(&tail(task)) {
        return Ok(());
    }
    let line = task.append_line(name, metrics.line().as_bytes(), SHARED)?;
    grown.note_unsynced(line);
    if new {
        grown.note(task.clone());
    }
    Ok(())
}

/// The end of a task's metrics; nothing where it cannot be read.
fn tail(task: &Dir) -> String {
    let read = || {
        let mut file = task.file(OsStr::new(METRICS)).ok()??;
        let len = file.metadata().ok()?.len();
        let start = len.saturating_sub(METRICS_TAIL_BYTES);
        let _: u64 = file.seek(SeekFrom::Start(start)).ok()?;
        let mut bytes = Vec::new();
        let _: usize = file.take(METRICS_TAIL_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

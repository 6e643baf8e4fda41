//! What has gone of a run that has ended, and can be made again of its manifest.
//!
//! No verdict needs any of it, so it is looked for at a start and when runs are judged again, and of the newest runs only:
//! a `stat` each. Logs, error files and the sidecar are made again by nobody. Trouble with one run costs only that run.

use super::files::{Files, MANIFEST, SUMMARY, TOKEN};
use super::places::Grown;
use super::{Desk, EvidenceError, LOCAL_POINTERS, ReadError, pointer_path, run_path};
use crate::daemon::index::Key;
use crate::disk::durable::{Dir, Staged};
use crate::limits::RESTORED_RUNS_MAX;
use crate::model::evidence::RunSummary;
use std::path::Path;

impl Desk {
    /// Makes pointers, summaries and tokens again that are gone of the newest runs that have ended.
    pub(super) fn restore(&self, runs: &Dir) {
        let rows = self.index.rows().filter(|row| row.complete && row.ours);
        let mut ended: Vec<_> = rows.map(|row| &row.record).collect();
        ended.sort_unstable_by(|one, other| other.run_id.cmp(&one.run_id));
        let ended = ended.into_iter().take(RESTORED_RUNS_MAX);
        let ended = ended.map(|record| (record.task_id.clone(), record.run_id.clone()));
        let held = |key: &Key| self.open.contains_key(&key.1);
        for key in ended.filter(|key| !held(key) && lacks_something(runs, key)) {
            if let Err(error) = self.make_again(runs, &key) {
                tracing::warn!(run = %key.1, error = &error as &dyn std::error::Error, "what is gone of a run cannot be made again");
            }
        }
    }

    fn make_again(&self, runs: &Dir, (task, run): &Key) -> Result<(), EvidenceError> {
        let Some(files) = Files::open(runs, task, run)? else {
            return Ok(());
        };
        let manifest = match files.read_manifest() {
            Ok(manifest) => manifest,
            Err(ReadError::Disk(error)) => return Err(error.into()),
            Err(ReadError::Missing | ReadError::Unreadable(_)) => return Ok(()),
        };
        let lacks = |path: &Path| runs.stamp(path).is_none();
        let home = run_path(task, run);
        let mut grown = Grown::default();
        let mut staged = Vec::new();
        if lacks(&home.join(TOKEN)) {
            staged.push(files.stage_token(&manifest.resume_token)?);
        }
        let summary = RunSummary::of(&manifest, &self.layout.manifest(task, run));
        if lacks(&home.join(SUMMARY)) {
            staged.push(files.stage_summary(&summary)?);
        }
        if lacks(&Path::new(task.as_str()).join(run.as_str()).join(MANIFEST)) {
            staged.push(files.stage_legacy(&summary, &mut grown)?);
        }
        staged.extend(files.stage_pointer(&manifest, &mut grown)?);
        Staged::sync_all(&mut staged)?;
        for staged in staged {
            drop(staged.place()?);
        }
        if lacks(&Path::new(LOCAL_POINTERS).join(run.as_str()).join(MANIFEST)) {
            files.link(&manifest, &mut grown)?;
        }
        grown.note(files.run);
        Ok(grown.sync()?)
    }
}

fn lacks_something(runs: &Dir, (task, run): &Key) -> bool {
    let home = run_path(task, run);
    let paths = [
        home.join(TOKEN),
        home.join(SUMMARY),
        pointer_path(task, run).join(MANIFEST),
        Path::new(LOCAL_POINTERS).join(run.as_str()).join(MANIFEST),
        Path::new(task.as_str()).join(run.as_str()).join(MANIFEST),
    ];
    // What has gone as a whole is not made again in part.
    runs.stamp(&home.join(MANIFEST)).is_some()
        && paths.iter().any(|path| runs.stamp(path).is_none())
}

//! Which runs are kept, and how the others go.
//!
//! Never removed: a run under way, also one of another process that has written its end and not yet told it, the newest of a task, the newest that proves something of a pipeline, one that a
//! checklist cites, one of which an approval is in force, the child runs of what is kept, to which its manifest leads, and the runs that all these have taken
//! stages over from; of those in turn only the child runs, or each would keep the one before for ever. A run is moved out of the way first and deleted then, so that a reader finds it whole or not at all;
//! what a crash leaves of that is swept at the next start, its pointers included. The chain is told before the deletion.

use crate::daemon::evidence::{
    Desk, EvidenceError, Grown, LOCAL_POINTERS, OWNER, note_removed, pointer_path, read_manifest,
    read_sidecar, run_path,
};
use crate::daemon::index::Row;
use crate::disk::chain;
use crate::disk::durable::{Dir, DurableError, Kind};
use crate::limits::{CHECKLIST_DEPTH_MAX, EVIDENCE_BYTES_MAX};
use crate::model::config::Retention;
use crate::model::evidence::{RunRecord, counted};
use crate::model::id::{RunId, TaskId};
use crate::model::run::Cause;
use crate::model::time::{Day, Timestamp};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

/// Where runs go on their way out; a name that no task may have.
const TRASH: &str = ".orchd-trash";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Desk {
    /// Removes the runs of a task that are beyond its bounds, and says which.
    ///
    /// # Errors
    /// When the disk says no; what was moved out of the way by then is deleted at the next start.
    pub fn retain(
        &mut self,
        task: &TaskId,
        keep: Retention,
        active: &[RunId],
        now: Timestamp,
    ) -> Result<Vec<RunId>, EvidenceError> {
        let Some(runs) = self.runs_base().open()? else {
            return Ok(Vec::new());
        };
        self.index_mut().refresh(&runs, now)?;
        let rows = self
            .index_mut()
            .rows()
            .filter(|row| &row.record.task_id == task);
        let rows: Vec<Row> = rows.cloned().collect();
        let records: Vec<RunRecord> = rows.iter().map(|row| row.record.clone()).collect();
        let proofs = self.index_mut().proofs();
        let proving: BTreeSet<&RunId> = proofs
            .iter()
            .filter(|((of, _), _)| of == task)
            .filter_map(|(_, runs)| runs.first())
            .collect();
        let mut over = records
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(place, record)| {
                let old = record
                    .completed_at
                    .is_some_and(|end| now.since(end) > DAY * keep.days);
                let beyond = *place >= usize::try_from(keep.runs).unwrap_or(usize::MAX);
                let free = record.status.is_terminal() && !active.contains(&record.run_id);
                (old || beyond) && free && !proving.contains(&record.run_id)
            });
        let mut over: BTreeSet<RunId> = over.by_ref().map(|(_, r)| r.run_id.clone()).collect();
        // Another process has ended it, and is about to say so: its note goes last.
        over.retain(|run| runs.stamp(&run_path(task, run).join(OWNER)).is_none());
        if over.is_empty() {
            return Ok(Vec::new());
        }
        forget_cited(&Dir::open(self.root().as_path())?, &mut over)?;
        let today = Day::of(now);
        over.retain(|run| !is_approved(&runs, task, run, today));
        forget_children(&runs, &records, &mut over);
        forget_reused(&rows, &mut over);
        forget_children(&runs, &records, &mut over);
        let mut gone = Vec::new();
        for run in over {
            let key = (task.clone(), run.clone());
            // The row may be older than what another tool has made of the run since.
            let still = self
                .index_mut()
                .check(&runs, &key)
                .map(|row| row.record.status);
            if still.is_some_and(|status| status.is_terminal()) {
                discard(&runs, task, &run)?;
                self.index_mut().forget(&key);
                gone.push(run);
            }
        }
        self.forget_in_snapshots(task, &gone, now)?;
        sweep(&runs, now)?;
        Ok(gone)
    }
}

/// Deletes what was moved out of the way.
pub(crate) fn sweep(runs: &Dir, now: Timestamp) -> Result<(), DurableError> {
    let Some(trash) = runs.descend(Path::new(TRASH))? else {
        return Ok(());
    };
    for task in trash.list()? {
        let Some(of_task) = trash.descend(Path::new(&task))? else {
            continue;
        };
        let names = of_task.list()?;
        let id = task.to_str().and_then(|task| TaskId::parse(task).ok());
        let mut gone = Vec::new();
        if let Some(id) = &id {
            let named = names
                .iter()
                .filter_map(|run| RunId::parse(run.to_str()?).ok());
            gone.extend(named.filter(|run| runs.stamp(&run_path(id, run)).is_none()));
            for run in &gone {
                discard_pointers(runs, id, run)?;
            }
        }
        // Told before they are deleted, so that whatever stops us here is caught up on by the next who sweeps.
        let told = note_gone(runs, id.as_ref(), &gone, now)?;
        for run in names {
            of_task.remove_tree(&run)?;
        }
        trash.remove_empty(&task)?;
        if !told {
            // A full disk may have room now.
            note_gone(runs, id.as_ref(), &gone, now)?;
        }
    }
    runs.remove_empty(OsStr::new(TRASH))
}

/// Tells the chain of a task that runs are gone, for good: where they were is synced before. Whether it knows.
fn note_gone(
    runs: &Dir,
    task: Option<&TaskId>,
    gone: &[RunId],
    now: Timestamp,
) -> Result<bool, DurableError> {
    let (Some(task), false) = (task, gone.is_empty()) else {
        return Ok(true);
    };
    let Some(cli) = runs.descend(&Path::new(task.as_str()).join("cli"))? else {
        return Ok(true);
    };
    cli.sync()?;
    let told = note_removed(runs, task, gone, now);
    if let Err(error) = chain::compact(runs, task, now) {
        tracing::warn!(%task, error = &error as &dyn std::error::Error, "the chain stays as long as it is");
    }
    Ok(told)
}

fn discard(runs: &Dir, task: &TaskId, run: &RunId) -> Result<(), DurableError> {
    let mut grown = Grown::default();
    let below = Path::new(TRASH).join(task.as_str()).join(run.as_str());
    let trash = grown.create(runs, &below)?;
    let from = Path::new(task.as_str()).join("cli");
    if let Some(cli) = runs.descend(&from)? {
        cli.rename(OsStr::new(run.as_str()), &trash, OsStr::new("cli"))?;
    }
    discard_pointers(runs, task, run)
}

fn discard_pointers(runs: &Dir, task: &TaskId, run: &RunId) -> Result<(), DurableError> {
    let local = Path::new(LOCAL_POINTERS).join(run.as_str());
    let legacy = Path::new(task.as_str()).join(run.as_str());
    for path in [pointer_path(task, run), local, legacy] {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            continue;
        };
        if let Some(dir) = runs.descend(above)? {
            dir.remove_tree(name)?;
        }
    }
    Ok(())
}

/// Whether a gate may pass by what was approved of a run, should it meet that content again.
fn is_approved(runs: &Dir, task: &TaskId, run: &RunId, today: Day) -> bool {
    let told = || {
        let dir = runs.descend(&run_path(task, run)).ok()??;
        let (manifest, sidecar) = (read_manifest(&dir).ok()?, read_sidecar(&dir).ok()?);
        Some(counted(&manifest, &sidecar).any(|it| !it.is_over(today)))
    };
    told().unwrap_or(false)
}

/// Takes the runs out of `over` that others, which are kept, have taken stages over from.
fn forget_reused(rows: &[Row], over: &mut BTreeSet<RunId>) {
    let kept = rows.iter().filter(|row| !over.contains(&row.record.run_id));
    let reused: BTreeSet<RunId> = kept.flat_map(|row| row.reused.iter().cloned()).collect();
    over.retain(|run| !reused.contains(run));
}

/// Takes the child runs of runs that are kept out of `over`, and theirs.
fn forget_children(runs: &Dir, records: &[RunRecord], over: &mut BTreeSet<RunId>) {
    let children = records
        .iter()
        .filter(|record| record.cause == Some(Cause::Parent) && over.contains(&record.run_id));
    let parent = |child: &RunRecord| {
        let dir = runs.descend(&run_path(&child.task_id, &child.run_id)).ok();
        let manifest = read_manifest(&dir??).ok()?;
        Some((child.run_id.clone(), manifest.parent_run_id?))
    };
    let parents: Vec<(RunId, RunId)> = children.filter_map(parent).collect();
    let there: BTreeSet<&RunId> = records.iter().map(|record| &record.run_id).collect();
    let mut before = usize::MAX;
    // A child is kept for its parent, which may be kept for its own.
    while over.len() < before {
        before = over.len();
        for (child, parent) in &parents {
            if there.contains(parent) && !over.contains(parent) {
                over.remove(child);
            }
        }
    }
}

/// Takes the runs that a checklist mentions out of `over`.
fn forget_cited(root: &Dir, over: &mut BTreeSet<RunId>) -> Result<(), DurableError> {
    for below in ["tasks", ".agent/task"] {
        // A directory behind a link is somebody else's.
        if let Ok(Some(dir)) = root.descend(Path::new(below)) {
            read_checklists(&dir, over, CHECKLIST_DEPTH_MAX)?;
        }
    }
    if let Ok(Some(docs)) = root.descend(Path::new("docs")) {
        read_checklist(&docs, OsStr::new("TASKS.md"), over)?;
    }
    Ok(())
}

fn read_checklists(
    dir: &Dir,
    over: &mut BTreeSet<RunId>,
    depth: usize,
) -> Result<(), DurableError> {
    for name in dir.list()? {
        let kind = dir.stamp(Path::new(&name)).map(|stamp| stamp.kind);
        match kind {
            Some(Kind::Directory) if depth > 0 => {
                if let Some(below) = dir.descend(Path::new(&name))? {
                    read_checklists(&below, over, depth.saturating_sub(1))?;
                }
            }
            Some(Kind::File) if is_markdown(&name) => read_checklist(dir, &name, over)?,
            Some(Kind::Directory | Kind::File | Kind::Link | Kind::Other) | None => {}
        }
    }
    Ok(())
}

fn read_checklist(dir: &Dir, name: &OsStr, over: &mut BTreeSet<RunId>) -> Result<(), DurableError> {
    if let Some(bytes) = dir.read(name, EVIDENCE_BYTES_MAX)? {
        let text = String::from_utf8_lossy(&bytes);
        over.retain(|run| !text.contains(run.as_str()));
    }
    Ok(())
}

fn is_markdown(name: &OsString) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
}

#[cfg(test)]
mod tests;

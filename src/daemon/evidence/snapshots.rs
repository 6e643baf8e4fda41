//! The snapshots of one workspace's tasks in memory, kept in step with `runs.json` and `state.json` on disk.
//!
//! Both files may be written by other tools. What they added is taken over; what they tore or replaced is rebuilt from
//! what is left: the other file, and the run summaries in the run directories.

use super::files::{SUMMARY, set_aside, sweep};
use super::places::{Base, Grown};
use crate::disk::durable::{Dir, DurableError, SHARED, Staged, Stamp};
use crate::disk::identity::Identity;
use crate::limits::{EVIDENCE_BYTES_MAX, SNAPSHOT_RUNS_MAX};
use crate::model::evidence::{Entry, Snapshot, TaskState};
use crate::model::id::{RunId, TaskId};
use crate::model::run::Verdict;
use crate::model::time::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

const RUNS: &str = "runs.json";
const STATE: &str = "state.json";

/// The snapshots of one workspace's tasks.
#[derive(Debug)]
pub(super) struct Snapshots {
    out: Base,
    runs: Base,
    tasks: BTreeMap<TaskId, Cached>,
}

/// What becomes of `state.json` at the end of a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum StateFile<'a> {
    /// It is written, and says this of the present content; what it has said so far where nothing is given.
    Says(Option<&'a TaskState>),
    /// It is left as it is: the run tells of other content.
    Stands,
}

#[derive(Debug)]
struct Cached {
    snapshot: Snapshot,
    state: Option<TaskState>,
    others: Map<String, Value>,
    runs_stamp: Option<Stamp>,
    state_stamp: Option<Stamp>,
}

impl Snapshots {
    pub(super) fn new(out: Base, runs: Base) -> Self {
        Self {
            out,
            runs,
            tasks: BTreeMap::new(),
        }
    }

    /// See [`Base::hold`].
    pub(super) fn hold(&mut self, root: Option<Identity>) {
        let others = [self.out.hold(root), self.runs.hold(root)];
        if others.contains(&true) {
            self.tasks.clear();
        }
    }

    /// Writes both files, or the first, with the entry of a run that ended under temp names in the directory that is given
    /// back; the caller holds the task's lock.
    pub(super) fn stage(
        &mut self,
        task: &TaskId,
        entry: Entry,
        state: StateFile<'_>,
        grown: &mut Grown,
        now: Timestamp,
    ) -> Result<(Dir, Vec<Staged>), DurableError> {
        let dir = self.directory(task, grown)?;
        let cached = self.load(task, &dir, now)?;
        cached.snapshot.add(entry);
        let runs = cached.snapshot.runs_file();
        let mut staged = vec![dir.stage(OsStr::new(RUNS), &runs, SHARED)?];
        if let StateFile::Says(state) = state {
            cached.state = state.cloned().or(cached.state.take());
            let others = &cached.others;
            let bytes = cached.snapshot.state_file(cached.state.as_ref(), others);
            staged.push(dir.stage(OsStr::new(STATE), &bytes, SHARED)?);
        }
        grown.note(dir.clone());
        Ok((dir, staged))
    }

    /// Notes that both files have got their names, in the directory in which they were written.
    pub(super) fn note_placed(&mut self, task: &TaskId, dir: &Dir) {
        if let Some(cached) = self.tasks.get_mut(task) {
            cached.runs_stamp = dir.stamp(Path::new(RUNS));
            cached.state_stamp = dir.stamp(Path::new(STATE));
        }
    }

    /// Writes what the daemon knows of a task into `state.json`. That nothing is known is written only where there is
    /// something to correct or to add to: what has no evidence may be an empty directory in the place of a workspace. A
    /// file that says just this, of another time, stays.
    pub(super) fn note(
        &mut self,
        task: &TaskId,
        state: &TaskState,
        now: Timestamp,
    ) -> Result<(), DurableError> {
        let unknown = state.verdict == Verdict::Unknown && !state.fresh;
        if unknown && !self.has_anything(task)? {
            return Ok(());
        }
        let mut grown = Grown::default();
        let dir = self.directory(task, &mut grown)?;
        let cached = self.load(task, &dir, now)?;
        let new = cached.state_stamp.is_none() | cached.mend(&dir)?;
        if !new && cached.says(state, &dir) {
            return Ok(());
        }
        cached.state = Some(state.clone());
        cached.write_state(&dir)?;
        if new {
            grown.note(dir);
        }
        grown.sync()
    }

    /// Makes `runs.json` again where it is torn or gone although there have been runs.
    pub(super) fn mend(&mut self, task: &TaskId, now: Timestamp) -> Result<(), DurableError> {
        let Some(out) = self.out.open()? else {
            // It is made again together with what is known of the task.
            return Ok(());
        };
        let Some(dir) = out.descend(Path::new(task.as_str()))? else {
            return Ok(());
        };
        if self.load(task, &dir, now)?.mend(&dir)? {
            dir.sync()?;
        }
        Ok(())
    }

    /// What `state.json` says that a daemon knew of a task.
    pub(super) fn state(&mut self, task: &TaskId, now: Timestamp) -> Option<TaskState> {
        let dir = self
            .out
            .open()
            .ok()??
            .descend(Path::new(task.as_str()))
            .ok()??;
        self.load(task, &dir, now).ok()?.state.clone()
    }

    /// Takes runs that are no longer kept out of both files.
    pub(super) fn forget(
        &mut self,
        task: &TaskId,
        gone: &[RunId],
        now: Timestamp,
    ) -> Result<(), DurableError> {
        let Some(out) = self.out.open()? else {
            return Ok(());
        };
        let Some(dir) = out.descend(Path::new(task.as_str()))? else {
            return Ok(());
        };
        let cached = self.load(task, &dir, now)?;
        let mut changed = false;
        for run in gone {
            changed |= cached.snapshot.forget(run);
        }
        if changed {
            cached.write_runs(&dir)?;
            cached.write_state(&dir)?;
        }
        Ok(())
    }

    /// Removes the temp files that a dead process left beside a task's snapshots.
    pub(super) fn sweep(&self, task: &TaskId) -> Result<(), DurableError> {
        match self.out.open()? {
            Some(out) => match out.descend(Path::new(task.as_str()))? {
                Some(dir) => sweep(&dir),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Whether a task has run here, or a file speaks of it.
    fn has_anything(&self, task: &TaskId) -> Result<bool, DurableError> {
        let state = Path::new(task.as_str()).join(STATE);
        let out = self.out.open()?;
        if out.is_some_and(|out| out.stamp(&state).is_some()) {
            return Ok(true);
        }
        let runs = self.runs.open()?;
        Ok(runs.is_some_and(|runs| runs.stamp(Path::new(task.as_str())).is_some()))
    }

    fn directory(&self, task: &TaskId, grown: &mut Grown) -> Result<Dir, DurableError> {
        let out = self.out.create(grown)?;
        grown.create(&out, Path::new(task.as_str()))
    }

    fn load(
        &mut self,
        task: &TaskId,
        dir: &Dir,
        now: Timestamp,
    ) -> Result<&mut Cached, DurableError> {
        let runs_stamp = dir.stamp(Path::new(RUNS));
        let state_stamp = dir.stamp(Path::new(STATE));
        let known = self.tasks.remove(task);
        let cached = match known {
            Some(known) if known.runs_stamp == runs_stamp && known.state_stamp == state_stamp => {
                known
            }
            Some(_) | None => self.read(task, dir, now)?,
        };
        Ok(self.tasks.entry(task.clone()).or_insert(cached))
    }

    fn read(&self, task: &TaskId, dir: &Dir, now: Timestamp) -> Result<Cached, DurableError> {
        let stamps = (dir.stamp(Path::new(RUNS)), dir.stamp(Path::new(STATE)));
        // A file that cannot be read at all is treated as a torn one: it is replaced, never an error for ever.
        let state_bytes = dir
            .read(OsStr::new(STATE), EVIDENCE_BYTES_MAX)
            .ok()
            .flatten();
        let state_bytes = state_bytes.unwrap_or_default();
        let runs_bytes = dir
            .read(OsStr::new(RUNS), EVIDENCE_BYTES_MAX)
            .ok()
            .flatten();
        let in_runs = runs_bytes
            .as_ref()
            .and_then(|bytes| Snapshot::parse(bytes, task));
        let in_state = Snapshot::parse(&state_bytes, task);
        let sound = in_runs.is_some();
        if runs_bytes.is_some() && !sound {
            set_aside(dir, RUNS, now)?;
        }
        let mut snapshot = in_state.unwrap_or_else(|| Snapshot::empty(task.clone()));
        if let Some(in_runs) = in_runs {
            snapshot.take(in_runs);
        }
        if !sound {
            for entry in self.summaries(task)? {
                snapshot.add(entry);
            }
        }
        Ok(Cached {
            snapshot,
            state: Snapshot::state(&state_bytes),
            others: Snapshot::others(&state_bytes),
            runs_stamp: if sound { stamps.0 } else { None },
            state_stamp: stamps.1,
        })
    }

    /// The newest run summaries in the run directories of a task.
    fn summaries(&self, task: &TaskId) -> Result<Vec<Entry>, DurableError> {
        let Some(runs) = self.runs.open()? else {
            return Ok(Vec::new());
        };
        let Some(cli) = runs.descend(&Path::new(task.as_str()).join("cli"))? else {
            return Ok(Vec::new());
        };
        let names = cli.list()?;
        let read = |name: &std::ffi::OsString| {
            let dir = cli.descend(Path::new(name)).ok()??;
            let bytes = dir.read(OsStr::new(SUMMARY), EVIDENCE_BYTES_MAX).ok()??;
            Entry::read(&serde_json::from_slice(&bytes).ok()?)
        };
        Ok(names
            .iter()
            .rev()
            .filter_map(read)
            .take(SNAPSHOT_RUNS_MAX)
            .collect())
    }
}

impl Cached {
    /// Writes `runs.json` where there is none that can be read, and something to say; whether it did.
    fn mend(&mut self, dir: &Dir) -> Result<bool, DurableError> {
        let lacks = self.runs_stamp.is_none() && self.snapshot.runs().next().is_some();
        if lacks {
            self.write_runs(dir)?;
        }
        Ok(lacks)
    }

    fn write_runs(&mut self, dir: &Dir) -> Result<(), DurableError> {
        dir.write(OsStr::new(RUNS), &self.snapshot.runs_file(), SHARED)?;
        self.runs_stamp = dir.stamp(Path::new(RUNS));
        Ok(())
    }

    /// Whether `state.json` says this, but for when it was written.
    fn says(&self, state: &TaskState, dir: &Dir) -> bool {
        let Some(said) = &self.state else {
            return false;
        };
        let now = TaskState {
            updated_at: said.updated_at,
            ..state.clone()
        };
        let bytes = self.snapshot.state_file(Some(&now), &self.others);
        let held = dir.read(OsStr::new(STATE), EVIDENCE_BYTES_MAX);
        held.is_ok_and(|held| held.as_ref() == Some(&bytes))
    }

    fn write_state(&mut self, dir: &Dir) -> Result<(), DurableError> {
        let bytes = self.snapshot.state_file(self.state.as_ref(), &self.others);
        dir.write(OsStr::new(STATE), &bytes, SHARED)?;
        self.state_stamp = dir.stamp(Path::new(STATE));
        Ok(())
    }
}

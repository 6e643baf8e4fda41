//! What a start finds: runs whose daemon was lost, ends that were cut off, damaged files; and what is known of each task.
//!
//! Trouble with one run costs only that run; nothing that a newer version wrote is ever rewritten.

use super::files::{Files, SIDECAR, set_aside, sweep};
use super::finish::Ending;
use super::heal::Birth;
use super::last::Last;
use super::open::{Anchor, Open};
use super::owner::Life;
use super::places::Grown;
use super::{
    Desk, EvidenceError, LOCAL_POINTERS, ReadError, heal, linking, passes, pointer_path, spare,
};
use crate::daemon::index::Key;
use crate::daemon::log::read::output_bytes;
use crate::daemon::retention;
use crate::disk::durable::Dir;
use crate::engine::history::History;
use crate::engine::proven::Proven;
use crate::limits::PROOFS_MAX;
use crate::model::evidence::{
    DAEMON_LOST, Manifest, RunRecord, Sidecar, SidecarStage, Unreadable, Why, numbered,
};
use crate::model::id::{PipelineId, RunId, TaskId};
use crate::model::run::{Cause, Verdict};
use crate::model::time::Timestamp;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

/// What a start found.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Runs whose daemon was lost; they are `cancelled` now.
    pub interrupted: Vec<RunId>,
    /// Runs under way that somebody else seems to own; worth another look once their heartbeat is old.
    pub alive: Vec<RunId>,
    /// What is known of each task that was asked for.
    pub known: BTreeMap<TaskId, Known>,
}

/// What the evidence says of a task.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Per pipeline, its last run that was no other run's child.
    pub last: BTreeMap<PipelineId, Last>,
    /// Per pipeline, what its newest runs prove, newest first: of each content once.
    pub proofs: BTreeMap<PipelineId, Vec<Proof>>,
    /// What its runs, of all its pipelines, say against stage keys: of those that say so the newest.
    pub history: History,
    /// What the stages of runs have proven that this start has read, the oldest first.
    pub proven: Proven,
}

/// A verdict on the content that a run's stages read.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The run.
    pub run: RunId,
    /// What it proves.
    pub verdict: Verdict,
    /// Its stages and their keys.
    pub stages: Vec<SidecarStage>,
}

/// What is to be done with a run that is not finished.
enum Fate {
    Lost,
    CutOff,
    Alive,
    Leave,
}

impl Desk {
    /// Brings the evidence in order after a start, and says what is known of `tasks`. May be asked again for runs that
    /// seemed alive.
    ///
    /// # Errors
    /// When the runs directory cannot be read at all; trouble with a single run is logged and costs only that run.
    pub fn recover(&mut self, tasks: &[TaskId], now: Timestamp) -> Result<Recovery, EvidenceError> {
        let mut recovery = Recovery {
            known: tasks
                .iter()
                .map(|task| (task.clone(), Known::default()))
                .collect(),
            ..Recovery::default()
        };
        // Of a run whose end could not be written the files are all there is to go by.
        self.open.retain(|_, open| open.is_under_way());
        for task in tasks {
            // A standing is written between runs too, where no interrupted run tells of what is left of it.
            if let Err(error) = self.snapshots.sweep(task) {
                tracing::warn!(%error, source = %error.source, "temp files are not quite gone");
            }
        }
        if let Some(runs) = self.runs.open()? {
            self.spare = None;
            if let Err(error) = spare::sweep(&runs) {
                tracing::warn!(%error, source = %error.source, "prepared runs are not quite gone");
            }
            linking::mend(&runs, tasks, now);
            if let Err(error) = retention::sweep(&runs, now) {
                tracing::warn!(%error, source = %error.source, "runs that were removed are not quite gone");
            }
            self.index.refresh(&runs, now)?;
            self.index.check_all(&runs);
            let unread: Vec<Key> = self.index.unread().cloned().collect();
            for key in &unread {
                if self.open.contains_key(&key.1) {
                    continue;
                }
                let healed = self.heal(&runs, key, now, &mut recovery);
                self.let_go();
                if let Err(error) = healed {
                    tracing::warn!(run = %key.1, error = &error as &dyn std::error::Error, "a run cannot be read");
                }
            }
            for key in &self.unfinished() {
                if self.open.contains_key(&key.1) {
                    continue;
                }
                let settled = self.settle(&runs, key, now, &mut recovery);
                self.let_go();
                if let Err(error) = settled {
                    tracing::warn!(run = %key.1, error = &error as &dyn std::error::Error, "a run cannot be finished");
                }
            }
            self.link_owed(&runs, now);
            self.index.refresh(&runs, now)?;
            self.restore(&runs);
            recovery.known = self.known(&runs, tasks);
            for task in tasks {
                if let Err(error) = self.snapshots.mend(task, now) {
                    tracing::warn!(%task, %error, source = %error.source, "the list of a task's newest runs is not quite whole");
                }
            }
        }
        Ok(recovery)
    }

    /// The runs whose daemon was lost and that [`Desk::recover`] would cancel; nothing is written.
    ///
    /// # Errors
    /// When the runs directory cannot be read at all.
    pub fn lost(&mut self, now: Timestamp) -> Result<BTreeSet<RunId>, EvidenceError> {
        let Some(runs) = self.runs.open()? else {
            return Ok(BTreeSet::new());
        };
        self.index.refresh(&runs, now)?;
        let mut lost = BTreeSet::new();
        for key in self.unfinished() {
            // A run that cannot be read now is told of when it is recovered.
            let judged = self.judged(&runs, &key, now).ok().flatten();
            let is_lost = judged.is_some_and(|(_, _, fate)| matches!(fate, Fate::Lost));
            if is_lost && !self.open.get(&key.1).is_some_and(Open::is_under_way) {
                lost.insert(key.1);
            }
        }
        Ok(lost)
    }

    /// A run directory whose manifest cannot be read: removed, rebuilt, or left alone.
    pub(super) fn heal(
        &mut self,
        runs: &Dir,
        key: &Key,
        now: Timestamp,
        recovery: &mut Recovery,
    ) -> Result<(), EvidenceError> {
        let (task, run) = key;
        let Some(files) = Files::open(runs, task, run)? else {
            return Ok(());
        };
        match files.read_manifest() {
            Err(ReadError::Missing) => match heal::birth(&files, &self.owner, now) {
                Birth::Failed => return Ok(clear(runs, &files, key)?),
                Birth::UnderWay => {
                    recovery.alive.push(run.clone());
                    return Ok(());
                }
                Birth::Past => {}
            },
            Err(ReadError::Unreadable(source)) if heal::can_be_made_again(&files, &source) => {}
            Err(ReadError::Unreadable(source)) => {
                let path = files.run.path().join(super::MANIFEST);
                return Err(EvidenceError::Unreadable { path, source });
            }
            Err(ReadError::Disk(error)) => return Err(error.into()),
            // It speaks of another run: it was copied here, and is nobody's evidence.
            Ok(_) => return Ok(()),
        }
        let manifest = heal::rebuild(&files, task, run, &self.layout, now)?;
        self.finish_found(runs, &files, (manifest, Why::Rebuilt), now)
    }

    fn settle(
        &mut self,
        runs: &Dir,
        key: &Key,
        now: Timestamp,
        recovery: &mut Recovery,
    ) -> Result<(), EvidenceError> {
        let (task, run) = key;
        let Some((files, mut manifest, fate)) = self.judged(runs, key, now)? else {
            return Ok(());
        };
        match fate {
            Fate::Leave => Ok(()),
            Fate::Alive => {
                recovery.alive.push(run.clone());
                Ok(())
            }
            Fate::CutOff => self.finish_found(runs, &files, (manifest, Why::Recovered), now),
            Fate::Lost => {
                tracing::info!(%task, %run, "its daemon was lost: the run is cancelled");
                manifest.lose(now);
                self.finish_found(runs, &files, (manifest, Why::Recovered), now)?;
                recovery.interrupted.push(run.clone());
                Ok(())
            }
        }
    }

    /// The runs that the index knows and of which something is left to be written.
    fn unfinished(&self) -> Vec<Key> {
        let rows = self.index.rows().filter(|row| !row.complete);
        rows.map(|row| (row.record.task_id.clone(), row.record.run_id.clone()))
            .collect()
    }

    /// A run's files and manifest, and what is to be done with it; nothing where they cannot be read.
    fn judged(
        &self,
        runs: &Dir,
        (task, run): &Key,
        now: Timestamp,
    ) -> Result<Option<(Files, Manifest, Fate)>, EvidenceError> {
        let Some(files) = Files::open(runs, task, run)? else {
            return Ok(None);
        };
        let Ok(manifest) = files.read_manifest() else {
            return Ok(None);
        };
        let fate = self.fate(&files, &manifest, now);
        Ok(Some((files, manifest, fate)))
    }

    fn fate(&self, files: &Files, manifest: &Manifest, now: Timestamp) -> Fate {
        let sidecar = match files.read_sidecar() {
            Ok(_) => true,
            // Its schema is another's: whoever wrote it finishes it.
            Err(ReadError::Unreadable(Unreadable::Newer { .. })) => return Fate::Leave,
            Err(ReadError::Unreadable(_)) => true,
            Err(ReadError::Missing | ReadError::Disk(_)) => false,
        };
        let owner = files.read_owner();
        let life = match &owner {
            // Ours, and not in our hands: an earlier desk of this daemon's.
            Some(owner) if *owner == self.owner => Life::Dead,
            Some(owner) => owner.life(),
            None => Life::Unsure,
        };
        let lives = match life {
            Life::Alive => true,
            Life::Dead => false,
            Life::Unsure => is_fresh(files, manifest, now),
        };
        match (manifest.status.is_terminal(), lives) {
            (true, _) if !sidecar => Fate::Leave,
            (true, true) if owner.is_some() => Fate::Leave,
            (true, _) => Fate::CutOff,
            (false, true) => Fate::Alive,
            (false, false) => Fate::Lost,
        }
    }

    /// Finishes a run of which only the files are known.
    fn finish_found(
        &mut self,
        runs: &Dir,
        files: &Files,
        (manifest, why): (Manifest, Why),
        now: Timestamp,
    ) -> Result<(), EvidenceError> {
        let (task, run) = (manifest.task_id.clone(), manifest.run_id.clone());
        sweep(&files.run)?;
        sweep(&files.task)?;
        self.snapshots.sweep(&task)?;
        let beside = [
            pointer_path(&task, &run),
            Path::new(LOCAL_POINTERS).join(run.as_str()),
            Path::new(task.as_str()).join(run.as_str()),
            super::run_path(&task, &run).join("errors"),
            super::run_path(&task, &run).join("commands"),
        ];
        for below in beside {
            if let Some(dir) = runs.descend(&below)? {
                sweep(&dir)?;
            }
        }
        let mut grown = Grown::default();
        drop(Files::create(runs, &task, &run, &mut grown)?);
        if let Some(pointer) = files.stage_pointer(&manifest, &mut grown)? {
            pointer.place()?;
        }
        files.link(&manifest, &mut grown)?;
        if let Err(ReadError::Unreadable(Unreadable::Damaged(_))) = files.read_sidecar() {
            set_aside(&files.run, SIDECAR, now)?;
        }
        let sidecar = files
            .read_sidecar()
            .ok()
            .map(|found| believed(found, &manifest, &files.run));
        let state = self.snapshots.state(&task, now);
        let mut open = Open {
            manifest,
            sidecar,
            guardrails_required: None,
            anchor: Anchor::Held,
            ending: Ending::Again,
            why,
        };
        self.finish(files, &mut open, state.as_ref(), grown, now)
    }

    fn known(&mut self, runs: &Dir, tasks: &[TaskId]) -> BTreeMap<TaskId, Known> {
        let mut known: BTreeMap<TaskId, Known> = BTreeMap::new();
        for task in tasks {
            let mut last = BTreeMap::new();
            let newest = self.index.newest(runs, Some(task), PROOFS_MAX);
            for record in newest
                .into_iter()
                .filter(|it| it.cause != Some(Cause::Parent))
            {
                if let Entry::Vacant(of_pipeline) = last.entry(record.pipeline_id.clone())
                    && !is_of_other_content(runs, &record)
                {
                    of_pipeline.insert(Last::of(runs, record));
                }
            }
            drop(known.insert(
                task.clone(),
                Known {
                    last,
                    ..Known::default()
                },
            ));
        }
        let mut read: BTreeMap<TaskId, BTreeMap<RunId, Sidecar>> = BTreeMap::new();
        for ((task, pipeline), proving) in self.index.proofs() {
            if let Some(of_task) = known.get_mut(&task) {
                let told = told_by(runs, &task, proving);
                read.entry(task).or_default().extend(told.iter().cloned());
                drop(of_task.proofs.insert(pipeline, proofs_of(told)));
            }
        }
        // No pass is believed without the failures that were known beside it.
        for (task, run) in [self.index.passes(), self.index.failures()].concat() {
            let of_task = read.entry(task.clone()).or_default();
            if known.contains_key(&task) && !of_task.contains_key(&run) {
                of_task.extend(passes::read(runs, &task, &run));
            }
        }
        let rows = self.index.rows().map(|row| &row.record);
        let pipelines = rows.map(|row| (row.run_id.clone(), row.pipeline_id.clone()));
        let pipelines: BTreeMap<RunId, PipelineId> = pipelines.collect();
        for (task, told) in read {
            if let Some(of_task) = known.get_mut(&task) {
                for (run, sidecar) in &told {
                    of_task.history.note(run, sidecar.failures());
                }
                of_task.proven = passes::proven(runs, &task, told, &pipelines);
            }
        }
        known
    }
}

/// Whether a run was on something else than what lay in the workspace: the last run there is another.
fn is_of_other_content(runs: &Dir, record: &RunRecord) -> bool {
    let files = Files::open(runs, &record.task_id, &record.run_id);
    let sidecar = files.ok().flatten().map(|files| files.read_sidecar());
    sidecar.is_some_and(|sidecar| sidecar.is_ok_and(|sidecar| sidecar.judged.is_some()))
}

/// What these runs say of their stages, newest first, of those that can still be read.
fn told_by(runs: &Dir, task: &TaskId, proving: Vec<RunId>) -> Vec<(RunId, Sidecar)> {
    let told = proving.into_iter().filter_map(|run| {
        let files = Files::open(runs, task, &run).ok().flatten();
        let sidecar = files.and_then(|files| files.read_sidecar().ok());
        Some((run, sidecar.filter(Sidecar::proves)?))
    });
    told.collect()
}

/// What these runs prove, newest first; of each content only what the newest says.
fn proofs_of(told: Vec<(RunId, Sidecar)>) -> Vec<Proof> {
    let mut contents = BTreeSet::new();
    let mut proofs = Vec::new();
    for (run, sidecar) in told {
        let keys: Vec<_> = sidecar.stages.iter().map(|stage| stage.key).collect();
        if contents.insert(keys) {
            proofs.push(Proof {
                run,
                verdict: sidecar.verdict,
                stages: sidecar.stages,
            });
        }
    }
    proofs
}

/// A sidecar from before its run's end proves nothing.
fn believed(mut sidecar: Sidecar, manifest: &Manifest, run: &Dir) -> Sidecar {
    if manifest.status_detail.as_deref() == Some(DAEMON_LOST) {
        sidecar.lose(manifest);
        let commands = run.descend(Path::new("commands")).ok().flatten();
        for (place, stage) in (1..).zip(&mut sidecar.stages) {
            let name = format!("{}.ndjson", numbered(place, &stage.id));
            let logged = commands.as_ref().filter(|_| stage.log_bytes == 0);
            let logged = logged.and_then(|dir| output_bytes(dir, OsStr::new(&name)).ok());
            stage.log_bytes += logged.unwrap_or_default();
        }
    }
    sidecar
}

fn is_fresh(files: &Files, manifest: &Manifest, now: Timestamp) -> bool {
    let modified = |name: &str| Some(files.run.stamp(Path::new(name))?.modified());
    let beats = [
        manifest.heartbeat_at,
        modified(super::files::HEARTBEAT),
        modified("runner.ndjson"),
    ];
    let stale = Duration::from_secs(manifest.heartbeat_stale_after_seconds);
    // A beat far in the future is a clock that was set back, not a sign of life.
    let near = |beat: &Timestamp| now.since(*beat) <= stale && beat.since(now) <= stale;
    beats.iter().flatten().any(near)
}

/// Removes what there is of a run that never began.
fn clear(runs: &Dir, files: &Files, key: &Key) -> Result<(), crate::disk::durable::DurableError> {
    let (task, run) = key;
    tracing::info!(%task, %run, "the rest of a run that never began is removed");
    // The run itself goes last: without it nobody would look for the rest.
    let places = [
        runs.descend(Path::new(LOCAL_POINTERS))?,
        files.task.descend(Path::new("mcp"))?,
        files.task.descend(Path::new("cli"))?,
    ];
    let mut places = places.iter().flatten();
    places.try_for_each(|place| place.remove_tree(OsStr::new(run.as_str())))
}

//! One workspace's evidence: a [`Desk`] writes down what the engine knows of its runs, and reads it back after a start.
//!
//! A desk is a plain struct with blocking methods and one owner at a time; the loop moves it into the blocking pool.
//! When [`Desk::anchor`] or [`Desk::end`] returns `Ok`, what was written survives a power cut. The order of its writes is
//! the published orchestrator's, so that a reader of files never finds a reference to something that is not there yet:
//!
//! ```text
//! begin   directories ▶ owner ▶ manifest (queued) ▶ token ▶ heartbeat ▶ sidecar ▶ pointers ▶ manifest (in progress)
//! anchor  the directories synced
//! record  error files ▶ manifest ▶ heartbeat
//! end     error files ▶ manifest (terminal) ▶ metrics line ▶ manifest (recorded) ▶ sidecar ▶ snapshots ▶ legacy
//!         ▶ run summary ▶ manifest (summary's path) ▶ link of the chain ▶ all of it synced ▶ owner removed
//! ```
//!
//! A desk decides nothing about runs; only of a run whose owner is dead it says that it was lost.

mod begin;
mod exhibits;
mod files;
mod filled;
mod finish;
mod heal;
mod history;
mod last;
mod linking;
mod lock;
mod open;
mod owner;
mod passes;
mod places;
mod recover;
mod restore;
mod snapshots;
mod spare;

pub use exhibits::{Exhibit, Exhibits, Inspected, Stamps};
pub use history::{Found, Reopened, ReopenedStage, Shown, ShownPaths};
pub use last::{Failure, Last};
pub use owner::Owner;
pub use passes::Passes;
pub use places::Places;
pub use recover::{Known, Proof, Recovery};

pub(crate) use files::{
    LOCAL_POINTERS, MANIFEST, OWNER, SIDECAR, pointer_path, read_manifest, read_sidecar, run_path,
};
pub(crate) use linking::note_removed;
pub(crate) use places::{Base, Grown};

use crate::daemon::index::Index;
use crate::disk::chain::ChainError;
use crate::disk::durable::{Dir, DurableError, Former};
use crate::disk::identity::Identity;
use crate::model::evidence::{Layout, Sidecar, TaskState, Unreadable};
use crate::model::id::{RunId, TaskId};
use crate::model::judged::Judged;
use crate::model::path::RootPath;
use crate::model::run::RunReport;
use crate::model::time::Timestamp;
use files::Files;
use filled::Filled;
use finish::Ending;
use open::{Anchor, Open, write_errors};
use snapshots::Snapshots;
use spare::Spare;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Why evidence could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DurableError),
    /// The run has no link.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The system gave no random bytes.
    #[error("failed to make a resume token")]
    Random(#[source] getrandom::Error),
    /// The names of a run's files could not be synced when it began; the kernel tells that only once.
    #[error("the beginning of run {run} could not be put on disk")]
    Unanchored {
        /// The run.
        run: RunId,
    },
    /// The run's evidence is in another directory, which is not the workspace any more.
    #[error("run {run} began in a directory whose place another one has taken")]
    Elsewhere {
        /// The run.
        run: RunId,
    },
    /// No such run.
    #[error("there is no evidence of run {run}: `orchctl runs` lists what there is")]
    UnknownRun {
        /// The run.
        run: RunId,
    },
    /// A file says something that this program cannot take up.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Unreadable,
    },
}

/// Why one file of a run could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("there is no such file")]
    Missing,
    #[error(transparent)]
    Disk(#[from] DurableError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// One workspace's evidence.
#[derive(Debug)]
pub struct Desk {
    root: RootPath,
    runs: Base,
    layout: Layout,
    owner: Owner,
    open: BTreeMap<RunId, Open>,
    /// Runs that began in another directory, whose place this one has taken.
    elsewhere: BTreeSet<RunId>,
    snapshots: Snapshots,
    index: Index,
    /// What has been replaced, until there is time.
    former: Vec<Former>,
    /// For the next new run.
    spare: Option<Spare>,
    /// What a run that is foreseen will begin with.
    filled: Option<Filled>,
    /// What its runs run on, where that is not what lies in the workspace.
    judged: Option<Judged>,
}

impl Desk {
    /// Opens the evidence of the workspace at `root`; nothing is written.
    #[must_use]
    pub fn open(root: RootPath, places: Places, owner: Owner) -> Self {
        let runs = Base::new(&root, &places.runs_dir);
        let out = Base::new(&root, &places.out_dir);
        let layout = Layout::new(&runs.label());
        Self {
            index: Index::open(layout.clone(), &runs.path(), places.index_dir),
            snapshots: Snapshots::new(out, runs.clone()),
            root,
            runs,
            layout,
            owner,
            open: BTreeMap::new(),
            elsewhere: BTreeSet::new(),
            former: Vec::new(),
            spare: None,
            filled: None,
            judged: None,
        }
    }

    /// From now on runs tell of this instead of what lies in the workspace: their sidecars say so, and what
    /// `state.json` says of the present content stands.
    pub fn judge(&mut self, judged: Option<Judged>) {
        self.judged = judged;
    }

    /// Whether a run has begun here and has not ended.
    #[must_use]
    pub fn holds(&self, run: &RunId) -> bool {
        self.open.contains_key(run)
    }

    /// From now on the workspace is this directory: whatever takes its place gets nothing written, and runs that another
    /// one had under way are not this one's.
    pub fn hold(&mut self, root: Option<Identity>) {
        if self.runs.hold(root) {
            self.elsewhere
                .extend(std::mem::take(&mut self.open).into_keys());
            self.spare = None;
            self.filled = None;
        }
        self.snapshots.hold(root);
    }

    /// Makes a run that has begun survive a power cut; of a run that is not under way there is nothing to do.
    ///
    /// # Errors
    /// When the disk says no; then the end of the run fails too.
    pub fn anchor(&mut self, run: &RunId) -> Result<(), EvidenceError> {
        let Some(open) = self.open.get_mut(run) else {
            return Ok(());
        };
        match std::mem::replace(&mut open.anchor, Anchor::Lost) {
            Anchor::Loose(grown, spare) => {
                grown.sync()?;
                // Only now: what names it has given away must not come back with it.
                drop(spare);
            }
            Anchor::Held => {}
            Anchor::Lost => return Err(EvidenceError::Unanchored { run: run.clone() }),
        }
        open.anchor = Anchor::Held;
        Ok(())
    }

    /// Notes how a run stands. Old or new survives a power cut.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn record(&mut self, report: &RunReport, now: Timestamp) -> Result<(), EvidenceError> {
        let Some(files) = self.standing(report)? else {
            return self.begin(report, now);
        };
        let Some(open) = self.open.get_mut(&report.run) else {
            return Ok(());
        };
        open.take_over(&files);
        open.manifest.note(report, &self.layout, now);
        write_errors(&files, report, &mut open.manifest, &self.layout, now)?.sync()?;
        files.write_manifest(&open.manifest)?;
        // Nothing else tells of attempts should the daemon be lost; the rest of it can be had of the manifest.
        if report.stages.iter().any(|stage| stage.attempts > 1) {
            let sidecar = Sidecar::meanwhile(report).on(self.judged.clone());
            files.write_sidecar(&sidecar.approved(open.approvals()))?;
        }
        files.beat(now)?;
        Ok(())
    }

    /// Writes the end of a run: all of its evidence, and what the daemon knows of its task now, unless it is a child's.
    ///
    /// # Errors
    /// When the disk says no; it may be asked again, and then goes on where it stopped. Until then the run counts as one
    /// whose owner is gone: it has no heartbeat, and [`Desk::recover`] closes it by what is on disk.
    pub fn end(
        &mut self,
        report: &RunReport,
        state: Option<&TaskState>,
        now: Timestamp,
    ) -> Result<(), EvidenceError> {
        let ended = self.try_end(report, state, now);
        self.elsewhere.remove(&report.run);
        if ended.is_err()
            && let Some(open) = self.open.get_mut(&report.run)
        {
            open.ending = Ending::Again;
        }
        ended
    }

    fn try_end(
        &mut self,
        report: &RunReport,
        state: Option<&TaskState>,
        now: Timestamp,
    ) -> Result<(), EvidenceError> {
        let files = match self.standing(report)? {
            Some(files) => files,
            None => {
                self.begin(report, now)?;
                self.files(&self.runs_dir(&report.run)?, &report.task, &report.run)?
            }
        };
        self.anchor(&report.run)?;
        let sidecar = self.sidecar(report);
        let Some(mut open) = self.open.remove(&report.run) else {
            return Ok(());
        };
        open.manifest.note(report, &self.layout, now);
        open.manifest.metrics_recorded = false;
        open.manifest.run_summary_path = None;
        open.sidecar = Some(sidecar);
        let ended = write_errors(&files, report, &mut open.manifest, &self.layout, now)
            .map_err(EvidenceError::from)
            .and_then(|grown| self.finish(&files, &mut open, state, grown, now));
        if ended.is_err() {
            drop(self.open.insert(report.run.clone(), open));
        }
        ended
    }

    /// Lets go of what the steps before have replaced; for when nobody waits for it.
    pub fn let_go(&mut self) {
        self.former.clear();
    }

    /// Writes what the daemon knows of a task into its `state.json`.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn state(
        &mut self,
        task: &TaskId,
        state: &TaskState,
        now: Timestamp,
    ) -> Result<(), EvidenceError> {
        Ok(self.snapshots.note(task, state, now)?)
    }

    /// Says of every run under way that its owner lives.
    ///
    /// # Errors
    /// When the disk says no for one of them; the others are told all the same.
    pub fn heartbeat(&mut self, now: Timestamp) -> Result<(), EvidenceError> {
        let mut told: Result<(), DurableError> = Ok(());
        if !self.open.values().any(Open::is_under_way) {
            return Ok(());
        }
        let Some(runs) = self.runs.open()? else {
            return Ok(());
        };
        let alive = self.open.iter_mut().filter(|(_, open)| open.is_under_way());
        for (run, open) in alive {
            let beat = match Files::open(&runs, &open.manifest.task_id, run) {
                // What somebody has removed is made anew as a whole, once there is something to record.
                Ok(Some(files)) if files.has_manifest() => {
                    open.take_over(&files);
                    open.manifest.beat(now);
                    files
                        .write_manifest(&open.manifest)
                        .and_then(|()| files.beat(now))
                }
                Ok(Some(_) | None) => Ok(()),
                Err(error) => Err(error),
            };
            told = told.and(beat);
        }
        Ok(told?)
    }

    /// Removes what is kept of it outside of its workspace, which is no longer registered.
    pub fn retire(&mut self) {
        self.index.retire();
    }

    pub(crate) fn root(&self) -> &RootPath {
        &self.root
    }

    pub(crate) fn runs_base(&self) -> &Base {
        &self.runs
    }

    pub(crate) fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    pub(crate) fn forget_in_snapshots(
        &mut self,
        task: &TaskId,
        gone: &[RunId],
        now: Timestamp,
    ) -> Result<(), EvidenceError> {
        Ok(self.snapshots.forget(task, gone, now)?)
    }

    /// The directories of a run that is in our hands and has its manifest; `git clean` may have taken what had begun.
    fn standing(&self, report: &RunReport) -> Result<Option<Files>, EvidenceError> {
        if self.elsewhere.contains(&report.run) {
            let run = report.run.clone();
            return Err(EvidenceError::Elsewhere { run });
        }
        if !self.open.contains_key(&report.run) {
            return Ok(None);
        }
        let Some(runs) = self.runs.open()? else {
            return Ok(None);
        };
        let files = Files::open(&runs, &report.task, &report.run)?;
        let standing = files.filter(Files::has_manifest);
        if standing.is_none() {
            tracing::warn!(run = %report.run, "the evidence of a run was removed while it is under way: it is made anew");
        }
        Ok(standing)
    }

    fn sidecar(&self, report: &RunReport) -> Sidecar {
        let held = self.open.get(&report.run);
        let approvals = held.map(Open::approvals).unwrap_or_default();
        let sidecar = Sidecar::of(report).on(self.judged.clone());
        sidecar.approved(approvals)
    }

    fn runs_dir(&self, run: &RunId) -> Result<Dir, EvidenceError> {
        let runs = self.runs.open()?;
        runs.ok_or_else(|| EvidenceError::UnknownRun { run: run.clone() })
    }

    fn files(&self, runs: &Dir, task: &TaskId, run: &RunId) -> Result<Files, EvidenceError> {
        let files = Files::open(runs, task, run)?;
        files.ok_or_else(|| EvidenceError::UnknownRun { run: run.clone() })
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! The beginning of a run on disk, in the documented order: of a new one, and of one that has been there before.
//!
//! Somebody waits for the first command meanwhile. So a new run takes over the directories and the files of a spare that was
//! made, and at best filled, while there was time; where there is none, or somebody has been at it, its files are made now.

use super::files::{Files, MANIFEST, random_token, run_path};
use super::filled::{Filled, First, Named};
use super::finish::Ending;
use super::open::{Anchor, Open};
use super::places::Grown;
use super::spare::Spare;
use super::{Desk, EvidenceError, ReadError, linking};
use crate::daemon::chain::chain;
use crate::disk::durable::{Dir, Staged};
use crate::limits::EVIDENCE_BYTES_MAX;
use crate::model::evidence::{Layout, Manifest, Sidecar, StageKind, Unreadable};
use crate::model::id::TaskId;
use crate::model::run::{RunReport, RunStatus, StageStatus};
use crate::model::time::Timestamp;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

impl Desk {
    /// Puts a run on disk, a new one or one that was reopened: whoever looks finds it, and its files are whole, also
    /// after a power cut. That their names survive one is for [`Desk::anchor`], so that a command need not wait for it.
    ///
    /// # Errors
    /// When the disk says no; then the run has not begun, and the next start clears away what there is of it.
    pub fn begin(&mut self, report: &RunReport, now: Timestamp) -> Result<(), EvidenceError> {
        let mut grown = Grown::default();
        let runs = self.runs.create(&mut grown)?;
        let (manifest, sidecar, spare) = match self.take(&runs, report, &mut grown, now)? {
            Some(named) => {
                self.former.push(named.former);
                let First { begun, sidecar, .. } = named.first;
                (begun, sidecar, Some(Box::new(named.spare)))
            }
            None => {
                let sidecar = self.sidecar(report);
                let manifest = self.write(&runs, report, &sidecar, &mut grown, now)?;
                (manifest, sidecar, None)
            }
        };
        self.index.note(&runs, &manifest, Some(&sidecar));
        let before = self.open.get(&report.run);
        let why = linking::why_ended(&manifest);
        let open = Open {
            manifest,
            sidecar: Some(sidecar),
            guardrails_required: report.guardrails_required,
            anchor: Anchor::Loose(grown, spare),
            ending: before.map_or(Ending::New, |open| open.ending),
            why,
        };
        drop(self.open.insert(report.run.clone(), open));
        Ok(())
    }

    /// Makes ready what the next new run can be written into, where runs have been before; for when nobody waits.
    pub fn prepare(&mut self) {
        let made = match self.runs.open() {
            Ok(Some(runs)) => {
                let ready = self.spare.as_ref();
                if ready.is_some_and(|spare| spare.untouched(&runs).is_some()) {
                    return;
                }
                Spare::make(&runs, &self.owner)
            }
            // Nothing is written where nothing has run yet.
            Ok(None) => return,
            Err(error) => Err(error),
        };
        match made {
            Ok(spare) => {
                self.spare = Some(spare);
                // What it was filled for has not begun.
                self.filled = None;
            }
            // The run that needs one tells of it, if it is still so.
            Err(error) => {
                tracing::debug!(%error, source = %error.source, "no run could be prepared");
            }
        }
    }

    /// Writes into what was prepared what a run will begin with, on the disk but for its names; for when nobody waits, and
    /// the run will begin as it is told here.
    pub fn foresee(&mut self, report: &RunReport, now: Timestamp) {
        // Where nothing was prepared, or nothing can be, the run begins without.
        let Ok(Some(runs)) = self.runs.open() else {
            return;
        };
        match self.fill(&runs, report, now) {
            Ok(filled) => self.filled = filled,
            Err(error) => {
                tracing::debug!(error = %chain(&error), "no run could be foreseen");
            }
        }
    }

    /// Begins a new run in what was prepared. Nothing where nothing was, and where it has no names to give: a run begins
    /// without it wherever it can.
    fn take(
        &mut self,
        runs: &Dir,
        report: &RunReport,
        grown: &mut Grown,
        now: Timestamp,
    ) -> Result<Option<Named>, EvidenceError> {
        if runs.stamp(&run_path(&report.task, &report.run)).is_some() {
            return Ok(None);
        }
        let foreseen = self.filled.take();
        let foreseen = foreseen.filter(|filled| filled.is_for(&report.run) && filled.is_in(runs));
        let filled = match foreseen {
            Some(filled) => Some(filled),
            None => self.fill(runs, report, now)?,
        };
        match filled {
            Some(filled) => Ok(filled.name(runs, report, grown)?),
            None => Ok(None),
        }
    }

    /// Writes what a run begins with into what was prepared; nothing where nothing was.
    fn fill(
        &mut self,
        runs: &Dir,
        report: &RunReport,
        now: Timestamp,
    ) -> Result<Option<Filled>, EvidenceError> {
        let Some(spare) = self.spare.take() else {
            return Ok(None);
        };
        let Some(home) = spare.untouched(runs) else {
            return Ok(None);
        };
        let queued = self.first(report)?;
        let mut begun = queued.clone();
        advance(&mut begun, report, &self.layout, now);
        let log = first_log(&begun, report, &self.layout);
        let log = log.as_deref().and_then(Path::file_name);
        let sidecar = self.sidecar(report);
        let first = First {
            queued,
            begun,
            sidecar,
        };
        Ok(Filled::fill((spare, home), first, log, now)?)
    }

    /// Writes a run that is there already, or of which nothing was prepared.
    fn write(
        &mut self,
        runs: &Dir,
        report: &RunReport,
        sidecar: &Sidecar,
        grown: &mut Grown,
        now: Timestamp,
    ) -> Result<Manifest, EvidenceError> {
        let files = Files::create(runs, &report.task, &report.run, grown)?;
        files.write_owner(&self.owner)?;
        let mut staged = Vec::new();
        let mut manifest = match taken_up(&files)? {
            Some(manifest) => manifest,
            None => {
                let manifest = self.first(report)?;
                staged.push(files.stage_manifest(&manifest)?);
                manifest
            }
        };
        staged.push(files.stage_token(&manifest.resume_token)?);
        files.beat(now)?;
        staged.push(files.stage_sidecar(sidecar)?);
        advance(&mut manifest, report, &self.layout, now);
        staged.extend(files.stage_pointer(&manifest, grown)?);
        let mut begun = files.stage_manifest(&manifest)?;
        Staged::sync_all(staged.iter_mut().chain([&mut begun]))?;
        for staged in staged {
            drop(staged.place()?);
        }
        files.link(&manifest, grown)?;
        self.former.push(begun.place()?);
        grown.note(files.run);
        Ok(manifest)
    }

    /// The manifest that a run begins with; that of one whose files are gone is known.
    fn first(&self, report: &RunReport) -> Result<Manifest, EvidenceError> {
        if let Some(held) = self.open.get(&report.run) {
            return Ok(held.anew());
        }
        let slug = self.slug(&report.task);
        let token = random_token()?;
        Ok(Manifest::new(report, &slug, &token, &self.layout))
    }

    /// The slug of a task in `tasks/index.json`; its id where that says nothing.
    fn slug(&self, task: &TaskId) -> String {
        let slug = || {
            let tasks = Dir::open(self.root.as_path())
                .ok()?
                .descend(Path::new("tasks"))
                .ok()??;
            let bytes = tasks
                .read(OsStr::new("index.json"), EVIDENCE_BYTES_MAX)
                .ok()??;
            let index: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            let mut items = index.get("items")?.as_array()?.iter();
            let item = items
                .find(|item| item.get("id").and_then(|id| id.as_str()) == Some(task.as_str()))?;
            item.get("slug")?.as_str().map(str::to_owned)
        };
        slug()
            .filter(|slug| !slug.is_empty())
            .unwrap_or_else(|| task.to_string())
    }
}

/// The manifest of a run that is taken up again; none of a new one.
fn taken_up(files: &Files) -> Result<Option<Manifest>, EvidenceError> {
    match files.read_manifest() {
        Ok(manifest) => Ok(Some(manifest)),
        Err(ReadError::Missing | ReadError::Unreadable(Unreadable::Damaged(_))) => Ok(None),
        Err(ReadError::Disk(error)) => Err(error.into()),
        Err(ReadError::Unreadable(source)) => {
            let path = files.run.path().join(MANIFEST);
            Err(EvidenceError::Unreadable { path, source })
        }
    }
}

/// The log of the stage with which a run goes on, if that is a command.
fn first_log(manifest: &Manifest, report: &RunReport, layout: &Layout) -> Option<PathBuf> {
    let stages = (1..).zip(manifest.commands.iter().zip(&report.stages));
    let mut pending = stages.filter(|(_, (_, stage))| stage.status == StageStatus::Pending);
    let (index, (command, stage)) = pending.next()?;
    let log = || layout.stage_log(&report.task, &report.run, index, &stage.id);
    (command.kind == StageKind::Command).then(|| PathBuf::from(log()))
}

/// What a run's manifest says once the run has begun.
fn advance(manifest: &mut Manifest, report: &RunReport, layout: &Layout, now: Timestamp) {
    manifest.note(report, layout, now);
    if manifest.status == RunStatus::Queued {
        manifest.status = RunStatus::InProgress;
    }
}

//! The beginning of a run on disk, in the documented order: of a new one, and of one that has been there before.
//!
//! Somebody waits for the first command meanwhile. So a new run takes over the directories and the empty files of a spare
//! that was made while there was time; where there is none, one is made now.

use super::files::{Files, MANIFEST, SIDECAR, TOKEN, random_token, run_path};
use super::finish::Ending;
use super::open::{Anchor, Open};
use super::places::Grown;
use super::spare::{LOCAL, POINTER, RUN, Spare};
use super::{Desk, EvidenceError, LOCAL_POINTERS, ReadError};
use crate::daemon::durable::{Dir, PRIVATE, SHARED, Staged};
use crate::limits::EVIDENCE_BYTES_MAX;
use crate::model::evidence::{Layout, Manifest, Sidecar, StageKind, Unreadable, document};
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
        let is_there = runs.stamp(&run_path(&report.task, &report.run)).is_some();
        let sidecar = Sidecar::of(report);
        let (manifest, spare) = if is_there {
            let again = self.begin_again(&runs, report, &sidecar, &mut grown, now)?;
            (again, None)
        } else {
            let (manifest, spare) = self.begin_new(&runs, report, &sidecar, &mut grown, now)?;
            (manifest, Some(Box::new(spare)))
        };
        self.index.note(&runs, &manifest, Some(&sidecar));
        let before = self.open.get(&report.run);
        let open = Open {
            manifest,
            sidecar: Some(sidecar),
            guardrails_required: report.guardrails_required,
            anchor: Anchor::Loose(grown, spare),
            ending: before.map_or(Ending::New, |open| open.ending),
        };
        drop(self.open.insert(report.run.clone(), open));
        Ok(())
    }

    /// Makes ready what the next new run can be written into, where runs have been before; for when nobody waits.
    pub fn prepare(&mut self) {
        if self.spare.is_some() {
            return;
        }
        let made = match self.runs.open() {
            Ok(Some(runs)) => Spare::make(&runs, &self.owner),
            // Nothing is written where nothing has run yet.
            Ok(None) => return,
            Err(error) => Err(error),
        };
        match made {
            Ok(spare) => self.spare = Some(spare),
            // The run that needs one tells of it, if it is still so.
            Err(error) => {
                tracing::debug!(%error, source = %error.source, "no run could be prepared");
            }
        }
    }

    fn begin_new(
        &mut self,
        runs: &Dir,
        report: &RunReport,
        sidecar: &Sidecar,
        grown: &mut Grown,
        now: Timestamp,
    ) -> Result<(Manifest, Spare), EvidenceError> {
        let ready = self.spare.take();
        let ready = ready.and_then(|spare| Some((spare.home(runs)?, spare)));
        let gone = || EvidenceError::UnknownRun {
            run: report.run.clone(),
        };
        let (home, spare) = match ready {
            Some(ready) => ready,
            // Somebody has cleaned up, or there was no time for one.
            None => {
                let spare = Spare::make(runs, &self.owner)?;
                (spare.home(runs).ok_or_else(gone)?, spare)
            }
        };
        let held = self.open.get(&report.run).map(Open::anew);
        let mut manifest = held.map_or_else(|| self.first(report), Ok)?;
        // From here on a reader finds a run that is about to begin, and a start what there is to be cleared away.
        let files = Files::take(&home, runs, report, grown)?;
        let (run, temps) = (&files.run, &spare.temps);
        let stage = |temp: &OsStr, name: &str, bytes: Vec<u8>, mode| {
            run.stage_in(temp, OsStr::new(name), &bytes, mode)
        };
        let token = format!("{}\n", manifest.resume_token).into_bytes();
        let mut staged = vec![
            stage(&temps.manifest, MANIFEST, document(&manifest), SHARED)?,
            stage(&temps.token, TOKEN, token, PRIVATE)?,
            stage(&temps.sidecar, SIDECAR, document(sidecar), SHARED)?,
        ];
        advance(&mut manifest, report, &self.layout, now);
        let pointer = files.stage_pointer_in(&temps.pointer, &manifest, grown)?;
        staged.extend(pointer);
        let mut begun = stage(&temps.next, MANIFEST, document(&manifest), SHARED)?;
        let log = first_log(&manifest, report, &self.layout);
        let log = log.as_deref().and_then(Path::file_name);
        let (synced, aside) =
            Staged::sync_all_beside(staged.iter_mut().chain([&mut begun]), || {
                files.beat(now)?;
                spare.name_log(run, log)?;
                files.stage_link(&temps.link, &manifest)
            });
        synced?;
        let link = aside?;
        for staged in staged {
            drop(staged.place()?);
        }
        files.place_link(link.as_ref(), &temps.link, &manifest, grown)?;
        self.former.push(begun.place()?);
        grown.note(files.run);
        grown.note(home);
        Ok((manifest, spare))
    }

    fn begin_again(
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
                let held = self.open.get(&report.run).map(Open::anew);
                let manifest = held.map_or_else(|| self.first(report), Ok)?;
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

    fn first(&self, report: &RunReport) -> Result<Manifest, EvidenceError> {
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

impl Files {
    /// Gives the directories of a spare the names of a run.
    fn take(
        home: &Dir,
        runs: &Dir,
        report: &RunReport,
        grown: &mut Grown,
    ) -> Result<Self, EvidenceError> {
        let name = OsStr::new(report.run.as_str());
        let task = grown.create(runs, Path::new(report.task.as_str()))?;
        let cli = grown.create(&task, Path::new("cli"))?;
        let mcp = grown.create(&task, Path::new("mcp"))?;
        let local = grown.create(runs, Path::new(LOCAL_POINTERS))?;
        home.rename(OsStr::new(RUN), &cli, name)?;
        for (part, above) in [(POINTER, &mcp), (LOCAL, &local)] {
            // What somebody else has put there stays; then it is filled as that of an old run is.
            drop(home.rename(OsStr::new(part), above, name));
        }
        let gone = || EvidenceError::UnknownRun {
            run: report.run.clone(),
        };
        let run = cli.descend(Path::new(name))?.ok_or_else(gone)?;
        for above in [cli, mcp, local] {
            grown.note(above);
        }
        Ok(Self {
            runs: runs.clone(),
            task,
            run,
        })
    }
}

/// What a run's manifest says once the run has begun.
fn advance(manifest: &mut Manifest, report: &RunReport, layout: &Layout, now: Timestamp) {
    manifest.note(report, layout, now);
    if manifest.status == RunStatus::Queued {
        manifest.status = RunStatus::InProgress;
    }
}

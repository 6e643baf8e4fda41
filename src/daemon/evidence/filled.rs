//! A filled spare: what a run begins with, on the disk already, but nowhere where anybody looks for a run.
//!
//! To write and to sync it takes most of a beginning. Where a run is foreseen that is done while things settle, and then
//! all that is left is to give it its names; anywhere else it is done at once, in the same way. Nothing in it refers to
//! what is not there, and whoever dies in between leaves a spare like any other.

use super::files::{Files, HEARTBEAT, MANIFEST, SIDECAR, TOKEN, link_target, pointer};
use super::places::Grown;
use super::spare::{Given, Spare};
use crate::daemon::chain::chain;
use crate::disk::durable::{Dir, DurableError, Former, PRIVATE, SHARED, Staged};
use crate::model::evidence::{Manifest, Sidecar, document};
use crate::model::id::RunId;
use crate::model::run::RunReport;
use crate::model::time::Timestamp;
use std::ffi::OsStr;

/// What a run's first files say.
#[derive(Debug)]
pub(super) struct First {
    /// The manifest that it begins with.
    pub(super) queued: Manifest,
    /// The one that takes its place.
    pub(super) begun: Manifest,
    pub(super) sidecar: Sidecar,
}

/// A spare that holds what one run begins with.
#[derive(Debug)]
pub(super) struct Filled {
    // Before the spare, which removes what is left of them.
    files: Vec<Staged>,
    pointer: Staged,
    begun: Staged,
    pointers: Dir,
    links: Dir,
    is_linked: bool,
    first: First,
    home: Dir,
    spare: Spare,
}

/// A run that has its names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) first: First,
    /// The manifest that it began with.
    pub(super) former: Former,
    /// What it stood in before.
    pub(super) spare: Spare,
}

impl Filled {
    /// Writes what a run begins with into a spare that stands at `home`; nothing where the spare is gone.
    pub(super) fn fill(
        (spare, home): (Spare, Dir),
        first: First,
        log: Option<&OsStr>,
        now: Timestamp,
    ) -> Result<Option<Self>, DurableError> {
        let Some((run, pointers, links)) = spare.parts(&home)? else {
            return Ok(None);
        };
        let temps = &spare.temps;
        let stage = |temp: &OsStr, name: &str, bytes: Vec<u8>, mode| {
            run.stage_in(temp, OsStr::new(name), &bytes, mode)
        };
        let token = format!("{}\n", first.queued.resume_token).into_bytes();
        let mut files = vec![
            stage(&temps.manifest, MANIFEST, document(&first.queued), SHARED)?,
            stage(&temps.token, TOKEN, token, PRIVATE)?,
            stage(&temps.sidecar, SIDECAR, document(&first.sidecar), SHARED)?,
        ];
        let leads = pointer(&first.begun);
        let name = OsStr::new(MANIFEST);
        let mut pointer = pointers.stage_in(&temps.pointer, name, &leads, SHARED)?;
        let mut begun = stage(&temps.next, MANIFEST, document(&first.begun), SHARED)?;
        let staged = files.iter_mut().chain([&mut pointer, &mut begun]);
        let (synced, aside) = Staged::sync_all_beside(staged, || {
            let beat = format!("{now}\n");
            run.overwrite(OsStr::new(HEARTBEAT), beat.as_bytes(), SHARED)?;
            spare.name_log(&run, log)?;
            let target = link_target(&first.begun);
            Ok::<_, DurableError>(links.symlink(&target, &temps.link).is_ok())
        });
        synced?;
        let is_linked = aside?;
        Ok(Some(Self {
            files,
            pointer,
            begun,
            pointers,
            links,
            is_linked,
            first,
            home,
            spare,
        }))
    }

    /// Whether it holds what this run begins with.
    pub(super) fn is_for(&self, run: &RunId) -> bool {
        self.first.begun.run_id == *run
    }

    /// Whether it stands below this runs directory.
    pub(super) fn is_in(&self, runs: &Dir) -> bool {
        self.spare.stands_in(runs)
    }

    /// Gives it the names of its run; nothing where they cannot be given.
    pub(super) fn name(
        self,
        runs: &Dir,
        report: &RunReport,
        grown: &mut Grown,
    ) -> Result<Option<Named>, DurableError> {
        let Given { files, led, linked } = match self.spare.give(&self.home, runs, report, grown) {
            Ok(Some(given)) => given,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::debug!(error = %chain(&error), "what was prepared is of no use");
                return Ok(None);
            }
        };
        for file in self.files {
            drop(file.place()?);
        }
        let begun = &self.first.begun;
        match led {
            true => {
                drop(self.pointer.place()?);
                grown.note(self.pointers);
            }
            false => point_to(&files, begun, grown)?,
        }
        let temp = &self.spare.temps.link;
        let links = &self.links;
        let is_linked = linked && self.is_linked && {
            let placed = links.rename(temp, links, OsStr::new(MANIFEST));
            placed.is_ok()
        };
        match is_linked {
            true => grown.note(self.links),
            false => files.link(begun, grown)?,
        }
        let former = self.begun.place()?;
        grown.note(files.run);
        grown.note(self.home);
        Ok(Some(Named {
            first: self.first,
            former,
            spare: self.spare,
        }))
    }
}

/// Makes the pointer beside what somebody else has put where it belongs.
fn point_to(files: &Files, begun: &Manifest, grown: &mut Grown) -> Result<(), DurableError> {
    if let Some(staged) = files.stage_pointer(begun, grown)? {
        drop(staged.place()?);
    }
    Ok(())
}

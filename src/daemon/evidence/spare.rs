//! A spare: the directories and files of a run that nobody knows of yet, empty, for the next one that begins.
//!
//! To make them takes longer than to fill them, and there is time for it while things settle. A spare stands beside the
//! runs, where nobody looks for one; a new run takes its directories over and fills its files, which still have temp names
//! where they are evidence. Nothing of it is synced before. What a dead process left is swept at the next start.

use super::files::{HEARTBEAT, MANIFEST, OWNER, SIDECAR, TOKEN};
use super::owner::Owner;
use crate::daemon::durable::{Dir, DurableError, PRIVATE, SHARED, temp_name, temp_owner};
use crate::model::evidence::document;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Where spares stand, below the runs directory.
pub(super) const SPARES: &str = ".orchd-spare";
/// What becomes the directory of a run, of its pointer, and of its link, in a spare.
pub(super) const RUN: &str = "run";
pub(super) const POINTER: &str = "pointer";
pub(super) const LOCAL: &str = "local";
const COMMANDS: &str = "commands";
/// What a run's beginning and its first stage would otherwise make.
const LOG: &str = "runner.ndjson";
const CHANGED: &str = ".changed-files";

/// A run without a name. Dropped, what is left of it is removed.
#[derive(Debug)]
pub(super) struct Spare {
    spares: Dir,
    name: OsString,
    pub(super) temps: Temps,
}

/// What its files are called before they have their names.
#[derive(Debug)]
pub(super) struct Temps {
    pub(super) manifest: OsString,
    /// The manifest that takes the place of the first.
    pub(super) next: OsString,
    pub(super) token: OsString,
    pub(super) sidecar: OsString,
    pub(super) pointer: OsString,
    /// The link, which is not made before it is known where it leads.
    pub(super) link: OsString,
    /// The log of the first stage.
    pub(super) log: OsString,
}

impl Spare {
    /// Makes one below the runs directory.
    pub(super) fn make(runs: &Dir, owner: &Owner) -> Result<Self, DurableError> {
        let (spares, _) = runs.create_unsynced(Path::new(SPARES))?;
        let manifest = || temp_name(OsStr::new(MANIFEST));
        let spare = Self {
            spares,
            name: temp_name(OsStr::new(RUN)),
            temps: Temps {
                manifest: manifest(),
                next: manifest(),
                token: temp_name(OsStr::new(TOKEN)),
                sidecar: temp_name(OsStr::new(SIDECAR)),
                pointer: manifest(),
                link: manifest(),
                log: temp_name(OsStr::new(LOG)),
            },
        };
        spare.fill(owner)?;
        Ok(spare)
    }

    fn fill(&self, owner: &Owner) -> Result<(), DurableError> {
        let (home, _) = self.spares.create_unsynced(Path::new(&self.name))?;
        let (run, _) = home.create_unsynced(Path::new(RUN))?;
        let (commands, _) = run.create_unsynced(Path::new(COMMANDS))?;
        drop(run.create_unsynced(Path::new("errors"))?);
        let (pointer, _) = home.create_unsynced(Path::new(POINTER))?;
        drop(home.create_unsynced(Path::new(LOCAL))?);
        let empty = |dir: &Dir, name: &OsStr, mode| dir.overwrite(name, b"", mode);
        let temps = &self.temps;
        for name in [&temps.manifest, &temps.next, &temps.sidecar] {
            empty(&run, name, SHARED)?;
        }
        empty(&run, &temps.token, PRIVATE)?;
        empty(&pointer, &temps.pointer, SHARED)?;
        empty(&commands, &temps.log, PRIVATE)?;
        empty(&run, OsStr::new(HEARTBEAT), SHARED)?;
        for name in [LOG, CHANGED] {
            empty(&run, OsStr::new(name), PRIVATE)?;
        }
        // After a power cut no owner is alive: not synced.
        run.write_unsynced(OsStr::new(OWNER), &document(owner), SHARED)
    }

    /// Where it is, if all of it is still there.
    pub(super) fn home(&self, runs: &Dir) -> Option<Dir> {
        let home = runs.descend(&Path::new(SPARES).join(&self.name)).ok()??;
        let parts = [RUN, POINTER, LOCAL].map(|part| home.stamp(Path::new(part)));
        parts.iter().all(Option::is_some).then_some(home)
    }

    /// Makes the log of the stage that is first to run, if it has one.
    pub(super) fn name_log(&self, run: &Dir, log: Option<&OsStr>) -> Result<(), DurableError> {
        let Some(commands) = run.descend(Path::new(COMMANDS))? else {
            return Ok(());
        };
        match log {
            Some(log) => commands.rename(&self.temps.log, &commands, log),
            None => commands.remove(&self.temps.log),
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the next start.
        drop(self.spares.remove_tree(&self.name));
    }
}

/// Removes the spares of this process, of which none is in use, and those of dead ones.
pub(super) fn sweep(runs: &Dir) -> Result<(), DurableError> {
    let Some(spares) = runs.descend(Path::new(SPARES))? else {
        return Ok(());
    };
    let mut left = false;
    for name in spares.list()? {
        let owner = temp_owner(&name);
        let ours = owner == Some(std::process::id());
        let gone = ours || owner.and_then(crate::daemon::process::exists) == Some(false);
        if gone {
            spares.remove_tree(&name)?;
        }
        left |= !gone;
    }
    if left {
        return Ok(());
    }
    runs.remove_empty(OsStr::new(SPARES))
}

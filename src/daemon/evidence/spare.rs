//! A spare: the directories and files of a run that nobody knows of yet, empty, for the next one that begins.
//!
//! To make them takes longer than to fill them, and there is time for it while things settle. A spare stands beside the
//! runs, where nobody looks for one; it is filled for a run shortly before that begins, or when it does (see `filled`), and
//! the run takes its directories over. Its files have temp names where they are evidence, and while it is empty nothing of
//! it is synced. One at which somebody else has been is not used; what a dead process left is swept at the next start.

use super::LOCAL_POINTERS;
use super::files::{Files, HEARTBEAT, LOG, MANIFEST, OWNER, SIDECAR, TOKEN};
use super::owner::Owner;
use super::places::Grown;
use crate::disk::durable::{
    Act, Dir, DurableError, Kind, PRIVATE, SHARED, Stamp, temp_name, temp_owner,
};
use crate::disk::identity::Identity;
use crate::model::evidence::document;
use crate::model::run::RunReport;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

/// Where spares stand, below the runs directory.
pub(super) const SPARES: &str = ".orchd-spare";
/// What becomes the directory of a run, of its pointer, and of its link, in a spare.
const RUN: &str = "run";
const POINTER: &str = "pointer";
const LOCAL: &str = "local";
const COMMANDS: &str = "commands";
const ERRORS: &str = "errors";
/// What a run's beginning would otherwise make, beside the log that its first stage would.
const CHANGED: &str = ".changed-files";

/// A run without a name. Dropped, what is left of it is removed.
#[derive(Debug)]
pub(super) struct Spare {
    spares: Dir,
    name: OsString,
    /// Which directory it is: a copy of it is somebody else's.
    identity: Identity,
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
    log: OsString,
    /// The log of all stages.
    runner: OsString,
}

/// The directories of a run that a spare has given its names to.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) files: Files,
    /// Whether that of its pointer is the spare's.
    pub(super) led: bool,
    /// Whether that of its link is the spare's.
    pub(super) linked: bool,
}

impl Spare {
    /// Makes one below the runs directory.
    pub(super) fn make(runs: &Dir, owner: &Owner) -> Result<Self, DurableError> {
        Self::make_as(temp_name(OsStr::new(RUN)), runs, owner)
    }

    pub(super) fn make_as(name: OsString, runs: &Dir, owner: &Owner) -> Result<Self, DurableError> {
        let (spares, _) = runs.create_unsynced(Path::new(SPARES))?;
        let (home, grown) = spares.create_unsynced(Path::new(&name))?;
        if grown.is_empty() {
            // Of a process that has our number elsewhere, as in another container.
            return Err(DurableError {
                act: Act::Create,
                path: home.path().to_path_buf(),
                source: io::Error::from(io::ErrorKind::AlreadyExists),
            });
        }
        let manifest = || temp_name(OsStr::new(MANIFEST));
        let spare = Self {
            identity: home.identity()?,
            spares,
            name,
            temps: Temps {
                manifest: manifest(),
                next: manifest(),
                token: temp_name(OsStr::new(TOKEN)),
                sidecar: temp_name(OsStr::new(SIDECAR)),
                pointer: manifest(),
                link: manifest(),
                log: temp_name(OsStr::new(LOG)),
                runner: temp_name(OsStr::new(LOG)),
            },
        };
        spare.fill(&home, owner)?;
        Ok(spare)
    }

    fn fill(&self, home: &Dir, owner: &Owner) -> Result<(), DurableError> {
        let (run, _) = home.create_unsynced(Path::new(RUN))?;
        let (commands, _) = run.create_unsynced(Path::new(COMMANDS))?;
        drop(run.create_unsynced(Path::new(ERRORS))?);
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
        for name in [&temps.runner, OsStr::new(CHANGED)] {
            empty(&run, name, PRIVATE)?;
        }
        // After a power cut no owner is alive: not synced.
        run.write_unsynced(OsStr::new(OWNER), &document(owner), SHARED)
    }

    /// Where it is, if it is as it was made: nothing is gone, nothing has come, and nothing was written.
    pub(super) fn untouched(&self, runs: &Dir) -> Option<Dir> {
        let home = runs.descend(&Path::new(SPARES).join(&self.name)).ok()??;
        let temps = &self.temps;
        let files = [
            &temps.manifest,
            &temps.next,
            &temps.token,
            &temps.sidecar,
            &temps.runner,
        ];
        let blank = files.map(OsString::as_os_str).into_iter();
        let blank: Vec<&OsStr> = blank.chain([HEARTBEAT, CHANGED].map(OsStr::new)).collect();
        let run = home.descend(Path::new(RUN)).ok()??;
        let filled = [OWNER, COMMANDS, ERRORS].map(OsStr::new);
        let is_as_made = home.identity().ok()? == self.identity
            && holds(&home, &[], &[RUN, POINTER, LOCAL].map(OsStr::new))
            && holds(&run, &blank, &filled)
            && holds(&run.descend(Path::new(COMMANDS)).ok()??, &[&temps.log], &[])
            && holds(&run.descend(Path::new(ERRORS)).ok()??, &[], &[])
            && holds(
                &home.descend(Path::new(POINTER)).ok()??,
                &[&temps.pointer],
                &[],
            )
            && holds(&home.descend(Path::new(LOCAL)).ok()??, &[], &[]);
        is_as_made.then_some(home)
    }

    /// What becomes the directory of a run, of its pointer, and of its link; nothing where one of them is gone.
    pub(super) fn parts(&self, home: &Dir) -> Result<Option<(Dir, Dir, Dir)>, DurableError> {
        let part = |name| home.descend(Path::new(name));
        let (run, pointer, local) = (part(RUN)?, part(POINTER)?, part(LOCAL)?);
        Ok(run
            .zip(pointer)
            .zip(local)
            .map(|((run, pointer), local)| (run, pointer, local)))
    }

    /// Whether it stands below this runs directory.
    pub(super) fn stands_in(&self, runs: &Dir) -> bool {
        let home = runs.descend(&Path::new(SPARES).join(&self.name));
        let home = home.ok().flatten().and_then(|home| home.identity().ok());
        home == Some(self.identity)
    }

    /// Gives its directories the names of a run; nothing where the run is gone again at once.
    pub(super) fn give(
        &self,
        home: &Dir,
        runs: &Dir,
        report: &RunReport,
        grown: &mut Grown,
    ) -> Result<Option<Given>, DurableError> {
        let name = OsStr::new(report.run.as_str());
        let task = grown.create(runs, Path::new(report.task.as_str()))?;
        let cli = grown.create(&task, Path::new("cli"))?;
        let mcp = grown.create(&task, Path::new("mcp"))?;
        let local = grown.create(runs, Path::new(LOCAL_POINTERS))?;
        if let Some(run) = home.descend(Path::new(RUN))? {
            // Makes the directory a young one: of an old one without a manifest another process thinks that nobody is at it.
            run.rename(&self.temps.runner, &run, OsStr::new(LOG))?;
        }
        home.rename(OsStr::new(RUN), &cli, name)?;
        // From here on a reader finds a run that is about to begin, and a start what there is to be cleared away.
        // What somebody else has put there stays; then it is filled as that of an old run is.
        let given = |part, above| home.rename(OsStr::new(part), above, name).is_ok();
        let (led, linked) = (given(POINTER, &mcp), given(LOCAL, &local));
        let run = cli.descend(Path::new(name))?;
        for above in [cli, mcp, local] {
            grown.note(above);
        }
        let runs = runs.clone();
        Ok(run.map(|run| Given {
            files: Files { runs, task, run },
            led,
            linked,
        }))
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

/// Whether a directory has these files, which are empty, and these other names, and no more.
fn holds(dir: &Dir, blank: &[&OsStr], others: &[&OsStr]) -> bool {
    let names: BTreeSet<&OsStr> = blank.iter().chain(others).copied().collect();
    let found = dir.list();
    let found = found.is_ok_and(|found| found.iter().map(OsString::as_os_str).eq(names));
    found && blank.iter().all(|name| is_blank(dir, name))
}

fn is_blank(dir: &Dir, name: &OsStr) -> bool {
    let empty = |stamp: &Stamp| stamp.kind == Kind::File && stamp.size == 0;
    dir.stamp(Path::new(name)).as_ref().is_some_and(empty)
}

/// Whether `name`, in the directory of a run, is as a spare has it: nobody has written into it.
pub(super) fn is_unwritten(run: &Dir, name: &OsStr) -> bool {
    if name == LOG || name == CHANGED {
        return is_blank(run, name);
    }
    let Ok(Some(below)) = run.descend(Path::new(name)) else {
        return false;
    };
    let Ok(inside) = below.list() else {
        return false;
    };
    inside
        .iter()
        .all(|inside| name == COMMANDS && is_blank(&below, inside))
}

/// Removes the spares of this process, of which none is in use, and those of dead ones.
pub(super) fn sweep(runs: &Dir) -> Result<(), DurableError> {
    let Some(spares) = runs.descend(Path::new(SPARES))? else {
        return Ok(());
    };
    let mut swept = Ok(());
    for name in spares.list()? {
        let owner = temp_owner(&name);
        let ours = owner == Some(std::process::id());
        if ours || owner.and_then(crate::daemon::process::exists) == Some(false) {
            swept = swept.and(spares.remove_tree(&name));
        }
    }
    swept?;
    if spares.list()?.is_empty() {
        runs.remove_empty(OsStr::new(SPARES))?;
    }
    Ok(())
}

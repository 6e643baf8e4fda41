//! `add`, `remove`, `list`, `allow`, `deny`.
//!
//! What is allowed is what was shown: the digest of the commands goes along with the question.

use super::print;
use crate::client::args::workspace::{Add, Named, Place};
use crate::client::connect::Connection;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::place;
use crate::client::render::waiting::Awaited;
use crate::client::render::workspace as render;
use crate::client::session::{Session, root};
use crate::model::digest::CommandSet;
use crate::model::path::RootPath;
use crate::model::report::{AllowAnswer, WorkspaceChange, WorkspaceEntry, WorkspaceList};
use crate::wire::call::{Call, Nothing, WorkspaceAdd, WorkspaceAllow, WorkspaceNamed};
use crate::wire::refusal::{ErrorKind, Refusal};

pub(super) fn add(session: &mut Session<'_>, args: &Add) -> Result<Exit, Failure> {
    let root = session.directory(args.dir.as_deref())?;
    let interrupts = Interrupts::catch().map_err(Failure::Wait)?;
    let mut connection = session.connect()?;
    let entry = register(session, &mut connection, &root, args.allow, &interrupts)?;
    print(session, &entry, render::workspace)?;
    Ok(Exit::Done)
}

/// Adds `root`; the task id of the surroundings names its only project where its files name none.
pub(super) fn register(
    session: &mut Session<'_>,
    connection: &mut Connection,
    root: &RootPath,
    allow: bool,
    interrupts: &Interrupts,
) -> Result<WorkspaceEntry, Failure> {
    let task_id = session.task_of_surroundings()?;
    let path = root.clone();
    let call = Call::WorkspaceAdd(WorkspaceAdd {
        path,
        allow,
        task_id,
    });
    let awaited = Awaited::Added(root.clone());
    session.ask_patiently(connection, &call, &awaited, interrupts)
}

pub(super) fn remove(session: &mut Session<'_>, args: &Named) -> Result<Exit, Failure> {
    let path = root(&place::workspace(&args.dir)?)?;
    let mut connection = session.connect()?;
    let awaited = Awaited::Removed(path.clone());
    let call = Call::WorkspaceRemove(WorkspaceNamed { path });
    let interrupts = Interrupts::catch().map_err(Failure::Wait)?;
    let answer: WorkspaceChange =
        session.ask_patiently(&mut connection, &call, &awaited, &interrupts)?;
    print(session, &answer, |answer, look| {
        render::change(answer, "No longer watched", "Not watched", look)
    })?;
    Ok(Exit::Done)
}

pub(super) fn list(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut connection = session.connect()?;
    let answer: WorkspaceList = session.ask(&mut connection, &Call::WorkspaceList(Nothing {}))?;
    print(session, &answer, render::list)?;
    Ok(Exit::Done)
}

pub(super) fn allow(session: &mut Session<'_>, args: &Place) -> Result<Exit, Failure> {
    let interrupts = Interrupts::catch().map_err(Failure::Wait)?;
    let mut connection = match session.connect() {
        Err(Failure::NoDaemon { .. }) => None,
        connected => Some(connected?),
    };
    let root = match (&args.dir, &mut connection) {
        (None, Some(connection)) => session.workspace_around(connection)?,
        (dir, _) => session.directory(dir.as_deref())?,
    };
    let wanted = allowing(&root, None, false);
    let refused = match &mut connection {
        None => None,
        Some(connection) => match ask_allow(session, connection, wanted.clone(), &interrupts) {
            Err(Failure::Refused(refusal)) if is_unknown(&refusal) => Some(refusal),
            answer => return tell_allowed(session, &answer?),
        },
    };
    // A directory that nobody watches may be allowed, for --no-daemon.
    let mut hosted = session.host(root.as_path())?;
    let answer = match (
        ask_allow(session, &mut hosted, wanted, &interrupts),
        &refused,
    ) {
        // Nothing is in it that could be allowed: the workspace around may be meant.
        (Err(Failure::Refused(other)), Some(refusal)) if other.kind == ErrorKind::InvalidConfig => {
            return Err(Failure::Refused(refusal.clone()));
        }
        (answer, _) => answer?,
    };
    if let Some(refusal) = refused {
        let text = format!(
            "{}: what is allowed counts for `--no-daemon` there\n",
            refusal.message
        );
        session.output.words(&text)?;
    }
    tell_allowed(session, &answer)
}

fn tell_allowed(session: &mut Session<'_>, answer: &AllowAnswer) -> Result<Exit, Failure> {
    print(session, answer, render::commands)?;
    Ok(Exit::Done)
}

fn is_unknown(refusal: &Refusal) -> bool {
    refusal.kind == ErrorKind::UnknownWorkspace
}

/// The question whether the commands of `root` may run; with `digest` only those that were shown.
pub(super) fn allowing(
    root: &RootPath,
    digest: Option<CommandSet>,
    dry_run: bool,
) -> WorkspaceAllow {
    WorkspaceAllow {
        path: root.clone(),
        digest,
        dry_run,
    }
}

pub(super) fn ask_allow(
    session: &mut Session<'_>,
    connection: &mut Connection,
    wanted: WorkspaceAllow,
    interrupts: &Interrupts,
) -> Result<AllowAnswer, Failure> {
    let awaited = Awaited::Read(wanted.path.clone());
    let call = Call::WorkspaceAllow(wanted);
    session.ask_patiently(connection, &call, &awaited, interrupts)
}

pub(super) fn deny(session: &mut Session<'_>, args: &Named) -> Result<Exit, Failure> {
    let dir = place::workspace(&args.dir)?;
    let path = root(&dir)?;
    let call = Call::WorkspaceDeny(WorkspaceNamed { path });
    let asked = match session.connect() {
        Err(Failure::NoDaemon { .. }) => None,
        connected => match session.ask(&mut connected?, &call) {
            Err(Failure::Refused(refusal)) if is_unknown(&refusal) => Some(Err(refusal)),
            answered => Some(Ok(answered?)),
        },
    };
    let answer: WorkspaceChange = match asked {
        Some(Ok(answer)) => answer,
        Some(Err(refusal)) => {
            let refused = Failure::Refused(refusal).of_missing(&dir);
            if !dir.is_dir() {
                return Err(refused);
            }
            // What was allowed of it may count for --no-daemon.
            let answer: WorkspaceChange = session.ask(&mut session.host(&dir)?, &call)?;
            if !answer.changed {
                return Err(refused);
            }
            answer
        }
        None => {
            let dir = place::directory(&args.dir)?;
            session.ask(&mut session.host(&dir)?, &call)?
        }
    };
    print(session, &answer, |answer, look| {
        render::change(answer, "No longer allowed", "Was not allowed", look)
    })?;
    Ok(Exit::Done)
}

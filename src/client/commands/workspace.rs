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
    let path = root(&place::absolute(&args.dir)?)?;
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
    let root = session.directory(args.dir.as_deref())?;
    let interrupts = Interrupts::catch().map_err(Failure::Wait)?;
    let mut connection = session.connect_or_host(root.as_path())?;
    let wanted = allowing(&root, None, false);
    let answer = ask_allow(session, &mut connection, wanted, &interrupts)?;
    print(session, &answer, render::commands)?;
    Ok(Exit::Done)
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
    let path = root(&place::absolute(&args.dir)?)?;
    let mut connection = session.connect_or_host(path.as_path())?;
    let call = Call::WorkspaceDeny(WorkspaceNamed { path });
    let answer: WorkspaceChange = session.ask(&mut connection, &call)?;
    print(session, &answer, |answer, look| {
        render::change(answer, "No longer allowed", "Was not allowed", look)
    })?;
    Ok(Exit::Done)
}

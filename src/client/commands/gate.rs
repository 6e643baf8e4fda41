//! `gate`: the verdict for the present content, from the daemon that runs or, where none does, from one in this process.
//!
//! A gate never passes for lack of a daemon, and is not refused for lack of one either: where it knows which workspace is
//! meant, it does the work itself, and says so. What git has instead of what lies there is judged by `judge`.

use super::ask::{hear, tell_verdicts};
use super::judge::judge;
use crate::client::args::run::Gate;
use crate::client::connect::Connection;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::session::Session;
use crate::model::path::RootPath;
use crate::model::report::GateAnswer;
use crate::wire::call::{Call, GateWanted};

pub(super) fn gate(session: &mut Session<'_>, args: &Gate) -> Result<Exit, Failure> {
    if args.index || args.commit.is_some() {
        return judge(session, args);
    }
    let (mut connection, mut workspace) = reach(session, args)?;
    let answer = answer(session, &mut connection, &mut workspace, args);
    let scope = (workspace.as_ref(), args.task.as_slice());
    tell_verdicts(session, &mut connection, scope, answer)
}

/// The daemon to ask; one in this process comes with the workspace that it knows.
fn reach(
    session: &mut Session<'_>,
    args: &Gate,
) -> Result<(Connection, Option<RootPath>), Failure> {
    let root = if args.no_daemon {
        session.directory(None)?
    } else {
        match session.connect() {
            Ok(connection) => return Ok((connection, None)),
            Err(failure) => own_workspace(session, failure)?,
        }
    };
    if !args.no_wait {
        Session::refuse_nested(&root, &args.task)?;
    }
    Ok((session.host(root.as_path())?, Some(root)))
}

/// The workspace to do the work for where no daemon answers; outside of any there is nothing to be done without one.
fn own_workspace(session: &mut Session<'_>, failure: Failure) -> Result<RootPath, Failure> {
    if !matches!(failure, Failure::NoDaemon { .. }) {
        return Err(failure);
    }
    let Some(root) = session.workspace_here()? else {
        return Err(failure);
    };
    let text = format!("warning: {failure}: the gate does the work itself, as with --no-daemon\n");
    session.output.words(&text)?;
    Ok(root)
}

/// Asks; `workspace` is found on the way where the daemon is not hosted for it.
fn answer(
    session: &mut Session<'_>,
    connection: &mut Connection,
    workspace: &mut Option<RootPath>,
    args: &Gate,
) -> Result<(GateAnswer, Interrupts), Failure> {
    if !connection.is_hosted() {
        *workspace = session.scope(connection, &args.task)?;
        if !args.no_wait {
            session.refuse_own_run(connection, workspace.as_ref(), &args.task)?;
        }
    }
    let call = Call::Gate(GateWanted {
        workspace: workspace.clone(),
        tasks: args.task.clone(),
        wait: !args.no_wait,
    });
    let scope = (workspace.as_ref(), args.task.as_slice());
    hear(session, connection, (&call, None), scope)
}

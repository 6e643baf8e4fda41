//! ^C before the answer: what is said of what goes on, and what ends with us.
//!
//! A daemon's run goes on without whoever waited for it. One of a daemon in this process cannot: it is cancelled as
//! `orchctl cancel` does it, so that its evidence says that somebody ended it, and not that a daemon went away.

use crate::client::connect::{Connection, Outstanding};
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::render::mark::short;
use crate::client::render::text::clean;
use crate::client::render::waiting::{end_with_us, goes_on};
use crate::client::session::Session;
use crate::model::id::TaskId;
use crate::model::path::RootPath;
use crate::model::report::runs::RunAnswer;
use crate::wire::call::{Call, RunNamed, Scope};

/// Lets go of verdicts that were asked for of these projects, all of the workspace where none is named.
pub(super) fn leave(
    session: &mut Session<'_>,
    connection: &mut Connection,
    (asked, interrupts): (Outstanding, Interrupts),
    (workspace, tasks): (Option<&RootPath>, &[TaskId]),
) -> Result<(), Failure> {
    connection.let_go(asked);
    if connection.is_hosted() {
        return end_hosted(session, connection, interrupts);
    }
    // Whoever presses it again wants to go at once.
    drop(interrupts);
    let scope = Scope {
        workspace: workspace.cloned(),
        task: None,
    };
    let status = connection.status_soon(scope, None);
    Ok(session.output.words(&goes_on(status.as_ref(), tasks))?)
}

/// Cancels what runs in a daemon of this process, and says so.
pub(super) fn end_hosted(
    session: &mut Session<'_>,
    connection: &mut Connection,
    interrupts: Interrupts,
) -> Result<(), Failure> {
    // Where nobody can listen, it ends this process at once.
    if (session.seams.urge)().is_ok() {
        interrupts.hand_over();
    }
    let status = connection.status_soon(Scope::default(), None);
    let said = end_with_us(status.as_ref());
    session.output.words(&said)?;
    let workspaces = status.map(|status| status.workspaces);
    let projects = workspaces.iter().flatten().flat_map(|site| &site.projects);
    let mut asked = Vec::new();
    for running in projects.filter_map(|project| project.running.as_ref()) {
        let call = Call::RunCancel(RunNamed {
            run_id: running.run_id.to_string(),
            workspace: None,
        });
        asked.push(connection.begin(&call)?);
    }
    for asked in asked {
        // One that ended just then has its own end on disk, and one that takes longer is recorded before we end.
        if let Ok(answer) = connection.wait_out(asked) {
            let answer: RunAnswer = answer;
            let id = short(&answer.run_id);
            let text = format!("Run {id} is cancelled: {}\n", clean(&answer.manifest));
            session.output.words(&text)?;
        }
    }
    Ok(())
}

//! ^C before the answer: what is said of what goes on.
//!
//! A daemon's run goes on without whoever waited for it; nothing is ended here.

use crate::client::connect::{Connection, Outstanding};
use crate::client::failure::Failure;
use crate::client::render::waiting::goes_on;
use crate::client::session::Session;
use crate::limits::SCOPE_TIME_MAX;
use crate::model::id::TaskId;
use crate::model::path::RootPath;
use crate::model::report::status::Status;
use crate::wire::call::{Call, Scope};

/// Lets go of verdicts that were asked for of these projects, all of the workspace where none is named.
pub(super) fn leave(
    session: &mut Session<'_>,
    connection: &mut Connection,
    asked: Outstanding,
    (workspace, tasks): (Option<&RootPath>, &[TaskId]),
) -> Result<(), Failure> {
    connection.let_go(asked);
    if connection.is_hosted() {
        return Ok(());
    }
    let status = status(connection, workspace);
    Ok(session.output.words(&goes_on(status.as_ref(), tasks))?)
}

/// What the daemon says of where it was waited, if it says so soon: whoever pressed ^C wants to go.
fn status(connection: &mut Connection, workspace: Option<&RootPath>) -> Option<Status> {
    let call = Call::Status(Scope {
        workspace: workspace.cloned(),
        task: None,
    });
    connection.ask_within(&call, SCOPE_TIME_MAX, None).ok()
}

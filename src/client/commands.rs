//! What each command does: one file per group, and the table that leads there.
//!
//! A command asks, prints and returns how it ended. It never decides about runs and never formats: that is `render`.

mod ask;
mod daemon;
mod doctor;
mod follow;
mod gate;
mod history;
mod hook;
mod init;
mod judge;
mod leave;
mod logs;
mod packaging;
mod paper;
mod pushed;
mod run;
mod watch;
mod workspace;

use crate::client::args::Command;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::output::{Look, OutputError};
use crate::client::session::Session;
use serde::Serialize;

/// Does one command.
///
/// # Errors
/// When it did not do what was asked.
pub(crate) fn run(session: &mut Session<'_>, command: Command) -> Result<Exit, Failure> {
    carry_out(session, command).map_err(|failure| session.explained(failure))
}

fn carry_out(session: &mut Session<'_>, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Watch(args) => watch::watch(session, &args),
        Command::Add(args) => workspace::add(session, &args),
        Command::Remove(args) => workspace::remove(session, &args),
        Command::List => workspace::list(session),
        Command::Allow(args) => workspace::allow(session, &args),
        Command::Deny(args) => workspace::deny(session, &args),
        Command::Init(args) => init::init(session, &args),
        Command::Status(args) => ask::status(session, args),
        Command::Run(args) => run::run(session, args),
        Command::Plan(args) => run::plan(session, args),
        Command::Resume(args) => run::resume(session, args),
        Command::Cancel(args) => run::cancel(session, args),
        Command::Runs(args) => history::runs(session, args),
        Command::Show(args) => history::show(session, args),
        Command::Logs(args) => logs::logs(session, args),
        Command::Sync(args) => ask::sync(session, &args),
        Command::Wait(args) => ask::wait(session, args),
        Command::Gate(args) => gate::gate(session, &args),
        Command::Hook(args) => hook::hook(session, &args),
        Command::Paper(command) => paper::run(session, command),
        Command::Events(args) => daemon::events(session, &args),
        Command::Explain(args) => ask::explain(session, &args),
        Command::Why(args) => ask::why(session, args),
        Command::Ping(args) => daemon::ping(session, &args),
        Command::Reload => daemon::reload(session),
        Command::Shutdown => daemon::shutdown(session),
        Command::Doctor => doctor::doctor(session),
        Command::Completions(args) => packaging::completions(session, &args),
        Command::Man(args) => packaging::man(session, &args),
    }
}

/// Prints an answer: as it is where JSON is asked for, else rendered.
fn print<T: Serialize>(
    session: &mut Session<'_>,
    answer: &T,
    render: impl FnOnce(&T, &Look) -> String,
) -> Result<(), OutputError> {
    if session.output.json() {
        session.output.document(answer)
    } else {
        let text = render(answer, &session.output.look());
        session.output.answer(&text)
    }
}

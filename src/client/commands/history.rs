//! `runs`, `show`.
//!
//! Read-only: they show what the evidence says, and change nothing.

use super::print;
use crate::client::args::history::{Run, Runs};
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::render::{flaky, history as render};
use crate::client::session::Session;
use crate::model::report::runs::{RunDetail, RunList};
use crate::wire::call::{Call, RunNamed, RunsWanted};

pub(super) fn runs(session: &mut Session<'_>, args: Runs) -> Result<Exit, Failure> {
    let mut connection = session.connect()?;
    let workspace = session.scope(&mut connection, args.task.as_slice())?;
    let call = Call::RunList(RunsWanted {
        workspace,
        task: args.task,
        limit: Some(args.limit.get()),
        flaky: args.flaky,
    });
    let answer: RunList = session.ask(&mut connection, &call)?;
    let rendered = match args.flaky {
        true => flaky::runs,
        false => render::runs,
    };
    print(session, &answer, rendered)?;
    Ok(Exit::Done)
}

pub(super) fn show(session: &mut Session<'_>, args: Run) -> Result<Exit, Failure> {
    let workspace = session.named()?;
    let mut connection = session.connect()?;
    let run_id = args.run;
    let call = Call::RunGet(RunNamed { run_id, workspace });
    let answer: RunDetail = session.ask(&mut connection, &call)?;
    print(session, &answer, render::show)?;
    Ok(Exit::Done)
}

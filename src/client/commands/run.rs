//! `run`, `plan`, `resume`, `cancel`.
//!
//! ^C leaves a run running, whether its events were followed or its end alone was waited for; one that has not begun is
//! wanted as long as we are there, unless it was detached.

use super::follow::{Waited, follow};
use super::print;
use crate::client::args::history::Run as Named;
use crate::client::args::run::{Plan, Resume, Run};
use crate::client::connect::Connection;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::render::answer;
use crate::client::render::history as render;
use crate::client::render::waiting::Awaited;
use crate::client::session::Session;
use crate::model::id::TaskId;
use crate::model::path::RootPath;
use crate::model::report::plan::PlanAnswer;
use crate::model::report::runs::RunAnswer;
use crate::wire::call::{Call, PlanWanted, RunNamed, RunResume, RunStart, Scope};

pub(super) fn run(session: &mut Session<'_>, args: Run) -> Result<Exit, Failure> {
    if args.no_daemon {
        Session::refuse_nested(&session.directory(None)?, args.task.as_slice())?;
    }
    let (mut connection, root) = connect(session, args.no_daemon, args.task.as_ref())?;
    if !args.no_daemon {
        session.refuse_own_run(&mut connection, Some(&root), args.task.as_slice())?;
    }
    let waited = Waited {
        until_begun: Awaited::Begun(root.clone(), args.task.clone()),
        until_ended: Awaited::Ended(root.clone(), args.task.clone()),
        scope: Scope {
            workspace: Some(root.clone()),
            task: args.task.clone(),
        },
    };
    let ask = |wait| {
        Call::RunStart(RunStart {
            workspace: Some(root),
            task: args.task,
            pipeline: args.pipeline,
            force: args.force,
            wait,
            detach: Some(args.detach),
            parent_run: args.parent_run,
            approval_policy: args.approval_policy,
        })
    };
    if args.detach {
        let interrupts = Interrupts::catch().map_err(Failure::Wait)?;
        let answer: RunAnswer = session.ask_patiently(
            &mut connection,
            &ask(false),
            &waited.until_begun,
            &interrupts,
        )?;
        print(session, &answer.without_words(), render::result)?;
        return Ok(Exit::Done);
    }
    follow(session, &mut connection, ask, &waited)
}

pub(super) fn resume(session: &mut Session<'_>, args: Resume) -> Result<Exit, Failure> {
    let workspace = session.named()?;
    let mut connection = session.connect()?;
    let waited = Waited {
        until_begun: Awaited::Resumed(args.run.clone()),
        until_ended: Awaited::ResumedEnded(args.run.clone()),
        scope: Scope {
            workspace: workspace.clone(),
            task: None,
        },
    };
    let ask = |wait| {
        Call::RunResume(RunResume {
            run_id: args.run,
            workspace,
            token: args.token,
            actor: args.actor,
            reason: args.reason,
            wait,
        })
    };
    follow(session, &mut connection, ask, &waited)
}

pub(super) fn cancel(session: &mut Session<'_>, args: Named) -> Result<Exit, Failure> {
    let workspace = session.named()?;
    let mut connection = session.connect()?;
    let run_id = args.run;
    let awaited = Awaited::Cancelled(run_id.clone());
    let call = Call::RunCancel(RunNamed { run_id, workspace });
    let interrupts = Interrupts::catch().map_err(Failure::Wait)?;
    let answer: RunAnswer = session.ask_patiently(&mut connection, &call, &awaited, &interrupts)?;
    print(session, &answer.without_words(), render::cancelled)?;
    Ok(Exit::Done)
}

pub(super) fn plan(session: &mut Session<'_>, args: Plan) -> Result<Exit, Failure> {
    let (mut connection, root) = connect(session, args.no_daemon, args.task.as_ref())?;
    let call = Call::Plan(PlanWanted {
        workspace: Some(root),
        task: args.task,
        pipeline: args.pipeline,
    });
    let answer: PlanAnswer = session.ask(&mut connection, &call)?;
    print(session, &answer, answer::plan)?;
    Ok(Exit::Done)
}

/// The daemon and the workspace to speak of; a hosted daemon knows no other than the one around.
fn connect(
    session: &mut Session<'_>,
    no_daemon: bool,
    task: Option<&TaskId>,
) -> Result<(Connection, RootPath), Failure> {
    if no_daemon {
        let root = session.directory(None)?;
        return Ok((session.host(root.as_path())?, root));
    }
    let mut connection = session.connect()?;
    let tasks: Vec<TaskId> = task.cloned().into_iter().collect();
    let root = session.workspace(&mut connection, &tasks)?;
    Ok((connection, root))
}

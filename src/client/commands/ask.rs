//! `status`, `sync`, `wait`, `explain`, `why`: questions about the present content; and how verdicts are heard and told.
//!
//! Each is one request and one answer; nothing is started here but what `wait` (and `gate`, beside) make the daemon start.

use super::leave::leave;
use super::print;
use crate::client::args::history::Explain;
use crate::client::args::run::{Sync, Wait};
use crate::client::args::workspace::Task;
use crate::client::clock::Deadline;
use crate::client::connect::Connection;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::place;
use crate::client::render::answer::{self, Stages};
use crate::client::render::daemon::error;
use crate::client::render::status as render_status;
use crate::client::render::why as render_why;
use crate::client::session::Session;
use crate::limits::{ANSWER_TIME_MAX, LATE_ANSWER_MAX, SCOPE_TIME_MAX};
use crate::model::id::{RunId, TaskId};
use crate::model::path::{RootPath, to_text};
use crate::model::report::runs::RunDetail;
use crate::model::report::status::Status;
use crate::model::report::why::WhyAnswer;
use crate::model::report::{ExplainAnswer, GateAnswer, GateProject, SyncAnswer};
use crate::model::run::{StageStatus, Verdict};
use crate::wire::call::{Call, PathNamed, RunNamed, Scope, SyncWanted, WaitWanted};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn status(session: &mut Session<'_>, args: Task) -> Result<Exit, Failure> {
    let mut connection = session.connect()?;
    let workspace = session.scope(&mut connection, args.task.as_slice())?;
    let task = args.task;
    let is_narrowed = task.is_some();
    let call = Call::Status(Scope {
        workspace: workspace.clone(),
        task,
    });
    let answer = match session.ask(&mut connection, &call) {
        // Nobody named it: then it is no mistake to stand here, and the daemon has something to say of itself.
        Err(failure)
            if failure.is_unknown_workspace() && !is_narrowed && session.named()?.is_none() =>
        {
            let all = Call::Status(Scope::default());
            let answer: Status = session.ask(&mut connection, &all)?;
            Status {
                workspaces: Vec::new(),
                ..answer
            }
        }
        answer => answer?,
    };
    print(session, &answer, |answer, look| {
        render_status::status(answer, workspace.as_ref(), look)
    })?;
    Ok(Exit::Done)
}

pub(super) fn sync(session: &mut Session<'_>, args: &Sync) -> Result<Exit, Failure> {
    let mut connection = session.connect()?;
    connection.keep_to(in_time(args.timeout));
    let workspace = session.scope(&mut connection, &[])?;
    let timeout_ms = Some(milliseconds(args.timeout));
    let call = Call::Sync(SyncWanted {
        workspace,
        timeout_ms,
    });
    let interrupts = Interrupts::catch().map_err(Failure::Wait)?;
    let patience = args.timeout.saturating_add(ANSWER_TIME_MAX);
    let answer: SyncAnswer = connection.ask_within(&call, patience, Some(&interrupts))?;
    session.note_version(&connection)?;
    print(session, &answer, answer::sync)?;
    Ok(if answer.synced {
        Exit::Done
    } else {
        Exit::NoVerdict
    })
}

pub(super) fn wait(session: &mut Session<'_>, args: Wait) -> Result<Exit, Failure> {
    let mut connection = session.connect()?;
    connection.keep_to(in_time(args.timeout));
    let patience = args.timeout.saturating_add(ANSWER_TIME_MAX);
    let timeout_ms = Some(milliseconds(args.timeout));
    let tasks: Vec<TaskId> = args.task.into_iter().collect();
    let mut workspace = None;
    let answer = session.scope(&mut connection, &tasks).and_then(|scope| {
        workspace = scope;
        session.refuse_own_run(&mut connection, workspace.as_ref(), &tasks)?;
        let call = Call::Wait(WaitWanted {
            workspace: workspace.clone(),
            task: tasks.first().cloned(),
            timeout_ms,
        });
        let scope = (workspace.as_ref(), tasks.as_slice());
        hear(session, &mut connection, (&call, Some(patience)), scope)
    });
    let scope = (workspace.as_ref(), tasks.as_slice());
    tell_verdicts(session, &mut connection, scope, answer)
}

/// Asks for verdicts, and waits for them so long, or as long as it takes; says at ^C what goes on without us. Who listens
/// for ^C comes with the answer: there is more to wait for before it is told.
pub(super) fn hear(
    session: &mut Session<'_>,
    connection: &mut Connection,
    (call, patience): (&Call, Option<Duration>),
    scope: (Option<&RootPath>, &[TaskId]),
) -> Result<(GateAnswer, Interrupts), Failure> {
    let interrupts = Interrupts::catch().map_err(Failure::Wait)?;
    let asked = connection.begin(call)?;
    let answer = match patience {
        Some(patience) => connection.answer_within(asked, patience, &interrupts),
        None => connection.wait_for(asked, &interrupts),
    };
    match answer {
        Err(Failure::Interrupted) => {
            leave(session, connection, (asked, interrupts), scope)?;
            Err(Failure::Interrupted)
        }
        answer => Ok((answer?, interrupts)),
    }
}

/// Prints the verdicts; with `--json` also where there is none yet, so that a program reads one shape.
pub(super) fn tell_verdicts(
    session: &mut Session<'_>,
    connection: &mut Connection,
    scope: (Option<&RootPath>, &[TaskId]),
    answer: Result<(GateAnswer, Interrupts), Failure>,
) -> Result<Exit, Failure> {
    match answer {
        Ok((answer, interrupts)) => {
            session.note_version(connection)?;
            tell_answer(session, connection, scope.0, (&answer, &interrupts))?;
            Ok(Exit::of_verdict(answer.verdict, answer.green))
        }
        Err(failure) => {
            let asked = asked_for(session, connection, scope, &failure);
            tell_unknown(session, failure, || asked)
        }
    }
}

/// Prints verdicts that are known.
pub(super) fn tell_answer(
    session: &mut Session<'_>,
    connection: &mut Connection,
    workspace: Option<&RootPath>,
    (answer, interrupts): (&GateAnswer, &Interrupts),
) -> Result<(), Failure> {
    let stages = if session.output.json() {
        BTreeMap::new()
    } else {
        passed_stages(connection, workspace, answer, interrupts)
    };
    print(session, answer, |answer, look| {
        answer::gate(answer, &stages, look)
    })?;
    Ok(())
}

/// Prints that nothing is known, where that is what a failure says and a program reads it; else it is told as it is.
pub(super) fn tell_unknown(
    session: &mut Session<'_>,
    failure: Failure,
    asked: impl FnOnce() -> Vec<TaskId>,
) -> Result<Exit, Failure> {
    if !session.output.json() || Exit::of_failure(&failure) != Exit::NoVerdict {
        return Err(failure);
    }
    let (message, hint) = (failure.message(), failure.hint());
    let words = error(&message, hint.as_deref(), &session.output.err_look());
    session.output.words(&words)?;
    session.output.document(&unknown(&message, &asked()))?;
    Ok(Exit::NoVerdict)
}

/// That nothing is known of these projects, and why.
pub(super) fn unknown(reason: &str, tasks: &[TaskId]) -> GateAnswer {
    let unknown = |task_id: &TaskId| GateProject {
        task_id: task_id.clone(),
        workspace: None,
        verdict: Verdict::Unknown,
        input_digest: None,
        run_id: None,
        manifest: None,
        reused: false,
        green: None,
        detail: Some(reason.to_owned()),
        approved: Vec::new(),
        judged: None,
    };
    GateAnswer {
        verdict: Verdict::Unknown,
        green: None,
        detail: Some(reason.to_owned()),
        projects: tasks.iter().map(unknown).collect(),
    }
}

/// The projects that a question was about which failed so: those that are named, else those that the daemon says there
/// are, where a program is to be told of them.
pub(super) fn asked_for(
    session: &Session<'_>,
    connection: &mut Connection,
    (workspace, tasks): (Option<&RootPath>, &[TaskId]),
    failure: &Failure,
) -> Vec<TaskId> {
    let is_told = session.output.json() && Exit::of_failure(failure) == Exit::NoVerdict;
    if !tasks.is_empty() || !is_told {
        return tasks.to_vec();
    }
    let scope = Scope {
        workspace: workspace.cloned(),
        task: None,
    };
    // One that does not say so either has said why by the error that is told.
    let status = connection.status_soon(scope, None);
    let workspaces = status.map(|status| status.workspaces).unwrap_or_default();
    let projects = workspaces
        .into_iter()
        .flat_map(|workspace| workspace.projects);
    projects.map(|project| project.task_id).collect()
}

/// How many stages of each run passed, and how many there are, as far as the daemon says so soon: the verdicts are known,
/// and are told without it, too.
fn passed_stages(
    connection: &mut Connection,
    workspace: Option<&RootPath>,
    answer: &GateAnswer,
    interrupts: &Interrupts,
) -> BTreeMap<RunId, Stages> {
    let mut passed = BTreeMap::new();
    let deadline = Deadline::after(SCOPE_TIME_MAX);
    let runs = answer.projects.iter();
    for run in runs.filter_map(|project| project.run_id.as_ref()) {
        let call = Call::RunGet(RunNamed {
            run_id: run.to_string(),
            workspace: workspace.cloned(),
        });
        let left = deadline.left().unwrap_or_default();
        let detail = match connection.ask_within::<RunDetail>(&call, left, Some(interrupts)) {
            Ok(detail) => detail,
            Err(Failure::Refused(_)) => continue,
            // Silent, gone, or ^C: the next one is not answered either.
            Err(_) => break,
        };
        let good = |status| matches!(status, StageStatus::Succeeded | StageStatus::Skipped);
        let stages = detail.stages.iter();
        let reused = stages.clone().filter(|stage| stage.reused_from.is_some());
        let of_run = Stages {
            reused: reused.count(),
            passed: stages.filter(|stage| good(stage.status)).count(),
            all: detail.stages.len(),
        };
        passed.insert(run.clone(), of_run);
    }
    passed
}

pub(super) fn explain(session: &mut Session<'_>, args: &Explain) -> Result<Exit, Failure> {
    // A link is explained as itself, not as what it leads to.
    let path = match (args.path.parent(), args.path.file_name()) {
        (Some(parent), Some(name)) => place::absolute(parent)?.join(name),
        _ => place::absolute(&args.path)?,
    };
    let workspace = session.named()?;
    let mut connection = session.connect()?;
    let path = to_text(path.as_os_str());
    let call = Call::Explain(PathNamed { path, workspace });
    let answer: ExplainAnswer = session.ask(&mut connection, &call)?;
    print(session, &answer, answer::explain)?;
    Ok(Exit::Done)
}

pub(super) fn why(session: &mut Session<'_>, args: Task) -> Result<Exit, Failure> {
    let mut connection = session.connect()?;
    let workspace = session.scope(&mut connection, args.task.as_slice())?;
    let task = args.task;
    let call = Call::Why(Scope { workspace, task });
    let answer: WhyAnswer = session.ask(&mut connection, &call)?;
    print(session, &answer, render_why::why)?;
    Ok(Exit::Done)
}

/// The daemon keeps the time, and tells what it has found by then; one that stands still keeps none.
fn in_time(timeout: Duration) -> Deadline {
    Deadline::after(timeout.saturating_add(LATE_ANSWER_MAX))
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

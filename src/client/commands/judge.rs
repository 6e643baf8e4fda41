//! `gate --index`, `gate --commit`: the verdict for what git has instead of what lies in the workspace.
//!
//! Each revision is judged by a daemon in this process, one after the other; the verdict is the worst of them, and each is
//! told, also where another one cannot be judged.

use super::ask::{asked_for, hear, tell_answer, tell_unknown, unknown};
use super::pushed;
use crate::client::args::run::Gate;
use crate::client::connect::Connection;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::render::daemon::error;
use crate::client::session::Session;
use crate::git::revision::{Repository, Revision, RevisionError};
use crate::model::id::TaskId;
use crate::model::judged::Judged;
use crate::model::path::RootPath;
use crate::model::report::GateAnswer;
use crate::model::run::Verdict;
use crate::wire::call::{Call, GateWanted};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Why what was run proves nothing of what was to be judged.
const REWRITTEN: &str = "a stage wrote what stages read, and the verdict is about what it left: ignore what it writes, declare it as `outputs`, or commit it";

/// A revision, or why it cannot be judged.
type Found = Result<Revision, RevisionError>;

/// Why there is no verdict on one of several.
struct Unjudged {
    failure: Failure,
    /// What it is, as far as that is known.
    judged: Option<Judged>,
    /// The projects that were asked for.
    tasks: Vec<TaskId>,
}

impl Unjudged {
    /// The whole story, with what it is about.
    fn message(&self) -> String {
        let message = self.failure.message();
        match &self.judged {
            Some(judged) if !message.contains(&judged.to_string()) => {
                format!("{judged}: {message}")
            }
            Some(_) | None => message,
        }
    }
}

pub(super) fn judge(session: &mut Session<'_>, args: &Gate) -> Result<Exit, Failure> {
    let root = session.directory(None)?;
    if !args.no_wait {
        Session::refuse_nested(&root, &args.task)?;
    }
    let revisions = match revisions(session, &root, args) {
        Ok(revisions) => revisions,
        Err(failure) => return tell_unknown(session, failure, || args.task.clone()),
    };
    judge_all(session, args, &root, revisions)
}

/// What is to be judged; of what is pushed and is no commit it is said that it is not.
fn revisions(
    session: &mut Session<'_>,
    root: &RootPath,
    args: &Gate,
) -> Result<Vec<Found>, Failure> {
    let repository = Repository::around(root)?;
    match args.commit.as_deref() {
        Some("-") => pushed(session, &repository),
        Some(name) => Ok(vec![Ok(repository.commit(name)?)]),
        None => {
            // A hook's commit may have an index of its own.
            let file = std::env::var_os("GIT_INDEX_FILE").filter(|file| !file.is_empty());
            let file = file.map(PathBuf::from);
            Ok(vec![Ok(repository.index(file.as_deref())?)])
        }
    }
}

/// The commits that git names to its pre-push hook, each once, under whatever name it is pushed.
fn pushed(session: &mut Session<'_>, repository: &Repository) -> Result<Vec<Found>, Failure> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for pushed in pushed::read()? {
        match repository.commit(pushed.oid.as_str()) {
            Err(RevisionError::NoCommit { kind, .. }) => {
                let text = format!(
                    "{} is no commit but a {kind}: it has nothing that could be judged.\n",
                    pushed.name.escape_debug()
                );
                session.output.words(&text)?;
            }
            Ok(revision) if !seen.insert(revision.judged.to_string()) => {}
            found => all.push(found),
        }
    }
    Ok(all)
}

/// Judges one after the other, and tells each when it is known; to a program all of them at once.
fn judge_all(
    session: &mut Session<'_>,
    args: &Gate,
    root: &RootPath,
    revisions: Vec<Found>,
) -> Result<Exit, Failure> {
    let is_one = revisions.len() == 1;
    let mut told: Option<GateAnswer> = None;
    let mut unjudged: Vec<Box<Unjudged>> = Vec::new();
    for found in revisions {
        match judge_one(session, args, root, found) {
            Ok(answer) => {
                told = Some(match told {
                    Some(before) => before.and(answer),
                    None => answer,
                });
            }
            // Nobody hears what is told.
            Err(one) if matches!(one.failure, Failure::Output(_)) => return Err(one.failure),
            Err(one) if is_one => {
                let Unjudged { failure, tasks, .. } = *one;
                return tell_unknown(session, failure, || tasks);
            }
            Err(one) => {
                let words = error(
                    &one.message(),
                    one.failure.hint().as_deref(),
                    &session.output.err_look(),
                );
                session.output.words(&words)?;
                let is_over = matches!(one.failure, Failure::Interrupted);
                unjudged.push(one);
                if is_over {
                    break;
                }
            }
        }
    }
    if told.is_none() && unjudged.is_empty() {
        let text = "Nothing is pushed that could be judged.\n";
        session.output.words(text)?;
        told = Some(GateAnswer {
            verdict: Verdict::Pass,
            green: None,
            detail: None,
            projects: Vec::new(),
        });
    }
    tell_all(session, told, &unjudged)
}

/// What a program is told of all, and how the gate ends: as the worst of them would.
fn tell_all(
    session: &mut Session<'_>,
    told: Option<GateAnswer>,
    unjudged: &[Box<Unjudged>],
) -> Result<Exit, Failure> {
    // The first of those that are as bad.
    let worst = unjudged.iter().rev();
    let worst = worst.max_by_key(|one| Exit::of_failure(&one.failure).badness());
    let mut exit = worst.map_or(Exit::Done, |worst| Exit::of_failure(&worst.failure));
    if let Some(answer) = &told {
        let of_answer = Exit::of_verdict(answer.verdict, answer.green);
        exit = std::cmp::max_by_key(exit, of_answer, |exit| exit.badness());
    }
    if !session.output.json() {
        return Ok(exit);
    }
    if let (None, Some(worst)) = (&told, worst)
        && exit != Exit::NoVerdict
    {
        let (message, hint) = (worst.message(), worst.failure.hint());
        let kind = worst.failure.kind();
        session
            .output
            .error_document(kind, &message, hint.as_deref())?;
        return Ok(exit);
    }
    let all = unjudged.iter().map(|one| {
        let mut answer = unknown(&one.message(), &one.tasks);
        for project in &mut answer.projects {
            project.judged.clone_from(&one.judged);
        }
        answer
    });
    if let Some(all) = told.into_iter().chain(all).reduce(GateAnswer::and) {
        session.output.document(&all)?;
    }
    Ok(exit)
}

/// Judges one, and tells it where a person reads.
fn judge_one(
    session: &mut Session<'_>,
    args: &Gate,
    root: &RootPath,
    found: Found,
) -> Result<GateAnswer, Box<Unjudged>> {
    let no_verdict = |failure, judged, tasks| {
        Box::new(Unjudged {
            failure,
            judged,
            tasks,
        })
    };
    let found = found.map_err(|error| no_verdict(error.into(), None, args.task.clone()));
    let revision = found?;
    let judged = Some(revision.judged.clone());
    let hosted = session.host_revision(root, &revision);
    let mut connection =
        hosted.map_err(|failure| no_verdict(failure, judged.clone(), args.task.clone()))?;
    let scope = (Some(root), args.task.as_slice());
    let answer = ask(session, &mut connection, scope, args).and_then(|(mut answer, interrupts)| {
        for project in &mut answer.projects {
            project.judged.clone_from(&judged);
        }
        if !session.output.json() {
            tell_answer(session, &mut connection, scope.0, (&answer, &interrupts))?;
        }
        Ok(answer)
    });
    answer.map_err(|failure| {
        let tasks = asked_for(session, &mut connection, scope, &failure);
        no_verdict(failure, judged, tasks)
    })
}

/// Asks first for what is known of the content as it was checked out, which tells what that content is; and then, where
/// that is not green, for a verdict on it.
fn ask(
    session: &mut Session<'_>,
    connection: &mut Connection,
    scope: (Option<&RootPath>, &[TaskId]),
    args: &Gate,
) -> Result<(GateAnswer, Interrupts), Failure> {
    let call = |wait| {
        Call::Gate(GateWanted {
            workspace: scope.0.cloned(),
            tasks: scope.1.to_vec(),
            wait,
        })
    };
    let (known, interrupts) = hear(session, connection, (&call(false), None), scope)?;
    let is_green = Exit::of_verdict(known.verdict, known.green) == Exit::Done;
    if args.no_wait || is_green {
        return Ok((known, interrupts));
    }
    drop(interrupts);
    let (answer, interrupts) = hear(session, connection, (&call(true), None), scope)?;
    Ok((on_same_content(answer, &known), interrupts))
}

/// The verdicts without those that are about something else than the content as it was `known` at first: a stage that
/// writes what stages read has them run again on what it left, and that is not what was to be judged.
fn on_same_content(mut answer: GateAnswer, known: &GateAnswer) -> GateAnswer {
    for project in &mut answer.projects {
        let mut at_first = known.projects.iter();
        let at_first = at_first.find(|known| known.task_id == project.task_id);
        let digest = at_first.and_then(|known| known.input_digest);
        let is_same = digest.is_some() && digest == project.input_digest;
        let says_more = matches!(project.verdict, Verdict::Unknown | Verdict::Unstable);
        if !is_same && !says_more {
            project.verdict = Verdict::Unknown;
            project.green = None;
            project.approved.clear();
            project.detail = Some(REWRITTEN.to_owned());
        }
    }
    let mut verdicts = answer.projects.iter().map(|project| project.verdict);
    let first = verdicts.next().unwrap_or(answer.verdict);
    let worse = |a: Verdict, b: Verdict| if b.goodness() < a.goodness() { b } else { a };
    answer.verdict = verdicts.fold(first, worse);
    answer.green = answer.green.filter(|_| answer.verdict == Verdict::Flaky);
    answer
}

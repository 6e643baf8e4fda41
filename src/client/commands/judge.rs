//! `gate --index`, `gate --commit`: the verdict for what git has instead of what lies in the workspace.
//!
//! Each revision is judged by a daemon in this process, one after the other; the verdict is the worst of them. Git's
//! pre-push hook names on stdin what is pushed, a line for each ref.

use super::ask::{hear, tell_answer, tell_unknown, tell_verdicts};
use crate::client::args::run::Gate;
use crate::client::connect::Connection;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::interrupt::Interrupts;
use crate::client::session::Session;
use crate::git::revision::{Repository, Revision, RevisionError};
use crate::limits::PUSHED_BYTES_MAX;
use crate::model::id::TaskId;
use crate::model::judged::Oid;
use crate::model::path::RootPath;
use crate::model::report::GateAnswer;
use crate::model::run::Verdict;
use crate::wire::call::{Call, GateWanted};
use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::PathBuf;

/// Why what was run proves nothing of what was to be judged.
const REWRITTEN: &str = "a stage wrote what stages read, and the verdict is about what it left: ignore what it writes, declare it as `outputs`, or commit it";

pub(super) fn judge(session: &mut Session<'_>, args: &Gate) -> Result<Exit, Failure> {
    let root = session.directory(None)?;
    if !args.no_wait {
        Session::refuse_nested(&root, &args.task)?;
    }
    match revisions(&root, args) {
        Ok(revisions) => judge_all(session, args, &root, revisions),
        Err(failure) => tell_unknown(session, failure, || args.task.clone()),
    }
}

/// What is to be judged.
fn revisions(root: &RootPath, args: &Gate) -> Result<Vec<Revision>, Failure> {
    let repository = Repository::around(root)?;
    let one = match args.commit.as_deref() {
        Some("-") => return pushed(&repository),
        Some(name) => repository.commit(name)?,
        None => {
            // A hook's commit may have an index of its own.
            let file = std::env::var_os("GIT_INDEX_FILE").filter(|file| !file.is_empty());
            repository.index(file.map(PathBuf::from).as_deref())?
        }
    };
    Ok(vec![one])
}

/// The commits that git names to its pre-push hook.
fn pushed(repository: &Repository) -> Result<Vec<Revision>, Failure> {
    let mut text = String::new();
    let read = io::stdin()
        .take(PUSHED_BYTES_MAX + 1)
        .read_to_string(&mut text);
    read.map_err(|source| Failure::File {
        act: "read",
        path: PathBuf::from("/dev/stdin"),
        source,
    })?;
    let commits = pushed_commits(&text)?;
    let found = commits.iter().map(|oid| repository.commit(oid.as_str()));
    Ok(found.collect::<Result<_, RevisionError>>()?)
}

/// The commits on lines of git's pre-push hook, each once, without those of refs that are deleted.
fn pushed_commits(text: &str) -> Result<Vec<Oid>, Failure> {
    let mut seen = BTreeSet::new();
    let mut commits = Vec::new();
    let is_whole = text.len() as u64 <= PUSHED_BYTES_MAX;
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let oid = match words.as_slice() {
            [_, local, _, _] if is_whole => Oid::parse(local).ok(),
            _ => None,
        };
        let oid = oid.ok_or_else(|| Failure::Push {
            line: line.chars().take(200).collect(),
        })?;
        if !oid.is_zero() && seen.insert(oid.clone()) {
            commits.push(oid);
        }
    }
    Ok(commits)
}

/// Judges one after the other, and tells each when it is known; to a program all of them at once.
fn judge_all(
    session: &mut Session<'_>,
    args: &Gate,
    root: &RootPath,
    revisions: Vec<Revision>,
) -> Result<Exit, Failure> {
    let mut told: Option<GateAnswer> = None;
    for revision in revisions {
        let mut connection = match session.host_revision(root, &revision) {
            Ok(connection) => connection,
            Err(failure) => return tell_unknown(session, failure, || args.task.clone()),
        };
        let scope = (Some(root), args.task.as_slice());
        let heard = ask(session, &mut connection, scope, args);
        let (mut answer, interrupts): (GateAnswer, Interrupts) = match heard {
            Ok(heard) => heard,
            failure => return tell_verdicts(session, &mut connection, scope, failure),
        };
        for project in &mut answer.projects {
            project.judged = Some(revision.judged.clone());
        }
        if !session.output.json() {
            tell_answer(session, &mut connection, scope.0, (&answer, &interrupts))?;
        }
        told = Some(match told {
            Some(before) => before.and(answer),
            None => answer,
        });
    }
    let all = match told {
        Some(all) => all,
        None => {
            session
                .output
                .words("Nothing is pushed that could be judged.\n")?;
            GateAnswer {
                verdict: Verdict::Pass,
                green: None,
                projects: Vec::new(),
            }
        }
    };
    if session.output.json() {
        session.output.document(&all)?;
    }
    Ok(Exit::of_verdict(all.verdict, all.green))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_commit_that_is_pushed_is_named_once_and_deletions_are_none() {
        let (a, b, zero) = ("a".repeat(40), "b".repeat(40), "0".repeat(40));
        let text = format!(
            "refs/heads/x {a} refs/heads/x {zero}\nrefs/heads/y {b} refs/heads/y {a}\n(delete) {zero} refs/heads/z {b}\nrefs/tags/v {a} refs/tags/v {zero}\n"
        );
        let commits = pushed_commits(&text).unwrap();
        let commits: Vec<&str> = commits.iter().map(Oid::as_str).collect();
        assert_eq!(commits, [a, b]);
        assert_eq!(pushed_commits("").unwrap(), []);
        for other in ["x", "a b c d", "refs/heads/x HEAD refs/heads/x HEAD"] {
            let failure = pushed_commits(other).unwrap_err();
            assert!(failure.to_string().contains("pre-push"), "{failure}");
        }
    }
}

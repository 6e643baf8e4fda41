//! Who is answered when a workspace goes, where a question waits, and when the loop wakes by itself.
//!
//! A shell without its loop: what blocking work brings back is taken, or not, as the test wants it.

use super::*;
use crate::daemon::evidence::Desk;
use crate::daemon::lend::Lent;
use crate::daemon::message::What;
use crate::daemon::parts;
use crate::daemon::server::{Asked, Peer};
use crate::engine::{Effect, ProjectId, Standing};
use crate::limits::STANDING_DELAY;
use crate::model::id::{PipelineId, TaskId};
use crate::model::path::RelPath;
use crate::model::report::status::Phase;
use crate::model::run::Verdict;
use crate::wire::answer::Answer;
use crate::wire::call::{
    Call, Nothing, PlanWanted, RunNamed, RunsWanted, Scope, WorkspaceAdd, WorkspaceAllow,
    WorkspaceNamed,
};
use crate::wire::refusal::{ErrorKind, Refusal};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::oneshot::{self, error::TryRecvError};

mod arriving;
mod auditing;
mod foreseen;
#[cfg(target_os = "linux")]
mod refused;
mod unseen;

type Answered = oneshot::Receiver<Result<Answer, Refusal>>;

/// A shell with these workspaces, none of which has been read yet.
fn shell<const N: usize>(
    dir: &tempfile::TempDir,
    names: [&str; N],
) -> (Shell, [(WorkspaceId, RootPath); N]) {
    let top = dir.path().canonicalize().unwrap();
    let state = top.join("state");
    crate::daemon::lifecycle::claim::prepare_state(&state).unwrap();
    let about = Arc::new(About::new("i".to_owned()));
    let mut shell = Shell::new(parts(&state, about, Tenancy::Daemon).unwrap());
    let sites = names.map(|name| {
        let root = RootPath::new(&top.join(name)).unwrap();
        std::fs::create_dir_all(root.as_path()).unwrap();
        (shell.open_site(root.clone(), None), root)
    });
    shell.settle();
    (shell, sites)
}

fn question(request: u64, call: Call) -> (Asked, Answered) {
    let (answer, answered) = oneshot::channel();
    let peer = Peer { uid: 0 };
    let asked = Asked {
        request: RequestId(request),
        peer,
        call,
        answer,
        subscriber: None,
        hold: None,
    };
    (asked, answered)
}

/// Gives a workspace a desk that is away, so that what is asked of it waits.
fn lend_desk(shell: &mut Shell, id: WorkspaceId) {
    let owner = shell.owner.clone();
    let site = shell.sites.get_mut(&id).unwrap();
    let desk = Desk::open(site.root.clone(), site.spots.evidence(), owner);
    let mut lent = Lent::new(Box::new(desk));
    lent.give_away();
    (site.desk, site.preparing) = (Some(lent), false);
}

fn refused(mut answered: Answered) -> ErrorKind {
    answered.try_recv().unwrap().unwrap_err().kind
}

fn said(mut answered: Answered) -> Value {
    serde_json::to_value(answered.try_recv().unwrap().unwrap()).unwrap()
}

async fn remove(shell: &mut Shell, root: &RootPath) {
    let path = root.clone();
    let (asked, answered) = question(99, Call::WorkspaceRemove(WorkspaceNamed { path }));
    shell.hear(asked);
    take_errand(shell).await;
    shell.settle();
    assert_eq!(said(answered)["changed"], true);
}

/// Takes what became of a change; what else has come back meanwhile comes after it.
async fn take_errand(shell: &mut Shell) {
    let mut others = Vec::new();
    while !shell.errands.is_idle() {
        let done = tokio::time::timeout(Duration::from_secs(20), shell.done.recv());
        match done.await.unwrap().unwrap() {
            done if matches!(done.what, What::Tried(_)) => shell.take(done),
            other => others.push(other),
        }
    }
    for other in others {
        shell.out.try_send(other).unwrap();
    }
}

#[tokio::test]
async fn a_question_waits_at_the_workspace_that_it_names_and_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, [(a, _), (b, root)]) = shell(&dir, ["a", "b"]);
    let call = Call::Plan(PlanWanted {
        workspace: Some(root.clone()),
        task: None,
        pipeline: None,
    });
    let (asked, parked) = question(1, call);
    shell.hear(asked);
    assert!(shell.sites[&a].parked.is_empty());
    assert_eq!(shell.sites[&b].parked.len(), 1);
    let (asked, added) = question(
        2,
        Call::WorkspaceAdd(WorkspaceAdd {
            path: root.clone(),
            allow: false,
            task_id: None,
        }),
    );
    shell.take_resolved(asked, Ok(root.clone()));
    take_errand(&mut shell).await;
    assert_eq!(shell.sites[&b].adding.len(), 1);
    remove(&mut shell, &root).await;
    assert_eq!(refused(parked), ErrorKind::UnknownWorkspace);
    assert_eq!(refused(added), ErrorKind::UnknownWorkspace);
}

#[tokio::test]
async fn whoever_waits_for_a_desk_that_goes_is_answered_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, [(a, kept), (b, gone)]) = shell(&dir, ["a", "b"]);
    lend_desk(&mut shell, a);
    lend_desk(&mut shell, b);
    let part = || "x".to_owned();
    let everywhere = Scope::default();
    let calls = [
        Call::RunList(RunsWanted::default()),
        Call::RunGet(RunNamed {
            run_id: part(),
            workspace: None,
        }),
        Call::Reload(everywhere),
        Call::RunGet(RunNamed {
            run_id: part(),
            workspace: Some(gone.clone()),
        }),
    ];
    let allow = Call::WorkspaceAllow(WorkspaceAllow {
        path: gone.clone(),
        digest: None,
        dry_run: true,
    });
    let (asked, allowed) = question(50, allow);
    shell.hear(asked);
    let mut answers = Vec::new();
    for (request, call) in (1..).zip(calls) {
        let (asked, answered) = question(request, call);
        shell.hear(asked);
        answers.push(answered);
    }
    remove(&mut shell, &gone).await;
    assert_eq!(refused(answers.pop().unwrap()), ErrorKind::UnknownRun);
    assert_eq!(refused(allowed), ErrorKind::UnknownWorkspace);
    for answered in &mut answers {
        // The other desk is still to answer.
        assert_eq!(answered.try_recv().unwrap_err(), TryRecvError::Empty);
    }
    remove(&mut shell, &kept).await;
    let [listed, found, reloaded] = answers.try_into().unwrap();
    assert_eq!(said(listed), json!({"runs": []}));
    assert_eq!(said(reloaded), json!({"workspaces": []}));
    assert_eq!(refused(found), ErrorKind::UnknownRun);
}

#[tokio::test]
async fn nothing_is_due_while_nobody_is_there_to_do_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, [(a, _)]) = shell(&dir, ["a"]);
    let past = shell.clock.tick();
    shell.sites.get_mut(&a).unwrap().flush_at = Some(past);
    shell.settle();
    assert!(shell.next_due() > past, "there is no desk yet");
    lend_desk(&mut shell, a);
    shell.sites.get_mut(&a).unwrap().flush_at = Some(past);
    shell.settle();
    assert!(shell.next_due() > past, "the desk is away");
    assert_eq!(
        shell.sites[&a].flush_at,
        Some(past),
        "and it is still to be done"
    );
}

#[tokio::test]
async fn what_is_known_of_the_present_content_is_written_at_once_and_the_rest_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, [(a, _)]) = shell(&dir, ["a"]);
    lend_desk(&mut shell, a);
    let mut told = |verdict, phase| {
        let before = shell.clock.tick();
        let standing = standing(verdict, phase);
        shell.carry_out(Effect::State {
            workspace: a,
            standing,
        });
        let at = shell.sites.get_mut(&a).unwrap().flush_at.take().unwrap();
        at < before.after(STANDING_DELAY)
    };
    assert!(told(Verdict::Pass, Phase::Idle), "it is proven");
    assert!(!told(Verdict::Pass, Phase::Running), "and still is");
    assert!(told(Verdict::Unknown, Phase::Running), "it is no longer");
    assert!(!told(Verdict::Unknown, Phase::Idle), "nothing is known");
    assert!(told(Verdict::Fail, Phase::Idle), "it was proven before");
}

/// What is known of a project, which is fresh if it is anything.
fn standing(verdict: Verdict, phase: Phase) -> Standing {
    Standing {
        project: ProjectId {
            workspace: WorkspaceId(1),
            task: TaskId::parse("t").unwrap(),
        },
        path: RelPath::root(),
        pipeline: PipelineId::parse("diagnostics").unwrap(),
        verdict,
        fresh: verdict != Verdict::Unknown,
        phase,
        input: None,
        proof: None,
        last: None,
    }
}

#[tokio::test]
async fn what_was_asked_before_the_last_client_went_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, []) = shell(&dir, []);
    let (incoming, mut queue) = mpsc::channel(4);
    let (asked, answered) = question(1, Call::WorkspaceList(Nothing {}));
    incoming.try_send(Incoming::Asked(asked)).unwrap();
    drop(incoming);
    let over = shell.run(&mut queue, async || std::future::pending().await);
    tokio::time::timeout(Duration::from_secs(20), over)
        .await
        .unwrap();
    assert_eq!(said(answered), json!({"workspaces": []}));
}

#[tokio::test]
async fn who_adds_while_the_daemon_ends_hears_that_it_is_registered() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, [(_, reading)]) = shell(&dir, ["reading"]);
    let mut adding = Vec::new();
    for (request, name) in (1..).zip(["reading", "changing"]) {
        let path = reading.as_path().with_file_name(name);
        let path = RootPath::new(&path).unwrap();
        let call = Call::WorkspaceAdd(WorkspaceAdd {
            path: path.clone(),
            allow: name == "changing",
            task_id: None,
        });
        let (asked, answered) = question(request, call);
        shell.take_resolved(asked, Ok(path.clone()));
        adding.push((path, answered));
        if name == "reading" {
            take_errand(&mut shell).await;
        }
    }
    shell.stop(false);
    shell.settle();
    assert!(shell.exiting);
    take_errand(&mut shell).await;
    let registered = shell.registry.workspaces().iter();
    let registered: Vec<RootPath> = registered.map(|it| it.root.clone()).collect();
    for (path, mut answered) in adding {
        assert!(registered.contains(&path), "{registered:?}");
        let refusal = answered.try_recv().unwrap().unwrap_err();
        assert_eq!(refusal.kind, ErrorKind::ShuttingDown);
        let words = format!("`{path}` is registered, and will be watched at the next start");
        assert!(refusal.message.contains(&words), "{refusal:?}");
        let unallowed = refusal.hint.is_some_and(|hint| hint.contains("allow"));
        assert_eq!(unallowed, path.as_path().ends_with("changing"));
    }
}

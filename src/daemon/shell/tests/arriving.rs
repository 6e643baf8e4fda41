//! What comes back while something else is on its way: a second save, a lost event, an asker who has gone.
//!
//! The order in which things come back is the test's: it takes them one by one, and does something in between, as it may
//! happen by chance.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests write files as a user would"
)]

use super::*;
use crate::daemon::evidence::Found;
use crate::daemon::message::{Looked, Then};
use crate::daemon::site::Facts;
use crate::engine::Record;
use crate::engine::ask::{Ask, RunAsk, Until, Wanted};
use crate::model::view::{Touches, View};

pub(super) const GOOD: &str = "[workspace]\non_start = false\nignore = [\"*.a\"]\n\
                    [[project]]\ntask = \"t\"\n[[pipeline]]\nid = \"diagnostics\"\n\
                    [[pipeline.stage]]\nid = \"check\"\ncommand = \"true\"\n";

/// Takes what comes back, shown to `meet` first, until the shell is as wanted.
pub(super) async fn drive(
    shell: &mut Shell,
    mut meet: impl FnMut(&Done),
    until: impl Fn(&Shell) -> bool,
) {
    loop {
        shell.settle();
        if until(shell) {
            return;
        }
        let done = tokio::time::timeout(Duration::from_secs(20), shell.done.recv());
        let done = done.await.unwrap().unwrap();
        meet(&done);
        shell.take(done);
    }
}

pub(super) fn is_read(shell: &Shell) -> bool {
    let is_home = |site: &Site| {
        let tree = site.tree.as_ref().is_some_and(Lent::is_idle);
        tree && site.desk.as_ref().is_some_and(Lent::is_idle)
    };
    shell.sites.values().all(is_home)
}

pub(super) fn state(shell: &Shell) -> Value {
    let status = serde_json::to_value(shell.status(&Scope::default())).unwrap();
    status["workspaces"][0]["state"].clone()
}

/// A shell with a workspace that has been read.
pub(super) async fn read(dir: &tempfile::TempDir) -> (Shell, WorkspaceId, RootPath) {
    let root = dir.path().join("w");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("orchd.toml"), GOOD).unwrap();
    let (mut shell, [(id, root)]) = shell(dir, ["w"]);
    drive(&mut shell, |_| (), is_read).await;
    allow(&mut shell, &root);
    shell.configure(id, BTreeMap::new());
    drive(&mut shell, |_| (), is_read).await;
    assert_eq!(state(&shell), "watching");
    (shell, id, root)
}

/// Allows what a workspace's files say now, as another process would.
pub(super) fn allow(shell: &mut Shell, root: &RootPath) {
    let loaded = crate::disk::configuration::load(root, None).unwrap();
    let (set, commands) = (loaded.command_set, loaded.commands);
    let now = shell.clock.wall();
    shell.trust.allow(root, set, commands, now).unwrap();
}

fn looked(configuration: bool) -> Done {
    let touches = Touches {
        configuration,
        ..Touches::default()
    };
    Done {
        workspace: WorkspaceId(1),
        what: What::Looked(Box::new(Looked {
            settles: Some(0),
            ..Looked::by_itself(Ok(touches), Facts::default())
        })),
    }
}

#[tokio::test]
async fn a_save_while_the_one_before_is_taken_into_force_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, id, root) = read(&dir).await;
    let file = root.as_path().join("orchd.toml");
    std::fs::write(&file, GOOD.replace("*.a", "*.b")).unwrap();
    shell.reload(id, Then::Rest);
    let mut saved = false;
    let meet = |done: &Done| {
        if matches!(done.what, What::Loaded { .. }) && !std::mem::replace(&mut saved, true) {
            std::fs::write(&file, "broken = [\n").unwrap();
        }
    };
    drive(&mut shell, meet, is_read).await;
    assert_eq!(state(&shell), "invalid");
}

#[tokio::test]
async fn what_was_read_before_a_second_save_is_not_in_force_yet() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, _, _) = read(&dir).await;
    shell.take(looked(true));
    shell.take(looked(true));
    let mut states = Vec::new();
    while states.len() < 2 {
        shell.settle();
        let done = tokio::time::timeout(Duration::from_secs(20), shell.done.recv());
        let done = done.await.unwrap().unwrap();
        let is_loaded = matches!(done.what, What::Loaded { .. });
        shell.take(done);
        shell.settle();
        states.extend(is_loaded.then(|| state(&shell)));
    }
    assert_eq!(states, ["rescanning", "watching"]);
}

#[tokio::test]
async fn who_waits_for_a_workspace_that_is_long_in_reading_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, [(kept, other), (id, root)]) = shell(&dir, ["a", "b"]);
    lend_desk(&mut shell, kept);
    let plan = Call::Plan(PlanWanted {
        workspace: Some(root.clone()),
        task: None,
        pipeline: None,
    });
    let anywhere = Call::RunGet(RunNamed {
        run_id: "x".to_owned(),
        workspace: None,
    });
    let patient = Call::WorkspaceAllow(WorkspaceAllow {
        path: root.clone(),
        digest: None,
        dry_run: true,
    });
    let mut ask = |request, call| {
        let (asked, answered) = question(request, call);
        shell.hear(asked);
        answered
    };
    let (plan, anywhere, mut patient) = (ask(1, plan), ask(2, anywhere), ask(3, patient));
    assert_eq!(shell.sites[&id].parked.len(), 3);
    let due = shell.next_due();
    assert!(due <= shell.clock.tick().after(crate::limits::READING_WAIT_MAX));
    shell.end_parking(due.after(Duration::from_secs(5)));
    shell.settle();
    assert_eq!(refused(plan), ErrorKind::Unsynced);
    // A run is looked for where that can be done; only then it is told where it was not.
    assert_eq!(shell.waiting.len(), 1);
    remove(&mut shell, &other).await;
    let mut anywhere = anywhere;
    let told = anywhere.try_recv().unwrap().unwrap_err();
    assert_eq!(told.kind, ErrorKind::Unsynced);
    assert!(told.message.contains(&root.to_string()), "{}", told.message);
    assert_eq!(patient.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[tokio::test]
async fn what_was_asked_by_who_has_gone_meanwhile_is_not_done() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("w")).unwrap();
    std::fs::write(dir.path().join("w/orchd.toml"), GOOD).unwrap();
    let (mut shell, [(id, root)]) = shell(&dir, ["w"]);
    let deny = |request| {
        let path = root.clone();
        question(request, Call::WorkspaceDeny(WorkspaceNamed { path }))
    };
    let (left, gone) = deny(1);
    let (withdrawn, _kept) = deny(2);
    shell.hear(left);
    shell.hear(withdrawn);
    drop(gone);
    shell.forget_request(RequestId(2));
    assert_eq!(shell.sites[&id].parked.len(), 1, "one was withdrawn");
    // Allowed before the denial that is still parked is heard.
    allow(&mut shell, &root);
    drive(&mut shell, |_| (), is_read).await;
    assert_eq!(state(&shell), "watching");
}

#[tokio::test]
async fn a_root_that_is_back_is_recorded_by_the_desk_that_has_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, id, root) = read(&dir).await;
    // As where there was no root at the start.
    let site = shell.sites.get_mut(&id).unwrap();
    let (spots, tree) = (site.spots.evidence(), site.tree.take());
    drop(tree.unwrap().give_away());
    let stale = RootPath::new(&dir.path().join("elsewhere")).unwrap();
    let stale = Desk::open(stale, spots, shell.owner.clone());
    site.desk = Some(Lent::new(Box::new(stale)));
    shell.look_again(id);
    drive(
        &mut shell,
        |_| (),
        |shell| shell.sites[&id].tree.is_some() && is_read(shell),
    )
    .await;
    let desk = shell.sites.get_mut(&id).unwrap().desk.as_mut().unwrap();
    let held = desk.give_away().unwrap();
    assert_eq!(held.root(), &root);
}

#[tokio::test]
async fn after_a_loss_only_a_look_that_began_then_makes_it_watched() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, _, _) = read(&dir).await;
    shell.watcher.lose_everything();
    // One that was under way comes back before anybody has heard of the loss, and another one after it.
    for _ in 0..2 {
        shell.take(looked(false));
        shell.examine_doubts();
        shell.settle();
        assert_eq!(state(&shell), "rescanning");
    }
    drive(&mut shell, |_| (), is_read).await;
    assert_eq!(state(&shell), "watching");
}

#[tokio::test]
async fn nothing_is_kept_of_who_has_gone_untold_and_of_what_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, [(id, root)]) = shell(&dir, ["w"]);
    lend_desk(&mut shell, id);
    let (asked, gone) = question(1, Call::RunList(RunsWanted::default()));
    let (kept, _waits) = question(2, Call::RunList(RunsWanted::default()));
    shell.hear(asked);
    shell.hear(kept);
    drop(gone);
    let due = shell.next_due();
    assert!(due <= shell.clock.tick().after(crate::limits::ASKERS_PAUSE));
    shell.sweep(due);
    let waiting: Vec<_> = shell.waiting.keys().copied().collect();
    assert_eq!(waiting, [RequestId(2)]);
    assert_eq!(shell.names.len(), 1);
    remove(&mut shell, &root).await;
    assert_eq!(shell.names.len(), 0);
}

/// Takes a step of the engine alone; every look that comes of it sees the same content, and nothing else is carried out.
fn think(shell: &mut Shell, input: Input) {
    let now = shell.clock.now();
    let mut inputs = vec![input];
    while let Some(input) = inputs.pop() {
        for effect in shell.engine.step(now, input) {
            let Effect::Capture {
                capture,
                workspace,
                subjects,
            } = effect
            else {
                continue;
            };
            let views = subjects.into_iter().map(View::still);
            let views = Some(views.collect());
            inputs.push(Input::Captured {
                capture,
                workspace,
                views,
            });
        }
    }
}

/// Somebody asks for a run of this policy, and leaves it to itself.
fn wanted(shell: &mut Shell, request: u64, policy: &str) {
    let ask = Ask::Run(RunAsk {
        project: ProjectId {
            workspace: WorkspaceId(1),
            task: TaskId::parse("t").unwrap(),
        },
        pipeline: None,
        parent: None,
        approval_policy: Some(policy.to_owned()),
        force: false,
        until: Until::Named,
        wanted: Wanted::Detached,
    });
    let (request, deadline) = (RequestId(request), None);
    think(
        shell,
        Input::Asked {
            request,
            ask,
            deadline,
        },
    );
}

#[tokio::test]
async fn a_run_that_begins_while_it_is_looked_for_is_not_taken_for_another_one_that_was_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, id, _) = read(&dir).await;
    wanted(&mut shell, 101, "first");
    wanted(&mut shell, 102, "second");
    let first = shell.engine.runs().next().unwrap().run.clone();
    let second = shell.engine.queued().next().unwrap().run.clone();
    lend_desk(&mut shell, id);
    let named = RunNamed {
        run_id: "Z-".to_owned(),
        workspace: None,
    };
    let (asked, _answered) = question(1, Call::RunCancel(named));
    shell.hear(asked);
    // While the desk is asked, another one comes and goes, and the one that is looked for begins.
    wanted(&mut shell, 103, "third");
    let third = shell.engine.queued().find(|it| *it.run != second);
    let run = third.unwrap().run.clone();
    let (request, deadline) = (RequestId(104), None);
    let ask = Ask::Cancel { run };
    think(
        &mut shell,
        Input::Asked {
            request,
            ask,
            deadline,
        },
    );
    let failure = Some("no room".to_owned());
    think(
        &mut shell,
        Input::Recorded {
            run: first,
            record: Record::Begin,
            failure,
        },
    );
    assert!(shell.engine.run(&second).is_some(), "it has begun");
    shell.take_found(id, RequestId(1), Ok(Found::None));
    let next = shell.inputs.back();
    assert!(
        matches!(next, Some(Input::Asked { ask: Ask::Cancel { run }, .. }) if *run == second),
        "{next:?}"
    );
}

#[tokio::test]
async fn a_save_before_what_was_read_has_arrived_is_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("w")).unwrap();
    let file = dir.path().join("w/orchd.toml");
    std::fs::write(&file, "broken = [\n").unwrap();
    let (mut shell, [_]) = shell(&dir, ["w"]);
    let soon = Duration::from_secs(20);
    let prepared = tokio::time::timeout(soon, shell.done.recv());
    let prepared = prepared.await.unwrap().unwrap();
    assert!(matches!(prepared.what, What::Prepared(_)), "{prepared:?}");
    let aside = dir.path().join("aside");
    std::fs::write(&aside, GOOD).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    let wake = Arc::clone(&shell.wake);
    while shell.watcher.ready().is_empty() {
        tokio::time::timeout(soon, wake.notified()).await.unwrap();
    }
    // Nobody is woken a second time, and there is nothing yet that could be looked at.
    shell.examine_doubts();
    shell.take(prepared);
    drive(&mut shell, |_| (), |shell| state(shell) == "untrusted").await;
}

#[tokio::test]
async fn a_damaged_store_whose_lock_is_held_is_written_anew_once_that_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, id, root) = read(&dir).await;
    let allowed = shell.trust.allowed(&root);
    let file = shell.state.join("trust.json");
    let lock = std::fs::File::open(shell.state.join("trust.json.lock")).unwrap();
    lock.lock().unwrap();
    std::fs::write(&file, "{").unwrap();
    let begun = std::time::Instant::now();
    shell.configure(id, BTreeMap::new());
    shell.settle();
    // Whoever changes the file waits so long; the loop waits for nobody.
    let patience = crate::limits::LOCK_PAUSE * crate::limits::STATE_LOCK_TRIES_MAX;
    assert!(begun.elapsed() < patience, "{:?}", begun.elapsed());
    assert_eq!(state(&shell), "untrusted");
    let status = serde_json::to_value(shell.status(&Scope::default())).unwrap();
    let detail = status["workspaces"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("is damaged"), "{detail}");
    assert!(detail.contains("trust.json.lock` is held"), "{detail}");
    drive(&mut shell, |_| (), |shell| shell.errands.mend_at.is_some()).await;
    assert_eq!(state(&shell), "untrusted");
    drop(lock);
    let due = shell.next_due();
    assert_eq!(Some(due), shell.errands.mend_at);
    shell.mend_due(due);
    drive(&mut shell, |_| (), |shell| state(shell) == "watching").await;
    let now = shell.clock.wall();
    let on_disk = TrustStore::open(&shell.state, now).unwrap();
    assert_eq!(on_disk.allowed(&root), allowed);
}

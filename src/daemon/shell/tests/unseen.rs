//! What no event tells of: what was changed while the machine slept, or while no watcher lived.
//!
//! The kernel tells of a change by the name that was used for it: one that is made through a name outside of a workspace
//! stands for all that it does not tell.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests write files as a user would"
)]

use super::arriving::{drive, is_read, read, state};
use super::*;
use crate::daemon::message::Looked;
use crate::daemon::tree::TreeError;
use crate::limits::SLEEP_MIN;
use crate::model::run::Changed;

/// The paths that a look has found changed.
fn touched(done: &Done) -> Vec<String> {
    let What::Looked(looked) = &done.what else {
        return Vec::new();
    };
    let touches = looked.touches.as_ref().unwrap();
    let changed = touches.projects.values();
    let paths = changed.flat_map(|changed| match changed {
        Changed::Paths(paths) => paths.iter().map(ToString::to_string).collect(),
        Changed::Everything => vec!["everything".to_owned()],
    });
    paths.collect()
}

/// Writes a file of the workspace, which is seen, and through a name outside of it, which is not.
async fn write_unseen(shell: &mut Shell, root: &RootPath) {
    let (inside, outside) = (root.as_path().join("f"), root.as_path().join("../f"));
    std::fs::write(&inside, "one").unwrap();
    let watcher = shell.watcher.clone();
    while watcher.ready().is_empty() {
        shell.wake.notified().await;
    }
    shell.examine_doubts();
    drive(shell, |_| (), is_read).await;
    std::fs::hard_link(&inside, &outside).unwrap();
    std::fs::write(&outside, "others").unwrap();
    drive(shell, |_| (), is_read).await;
}

/// By how much the clocks differ once the machine has slept for an hour.
fn after_sleep(shell: &Shell) -> i64 {
    shell.clock.ahead_ns() + 3_600_000_000_000
}

#[tokio::test]
async fn what_changed_while_the_machine_slept_is_found_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, _, root) = read(&dir).await;
    write_unseen(&mut shell, &root).await;
    let short = shell.clock.ahead_ns() + i64::try_from(SLEEP_MIN.as_nanos()).unwrap() / 2;
    shell.note_sleep(short);
    assert_eq!(state(&shell), "watching", "that was no sleep");
    shell.note_sleep(after_sleep(&shell));
    assert_eq!(state(&shell), "rescanning");
    let mut found = Vec::new();
    drive(&mut shell, |done| found.extend(touched(done)), is_read).await;
    assert_eq!(
        (state(&shell), found),
        ("watching".into(), vec!["f".to_owned()])
    );
}

#[tokio::test]
async fn no_question_is_answered_with_what_was_known_before_a_sleep() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, _, _) = read(&dir).await;
    let (incoming, mut queue) = mpsc::channel(4);
    let (asked, answered) = question(1, Call::Doctor(Nothing {}));
    incoming.try_send(Incoming::Asked(asked)).unwrap();
    drop(incoming);
    shell.sleep = Sleep::default();
    shell
        .sleep
        .note(2 * shell.clock.ahead_ns() - after_sleep(&shell));
    let over = shell.run(&mut queue, async || std::future::pending().await);
    tokio::time::timeout(Duration::from_secs(20), over)
        .await
        .unwrap();
    let said = said(answered);
    let checks = said["checks"].as_array().unwrap();
    let of = checks.iter().map(|check| check["detail"].as_str().unwrap());
    let detail: Vec<&str> = of.filter(|detail| detail.contains("rescanning")).collect();
    let lost = "rescanning: events were lost; everything is looked at again";
    assert_eq!(detail, [lost], "{said}");
}

#[tokio::test]
async fn a_look_that_met_no_watcher_is_done_again_where_there_is_one_by_now() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, id, _) = read(&dir).await;
    // The end was told; the next one began, and the look drained what it had put in doubt.
    let site = shell.sites.get_mut(&id).unwrap();
    site.lost_after = Some(site.looks);
    let facts = site.facts.clone();
    let looked = Looked::by_itself(Err(TreeError::Unwatched), facts);
    shell.take(Done {
        workspace: id,
        what: What::Looked(Box::new(looked)),
    });
    shell.settle();
    assert_eq!(state(&shell), "rescanning");
    drive(&mut shell, |_| (), |shell| state(shell) == "watching").await;
}

/// Lets the shell look at what it is told of until it is as wanted.
async fn hear(shell: &mut Shell, until: impl Fn(&Shell) -> bool) {
    let watcher = shell.watcher.clone();
    while !until(shell) {
        while watcher.ready().is_empty() {
            let woken = tokio::time::timeout(Duration::from_secs(20), shell.wake.notified());
            woken.await.unwrap();
        }
        shell.examine_doubts();
        drive(shell, |_| (), is_read).await;
    }
}

/// Saves a file of the workspace at once.
fn save(root: &RootPath, text: &str) {
    let beside = root.as_path().with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, root.as_path().join("f")).unwrap();
}

#[tokio::test]
async fn a_look_that_finds_nothing_leaves_the_end_of_git_to_the_look_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, id, root) = read(&dir).await;
    let git = root.as_path().join(".git");
    std::fs::create_dir(&git).unwrap();
    std::fs::write(git.join("index.lock"), "").unwrap();
    save(&root, "half");
    hear(&mut shell, |shell| shell.engine.is_holding(id)).await;
    // Between two steps of git its lock is gone, and the index is in its place.
    std::fs::rename(git.join("index.lock"), git.join("index")).unwrap();
    let due = shell.sites.get(&id).unwrap().git_at.unwrap();
    for _ in 0..2 {
        shell.examine(id);
        drive(&mut shell, |_| (), is_read).await;
        assert!(
            shell.engine.is_holding(id),
            "that may not have been its end"
        );
        let site = shell.sites.get(&id).unwrap();
        assert_eq!((site.git_at, site.facts.signs.len()), (Some(due), 0));
    }
    assert!(shell.next_due() <= due, "nobody would wake the loop");
    shell.look_for_git(due);
    drive(&mut shell, |_| (), is_read).await;
    assert!(!shell.engine.is_holding(id));
    // A look that finds something tells of the end as well.
    std::fs::rename(git.join("index"), git.join("index.lock")).unwrap();
    save(&root, "more");
    hear(&mut shell, |shell| shell.engine.is_holding(id)).await;
    std::fs::remove_file(git.join("index.lock")).unwrap();
    save(&root, "whole");
    hear(&mut shell, |shell| !shell.engine.is_holding(id)).await;
}

#[tokio::test]
async fn what_changes_while_no_watcher_lives_is_found_and_what_changes_later_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, id, root) = read(&dir).await;
    std::fs::create_dir_all(root.as_path().join("a/b")).unwrap();
    shell.watcher.lose_everything();
    shell.examine_doubts();
    drive(&mut shell, |_| (), is_read).await;
    for round in ["one", "two"] {
        shell.watcher.clone().kill();
        std::fs::write(root.as_path().join("a/f"), round).unwrap();
        shell.examine_doubts();
        drive(&mut shell, |_| (), is_read).await;
        assert_eq!(state(&shell), "rescanning");
        let status = serde_json::to_value(shell.status(&Scope::default())).unwrap();
        let detail = status["workspaces"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with("the watcher has ended"), "{detail}");
        let doctor = serde_json::to_value(shell.doctor()).unwrap();
        let checks = doctor["checks"].as_array().unwrap();
        assert!(checks.iter().any(|it| it["id"] == "watcher"), "{doctor}");
        let due = shell.revival.at.unwrap();
        assert!(shell.next_due() <= due, "nobody would wake the loop");
        shell.revive_due(due);
        let mut found = Vec::new();
        let is_watched = |shell: &Shell| state(shell) == "watching" && is_read(shell);
        while !is_watched(&shell) {
            // Whoever has not come home cannot be sent again: the next arrival is waited for.
            let may_go_on = |shell: &Shell| is_read(shell) && !shell.watcher.ready().is_empty();
            drive(
                &mut shell,
                |done| found.extend(touched(done)),
                |shell| is_watched(shell) || may_go_on(shell),
            )
            .await;
            shell.examine_doubts();
        }
        assert_eq!(found, ["a/f"]);
        let site = shell.sites.get(&id).unwrap();
        // Of evidence that is being written meanwhile `out` is a directory like any other.
        assert!(site.facts.directories >= 3, "{:?}", site.facts);
        assert_eq!(site.facts.watches, site.facts.directories);
        std::fs::write(root.as_path().join("a/b/g"), round).unwrap();
        // What the daemon itself writes may be told of first.
        let mut found = Vec::new();
        while !found.contains(&"a/b/g".to_owned()) {
            while shell.watcher.ready().is_empty() {
                let woken = tokio::time::timeout(Duration::from_secs(20), shell.wake.notified());
                woken.await.unwrap();
            }
            shell.examine_doubts();
            drive(&mut shell, |done| found.extend(touched(done)), is_read).await;
        }
    }
}

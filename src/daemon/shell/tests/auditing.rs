//! When self-audits are due: one workspace at a time, in parts, with pauses.
//!
//! The time that a workspace waits for is the test's; what takes time is done for real.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests write files as a user would"
)]

use super::arriving::{GOOD, drive, is_read};
use super::*;
use crate::limits::{AUDIT_DEFAULT, AUDIT_PART_MAX, AUDIT_PAUSE, AUDIT_SLICE_DIRECTORIES};

/// Waits for a part of an audit, and says of which workspace it is.
async fn part(shell: &mut Shell) -> WorkspaceId {
    loop {
        shell.settle();
        let done = tokio::time::timeout(Duration::from_secs(20), shell.done.recv());
        let done = done.await.unwrap().unwrap();
        let part = matches!(done.what, What::Audited(_)).then_some(done.workspace);
        shell.take(done);
        if let Some(id) = part {
            return id;
        }
    }
}

/// Lets two workspaces wait since now, one a little longer; says when that one is due.
fn due_in_order(shell: &mut Shell, ids: [WorkspaceId; 2]) -> Tick {
    let began = shell.clock.tick();
    for (id, after) in ids.into_iter().zip(0..) {
        let from = began.after(Duration::from_nanos(after));
        shell.sites.get_mut(&id).unwrap().audit_from = from;
    }
    let due = shell.audit_due().unwrap();
    assert_eq!(due, began.after(AUDIT_DEFAULT));
    due
}

/// Two workspaces that have been read.
async fn two(dir: &tempfile::TempDir) -> (Shell, [(WorkspaceId, RootPath); 2]) {
    for name in ["a", "b"] {
        let root = dir.path().join(name);
        std::fs::create_dir(&root).unwrap();
        let toml = GOOD.replace("\"t\"", &format!("{name:?}"));
        std::fs::write(root.join("orchd.toml"), toml).unwrap();
    }
    let (mut shell, sites) = shell(dir, ["a", "b"]);
    drive(&mut shell, |_| (), is_read).await;
    (shell, sites)
}

#[tokio::test]
async fn workspaces_are_audited_one_after_the_other_and_between_audits_there_is_one_timer() {
    let dir = tempfile::tempdir().unwrap();
    for (name, settings) in [
        ("a", ""),
        ("b", "audit = '10m'\n"),
        ("c", "audit = 'off'\n"),
        ("d", "poll = 'always'\n"),
    ] {
        let root = dir.path().join(name);
        std::fs::create_dir(&root).unwrap();
        let toml = GOOD.replace("on_start", &format!("{settings}on_start"));
        std::fs::write(
            root.join("orchd.toml"),
            toml.replace("\"t\"", &format!("{name:?}")),
        )
        .unwrap();
    }
    for number in 0..AUDIT_SLICE_DIRECTORIES * 2 {
        std::fs::create_dir(dir.path().join(format!("a/d{number}"))).unwrap();
    }
    let (mut shell, [(a, _), (b, _), _, _]) = shell(&dir, ["a", "b", "c", "d"]);
    drive(&mut shell, |_| (), is_read).await;
    let due = due_in_order(&mut shell, [a, b]);
    shell.audit(Tick::new(
        due.since_start().saturating_sub(Duration::from_nanos(1)),
    ));
    assert_eq!(shell.audit_due(), Some(due), "nobody is early");
    // Long after the time of both.
    let late = due.after(10 * AUDIT_DEFAULT);
    for parts in 1..=3 {
        shell.audit(late);
        let given_up = late.after(AUDIT_PART_MAX);
        assert_eq!(
            shell.audit_due(),
            Some(given_up),
            "a part is being compared"
        );
        shell.audit(late);
        let before = shell.clock.tick();
        assert_eq!(part(&mut shell).await, a);
        let next = shell.audit_due().unwrap();
        if parts < 3 {
            assert!(next.since(before) >= AUDIT_PAUSE.1, "{next:?} {before:?}");
        } else {
            assert_eq!(next, shell.sites[&b].audit_from.after(AUDIT_DEFAULT));
        }
    }
    shell.audit(late);
    assert_eq!(part(&mut shell).await, b);
    drive(&mut shell, |_| (), is_read).await;
    let from = [a, b].map(|id| shell.sites[&id].audit_from);
    let next = from.into_iter().min().unwrap().after(AUDIT_DEFAULT);
    assert_eq!(shell.audit_due(), Some(next));
    assert!(shell.sites.values().all(|site| site.misses.count == 0));
}

#[tokio::test]
async fn a_workspace_that_goes_takes_its_audit_along() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, [(a, root), (b, _)]) = two(&dir).await;
    let late = due_in_order(&mut shell, [a, b]).after(AUDIT_DEFAULT);
    shell.audit(late);
    let call = Call::WorkspaceRemove(WorkspaceNamed { path: root });
    let (asked, _answered) = question(99, call);
    shell.hear(asked);
    take_errand(&mut shell).await;
    drive(&mut shell, |_| (), |shell| !shell.sites.contains_key(&a)).await;
    shell.audit(late);
    let next = part(&mut shell).await;
    let next = if next == a {
        part(&mut shell).await
    } else {
        next
    };
    assert_eq!(next, b);
}

#[tokio::test]
async fn a_workspace_whose_disk_hangs_is_passed_over_until_its_time_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, [(a, _), (b, _)]) = two(&dir).await;
    let late = due_in_order(&mut shell, [a, b]).after(AUDIT_DEFAULT);
    let (release, released) = std::sync::mpsc::channel::<()>();
    let tree = shell.sites.get_mut(&a).unwrap().tree.as_mut().unwrap();
    tree.push(move |_| {
        released.recv().unwrap_or_default();
        None
    });
    shell.audit(late);
    shell.settle();
    let later = shell.audit_due().unwrap();
    assert_eq!(later, late.after(AUDIT_PART_MAX));
    shell.audit(later);
    assert_eq!(part(&mut shell).await, b);
    drive(
        &mut shell,
        |_| (),
        |shell| shell.sites[&b].tree.as_ref().unwrap().is_home(),
    )
    .await;
    let next = shell.sites[&b].audit_from.after(AUDIT_DEFAULT);
    assert_eq!(
        shell.audit_due(),
        Some(next),
        "nothing is asked of the one that hangs"
    );
    drop(release);
    assert_eq!(part(&mut shell).await, a);
    drive(&mut shell, |_| (), is_read).await;
    shell.audit(later.after(2 * AUDIT_DEFAULT));
    part(&mut shell).await;
}

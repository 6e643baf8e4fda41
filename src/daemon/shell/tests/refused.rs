//! What a workspace that is refused watches, and may not be polled, leaves to others.
//!
//! How many watches there are is read from the kernel, and how many it grants is the test's.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests write files as a user would"
)]

use super::arriving::{GOOD, drive, is_read, read};
use super::*;

/// How many watches this process has on these directories.
fn watched(root: &std::path::Path) -> usize {
    use std::os::unix::fs::MetadataExt as _;
    let infos = std::fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let infos = infos.filter_map(|info| std::fs::read_to_string(info.path()).ok());
    let infos: String = infos.collect();
    let below = std::fs::read_dir(root).unwrap().flatten();
    let inodes = below.map(|entry| entry.metadata().unwrap().ino());
    inodes
        .filter(|inode| infos.contains(&format!(" ino:{inode:x} ")))
        .count()
}

#[tokio::test]
async fn a_workspace_that_gets_too_few_watches_and_may_not_poll_keeps_none() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, _, _) = read(&dir).await;
    let root = dir.path().canonicalize().unwrap().join("large");
    for number in 0..400 {
        std::fs::create_dir_all(root.join(format!("d{number}"))).unwrap();
    }
    let toml = GOOD.replace("on_start", "poll = 'never'\non_start");
    std::fs::write(root.join("orchd.toml"), toml).unwrap();
    shell.watcher.grant(Some(300));
    let large = shell.open_site(RootPath::new(&root).unwrap(), None);
    let failed = |shell: &Shell| shell.sites[&large].look_at.is_some();
    drive(&mut shell, |_| (), failed).await;
    assert_eq!(watched(&root), 0);
    let since = shell.sites[&large].failing_since;
    shell.look_again(large);
    drive(&mut shell, |_| (), failed).await;
    assert_eq!(shell.sites[&large].failing_since, since, "it still does");
    shell.watcher.grant(None);
    shell.look_again(large);
    drive(&mut shell, |_| (), is_read).await;
    assert_eq!(watched(&root), 400);
}

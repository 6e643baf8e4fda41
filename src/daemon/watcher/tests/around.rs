//! Directories that are watched around a workspace: which one has the watch, whatever is at its path by then.
//!
//! The kernel says itself what an inotify instance watches.

use super::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::sync::atomic::AtomicBool;

/// The inodes that this watcher has watches of.
fn watched(watcher: &Watcher) -> BTreeSet<u64> {
    let number = watcher.shared.instance().unwrap();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    let lines = info.lines().filter(|line| line.starts_with("inotify"));
    let words = lines.flat_map(str::split_whitespace);
    let inodes = words.filter_map(|word| word.strip_prefix("ino:"));
    inodes
        .map(|inode| u64::from_str_radix(inode, 16).unwrap())
        .collect()
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn around(directory: &Path) -> BTreeMap<PathBuf, Interest> {
    BTreeMap::from([(directory.to_path_buf(), Interest::Itself)])
}

#[test]
fn the_directory_that_is_recorded_is_the_one_that_has_the_watch() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let root = root(&directory);
    let (p, q) = (root.as_path().join("p"), root.as_path().join("q"));
    for above in [&p, &q] {
        fs::create_dir_all(above.join("in")).unwrap();
    }
    let inner = RootPath::new(&p.join("in")).unwrap();
    let eye = watcher.eye(WorkspaceId(1), &inner);
    let quiet = watched(&watcher);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &p, CWD, &q, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let told = std::panic::catch_unwind(|| {
            for round in 0..2_000 {
                assert!(
                    eye.surround(&around(&p), BTreeSet::new()).unwrap(),
                    "{round}"
                );
                let (_, recorded) = watcher.shared.node_around(&p).unwrap();
                assert!(watched(&watcher).contains(&recorded), "{round}");
                assert!(eye.surround(&BTreeMap::new(), BTreeSet::new()).unwrap());
                assert_eq!(watched(&watcher), quiet, "{round}");
            }
        });
        over.store(true, Ordering::Relaxed);
        told.unwrap();
    });
}

#[test]
fn a_directory_is_watched_behind_a_link_however_deep_it_lies() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let root = root(&directory);
    let eye = watcher.eye(
        WorkspaceId(1),
        &RootPath::new(&root.as_path().join("in")).unwrap(),
    );
    let quiet = watched(&watcher);
    let deep = root.as_path().join("a/b/c/d/e/f/g/h");
    fs::create_dir_all(&deep).unwrap();
    let link = root.as_path().join("link");
    symlink(&deep, &link).unwrap();
    assert!(eye.surround(&around(&link), BTreeSet::new()).unwrap());
    assert!(watched(&watcher).contains(&inode(&deep)));
    // That it goes elsewhere is one more event, and its watch goes with the wish.
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    assert!(eye.surround(&around(&link), BTreeSet::new()).unwrap());
    let both = watched(&watcher);
    assert!(both.contains(&inode(&link)) && !both.contains(&inode(&deep)));
    assert!(eye.surround(&BTreeMap::new(), BTreeSet::new()).unwrap());
    assert_eq!(watched(&watcher), quiet);
}

#[test]
fn what_is_content_of_one_workspace_and_around_another_stays_watched_for_both() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let root = root(&directory);
    let inner = root.as_path().join("d/in");
    fs::create_dir_all(&inner).unwrap();
    let outer = watcher.eye(WorkspaceId(1), &root);
    let eye = watcher.eye(WorkspaceId(2), &RootPath::new(&inner).unwrap());
    let d = root.as_path().join("d");
    let content = outer.watch(&d).unwrap().unwrap();
    assert!(eye.surround(&around(&d), BTreeSet::new()).unwrap());
    assert!(eye.surround(&BTreeMap::new(), BTreeSet::new()).unwrap());
    assert!(watched(&watcher).contains(&content.1), "content still");
    assert!(eye.surround(&around(&d), BTreeSet::new()).unwrap());
    outer.unwatch(&d, content);
    assert!(eye.surround(&around(&d), BTreeSet::new()).unwrap());
    assert!(watched(&watcher).contains(&content.1), "around still");
    assert!(eye.surround(&BTreeMap::new(), BTreeSet::new()).unwrap());
    assert!(!watched(&watcher).contains(&content.1));
}

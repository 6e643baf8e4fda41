//! A watcher that lives and tells of nothing, because it is deaf or because its thread hangs.
//!
//! The thread hangs at the board, which it has to mark: a test has the board as long as it wants.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

#[test]
fn one_that_is_deaf_is_taken_for_dead_after_a_few_syncs() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let eye = watcher.eye(WorkspaceId(1), &root(&directory));
    eye.sync(TIMEOUT).unwrap();
    // Nobody hears of a directory that is another one by now.
    let cookies = state.path().join("cookies");
    fs::rename(&cookies, state.path().join("aside")).unwrap();
    fs::create_dir(&cookies).unwrap();
    for late in 1..=crate::limits::SYNCS_LATE_MAX {
        assert_eq!(eye.watcher(), Some(1), "{late}");
        let unsynced = eye.sync(Duration::from_millis(1)).unwrap_err();
        assert!(matches!(unsynced, Unsynced::Late { .. }), "{unsynced}");
    }
    assert_eq!((eye.watcher(), eye.drain()), (None, Dirty::Everything));
    watcher.restart().unwrap();
    eye.sync(TIMEOUT).unwrap();
}

#[test]
fn looks_that_wait_together_count_once_and_an_audit_not_at_all() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let eye = watcher.eye(WorkspaceId(1), &root(&directory));
    fs::rename(state.path().join("cookies"), state.path().join("aside")).unwrap();
    fs::create_dir(state.path().join("cookies")).unwrap();
    let few = crate::limits::SYNCS_LATE_MAX + 1;
    for _ in 0..few {
        let late = eye.sync_in_passing(Duration::from_millis(1)).unwrap_err();
        assert!(matches!(late, Unsynced::Late { .. }), "{late}");
    }
    let post = &eye.shared.post;
    let together = post.life.counted();
    (0..few).for_each(|_| post.note_late(together));
    assert_eq!(eye.watcher(), Some(1));
    for late in 1..crate::limits::SYNCS_LATE_MAX {
        assert_eq!(eye.watcher(), Some(1), "{late}");
        post.note_late(post.life.counted());
    }
    assert_eq!(eye.watcher(), None);
}

#[test]
fn what_one_tells_whose_place_another_has_taken_is_not_heard() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let root = root(&directory);
    let eye = watcher.eye(WorkspaceId(1), &root);
    watcher.restart().unwrap();
    drop(eye.drain());
    let told = Event::new(EventKind::Any).add_path(root.as_path().join("f"));
    watcher.shared.post.hear(1, told.clone());
    assert!(eye.is_sure());
    watcher.shared.post.hear(2, told);
    assert!(eye.is_in_doubt(b"f"));
}

/// What the kernel was asked for of a directory, by each inotify instance of this process.
fn masks(directory: &Path) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let inode = format!(" ino:{:x} ", fs::metadata(directory).unwrap().ino());
    let all = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let all = all.filter_map(|info| fs::read_to_string(info.path()).ok());
    let all: String = all.collect();
    let lines = all.lines().filter(|line| line.contains(&inode));
    let masks = lines.filter_map(|line| line.split_once(" mask:")?.1.split(' ').next());
    masks
        .map(|mask| u32::from_str_radix(mask, 16).unwrap())
        .collect()
}

#[test]
fn one_whose_thread_hangs_is_replaced_and_the_next_one_is_as_quiet() {
    const OPEN: u32 = 0x20;
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let root = root(&directory);
    let eye = watcher.eye(WorkspaceId(1), &root);
    eye.watch(root.as_path()).unwrap();
    let (calls, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (held, hold) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel();
    let deadline = Instant::now() + TIMEOUT;
    let narrow = std::thread::scope(|scope| {
        let post = &watcher.shared.post;
        scope.spawn(move || {
            post.with(|_| {
                held.send(()).unwrap();
                released.recv().unwrap_or_default();
            });
        });
        hold.recv().unwrap();
        fs::write(root.as_path().join("f"), "1").unwrap();
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                drop(eye.watch(root.as_path()));
                calls.fetch_add(1, Ordering::SeqCst);
            }
        });
        let (mut known, mut since) = (0, Instant::now());
        while since.elapsed() < Duration::from_millis(200) || !watcher.shared.is_asked() {
            let now = calls.load(Ordering::SeqCst);
            if now != known {
                (known, since) = (now, Instant::now());
            }
            std::thread::yield_now();
        }
        scope.spawn(|| watcher.restart().unwrap());
        // The other one stands beside it, and nobody can tell them apart by what they watch.
        let is_narrow = || {
            let masks = masks(root.as_path());
            masks.len() == 2 && masks.iter().all(|mask| mask & OPEN == 0)
        };
        while !is_narrow() && Instant::now() < deadline {
            drop(eye.watch(root.as_path()));
        }
        let narrow = is_narrow();
        over.store(true, Ordering::SeqCst);
        release.send(()).unwrap();
        narrow
    });
    assert!(narrow, "{:?}", masks(root.as_path()));
    drop(eye.drain());
    fs::write(root.as_path().join("g"), "1").unwrap();
    eye.sync(TIMEOUT).unwrap();
    assert!(eye.is_in_doubt(b"g"));
}

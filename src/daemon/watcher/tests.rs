//! The watcher on real files: routing, syncs, and what wakes.
//!
//! Real events with a deadline; nothing here waits for a fixed time.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests write files as a user would"
)]

use super::*;
use tempfile::TempDir;

#[cfg(target_os = "linux")]
mod around;
#[cfg(target_os = "linux")]
mod deaf;

const TIMEOUT: Duration = Duration::from_secs(20);

fn start(state: &TempDir) -> (Watcher, Arc<Notify>) {
    let wake = Arc::new(Notify::new());
    let cookies = state.path().join("cookies");
    (Watcher::start(&cookies, Arc::clone(&wake)).unwrap(), wake)
}

fn root(directory: &TempDir) -> RootPath {
    RootPath::new(&directory.path().canonicalize().unwrap()).unwrap()
}

#[tokio::test]
async fn a_write_wakes_the_loop_and_names_the_workspace() {
    let (state, one, other) = (
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
    );
    let (watcher, wake) = start(&state);
    let first = watcher.eye(WorkspaceId(1), &root(&one));
    let second = watcher.eye(WorkspaceId(2), &root(&other));
    first.watch(root(&one).as_path()).unwrap();
    second.watch(root(&other).as_path()).unwrap();
    if !PER_DIRECTORY {
        // Each watch began the stream anew, and the other workspace was told so.
        assert_eq!(first.drain(), Dirty::Everything);
        assert_eq!(second.drain(), Dirty::Everything);
        wake.notified().await;
    }
    fs::write(root(&other).as_path().join("f"), "1").unwrap();
    tokio::time::timeout(TIMEOUT, wake.notified())
        .await
        .unwrap();
    second.sync(TIMEOUT).unwrap();
    assert_eq!(watcher.ready(), [WorkspaceId(2)]);
    assert!(first.drain().is_empty());
    let Dirty::Paths(paths) = second.drain() else {
        panic!("one write is not everything");
    };
    assert_eq!(paths.keys().map(|path| &**path).collect::<Vec<_>>(), [b"f"]);
    assert!(watcher.ready().is_empty());
    second.close();
    fs::write(root(&other).as_path().join("g"), "1").unwrap();
    first.sync(TIMEOUT).unwrap();
    assert!(watcher.ready().is_empty());
}

#[test]
fn a_sync_returns_after_everything_before_it() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let root = root(&directory);
    let eye = watcher.eye(WorkspaceId(1), &root);
    eye.watch(root.as_path()).unwrap();
    for round in 0..200 {
        let name = format!("f{round}");
        fs::write(root.as_path().join(&name), "1").unwrap();
        eye.sync(TIMEOUT).unwrap();
        let Dirty::Paths(paths) = eye.drain() else {
            panic!("one write is not everything");
        };
        assert!(paths.contains_key(name.as_bytes()), "{name} was not seen");
    }
}

#[test]
fn many_sync_at_once_and_leave_nothing_behind() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let eye = watcher.eye(WorkspaceId(1), &root(&directory));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..25).for_each(|_| eye.sync(TIMEOUT).unwrap()));
        }
    });
    let cookies = state.path().join("cookies");
    assert_eq!(names(&cookies), ["cookie"]);
    // Without the file that the cookies are names of, each is a file of its own.
    fs::remove_file(cookies.join("cookie")).unwrap();
    eye.sync(TIMEOUT).unwrap();
    assert_eq!(names(&cookies), [""; 0]);
    fs::remove_dir(&cookies).unwrap();
    eye.sync(TIMEOUT).unwrap();
    assert_eq!(eye.drain().is_empty(), PER_DIRECTORY);
}

#[test]
fn a_start_sweeps_old_cookies() {
    let state = TempDir::new().unwrap();
    let cookies = state.path().join("cookies");
    fs::create_dir(&cookies).unwrap();
    fs::write(cookies.join("7"), "").unwrap();
    let (watcher, _) = start(&state);
    assert_eq!(names(&cookies), ["cookie"]);
    drop(watcher);
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn what_is_not_there_cannot_be_watched() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let root = root(&directory);
    let eye = watcher.eye(WorkspaceId(1), &root);
    drop(directory);
    let gone = eye.watch(root.as_path()).unwrap_err();
    assert!(matches!(gone, WatchError::Gone { .. }), "{gone}");
}

#[test]
fn a_limit_is_named_with_its_remedy() {
    let mut error = WatchError::watch(
        Path::new("/w/d"),
        notify::Error::new(notify::ErrorKind::MaxFilesWatch),
    );
    let text = error.to_string();
    assert!(
        text.contains("no inotify watch is left for `/w/d`"),
        "{text}"
    );
    let limit = Limit::watches();
    let line = format!("({limit}): run `{}`", limit.remedy(0));
    assert!(text.contains(&line), "{text}");
    error.note_need(7);
    let text = error.to_string();
    let line = format!("({limit}, and this workspace has 7 directories): run");
    assert!(text.contains(&line), "{text}");
    let full = io::Error::from_raw_os_error(24);
    let error = WatchError::start(Path::new("/s"), notify::Error::io(full));
    assert!(error.to_string().contains("_instances="), "{error}");
}

#[test]
fn lost_events_free_who_waits_and_mark_everything() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, _) = start(&state);
    let eye = watcher.eye(WorkspaceId(1), &root(&directory));
    let lost = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
    watcher.shared.post.take(Ok(lost));
    assert_eq!(eye.drain(), Dirty::Everything);
    assert_eq!(watcher.ready(), []);
}

#[tokio::test]
async fn after_the_end_of_its_thread_another_one_tells_of_what_is_written() {
    let (state, directory) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (watcher, wake) = start(&state);
    let root = root(&directory);
    let eye = watcher.eye(WorkspaceId(1), &root);
    eye.watch(root.as_path()).unwrap();
    for number in 1..4 {
        assert_eq!(eye.watcher(), Some(number));
        watcher.kill();
        tokio::time::timeout(TIMEOUT, wake.notified())
            .await
            .unwrap();
        assert_eq!((eye.watcher(), eye.drain()), (None, Dirty::Everything));
        assert_eq!(watcher.take_lost(), [WorkspaceId(1)]);
        let unsynced = eye.sync(TIMEOUT).unwrap_err();
        assert!(matches!(unsynced, Unsynced::Ended), "{unsynced}");
        let unwatched = eye.watch(root.as_path()).unwrap_err();
        assert!(matches!(unwatched, WatchError::Ended), "{unwatched}");
        eye.unwatch(root.as_path(), Inode::default());
        watcher.restart().unwrap();
        assert_eq!(eye.drain(), Dirty::Everything);
        assert_eq!(watcher.take_lost(), [WorkspaceId(1)]);
        eye.watch(root.as_path()).unwrap();
        drop(eye.drain());
        fs::write(root.as_path().join("f"), "1").unwrap();
        eye.sync(TIMEOUT).unwrap();
        assert_eq!(watcher.ready(), [WorkspaceId(1)]);
    }
}

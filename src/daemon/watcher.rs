//! The watcher: one inotify instance for the whole daemon, reduced to "these paths may differ".
//!
//! An event is a hint and the disk is the truth, so the callback on `notify`'s thread only marks a path on the board and
//! wakes the loop. It never watches (that would wait for itself), never touches a file, never blocks but for the board's
//! short lock. On Linux each directory has its own watch, which its tree asks for; elsewhere one recursive watch on
//! the root does, and its events are reason enough to look, but no reason not to: there a look lists everything.
//!
//! Two locks: the board (marking and taking, no I/O under it) and the handle of `notify`, whose calls wait for a thread
//! that may be waiting for the board. So nobody who has the board asks for the handle. No state of the daemon is behind
//! either.

mod board;
mod cookie;
mod error;
mod mounts;
mod narrow;
mod noise;
mod outside;
mod resume;
mod spelling;
mod streams;

pub use board::{Dirty, Doubt};
pub use cookie::Unsynced;
pub use error::{Limit, WatchError};
pub use mounts::tell_mounts;
pub use narrow::Interest;
pub(crate) use noise::{backed_up, is_noise};
pub use resume::tell_resume;

use crate::model::id::WorkspaceId;
use crate::model::path::RootPath;
use board::{Board, Wake};
use cookie::Cookies;
use narrow::Narrow;
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use outside::Outside;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streams::Streamed;
use tokio::sync::Notify;

/// Whether a directory is watched by itself; if not, a root is watched with all that lies below.
pub const PER_DIRECTORY: bool = cfg!(target_os = "linux");
/// Whether events of all directories come in the order of the changes, so that a sync is exact. FSEvents tells in its
/// own time: there a sync means that events flow, not that all have been seen, and a look lists everything.
pub const ORDERED: bool = cfg!(target_os = "linux");

/// The one watcher of a daemon.
#[derive(Clone, Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
}

/// One workspace's view of the watcher; cheap to clone, and its methods may block.
#[derive(Clone, Debug)]
pub struct Eye {
    shared: Arc<Shared>,
    workspace: WorkspaceId,
    root: RootPath,
}

/// What the callback may touch.
struct Post {
    board: Mutex<Board>,
    cookies: Cookies,
    wake: Arc<Notify>,
}

struct Shared {
    post: Arc<Post>,
    handle: Mutex<Handle>,
    closed: AtomicU64,
}

struct Handle {
    notify: RecommendedWatcher,
    /// Empty where each directory has its own watch.
    streamed: Streamed,
    outside: Outside,
    narrow: Narrow,
}

impl Watcher {
    /// Starts watching for nothing yet.
    ///
    /// `cookies` is a private directory for syncs: it is made, watched, and swept of what is in it. `wake` is notified
    /// when a workspace that had no doubts gets one.
    ///
    /// # Errors
    /// When the kernel grants no inotify instance, or the directory cannot be used.
    pub fn start(cookies: &Path, wake: Arc<Notify>) -> Result<Self, WatchError> {
        let prepare = |source| WatchError::Prepare {
            path: cookies.to_path_buf(),
            source,
        };
        // Events carry real paths (FSEvents resolves links), so the directory's own has to be real too.
        fs::create_dir_all(cookies).map_err(prepare)?;
        let real = fs::canonicalize(cookies).map_err(prepare)?;
        let post = Arc::new(Post {
            board: Mutex::default(),
            cookies: Cookies::new(real).map_err(prepare)?,
            wake,
        });
        let config = notify::Config::default().with_follow_symlinks(false);
        let callback = Arc::clone(&post);
        let notify = RecommendedWatcher::new(move |event| callback.take(event), config)
            .map_err(|source| WatchError::start(cookies, source))?;
        let handle = Handle {
            notify,
            streamed: Streamed::default(),
            outside: Outside::default(),
            narrow: Narrow::default(),
        };
        let shared = Arc::new(Shared {
            post,
            handle: Mutex::new(handle),
            closed: AtomicU64::new(0),
        });
        shared.watch_cookies()?;
        shared.handle().narrow = Narrow::find(shared.post.cookies.directory());
        Ok(Self { shared })
    }

    /// Registers a workspace: from now on events below its root are kept for it.
    #[must_use]
    pub fn eye(&self, workspace: WorkspaceId, root: &RootPath) -> Eye {
        self.shared
            .post
            .with(|board| board.add(workspace, root.as_path()));
        Eye {
            shared: Arc::clone(&self.shared),
            workspace,
            root: root.clone(),
        }
    }

    /// The workspaces that have doubts now; each stays in the answer until its eye is drained.
    #[must_use]
    pub fn ready(&self) -> Vec<WorkspaceId> {
        self.shared.post.with(|board| board.ready())
    }
}

impl Watcher {
    /// The workspaces whose events were lost since the last call, so that each has to be looked at as a whole. A look
    /// that is under way may have settled it meanwhile.
    #[must_use]
    pub fn take_lost(&self) -> Vec<WorkspaceId> {
        self.shared.post.with(Board::take_lost)
    }

    /// Puts everything in doubt in every workspace: events may have been lost.
    pub fn lose_everything(&self) {
        let post = &self.shared.post;
        post.wake(post.with(Board::note_everything));
    }

    /// Wakes the loop, which has to look at something else than doubts.
    #[cfg(target_os = "linux")]
    fn ring(&self) {
        self.shared.post.wake(Wake::Needed);
    }
}

#[cfg(target_os = "linux")]
impl Watcher {
    /// Puts a path in doubt, as an event does.
    fn note(&self, path: &Path, doubt: Doubt) {
        let post = &self.shared.post;
        post.wake(post.with(|board| board.note(path, doubt)));
    }
}

impl Eye {
    /// The workspace that it looks for.
    #[must_use]
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// Watches one directory; a second time does no harm, and hooks it again if it is another inode by now.
    ///
    /// # Errors
    /// When there is none, it may not be read, or the kernel grants no more watches.
    pub fn watch(&self, directory: &Path) -> Result<(), WatchError> {
        if PER_DIRECTORY {
            let interest = if directory == self.root.as_path() {
                Interest::Files
            } else {
                Interest::Content
            };
            self.shared.watch_one(directory, interest)
        } else if directory == self.root.as_path() {
            let by = Some(self.workspace);
            self.shared.watch(by, directory, RecursiveMode::Recursive)
        } else {
            Ok(())
        }
    }

    /// Stops watching one directory. By name: when a directory was renamed, its old name has to go before its new name
    /// is watched, since both mean the same watch of the kernel.
    pub fn unwatch(&self, directory: &Path) {
        if PER_DIRECTORY || directory == self.root.as_path() {
            let spelled = spelling::of_watch(directory);
            self.shared.unwatch(self.workspace, &spelled);
            let post = &self.shared.post;
            post.wake(post.with(|board| board.note_unwatched(self.workspace, directory)));
        }
    }

    /// Watches these directories for what is outside of the root, and no others from now on: those above it, to see it
    /// go and come, and those that hold `files`, of which each is a reason to look at the root. One that cannot be
    /// watched tells nothing; the next look does. Says whether all are watched.
    pub fn surround(
        &self,
        directories: &BTreeMap<PathBuf, Interest>,
        files: BTreeSet<PathBuf>,
    ) -> bool {
        let post = &self.shared.post;
        post.with(|board| board.heed(self.workspace, files));
        for gone in self.shared.release(self.workspace, directories) {
            post.wake(post.with(|board| board.note_unwatched(self.workspace, &gone)));
        }
        self.shared.surround(self.workspace, directories)
    }

    /// Takes what may differ since the last time.
    #[must_use]
    pub fn drain(&self) -> Dirty {
        self.shared.post.with(|board| board.drain(self.workspace))
    }

    /// Puts everything in doubt, as a lost event does.
    pub fn doubt_everything(&self) {
        let post = &self.shared.post;
        post.wake(post.with(|board| board.note_all_of(self.workspace)));
    }

    /// Returns once every change that was made before the call is on the board.
    ///
    /// # Errors
    /// When that takes longer than `timeout`, or the cookie cannot be written.
    pub fn sync(&self, timeout: Duration) -> Result<(), Unsynced> {
        let cookies = &self.shared.post.cookies;
        match cookies.wait(timeout) {
            Err(Unsynced::Write { path, source }) if source.kind() == io::ErrorKind::NotFound => {
                // Somebody removed the directory: make it anew, once.
                let again =
                    fs::create_dir_all(cookies.directory()).map_err(|source| Unsynced::Write {
                        path: path.clone(),
                        source,
                    });
                again?;
                match self.shared.watch_cookies() {
                    Ok(()) => cookies.wait(timeout),
                    Err(_) => Err(Unsynced::Write { path, source }),
                }
            }
            result => result,
        }
    }

    /// Forgets the workspace: no event is kept for it any more. Its watches are its tree's to take away first.
    pub fn close(&self) {
        self.shared.post.with(|board| board.remove(self.workspace));
        self.shared.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// Workspaces that were forgotten so far, each of which gave its watches back.
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.shared.closed.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn watch_cookies(&self) -> Result<(), WatchError> {
        let directory = self.post.cookies.directory();
        // One that was made anew is watched anew.
        self.handle().streamed.remove(directory);
        self.watch(None, directory, RecursiveMode::NonRecursive)
    }

    /// Watches a directory of a workspace, and none below it.
    fn watch_one(&self, directory: &Path, interest: Interest) -> Result<(), WatchError> {
        let spelled = spelling::of_watch(directory);
        let mut handle = self.handle();
        let watched = handle.notify.watch(&spelled, RecursiveMode::NonRecursive);
        if watched.is_ok() {
            handle.narrow.narrow(&spelled, interest);
        }
        drop(handle);
        watched.map_err(|source| WatchError::watch(directory, source))
    }

    fn watch(
        &self,
        by: Option<WorkspaceId>,
        directory: &Path,
        mode: RecursiveMode,
    ) -> Result<(), WatchError> {
        let watched = self.handle().watch(directory, mode);
        self.note_watched(by, directory, watched)
    }

    fn note_watched(
        &self,
        by: Option<WorkspaceId>,
        directory: &Path,
        watched: Option<notify::Result<()>>,
    ) -> Result<(), WatchError> {
        let Some(watched) = watched else {
            return Ok(());
        };
        self.note_restart(by);
        watched.map_err(|source| WatchError::watch(directory, source))
    }

    /// Watches these for a workspace, and takes away what nobody wants any more.
    fn release(&self, by: WorkspaceId, directories: &BTreeMap<PathBuf, Interest>) -> Vec<PathBuf> {
        let gone = self.handle().outside.release(by, directories);
        for directory in &gone {
            self.unwatch(by, directory);
        }
        gone
    }

    fn surround(&self, by: WorkspaceId, directories: &BTreeMap<PathBuf, Interest>) -> bool {
        let mut all = true;
        // In their order, each after those above it: whatever moves then is an event of one that is watched already.
        for (directory, interest) in directories {
            let Ok(meta) = fs::metadata(directory) else {
                all = false;
                continue;
            };
            let mut handle = self.handle();
            let node = outside::node(&meta);
            if PER_DIRECTORY && handle.outside.is_other(directory, node) {
                drop(handle.notify.unwatch(directory));
            }
            let watched = handle.watch(directory, RecursiveMode::NonRecursive);
            let is_watched = watched.as_ref().is_none_or(Result::is_ok);
            all &= is_watched;
            if is_watched {
                let interest = handle.outside.hold(by, (directory, *interest), node);
                // Under the handle: whoever comes to watch it as content registers first, and widens it after.
                let is_content = self.post.with(|board| board.is_content(directory));
                let interest = if is_content {
                    Interest::Files
                } else {
                    interest
                };
                handle.narrow.narrow(directory, interest);
            }
            drop(handle);
            drop(self.note_watched(Some(by), directory, watched));
        }
        all
    }

    fn unwatch(&self, by: WorkspaceId, directory: &Path) {
        let mut handle = self.handle();
        handle.streamed.remove(directory);
        // It fails when `notify` has dropped the watch by itself, after the event that made us ask.
        drop(handle.notify.unwatch(directory));
        drop(handle);
        self.note_restart(Some(by));
    }

    fn handle(&self) -> MutexGuard<'_, Handle> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where all share a stream, it has begun anew. Whoever asked for that looks at its directories next.
    fn note_restart(&self, by: Option<WorkspaceId>) {
        if !PER_DIRECTORY {
            let wake = self.post.with(|board| board.note_all_but(by));
            self.post.cookies.release();
            self.post.wake(wake);
        }
    }
}

impl Handle {
    /// Watches a directory; `None` if the one stream tells of it already.
    fn watch(&mut self, directory: &Path, mode: RecursiveMode) -> Option<notify::Result<()>> {
        if !PER_DIRECTORY && self.streamed.holds(directory, mode) {
            return None;
        }
        let watched = self.notify.watch(directory, mode);
        if !PER_DIRECTORY && watched.is_ok() {
            self.streamed.add(directory, mode);
        }
        Some(watched)
    }
}

impl Post {
    fn take(&self, event: notify::Result<Event>) {
        match event {
            Ok(event) if !event.need_rescan() => self.note(&event),
            Ok(_) | Err(_) => {
                // The kernel's queue overflowed or could not be read: there is no path in it, so nobody is spared.
                // Marked first, freed then: who waited finds "everything".
                let wake = self.with(Board::note_everything);
                self.cookies.release();
                self.wake(wake);
            }
        }
    }

    fn note(&self, event: &Event) {
        let Some(doubt) = doubt_of(&event.kind) else {
            return;
        };
        for path in &event.paths {
            let path = &*spelling::plain(path);
            if self.cookies.note(path) {
                continue;
            }
            let noise = path
                .file_name()
                .is_some_and(|name| is_noise(name.as_encoded_bytes()));
            if !noise {
                self.wake(self.with(|board| board.note(path, doubt)));
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Board) -> T) -> T {
        act(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wake(&self, wake: Wake) {
        if wake == Wake::Needed {
            self.wake.notify_one();
        }
    }
}

/// What an event puts in doubt; `None` for one that changes nothing or repeats another.
fn doubt_of(kind: &EventKind) -> Option<Doubt> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Doubt::Content),
        EventKind::Modify(ModifyKind::Data(_)) if PER_DIRECTORY => Some(Doubt::Writing),
        // Reading is no change, and our own reading would never end. `Both` repeats `From` and `To`.
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => Some(Doubt::Hook),
        EventKind::Create(_) | EventKind::Modify(_) | EventKind::Any | EventKind::Other => {
            Some(Doubt::Content)
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

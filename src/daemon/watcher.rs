//! The watcher: one inotify instance for the whole daemon, reduced to "these paths may differ".
//!
//! An event is a hint and the disk is the truth, so the callback on `notify`'s thread only marks a path on the board and
//! wakes the loop. It never watches (that would wait for itself), never touches a file, never blocks but for the board's
//! short lock. On Linux each directory has its own watch, which its tree asks for; elsewhere one recursive watch on
//! the root does, and its events are reason enough to look, but no reason not to: there a look lists everything.
//!
//! Four locks, each held for a moment and never two at a time: the board, the cookies that are awaited, the place of
//! `notify`'s handle, and the end of the last watcher. No I/O is done and no state of the daemon is behind any of them.
//! Whoever asks something of the handle has taken it out of its place and waits for a thread that may be waiting for the
//! board or the cookies; so nobody asks who has a lock. While it is asked, the board may be taken.

mod board;
mod cookie;
mod error;
mod handle;
mod life;
mod mounts;
mod narrow;
mod noise;
mod outside;
mod pin;
mod resume;
mod spelling;
mod streams;

pub use board::{Dirty, Doubt};
pub use cookie::Unsynced;
pub use error::{Limit, WatchError};
pub use life::{Panicked, panicked};
pub use mounts::tell_mounts;
pub use narrow::Interest;
pub(crate) use noise::{backed_up, is_noise};
pub use outside::Node as Inode;
pub use resume::tell_resume;

use crate::model::id::WorkspaceId;
use crate::model::path::RootPath;
use board::{Board, Wake};
use cookie::Cookies;
use handle::Shared;
use life::Life;
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecursiveMode};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
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
    life: Life,
    wake: Arc<Notify>,
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
        let post = Post::new(real, wake);
        post.cookies.prepare().map_err(prepare)?;
        let shared = Arc::new(Shared::start(Arc::new(post))?);
        Ok(Self { shared })
    }

    /// One that does nothing before an [`Eye`] begins to watch: no thread, no file.
    ///
    /// # Errors
    /// When there is no directory above that of the cookies.
    pub fn resting(cookies: &Path, wake: Arc<Notify>) -> Result<Self, WatchError> {
        let above = cookies.ancestors().skip(1).find(|above| above.is_dir());
        let above = above.unwrap_or(cookies);
        let real = fs::canonicalize(above).map_err(|source| WatchError::Prepare {
            path: cookies.to_path_buf(),
            source,
        })?;
        let below = cookies.strip_prefix(above).unwrap_or(cookies);
        let post = Post::new(real.join(below), wake);
        let shared = Arc::new(Shared::resting(Arc::new(post)));
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
        self.shared.post.lose_everything();
    }

    /// Whether no event comes any more, because `notify`'s thread has ended. One that rests has not.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let life = &self.shared.post.life;
        life.number().is_none() && !life.is_unborn()
    }

    /// Begins anew after that. Whoever had watches sets them again at his next look, and everything is in doubt. Blocks.
    ///
    /// # Errors
    /// When the kernel grants no inotify instance, or the directory of the cookies cannot be used.
    pub fn restart(&self) -> Result<(), WatchError> {
        self.shared.restart()
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
    /// Has a watcher that rests begin. Blocks.
    ///
    /// # Errors
    /// When the kernel grants no inotify instance, or the directory of the cookies cannot be used.
    pub fn begin(&self) -> Result<(), WatchError> {
        self.shared.begin()
    }

    /// Watches one directory, and says which one that is, where each has its own watch; a second time does no harm, and
    /// hooks it again if it is another inode by now.
    ///
    /// # Errors
    /// When there is none, it may not be read, or the kernel grants no more watches.
    pub fn watch(&self, directory: &Path) -> Result<Option<Inode>, WatchError> {
        if PER_DIRECTORY {
            let interest = if directory == self.root.as_path() {
                Interest::Files
            } else {
                Interest::Content
            };
            self.shared.watch_one(self.workspace, directory, interest)
        } else if directory == self.root.as_path() {
            let by = Some(self.workspace);
            let watched = self.shared.watch(by, directory, RecursiveMode::Recursive);
            watched.map(|()| None)
        } else {
            Ok(None)
        }
    }

    /// Stops watching one directory. By name: when a directory was renamed, its old name has to go before its new name
    /// is watched, since both mean the same watch of the kernel. One that another workspace has watched since, because it
    /// was moved there, is watched on.
    pub fn unwatch(&self, directory: &Path, inode: Inode) {
        let is_let_go = if PER_DIRECTORY {
            self.shared.unwatch_one(self.workspace, directory, inode)
        } else {
            let is_root = directory == self.root.as_path();
            if is_root {
                self.shared.unwatch(self.workspace, directory);
            }
            is_root
        };
        if is_let_go {
            let post = &self.shared.post;
            post.wake(post.with(|board| board.note_unwatched(self.workspace, directory)));
        }
    }

    /// Watches these directories for what is outside of the root, and no others from now on: those above it, to see it
    /// go and come, and those that hold `files`, of which each is a reason to look at the root. One that cannot be
    /// watched tells nothing; the next look does. Says whether all are watched.
    ///
    /// # Errors
    /// When the kernel grants no more watches.
    pub fn surround(
        &self,
        directories: &BTreeMap<PathBuf, Interest>,
        files: BTreeSet<PathBuf>,
    ) -> Result<bool, WatchError> {
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

    /// The number of the watcher that tells of events, which is another one after each end; `None` while there is none.
    #[must_use]
    pub fn watcher(&self) -> Option<u64> {
        self.shared.post.life.number()
    }

    /// Whether a path below the root may differ, or one above or below it.
    #[must_use]
    pub fn is_in_doubt(&self, below: &[u8]) -> bool {
        let post = &self.shared.post;
        post.with(|board| board.is_in_doubt(self.workspace, below))
    }

    /// Whether nothing may differ.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        let post = &self.shared.post;
        post.with(|board| board.is_sure(self.workspace))
    }

    /// Returns once every change that was made before the call is on the board. It is what a look waits for: when it is
    /// late again and again, the watcher is taken for dead.
    ///
    /// # Errors
    /// When that takes longer than `timeout`, the cookie cannot be written, or the watcher has ended.
    pub fn sync(&self, timeout: Duration) -> Result<(), Unsynced> {
        let post = &self.shared.post;
        let counted = post.life.counted();
        let synced = self.sync_in_passing(timeout);
        if let Err(Unsynced::Late { .. }) = &synced {
            post.note_late(counted);
        }
        synced
    }

    /// As [`Eye::sync`], for somebody who does not wait long: that this is late says nothing of the watcher.
    ///
    /// # Errors
    /// As [`Eye::sync`].
    pub fn sync_in_passing(&self, timeout: Duration) -> Result<(), Unsynced> {
        if self.watcher().is_none() {
            return Err(Unsynced::Ended);
        }
        let synced = self.wait_for_cookie(timeout);
        if synced.is_ok() {
            self.shared.post.life.note_in_time();
        }
        synced
    }

    fn wait_for_cookie(&self, timeout: Duration) -> Result<(), Unsynced> {
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

    /// Takes note of how many directories the workspace's tree has a watch on.
    pub fn note_watches(&self, watches: usize) {
        let post = &self.shared.post;
        post.with(|board| board.note_watches(self.workspace, watches));
    }

    /// How many directories the workspace may watch at most, as far as this daemon knows: the kernel's limit but for what
    /// the other workspaces have. `None` where no limit can be read.
    #[must_use]
    pub fn room(&self) -> Option<usize> {
        let limit = Limit::watches().value();
        let post = &self.shared.post;
        let others = post.with(|board| board.watches_of_others(self.workspace));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        (limit > 0).then(|| limit.saturating_sub(others))
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

impl Post {
    fn new(cookies: PathBuf, wake: Arc<Notify>) -> Self {
        Self {
            board: Mutex::default(),
            cookies: Cookies::new(cookies),
            life: Life::default(),
            wake,
        }
    }

    fn take(&self, event: notify::Result<Event>) {
        #[cfg(test)]
        assert!(!self.life.is_doomed(), "a test wants it to end");
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

    fn lose_everything(&self) {
        self.wake(self.with(Board::note_everything));
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

#[cfg(test)]
mod tests;

//! The handle of `notify`: what is asked of the kernel, by whom, and the watcher that is asked.
//!
//! Its calls wait for a thread that may be waiting for the board, so nobody who has the board asks for the handle. When
//! that thread has ended the handle is made anew, without a watch: whoever had some sets them again.

use super::life::Ear;
use super::narrow::{Interest, Narrow};
use super::outside::{self, Outside};
use super::streams::Streamed;
use super::{Inode, PER_DIRECTORY, Post, WatchError, spelling};
use crate::model::id::WorkspaceId;
use notify::RecursiveMode;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all eyes share.
pub(super) struct Shared {
    pub(super) post: Arc<Post>,
    handle: Mutex<Handle>,
    pub(super) closed: AtomicU64,
}

struct Handle {
    ear: Ear,
    /// Which workspace watched which directory last: the kernel has one watch of it for all.
    holders: BTreeMap<Inode, WorkspaceId>,
    /// Empty where each directory has its own watch.
    streamed: Streamed,
    outside: Outside,
    narrow: Narrow,
}

impl Shared {
    /// Begins to listen; nothing is watched yet but the cookies.
    pub(super) fn start(post: Arc<Post>) -> Result<Self, WatchError> {
        let shared = Self {
            handle: Mutex::new(Handle::start(&post)?),
            post,
            closed: AtomicU64::new(0),
        };
        shared.watch_cookies()?;
        Ok(shared)
    }

    /// Listens anew: what was watched is not any more, and everything is in doubt.
    pub(super) fn restart(&self) -> Result<(), WatchError> {
        let fresh = Handle::start(&self.post)?;
        let old = std::mem::replace(&mut *self.handle(), fresh);
        // It waits for nothing, but others wait for the handle.
        drop(old);
        let cookies = self.post.cookies.directory();
        let made = fs::create_dir_all(cookies).map_err(|source| WatchError::Prepare {
            path: cookies.to_path_buf(),
            source,
        });
        made.and_then(|()| self.watch_cookies())
            .inspect_err(|_| self.post.give_up())?;
        self.post.lose_everything();
        Ok(())
    }

    pub(super) fn watch_cookies(&self) -> Result<(), WatchError> {
        let directory = self.post.cookies.directory();
        // One that was made anew is watched anew.
        self.handle().streamed.remove(directory);
        self.watch(None, directory, RecursiveMode::NonRecursive)?;
        let mut handle = self.handle();
        if !handle.narrow.is_found() {
            handle.narrow = Narrow::find(directory);
        }
        Ok(())
    }

    /// Watches a directory of a workspace, and none below it.
    pub(super) fn watch_one(
        &self,
        by: WorkspaceId,
        directory: &Path,
        interest: Interest,
    ) -> Result<Option<Inode>, WatchError> {
        let spelled = spelling::of_watch(directory);
        let mut handle = self.handle();
        let mode = RecursiveMode::NonRecursive;
        handle.ear.watch(directory, &spelled, mode)?;
        handle.narrow.narrow(&spelled, interest);
        let inode = fs::metadata(&spelled).ok().map(|meta| outside::node(&meta));
        if let Some(inode) = inode {
            handle.holders.insert(inode, by);
        }
        Ok(inode)
    }

    /// Takes the watch of a workspace's directory away, unless it is wanted elsewhere by now; says whether it has.
    pub(super) fn unwatch_one(&self, by: WorkspaceId, directory: &Path, inode: Inode) -> bool {
        let mut handle = self.handle();
        let holder = handle.holders.get(&inode);
        if holder.is_some_and(|holder| *holder != by) {
            return false;
        }
        handle.holders.remove(&inode);
        let is_let_go = !handle.outside.has_elsewhere(directory, inode);
        if is_let_go {
            handle.ear.unwatch(&spelling::of_watch(directory));
        }
        is_let_go
    }

    pub(super) fn watch(
        &self,
        by: Option<WorkspaceId>,
        directory: &Path,
        mode: RecursiveMode,
    ) -> Result<(), WatchError> {
        let Some(watched) = self.handle().watch(directory, mode) else {
            return Ok(());
        };
        self.note_restart(by);
        watched
    }

    /// Takes away what nobody wants any more of what lies around the workspaces, and says what that was.
    pub(super) fn release(
        &self,
        by: WorkspaceId,
        directories: &BTreeMap<PathBuf, Interest>,
    ) -> Vec<PathBuf> {
        let mut handle = self.handle();
        let mut gone = handle.outside.release(by, directories);
        // Under one lock: who comes to watch one of them meanwhile would lose it.
        gone.retain(|(directory, node)| handle.let_go(directory, *node));
        drop(handle);
        if !gone.is_empty() {
            self.note_restart(Some(by));
        }
        gone.into_iter().map(|(directory, _)| directory).collect()
    }

    /// Watches these for a workspace; says whether all are.
    pub(super) fn surround(
        &self,
        by: WorkspaceId,
        directories: &BTreeMap<PathBuf, Interest>,
    ) -> bool {
        let mut all = true;
        // In their order, each after those above it: whatever moves then is an event of one that is watched already.
        for (directory, interest) in directories {
            let Ok(meta) = fs::metadata(directory) else {
                all = false;
                continue;
            };
            let mut handle = self.handle();
            let node = outside::node(&meta);
            let other = handle.outside.other(directory, node);
            if let Some(other) = other.filter(|_| PER_DIRECTORY) {
                handle.let_go(directory, other);
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
            if watched.is_some() {
                self.note_restart(Some(by));
            }
        }
        all
    }

    pub(super) fn unwatch(&self, by: WorkspaceId, directory: &Path) {
        let mut handle = self.handle();
        handle.streamed.remove(directory);
        handle.ear.unwatch(directory);
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
    fn start(post: &Arc<Post>) -> Result<Self, WatchError> {
        Ok(Self {
            ear: Ear::start(post)?,
            holders: BTreeMap::new(),
            streamed: Streamed::default(),
            outside: Outside::default(),
            narrow: Narrow::default(),
        })
    }

    /// Watches a directory around the workspaces no more, and says so: one that is watched under another name by now, or
    /// as some workspace's content, has one watch of the kernel for all of that. Then only its name stays with `notify`.
    fn let_go(&mut self, directory: &Path, node: Inode) -> bool {
        let is_shared =
            self.holders.contains_key(&node) || self.outside.has_elsewhere(directory, node);
        if PER_DIRECTORY && is_shared {
            return false;
        }
        self.streamed.remove(directory);
        self.ear.unwatch(directory);
        true
    }

    /// Watches a directory; `None` if the one stream tells of it already.
    fn watch(&mut self, directory: &Path, mode: RecursiveMode) -> Option<Result<(), WatchError>> {
        if !PER_DIRECTORY && self.streamed.holds(directory, mode) {
            return None;
        }
        let watched = self.ear.watch(directory, directory, mode);
        if !PER_DIRECTORY && watched.is_ok() {
            self.streamed.add(directory, mode);
        }
        Some(watched)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

//! The handle of `notify`: what is asked of the kernel, by whom, and the watcher that is asked.
//!
//! Its calls wait for a thread that may be waiting for the board, so nobody who has the board asks for the handle. When
//! that thread has ended the handle is made anew, without a watch: whoever had some sets them again. Who asks takes the
//! handle out meanwhile, and no lock is held: a thread of `notify` that hangs in the kernel, on a disk that does not
//! answer, holds up who asked it, and the others until another handle stands in its place.

use super::life::Ear;
use super::narrow::{Interest, Narrow};
use super::outside::Outside;
use super::pin::{Links, Pin};
use super::spelling::Spell;
use super::streams::Streamed;
use super::{Inode, PER_DIRECTORY, Post, WatchError, spelling};
use crate::disk::identity;
use crate::limits::WATCHER_CLOSE_MAX;
use crate::model::id::WorkspaceId;
use notify::RecursiveMode;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What all eyes share.
pub(super) struct Shared {
    pub(super) post: Arc<Post>,
    slot: Mutex<Slot>,
    /// The handle has been brought back, or another one has been put there.
    back: Condvar,
    pub(super) closed: AtomicU64,
}

/// The place of the handle.
struct Slot {
    /// Which handle belongs here; one that was taken out before another came is dropped.
    number: u64,
    /// `None` while somebody asks something of it.
    home: Option<Box<Handle>>,
    /// The inotify instance that was found last.
    queue: Option<i32>,
}

struct Handle {
    ear: Ear,
    /// Which workspace watched which directory last: the kernel has one watch of it for all.
    holders: BTreeMap<Inode, WorkspaceId>,
    /// Empty where each directory has its own watch.
    streamed: Streamed,
    outside: Outside,
    narrow: Narrow,
    pin: Pin,
}

impl Shared {
    /// Begins to listen; nothing is watched yet but the cookies.
    pub(super) fn start(post: Arc<Post>) -> Result<Self, WatchError> {
        let slot = Slot {
            number: 0,
            home: Some(Box::new(Handle::of(Ear::start(&post)?))),
            queue: None,
        };
        let shared = Self {
            slot: Mutex::new(slot),
            back: Condvar::new(),
            post,
            closed: AtomicU64::new(0),
        };
        shared.watch_cookies()?;
        Ok(shared)
    }

    /// Listens to nothing before it is asked to begin.
    pub(super) fn resting(post: Arc<Post>) -> Self {
        let slot = Slot {
            number: 0,
            home: Some(Box::new(Handle::of(Ear::deaf()))),
            queue: None,
        };
        Self {
            slot: Mutex::new(slot),
            back: Condvar::new(),
            post,
            closed: AtomicU64::new(0),
        }
    }

    /// Begins to listen, unless it has begun.
    pub(super) fn begin(&self) -> Result<(), WatchError> {
        if !self.post.life.is_unborn() {
            return Ok(());
        }
        self.post.cookies.prepare().map_err(|source| {
            let path = self.post.cookies.directory().to_path_buf();
            WatchError::Prepare { path, source }
        })?;
        self.put(Handle::of(Ear::start(&self.post)?));
        self.watch_cookies().inspect_err(|_| self.post.give_up())
    }

    /// Listens anew: what was watched is not any more, and everything is in doubt.
    pub(super) fn restart(&self) -> Result<(), WatchError> {
        self.put(Handle::of(Ear::deaf()));
        // Its watches count against the limit, and it watches the cookies too, until its thread has come to its end.
        self.post.life.wait_until_gone(WATCHER_CLOSE_MAX);
        self.put(Handle::of(Ear::start(&self.post)?));
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
        self.with(|handle| handle.streamed.remove(directory));
        self.watch(None, directory, RecursiveMode::NonRecursive)?;
        let former = self.slot().queue;
        let found = self.with(|handle| {
            if !handle.narrow.is_found() {
                handle.narrow = Narrow::find(directory, former);
            }
            handle.narrow.number()
        });
        self.slot().queue = found.or(former);
        Ok(())
    }

    /// Watches a directory of a workspace, and none below it.
    pub(super) fn watch_one(
        &self,
        by: WorkspaceId,
        directory: &Path,
        interest: Interest,
    ) -> Result<Option<Inode>, WatchError> {
        self.with(|handle| {
            let inode = handle.watch_one(directory, interest)?;
            if let Some(inode) = inode {
                handle.holders.insert(inode, by);
            }
            Ok(inode)
        })
    }

    /// Takes the watch of a workspace's directory away, unless it is wanted elsewhere by now; says whether it has.
    pub(super) fn unwatch_one(&self, by: WorkspaceId, directory: &Path, inode: Inode) -> bool {
        self.with(|handle| {
            let holder = handle.holders.get(&inode);
            if holder.is_some_and(|holder| *holder != by) {
                return false;
            }
            handle.holders.remove(&inode);
            let is_let_go = !handle.outside.has_elsewhere(directory, inode);
            if is_let_go {
                handle.unset(directory, spelling::of_watch);
            }
            is_let_go
        })
    }

    pub(super) fn watch(
        &self,
        by: Option<WorkspaceId>,
        directory: &Path,
        mode: RecursiveMode,
    ) -> Result<(), WatchError> {
        let Some(watched) = self.with(|handle| handle.watch(directory, mode)) else {
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
        let gone = self.with(|handle| {
            // At once: who comes to watch one of them in between would lose it.
            let mut gone = handle.outside.release(by, directories);
            gone.retain(|(directory, node)| handle.let_go(directory, *node));
            gone
        });
        if !gone.is_empty() {
            self.note_restart(Some(by));
        }
        gone.into_iter().map(|(directory, _)| directory).collect()
    }

    /// Watches these for a workspace; says whether all are.
    ///
    /// # Errors
    /// When the kernel grants no more watches: nobody knows when that is over, as he does of one that is not there.
    pub(super) fn surround(
        &self,
        by: WorkspaceId,
        directories: &BTreeMap<PathBuf, Interest>,
    ) -> Result<bool, WatchError> {
        let mut all = true;
        // In their order, each after those above it: whatever moves then is an event of one that is watched already.
        for (directory, interest) in directories {
            let around = (&**directory, *interest);
            let watched = self.with(|handle| handle.surround(by, around, &self.post));
            let is_new = watched.is_some();
            match watched {
                None | Some(Ok(())) => {}
                Some(Err(refused @ WatchError::Watches { .. })) => return Err(refused),
                Some(Err(_)) => all = false,
            }
            if is_new {
                self.note_restart(Some(by));
            }
        }
        Ok(all)
    }

    pub(super) fn unwatch(&self, by: WorkspaceId, directory: &Path) {
        self.with(|handle| {
            handle.streamed.remove(directory);
            handle.ear.unwatch(directory);
        });
        self.note_restart(Some(by));
    }

    /// Asks something of the handle, once nobody else does.
    fn with<T>(&self, ask: impl FnOnce(&mut Handle) -> T) -> T {
        let mut slot = self.slot();
        let mut handle = loop {
            match slot.home.take() {
                Some(handle) => break handle,
                None => {
                    slot = self.back.wait(slot).unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        let number = slot.number;
        drop(slot);
        let answer = ask(&mut handle);
        let mut slot = self.slot();
        if slot.number == number {
            slot.home = Some(handle);
            self.back.notify_one();
        }
        answer
    }

    /// Puts another handle in the place of the one that is there, or of the one that will be brought back.
    fn put(&self, handle: Handle) {
        let mut slot = self.slot();
        slot.number = slot.number.wrapping_add(1);
        let old = slot.home.replace(Box::new(handle));
        self.back.notify_all();
        drop(slot);
        // Its thread is told to end; nobody waits for that here.
        drop(old);
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
impl super::Watcher {
    /// Lets the kernel refuse all watches but so many.
    pub(crate) fn grant(&self, watches: Option<u32>) {
        self.shared.with(|handle| handle.ear.grant(watches));
    }
}

#[cfg(all(test, target_os = "linux"))]
impl Shared {
    /// The number of the inotify instance.
    pub(super) fn instance(&self) -> Option<i32> {
        self.with(|handle| handle.narrow.number())
    }

    /// Which directory is recorded as watched around a workspace under this name.
    pub(super) fn node_around(&self, directory: &Path) -> Option<Inode> {
        self.with(|handle| handle.outside.node(directory))
    }

    /// Whether somebody asks something of the handle.
    pub(super) fn is_asked(&self) -> bool {
        self.slot().home.is_none()
    }
}

impl Handle {
    /// Nothing is watched yet.
    fn of(ear: Ear) -> Self {
        Self {
            ear,
            holders: BTreeMap::new(),
            streamed: Streamed::default(),
            outside: Outside::default(),
            narrow: Narrow::default(),
            pin: Pin::new(),
        }
    }

    /// Does something while the directory that is at this path now is held, and says which one that is, where it can be
    /// said for certain.
    fn during<T>(
        &mut self,
        (directory, links): (&Path, Links),
        act: impl FnOnce(&mut Self, Option<Inode>) -> T,
    ) -> Result<(T, Option<Inode>), WatchError> {
        let failed = |source| WatchError::open(directory, source);
        let inode = self.pin.hold(directory, links).map_err(failed)?;
        let done = act(self, inode);
        self.pin.let_go().map_err(failed)?;
        Ok((done, inode))
    }

    /// Watches what is held, and returns the name under which `notify` knows it.
    fn set<'a>(&mut self, directory: &'a Path, spell: Spell) -> Result<Cow<'a, Path>, WatchError> {
        let spelled = spell(directory, self.pin.number());
        let mode = RecursiveMode::NonRecursive;
        match self.ear.watch(directory, &spelled, mode) {
            // Behind a link it may lie deeper than its path says, and the way to what is held does not begin there.
            Err(WatchError::Gone { .. }) if self.pin.number().is_some() => {
                let named = spell(directory, None);
                self.ear.watch(directory, &named, mode).map(|()| named)
            }
            watched => watched.map(|()| spelled),
        }
    }

    /// Takes the watch away that was set under one of these names.
    fn unset(&mut self, directory: &Path, spell: Spell) {
        let number = self.pin.number();
        if !self.ear.unwatch(&spell(directory, number)) && number.is_some() {
            self.ear.unwatch(&spell(directory, None));
        }
    }

    /// Watches the directory that is at this path now, and says which one that is.
    fn watch_one(
        &mut self,
        directory: &Path,
        interest: Interest,
    ) -> Result<Option<Inode>, WatchError> {
        let (watched, inode) = self.during((directory, Links::Shunned), |handle, _| {
            let spelled = handle.set(directory, spelling::of_watch)?;
            handle.narrow.narrow(&spelled, interest);
            Ok(())
        })?;
        watched?;
        Ok(inode.or_else(|| by_name(directory)))
    }

    /// Watches a directory around a workspace's root; `None` if the one stream tells of it already.
    fn surround(
        &mut self,
        by: WorkspaceId,
        (directory, interest): (&Path, Interest),
        post: &Post,
    ) -> Option<Result<(), WatchError>> {
        let held = self.during((directory, Links::Followed), |handle, inode| {
            let path = directory.to_path_buf();
            let Some(node) = inode.or_else(|| by_name(directory)) else {
                return Some(Err(WatchError::Gone { path }));
            };
            let other = handle.outside.other(directory, node);
            if let Some(other) = other.filter(|_| PER_DIRECTORY) {
                handle.let_go(directory, other);
            }
            let (watched, spelled) = match handle.watch_around(directory) {
                None => (None, Cow::Borrowed(directory)),
                Some(Ok(spelled)) => (Some(Ok(())), spelled),
                Some(Err(error)) => return Some(Err(error)),
            };
            let interest = handle.outside.hold(by, (directory, interest), node);
            // While it is asked: whoever comes to watch it as content registers first, and widens it after.
            let is_content = post.with(|board| board.is_content(directory));
            let interest = if is_content {
                Interest::Files
            } else {
                interest
            };
            handle.narrow.narrow(&spelled, interest);
            watched
        });
        match held {
            Ok((watched, _)) => watched,
            Err(error) => Some(Err(error)),
        }
    }

    /// Watches what is held, or what is there where one stream tells of everything; `None` if that does so already.
    fn watch_around<'a>(
        &mut self,
        directory: &'a Path,
    ) -> Option<Result<Cow<'a, Path>, WatchError>> {
        if PER_DIRECTORY {
            return Some(self.set(directory, spelling::of_surrounding));
        }
        let watched = self.watch(directory, RecursiveMode::NonRecursive)?;
        Some(watched.map(|()| Cow::Borrowed(directory)))
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
        self.unset(directory, spelling::of_surrounding);
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

/// Which directory is at a path now.
fn by_name(directory: &Path) -> Option<Inode> {
    let meta = fs::metadata(directory).ok()?;
    Some(identity::node(&meta))
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

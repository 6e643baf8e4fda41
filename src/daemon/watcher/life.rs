//! Life and end of `notify`'s thread: without it no event ever comes, and nothing else would tell.
//!
//! The callback owns a [`Guard`], which is dropped with it, however the thread ends. A thread that lives and yet tells of
//! nothing shows by cookies that never come. Either way the watcher has *ended*: everything is in doubt, no sync goes
//! well, and the loop starts another. `notify` takes it for a bug of its caller when it is asked something after the end,
//! and panics: these panics are caught, and end nothing.

use super::{Post, WatchError};
use crate::limits::SYNCS_LATE_MAX;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

thread_local! {
    static SPARED: Cell<bool> = const { Cell::new(false) };
}

/// What a panic of this thread means to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panicked {
    /// A bug: nobody knows what holds after it.
    Bug,
    /// `notify`'s thread ends, which is seen and mended.
    Watcher,
    /// `notify` was asked after that.
    Asked,
}

/// What a panic of this thread means.
#[must_use]
pub fn panicked() -> Panicked {
    let thread = std::thread::current();
    let own = |name: &str| name.starts_with("notify-rs");
    match (SPARED.get(), thread.name().is_some_and(own)) {
        (true, _) => Panicked::Asked,
        (false, true) => Panicked::Watcher,
        (false, false) => Panicked::Bug,
    }
}

/// Does what panics if the thread has ended; nothing comes of it then.
fn spared<T>(act: impl FnOnce() -> T) -> Option<T> {
    SPARED.set(true);
    let done = catch_unwind(AssertUnwindSafe(act));
    SPARED.set(false);
    done.ok()
}

/// Which watcher counts, and whether it has ended. They are numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Life {
    current: AtomicU64,
    /// The last that has ended.
    ended: AtomicU64,
    /// The last of which nothing is left: its inotify instance is closed.
    gone: Mutex<u64>,
    left: Condvar,
    /// Syncs in a row that were late.
    late: AtomicU32,
    /// How many of all syncs counted as late.
    counted: AtomicU64,
    #[cfg(test)]
    doomed: std::sync::atomic::AtomicBool,
}

impl Life {
    fn begin(&self) -> u64 {
        self.late.store(0, Ordering::SeqCst);
        self.current
            .fetch_add(1, Ordering::SeqCst)
            .saturating_add(1)
    }

    /// Whether that was the one that counts, and nobody knew.
    fn end(&self, number: u64) -> bool {
        let before = self.ended.fetch_max(number, Ordering::SeqCst);
        before < number && self.current.load(Ordering::SeqCst) == number
    }

    /// The number of the watcher that tells of events; `None` while there is none.
    pub(super) fn number(&self) -> Option<u64> {
        let current = self.current.load(Ordering::SeqCst);
        Some(current).filter(|current| self.ended.load(Ordering::SeqCst) < *current)
    }

    /// Whether none was ever needed.
    pub(super) fn is_unborn(&self) -> bool {
        self.current.load(Ordering::SeqCst) == 0
    }

    fn note_gone(&self, number: u64) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        *gone = number.max(*gone);
        self.left.notify_all();
    }

    /// Waits until nothing is left of the last one that began, for so long at most: its thread may hang in the kernel.
    pub(super) fn wait_until_gone(&self, timeout: Duration) {
        let current = self.current.load(Ordering::SeqCst);
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .left
            .wait_timeout_while(gone, timeout, |gone| *gone < current);
        drop(waited);
    }

    /// What a sync that begins now has to know should it be late.
    pub(super) fn counted(&self) -> u64 {
        self.counted.load(Ordering::SeqCst)
    }

    /// A sync has gone well.
    pub(super) fn note_in_time(&self) {
        self.late.store(0, Ordering::SeqCst);
    }

    /// A sync was late that began when so many had been counted; says how many in a row were. Several that waited at the
    /// same time are one.
    fn note_late(&self, counted: u64) -> u32 {
        let next = counted.wrapping_add(1);
        let (set, see) = (Ordering::SeqCst, Ordering::SeqCst);
        match self.counted.compare_exchange(counted, next, set, see) {
            Ok(_) => self.late.fetch_add(1, Ordering::SeqCst).saturating_add(1),
            Err(_) => 0,
        }
    }
}

#[cfg(test)]
impl Life {
    /// Whether the thread is to panic at its next event.
    pub(super) fn is_doomed(&self) -> bool {
        self.doomed.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
impl super::Watcher {
    /// Ends the thread, as a bug in it would.
    pub(crate) fn kill(&self) {
        let post = &self.shared.post;
        post.life.doomed.store(true, Ordering::SeqCst);
        while !self.has_ended() {
            // Its event ends the thread; nobody is told that it came.
            let late = post.cookies.wait(Duration::from_millis(100));
            drop(late);
        }
    }
}

impl Post {
    /// A look's sync was late that began when so many had been counted.
    pub(super) fn note_late(&self, counted: u64) {
        if self.life.note_late(counted) >= SYNCS_LATE_MAX {
            tracing::warn!("the watcher tells of nothing any more");
            self.give_up();
        }
    }

    /// The watcher that counts is of no use.
    pub(super) fn give_up(&self) {
        self.end(self.life.current.load(Ordering::SeqCst));
    }

    fn end(&self, number: u64) {
        if self.life.end(number) {
            self.lose_everything();
            // Whoever waits finds everything in doubt, and nobody to tell of what comes.
            self.cookies.release();
            self.wake.notify_one();
        }
    }
}

/// What the callback has hold of: it tells of its own end.
pub(super) struct Guard {
    post: Arc<Post>,
    number: u64,
}

impl Guard {
    /// One whose place another has taken is not listened to any more: it may be behind, and the cookies that it still sees
    /// tell nothing of what the other has yet to read. Everything is in doubt since the other began.
    fn hear(&self, event: notify::Result<Event>) {
        if self.post.life.current.load(Ordering::SeqCst) == self.number {
            self.post.take(event);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
impl Post {
    /// Hears an event as the watcher of this number does, at its end.
    pub(super) fn hear(self: &Arc<Self>, number: u64, event: Event) {
        let post = Arc::clone(self);
        Guard { post, number }.hear(Ok(event));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.post.end(self.number);
        // `notify` has closed its inotify instance before it lets go of its callback.
        self.post.life.note_gone(self.number);
    }
}

/// `notify`'s watcher, of which things may be asked although its thread has ended.
pub(super) struct Ear {
    notify: Option<RecommendedWatcher>,
    /// Watches that are set before the next one is refused.
    #[cfg(test)]
    granted: Option<u32>,
}

#[cfg(test)]
impl Ear {
    pub(super) fn grant(&mut self, watches: Option<u32>) {
        self.granted = watches;
    }
}

impl Ear {
    /// One that hears nothing and can be asked for nothing.
    pub(super) fn deaf() -> Self {
        Self::of(None)
    }

    fn of(notify: Option<RecommendedWatcher>) -> Self {
        Self {
            notify,
            #[cfg(test)]
            granted: None,
        }
    }

    /// Begins to listen.
    pub(super) fn start(post: &Arc<Post>) -> Result<Self, WatchError> {
        let config = notify::Config::default().with_follow_symlinks(false);
        let guard = Guard {
            post: Arc::clone(post),
            number: post.life.begin(),
        };
        match RecommendedWatcher::new(move |event| guard.hear(event), config) {
            Ok(notify) => Ok(Self::of(Some(notify))),
            Err(source) => Err(WatchError::start(post.cookies.directory(), source)),
        }
    }

    /// Watches a directory, under the name that `notify` is to know.
    pub(super) fn watch(
        &mut self,
        directory: &Path,
        spelled: &Path,
        mode: RecursiveMode,
    ) -> Result<(), WatchError> {
        #[cfg(test)]
        if let Some(granted) = &mut self.granted {
            let left = granted.checked_sub(1);
            *granted = left.ok_or_else(|| WatchError::no_room(directory))?;
        }
        let watched = self.ask(|notify| notify.watch(spelled, mode));
        let watched = watched.ok_or(WatchError::Ended)?;
        watched.map_err(|source| WatchError::watch(directory, source))
    }

    /// Watches it no more; says whether `notify` knew it by that name. It may have dropped the watch by itself, after the
    /// event that made us ask.
    pub(super) fn unwatch(&mut self, spelled: &Path) -> bool {
        let told = self.ask(|notify| notify.unwatch(spelled));
        !matches!(told, Some(Err(error)) if matches!(error.kind, notify::ErrorKind::WatchNotFound))
    }

    fn ask<T>(&mut self, act: impl FnOnce(&mut RecommendedWatcher) -> T) -> Option<T> {
        let notify = self.notify.as_mut()?;
        let told = spared(|| act(notify));
        if told.is_none() {
            self.close();
        }
        told
    }

    fn close(&mut self) {
        let notify = self.notify.take();
        // It says goodbye to its thread, and panics where there is none.
        spared(|| drop(notify)).unwrap_or_default();
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.close();
    }
}

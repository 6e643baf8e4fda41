//! Several syncs at once: a disk flushes for all who wait, so that many syncs together cost little more than one.
//!
//! One after the other, each waits for a flush of its own and, on a busy machine, for its turn to run. What is synced
//! together has no order among itself; whoever needs one calls twice. Nothing here is tried again. The threads are the
//! runtime's blocking ones, which are there already; outside of a runtime the caller's thread does it all.

use super::{Act, DurableError, fail, probe};
use crate::limits::SYNC_THREADS_MAX;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use tokio::runtime::Handle;

type Synced = Result<(), DurableError>;

/// What is to be synced, and how far everybody has come with it.
struct Work<T> {
    items: Vec<T>,
    sync: fn(&T) -> Synced,
    next: AtomicUsize,
}

impl<T> Work<T> {
    fn take_part(&self, out: &mpsc::Sender<Synced>) {
        while let Some(item) = self.items.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            // Nobody listens any more after a panic, which is told elsewhere.
            drop(out.send((self.sync)(item)));
        }
    }
}

/// Syncs all `items`, each by `sync`, and returns the first failure.
pub(super) fn sync<T: Send + Sync + 'static>(
    items: Vec<T>,
    path: fn(&T) -> &Path,
    sync: fn(&T) -> Synced,
) -> Synced {
    sync_beside(items, path, sync, || ()).0
}

/// As [`sync`], and does `meanwhile` on the caller's thread before it takes part.
pub(super) fn sync_beside<T: Send + Sync + 'static, R>(
    mut items: Vec<T>,
    path: fn(&T) -> &Path,
    sync: fn(&T) -> Synced,
    meanwhile: impl FnOnce() -> R,
) -> (Synced, R) {
    // A test that ends the "process" in between counts on this thread.
    let mut allowed = 0;
    let mut cut = Ok(());
    for item in &items {
        cut = probe::step(path(item));
        if cut.is_err() {
            break;
        }
        probe::synced();
        allowed += 1;
    }
    items.truncate(allowed);
    let next = AtomicUsize::new(0);
    let work = Arc::new(Work { items, sync, next });
    let (out, results) = mpsc::channel();
    if let Ok(runtime) = Handle::try_current() {
        for _ in 1..allowed.min(SYNC_THREADS_MAX) {
            let (work, out) = (Arc::clone(&work), out.clone());
            // One that comes too late finds nothing left to do.
            drop(runtime.spawn_blocking(move || work.take_part(&out)));
        }
    }
    let aside = meanwhile();
    work.take_part(&out);
    drop(out);
    let mut done = Ok(());
    for item in &work.items {
        let lost = |_| fail(Act::Sync, path(item))(io::Error::other("its sync was given up"));
        done = done.and(results.recv().map_err(lost).flatten());
    }
    (done.and(cut), aside)
}

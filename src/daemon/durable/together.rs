//! Several syncs at once: a disk flushes for all who wait, so that many syncs together cost little more than one.
//!
//! One after the other, each waits for a flush of its own and, on a busy machine, for its turn to run. What is synced
//! together has no order among itself; whoever needs one calls twice. Nothing here is tried again.

use super::{DurableError, probe};
use crate::limits::SYNC_THREADS_MAX;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Builder;

/// Syncs all `items`, each by `sync`, and returns the first failure.
pub(super) fn sync<T: Sync>(
    items: &[T],
    path: impl Fn(&T) -> &Path,
    sync: impl Fn(&T) -> Result<(), DurableError> + Sync,
) -> Result<(), DurableError> {
    // A test that ends the "process" in between counts on this thread.
    let mut allowed = 0;
    let mut cut = Ok(());
    for item in items {
        cut = probe::step(path(item));
        if cut.is_err() {
            break;
        }
        probe::synced();
        allowed += 1;
    }
    let items = items.get(..allowed).unwrap_or_default();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Ok(());
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            done = done.and(sync(item));
        }
        done
    };
    let synced = std::thread::scope(|scope| {
        let others = 1..items.len().min(SYNC_THREADS_MAX);
        // Without further threads this one does it all.
        let others = others.map_while(|_| {
            let named = Builder::new().name("sync".to_owned());
            named.spawn_scoped(scope, work).ok()
        });
        let others: Vec<_> = others.collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(theirs) => done = done.and(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    synced.and(cut)
}

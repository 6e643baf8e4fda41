//! A crew: the same done to many things, by as many threads as pay.
//!
//! Threads are help, not need: whoever asks works, too, and does it all where the system grants no thread.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Builder;

/// Threads, beside the one that asks, that pay for so many things of which one thread does `alone` as fast as it takes to
/// start another; never more than `most`.
pub(in crate::daemon) fn helpers(things: usize, alone: usize, most: usize) -> usize {
    let wanted = (things / alone).min(most);
    if wanted == 0 {
        return 0;
    }
    // It takes some files to say.
    static CORES: OnceLock<usize> = OnceLock::new();
    let count = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    wanted.min(*CORES.get_or_init(count))
}

/// Does `act` to each, and `meanwhile` on the thread that asks, which helps then. The answers stand in the order of the
/// things.
pub(in crate::daemon) fn spread<I: Sync, O: Send, T>(
    things: &[I],
    helpers: usize,
    act: impl Fn(&I) -> O + Sync,
    meanwhile: impl FnOnce() -> T,
) -> (Vec<O>, T) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, thing)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            things.get(at).map(|thing| (at, thing))
        } {
            done.push((at, act(thing)));
        }
        done
    };
    let (mut parts, other) = std::thread::scope(|scope| {
        let threads = (0..helpers).map_while(|_| Builder::new().spawn_scoped(scope, work).ok());
        let threads: Vec<_> = threads.collect();
        let other = meanwhile();
        let mut parts = work();
        for thread in threads {
            match thread.join() {
                Ok(part) => parts.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        (parts, other)
    });
    parts.sort_unstable_by_key(|(at, _)| *at);
    (parts.into_iter().map(|(_, done)| done).collect(), other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_help_each_answer_stands_at_its_place() {
        let things: Vec<usize> = (0..1000).collect();
        for helpers in [0, 1, 5] {
            let (doubled, other) = spread(&things, helpers, |thing| thing * 2, || 7);
            assert_eq!(other, 7);
            assert!(
                doubled
                    .iter()
                    .zip(&things)
                    .all(|(two, one)| *two == one * 2)
            );
            assert_eq!(doubled.len(), things.len());
        }
        assert_eq!(helpers(7, 8, 4), 0);
        assert!((1..=4).contains(&helpers(8000, 8, 4)));
    }
}

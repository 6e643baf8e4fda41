//! Counts what [`Dir`](super::Dir) does to the disk, and lets a test end the "process" after any of it.
//!
//! Outside of tests every function here is empty. The counters are the thread's own, because a desk works on one thread.

#[cfg(test)]
pub(crate) use counted::{crash_after, measure};
#[cfg(test)]
pub(super) use counted::{fill, step, synced};
#[cfg(not(test))]
pub(super) use live::{fill, step, synced};

#[cfg(not(test))]
mod live {
    use super::super::DurableError;
    use std::fs::File;
    use std::path::Path;

    #[inline]
    #[expect(clippy::unnecessary_wraps, reason = "under test it can fail")]
    pub(in super::super) fn step(_: &Path) -> Result<(), DurableError> {
        Ok(())
    }

    #[inline]
    #[expect(clippy::unnecessary_wraps, reason = "under test it can fail")]
    pub(in super::super) fn fill(_: &mut File, _: &[u8], _: &Path) -> Result<(), DurableError> {
        Ok(())
    }

    #[inline]
    pub(in super::super) fn synced() {}
}

#[cfg(test)]
mod counted {
    use super::super::{Act, DurableError};
    use std::cell::Cell;
    use std::fs::File;
    use std::io::{self, Write as _};
    use std::path::Path;

    thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
        static SYNCS: Cell<u64> = const { Cell::new(0) };
        static LAST: Cell<u64> = const { Cell::new(u64::MAX) };
    }

    /// What happened to the disk.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Counts {
        /// Acts that change the disk.
        pub(crate) steps: u64,
        /// Syncs among them.
        pub(crate) syncs: u64,
    }

    /// Runs `act` and counts what it does to the disk on this thread.
    pub(crate) fn measure<T>(act: impl FnOnce() -> T) -> (T, Counts) {
        let before = (STEPS.get(), SYNCS.get());
        let done = act();
        let counts = Counts {
            steps: STEPS.get() - before.0,
            syncs: SYNCS.get() - before.1,
        };
        (done, counts)
    }

    /// Runs `act`; after `steps` acts nothing more reaches the disk, as if the process had been killed there. A write
    /// that is cut this way leaves half of its bytes.
    pub(crate) fn crash_after<T>(steps: u64, act: impl FnOnce() -> T) -> T {
        LAST.set(STEPS.get() + steps);
        let done = act();
        LAST.set(u64::MAX);
        done
    }

    pub(in super::super) fn step(path: &Path) -> Result<(), DurableError> {
        if STEPS.get() >= LAST.get() {
            return Err(DurableError {
                act: Act::Fill,
                path: path.to_path_buf(),
                source: io::Error::other("killed here"),
            });
        }
        STEPS.set(STEPS.get() + 1);
        Ok(())
    }

    pub(in super::super) fn fill(
        file: &mut File,
        bytes: &[u8],
        path: &Path,
    ) -> Result<(), DurableError> {
        step(path).inspect_err(|_| drop(file.write_all(&bytes[..bytes.len() / 2])))
    }

    pub(in super::super) fn synced() {
        SYNCS.set(SYNCS.get() + 1);
    }
}

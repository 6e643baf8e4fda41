//! Cookies: files whose own event tells that every earlier event has been seen.
//!
//! An inotify instance has one queue for all its watches, in the order in which the kernel did the work. So *one*
//! private directory in the daemon's state serves every workspace, read-only ones too: when the event of a cookie comes
//! out of the queue, whatever was done before it was written is on the board. A cookie is a further name of one file,
//! because a name is cheap everywhere, and a file that is made and removed for each question is not. Where events come over another way
//! (FSEvents), a cookie shows only that events flow: see [`ORDERED`](super::ORDERED).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Why nobody knows whether every earlier change was seen.
#[derive(Debug, thiserror::Error)]
pub enum Unsynced {
    /// The thread that tells of events has ended.
    #[error("the watcher has ended, and another one is being started")]
    Ended,
    /// The kernel's queue is long, or the watcher is dead.
    #[error("the watcher has not caught up within {} ms", waited.as_millis())]
    Late {
        /// How long was waited.
        waited: Duration,
    },
    /// The cookie could not be written.
    #[error("failed to write the cookie `{}`", path.display())]
    Write {
        /// The cookie.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The file whose further names the cookies are.
const FILE: &str = "cookie";

/// The cookies of one watcher.
#[derive(Debug)]
pub(super) struct Cookies {
    directory: PathBuf,
    state: Mutex<State>,
    seen: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    awaited: BTreeSet<u64>,
}

impl Cookies {
    /// Those of a directory; its real path, since events carry that.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            state: Mutex::default(),
            seen: Condvar::new(),
        }
    }

    /// Makes the directory, and sweeps what an earlier daemon left there.
    pub(super) fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        for left in fs::read_dir(&self.directory)? {
            fs::remove_file(left?.path())?;
        }
        fs::File::create_new(self.directory.join(FILE)).map(drop)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Takes note of an event; false if the path is no cookie's.
    pub(super) fn note(&self, path: &Path) -> bool {
        let Ok(name) = path.strip_prefix(&self.directory) else {
            return false;
        };
        if let Some(number) = name.to_str().and_then(|name| name.parse::<u64>().ok()) {
            self.with(|state| state.awaited.remove(&number));
            self.seen.notify_all();
        }
        true
    }

    /// Frees everybody who waits: the queue overflowed, so the board already says "everything" and no cookie may come.
    pub(super) fn release(&self) {
        self.with(|state| state.awaited.clear());
        self.seen.notify_all();
    }

    /// Writes a cookie and waits until its event has been noted.
    pub(super) fn wait(&self, timeout: Duration) -> Result<(), Unsynced> {
        let number = self.with(|state| {
            state.next = state.next.wrapping_add(1);
            state.awaited.insert(state.next);
            state.next
        });
        let path = self.directory.join(number.to_string());
        let written = self.write(&path);
        let result = match written {
            Ok(()) => self.wait_for(number, timeout),
            Err(source) => Err(Unsynced::Write {
                path: path.clone(),
                source,
            }),
        };
        self.with(|state| state.awaited.remove(&number));
        // What cannot be removed now is swept at the next start; nobody reads it.
        drop(fs::remove_file(&path));
        result
    }

    /// Gives the file a further name. Not every file system has such, somebody may have tidied up the file, and FSEvents
    /// tells of a file with several names by any of them: then it is a file of its own.
    fn write(&self, path: &Path) -> io::Result<()> {
        let is_named =
            cfg!(target_os = "linux") && fs::hard_link(self.directory.join(FILE), path).is_ok();
        if is_named {
            return Ok(());
        }
        fs::File::create_new(path).map(drop)
    }

    fn wait_for(&self, number: u64, timeout: Duration) -> Result<(), Unsynced> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .seen
            .wait_timeout_while(state, timeout, |state| state.awaited.contains(&number))
            .unwrap_or_else(PoisonError::into_inner);
        if state.awaited.contains(&number) {
            Err(Unsynced::Late { waited: timeout })
        } else {
            Ok(())
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

//! A directory that is kept from others while what is in it is read, changed and written again.
//!
//! Among those who ask: it is an advisory lock on the directory itself, so that nothing is left in it, and it ends with the
//! process. Where the system has none, nobody is kept away, and whoever writes looks again whether it still stands.

use super::dir::Dir;
use super::sys;
use crate::limits::{KEPT_TRIES_MAX, LOCK_PAUSE};
use std::fs::{File, TryLockError};

/// A directory that is kept from others, until this is dropped.
#[derive(Debug)]
pub struct Kept {
    _lock: Option<File>,
}

impl Dir {
    /// Keeps this directory from others who ask for the same; nothing where somebody else keeps it for long.
    #[must_use]
    pub fn keep(&self) -> Option<Kept> {
        let Some(file) = sys::lockable(&self.handle) else {
            return Some(Kept { _lock: None });
        };
        for _ in 0..KEPT_TRIES_MAX {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                // A file system without locks keeps nobody away.
                Ok(()) | Err(TryLockError::Error(_)) => return Some(Kept { _lock: Some(file) }),
            }
        }
        None
    }
}

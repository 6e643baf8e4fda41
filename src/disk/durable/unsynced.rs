//! What is written and does not survive a power cut yet: a directory's names, a file's bytes.
//!
//! It is collected, so that what is written together is synced together, and only once.

use super::dir::Dir;
use super::{Act, DurableError, fail, sys, together};
use std::fs::File;
use std::path::{Path, PathBuf};

/// One thing that a power cut would take away.
#[derive(Debug)]
pub enum Unsynced {
    /// The names in a directory.
    Names(Dir),
    /// The bytes of a file.
    Bytes(File, PathBuf),
}

impl Unsynced {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Names(dir) => &dir.path,
            Self::Bytes(_, path) => path,
        }
    }

    /// Makes all of it survive a power cut, in no order.
    ///
    /// # Errors
    /// When the disk says no to one of them; trying again tells nothing, because what the kernel could not write it has
    /// forgotten.
    pub fn sync_all(all: Vec<Self>) -> Result<(), DurableError> {
        together::sync(all, Self::path, |one| match one {
            Self::Names(dir) => sys::sync(&dir.handle).map_err(fail(Act::SyncDirectory, &dir.path)),
            Self::Bytes(file, path) => file.sync_all().map_err(fail(Act::Sync, path)),
        })
    }
}

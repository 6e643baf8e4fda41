//! A file that is filled bit by bit: for what is too large to be held in memory first.
//!
//! It has no name before it is whole, and none at all if that fails. It is never synced: it is for caches, whose readers
//! know a torn one and go without.

use super::dir::Dir;
use super::staged::Staged;
use super::{Act, DurableError, fail, probe, sys, temp_name};
use crate::limits::FILLING_CHUNK_BYTES;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

/// A file that is being filled and has no name yet. Dropped without one, it is removed.
#[derive(Debug)]
pub struct Filling {
    staged: Staged,
    out: BufWriter<File>,
    path: PathBuf,
}

impl Dir {
    /// Begins a file that is to replace the file `name`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn fill(&self, name: &OsStr, mode: u32) -> Result<Filling, DurableError> {
        let temp = temp_name(name);
        let path = self.path.join(name);
        probe::step(&path)?;
        let file = sys::file(&self.handle, &temp, sys::Want::New(mode))
            .map_err(fail(Act::Create, &path))?;
        Ok(Filling {
            staged: Staged::new(self.clone(), name, temp),
            out: BufWriter::with_capacity(FILLING_CHUNK_BYTES, file),
            path,
        })
    }
}

impl Filling {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// When the disk takes no more; then it is of no use any more.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), DurableError> {
        probe::step(&self.path)?;
        self.out
            .write_all(bytes)
            .map_err(fail(Act::Fill, &self.path))
    }

    /// Gives it its name, whole as it is; after a power cut it may be torn.
    ///
    /// # Errors
    /// When the disk takes no more, or it cannot be renamed; then the old file is still there.
    pub fn place_unsynced(self) -> Result<(), DurableError> {
        let Self { staged, out, path } = self;
        match out.into_inner() {
            Ok(file) => drop(file),
            Err(error) => return Err(fail(Act::Fill, &path)(error.into_error())),
        }
        staged.place_unsynced().map(drop)
    }
}

//! A file between its bytes and its name.
//!
//! It has its bytes on disk before it has its name, and several may share the sync of their directory.

use super::dir::Dir;
use super::{Act, DurableError, fail, probe, sync_file, sys};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

/// A file that is written and has not got its name yet. Dropped without one, it is removed.
#[derive(Debug)]
pub struct Staged {
    dir: Dir,
    name: OsString,
    temp: Option<OsString>,
    file: Option<File>,
}

impl Staged {
    pub(super) fn new(dir: Dir, name: &OsStr, temp: OsString) -> Self {
        Self {
            dir,
            name: name.to_os_string(),
            temp: Some(temp),
            file: None,
        }
    }

    pub(super) fn keep(&mut self, file: File) {
        self.file = Some(file);
    }

    /// Makes its bytes survive a power cut.
    ///
    /// # Errors
    /// When the disk says no; then it is of no use any more, because what the kernel could not write it has forgotten.
    pub fn sync(&mut self) -> Result<(), DurableError> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let path = self.dir.path.join(&self.name);
        sync_file(&file, &path).inspect_err(|_| self.discard())
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn place(mut self) -> Result<(), DurableError> {
        let path = self.dir.path.join(&self.name);
        self.sync()?;
        probe::step(&path)?;
        let Some(temp) = &self.temp else {
            let unsynced = io::Error::other("its bytes could not be synced");
            return Err(fail(Act::Rename, &path)(unsynced));
        };
        sys::rename(&self.dir.handle, temp, &self.dir.handle, &self.name)
            .map_err(fail(Act::Rename, &path))?;
        self.temp = None;
        Ok(())
    }

    fn discard(&mut self) {
        if let Some(temp) = self.temp.take()
            && probe::step(&self.dir.path).is_ok()
        {
            // What cannot be removed now is swept at the next start.
            drop(sys::unlink(&self.dir.handle, &temp));
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.discard();
    }
}

//! A file between its bytes and its name.
//!
//! It has its bytes on disk before it has its name, and several may share the sync of their directory.

use super::dir::Dir;
use super::former::Former;
use super::{Act, DurableError, fail, probe, sync_file, sys, together};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io;
use std::path::PathBuf;

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

    /// Has it be for whom `permissions` say, whatever the umask admits.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn allow(&self, permissions: Permissions) -> Result<(), DurableError> {
        let path = self.dir.path.join(&self.name);
        let allowed = self
            .file
            .as_ref()
            .map(|file| file.set_permissions(permissions));
        allowed.unwrap_or(Ok(())).map_err(fail(Act::Create, &path))
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

    /// Makes the bytes of several files survive a power cut, in no order.
    ///
    /// # Errors
    /// When the disk says no to one of them; then none of them is of use any more.
    pub fn sync_all<'a>(
        staged: impl IntoIterator<Item = &'a mut Self>,
    ) -> Result<(), DurableError> {
        Self::sync_all_beside(staged, || ()).0
    }

    /// As [`Staged::sync_all`], and does `meanwhile` while the disk is busy with it.
    pub fn sync_all_beside<'a, R>(
        staged: impl IntoIterator<Item = &'a mut Self>,
        meanwhile: impl FnOnce() -> R,
    ) -> (Result<(), DurableError>, R) {
        let mut staged: Vec<&mut Self> = staged.into_iter().collect();
        let open = staged.iter_mut().filter_map(|one| {
            let file = one.file.take()?;
            Some((file, one.dir.path.join(&one.name)))
        });
        let open: Vec<(File, PathBuf)> = open.collect();
        let (synced, aside) = together::sync_beside(
            open,
            |(_, path)| path,
            |(file, path)| file.sync_all().map_err(fail(Act::Sync, path)),
            meanwhile,
        );
        if synced.is_err() {
            staged.iter_mut().for_each(|one| one.discard());
        }
        (synced, aside)
    }

    /// Gives it its name; what had the name before is given back.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn place(mut self) -> Result<Former, DurableError> {
        self.sync()?;
        self.place_unsynced()
    }

    /// Gives it its name, whether or not its bytes survive a power cut.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub(super) fn place_unsynced(mut self) -> Result<Former, DurableError> {
        let path = self.dir.path.join(&self.name);
        probe::step(&path)?;
        let Some(temp) = &self.temp else {
            let unsynced = io::Error::other("its bytes could not be synced");
            return Err(fail(Act::Rename, &path)(unsynced));
        };
        let former = Former::of(&self.dir, &self.name);
        sys::rename(&self.dir.handle, temp, &self.dir.handle, &self.name)
            .map_err(fail(Act::Rename, &path))?;
        self.temp = None;
        Ok(former)
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

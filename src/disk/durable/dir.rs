//! An open directory, and everything that is done to the names in it.
//!
//! Every write goes through here; a failed sync is told and never tried again on the same descriptor.

use super::former::Former;
use super::staged::Staged;
use super::unsynced::Unsynced;
use super::{
    Act, DIRECTORY, DurableError, Kind, Obstacle, PRIVATE, SHARED, Stamp, ends_open, fail, gone,
    hold, names, probe, regular, sys, temp_name,
};
use crate::disk::identity::Identity;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

/// An open directory; what is in it is reached by name, and no link is followed on the way. Clones share the descriptor.
#[derive(Clone)]
pub struct Dir {
    pub(super) handle: Arc<sys::Handle>,
    pub(super) path: Arc<Path>,
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dir").field(&self.path).finish()
    }
}

impl Dir {
    /// Opens a directory that is trusted, with the links on the way to it.
    ///
    /// # Errors
    /// When it is not there, is no directory or may not be opened.
    pub fn open(path: &Path) -> Result<Self, DurableError> {
        let handle = sys::open(path).map_err(fail(Act::Open, path))?;
        Ok(Self::new(handle, path))
    }

    /// Which directory it is.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn identity(&self) -> Result<Identity, DurableError> {
        let meta = sys::metadata(&self.handle).map_err(fail(Act::Read, &self.path))?;
        Ok(Identity::of(&meta))
    }

    fn new(handle: sys::Handle, path: &Path) -> Self {
        Self {
            handle: Arc::new(handle),
            path: Arc::from(path),
        }
    }

    /// Where it is, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory below this one; `None` when it is not there.
    ///
    /// # Errors
    /// When a component is a link, no directory, or may not be opened.
    pub fn descend(&self, below: &Path) -> Result<Option<Self>, DurableError> {
        let mut here = self.clone();
        for name in names(below)? {
            let path = here.path.join(name);
            match sys::sub(&here.handle, name) {
                Ok(handle) => here = Self::new(handle, &path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(here.refuse(name, error)),
            }
        }
        Ok(Some(here))
    }

    /// Says what stands where the directory `name` has to be; what the system says of a link is that it is none.
    fn refuse(&self, name: &OsStr, error: io::Error) -> DurableError {
        let stamp = sys::stamp(&self.handle, Path::new(name)).ok();
        let error = match stamp.map(|stamp| stamp.kind) {
            Some(Kind::Link) => io::Error::new(io::ErrorKind::NotADirectory, Obstacle::Link),
            Some(Kind::File | Kind::Other) => {
                io::Error::new(io::ErrorKind::NotADirectory, Obstacle::NoDirectory)
            }
            Some(Kind::Directory) | None => error,
        };
        fail(Act::Open, &self.path.join(name))(error)
    }

    /// Opens a directory below this one and makes what is missing; every directory that got a new name is synced.
    ///
    /// # Errors
    /// When a component is a link, no directory, or may not be made.
    pub fn create(&self, below: &Path) -> Result<Self, DurableError> {
        let (dir, grown) = self.create_unsynced(below)?;
        grown.iter().try_for_each(Self::sync)?;
        Ok(dir)
    }

    /// As [`Dir::create`], but gives back the directories that got a new name instead of syncing them.
    ///
    /// # Errors
    /// As [`Dir::create`].
    pub fn create_unsynced(&self, below: &Path) -> Result<(Self, Vec<Self>), DurableError> {
        let mut here = self.clone();
        let mut grown = Vec::new();
        for name in names(below)? {
            let path = here.path.join(name);
            let handle = match sys::sub(&here.handle, name) {
                Ok(handle) => handle,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    probe::step(&path)?;
                    match sys::mkdir(&here.handle, name, DIRECTORY) {
                        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                            return Err(fail(Act::Create, &path)(error));
                        }
                        Ok(()) | Err(_) => grown.push(here.clone()),
                    }
                    sys::sub(&here.handle, name).map_err(fail(Act::Open, &path))?
                }
                Err(error) => return Err(here.refuse(name, error)),
            };
            here = Self::new(handle, &path);
        }
        Ok((here, grown))
    }

    /// Replaces the file `name` by one that holds `bytes`, whole or not at all.
    ///
    /// The name itself survives a power cut only after [`Dir::sync`].
    ///
    /// # Errors
    /// When any act of it fails; then the old file is still there.
    pub fn write(&self, name: &OsStr, bytes: &[u8], mode: u32) -> Result<(), DurableError> {
        let mut staged = self.stage(name, bytes, mode)?;
        staged.sync()?;
        staged.place().map(drop)
    }

    /// As [`Dir::write`], but unsynced: for what means nothing any more once the machine was off.
    ///
    /// # Errors
    /// As [`Dir::write`].
    pub fn write_unsynced(
        &self,
        name: &OsStr,
        bytes: &[u8],
        mode: u32,
    ) -> Result<(), DurableError> {
        // Its bytes are on their way before its name is: a power cut that leaves an empty file is a rare one.
        self.stage(name, bytes, mode)?.place_unsynced().map(drop)
    }

    /// Writes `bytes` under a temp name: the first half of [`Dir::write`], for several files that share their syncs.
    ///
    /// # Errors
    /// When it cannot be made or filled.
    pub fn stage(&self, name: &OsStr, bytes: &[u8], mode: u32) -> Result<Staged, DurableError> {
        let temp = temp_name(name);
        let path = self.path.join(name);
        probe::step(&path)?;
        let mut file = sys::file(&self.handle, &temp, sys::Want::New(mode))
            .map_err(fail(Act::Create, &path))?;
        let mut staged = Staged::new(self.clone(), name, temp);
        probe::fill(&mut file, bytes, &path)?;
        file.write_all(bytes).map_err(fail(Act::Fill, &path))?;
        sys::start_writing(&file);
        staged.keep(file);
        Ok(staged)
    }

    /// As [`Dir::stage`], for a file that is there and that as many may read and write as before.
    ///
    /// # Errors
    /// When it is not there, or the new one cannot be made or filled.
    pub fn stage_like(&self, name: &OsStr, bytes: &[u8]) -> Result<Staged, DurableError> {
        let path = self.path.join(name);
        let missing = || fail(Act::Open, &path)(io::Error::from(io::ErrorKind::NotFound));
        let before = self.file(name)?.ok_or_else(missing)?;
        let before = before.metadata().map_err(fail(Act::Open, &path))?;
        let staged = self.stage(name, bytes, SHARED)?;
        staged.allow(before.permissions())?;
        Ok(staged)
    }

    /// As [`Dir::stage`], into a file that has been made under `temp` before; what is in it goes.
    ///
    /// # Errors
    /// When it cannot be opened or filled.
    pub fn stage_in(
        &self,
        temp: &OsStr,
        name: &OsStr,
        bytes: &[u8],
        mode: u32,
    ) -> Result<Staged, DurableError> {
        let path = self.path.join(name);
        probe::step(&path)?;
        let mut file = sys::file(&self.handle, temp, sys::Want::Update(mode))
            .map_err(fail(Act::Open, &path))?;
        if regular(&file, &path)? > 0 {
            // Somebody else has found it first.
            file.set_len(0).map_err(fail(Act::Fill, &path))?;
        }
        let mut staged = Staged::new(self.clone(), name, temp.to_os_string());
        probe::fill(&mut file, bytes, &path)?;
        file.write_all(bytes).map_err(fail(Act::Fill, &path))?;
        sys::start_writing(&file);
        staged.keep(file);
        Ok(staged)
    }

    /// Overwrites the beginning of the file `name` in place, without syncing: for what is written every few seconds
    /// and always has the same length.
    ///
    /// # Errors
    /// When it cannot be opened or written.
    pub fn overwrite(&self, name: &OsStr, bytes: &[u8], mode: u32) -> Result<(), DurableError> {
        let path = self.path.join(name);
        probe::step(&path)?;
        let mut file = sys::file(&self.handle, name, sys::Want::Update(mode))
            .map_err(fail(Act::Open, &path))?;
        regular(&file, &path)?;
        file.write_all(bytes).map_err(fail(Act::Fill, &path))
    }

    /// Appends one line in a single write, which is yet to be synced; closes a line that somebody else left open first.
    ///
    /// # Errors
    /// When it cannot be opened, or written in one piece.
    pub fn append_line(
        &self,
        name: &OsStr,
        line: &[u8],
        mode: u32,
    ) -> Result<Unsynced, DurableError> {
        let path = self.path.join(name);
        probe::step(&path)?;
        let mut file = sys::file(&self.handle, name, sys::Want::Append(mode))
            .map_err(fail(Act::Open, &path))?;
        regular(&file, &path)?;
        // A write that crosses a page shows its first part to readers before its last: without the lock, two of us
        // would take each other's line for a torn one and put an empty line behind it.
        hold(&file);
        let open = ends_open(&mut file).map_err(fail(Act::Read, &path))?;
        let mut bytes = Vec::with_capacity(line.len().saturating_add(2));
        if open {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        probe::fill(&mut file, &bytes, &path)?;
        // One write, not `write_all`: the rest of a short write could land behind somebody else's line.
        let written = file.write(&bytes).map_err(fail(Act::Fill, &path))?;
        if written != bytes.len() {
            let short = io::Error::new(io::ErrorKind::WriteZero, "the disk took only part of it");
            return Err(fail(Act::Fill, &path)(short));
        }
        // Closing would let go of the lock only after the sync.
        drop(file.unlock());
        sys::start_writing(&file);
        Ok(Unsynced::Bytes(file, path))
    }

    /// Appends bytes without syncing: for caches.
    ///
    /// # Errors
    /// When it cannot be opened or written.
    pub fn append_unsynced(&self, name: &OsStr, bytes: &[u8]) -> Result<(), DurableError> {
        let path = self.path.join(name);
        probe::step(&path)?;
        let mut file = sys::file(&self.handle, name, sys::Want::Append(PRIVATE))
            .map_err(fail(Act::Open, &path))?;
        regular(&file, &path)?;
        file.write_all(bytes).map_err(fail(Act::Fill, &path))
    }

    /// Makes a file that must not exist yet, without syncing; `false` when it exists.
    ///
    /// # Errors
    /// When it cannot be made or filled.
    pub fn create_new(&self, name: &OsStr, bytes: &[u8]) -> Result<bool, DurableError> {
        let path = self.path.join(name);
        probe::step(&path)?;
        match sys::file(&self.handle, name, sys::Want::New(SHARED)) {
            Ok(mut file) => file
                .write_all(bytes)
                .map(|()| true)
                .map_err(fail(Act::Fill, &path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(fail(Act::Create, &path)(error)),
        }
    }

    /// Makes a symbolic link; one that is there already stays as it is.
    ///
    /// # Errors
    /// When it cannot be made, or the platform has none.
    pub fn symlink(&self, target: &Path, name: &OsStr) -> Result<(), DurableError> {
        let path = self.path.join(name);
        probe::step(&path)?;
        match sys::symlink(target, &self.handle, name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(fail(Act::Create, &path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Reads the file `name`; `None` when it is not there.
    ///
    /// # Errors
    /// When it is a link, no regular file, larger than `bytes_max` or unreadable.
    pub fn read(&self, name: &OsStr, bytes_max: u64) -> Result<Option<Vec<u8>>, DurableError> {
        let path = self.path.join(name);
        let mut file = match sys::file(&self.handle, name, sys::Want::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(Act::Open, &path)(error)),
        };
        let len = regular(&file, &path)?;
        // One byte more than the file has: the read that finds the end needs room.
        let room = usize::try_from(len.min(bytes_max).saturating_add(1)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(room);
        io::Read::by_ref(&mut file)
            .take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(fail(Act::Read, &path))?;
        if bytes.len() as u64 > bytes_max {
            let large = io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it is larger than any of its kind",
            );
            return Err(fail(Act::Read, &path)(large));
        }
        Ok(Some(bytes))
    }

    /// Opens the file `name` for reading; `None` when it is not there.
    ///
    /// # Errors
    /// When it is a link, no regular file or unreadable.
    pub fn file(&self, name: &OsStr) -> Result<Option<File>, DurableError> {
        let path = self.path.join(name);
        match sys::file(&self.handle, name, sys::Want::Read) {
            Ok(file) => regular(&file, &path).map(|_| Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fail(Act::Open, &path)(error)),
        }
    }

    /// What is known of `name` (a path below this directory) without opening it; `None` when it is not there.
    #[must_use]
    pub fn stamp(&self, below: &Path) -> Option<Stamp> {
        sys::stamp(&self.handle, below).ok()
    }

    /// The names in this directory, sorted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn list(&self) -> Result<Vec<OsString>, DurableError> {
        let mut names = sys::list(&self.handle).map_err(fail(Act::Read, &self.path))?;
        names.sort_unstable();
        Ok(names)
    }

    /// Moves `name` to `new` in the directory `to`.
    ///
    /// # Errors
    /// When it is not there or may not be moved.
    pub fn rename(&self, name: &OsStr, to: &Self, new: &OsStr) -> Result<(), DurableError> {
        let path = self.path.join(name);
        probe::step(&path)?;
        sys::rename(&self.handle, name, &to.handle, new).map_err(fail(Act::Rename, &path))
    }

    /// Takes the file or link `name` away; `Ok` when there is none.
    ///
    /// # Errors
    /// When it may not be removed.
    pub fn remove(&self, name: &OsStr) -> Result<(), DurableError> {
        self.take_away(name).map(drop)
    }

    /// As [`Dir::remove`], but gives back what had the name.
    ///
    /// # Errors
    /// As [`Dir::remove`].
    pub fn take_away(&self, name: &OsStr) -> Result<Former, DurableError> {
        let former = Former::of(self, name);
        let path = self.path.join(name);
        probe::step(&path)?;
        gone(sys::unlink(&self.handle, name)).map_err(fail(Act::Remove, &path))?;
        Ok(former)
    }

    /// Takes the directory `name` with everything in it away, following no link; `Ok` when there is none.
    ///
    /// # Errors
    /// When something in it may not be removed.
    pub fn remove_tree(&self, name: &OsStr) -> Result<(), DurableError> {
        match self.stamp(Path::new(name)).map(|stamp| stamp.kind) {
            None => return Ok(()),
            Some(Kind::Directory) => {}
            Some(Kind::File | Kind::Link | Kind::Other) => return self.remove(name),
        }
        if let Some(dir) = self.descend(Path::new(name))? {
            for entry in dir.list()? {
                dir.remove_tree(&entry)?;
            }
        }
        self.remove_empty(name)
    }

    /// Takes the empty directory `name` away; `Ok` when there is none.
    ///
    /// # Errors
    /// When it is not empty or may not be removed.
    pub fn remove_empty(&self, name: &OsStr) -> Result<(), DurableError> {
        let path = self.path.join(name);
        probe::step(&path)?;
        gone(sys::rmdir(&self.handle, name)).map_err(fail(Act::Remove, &path))
    }

    /// Makes the names in this directory survive a power cut.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn sync(&self) -> Result<(), DurableError> {
        probe::step(&self.path)?;
        probe::synced();
        sys::sync(&self.handle).map_err(fail(Act::SyncDirectory, &self.path))
    }
}

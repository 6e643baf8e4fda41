//! A file that several processes append to, in the hands of one: its end is read, mended and written under a lock.
//!
//! The lock is the file's own (`flock`), so that it goes with the process that has it, however that ends. Whoever waited
//! for it looks whether the name still leads to the same file: it may have been replaced meanwhile.

use super::dir::Dir;
use super::{Act, DurableError, fail, probe, regular, sys};
use crate::limits::{LOCK_PAUSE, STATE_LOCK_TRIES_MAX};
use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::unsynced::Unsynced;

/// A file that nobody else writes until it is given back or dropped.
#[derive(Debug)]
pub struct Locked {
    file: File,
    path: PathBuf,
    len: u64,
}

impl Dir {
    /// Takes the lock of the file `name`, which is made where it is missing; `None` when somebody keeps it for long.
    /// Also says whether the file was made.
    ///
    /// # Errors
    /// When it is a link, no regular file, or may not be opened.
    pub fn lock(&self, name: &OsStr, mode: u32) -> Result<Option<(Locked, bool)>, DurableError> {
        let path = self.path.join(name);
        let mut tries = 0;
        loop {
            let made = self.stamp(name.as_ref()).is_none();
            probe::step(&path)?;
            let file = sys::file(&self.handle, name, sys::Want::Append(mode))
                .map_err(fail(Act::Open, &path))?;
            regular(&file, &path)?;
            if !held(&file, &mut tries, &path)? {
                return Ok(None);
            }
            let len = regular(&file, &path)?;
            if self.leads_to(name, &file) {
                return Ok(Some((Locked { file, path, len }, made)));
            }
            tries += 1;
            if tries > STATE_LOCK_TRIES_MAX {
                return Ok(None);
            }
        }
    }

    /// Opens the file `name` for reading while nobody writes it; nothing where there is none. Where somebody keeps it
    /// for long it is read all the same.
    ///
    /// # Errors
    /// When it is a link, no regular file, or unreadable.
    pub fn read_locked(&self, name: &OsStr) -> Result<Option<File>, DurableError> {
        let path = self.path.join(name);
        let Some(file) = self.file(name)? else {
            return Ok(None);
        };
        for _ in 0..STATE_LOCK_TRIES_MAX {
            match file.try_lock_shared() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(fail(Act::Open, &path)(error)),
            }
        }
        Ok(Some(file))
    }

    #[cfg(unix)]
    fn leads_to(&self, name: &OsStr, file: &File) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let there = self.stamp(name.as_ref()).map(|stamp| stamp.inode);
        file.metadata().is_ok_and(|meta| Some(meta.ino()) == there)
    }

    #[cfg(not(unix))]
    fn leads_to(&self, name: &OsStr, _: &File) -> bool {
        self.stamp(name.as_ref()).is_some()
    }
}

/// Takes the lock of an open file if it can be had soon.
fn held(file: &File, tries: &mut u32, path: &std::path::Path) -> Result<bool, DurableError> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if *tries < STATE_LOCK_TRIES_MAX => {
                *tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(fail(Act::Open, path)(error)),
        }
    }
}

impl Locked {
    /// Its bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its last bytes, as many as are asked for if it has them.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tail(&mut self, bytes: u64) -> Result<Vec<u8>, DurableError> {
        let start = self.len.saturating_sub(bytes);
        let read = |file: &mut File| -> io::Result<Vec<u8>> {
            let _: u64 = file.seek(SeekFrom::Start(start))?;
            let mut tail = Vec::new();
            let _: usize = file.take(self.len - start).read_to_end(&mut tail)?;
            Ok(tail)
        };
        read(&mut self.file).map_err(fail(Act::Read, &self.path))
    }

    /// Cuts it off behind so many bytes.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn cut(&mut self, len: u64) -> Result<(), DurableError> {
        probe::step(&self.path)?;
        self.file
            .set_len(len)
            .map_err(fail(Act::Fill, &self.path))?;
        self.len = len;
        Ok(())
    }

    /// Adds bytes at its end; what the disk took of them before it said no is taken back.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), DurableError> {
        probe::fill(&mut self.file, bytes, &self.path)?;
        if let Err(error) = self.file.write_all(bytes) {
            // What cannot be taken back either is a line without an end, which the next one mends.
            drop(self.file.set_len(self.len));
            return Err(fail(Act::Fill, &self.path)(error));
        }
        self.len = self.len.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Gives the lock back; what was written is yet to be synced.
    #[must_use]
    pub fn release(self) -> Unsynced {
        // Closing would let go of the lock only after the sync.
        drop(self.file.unlock());
        sys::start_writing(&self.file);
        Unsynced::Bytes(self.file, self.path)
    }

    /// The name that it has, for who puts another file in its place while it is locked.
    #[must_use]
    pub fn name(&self) -> Option<OsString> {
        self.path.file_name().map(OsStr::to_os_string)
    }
}

//! Reading files: their SHA-256, and whether it can be relied on.
//!
//! The file is looked at before and after it is read; if that differs, it is read again, and one that never holds still
//! is told as torn. A link is never followed, and a pipe or a device that took a file's place is never waited for.

use super::crew::{helpers, spread};
use super::print::{Moment, Print};
use crate::limits::{HASH_ALONE_MAX, HASH_ATTEMPTS_MAX, HASH_CHUNK_BYTES, HASH_THREADS_MAX};
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What reading a file gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Its content.
    Hashed {
        print: Print,
        hash: [u8; 32],
        racy: bool,
    },
    /// It changed each time while it was read; the hash is that of no state it ever had.
    Torn { print: Print, hash: [u8; 32] },
    /// It is no file any more.
    Gone,
    /// It may not or cannot be read.
    Unreadable(io::ErrorKind),
}

/// Reads one file.
pub(super) fn read(path: &Path) -> Reading {
    match try_read(path) {
        Ok(reading) => reading,
        Err(error) if is_gone(&error) => Reading::Gone,
        Err(error) => Reading::Unreadable(error.kind()),
    }
}

fn try_read(path: &Path) -> io::Result<Reading> {
    let mut torn = None;
    for _ in 0..HASH_ATTEMPTS_MAX {
        // Opened anew each time: a save by rename leaves the old file behind the old handle.
        let mut file = open(path)?;
        let before = file.metadata()?;
        if !before.is_file() {
            return Ok(Reading::Gone);
        }
        let began = Moment::now();
        let hash = hash(&mut file, before.len())?;
        let (before, after) = (Print::of(&before), Print::of(&file.metadata()?));
        if before == after {
            return Ok(Reading::Hashed {
                print: before,
                hash,
                racy: before.is_racy_at(began),
            });
        }
        torn = Some(Reading::Torn { print: after, hash });
    }
    Ok(torn.unwrap_or(Reading::Gone))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    }
    options.open(path)
}

fn hash(file: &mut File, len: u64) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    // Most files are small: to clear more room than one takes would cost more than to read it.
    let room = usize::try_from(len).unwrap_or(usize::MAX).saturating_add(1);
    let mut chunk = vec![0; room.min(HASH_CHUNK_BYTES)];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(read) => hasher.update(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether an error says that there is no such file any more.
pub(super) fn is_gone(error: &io::Error) -> bool {
    #[cfg(unix)]
    if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP) {
        return true;
    }
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether an error says that this will not be read however often it is tried: it may not be, or its path is too long.
pub(super) fn is_shut(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidFilename
    )
}

/// Reads many files, on more than one thread where that pays; the answers stand in the order of the paths.
pub(super) fn read_all(paths: &[PathBuf]) -> Vec<Reading> {
    let helpers = helpers(paths.len(), HASH_ALONE_MAX, HASH_THREADS_MAX);
    spread(paths, helpers, |path| read(path), || ()).0
}

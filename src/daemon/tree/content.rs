//! Reading files: their SHA-256, and whether it can be relied on.
//!
//! The file is looked at before and after it is read; if that differs, it is read again, and one that never holds still
//! is told as torn. A link is never followed, and a pipe or a device that took a file's place is never waited for.

use super::names;
use super::print::{Moment, Print};
use crate::limits::{HASH_ATTEMPTS_MAX, HASH_CHUNK_BYTES};
use sha2::{Digest as _, Sha256};
#[cfg(target_os = "linux")]
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::path::Path;

/// What reading a file gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Reading {
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
    /// It will not be read however often it is tried.
    Unreadable(io::ErrorKind),
    /// It cannot be read for the moment; the system's number of the reason.
    Failed(i32),
}

/// Reads one file.
pub(super) fn read(path: &Path) -> Reading {
    match try_read(path) {
        Ok(reading) => reading,
        Err(error) if is_gone(&error) => Reading::Gone,
        Err(error) if is_shut(&error) => Reading::Unreadable(error.kind()),
        Err(error) => Reading::Failed(error.raw_os_error().unwrap_or_default()),
    }
}

/// Reads files of one directory: their names, and what they were when they were last looked at. The answers stand in
/// their order.
pub(in crate::daemon) fn read_in(directory: &Path, files: &[(&[u8], Print)]) -> Vec<Reading> {
    let largest = files.iter().map(|(_, known)| known.size).max();
    let mut folder = Folder::open(directory, largest.unwrap_or(0));
    let read_one = |(name, known): &(&[u8], Print)| {
        let at_once = folder.as_mut();
        let at_once = at_once.and_then(|folder| folder.read(name, known));
        at_once.unwrap_or_else(|| read(&names::below(directory, name)))
    };
    files.iter().map(read_one).collect()
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
pub(in crate::daemon) fn is_gone(error: &io::Error) -> bool {
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

/// What is there; none also where nobody may look.
///
/// # Errors
/// When it cannot be found out for the moment.
pub(super) fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_gone(&error) || is_shut(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(target_os = "linux")]
thread_local! {
    /// Where the next folder of this thread reads to: to make and clear it anew costs as much as to read a file.
    static CHUNK: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A directory of which small files are read, each in few calls.
#[cfg(target_os = "linux")]
pub(super) struct Folder {
    directory: OwnedFd,
    largest: u64,
    chunk: Vec<u8>,
    /// To read leaves no trace, where the file is one's own.
    flags: rustix::fs::OFlags,
}

#[cfg(target_os = "linux")]
impl Folder {
    /// Opens it; `largest` is the size of the largest of its files that is to be read at once.
    pub(super) fn open(path: &Path, largest: u64) -> Option<Self> {
        use rustix::fs::{Mode, OFlags, open};
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = open(path, flags, Mode::empty()).ok()?;
        // One byte more than a file has shows that there is no more of it.
        let room = usize::try_from(largest)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let mut chunk = CHUNK.take();
        chunk.resize(room.min(HASH_CHUNK_BYTES).max(chunk.len()), 0);
        Some(Self {
            directory,
            largest,
            chunk,
            flags: OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOATIME,
        })
    }

    /// Reads a file that nobody knows yet. `None` where it does not fit or cannot be read at once: then it takes more care.
    pub(super) fn read_new(&mut self, name: &[u8]) -> Option<Reading> {
        use rustix::fs::{FileType, fstat};
        let began = Moment::now();
        let file = self.open_in(name)?;
        let stat = fstat(&file).ok()?;
        let known = Print::of_stat(&stat);
        let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
        if !is_file || known.size > self.largest {
            return None;
        }
        self.read_open(&file, &known, began)
    }

    /// Reads a file at once. `None` where it is not as known, or does not fit: then it takes more care.
    ///
    /// Its fingerprint was taken before it was read, and is the same after it: so what lies between is one content, as if
    /// it had been looked at right before. What changes without a trace is racy all the same.
    pub(super) fn read(&mut self, name: &[u8], known: &Print) -> Option<Reading> {
        let began = Moment::now();
        let file = self.open_in(name)?;
        self.read_open(&file, known, began)
    }

    fn open_in(&mut self, name: &[u8]) -> Option<OwnedFd> {
        use rustix::fs::{Mode, OFlags, openat};
        let open = |flags| openat(&self.directory, name, flags, Mode::empty());
        match open(self.flags) {
            Err(rustix::io::Errno::PERM) if self.flags.contains(OFlags::NOATIME) => {
                let opened = open(self.flags - OFlags::NOATIME);
                self.flags -= OFlags::NOATIME;
                opened.ok()
            }
            opened => opened.ok(),
        }
    }

    fn read_open(&mut self, file: &OwnedFd, known: &Print, began: Moment) -> Option<Reading> {
        let length = rustix::io::read(file, &mut self.chunk).ok()?;
        let print = Print::of_stat(&rustix::fs::fstat(file).ok()?);
        let whole = self.chunk.get(..length)?;
        let is_whole = length < self.chunk.len() && u64::try_from(length) == Ok(known.size);
        (is_whole && print == *known).then(|| Reading::Hashed {
            print,
            hash: Sha256::digest(whole).into(),
            racy: print.is_racy_at(began),
        })
    }
}

#[cfg(target_os = "linux")]
impl Drop for Folder {
    fn drop(&mut self) {
        CHUNK.set(std::mem::take(&mut self.chunk));
    }
}

/// Elsewhere each file is read by its path.
#[cfg(not(target_os = "linux"))]
pub(super) enum Folder {}

#[cfg(not(target_os = "linux"))]
impl Folder {
    pub(super) fn open(_path: &Path, _largest: u64) -> Option<Self> {
        None
    }

    pub(super) fn read(&mut self, _name: &[u8], _known: &Print) -> Option<Reading> {
        match *self {}
    }

    pub(super) fn read_new(&mut self, _name: &[u8]) -> Option<Reading> {
        match *self {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test writes files as a user would"
    )]
    fn a_file_is_read_at_once_only_while_it_is_as_known() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        let print = |name| Print::of(&fs::symlink_metadata(at(name)).unwrap());
        fs::write(at("f"), "one").unwrap();
        fs::write(at("empty"), "").unwrap();
        fs::write(at("large"), "0123456789").unwrap();
        symlink("f", at("link")).unwrap();
        let mut folder = Folder::open(directory.path(), 5).unwrap();
        let known = print("f");
        let hashed = |reading: Option<Reading>| match reading {
            Some(Reading::Hashed { print, hash, .. }) => Some((print, hash)),
            _ => None,
        };
        let of = |text: &str| -> [u8; 32] { Sha256::digest(text).into() };
        assert_eq!(hashed(folder.read(b"f", &known)), Some((known, of("one"))));
        assert_eq!(hashed(folder.read_new(b"f")), Some((known, of("one"))));
        let empty = Some((print("empty"), of("")));
        assert_eq!(hashed(folder.read_new(b"empty")), empty);
        for other in ["large", "link", "none", "."] {
            assert_eq!(folder.read_new(other.as_bytes()), None, "{other}");
        }
        assert_eq!(folder.read(b"link", &print("link")), None);
        fs::write(at("f"), "two, longer").unwrap();
        assert_eq!(folder.read(b"f", &known), None, "it is another by now");
        assert_eq!(
            hashed(Some(read(&at("f")))),
            Some((print("f"), of("two, longer")))
        );
    }

    /// Somebody writes it in place the whole time, one half after the other.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test writes files as a user would"
    )]
    fn what_is_read_while_it_is_written_is_torn_or_a_state_it_had_or_no_proof() {
        use std::os::unix::fs::FileExt as _;
        use std::sync::atomic::{AtomicBool, Ordering};
        const HALF: usize = 64 * 1024;
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, vec![b'0'; 2 * HALF]).unwrap();
        let states = |one: u8, other: u8| -> [u8; 32] {
            Sha256::digest([vec![one; HALF], vec![other; HALF]].concat()).into()
        };
        let had = [
            states(b'0', b'0'),
            states(b'1', b'0'),
            states(b'1', b'1'),
            states(b'0', b'1'),
        ];
        let done = AtomicBool::new(false);
        let untrue = std::thread::scope(|scope| {
            scope.spawn(|| {
                let file = OpenOptions::new().write(true).open(&path).unwrap();
                while !done.load(Ordering::Relaxed) {
                    for byte in [b'1', b'0'] {
                        file.write_all_at(&vec![byte; HALF], 0).unwrap();
                        file.write_all_at(&vec![byte; HALF], HALF as u64).unwrap();
                    }
                }
            });
            let readings: Vec<Reading> = (0..60).map(|_| read(&path)).collect();
            done.store(true, Ordering::Relaxed);
            let untrue = readings.into_iter().filter(|reading| match reading {
                Reading::Hashed { hash, racy, .. } => !racy && !had.contains(hash),
                Reading::Torn { .. } => false,
                Reading::Gone | Reading::Unreadable(_) | Reading::Failed(_) => true,
            });
            untrue.collect::<Vec<_>>()
        });
        assert_eq!(untrue, []);
        let [zeroes, ..] = had;
        let last = read(&path);
        assert!(
            matches!(last, Reading::Hashed { hash, .. } if hash == zeroes),
            "{last:?}"
        );
    }
}

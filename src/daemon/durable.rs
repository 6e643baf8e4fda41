//! Files that are there after a power cut: written whole or not at all, and never through a planted link.
//!
//! A file is replaced by: a temp file `<name>.tmp-<pid>-<n>` in the same directory, opened exclusively, filled, synced,
//! renamed over the name; the directory is synced last. A failed sync is never tried again on the same descriptor,
//! because the kernel forgets the pages that it could not write. [`Dir`] holds a directory open and reaches what is in
//! it by name only, so that a link that somebody plants or swaps below a workspace is refused, not followed.
//! [`Dir`] leaves the directory's own sync to the caller, so that several new files share one; files that are staged
//! together share the journal's commit, which is what a sync costs.

mod probe;
#[cfg(not(unix))]
#[path = "durable/portable.rs"]
mod sys;
#[cfg(unix)]
#[path = "durable/unix.rs"]
mod sys;

use crate::limits::{LOCK_PAUSE, LOCK_TRIES_MAX};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(test)]
pub(crate) use probe::{crash_after, measure};

/// Files of evidence: for everybody that the umask admits, as the published orchestrator leaves them.
pub const SHARED: u32 = 0o644;
/// Files with a secret or of the daemon's own state.
pub const PRIVATE: u32 = 0o600;
const DIRECTORY: u32 = 0o755;

/// What was being done to a path when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Opening a directory or a file.
    Open,
    /// Making a directory, a file or a link.
    Create,
    /// Writing bytes.
    Fill,
    /// Making a file's bytes survive a power cut.
    Sync,
    /// Giving a file its name.
    Rename,
    /// Making a directory's names survive a power cut.
    SyncDirectory,
    /// Reading bytes or names.
    Read,
    /// Taking a name away.
    Remove,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Fill => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::SyncDirectory => "sync the directory",
            Self::Read => "read",
            Self::Remove => "remove",
        })
    }
}

/// A file or directory that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} `{}`", path.display())]
pub struct DurableError {
    /// What was being done.
    pub act: Act,
    /// To which path.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl DurableError {
    /// Whether the path is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    }
}

/// What is known of a name without opening it; two equal stamps of a file mean that nobody wrote it in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// What kind of thing the name names.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// Its inode; 0 where there is none.
    #[serde(rename = "i")]
    pub inode: u64,
    /// Its bytes.
    #[serde(rename = "s")]
    pub size: u64,
    /// When it was last written, in nanoseconds since 1970.
    #[serde(rename = "m")]
    pub modified_ns: i128,
}

/// What kind of thing a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// A regular file.
    #[serde(rename = "f")]
    File,
    /// A directory.
    #[serde(rename = "d")]
    Directory,
    /// A symbolic link.
    #[serde(rename = "l")]
    Link,
    /// Anything else.
    #[serde(rename = "o")]
    Other,
}

/// An open directory; what is in it is reached by name, and no link is followed on the way.
pub struct Dir {
    handle: sys::Handle,
    path: PathBuf,
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
        Ok(Self {
            handle,
            path: path.to_path_buf(),
        })
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
        let mut here = self.again()?;
        for name in names(below)? {
            let path = here.path.join(name);
            match sys::sub(&here.handle, name) {
                Ok(handle) => here = Self { handle, path },
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(fail(Act::Open, &path)(error)),
            }
        }
        Ok(Some(here))
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
        let mut here = self.again()?;
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
                        Ok(()) | Err(_) => grown.push(here.again()?),
                    }
                    sys::sub(&here.handle, name).map_err(fail(Act::Open, &path))?
                }
                Err(error) => return Err(fail(Act::Open, &path)(error)),
            };
            here = Self { handle, path };
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
        staged.place()
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
        let mut staged = Staged {
            dir: self.again()?,
            name: name.to_os_string(),
            temp: Some(temp),
            file: None,
        };
        probe::fill(&mut file, bytes, &path)?;
        file.write_all(bytes).map_err(fail(Act::Fill, &path))?;
        sys::start_writing(&file);
        staged.file = Some(file);
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

    /// Appends one line in a single write and syncs it; closes a line that somebody else left open first.
    ///
    /// # Errors
    /// When it cannot be opened, written in one piece or synced.
    pub fn append_line(&self, name: &OsStr, line: &[u8], mode: u32) -> Result<(), DurableError> {
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
        sync_file(&file, &path)
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
        regular(&file, &path)?;
        let mut bytes = Vec::new();
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
            Ok(file) => regular(&file, &path).map(|()| Some(file)),
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
        let path = self.path.join(name);
        probe::step(&path)?;
        gone(sys::unlink(&self.handle, name)).map_err(fail(Act::Remove, &path))
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

    fn again(&self) -> Result<Self, DurableError> {
        let handle = sys::again(&self.handle).map_err(fail(Act::Open, &self.path))?;
        Ok(Self {
            handle,
            path: self.path.clone(),
        })
    }
}

/// A file that is written and has not got its name yet. Dropped without one, it is removed.
#[derive(Debug)]
pub struct Staged {
    dir: Dir,
    name: OsString,
    temp: Option<OsString>,
    file: Option<File>,
}

impl Staged {
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

/// Replaces the file at `path` by one that holds `bytes`; when this returns, it survives a power cut.
///
/// # Errors
/// When any act of it fails; then the old file is still there.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DurableError> {
    let (dir, name) = parent(path)?;
    dir.write(name, bytes, mode)?;
    dir.sync()
}

/// Appends one line to the file at `path`; when this returns, it survives a power cut.
///
/// # Errors
/// When it cannot be opened, written in one piece or synced.
pub fn append_line(path: &Path, line: &[u8], mode: u32) -> Result<(), DurableError> {
    let (dir, name) = parent(path)?;
    let new = dir.stamp(Path::new(name)).is_none();
    dir.append_line(name, line, mode)?;
    if new { dir.sync() } else { Ok(()) }
}

/// Makes a directory and those above it that are missing; when this returns, they survive a power cut.
///
/// # Errors
/// When one of them may not be made.
pub fn create_dir_all(path: &Path) -> Result<(), DurableError> {
    for above in path.ancestors() {
        match Dir::open(above) {
            Ok(dir) => {
                let below = path.strip_prefix(above).unwrap_or(Path::new(""));
                return dir.create(below).map(drop);
            }
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let missing = io::Error::from(io::ErrorKind::NotFound);
    Err(fail(Act::Create, path)(missing))
}

/// The process that made a temp file of this protocol, if `name` is the name of one.
#[must_use]
pub fn temp_owner(name: &OsStr) -> Option<u32> {
    let (_, tail) = name.to_str()?.rsplit_once(".tmp-")?;
    let (pid, counter) = tail.split_once('-')?;
    counter.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    pid.parse().ok()
}

fn temp_name(name: &OsStr) -> OsString {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut temp = name.to_os_string();
    temp.push(format!(".tmp-{}-{n}", std::process::id()));
    temp
}

fn parent(path: &Path) -> Result<(Dir, &OsStr), DurableError> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((Dir::open(parent)?, name)),
        (None | Some(_), _) => {
            let nameless = io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
            Err(fail(Act::Open, path)(nameless))
        }
    }
}

/// The components of a path below a directory; anything that could leave the directory is refused.
fn names(below: &Path) -> Result<Vec<&OsStr>, DurableError> {
    let plain = below.components().map(|component| match component {
        Component::Normal(name) => Ok(name),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
            let leaves = io::Error::new(io::ErrorKind::InvalidInput, "it leaves its directory");
            Err(fail(Act::Open, below)(leaves))
        }
    });
    plain.collect()
}

fn sync_file(file: &File, path: &Path) -> Result<(), DurableError> {
    probe::step(path)?;
    probe::synced();
    file.sync_all().map_err(fail(Act::Sync, path))
}

fn regular(file: &File, path: &Path) -> Result<(), DurableError> {
    let meta = file.metadata().map_err(fail(Act::Open, path))?;
    if meta.is_file() {
        Ok(())
    } else {
        let odd = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
        Err(fail(Act::Open, path)(odd))
    }
}

fn ends_open(file: &mut File) -> io::Result<bool> {
    use std::io::{Seek as _, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Takes the file's lock if it can be had soon; whoever keeps it for longer is none of us.
fn hold(file: &File) {
    for _ in 0..LOCK_TRIES_MAX {
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Ok(()) | Err(std::fs::TryLockError::Error(_)) => return,
        }
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn fail(act: Act, path: &Path) -> impl FnOnce(io::Error) -> DurableError {
    let path = path.to_path_buf();
    move |source| DurableError { act, path, source }
}

#[cfg(test)]
mod tests;

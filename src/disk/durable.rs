//! Files that are there after a power cut: written whole or not at all, and never through a planted link.
//!
//! A file is replaced by: a temp file `<name>.tmp-<pid>-<n>` in the same directory, opened exclusively, filled, synced,
//! renamed over the name; the directory is synced last. A failed sync is never tried again on the same descriptor,
//! because the kernel forgets the pages that it could not write. [`Dir`] holds a directory open and reaches what is in
//! it by name only, so that a link that somebody plants or swaps below a workspace is refused, not followed.
//! [`Dir`] leaves the directory's own sync to the caller, so that several new files share one; files that are staged
//! together share the journal's commit and the disk's flush, which are what a sync costs.

mod aside;
mod dir;
mod filling;
mod former;
mod locked;
mod probe;
mod staged;
#[cfg(not(unix))]
#[path = "durable/portable.rs"]
mod sys;
#[cfg(unix)]
#[path = "durable/unix.rs"]
mod sys;
mod together;
mod unsynced;

use crate::limits::{LOCK_PAUSE, LOCK_TRIES_MAX};
use crate::model::time::Timestamp;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

pub use dir::Dir;
pub use filling::Filling;
pub use former::Former;
pub use locked::Locked;
pub use staged::Staged;
pub use unsynced::Unsynced;

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

/// What stands where a directory of ours has to be. What is written must survive and be found again below the
/// workspace, so that a link is not followed wherever it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Obstacle {
    /// A link, whether it leads anywhere or not.
    #[error(
        "it is a symbolic link, and evidence has to be in a directory of the workspace: put a directory in its place"
    )]
    Link,
    /// Anything else that is no directory.
    #[error(
        "it is no directory, and evidence has to be in one: move it away, and the directory is made"
    )]
    NoDirectory,
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

impl Stamp {
    /// When it was last written; 1970 where that is no time that we know.
    #[must_use]
    pub fn modified(&self) -> Timestamp {
        let milliseconds = i64::try_from(self.modified_ns / 1_000_000);
        Timestamp::from_unix_ms(milliseconds.unwrap_or(0))
    }
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

/// Replaces the file at `path` by one that holds `bytes`; when this returns, it survives a power cut.
///
/// # Errors
/// When any act of it fails; then the old file is still there.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DurableError> {
    let (dir, name) = parent(path)?;
    dir.write(name, bytes, mode)?;
    dir.sync()
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

/// A name for what is not `name` yet: of this process, and never the same twice.
pub(crate) fn temp_name(name: &OsStr) -> OsString {
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

/// Why what a file of our own holds is not believed: somebody else may have written it. `None` where nobody could.
///
/// # Errors
/// When the system does not say whose it is.
pub(crate) fn suspicion(file: &File) -> io::Result<Option<&'static str>> {
    sys::suspicion(file)
}

/// The bytes of a regular file; anything else is refused.
fn regular(file: &File, path: &Path) -> Result<u64, DurableError> {
    let meta = file.metadata().map_err(fail(Act::Open, path))?;
    if meta.is_file() {
        Ok(meta.len())
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

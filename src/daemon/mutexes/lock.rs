//! A mutex of the machine as a file that is locked: `flock` on a file that is named for it, in a directory of this user.
//!
//! The directory depends on nothing but the user's id, neither on the state directory nor on any variable: two processes
//! that name one mutex have to meet, also where one was started by a session and the other by cron. Whoever wants the
//! lock first takes the *turn*, another file, and keeps it until he has the lock: so a process that lets go and wants it
//! again at once comes behind one that waits. Both are asked for without waiting; nobody is ever blocked in here.
//!
//! The kernel lets go of a lock when the last copy of its descriptor is closed. A stage inherits one (`Guard`), so that
//! a mutex stays held while processes of a stage live whose daemon was killed. Where the daemon lives it says when the
//! stage has ended, and that lets go whatever copies there are: what a stage leaves running on purpose keeps nothing.

use crate::limits::LOCK_NOTE_BYTES_MAX;
use crate::model::digest::Digest;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::Pid;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The mode bits with which the group or everybody may write.
const OTHERS_WRITE: u32 = 0o022;

/// Why a mutex cannot be anybody's.
#[derive(Debug, thiserror::Error)]
pub enum MutexError {
    /// The directory of the locks is somebody else's.
    #[error(
        "the directory `{}` of the locks belongs to user {uid} or others may write there: ask them to remove it",
        path.display()
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Something else has its name.
    #[error("`{}` is no directory: remove it, the locks need one there", path.display())]
    NoDirectory {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("failed to {act} `{}`", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The directory of this user's locks, the same for all his processes on this machine.
#[must_use]
pub fn shelf_of_user() -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    Path::new("/tmp").join(format!("orchd-{uid}"))
}

/// A lock that is held; dropping it lets go, also of the copies that stages have inherited.
#[derive(Debug)]
pub struct Lock(Arc<File>);

/// A copy of a lock for a stage: whoever has it keeps the lock as long as nobody lets go of it.
#[derive(Clone, Debug)]
pub struct Guard(Arc<File>);

impl Lock {
    /// A copy for a stage that runs under it.
    #[must_use]
    pub fn guard(&self) -> Guard {
        Guard(Arc::clone(&self.0))
    }
}

impl Guard {
    /// The descriptor that a stage is to inherit.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would not do: processes that a stage has left running hold copies. It cannot fail for a lock of ours.
        drop(self.0.unlock());
    }
}

/// An attempt to get a lock, which may last; dropping it gives the turn back.
#[derive(Debug)]
pub struct Try {
    shelf: PathBuf,
    mutex: String,
    /// Whoever has it is the next to have the lock.
    turn: Option<File>,
}

/// What has become of an attempt.
#[derive(Debug)]
pub enum Tried {
    /// It is ours.
    Taken(Lock),
    /// Another process has it: which one, in words.
    Busy(String),
}

impl Try {
    /// An attempt to get the lock of a mutex on this shelf.
    #[must_use]
    pub fn new(shelf: PathBuf, mutex: String) -> Self {
        Self {
            shelf,
            mutex,
            turn: None,
        }
    }

    /// Looks whether the lock is free, and takes it then; does not wait.
    ///
    /// # Errors
    /// When the directory cannot be made or is not ours alone, or a file in it cannot be locked.
    pub fn look(&mut self) -> Result<Tried, MutexError> {
        prepare(&self.shelf)?;
        let lock = self.path("lock");
        if self.turn.is_none() {
            self.turn = try_lock(&self.path("turn"))?;
        }
        if self.turn.is_none() {
            return Ok(Tried::Busy(holder(&lock)));
        }
        let Some(file) = try_lock(&lock)? else {
            return Ok(Tried::Busy(holder(&lock)));
        };
        note(&file, &self.mutex).map_err(failed("write", &lock))?;
        self.turn = None;
        Ok(Tried::Taken(Lock(Arc::new(file))))
    }

    /// A name may hold anything, and a file's may not.
    fn path(&self, kind: &str) -> PathBuf {
        let name = Digest::of(self.mutex.as_bytes());
        self.shelf.join(format!("{name}.{kind}"))
    }
}

/// Makes the directory, for its owner alone, or checks that it is so. A link of that name is none, wherever it leads.
fn prepare(shelf: &Path) -> Result<(), MutexError> {
    match DirBuilder::new().mode(0o700).create(shelf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("make the directory", shelf)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let meta = std::fs::symlink_metadata(shelf).map_err(failed("look at", shelf))?;
    let path = shelf.to_path_buf();
    if !meta.is_dir() {
        return Err(MutexError::NoDirectory { path });
    }
    let is_ours = meta.uid() == rustix::process::geteuid().as_raw();
    if !is_ours || meta.mode() & OTHERS_WRITE != 0 {
        let uid = meta.uid();
        return Err(MutexError::NotOurs { path, uid });
    }
    Ok(())
}

/// Locks a file, which is made if need be and never removed; nothing where somebody else has it locked.
fn try_lock(path: &Path) -> Result<Option<File>, MutexError> {
    loop {
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits()).unwrap_or_default();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags)
            .open(path)
            .map_err(failed("open the lock", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error))
                if error.raw_os_error() == Some(Errno::INTR.raw_os_error()) =>
            {
                continue;
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
        }
        // Whoever tidies `/tmp` may have removed it between open and lock: then another may lock another of this name.
        let ours = file.metadata().map_err(failed("look at", path))?;
        let there = std::fs::symlink_metadata(path).ok();
        if there.is_some_and(|there| identity(&there) == identity(&ours)) {
            return Ok(Some(file));
        }
    }
}

fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// Says in a lock file who holds it, for whoever waits; it is never believed.
fn note(mut file: &File, mutex: &str) -> io::Result<()> {
    let pid = std::process::id();
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{pid}\nmutex {mutex}\n").as_bytes())
}

/// Who holds a lock, by what its file says.
fn holder(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path);
    let read = file.map(|file| file.take(LOCK_NOTE_BYTES_MAX).read_to_string(&mut text));
    let pid = text.lines().next().and_then(|line| line.parse().ok());
    let pid = pid.and_then(Pid::from_raw).filter(|_| read.is_ok());
    match pid {
        None => "another process".to_owned(),
        Some(pid) if rustix::process::test_kill_process(pid) == Err(Errno::SRCH) => {
            format!("what process {pid} has left running")
        }
        Some(pid) => format!("process {pid}"),
    }
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MutexError {
    let path = path.to_path_buf();
    move |source| MutexError::Io { act, path, source }
}

#[cfg(test)]
mod tests;

//! One daemon per socket and per state directory: a held lock means alive, and only its holder touches the socket's name.
//!
//! The locks are a `flock` on `<socket>.lock` and one on `<state>/orchd.lock`: two daemons with one registry would run
//! everything twice. A file says who holds it, for people, and is never believed. It is left behind at the end, because
//! removing it would let two daemons hold two locks of one name. The socket is removed at the end if it is still the one
//! that we bound.

use crate::limits::{LOCK_HANDOVER_PAUSE, LOCK_HANDOVER_PAUSES_MAX, LOCK_NOTE_BYTES_MAX};
use crate::model::places::Places;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::Pid;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
    PermissionsExt as _,
};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Why the socket is not ours.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another daemon is alive.
    #[error("another orchd ({holder}) already serves `{}`: use it, or end it with `orchctl shutdown`", socket.display())]
    Held {
        /// The socket.
        socket: PathBuf,
        /// Who holds the lock, as the lock file has it.
        holder: String,
    },
    /// Another daemon, on another socket, is alive and has this state.
    #[error(
        "another orchd ({holder}) already has the state in `{}`: use it, end it with `orchctl --socket SOCKET shutdown`, or name another directory with ORCHD_STATE_DIR",
        state.display()
    )]
    StateHeld {
        /// The state directory.
        state: PathBuf,
        /// Who holds the lock, as the lock file has it.
        holder: String,
    },
    /// Something that holds no lock answers.
    #[error("another program answers on `{}`: end it, or name another socket with --socket or ORCHD_SOCKET", socket.display())]
    Foreign {
        /// The socket.
        socket: PathBuf,
    },
    /// Something that is no socket has its name.
    #[error("`{}` is no socket: remove it, or name another with --socket or ORCHD_SOCKET", path.display())]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// Others could reach into the directory.
    #[error(
        "the directory `{}` has mode {mode:04o}: others could reach into it, run `chmod 700` on it",
        path.display()
    )]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Somebody else owns the directory.
    #[error("the directory `{}` belongs to user {uid}: name another with ORCHD_SOCKET or ORCHD_STATE_DIR", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// It is no directory.
    #[error("`{}` is no directory: the daemon needs one of its own", path.display())]
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

/// The mode bits with which the group or everybody may write.
const OTHERS_WRITE: u32 = 0o022;

/// Before the socket in a holder's note.
const SOCKET_NOTE: &str = ", socket ";

/// The right to a socket's name, for as long as it lives.
#[derive(Debug)]
pub struct Claim {
    socket: PathBuf,
    lock_path: PathBuf,
    /// Dropped before the socket's: whoever waits for that one finds this one free.
    _state_lock: File,
    lock: File,
    /// Device and inode of the socket that we bound.
    bound: Option<(u64, u64)>,
}

impl Claim {
    /// Makes the directories of socket and state, takes their locks and clears away what a dead daemon left.
    ///
    /// # Errors
    /// When another daemon is alive, or a directory is not safe.
    pub fn take(places: &Places) -> Result<Self, ClaimError> {
        if let Some(directory) = places.socket.parent() {
            prepare_private(directory)?;
        }
        let lock_path = places.lock();
        let socket = places.socket.clone();
        let lock = take_lock(&lock_path, |_| Some(socket.clone()))?;
        let lock = lock.map_err(|holder| ClaimError::Held {
            socket: socket.clone(),
            holder,
        })?;
        note_holder(&lock, &lock_path, None)?;
        prepare_state(&places.state)?;
        let state_path = places.state_lock();
        let state_lock = take_lock(&state_path, socket_of)?;
        let state_lock = state_lock.map_err(|holder| ClaimError::StateHeld {
            state: places.state.clone(),
            holder,
        })?;
        note_holder(&state_lock, &state_path, Some(&socket))?;
        let claim = Self {
            socket,
            lock_path,
            _state_lock: state_lock,
            lock,
            bound: None,
        };
        claim.clear_stale()?;
        Ok(claim)
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether lock and socket are still the ones that we made.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        let lock = self.lock.metadata().map(|meta| identity(&meta)).ok();
        lock.is_some()
            && lock == identity_of(&self.lock_path)
            && self.bound.is_some()
            && self.bound == identity_of(&self.socket)
    }

    /// Remembers the socket that was just bound under our name.
    pub(crate) fn note_bound(&mut self) -> io::Result<()> {
        self.bound = Some(identity(&std::fs::symlink_metadata(&self.socket)?));
        Ok(())
    }

    /// Removes the socket's name if it is still ours, and keeps the lock.
    pub(crate) fn leave(&mut self) {
        let bound = self.bound.take();
        if bound.is_some() && bound == identity_of(&self.socket) {
            drop(std::fs::remove_file(&self.socket));
        }
    }

    fn clear_stale(&self) -> Result<(), ClaimError> {
        let path = &self.socket;
        let meta = match std::fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("look at", path)(error)),
        };
        if !meta.file_type().is_socket() {
            return Err(ClaimError::NoSocket { path: path.clone() });
        }
        match UnixStream::connect(path) {
            Ok(_) => Err(ClaimError::Foreign {
                socket: path.clone(),
            }),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(failed("remove the stale socket", path))
            }
            Err(error) => Err(failed("probe the socket", path)(error)),
        }
    }
}

impl Drop for Claim {
    /// The name goes while the lock is still held, so that nobody can have bound it meanwhile.
    fn drop(&mut self) {
        self.leave();
    }
}

/// Makes a directory that is ours alone, or checks that it is. One that is still empty becomes ours.
///
/// # Errors
/// When it is somebody else's, or others can reach into it.
pub fn prepare_private(path: &Path) -> Result<(), ClaimError> {
    let mode = prepare(path)?;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    // A directory that holds something may be one that others are meant to reach, such as a home.
    let empty = std::fs::read_dir(path)
        .map_err(failed("list", path))?
        .next()
        .is_none();
    if mode & OTHERS_WRITE == 0 && empty {
        let private = std::fs::Permissions::from_mode(0o700);
        return std::fs::set_permissions(path, private).map_err(failed("run `chmod 700` on", path));
    }
    Err(ClaimError::Open {
        path: path.to_path_buf(),
        mode,
    })
}

/// Makes a directory in which nobody else can put anything, or checks that it is one.
///
/// # Errors
/// When it is somebody else's, or others can write there.
pub fn prepare_state(path: &Path) -> Result<(), ClaimError> {
    let mode = prepare(path)?;
    if mode & OTHERS_WRITE == 0 {
        return Ok(());
    }
    Err(ClaimError::Open {
        path: path.to_path_buf(),
        mode,
    })
}

/// Makes a directory that is private, or finds out the mode of our own one that is there.
fn prepare(path: &Path) -> Result<u32, ClaimError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .or_else(|error| {
            // What is there already is judged below.
            if std::fs::symlink_metadata(path).is_ok() {
                Ok(())
            } else {
                Err(error)
            }
        })
        .map_err(failed("make the directory", path))?;
    let meta = std::fs::metadata(path).map_err(failed("look at", path))?;
    let path = path.to_path_buf();
    if !meta.is_dir() {
        return Err(ClaimError::NoDirectory { path });
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(ClaimError::NotOurs {
            path,
            uid: meta.uid(),
        });
    }
    Ok(meta.mode() & 0o7777)
}

/// Says in a lock file who holds it, and on which socket where its name does not.
fn note_holder(mut file: &File, path: &Path, socket: Option<&Path>) -> Result<(), ClaimError> {
    let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION"));
    let mut note = format!("pid {pid}, version {version}");
    if let Some(socket) = socket {
        note.push_str(SOCKET_NOTE);
        note.push_str(&socket.to_string_lossy());
    }
    note.push('\n');
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(note.as_bytes()))
        .map_err(failed("write", path))
}

/// The socket that a holder has noted.
fn socket_of(note: &str) -> Option<PathBuf> {
    let (_, socket) = note.split_once(SOCKET_NOTE)?;
    Some(PathBuf::from(socket))
}

/// Takes a lock, or says who holds it; `socket` is where a holder with this note answers.
fn take_lock(
    path: &Path,
    socket: impl Fn(&str) -> Option<PathBuf>,
) -> Result<Result<File, String>, ClaimError> {
    let mut pauses = 0_u32;
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
            // A daemon that is ending has closed its socket before it lets go of its lock, and one that was killed while
            // it started a stage leaves both to the child until that has executed its command.
            Err(TryLockError::WouldBlock)
                if pauses < LOCK_HANDOVER_PAUSES_MAX && is_unanswered(&file, &socket) =>
            {
                pauses += 1;
                std::thread::sleep(LOCK_HANDOVER_PAUSE);
                continue;
            }
            Err(TryLockError::WouldBlock) => return Ok(Err(holder(file))),
            Err(TryLockError::Error(error))
                if error.raw_os_error() == Some(Errno::INTR.raw_os_error()) =>
            {
                continue;
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
        }
        // Somebody may have removed the file between open and lock: then another may hold a lock of this name.
        let ours = file.metadata().map_err(failed("look at", path))?;
        if identity_of(path) == Some(identity(&ours)) {
            return Ok(Ok(file));
        }
    }
}

fn holder(file: File) -> String {
    let mut text = String::new();
    // The note is for people: without it the lock says enough.
    drop(file.take(LOCK_NOTE_BYTES_MAX).read_to_string(&mut text));
    let text = text.trim();
    if text.is_empty() {
        "just starting".to_owned()
    } else {
        text.to_owned()
    }
}

/// Whether nobody answers for a lock that is held.
fn is_unanswered(lock: &File, socket: impl Fn(&str) -> Option<PathBuf>) -> bool {
    let note = note_of(lock).unwrap_or_default();
    let answers = |socket: PathBuf| UnixStream::connect(socket).is_ok();
    is_gone(&note) || !socket(&note).is_some_and(answers)
}

/// What the holder of a lock says of itself. It is read from its beginning again, if it has to be told.
fn note_of(mut lock: &File) -> Option<String> {
    let note = lock.try_clone().map(holder).ok()?;
    lock.rewind().ok()?;
    Some(note)
}

/// Whether the process that took the lock is no more.
fn is_gone(note: &str) -> bool {
    let pid = note
        .strip_prefix("pid ")
        .and_then(|rest| rest.split(',').next());
    let pid = pid.and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH))
}

fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

fn identity_of(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path)
        .ok()
        .map(|meta| identity(&meta))
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ClaimError {
    let path = path.to_path_buf();
    move |source| ClaimError::Io { act, path, source }
}

#[cfg(test)]
mod tests;

//! One versioned JSON file of the daemon's own state: read whole, changed under a lock, replaced whole.
//!
//! ```text
//! missing ─▶ empty      damaged ─▶ set aside as <name>.corrupt-<time>, told      newer, or not ours ─▶ refused
//! ```
//!
//! What it holds is never believed when in doubt and never lost: a damaged file is set aside, and written anew of what
//! is known of it from before; at a start that is nothing. A file of a newer version or of another owner is neither read
//! nor written.

mod kept;

pub(super) use kept::Kept;

use crate::disk::durable::{self, Dir, DurableError, Stamp};
use crate::limits::{LOCK_PAUSE, STATE_BYTES_MAX, STATE_LOCK_TRIES_MAX};
use crate::model::places::STATE_VERSION as VERSION;
use crate::model::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// State of the daemon that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or its directory.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// The file could not be read to its end, or locked.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another program keeps it locked.
    #[error("`{}` is held by another program: end it, or try again once it is done", path.display())]
    Held {
        /// The lock.
        path: PathBuf,
    },
    /// A later version of this program wrote it.
    #[error(
        "`{}` has version {version}, this program knows version {VERSION}: use the newer orchd, or move the file away",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u64,
    },
    /// Somebody else may write it.
    #[error(
        "`{}` {why}: it is not believed; look at it, then `chown`, `chmod 600` or remove it",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with its owner or mode.
        why: &'static str,
    },
    /// It would be too large to be read again.
    #[error(
        "`{}` would be larger than {STATE_BYTES_MAX} bytes: take back what is no longer needed with `orchctl deny` and `orchctl remove`",
        path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The content could not be written as JSON.
    #[error("failed to write the content of `{}` as JSON", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// A state file.
#[derive(Debug)]
pub(super) struct Store {
    dir: Dir,
    name: &'static str,
}

/// A state file's content, and where a damaged one was set aside.
#[derive(Debug)]
pub(super) struct Content<T> {
    pub(super) value: T,
    pub(super) set_aside: Option<Aside>,
}

/// A damaged state file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where it is now.
    pub path: PathBuf,
    /// Whether what it held was known from before, and stands.
    pub known: bool,
}

/// How a state file stands on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is none.
    Missing,
    /// It can be read.
    Whole,
    /// It cannot: its next change sets it aside.
    Damaged,
}

/// For how long somebody who reads a damaged file waits for another program that keeps its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all: it is the loop that reads.
    None,
    /// As whoever changes the file.
    Waits,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    value: T,
}

#[derive(Deserialize)]
struct Peek {
    version: u64,
}

impl Store {
    /// Opens the state directory, and makes it if it is missing.
    pub(super) fn open(state: &Path, name: &'static str) -> Result<Self, StoreError> {
        durable::create_dir_all(state)?;
        let dir = Dir::open(state)?;
        Ok(Self { dir, name })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join(self.name)
    }

    /// As what the file stands there; none where there is none, or it cannot be looked at.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.dir.stamp(Path::new(self.name))
    }

    /// Looks at the file and changes nothing.
    pub(super) fn condition<T: DeserializeOwned>(&self) -> Result<Condition, StoreError> {
        let Some(file) = self.dir.file(OsStr::new(self.name))? else {
            return Ok(Condition::Missing);
        };
        self.check_owner(&file)?;
        Ok(match self.parse::<T>(&self.bytes(file)?)? {
            Some(_) => Condition::Whole,
            None => Condition::Damaged,
        })
    }

    /// Reads the file. A damaged one is set aside, named with `now`, and written anew of what is `known`. A whole one
    /// needs no lock, because it is replaced whole; nor does a missing one, because no change takes a known one away.
    pub(super) fn read<T: DeserializeOwned + Serialize + Default + Clone>(
        &self,
        now: Timestamp,
        known: Option<&T>,
        patience: Patience,
    ) -> Result<Content<T>, StoreError> {
        let Some(file) = self.dir.file(OsStr::new(self.name))? else {
            return Ok(Content::missing());
        };
        self.check_owner(&file)?;
        if let Some(value) = self.parse(&self.bytes(file)?)? {
            let set_aside = None;
            return Ok(Content { value, set_aside });
        }
        let _held = self.lock(patience)?;
        self.read_locked(now, known)
    }

    /// Reads the file as [`Store::read`], changes its content, and replaces it if `change` says that it differs.
    pub(super) fn change<T: DeserializeOwned + Serialize + Default + Clone, R>(
        &self,
        now: Timestamp,
        known: &T,
        change: impl FnOnce(&mut T) -> (Changed, R),
    ) -> Result<(Content<T>, R), StoreError> {
        let _held = self.lock(Patience::Waits)?;
        let mut content = self.read_locked(now, Some(known))?;
        let (changed, result) = change(&mut content.value);
        if changed == Changed::Yes {
            self.write(&content.value)?;
        }
        Ok((content, result))
    }

    fn read_locked<T: DeserializeOwned + Serialize + Default + Clone>(
        &self,
        now: Timestamp,
        known: Option<&T>,
    ) -> Result<Content<T>, StoreError> {
        let Some(file) = self.dir.file(OsStr::new(self.name))? else {
            return Ok(Content::missing());
        };
        self.check_owner(&file)?;
        let bytes = self.bytes(file)?;
        if let Some(value) = self.parse(&bytes)? {
            let set_aside = None;
            return Ok(Content { value, set_aside });
        }
        let path = match known {
            None => self.set_aside(now)?,
            Some(known) => {
                let path = self.copy_aside(now, &bytes)?;
                self.write(known)?;
                tracing::warn!(file = %self.path().display(), "the damaged file was written anew of what is known");
                path
            }
        };
        let known_before = known.is_some();
        Ok(Content {
            value: known.cloned().unwrap_or_default(),
            set_aside: Some(Aside {
                path,
                known: known_before,
            }),
        })
    }

    /// The content; `None` when the file is damaged.
    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<Option<T>, StoreError> {
        let Ok(Peek { version }) = serde_json::from_slice(bytes) else {
            return Ok(None);
        };
        if version > u64::from(VERSION) {
            let path = self.path();
            return Err(StoreError::Newer { path, version });
        }
        let parsed: Result<Versioned<T>, _> = serde_json::from_slice(bytes);
        Ok(parsed.ok().map(|content| content.value))
    }

    fn bytes(&self, file: File) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let read = file.take(STATE_BYTES_MAX + 1).read_to_end(&mut bytes);
        let read = read.and_then(|_| {
            let fits = bytes.len() as u64 <= STATE_BYTES_MAX;
            fits.then_some(())
                .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))
        });
        match read {
            Ok(()) => Ok(bytes),
            Err(source) => Err(StoreError::Read {
                path: self.path(),
                source,
            }),
        }
    }

    fn set_aside(&self, now: Timestamp) -> Result<PathBuf, StoreError> {
        let aside = self.dir.set_aside(OsStr::new(self.name), &mark(now))?;
        self.is_aside(&aside)
    }

    /// Leaves the damaged file where it is until it is replaced: who reads meanwhile must not find it missing.
    fn copy_aside(&self, now: Timestamp, damaged: &[u8]) -> Result<PathBuf, StoreError> {
        let name = OsStr::new(self.name);
        let aside = self.dir.copy_aside(name, &mark(now), damaged)?;
        self.is_aside(&aside)
    }

    fn is_aside(&self, aside: &OsStr) -> Result<PathBuf, StoreError> {
        tracing::warn!(file = %self.path().display(), aside = %aside.display(), "a damaged file was set aside");
        self.dir.sync()?;
        Ok(self.dir.path().join(aside))
    }

    fn write<T: Serialize>(&self, value: &T) -> Result<(), StoreError> {
        let version = VERSION;
        let encoded = serde_json::to_vec_pretty(&Versioned { version, value });
        let mut bytes = encoded.map_err(|source| StoreError::Encode {
            path: self.path(),
            source,
        })?;
        bytes.push(b'\n');
        if bytes.len() as u64 > STATE_BYTES_MAX {
            return Err(StoreError::Full { path: self.path() });
        }
        self.dir
            .write(OsStr::new(self.name), &bytes, durable::PRIVATE)?;
        self.dir.sync()?;
        Ok(())
    }

    /// Two daemons may share a state directory: reading, changing and replacing is one act.
    fn lock(&self, patience: Patience) -> Result<File, StoreError> {
        let name = OsString::from(format!("{}.lock", self.name));
        // Makes it where it is missing, for nobody but us: whoever may open it may hold us up.
        self.dir.append_unsynced(&name, b"")?;
        let path = self.dir.path().join(&name);
        let Some(file) = self.dir.file(&name)? else {
            let source = io::Error::from(io::ErrorKind::NotFound);
            return Err(StoreError::Read { path, source });
        };
        for _ in 0..STATE_LOCK_TRIES_MAX {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if patience == Patience::None => break,
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(source)) => return Err(StoreError::Read { path, source }),
            }
        }
        Err(StoreError::Held { path })
    }

    fn check_owner(&self, file: &File) -> Result<(), StoreError> {
        let path = self.path();
        match durable::suspicion(file) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(StoreError::Foreign { path, why }),
            Err(source) => Err(StoreError::Read { path, source }),
        }
    }
}

impl<T: Default> Content<T> {
    fn missing() -> Self {
        Self {
            value: T::default(),
            set_aside: None,
        }
    }
}

fn mark(now: Timestamp) -> String {
    now.to_string().replace([':', '.'], "-")
}

/// Whether a change made a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Yes,
    No,
}

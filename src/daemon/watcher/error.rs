//! Why something cannot be watched, and what to do about it.
//!
//! The kernel's limits are the usual reason. It does not say which one was met, so both are read when it refuses.

use crate::limits::{INSTANCES_ADVISED, WATCHES_ADVISED};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A limit of the kernel, by the setting that lifts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    name: &'static str,
    value: u64,
}

impl Limit {
    /// How many watches this user may have.
    #[must_use]
    pub fn watches() -> Self {
        Self::of(["fs.inotify.max_user_watches", "user.max_inotify_watches"])
    }

    fn instances() -> Self {
        Self::of([
            "fs.inotify.max_user_instances",
            "user.max_inotify_instances",
        ])
    }

    /// The lower one of what holds for the whole system and for this user namespace; 0 where neither can be read.
    fn of(names: [&'static str; 2]) -> Self {
        let found = names.into_iter().filter_map(|name| {
            let path = format!("/proc/sys/{}", name.replace('.', "/"));
            let value = fs::read_to_string(path).ok()?.trim().parse().ok()?;
            Some(Self { name, value })
        });
        found.min_by_key(|limit| limit.value).unwrap_or(Self {
            name: names[0],
            value: 0,
        })
    }

    /// Its value.
    #[must_use]
    pub fn value(self) -> u64 {
        self.value
    }

    /// The line that lifts it far enough for so many.
    #[must_use]
    pub fn remedy(self, needed: usize) -> String {
        let needed = u64::try_from(needed).unwrap_or(u64::MAX);
        let wanted = self
            .value
            .max(needed)
            .saturating_mul(2)
            .max(WATCHES_ADVISED);
        format!("sudo sysctl {}={wanted}", self.name)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.name, self.value)
    }
}

/// Why something cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The kernel grants this user no more watches.
    #[error(
        "no inotify watch is left for `{}` ({limit}{}): run `{}`, then `orchctl reload`",
        path.display(), need(*needed), limit.remedy(*needed)
    )]
    Watches {
        /// The directory that got none.
        path: PathBuf,
        /// The limit as it is.
        limit: Limit,
        /// Directories of the workspace, each of which needs one; 0 where they have not been counted.
        needed: usize,
    },
    /// The kernel grants this user no more inotify instances.
    #[error("no inotify instance is left ({limit}): run `sudo sysctl {}={}`", limit.name, limit.value.saturating_mul(2).max(INSTANCES_ADVISED))]
    Instances {
        /// The limit as it is.
        limit: Limit,
    },
    /// The thread that tells of events has ended.
    #[error("the watcher has ended, and another one is being started")]
    Ended,
    /// It is not there, or no directory.
    #[error("`{}` is not there", path.display())]
    Gone {
        /// What was to be watched.
        path: PathBuf,
    },
    /// This user may not read it.
    #[error("`{}` may not be read", path.display())]
    Denied {
        /// What was to be watched.
        path: PathBuf,
    },
    /// It cannot be opened for the moment; whether it is there nobody knows.
    #[error("failed to open `{}`", path.display())]
    Open {
        /// What was to be watched.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory of the cookies cannot be made or swept.
    #[error("failed to prepare the directory `{}`", path.display())]
    Prepare {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Anything else that the kernel says.
    #[error("failed to watch `{}`", path.display())]
    Watch {
        /// What was to be watched.
        path: PathBuf,
        /// Why.
        source: notify::Error,
    },
}

impl WatchError {
    /// There are more directories than the kernel's limit leaves for this workspace.
    #[must_use]
    pub fn no_room(directory: &Path) -> Self {
        Self::Watches {
            path: directory.to_path_buf(),
            limit: Limit::watches(),
            needed: 0,
        }
    }

    /// Takes note of how many directories the workspace has.
    pub fn note_need(&mut self, directories: usize) {
        if let Self::Watches { needed, .. } = self {
            *needed = directories;
        }
    }

    /// The command that lifts the limit, if it is one of watches.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        if let Self::Watches { limit, needed, .. } = self {
            Some(limit.remedy(*needed))
        } else {
            None
        }
    }

    pub(super) fn start(path: &Path, source: notify::Error) -> Self {
        // The kernel says "too many open files" where it means instances.
        if cause(&source).is_some_and(is_too_many_files) {
            let limit = Limit::instances();
            return Self::Instances { limit };
        }
        Self::Watch {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(super) fn open(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        let kind = source.kind();
        let is = |kinds: [io::ErrorKind; 2]| kinds.contains(&kind);
        // A link is none, and is not followed.
        if is([io::ErrorKind::NotFound, io::ErrorKind::NotADirectory]) {
            Self::Gone { path }
        } else if is([
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::InvalidFilename,
        ]) {
            // The latter says that the path is too long.
            Self::Denied { path }
        } else {
            Self::Open { path, source }
        }
    }

    pub(super) fn watch(path: &Path, source: notify::Error) -> Self {
        let path = path.to_path_buf();
        if matches!(source.kind, notify::ErrorKind::MaxFilesWatch) {
            let limit = Limit::watches();
            return Self::Watches {
                path,
                limit,
                needed: 0,
            };
        }
        let cause = cause(&source).map(io::Error::kind);
        let gone = matches!(source.kind, notify::ErrorKind::PathNotFound)
            || matches!(
                cause,
                Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            );
        if gone {
            Self::Gone { path }
        } else if cause == Some(io::ErrorKind::PermissionDenied) {
            Self::Denied { path }
        } else {
            Self::Watch { path, source }
        }
    }
}

fn cause(error: &notify::Error) -> Option<&io::Error> {
    if let notify::ErrorKind::Io(cause) = &error.kind {
        Some(cause)
    } else {
        None
    }
}

fn is_too_many_files(error: &io::Error) -> bool {
    #[cfg(unix)]
    let full = rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::MFILE);
    #[cfg(not(unix))]
    let full = error.kind() == io::ErrorKind::OutOfMemory;
    full
}

fn need(needed: usize) -> String {
    match needed {
        0 => String::new(),
        needed => format!(", and this workspace has {needed} directories"),
    }
}

//! Why something cannot be watched, and what to do about it.
//!
//! The kernel's limits are the usual reason. It does not say which one was met, so both are read when it refuses.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const MAX_USER_WATCHES: &str = "/proc/sys/fs/inotify/max_user_watches";
const MAX_USER_INSTANCES: &str = "/proc/sys/fs/inotify/max_user_instances";

/// Why something cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The kernel grants this user no more watches.
    #[error(
        "no inotify watch is left for `{}` (fs.inotify.max_user_watches is {limit}): run \
         `sudo sysctl fs.inotify.max_user_watches={wanted}`, then `orchctl reload`", path.display()
    )]
    Watches {
        /// The directory that got none.
        path: PathBuf,
        /// The limit as it is.
        limit: u64,
        /// A limit that is likely to do.
        wanted: u64,
    },
    /// The kernel grants this user no more inotify instances.
    #[error(
        "no inotify instance is left (fs.inotify.max_user_instances is {limit}): run \
         `sudo sysctl fs.inotify.max_user_instances={wanted}`"
    )]
    Instances {
        /// The limit as it is.
        limit: u64,
        /// A limit that is likely to do.
        wanted: u64,
    },
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
    pub(super) fn start(path: &Path, source: notify::Error) -> Self {
        // The kernel says "too many open files" where it means instances.
        if cause(&source).is_some_and(is_too_many_files) {
            let limit = read_limit(MAX_USER_INSTANCES);
            return Self::Instances {
                limit,
                wanted: limit.saturating_mul(2).max(512),
            };
        }
        Self::Watch {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(super) fn watch(path: &Path, source: notify::Error) -> Self {
        let path = path.to_path_buf();
        if matches!(source.kind, notify::ErrorKind::MaxFilesWatch) {
            let limit = read_limit(MAX_USER_WATCHES);
            return Self::Watches {
                path,
                limit,
                wanted: limit.saturating_mul(2).max(524_288),
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

/// The kernel's limit; 0 where it cannot be read.
fn read_limit(path: &str) -> u64 {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

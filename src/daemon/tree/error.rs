//! Why a look fails.
//!
//! What may be over in a moment fails a look as a whole, and what it has found by then is told by the next one. What will
//! not be read however often it is tried is no error here: it is content without a hash.

use crate::daemon::watcher::WatchError;
use crate::model::path::RootPath;
use std::io;
use std::path::PathBuf;

/// Why a workspace's files cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// There is no directory at the root.
    #[error("`{root}` is missing")]
    Missing {
        /// The root.
        root: RootPath,
    },
    /// What was mounted at the root is not any more, and there is nothing below.
    #[error("nothing is mounted at `{root}` any more")]
    Unmounted {
        /// The root.
        root: RootPath,
    },
    /// What was at the root is elsewhere or gone, and another directory is there now; the next look is at that one.
    #[error("another directory has taken the place of `{root}`")]
    Replaced {
        /// The root.
        root: RootPath,
    },
    /// The root is there, and yet cannot be looked at.
    #[error("failed to look at `{root}`")]
    Root {
        /// The root.
        root: RootPath,
        /// Why.
        source: io::Error,
    },
    /// What a directory holds could not be found out; it may be another time.
    #[error("failed to look at `{}`", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What a file holds, or says of what is ignored, could not be found out; it may be another time.
    #[error("failed to read `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody tells of events now; a look is of no use until somebody does.
    #[error("no event comes: the watcher has ended, and another one is being started")]
    Unwatched,
    /// A directory cannot be watched, and the configuration forbids to poll instead.
    #[error("failed to watch `{root}`, and `poll = \"never\"` forbids to scan instead")]
    Watch {
        /// The root.
        root: RootPath,
        /// Why.
        source: WatchError,
    },
}

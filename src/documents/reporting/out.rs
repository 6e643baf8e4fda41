//! A report as a file: whole or not at all, and never in the place of something that is none.
//!
//! Whoever looks at the file meanwhile sees the old one or the new one.

use crate::disk::durable::{self, DurableError, SHARED};
use std::io;
use std::path::{Path, PathBuf};

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutError {
    /// A directory stands there.
    #[error("`{}` is a directory", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// A link stands there, which would be replaced by the file.
    #[error("`{}` is a link", path.display())]
    Link {
        /// The path.
        path: PathBuf,
    },
    /// A device, a pipe or a socket stands there.
    #[error("`{}` is no regular file", path.display())]
    Irregular {
        /// The path.
        path: PathBuf,
    },
    /// Nobody knows what stands there.
    #[error("failed to look at `{}`", path.display())]
    Look {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] DurableError),
}

/// Writes a report to a path.
///
/// # Errors
/// When something else than a file stands there, or it cannot be written; then what was there is there still.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), OutError> {
    let path_buf = || path.to_path_buf();
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => Err(OutError::Directory { path: path_buf() }),
        Ok(meta) if meta.is_symlink() => Err(OutError::Link { path: path_buf() }),
        Ok(meta) if !meta.is_file() => Err(OutError::Irregular { path: path_buf() }),
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(OutError::Look {
            path: path_buf(),
            source,
        }),
        Ok(_) | Err(_) => Ok(durable::write(path, bytes, SHARED)?),
    }
}

//! Changed documents: all of them are written, or none is.
//!
//! Each file is held against the bytes that the change was made from, so that an edit of somebody else's meanwhile is
//! never lost; then all are staged and synced, and only then renamed over their names. A link below the workspace is
//! refused, because it would be replaced by a file.

use crate::disk::durable::{Dir, DurableError, SHARED};
use crate::documents::shelf::{self, ShelfError};
use crate::model::path::{RelPath, RootPath};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Why documents were left as they were.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// One could not be read again.
    #[error(transparent)]
    Read(#[from] ShelfError),
    /// One could not be written.
    #[error(transparent)]
    Write(#[from] DurableError),
    /// One is another than when it was read.
    #[error("`{}` was changed meanwhile: nothing was written, ask again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// One is a link.
    #[error("`{}` is a link: change the file that it leads to", path.display())]
    Link {
        /// The file.
        path: PathBuf,
    },
}

/// What a file held, and what it is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    /// Nothing where there was no file.
    before: Option<Vec<u8>>,
    after: Vec<u8>,
}

/// Documents that are to be changed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    changes: BTreeMap<RelPath, Change>,
}

impl Rewrite {
    /// Has a file hold `after`, which held `before` when it was read; what changes nothing is left out.
    pub fn change(&mut self, path: &RelPath, before: Option<&[u8]>, after: Vec<u8>) {
        if before != Some(&*after) {
            let before = before.map(<[u8]>::to_vec);
            self.changes.insert(path.clone(), Change { before, after });
        }
    }

    /// The files that would be changed.
    pub fn paths(&self) -> impl Iterator<Item = &RelPath> {
        self.changes.keys()
    }

    /// What a file is to hold, if it is to be changed.
    #[must_use]
    pub fn after(&self, path: &RelPath) -> Option<&[u8]> {
        self.changes.get(path).map(|change| &*change.after)
    }

    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Writes all of them.
    ///
    /// # Errors
    /// When one of them is not as it was read, or cannot be written: then none was, unless a rename itself failed.
    pub fn carry_out(&self, root: &RootPath) -> Result<(), RewriteError> {
        let top = Dir::open(root.as_path())?;
        let mut staged = Vec::new();
        let mut touched = Vec::new();
        for (path, change) in &self.changes {
            let whole = root.join(path);
            if whole.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
                return Err(RewriteError::Link { path: whole });
            }
            if shelf::read(&whole)? != change.before {
                return Err(RewriteError::Changed { path: whole });
            }
            let above = path.parent().unwrap_or_else(RelPath::root);
            let dir = top.create(above.as_path())?;
            let name = path.names().last().map(OsString::from).unwrap_or_default();
            let mode = mode_of(&whole);
            staged.push(dir.stage(&name, &change.after, mode)?);
            touched.push(dir);
        }
        for file in &mut staged {
            file.sync()?;
        }
        // To sync takes a disk's time, in which somebody may have saved.
        for (path, change) in &self.changes {
            let whole = root.join(path);
            if shelf::read(&whole)? != change.before {
                return Err(RewriteError::Changed { path: whole });
            }
        }
        for file in staged {
            drop(file.place()?);
        }
        for dir in touched {
            dir.sync()?;
        }
        Ok(())
    }
}

/// Who may do what with a file: as it is, else as the umask admits.
#[cfg(unix)]
fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = std::fs::metadata(path);
    meta.map_or(SHARED, |meta| meta.permissions().mode() & 0o777)
}

#[cfg(not(unix))]
fn mode_of(_: &Path) -> u32 {
    SHARED
}

//! A file that has lost its name, and is kept until somebody has time for its end.
//!
//! The last one who holds a file without a name gives its blocks back to the disk. Where the file system tells the disk so
//! at once (`discard`, no journal), that takes as long as a sync does, and whoever has news to tell can do it afterwards.

use super::dir::Dir;
use super::sys;
use std::ffi::OsStr;

/// What a name named before; dropping it gives its blocks back.
#[derive(Debug, Default)]
pub struct Former {
    _held: Option<sys::Held>,
}

impl Former {
    /// Holds what `name` names now, if the platform can; for that which takes the name away next.
    pub(super) fn of(dir: &Dir, name: &OsStr) -> Self {
        Self {
            _held: sys::hold(&dir.handle, name),
        }
    }
}

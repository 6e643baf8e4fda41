//! Pinning: a watch is set on the directory that was opened, whatever is at its path by then.
//!
//! `notify` takes a path, and the kernel looks it up again: by then another directory may be there, and nobody could say
//! which of the two has the watch. So the directory is opened, which says what it is, and held at one descriptor of this
//! process; the path that `notify` is given leads to that descriptor (see `spelling`). It is held for the moment only, so
//! that it keeps no file system busy. Without `/proc` there is no such path, and a watch is set by name.

use super::Inode;
use std::io;
use std::path::Path;

/// Whether a link at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// In a workspace it is no directory.
    Shunned,
    Followed,
}

/// The descriptor at which a directory is held.
#[derive(Debug, Default)]
pub(super) struct Pin {
    held: Option<sys::Held>,
}

impl Pin {
    /// Takes a descriptor for it, where there is a way to it.
    pub(super) fn new() -> Self {
        Self { held: sys::take() }
    }

    /// The number of the descriptor.
    pub(super) fn number(&self) -> Option<i32> {
        self.held.as_ref().map(sys::number)
    }

    /// Holds the directory that is at this path now, and says which one that is; `None` where none can be held.
    pub(super) fn hold(&mut self, directory: &Path, links: Links) -> io::Result<Option<Inode>> {
        let held = self.held.as_mut();
        held.map(|held| sys::hold(held, directory, links))
            .transpose()
    }

    /// Holds nothing any more.
    pub(super) fn let_go(&mut self) -> io::Result<()> {
        self.held.as_mut().map_or(Ok(()), sys::let_go)
    }
}

/// Elsewhere one stream tells of everything, by name.
#[cfg(not(target_os = "linux"))]
mod sys {
    use super::{Inode, Links};
    use std::io;
    use std::path::Path;

    pub(super) type Held = std::convert::Infallible;

    pub(super) fn take() -> Option<Held> {
        None
    }

    pub(super) fn number(held: &Held) -> i32 {
        match *held {}
    }

    pub(super) fn hold(held: &mut Held, _directory: &Path, _links: Links) -> io::Result<Inode> {
        match *held {}
    }

    pub(super) fn let_go(held: &mut Held) -> io::Result<()> {
        match *held {}
    }
}

#[cfg(target_os = "linux")]
mod sys {
    use super::{Inode, Links};
    use rustix::fs::{Mode, OFlags, fstat, open};
    use rustix::io::{DupFlags, dup3};
    use std::io;
    use std::os::fd::{AsRawFd as _, OwnedFd};
    use std::path::Path;

    #[derive(Debug)]
    pub(super) struct Held {
        place: OwnedFd,
        /// What is at the place while nothing is held.
        nothing: OwnedFd,
    }

    const FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    pub(super) fn take() -> Option<Held> {
        let nothing = open("/", FLAGS, Mode::empty()).ok()?;
        let place = open("/", FLAGS, Mode::empty()).ok()?;
        let held = Held { place, nothing };
        let path = format!("/proc/self/fd/{}", number(&held));
        Path::new(&path).is_dir().then_some(held)
    }

    pub(super) fn number(held: &Held) -> i32 {
        held.place.as_raw_fd()
    }

    pub(super) fn hold(held: &mut Held, directory: &Path, links: Links) -> io::Result<Inode> {
        let flags = match links {
            Links::Shunned => FLAGS | OFlags::NOFOLLOW,
            Links::Followed => FLAGS,
        };
        let opened = open(directory, flags, Mode::empty())?;
        let stat = fstat(&opened)?;
        dup3(&opened, &mut held.place, DupFlags::CLOEXEC)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    pub(super) fn let_go(held: &mut Held) -> io::Result<()> {
        Ok(dup3(&held.nothing, &mut held.place, DupFlags::CLOEXEC)?)
    }
}

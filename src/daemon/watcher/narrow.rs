//! Narrow watches: what the kernel is asked for where most of what happens in a directory is nobody's business.
//!
//! `notify` asks for every event of a directory, also for each file that is opened in it: whatever reads a tree (a build,
//! a search, our own looks) would wake a thread for each file. And a directory above a root may be `/tmp` or a home. So
//! the mask of each watch is narrowed in `notify`'s own inotify instance, which is found among this process's descriptors
//! by what it watches already, and borrowed for the moment. Where the kernel does not lend it, a watch stays as wide as it
//! was: that costs time, and nothing else.

use std::path::Path;

/// What is of interest in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// What happens to itself.
    Itself,
    /// The names in it, too: what comes and goes.
    Names,
    /// The content of its files, too.
    Files,
    /// The names in it and their content; that it is removed itself is told by the directory above.
    Content,
}

/// The way to `notify`'s inotify instance.
#[derive(Debug, Default)]
pub(super) struct Narrow {
    queue: Option<inotify::Queue>,
}

impl Narrow {
    /// Finds the instance that watches this directory, which nobody else does but the former one, should that not have
    /// been closed yet.
    pub(super) fn find(watched: &Path, former: Option<i32>) -> Self {
        Self {
            queue: inotify::find(watched, former),
        }
    }

    /// The number of the instance in this process.
    pub(super) fn number(&self) -> Option<i32> {
        self.queue.as_ref().map(inotify::number)
    }

    /// Whether there is a way.
    pub(super) fn is_found(&self) -> bool {
        self.queue.is_some()
    }

    /// Asks the kernel for no more than this of a directory that is watched.
    pub(super) fn narrow(&self, directory: &Path, interest: Interest) {
        if let Some(queue) = &self.queue {
            // What cannot be narrowed is watched all the same.
            inotify::narrow(queue, directory, interest).unwrap_or_default();
        }
    }
}

/// There is no such instance: a stream tells of everything.
#[cfg(not(target_os = "linux"))]
mod inotify {
    use super::Interest;
    use std::io;
    use std::path::Path;

    pub(super) type Queue = std::convert::Infallible;

    pub(super) fn find(_watched: &Path, _former: Option<i32>) -> Option<Queue> {
        None
    }

    pub(super) fn number(queue: &Queue) -> i32 {
        match *queue {}
    }

    pub(super) fn narrow(queue: &Queue, _directory: &Path, _interest: Interest) -> io::Result<()> {
        match *queue {}
    }
}

#[cfg(target_os = "linux")]
mod inotify {
    use super::Interest;
    use rustix::fs::inotify::{WatchFlags, add_watch};
    use rustix::io;
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    use std::fs;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    /// The number of `notify`'s instance in this process.
    #[derive(Debug)]
    pub(super) struct Queue {
        number: i32,
        own: OwnedFd,
    }

    pub(super) fn number(queue: &Queue) -> i32 {
        queue.number
    }

    pub(super) fn find(watched: &Path, former: Option<i32>) -> Option<Queue> {
        let line = format!(" ino:{:x} ", fs::metadata(watched).ok()?.ino());
        let entries = fs::read_dir("/proc/self/fd").ok()?.flatten();
        let inotify = entries.filter(|entry| {
            let target = fs::read_link(entry.path());
            target.is_ok_and(|target| target.as_os_str() == "anon_inode:inotify")
        });
        let numbers = inotify.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let ours = numbers.filter(|number: &i32| {
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
            info.is_ok_and(|info| info.contains(&line))
        });
        let ours: Vec<i32> = ours.collect();
        // The number of one that was closed may be this one's now.
        let is_ours = |number: &i32| ours.len() == 1 || Some(*number) != former;
        let mut ours = ours.iter().copied().filter(is_ours);
        let number = ours.next().filter(|_| ours.next().is_none())?;
        let own = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
        Some(Queue { number, own })
    }

    pub(super) fn narrow(queue: &Queue, directory: &Path, interest: Interest) -> io::Result<()> {
        let lent = pidfd_getfd(&queue.own, queue.number, PidfdGetfdFlags::empty())?;
        let mut mask = WatchFlags::MOVE_SELF | WatchFlags::ATTRIB;
        if interest != Interest::Content {
            mask |= WatchFlags::DELETE_SELF;
        }
        if interest >= Interest::Names {
            mask |= WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
        }
        if interest >= Interest::Files {
            mask |= WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
        }
        add_watch(lent, directory, mask | WatchFlags::ONLYDIR).map(drop)
    }
}

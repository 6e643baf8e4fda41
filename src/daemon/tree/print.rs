//! Fingerprints: what `stat` says of an entry, so that an unchanged file is not read again.
//!
//! Two equal fingerprints mean equal content, except right after a change: the clock of a file system ticks slower than
//! a writer writes. A hash that was taken within a tick of the last change is therefore *racy*, and no proof.

use crate::daemon::watcher::Inode;
use crate::limits::{RACY_MARGIN, RACY_MARGIN_COARSE};
use crate::model::time::Timestamp;
use std::fs::Metadata;

/// What `stat` says of a file or symbolic link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::daemon) struct Print {
    node: u64,
    /// Bytes of the content.
    pub(in crate::daemon) size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    mode: u32,
    links: u32,
}

/// Which directory it is: device and inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    device: u64,
    inode: u64,
}

/// Who may do what with a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mode(u32);

const NS_PER_S: i64 = 1_000_000_000;

#[cfg(unix)]
mod of {
    use super::{NS_PER_S, Node, Print};
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt as _;

    pub(super) fn print(meta: &Metadata) -> Print {
        let ns = |s: i64, ns: i64| s.saturating_mul(NS_PER_S).saturating_add(ns);
        Print {
            // Devices differ below one directory only where a file is mounted; folded in, it costs no room.
            node: meta.ino() ^ meta.dev().rotate_left(32),
            size: meta.size(),
            mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
            mode: meta.mode(),
            links: u32::try_from(meta.nlink()).unwrap_or(u32::MAX),
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn print_of_stat(stat: &rustix::fs::Stat) -> Print {
        let whole = |seconds: i64, ns| {
            let ns = i64::try_from(ns).unwrap_or(i64::MAX);
            seconds.saturating_mul(NS_PER_S).saturating_add(ns)
        };
        Print {
            node: stat.st_ino ^ stat.st_dev.rotate_left(32),
            size: u64::try_from(stat.st_size).unwrap_or(u64::MAX),
            mtime_ns: whole(stat.st_mtime, stat.st_mtime_nsec),
            ctime_ns: whole(stat.st_ctime, stat.st_ctime_nsec),
            mode: stat.st_mode,
            links: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn node(meta: &Metadata) -> Node {
        Node {
            device: meta.dev(),
            inode: meta.ino(),
        }
    }
}

#[cfg(not(unix))]
mod of {
    use super::{Node, Print};
    use std::fs::Metadata;
    use std::time::{SystemTime, UNIX_EPOCH};

    fn ns(time: std::io::Result<SystemTime>) -> i64 {
        time.ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_nanos()).ok())
            .unwrap_or(0)
    }

    pub(super) fn print(meta: &Metadata) -> Print {
        Print {
            node: 0,
            size: meta.len(),
            mtime_ns: ns(meta.modified()),
            ctime_ns: ns(meta.created()),
            mode: u32::from(meta.permissions().readonly()),
            links: 1,
        }
    }

    pub(super) fn node(meta: &Metadata) -> Node {
        // No inode without a handle: the moment of creation tells one directory from its successor.
        Node {
            device: 0,
            inode: u64::try_from(ns(meta.created())).unwrap_or(0),
        }
    }
}

impl Print {
    pub(in crate::daemon) fn of(meta: &Metadata) -> Self {
        of::print(meta)
    }

    /// The same, without the way over the standard library, which asks for more.
    #[cfg(target_os = "linux")]
    pub(super) fn of_stat(stat: &rustix::fs::Stat) -> Self {
        of::print_of_stat(stat)
    }

    /// Which inode it is.
    pub(super) fn inode(&self) -> u64 {
        self.node
    }

    /// Which inode it is, and when it was last written.
    pub(super) fn stamp(&self) -> (u64, i64) {
        (self.node, self.mtime_ns)
    }

    /// Whether it is the same inode, and nobody has written it or changed its mode since: only its names, or who owns it,
    /// may be others.
    pub(super) fn is_written_alike(&self, other: &Self) -> bool {
        let of = |print: &Self| (print.node, print.size, print.mtime_ns, print.mode);
        of(self) == of(other)
    }

    /// Whether the inode has other names.
    pub(super) fn is_linked(&self) -> bool {
        self.links > 1
    }

    /// Whether the owner may execute it: what git keeps of a mode.
    pub(in crate::daemon) fn is_executable(&self) -> bool {
        cfg!(unix) && self.mode & 0o100 != 0
    }

    /// Whether it may have been changed since a moment, in whatever way: its times of change alone, because a time of writing
    /// is what anybody says it is.
    pub(super) fn may_have_changed_since(&self, since: Moment) -> bool {
        let changed = Self {
            mtime_ns: self.ctime_ns,
            ..*self
        };
        changed.is_racy_at(since)
    }

    /// Whether one of its times is later than a moment.
    pub(super) fn is_later_than(&self, moment: Moment) -> bool {
        self.mtime_ns.max(self.ctime_ns) > moment.0
    }

    /// Whether its file system seems to keep whole seconds only.
    pub(super) fn is_coarse(&self) -> bool {
        self.mtime_ns % NS_PER_S == 0 && self.ctime_ns % NS_PER_S == 0
    }

    /// Whether what a file held when it had this fingerprint is what it holds now, when it has the `found` one. A change
    /// that lies ahead of the clock, or so close that it may be followed by one of the same moment, is no proof: nobody
    /// knows whether the clock has been there before.
    pub(super) fn proves(&self, found: &Self, now: Moment) -> bool {
        self == found && !found.is_racy_at(now)
    }

    /// Writes it down.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        into.extend(self.node.to_le_bytes());
        into.extend(self.size.to_le_bytes());
        into.extend(self.mtime_ns.to_le_bytes());
        into.extend(self.ctime_ns.to_le_bytes());
        into.extend(self.mode.to_le_bytes());
        into.extend(self.links.to_le_bytes());
    }

    /// Reads what [`Print::encode`] has written, and leaves what follows.
    pub(super) fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            node: u64::from_le_bytes(cut(from)?),
            size: u64::from_le_bytes(cut(from)?),
            mtime_ns: i64::from_le_bytes(cut(from)?),
            ctime_ns: i64::from_le_bytes(cut(from)?),
            mode: u32::from_le_bytes(cut(from)?),
            links: u32::from_le_bytes(cut(from)?),
        })
    }

    /// Whether the file may have changed after `now` without a change of its fingerprint.
    pub(super) fn is_racy_at(&self, now: Moment) -> bool {
        let changed = self.mtime_ns.max(self.ctime_ns);
        let margin = if self.is_coarse() {
            RACY_MARGIN_COARSE
        } else {
            RACY_MARGIN
        };
        let margin_ns = i64::try_from(margin.as_nanos()).unwrap_or(i64::MAX);
        changed >= now.0.saturating_sub(margin_ns)
    }
}

/// Takes so many bytes off the front, if there are so many.
pub(super) fn cut<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*head)
}

impl Mode {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self(Print::of(meta).mode)
    }
}

impl Node {
    pub(super) fn of(meta: &Metadata) -> Self {
        of::node(meta)
    }

    /// Whether both are on one file system.
    pub(super) fn is_beside(self, other: Self) -> bool {
        self.device == other.device
    }

    /// As the watcher has it.
    pub(super) fn inode(self) -> Inode {
        (self.device, self.inode)
    }

    /// What the watcher told of.
    pub(super) fn watched((device, inode): Inode) -> Self {
        Self { device, inode }
    }
}

/// A moment on the clock that file systems stamp with, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(i64);

impl Moment {
    /// A moment of the wall clock.
    pub(super) fn of(time: Timestamp) -> Self {
        Self(time.unix_ms().saturating_mul(NS_PER_S / 1_000))
    }

    /// Now.
    pub(super) fn now() -> Self {
        #[cfg(target_os = "linux")]
        let clock = rustix::time::ClockId::RealtimeCoarse;
        #[cfg(all(unix, not(target_os = "linux")))]
        let clock = rustix::time::ClockId::Realtime;
        #[cfg(unix)]
        {
            let time = rustix::time::clock_gettime(clock);
            Self(
                time.tv_sec
                    .saturating_mul(NS_PER_S)
                    .saturating_add(time.tv_nsec),
            )
        }
        #[cfg(not(unix))]
        {
            // Without that clock every hash is racy: a file is read again rather than missed.
            Self(0)
        }
    }

    /// By how many nanoseconds the wall clock is ahead of the one that nobody sets.
    pub(super) fn ahead_ns() -> i64 {
        #[cfg(unix)]
        {
            use rustix::time::{ClockId, clock_gettime};
            let ns = |clock| {
                let time = clock_gettime(clock);
                let whole = time.tv_sec.saturating_mul(NS_PER_S);
                whole.saturating_add(time.tv_nsec)
            };
            ns(ClockId::Realtime).saturating_sub(ns(ClockId::Monotonic))
        }
        #[cfg(not(unix))]
        {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_racy_until_the_clock_has_moved_on() {
        let at = |s: i64, ms: i64| s * NS_PER_S + ms * 1_000_000;
        let print = |changed| Print {
            mtime_ns: at(50, 0),
            ctime_ns: changed,
            ..Print::default()
        };
        let fine = print(at(100, 500));
        assert!(fine.is_racy_at(Moment(at(100, 499))), "it lies ahead");
        assert!(fine.is_racy_at(Moment(at(100, 510))));
        assert!(!fine.is_racy_at(Moment(at(100, 511))));
        let whole_seconds = print(at(100, 0));
        assert!(whole_seconds.is_racy_at(Moment(at(102, 0))));
        assert!(!whole_seconds.is_racy_at(Moment(at(102, 1))));
    }

    #[test]
    fn a_fingerprint_that_lies_ahead_of_the_clock_proves_nothing() {
        let at = |s: i64| Moment(s * NS_PER_S + 500_000_000);
        let changed = |mtime, ctime| Print {
            mtime_ns: at(mtime).0,
            ctime_ns: at(ctime).0,
            ..Print::default()
        };
        let known = changed(100, 200);
        assert!(known.proves(&known, at(201)));
        // The clock was set back since, or the file has a time that somebody made up.
        assert!(!known.proves(&known, at(200)));
        assert!(!known.proves(&known, at(150)));
        assert!(!changed(300, 200).proves(&changed(300, 200), at(201)));
        for other in [changed(100, 201), changed(101, 200)] {
            assert!(!known.proves(&other, at(300)));
        }
    }

    #[test]
    fn what_is_written_down_is_read_back_with_every_part() {
        let mut parts = (1_u8..).map(|part| part.wrapping_mul(37));
        let mut next = || parts.next().unwrap();
        let print = Print {
            node: u64::from(next()) << 40,
            size: u64::from(next()) << 33,
            mtime_ns: -i64::from(next()),
            ctime_ns: i64::from(next()) << 50,
            mode: u32::from(next()) << 9,
            links: u32::from(next()),
        };
        let mut bytes = Vec::new();
        print.encode(&mut bytes);
        bytes.push(7);
        let mut from = &bytes[..];
        assert_eq!(Print::decode(&mut from), Some(print));
        assert_eq!(from, [7]);
        assert_eq!(Print::decode(&mut &bytes[..39]), None);
    }
}

//! Identity: which directory stands at a path, so that another one in its place is not taken for it.
//!
//! An inode's number is soon used again, mostly at once by a directory that is made in the place of a removed one. When
//! it was born tells the two apart, where the file system keeps that.

use std::fs::Metadata;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which directory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Device and inode.
    node: (u64, u64),
    born: Option<SystemTime>,
}

impl Identity {
    /// That of the directory with this metadata.
    #[must_use]
    pub fn of(meta: &Metadata) -> Self {
        Self {
            node: node(meta),
            born: meta.created().ok(),
        }
    }

    /// That of whatever is at `path`; nothing where nothing can be seen there.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().as_ref().map(Self::of)
    }

    /// The same in bytes, alike for no two: device, inode, and when it was born, in nanoseconds since 1970.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let born = self.born.map_or(i128::MIN, |born| {
            let ns = |since: std::time::Duration| i128::try_from(since.as_nanos());
            match born.duration_since(UNIX_EPOCH) {
                Ok(since) => ns(since).unwrap_or(i128::MAX),
                Err(before) => ns(before.duration()).map_or(i128::MIN, |ns| -ns),
            }
        });
        let (device, inode) = self.node;
        let node = [device.to_le_bytes(), inode.to_le_bytes()].concat();
        [&node[..], &born.to_le_bytes()].concat()
    }
}

/// Which inode it is, on which device.
#[cfg(unix)]
#[must_use]
pub fn node(meta: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (meta.dev(), meta.ino())
}

/// Which inode it is: where the system does not say, all are one.
#[cfg(not(unix))]
#[must_use]
pub fn node(_meta: &Metadata) -> (u64, u64) {
    (0, 0)
}

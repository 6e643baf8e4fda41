//! The stat cache: what files held when they were read last, kept below the state directory for the next start.
//!
//! Each entry is a fact by itself: a file that had this fingerprint held these bytes, and it had it long enough for that
//! to be a proof. So the parts of the file may be of different moments, and nothing in it gets wrong when files change:
//! they are only not found. It is a cache: what is damaged, torn, of another version, of another root or of somebody else
//! is passed over and replaced. It is never held in memory but for its index; docs/formats.md has the format.

mod reader;
mod writer;

pub(super) use reader::{Remembered, StatCache};
pub(super) use writer::Writer;

use super::names;
use super::print::cut;
use crate::disk::durable::{Dir, temp_owner};
use crate::disk::identity::Identity;
use crate::model::digest::Digest;
use crate::model::path::RootPath;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

const MAGIC: &[u8; 16] = b"orchd stat cache";
const VERSION: u32 = 1;
const ENDING: &str = ".stat";
/// Where the index begins, how many sections it has, and the digest of it all.
const TRAILER_BYTES: usize = 8 + 8 + 32;
/// What a section takes in the index.
const SECTION_BYTES: usize = 8 + 8 + 4 + 16;

/// Where a directory's entries stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Section {
    key: u64,
    offset: u64,
    length: u32,
    check: [u8; 16],
}

impl Section {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend(self.key.to_le_bytes());
        into.extend(self.offset.to_le_bytes());
        into.extend(self.length.to_le_bytes());
        into.extend(self.check);
    }

    fn decode(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            key: u64::from_le_bytes(cut(from)?),
            offset: u64::from_le_bytes(cut(from)?),
            length: u32::from_le_bytes(cut(from)?),
            check: cut(from)?,
        })
    }
}

/// How the file of a root begins.
fn header(root: &RootPath, identity: Identity) -> Vec<u8> {
    let path = names::bytes(root.as_path().as_os_str());
    let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend(identity.to_bytes());
    header.extend(length.to_le_bytes());
    header.extend_from_slice(path);
    header
}

/// What a directory is found by. Two may have the same: then one of them is not remembered.
fn key_of(path: &[u8]) -> u64 {
    let digest = Digest::of(path);
    cut(&mut &digest.bytes()[..]).map_or(0, u64::from_le_bytes)
}

fn check_of(section: &[u8]) -> [u8; 16] {
    let digest = Digest::of(section);
    cut(&mut &digest.bytes()[..]).unwrap_or_default()
}

/// How the stat cache of a root is called.
fn name_of(root: &RootPath) -> OsString {
    let digest = Digest::of(names::bytes(root.as_path().as_os_str()));
    OsString::from(format!("{digest}{ENDING}"))
}

fn is_name(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(ENDING))
}

/// Removes the stat caches in `dir` of roots that are not among `known`, and what dead processes left half written.
pub fn sweep<'a>(dir: &Path, known: impl Iterator<Item = &'a RootPath>) {
    let known: BTreeSet<OsString> = known.map(name_of).collect();
    let listed = Dir::open(dir).and_then(|dir| Ok((dir.list()?, dir)));
    let Ok((names, dir)) = listed else { return };
    for name in names {
        let is_left = temp_owner(&name)
            .is_some_and(|owner| crate::daemon::process::exists(owner) == Some(false));
        if is_left || (is_name(&name) && !known.contains(&name)) {
            // What cannot be removed is no worse than before.
            drop(dir.remove(&name));
        }
    }
}

/// Removes the stat cache of a root.
pub(super) fn remove(dir: &Path, root: &RootPath) {
    // What cannot be removed is swept at the next start.
    drop(Dir::open(dir).and_then(|dir| dir.remove(&name_of(root))));
}

#[cfg(test)]
#[cfg(unix)]
mod tests;

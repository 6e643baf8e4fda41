//! Writing a stat cache: a directory at a time, so that nobody has to wait for all of it.
//!
//! It replaces the one before whole or not at all, whoever else does so at the same time. It is not synced: what a power
//! cut tears is passed over at the next start.

use super::{Section, check_of, header, is_name, key_of, name_of};
use crate::daemon::tree::print::Print;
use crate::disk::durable::{self, Dir, DurableError, Filling, PRIVATE};
use crate::disk::identity::Identity;
use crate::limits::{STAT_CACHE_BYTES_MAX, STAT_CACHES_MAX};
use crate::model::path::RootPath;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::path::Path;

/// A file, as it is remembered: its name, its fingerprint, and the hash of what it holds.
pub(in crate::daemon::tree) type Fact<'a> = (&'a [u8], Print, [u8; 32]);

/// A stat cache that is being written.
#[derive(Debug)]
pub(in crate::daemon::tree) struct Writer {
    dir: Dir,
    out: Filling,
    header: Vec<u8>,
    at: u64,
    sections: Vec<Section>,
    /// Where the next section is put together.
    section: Vec<u8>,
}

impl Writer {
    /// Begins one for a root, in a directory that is made where it is missing.
    ///
    /// # Errors
    /// When the disk says no; then the one before stays.
    pub(in crate::daemon::tree) fn begin(
        dir: &Path,
        root: &RootPath,
        identity: Identity,
    ) -> Result<Self, DurableError> {
        durable::create_dir_all(dir)?;
        let dir = Dir::open(dir)?;
        let mut out = dir.fill(&name_of(root), PRIVATE)?;
        let header = header(root, identity);
        out.add(&header)?;
        Ok(Self {
            dir,
            out,
            at: header.len() as u64,
            header,
            sections: Vec::new(),
            section: Vec::new(),
        })
    }

    /// Adds what is known of the files of a directory, by ascending names.
    ///
    /// # Errors
    /// As [`Writer::begin`].
    pub(in crate::daemon::tree) fn add<'a>(
        &mut self,
        path: &[u8],
        facts: impl Iterator<Item = Fact<'a>>,
    ) -> Result<(), DurableError> {
        let Ok(named) = u32::try_from(path.len()) else {
            return Ok(());
        };
        self.section.clear();
        self.section.extend(named.to_le_bytes());
        self.section.extend_from_slice(path);
        let bare = self.section.len();
        for (name, print, hash) in facts {
            let Ok(length) = u16::try_from(name.len()) else {
                continue;
            };
            self.section.extend(length.to_le_bytes());
            self.section.extend_from_slice(name);
            print.encode(&mut self.section);
            self.section.extend(hash);
        }
        let end = self.at.saturating_add(self.section.len() as u64);
        let length = u32::try_from(self.section.len()).ok();
        // What there is no room for is read again.
        let Some(length) = length.filter(|_| end <= STAT_CACHE_BYTES_MAX / 2) else {
            return Ok(());
        };
        if self.section.len() == bare {
            return Ok(());
        }
        self.out.add(&self.section)?;
        self.sections.push(Section {
            key: key_of(path),
            offset: self.at,
            length,
            check: check_of(&self.section),
        });
        self.at = end;
        Ok(())
    }

    /// Puts it in the place of the one before.
    ///
    /// # Errors
    /// As [`Writer::begin`].
    pub(in crate::daemon::tree) fn end(mut self) -> Result<(), DurableError> {
        self.sections.sort_unstable_by_key(|section| section.key);
        self.sections.dedup_by_key(|section| section.key);
        let mut rest = Vec::new();
        for section in &self.sections {
            section.encode(&mut rest);
        }
        rest.extend(self.at.to_le_bytes());
        rest.extend((self.sections.len() as u64).to_le_bytes());
        let digest = Sha256::new().chain_update(&self.header).chain_update(&rest);
        rest.extend(digest.finalize());
        self.out.add(&rest)?;
        self.out.place_unsynced()?;
        prune(&self.dir);
        Ok(())
    }
}

/// Removes the oldest where there are more than are of use.
fn prune(dir: &Dir) {
    let Ok(names) = dir.list() else { return };
    let of_kind = names.into_iter().filter(|name| is_name(name));
    let age = |name: OsString| {
        let stamp = dir.stamp(Path::new(&name));
        (stamp.map(|stamp| stamp.modified_ns), name)
    };
    let mut all: Vec<_> = of_kind.map(age).collect();
    let over = all.len().saturating_sub(STAT_CACHES_MAX);
    all.sort_unstable();
    for (_, name) in all.into_iter().take(over) {
        tracing::debug!(name = %name.display(), "a stat cache was removed, because there are many");
        drop(dir.remove(&name));
    }
}

//! Reading a stat cache: opened once, then a directory at a time.
//!
//! A file that is replaced meanwhile is read on as it was. Whatever is not as it was written is not believed: the digest
//! at the end covers header and index, and the index has one of each directory's part.

use super::{
    MAGIC, SECTION_BYTES, Section, TRAILER_BYTES, VERSION, check_of, header, key_of, name_of,
};
use crate::daemon::tree::print::{Print, cut};
use crate::disk::durable::{Dir, DurableError, suspicion};
use crate::disk::identity::Identity;
use crate::limits::STAT_CACHE_BYTES_MAX;
use crate::model::path::RootPath;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io;
use std::path::Path;

/// Why a stat cache is not used.
#[derive(Debug, thiserror::Error)]
pub(in crate::daemon::tree) enum Unusable {
    #[error(transparent)]
    Durable(#[from] DurableError),
    #[error("failed to read it")]
    Read(#[from] io::Error),
    #[error("it {0}")]
    Foreign(&'static str),
    #[error("it is larger than any of its kind")]
    TooLarge,
    #[error("it is of version {0}")]
    Version(u32),
    #[error("it is of another root")]
    OtherRoot,
    #[error("it is damaged")]
    Damaged,
}

/// An open stat cache.
#[derive(Debug)]
pub(in crate::daemon::tree) struct StatCache {
    file: File,
    sections: Vec<Section>,
}

/// What is remembered of the files of one directory.
#[derive(Debug)]
pub(in crate::daemon::tree) struct Remembered {
    entries: Vec<u8>,
    at: usize,
}

impl StatCache {
    /// Opens that of a root; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be believed.
    pub(in crate::daemon::tree) fn open(
        dir: &Path,
        root: &RootPath,
        identity: Identity,
    ) -> Result<Option<Self>, Unusable> {
        let dir = match Dir::open(dir) {
            Err(error) if error.is_missing() => return Ok(None),
            opened => opened?,
        };
        let Some(file) = dir.file(&name_of(root))? else {
            return Ok(None);
        };
        if let Some(why) = suspicion(&file)? {
            return Err(Unusable::Foreign(why));
        }
        let length = file.metadata()?.len();
        if length > STAT_CACHE_BYTES_MAX {
            return Err(Unusable::TooLarge);
        }
        let header = header(root, identity);
        check_header(&file, length, &header)?;
        let sections = read_index(&file, length, &header)?;
        Ok(Some(Self { file, sections }))
    }

    /// What is remembered of the files of a directory, by its path below the root.
    pub(in crate::daemon::tree) fn directory(&self, path: &[u8]) -> Option<Remembered> {
        let key = key_of(path);
        let at = self
            .sections
            .binary_search_by_key(&key, |section| section.key);
        let section = self.sections.get(at.ok()?)?;
        let length = usize::try_from(section.length).ok()?;
        let entries = read_at(&self.file, section.offset, length).ok()?;
        if check_of(&entries) != section.check {
            tracing::debug!("a part of the stat cache is damaged, and not used");
            return None;
        }
        let mut from = &entries[..];
        let named = usize::try_from(u32::from_le_bytes(cut(&mut from)?)).ok()?;
        let at = (entries.len() - from.len()).checked_add(named)?;
        (from.get(..named)? == path).then_some(Remembered { entries, at })
    }
}

impl Remembered {
    /// What a file was when it was read, and the hash of what it held. To be asked by ascending names.
    pub(in crate::daemon::tree) fn find(&mut self, name: &[u8]) -> Option<(Print, [u8; 32])> {
        loop {
            let left = self.entries.get(self.at..)?;
            let mut from = left;
            let length = usize::from(u16::from_le_bytes(cut(&mut from)?));
            let (held, rest) = from.split_at_checked(length)?;
            if held > name {
                return None;
            }
            from = rest;
            let found = (Print::decode(&mut from)?, cut(&mut from)?);
            self.at += left.len() - from.len();
            if held == name {
                return Some(found);
            }
        }
    }
}

fn check_header(file: &File, length: u64, expected: &[u8]) -> Result<(), Unusable> {
    let there = usize::try_from(length).unwrap_or(usize::MAX);
    let held = read_at(file, 0, expected.len().min(there))?;
    let mut from = &held[..];
    if cut(&mut from) != Some(*MAGIC) {
        return Err(Unusable::Damaged);
    }
    match cut(&mut from).map(u32::from_le_bytes) {
        Some(VERSION) if held == expected => Ok(()),
        Some(VERSION) => Err(Unusable::OtherRoot),
        Some(version) => Err(Unusable::Version(version)),
        None => Err(Unusable::Damaged),
    }
}

fn read_index(file: &File, length: u64, header: &[u8]) -> Result<Vec<Section>, Unusable> {
    let trailer_at = length
        .checked_sub(TRAILER_BYTES as u64)
        .ok_or(Unusable::Damaged)?;
    let trailer = read_at(file, trailer_at, TRAILER_BYTES)?;
    let mut from = &trailer[..];
    let index_at = cut(&mut from).map(u64::from_le_bytes);
    let count = cut(&mut from).map(u64::from_le_bytes);
    let (Some(index_at), Some(count)) = (index_at, count) else {
        return Err(Unusable::Damaged);
    };
    let bytes = count.checked_mul(SECTION_BYTES as u64);
    let bytes = bytes.filter(|bytes| index_at.checked_add(*bytes) == Some(trailer_at));
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
    let index = read_at(file, index_at, bytes.ok_or(Unusable::Damaged)?)?;
    let told = trailer.strip_suffix(from).unwrap_or_default();
    let digest = [header, &index, told]
        .into_iter()
        .fold(Sha256::new(), Sha256::chain_update)
        .finalize();
    if digest[..] != *from {
        return Err(Unusable::Damaged);
    }
    let mut from = &index[..];
    let sections = std::iter::from_fn(|| Section::decode(&mut from));
    let sections: Vec<Section> = sections.collect();
    let is_within = |section: &Section| {
        let end = section.offset.checked_add(section.length.into());
        end.is_some_and(|end| end <= index_at)
    };
    let sorted = sections.is_sorted_by(|one, next| one.key < next.key);
    match sorted && sections.iter().all(is_within) {
        true => Ok(sections),
        false => Err(Unusable::Damaged),
    }
}

#[cfg(unix)]
fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Elsewhere nothing is remembered: there a fingerprint does not say when a file's mode or name was changed.
#[cfg(not(unix))]
fn read_at(_: &File, _: u64, _: usize) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::Unsupported.into())
}

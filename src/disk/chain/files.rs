//! The files of a run that its link names, and their digests.
//!
//! Those that say what happened: manifest, sidecar, logs, error files, summary. Not the heartbeat, the owner's note and
//! the list of changed files, which mean nothing once the run has ended; not the resume token, a secret of which not even
//! a digest leaves its file; not pointers, which say nothing of their own; and nothing that other tools put there.

use crate::disk::durable::{Act, Dir, DurableError, Kind};
use crate::limits::chain::{HASH_CHUNK_BYTES, LINK_FILES_MAX, LINK_NAME_BYTES_MAX};
use crate::model::digest::Digest;
use crate::model::evidence::LinkedFile;
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

/// The files in a run's own directory.
const OWN: [&str; 4] = [
    "manifest.json",
    "orchd.json",
    "run-summary.json",
    "runner.ndjson",
];
/// The directories of files by stage, and how the names of these end.
const BY_STAGE: [(&str, &str); 2] = [("commands", ".ndjson"), ("errors", ".json")];

/// What the files of the run in a directory are now, sorted by path.
///
/// # Errors
/// When one of them cannot be read.
pub fn linked_files(run: &Dir) -> Result<Vec<LinkedFile>, DurableError> {
    let mut files = Vec::new();
    let mut note = |dir: &Dir, name: &OsStr, path: String| -> Result<(), DurableError> {
        let found = digest(dir, name)?;
        files.extend(found.map(|(size, sha256)| LinkedFile { path, size, sha256 }));
        Ok(())
    };
    for name in OWN {
        note(run, OsStr::new(name), name.to_owned())?;
    }
    for (below, _) in BY_STAGE {
        let Some(dir) = run.descend(Path::new(below))? else {
            continue;
        };
        let names = dir.list()?.into_iter().filter_map(|name| {
            let path = format!("{below}/{}", name.to_str()?);
            is_linked(&path).then_some((name, path))
        });
        for (name, path) in names.take(LINK_FILES_MAX / 2 - OWN.len()) {
            note(&dir, &name, path)?;
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a link names a file of a run with this path from the run's directory.
#[must_use]
pub fn is_linked(path: &str) -> bool {
    match path.split_once('/') {
        None => OWN.contains(&path),
        Some((below, name)) => {
            let of_stage = BY_STAGE
                .iter()
                .any(|(dir, end)| *dir == below && name.ends_with(end));
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            of_stage
                && !name.starts_with('.')
                && name.len() <= LINK_NAME_BYTES_MAX
                && name.bytes().all(plain)
        }
    }
}

/// The size and the digest of a file, read a piece at a time; nothing where there is none, or something else than a
/// file.
pub(super) fn digest(dir: &Dir, name: &OsStr) -> Result<Option<(u64, Digest)>, DurableError> {
    let stamp = dir.stamp(Path::new(name));
    let Some(stamp) = stamp.filter(|stamp| stamp.kind == Kind::File) else {
        return Ok(None);
    };
    let Some(mut file) = dir.file(name)? else {
        return Ok(None);
    };
    let mut hasher = Sha256::new();
    // One byte more than the file has: the read that finds the end needs room.
    let len = usize::try_from(stamp.size.saturating_add(1)).unwrap_or(HASH_CHUNK_BYTES);
    let mut chunk = vec![0; len.min(HASH_CHUNK_BYTES)];
    let mut size = 0_u64;
    loop {
        let read = file.read(&mut chunk).map_err(|source| DurableError {
            act: Act::Read,
            path: dir.path().join(name),
            source,
        })?;
        match chunk.get(..read) {
            None | Some([]) => return Ok(Some((size, Digest::finish(hasher)))),
            Some(bytes) => hasher.update(bytes),
        }
        size = size.saturating_add(read as u64);
    }
}

//! Directories by path, for platforms without directory descriptors. Links are looked for, but can be swapped in
//! between the look and the use; there is no sync of a directory.
//!
//! Not used on Unix, where `unix` stands in its place with the same names.

use super::{Kind, Stamp};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A directory's path.
pub(super) type Handle = PathBuf;

/// What a file is opened for.
#[derive(Clone, Copy)]
pub(super) enum Want {
    /// It must not exist.
    New(u32),
    /// Appending, and reading its end; made where it is missing.
    Append(u32),
    /// Overwriting in place; made where it is missing.
    Update(u32),
    /// Reading.
    Read,
}

pub(super) fn open(path: &Path) -> io::Result<Handle> {
    if fs::metadata(path)?.is_dir() {
        Ok(path.to_path_buf())
    } else {
        Err(io::Error::from(io::ErrorKind::NotADirectory))
    }
}

pub(super) fn sub(handle: &Handle, name: &OsStr) -> io::Result<Handle> {
    let path = handle.join(name);
    if fs::symlink_metadata(&path)?.is_dir() {
        Ok(path)
    } else {
        Err(io::Error::from(io::ErrorKind::NotADirectory))
    }
}

pub(super) fn mkdir(handle: &Handle, name: &OsStr, _: u32) -> io::Result<()> {
    fs::create_dir(handle.join(name))
}

pub(super) fn file(handle: &Handle, name: &OsStr, want: Want) -> io::Result<File> {
    let path = handle.join(name);
    if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a symbolic link",
        ));
    }
    let mut options = OpenOptions::new();
    match want {
        Want::New(_) => options.write(true).create_new(true),
        Want::Append(_) => options.read(true).append(true).create(true),
        Want::Update(_) => options.write(true).create(true).truncate(false),
        Want::Read => options.read(true),
    };
    options.open(path)
}

pub(super) fn rename(from: &Handle, name: &OsStr, to: &Handle, new: &OsStr) -> io::Result<()> {
    fs::rename(from.join(name), to.join(new))
}

/// Nothing: what has no name any more is gone.
pub(super) type Held = ();

pub(super) fn hold(_: &Handle, _: &OsStr) -> Option<Held> {
    None
}

/// Nothing: a directory is no file here.
pub(super) fn lockable(_: &Handle) -> Option<File> {
    None
}

pub(super) fn symlink(_: &Path, _: &Handle, _: &OsStr) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

pub(super) fn unlink(handle: &Handle, name: &OsStr) -> io::Result<()> {
    fs::remove_file(handle.join(name))
}

pub(super) fn rmdir(handle: &Handle, name: &OsStr) -> io::Result<()> {
    fs::remove_dir(handle.join(name))
}

pub(super) fn sync(_: &Handle) -> io::Result<()> {
    Ok(())
}

pub(super) fn start_writing(_: &File) {}

/// Nothing tells here who may write a file.
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub(super) fn suspicion(_: &File) -> io::Result<Option<&'static str>> {
    Ok(None)
}

pub(super) fn metadata(handle: &Handle) -> io::Result<fs::Metadata> {
    fs::metadata(handle)
}

pub(super) fn stamp(handle: &Handle, below: &Path) -> io::Result<Stamp> {
    let meta = fs::symlink_metadata(handle.join(below))?;
    let kind = if meta.is_symlink() {
        Kind::Link
    } else if meta.is_dir() {
        Kind::Directory
    } else if meta.is_file() {
        Kind::File
    } else {
        Kind::Other
    };
    let modified = meta
        .modified()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Stamp {
        kind,
        inode: 0,
        size: meta.len(),
        modified_ns: i128::try_from(modified.as_nanos()).unwrap_or(0),
    })
}

pub(super) fn list(handle: &Handle) -> io::Result<Vec<OsString>> {
    fs::read_dir(handle)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect()
}

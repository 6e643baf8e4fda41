//! Directories by descriptor: every name is looked up in an open directory, and a link in the last place is refused.
//!
//! So a directory that is swapped for a link between two operations leads nowhere else.

use super::{Kind, Stamp};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

/// An open directory.
pub(super) type Handle = OwnedFd;

/// What a file is opened for.
#[derive(Clone, Copy)]
pub(super) enum Want {
    /// It must not exist; with this mode.
    New(u32),
    /// Appending, and reading its end; made with this mode where it is missing.
    Append(u32),
    /// Overwriting in place; made with this mode where it is missing.
    Update(u32),
    /// Reading.
    Read,
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::RDONLY)
    .union(OFlags::CLOEXEC);

/// The mode bits with which the group or everybody may write.
const OTHERS_WRITE: u32 = 0o022;

pub(super) fn open(path: &Path) -> io::Result<Handle> {
    // An empty path is the current directory for `Path::parent`, and nothing for the kernel.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    Ok(rustix::fs::open(path, DIRECTORY, Mode::empty())?)
}

pub(super) fn sub(handle: &Handle, name: &OsStr) -> io::Result<Handle> {
    let flags = DIRECTORY.union(OFlags::NOFOLLOW);
    Ok(rustix::fs::openat(handle, name, flags, Mode::empty())?)
}

pub(super) fn mkdir(handle: &Handle, name: &OsStr, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(handle, name, mode_of(mode))?)
}

pub(super) fn file(handle: &Handle, name: &OsStr, want: Want) -> io::Result<File> {
    // NONBLOCK, because a FIFO under this name would otherwise hold us for ever; regular files do not care.
    let common = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let (flags, mode) = match want {
        Want::New(mode) => (OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, mode),
        Want::Append(mode) => (OFlags::RDWR | OFlags::CREATE | OFlags::APPEND, mode),
        Want::Update(mode) => (OFlags::WRONLY | OFlags::CREATE, mode),
        Want::Read => (OFlags::RDONLY, 0),
    };
    let fd = rustix::fs::openat(handle, name, flags | common, mode_of(mode))?;
    Ok(File::from(fd))
}

pub(super) fn rename(from: &Handle, name: &OsStr, to: &Handle, new: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::renameat(from, name, to, new)?)
}

/// A file that is held without being open: it has no readers, and watchers hear nothing of it.
pub(super) type Held = OwnedFd;

#[cfg(target_os = "linux")]
pub(super) fn hold(handle: &Handle, name: &OsStr) -> Option<Held> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(handle, name, flags, Mode::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn hold(_: &Handle, _: &OsStr) -> Option<Held> {
    None
}

/// The directory as a file of its own that can be locked: descriptors that are shared share a lock, too.
pub(super) fn lockable(handle: &Handle) -> Option<File> {
    let own = rustix::fs::openat(handle, ".", DIRECTORY, Mode::empty()).ok()?;
    Some(File::from(own))
}

pub(super) fn symlink(target: &Path, handle: &Handle, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::symlinkat(target, handle, name)?)
}

pub(super) fn unlink(handle: &Handle, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(handle, name, AtFlags::empty())?)
}

pub(super) fn rmdir(handle: &Handle, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(handle, name, AtFlags::REMOVEDIR)?)
}

#[cfg(not(target_vendor = "apple"))]
pub(super) fn sync(handle: &Handle) -> io::Result<()> {
    Ok(rustix::fs::fsync(handle)?)
}

/// fsync of macOS leaves the bytes in the disk's own memory; this is what `std` does for files. A file system that does
/// not know it, mostly one of a network, can do no more than the other.
#[cfg(target_vendor = "apple")]
pub(super) fn sync(handle: &Handle) -> io::Result<()> {
    let synced = rustix::fs::fcntl_fullfsync(handle).or_else(|_| rustix::fs::fsync(handle));
    Ok(synced?)
}

/// Has the kernel write a file's bytes out soon, without waiting. A file system that gives blocks to a file only when
/// it is written out needs a commit of its journal for each file that is synced alone; of files that were all started
/// before, the first sync commits them all.
#[cfg(target_os = "linux")]
pub(super) fn start_writing(file: &File) {
    // The only advice that starts to write; the pages stay in memory, because they are dirty.
    if let Err(error) = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed) {
        tracing::trace!(%error, "the kernel takes no advice");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn start_writing(_: &File) {}

pub(super) fn suspicion(file: &File) -> io::Result<Option<&'static str>> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = file.metadata()?;
    Ok(if meta.uid() != rustix::process::geteuid().as_raw() {
        Some("belongs to another user")
    } else if meta.mode() & OTHERS_WRITE != 0 {
        Some("may be written by others")
    } else {
        None
    })
}

pub(super) fn metadata(handle: &Handle) -> io::Result<Metadata> {
    File::from(handle.try_clone()?).metadata()
}

pub(super) fn stamp(handle: &Handle, below: &Path) -> io::Result<Stamp> {
    let stat = if below.as_os_str().is_empty() {
        rustix::fs::fstat(handle)?
    } else {
        rustix::fs::statat(handle, below, AtFlags::SYMLINK_NOFOLLOW)?
    };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Kind::Other,
    };
    Ok(Stamp {
        kind,
        inode: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
    })
}

pub(super) fn list(handle: &Handle) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(handle)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

fn mode_of(mode: u32) -> Mode {
    // The width of a mode differs between the Unixes; the permission bits fit all of them.
    Mode::from_bits_truncate(rustix::fs::RawMode::try_from(mode & 0o777).unwrap_or(0o600))
}

//! File systems: those that tell no events of what others do to them, and those that are mounted at a root.
//!
//! On a network or a user-space file system inotify sees this machine's own changes only, and on an overlay those that are
//! made through it; there a scan is the only truth, also where such a one is mounted below a root.
//! Where a root was a mount point and is none any more, its path leads to the directory that was below.
//! Elsewhere than on Linux such a file system is not told from others: a user has to ask for polling.

use super::snapshot::DirId;
use super::{Seeing, Tree, names};
use crate::model::config::Poll;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The name of the file system at `path`, if it is one that tells no events of others' changes.
#[cfg(target_os = "linux")]
pub(super) fn silent(path: &Path) -> Option<&'static str> {
    // The magic numbers of statfs(2), as the kernel has them in linux/magic.h and beside each file system.
    const SILENT: [(u32, &str); 13] = [
        (0x6969, "nfs"),
        (0x517b, "smb"),
        (0xfe53_4d42, "smb2"),
        (0xff53_4d42, "cifs"),
        (0x0102_1997, "9p"),
        (0x6573_5546, "fuse"),
        (0x786f_4256, "vboxsf"),
        (0x00c3_6400, "ceph"),
        (0x5346_414f, "afs"),
        (0x6b41_4653, "kafs"),
        (0x7375_7245, "coda"),
        (0x564c, "ncp"),
        // It tells of what is done through it, and not of what is done to its layers.
        (0x794c_7630, "overlay"),
    ];
    let stat = rustix::fs::statfs(path).ok()?;
    // The field's width and sign differ between architectures; the numbers are 32 bits of it.
    let magic = u32::try_from(stat.f_type & 0xffff_ffff).ok()?;
    SILENT
        .iter()
        .find(|(number, _)| *number == magic)
        .map(|(_, name)| *name)
}

/// The name of the file system at `path`, if it is one that tells no events of others' changes.
#[cfg(not(target_os = "linux"))]
pub(super) fn silent(_path: &Path) -> Option<&'static str> {
    None
}

impl Tree {
    /// Whether a directory lies on another file system than the one above it.
    pub(super) fn is_on_another_device(&self, id: DirId) -> bool {
        let dir = self.snapshot.dir(id);
        id != DirId::ROOT && !dir.node.is_beside(self.snapshot.dir(dir.parent).node)
    }

    /// Whether a directory lies on another file system than the root.
    pub(super) fn is_off_root(&self, id: DirId) -> bool {
        let root = self.snapshot.dir(DirId::ROOT).node;
        !self.snapshot.dir(id).node.is_beside(root)
    }

    /// Scans from now on, if what is mounted at a directory below the root tells no events.
    pub(super) fn mind_mount(&mut self, id: DirId, directory: &Path) {
        if self.scopes.poll != Poll::Auto || !self.is_on_another_device(id) {
            return;
        }
        if let Some(kind) = silent(directory) {
            let at = names::rel(&self.snapshot.path(id));
            self.unwatch_below(DirId::ROOT);
            self.leave_surroundings();
            self.seeing = Seeing::FileSystem { kind, at };
        }
    }

    /// Watches again, if what is scanned for a file system below the root has it no longer.
    pub(super) fn choose_again(&mut self) {
        let Seeing::FileSystem { kind, at } = &self.seeing else {
            return;
        };
        let is_shown = self.snapshot.find(&names::of(at)).is_some();
        let is_there = is_shown && silent(&self.root.join(at)) == Some(kind);
        // Another one at the root is another root.
        if !at.is_root() && !is_there {
            self.seeing = self.choose_seeing();
            self.surroundings.watched = false;
            self.doubted = true;
        }
    }
}

/// Whether what `stat` says of a file at `path` tells of every change, also of one whose time of writing was put back. On a
/// file system of others, and on those that keep no time of change, it need not.
#[cfg(target_os = "linux")]
pub(in crate::daemon) fn tells_changes(path: &Path) -> bool {
    const TIMELESS: [u32; 2] = [0x4d44, 0x2011_bab0]; // vfat, exfat
    let magic = rustix::fs::statfs(path).ok();
    let magic = magic.and_then(|stat| u32::try_from(stat.f_type & 0xffff_ffff).ok());
    silent(path).is_none() && magic.is_some_and(|magic| !TIMELESS.contains(&magic))
}

/// Whether what `stat` says of a file at `path` tells of every change, also of one whose time of writing was put back.
#[cfg(not(target_os = "linux"))]
pub(in crate::daemon) fn tells_changes(_path: &Path) -> bool {
    cfg!(unix)
}

/// Whether nothing is below `root` but these paths.
pub(super) fn is_bare(root: &Path, excluded: &BTreeSet<Box<[u8]>>) -> bool {
    let mut stack = vec![Vec::new()];
    while let Some(directory) = stack.pop() {
        let Ok(entries) = fs::read_dir(names::below(root, &directory)) else {
            return false;
        };
        for entry in entries.flatten() {
            let mut path = directory.clone();
            names::push(&mut path, names::bytes(&entry.file_name()));
            let leads = excluded.iter().any(|held| names::is_within(held, &path));
            if !leads {
                return false;
            }
            if !excluded.contains(&*path) {
                stack.push(path);
            }
        }
    }
    true
}

/// Whether something is mounted at `path`; false where the kernel does not say.
#[cfg(target_os = "linux")]
pub(super) fn is_at(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    statx(CWD, path, flags, StatxFlags::TYPE)
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether something is mounted at `path`; false where the kernel does not say.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_at(_path: &Path) -> bool {
    false
}

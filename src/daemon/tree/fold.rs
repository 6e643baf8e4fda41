//! Digests of what a filter takes: of each directory once, until a change below spoils it.
//!
//! They are those of the Remote Execution API's `Directory` (`merkle`). A directory that holds a file which nobody has read
//! has none yet: it is asked for first, and the digest is of the content as it was read.

use super::capture::Pending;
use super::merkle::{Address, Directory, DirectoryNode, FileNode, Summary, SymlinkNode, text};
use super::scopes::{Filter, FilterId, Scopes, Standing};
use super::snapshot::{DirId, Entry, Known, Leaf, Snapshot};
use super::{Tree, names};
use crate::model::digest::{Digest, InputDigest};

/// What is known of one directory's digest under one filter.
#[derive(Clone, Copy, Debug, Default)]
enum Slot {
    /// It has to be computed.
    #[default]
    Spoiled,
    /// It holds nothing that the filter takes.
    Empty,
    /// This.
    Whole(Summary),
}

/// The digests of the directories, per filter.
#[derive(Debug, Default)]
pub(super) struct Digests {
    filters: Vec<Vec<Slot>>,
}

impl Digests {
    /// A directory's content differs: its digests and those of all above it have to be computed again.
    pub(super) fn spoil(&mut self, snapshot: &Snapshot, id: DirId) {
        for id in snapshot.upwards(id) {
            self.forget(id);
        }
    }

    /// An id of the arena stands for another directory now.
    pub(super) fn forget(&mut self, id: DirId) {
        for slots in &mut self.filters {
            if let Some(slot) = slots.get_mut(id.index()) {
                *slot = Slot::Spoiled;
            }
        }
    }

    fn slots(&mut self, filter: FilterId) -> &mut Vec<Slot> {
        if self.filters.len() <= filter.0 {
            self.filters.resize_with(filter.0 + 1, Vec::new);
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "the vector was just made long enough"
        )]
        &mut self.filters[filter.0]
    }
}

impl Tree {
    pub(super) fn digest(&mut self, filter: FilterId) -> InputDigest {
        let summary = self.fold(filter, None);
        InputDigest(summary.map_or_else(|| Digest::of(b""), |summary| summary.digest))
    }

    /// Digests what a filter takes. Where files that have to be read first are asked for, directories that hold some are
    /// not digested: the answer is of no use then.
    pub(super) fn fold(
        &mut self,
        id: FilterId,
        unread: Option<&mut Vec<Pending>>,
    ) -> Option<Summary> {
        let filter = self.scopes.filter(id)?.clone();
        let base = self.scopes.base(&filter);
        let top = self.snapshot.find(base)?;
        let mut fold = Fold {
            snapshot: &self.snapshot,
            scopes: &self.scopes,
            filter: &filter,
            slots: self.digests.slots(id),
            path: Vec::new(),
            unread,
        };
        let standing = self.scopes.outset(&filter);
        fold.directory(top, &standing).0
    }
}

/// Whether a digest may be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    /// There is a file below that nobody has read, or a torn one: it is read again.
    No,
}

/// One pass over a project's directories under one filter; what no change has spoiled is not entered.
struct Fold<'a> {
    snapshot: &'a Snapshot,
    scopes: &'a Scopes,
    filter: &'a Filter,
    slots: &'a mut Vec<Slot>,
    /// Below the project.
    path: Vec<u8>,
    /// Where files go that have to be read first, if they are asked for.
    unread: Option<&'a mut Vec<Pending>>,
}

impl Fold<'_> {
    fn directory(&mut self, id: DirId, standing: &Standing) -> (Option<Summary>, Keep) {
        match self.slots.get(id.index()) {
            Some(Slot::Empty) => return (None, Keep::Yes),
            Some(Slot::Whole(summary)) => return (Some(*summary), Keep::Yes),
            Some(Slot::Spoiled) | None => {}
        }
        let mut node = Directory::default();
        let mut keep = self.leaves(id, standing, &mut node);
        for sub in self.snapshot.dir(id).dirs() {
            let name = self.snapshot.dir(*sub).name();
            let len = self.path.len();
            names::push(&mut self.path, name);
            let below = self.scopes.enter(self.filter, standing, &self.path);
            let (summary, kept) = self.directory(*sub, &below);
            self.path.truncate(len);
            if kept == Keep::No {
                keep = Keep::No;
            }
            node.directories
                .extend(summary.map(|summary| DirectoryNode {
                    name: text(name),
                    digest: Some(Address::of(summary.digest.bytes(), summary.bytes.into())),
                }));
        }
        if self.unread.is_some() && keep == Keep::No {
            return (None, keep);
        }
        let summary = (!node.is_empty()).then(|| node.summary());
        if keep == Keep::Yes {
            self.keep(id, summary.map_or(Slot::Empty, Slot::Whole));
        }
        (summary, keep)
    }

    fn leaves(&mut self, id: DirId, standing: &Standing, node: &mut Directory) -> Keep {
        let dir = self.snapshot.dir(id);
        let mut keep = Keep::Yes;
        for (at, entry) in (0..).zip(dir.entries()) {
            let name = dir.name_of(entry);
            let len = self.path.len();
            names::push(&mut self.path, name);
            let aside = dir.is_aside(name);
            let taken = self.scopes.takes(self.filter, standing, &self.path, aside);
            self.path.truncate(len);
            if !taken {
                continue;
            }
            if entry.is_unhashed() {
                keep = Keep::No;
                if let Some(unread) = &mut self.unread {
                    unread.push((id, at));
                }
            }
            if keep == Keep::Yes || self.unread.is_none() {
                add(node, entry, name, dir.target_of(entry));
            }
        }
        keep
    }

    fn keep(&mut self, id: DirId, slot: Slot) {
        if self.slots.len() <= id.index() {
            self.slots.resize_with(id.index() + 1, Slot::default);
        }
        if let Some(place) = self.slots.get_mut(id.index()) {
            *place = slot;
        }
    }
}

fn add(node: &mut Directory, entry: &Entry, name: &[u8], target: &[u8]) {
    match entry.leaf {
        Leaf::Symlink => node.symlinks.push(SymlinkNode {
            name: text(name),
            target: text(target),
        }),
        Leaf::File => node.files.push(FileNode {
            name: text(name),
            digest: Some(match entry.known {
                Known::Unreadable => Address::unreadable(),
                Known::No | Known::Torn | Known::Racy | Known::Yes => {
                    Address::of(&entry.hash, entry.print.size)
                }
            }),
            is_executable: entry.print.is_executable(),
        }),
    }
}

//! Settling: what was found in a directory against what was known of it.
//!
//! One pass, whether the whole directory was listed or a few names of it were in doubt. A changed fingerprint is no
//! change yet: a small file whose content was known is read, and the same bytes are passed over in silence.

use super::Tree;
use super::content::{Reading, read};
use super::journal::{Changes, Was};
use super::names;
use super::print::{Mode, Node, Print};
use super::snapshot::{Content, DirId, Known, Leaf, Listed, NewEntry, Turn};
use super::walk::{Reach, Renew, Step};
use crate::daemon::watcher::Doubt;
use crate::limits::EAGER_HASH_BYTES_MAX;
use crate::model::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// What is at a name now.
#[derive(Debug)]
pub(super) enum What {
    /// Nothing that counts.
    Nothing,
    File(Print),
    /// A link, and where it points.
    Symlink(Print, Box<[u8]>),
    Directory(Node, Mode),
}

/// A name and what is there now.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: Box<[u8]>,
    pub(super) what: What,
    /// The hash of a file that was read when it was found, and what is known of it.
    pub(super) read: Option<([u8; 32], Known)>,
    /// Why it was looked at; `None` when its directory was listed.
    pub(super) doubt: Option<Doubt>,
    /// Whether a rule hides it, so that it is content only of stages that declare it.
    pub(super) aside: bool,
}

/// How much of a directory was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent {
    /// These names.
    Names,
    /// All of it: what was not found is gone. And how to go on below.
    Complete(Reach, Renew),
}

/// Whether the other names of a changed inode are sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    Sought,
    /// They are met anyway.
    Met,
}

/// What one look gathers.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) changes: Changes,
    /// Inodes whose watch this tree took away, and when; what another workspace has is its own.
    pub(super) let_go: BTreeMap<Node, Turn>,
    /// Inodes with several names that differ: the kernel tells of the name that was used, and of no other.
    pub(super) linked: BTreeSet<u64>,
    /// Those of them whose other names were looked at.
    pub(super) met: BTreeSet<u64>,
    pub(super) links: Links,
}

impl Look {
    pub(super) fn new(changes: Changes) -> Self {
        Self {
            changes,
            let_go: BTreeMap::new(),
            linked: BTreeSet::new(),
            met: BTreeSet::new(),
            links: Links::Sought,
        }
    }
}

/// A known leaf against what is at its name now.
enum Verdict {
    Same,
    /// Another content, or another link: it is put in anew.
    Other,
}

impl Tree {
    /// Brings a directory's entries up to date with what was found (sorted by name), notes what differs, and returns
    /// the directories to look at next.
    pub(super) fn settle(
        &mut self,
        id: DirId,
        found: Vec<Found>,
        extent: Extent,
        look: &mut Look,
    ) -> Vec<Step> {
        self.drop_directories(id, &found, extent, look);
        let (mut fresh, mut gone, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        if let Extent::Complete(..) = extent {
            self.find_missing(id, &found, &mut gone, look);
        }
        for found in found {
            if let What::Directory(node, mode) = found.what {
                let step = self.settle_directory(id, &found, (node, mode), extent, look);
                steps.extend(step);
            }
            self.settle_leaf(id, found, (&mut gone, &mut fresh), look);
        }
        if !gone.is_empty() || !fresh.is_empty() {
            gone.sort_unstable();
            self.snapshot.rebuild(id, &gone, &fresh);
            self.digests.spoil(&self.snapshot, id);
        }
        steps
    }

    fn settle_leaf(
        &mut self,
        id: DirId,
        found: Found,
        (gone, fresh): (&mut Vec<usize>, &mut Vec<NewEntry>),
        look: &mut Look,
    ) {
        let at = self.snapshot.dir(id).position(&found.name);
        let new = NewEntry::of(found);
        match (at, new) {
            (None, None) => {}
            (None, Some(new)) => {
                look.note(|| self.snapshot.path_of(id, &new.name), Was::Absent);
                look.note_link(&new.print);
                fresh.push(new);
            }
            (Some(at), None) => {
                self.note_leaf(id, at, look);
                gone.push(at);
            }
            (Some(at), Some(new)) => {
                if let Verdict::Other = self.revise(id, at, &new, look) {
                    gone.push(at);
                    fresh.push(new);
                }
            }
        }
    }

    /// Compares a known leaf with what is there now, and updates it in place where its name's bytes stay.
    fn revise(&mut self, id: DirId, at: usize, new: &NewEntry, look: &mut Look) -> Verdict {
        let dir = self.snapshot.dir(id);
        let Some(old) = dir.entries().get(at).copied() else {
            return Verdict::Other;
        };
        let is_aside = dir.is_aside(&new.name);
        if old.leaf != new.leaf || is_aside != new.aside || new.leaf == Leaf::Symlink {
            let is_same_kind = old.leaf == new.leaf && is_aside == new.aside;
            if is_same_kind && dir.target_of(&old) == &*new.target {
                self.update(id, at, |entry| entry.print = new.print);
                return Verdict::Same;
            }
            self.note_leaf(id, at, look);
            return Verdict::Other;
        }
        let same_print = old.print == new.print;
        if same_print && old.known != Known::Racy {
            return Verdict::Same;
        }
        look.note_link(&old.print);
        look.note_link(&new.print);
        let known = dir.content_of(&old);
        let comparable = known.is_some()
            && old.print.size == new.print.size
            && new.print.size <= EAGER_HASH_BYTES_MAX;
        let reading = comparable.then(|| {
            let path = self.snapshot.path_of(id, &new.name);
            read(&names::below(self.root.as_path(), &path))
        });
        if let Some(Reading::Hashed { print, hash, racy }) = reading {
            let content = Content {
                leaf: Leaf::File,
                aside: new.aside,
                executable: print.is_executable(),
                hash,
            };
            if known != Some(content) {
                self.note_leaf(id, at, look);
            }
            let how = if racy { Known::Racy } else { Known::Yes };
            self.update(id, at, |entry| {
                (entry.print, entry.hash, entry.known) = (print, hash, how);
            });
            self.note_read(&print, how);
            if known != Some(content) {
                self.digests.spoil(&self.snapshot, id);
            }
        } else {
            // Not known before, of another size, too large to read now, or not to be read now: a view will.
            self.note_leaf(id, at, look);
            self.update(id, at, |entry| {
                entry.print = new.print;
                entry.known = Known::No;
            });
            self.digests.spoil(&self.snapshot, id);
        }
        Verdict::Same
    }

    pub(super) fn update(
        &mut self,
        id: DirId,
        at: usize,
        change: impl FnOnce(&mut super::snapshot::Entry),
    ) {
        if let Some(entry) = self.snapshot.entry_mut(id, at) {
            change(entry);
        }
    }

    /// Notes that a known leaf is not what it was.
    fn note_leaf(&self, id: DirId, at: usize, look: &mut Look) {
        let dir = self.snapshot.dir(id);
        if let Some(entry) = dir.entries().get(at) {
            look.note_link(&entry.print);
            let aside = dir.is_aside(dir.name_of(entry));
            let was = dir.content_of(entry);
            let was = was.map_or(Was::Unknown { aside }, Was::Content);
            look.note(|| self.snapshot.path_of(id, dir.name_of(entry)), was);
        }
    }

    fn find_missing(&self, id: DirId, found: &[Found], gone: &mut Vec<usize>, look: &mut Look) {
        let dir = self.snapshot.dir(id);
        let mut found = found.iter().peekable();
        for (at, entry) in dir.entries().iter().enumerate() {
            let name = dir.name_of(entry);
            while found.next_if(|found| *found.name < *name).is_some() {}
            if found.peek().is_none_or(|found| *found.name != *name) {
                self.note_leaf(id, at, look);
                gone.push(at);
            }
        }
    }

    /// Takes out the subdirectories that are none any more. Before any is added: see [`super::walk`].
    fn drop_directories(&mut self, id: DirId, found: &[Found], extent: Extent, look: &mut Look) {
        let mut lost = Vec::new();
        for sub in self.snapshot.dir(id).dirs() {
            let name = self.snapshot.dir(*sub).name();
            let at = found.binary_search_by(|found| (*found.name).cmp(name));
            match (at.ok().and_then(|at| found.get(at)), extent) {
                (Some(found), _) if matches!(found.what, What::Directory(..)) => {}
                (Some(_), _) | (None, Extent::Complete(..)) => lost.push(*sub),
                (None, Extent::Names) => {}
            }
        }
        for sub in lost {
            self.forget(sub, look);
        }
    }

    /// Takes a directory out, with all below it.
    fn forget(&mut self, top: DirId, look: &mut Look) {
        let all = self.snapshot.all(top);
        for id in &all {
            for at in 0..self.snapshot.dir(*id).entries().len() {
                self.note_leaf(*id, at, look);
            }
        }
        for id in all {
            self.unhook(id, look);
        }
        let path = self.snapshot.path(top);
        self.unreadable
            .retain(|held, _| !names::is_within(held, &path));
        self.nested.forget(&path);
        self.digests.spoil(&self.snapshot, top);
        self.snapshot.remove(top);
    }

    fn settle_directory(
        &mut self,
        parent: DirId,
        found: &Found,
        (node, mode): (Node, Mode),
        extent: Extent,
        look: &mut Look,
    ) -> Option<Step> {
        let known = self.snapshot.subdir(parent, &found.name);
        let Some(id) = known.filter(|id| self.snapshot.dir(*id).aside == found.aside) else {
            // Hidden or shown by now: all in it is another's content, and taken up anew.
            known.into_iter().for_each(|id| self.forget(id, look));
            let id = self.snapshot.add(parent, &found.name, node, mode);
            self.snapshot.dir_mut(id).aside = found.aside;
            self.digests.forget(id);
            return Some(Step::new(id, Reach::Below, Renew::No));
        };
        if self.snapshot.dir(id).node != node {
            self.unhook(id, look);
            let dir = self.snapshot.dir_mut(id);
            (dir.node, dir.mode) = (node, mode);
            return Some(Step::new(id, Reach::Below, Renew::Yes));
        }
        let by_events = self.seeing.is_by_events();
        let dir = self.snapshot.dir_mut(id);
        // Whether it can still be read shows when it is listed.
        let unseen = std::mem::replace(&mut dir.mode, mode) != mode
            || dir.listed != Listed::Done
            || (by_events && dir.watched().is_none());
        match extent {
            Extent::Complete(Reach::Below, renew) => Some(Step::new(id, Reach::Below, renew)),
            _ if found.doubt == Some(Doubt::Hook) => Some(Step::new(id, Reach::Below, Renew::Yes)),
            _ if unseen => Some(Step::new(id, Reach::Only, Renew::No)),
            Extent::Names | Extent::Complete(Reach::Only, _) => None,
        }
    }
}

impl Look {
    fn note(&mut self, path: impl FnOnce() -> Vec<u8>, was: Was) {
        if self.changes != Changes::Everything {
            self.changes.note(path(), was);
        }
    }

    fn note_link(&mut self, print: &Print) {
        let sought = self.links == Links::Sought && print.is_linked();
        if sought && !self.met.contains(&print.inode()) {
            self.linked.insert(print.inode());
        }
    }
}

impl NewEntry {
    fn of(found: Found) -> Option<Self> {
        let aside = found.aside;
        let (print, leaf, target, hash, known) = match found.what {
            What::Nothing | What::Directory(..) => return None,
            What::File(print) => {
                let (hash, known) = found.read.unwrap_or(([0; 32], Known::No));
                (print, Leaf::File, Box::default(), hash, known)
            }
            What::Symlink(print, target) => {
                let hash = *Digest::of(&target).bytes();
                (print, Leaf::Symlink, target, hash, Known::Yes)
            }
        };
        Some(Self {
            name: found.name,
            aside,
            print,
            leaf,
            target,
            hash,
            known,
        })
    }
}

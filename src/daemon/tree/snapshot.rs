//! The snapshot: what every directory held when it was last looked at, in little memory.
//!
//! Directories live in one arena and know their parent; files and symbolic links are 80 bytes each in a sorted vector of
//! their directory, their names once in one buffer beside it. There is no path in here: a path is made when one is
//! needed. A directory's id stays taken until [`Snapshot::reclaim`], so that a walk never meets another directory under it.

use super::names;
use super::print::{Mode, Node, Print};
use super::rules::Rules;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::sync::Arc;

/// Which directory of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DirId(u32);

impl DirId {
    /// The root of the workspace.
    pub(super) const ROOT: Self = Self(0);

    pub(super) fn index(self) -> usize {
        // The arena is a vector in memory: its indices fit both types wherever this runs.
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// What kind of leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leaf {
    File,
    Symlink,
}

/// What is known of a leaf's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    No,
    /// The hash of what was read while it changed: a view may say it, nothing may rely on it.
    Torn,
    /// Its hash, but the same fingerprint is no proof that it still holds.
    Racy,
    /// Its hash.
    Yes,
    /// It cannot be read.
    Unreadable,
}

/// What a leaf is, as far as content goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) leaf: Leaf,
    /// A rule hides it: it is content only of stages that declare it.
    pub(super) aside: bool,
    pub(super) executable: bool,
    pub(super) hash: [u8; 32],
}

/// A file or symbolic link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) print: Print,
    pub(super) hash: [u8; 32],
    name_at: u32,
    name_len: u16,
    pub(super) leaf: Leaf,
    pub(super) known: Known,
}

impl Entry {
    /// Whether a view needs it read first.
    pub(super) fn is_unhashed(&self) -> bool {
        self.leaf == Leaf::File && matches!(self.known, Known::No | Known::Torn)
    }
}

/// A leaf on its way into a directory.
#[derive(Debug)]
pub(super) struct NewEntry {
    pub(super) name: Box<[u8]>,
    pub(super) aside: bool,
    pub(super) print: Print,
    pub(super) leaf: Leaf,
    /// Where a symbolic link points; empty for a file.
    pub(super) target: Box<[u8]>,
    pub(super) hash: [u8; 32],
    pub(super) known: Known,
}

/// Whether a directory was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Not,
    Done,
    Unreadable,
}

/// The order in which a tree's watches were set and taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(NonZeroU64);

impl Turn {
    /// Before all others.
    pub(super) const FIRST: Self = Self(NonZeroU64::MIN);

    /// The one after this.
    pub(super) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A directory.
#[derive(Debug)]
pub(super) struct Dir {
    pub(super) parent: DirId,
    name: Box<[u8]>,
    pub(super) node: Node,
    pub(super) mode: Mode,
    /// Names of the entries, each symbolic link's followed by its target.
    names: Vec<u8>,
    entries: Vec<Entry>,
    dirs: Vec<DirId>,
    pub(super) rules: Option<Arc<Rules>>,
    pub(super) listed: Listed,
    /// A rule hides it, and it was entered because stages declare what is in it.
    pub(super) aside: bool,
    /// The names of entries that a rule hides and stages declare, where it is not hidden itself.
    entries_aside: BTreeSet<Box<[u8]>>,
    /// When its watch was set, if it has one.
    watched: Option<Turn>,
    alive: bool,
}

/// Everything that is known of one workspace's files.
#[derive(Debug)]
pub(super) struct Snapshot {
    arena: Vec<Dir>,
    retired: Vec<DirId>,
    free: Vec<DirId>,
    files: usize,
    directories: usize,
    watches: usize,
}

impl Snapshot {
    pub(super) fn new(root: Node) -> Self {
        let mut snapshot = Self {
            arena: Vec::new(),
            retired: Vec::new(),
            free: Vec::new(),
            files: 0,
            directories: 1,
            watches: 0,
        };
        snapshot
            .arena
            .push(Dir::new(DirId::ROOT, b"", root, Mode::default()));
        snapshot
    }

    pub(super) fn files(&self) -> usize {
        self.files
    }

    pub(super) fn directories(&self) -> usize {
        self.directories
    }

    pub(super) fn watches(&self) -> usize {
        self.watches
    }

    /// No directory has a watch any more.
    pub(super) fn forget_watches(&mut self) {
        self.arena.iter_mut().for_each(|dir| dir.watched = None);
        self.watches = 0;
    }

    /// Whether a directory holds rules of git.
    pub(super) fn has_rules_of_git(&self) -> bool {
        let rules = self.arena.iter().filter_map(|dir| dir.rules.as_ref());
        rules.into_iter().any(|rules| rules.gitignore.is_some())
    }

    /// The directories whose watch was set before the inode that they are was let go of under another name.
    pub(super) fn blind(&self, let_go: &BTreeMap<Node, Turn>) -> Vec<DirId> {
        let dirs = (0..).map(DirId).zip(&self.arena);
        let blind = dirs.filter(|(_, dir)| {
            let gone = dir.watched.and_then(|_| let_go.get(&dir.node));
            dir.alive && gone.is_some_and(|gone| dir.watched < Some(*gone))
        });
        blind.map(|(id, _)| id).collect()
    }

    /// Every directory, parents before their children.
    pub(super) fn all(&self, top: DirId) -> Vec<DirId> {
        let mut all = vec![top];
        let mut at = 0;
        while let Some(dir) = all.get(at).copied() {
            all.extend_from_slice(&self.dir(dir).dirs);
            at += 1;
        }
        all
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an id is an index into the arena, which never shrinks"
    )]
    pub(super) fn dir(&self, id: DirId) -> &Dir {
        &self.arena[id.index()]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an id is an index into the arena, which never shrinks"
    )]
    pub(super) fn dir_mut(&mut self, id: DirId) -> &mut Dir {
        &mut self.arena[id.index()]
    }

    pub(super) fn is_alive(&self, id: DirId) -> bool {
        self.dir(id).alive
    }

    /// The path of a directory below the root.
    pub(super) fn path(&self, id: DirId) -> Vec<u8> {
        let mut chain = Vec::new();
        let mut at = id;
        while at != DirId::ROOT {
            let dir = self.dir(at);
            chain.push(&*dir.name);
            at = dir.parent;
        }
        let mut path = Vec::new();
        for name in chain.into_iter().rev() {
            names::push(&mut path, name);
        }
        path
    }

    /// The path of an entry of a directory.
    pub(super) fn path_of(&self, id: DirId, name: &[u8]) -> Vec<u8> {
        let mut path = self.path(id);
        names::push(&mut path, name);
        path
    }

    /// The directory and all above it, itself first.
    pub(super) fn upwards(&self, id: DirId) -> impl Iterator<Item = DirId> {
        let mut next = Some(id);
        std::iter::from_fn(move || {
            let at = next?;
            next = (at != DirId::ROOT).then(|| self.dir(at).parent);
            Some(at)
        })
    }

    /// The subdirectory of this name.
    pub(super) fn subdir(&self, id: DirId, name: &[u8]) -> Option<DirId> {
        let dirs = &self.dir(id).dirs;
        let at = dirs
            .binary_search_by(|dir| (*self.dir(*dir).name).cmp(name))
            .ok()?;
        dirs.get(at).copied()
    }

    /// The directory at this path.
    pub(super) fn find(&self, path: &[u8]) -> Option<DirId> {
        let mut at = DirId::ROOT;
        for name in names::components(path) {
            at = self.subdir(at, name)?;
        }
        Some(at)
    }

    /// The deepest known directory on the way to `path`, and the name that follows in it; no name when the path itself
    /// is a known directory.
    pub(super) fn reach<'a>(&self, path: &'a [u8]) -> (DirId, Option<&'a [u8]>) {
        let mut at = DirId::ROOT;
        for name in names::components(path) {
            match self.subdir(at, name) {
                Some(next) => at = next,
                None => return (at, Some(name)),
            }
        }
        (at, None)
    }

    /// Adds a subdirectory that is not there yet.
    pub(super) fn add(&mut self, parent: DirId, name: &[u8], node: Node, mode: Mode) -> DirId {
        let dir = Dir::new(parent, name, node, mode);
        let id = if let Some(id) = self.free.pop() {
            *self.dir_mut(id) = dir;
            id
        } else {
            let id = DirId(u32::try_from(self.arena.len()).unwrap_or(u32::MAX));
            self.arena.push(dir);
            id
        };
        let at = self
            .dir(parent)
            .dirs
            .partition_point(|dir| *self.dir(*dir).name < *name);
        self.dir_mut(parent).dirs.insert(at, id);
        self.directories += 1;
        id
    }

    /// Takes a directory and all below it out; the caller has read what it wants to know of them.
    pub(super) fn remove(&mut self, id: DirId) {
        let all = self.all(id);
        let parent = self.dir(id).parent;
        self.dir_mut(parent).dirs.retain(|dir| *dir != id);
        for id in all {
            self.unhook(id);
            self.directories = self.directories.saturating_sub(1);
            let dir = self.dir_mut(id);
            let files = dir.entries.len();
            *dir = Dir::new(parent, b"", Node::default(), Mode::default());
            dir.alive = false;
            self.files = self.files.saturating_sub(files);
            self.retired.push(id);
        }
    }

    /// Lets the ids of removed directories be used again: only between two operations.
    pub(super) fn reclaim(&mut self) {
        self.free.append(&mut self.retired);
    }

    /// Takes the entries at `gone` (ascending) out of a directory and puts `fresh` (by name) in.
    pub(super) fn rebuild(&mut self, id: DirId, gone: &[usize], fresh: &[NewEntry]) {
        let dir = self.dir_mut(id);
        dir.set_aside(gone, fresh);
        let (before, old, old_names) = (
            dir.entries.len(),
            std::mem::take(&mut dir.entries),
            std::mem::take(&mut dir.names),
        );
        let room = before.saturating_sub(gone.len()) + fresh.len();
        dir.entries.reserve_exact(room);
        let mut gone = gone.iter().copied().peekable();
        let mut fresh = fresh.iter().peekable();
        for (at, entry) in old.into_iter().enumerate() {
            if gone.next_if_eq(&at).is_some() {
                continue;
            }
            let name = slice(&old_names, entry.name_at, usize::from(entry.name_len));
            while let Some(new) = fresh.next_if(|new| *new.name < *name) {
                dir.push(new);
            }
            let kept = slice(&old_names, entry.name_at, entry.span());
            dir.keep(entry, kept);
        }
        for new in fresh {
            dir.push(new);
        }
        dir.names.shrink_to_fit();
        let after = dir.entries.len();
        self.files = self.files.saturating_sub(before).saturating_add(after);
    }

    /// Notes that a directory's watch was set.
    pub(super) fn hook(&mut self, id: DirId, turn: Turn) {
        if self.dir_mut(id).watched.replace(turn).is_none() {
            self.watches += 1;
        }
    }

    /// Notes that a directory has no watch any more; false if it had none.
    pub(super) fn unhook(&mut self, id: DirId) -> bool {
        let had = self.dir_mut(id).watched.take().is_some();
        self.watches = self.watches.saturating_sub(usize::from(had));
        had
    }

    /// A leaf, to change what is known of it.
    pub(super) fn entry_mut(&mut self, id: DirId, at: usize) -> Option<&mut Entry> {
        self.dir_mut(id).entries.get_mut(at)
    }
}

impl Dir {
    fn new(parent: DirId, name: &[u8], node: Node, mode: Mode) -> Self {
        Self {
            parent,
            name: name.into(),
            node,
            mode,
            names: Vec::new(),
            entries: Vec::new(),
            dirs: Vec::new(),
            rules: None,
            listed: Listed::Not,
            aside: false,
            entries_aside: BTreeSet::new(),
            watched: None,
            alive: true,
        }
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// When its watch was set, if it has one.
    pub(super) fn watched(&self) -> Option<Turn> {
        self.watched
    }

    pub(super) fn dirs(&self) -> &[DirId] {
        &self.dirs
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn name_of(&self, entry: &Entry) -> &[u8] {
        slice(&self.names, entry.name_at, usize::from(entry.name_len))
    }

    /// Whether a leaf of this name is content only of stages that declare it.
    pub(super) fn is_aside(&self, name: &[u8]) -> bool {
        self.aside || self.entries_aside.contains(name)
    }

    /// The content of a leaf; `None` while its hash is not known for certain.
    pub(super) fn content_of(&self, entry: &Entry) -> Option<Content> {
        matches!(entry.known, Known::Racy | Known::Yes).then(|| Content {
            leaf: entry.leaf,
            aside: self.is_aside(self.name_of(entry)),
            executable: entry.print.is_executable(),
            hash: entry.hash,
        })
    }

    /// Takes note of which entries stand aside before those at `gone` go and `fresh` come.
    fn set_aside(&mut self, gone: &[usize], fresh: &[NewEntry]) {
        let mut held = std::mem::take(&mut self.entries_aside);
        for entry in gone.iter().filter_map(|at| self.entries.get(*at)) {
            held.remove(self.name_of(entry));
        }
        let fresh = fresh.iter().filter(|new| new.aside && !self.aside);
        held.extend(fresh.map(|new| new.name.clone()));
        self.entries_aside = held;
    }

    /// Where a symbolic link points.
    pub(super) fn target_of(&self, entry: &Entry) -> &[u8] {
        let all = slice(&self.names, entry.name_at, entry.span());
        all.get(usize::from(entry.name_len)..).unwrap_or_default()
    }

    /// The place of the entry of this name.
    pub(super) fn position(&self, name: &[u8]) -> Option<usize> {
        self.entries
            .binary_search_by(|entry| self.name_of(entry).cmp(name))
            .ok()
    }

    fn push(&mut self, new: &NewEntry) {
        let mut bytes = new.name.to_vec();
        bytes.extend_from_slice(&new.target);
        let entry = Entry {
            print: new.print,
            hash: new.hash,
            name_at: 0,
            // No file system has names beyond 64 KiB.
            name_len: u16::try_from(new.name.len()).unwrap_or(u16::MAX),
            leaf: new.leaf,
            known: new.known,
        };
        self.keep(entry, &bytes);
    }

    fn keep(&mut self, mut entry: Entry, bytes: &[u8]) {
        entry.name_at = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.extend_from_slice(bytes);
        self.entries.push(entry);
    }
}

impl Entry {
    /// Bytes that it takes in its directory's buffer.
    fn span(&self) -> usize {
        let target = match self.leaf {
            Leaf::File => 0,
            Leaf::Symlink => usize::try_from(self.print.size).unwrap_or(0),
        };
        usize::from(self.name_len).saturating_add(target)
    }
}

fn slice(names: &[u8], at: u32, len: usize) -> &[u8] {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    names.get(at..at.saturating_add(len)).unwrap_or_default()
}

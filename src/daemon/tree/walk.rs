//! The walk: watch a directory, then list it, then go on below.
//!
//! In this order, because whatever comes after the listing is then an event, and whatever came before is in it. An
//! ignored directory is neither watched nor listed. The kernel's watch hangs on the inode, ours on the name, and both
//! meet only in `notify`'s own tables: so a directory that may have moved is let go of before it is taken up again.

use super::content::is_gone;
use super::journal::Changes;
use super::names;
use super::print::{Mode, Node, Print};
use super::rules::{Chain, Present, Rules};
use super::settle::{Extent, Found, Look, What};
use super::snapshot::{DirId, Listed};
use super::{Seeing, Tree, TreeError};
use crate::daemon::watcher::{Doubt, WatchError, backed_up, is_noise};
use crate::limits::UNREADABLE_MAX;
use crate::model::config::Poll;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, FileType, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How far a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// This directory, and below it only what is new.
    Only,
    /// This directory and all below it.
    Below,
}

/// Whether a watch that is there is set anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renew {
    No,
    Yes,
}

/// A directory that is to be looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    directory: DirId,
    reach: Reach,
    renew: Renew,
}

impl Step {
    pub(super) fn new(directory: DirId, reach: Reach, renew: Renew) -> Self {
        Self {
            directory,
            reach,
            renew,
        }
    }
}

/// What is shown of a directory's entries, and what is hidden.
#[derive(Debug)]
pub(super) struct Sieve {
    pub(super) chain: Chain,
    excluded: Vec<Box<[u8]>>,
}

impl Sieve {
    /// Whether an entry is content, or leads to some.
    pub(super) fn shows(&self, name: &[u8], is_directory: bool) -> bool {
        !self.is_excluded(name) && self.chain.ignores(name, is_directory).is_none()
    }

    /// Whether an entry is nobody's content whatever the rules say.
    pub(super) fn is_excluded(&self, name: &[u8]) -> bool {
        name == b".git" || is_noise(name) || self.excluded.iter().any(|held| **held == *name)
    }
}

/// Whether a directory can be listed now.
enum Hooked {
    Yes,
    Gone,
    Denied,
}

struct Raw {
    name: Box<[u8]>,
    kind: FileType,
    entry: DirEntry,
}

impl Tree {
    /// Looks at directories until none is left to look at. Where that fails, what was found is told by the next look,
    /// and what was left is found by it.
    pub(super) fn walk(&mut self, start: Vec<Step>, look: &mut Look) -> Result<(), TreeError> {
        let was_by_events = self.seeing.is_by_events();
        let walked = self.walk_all(start, look);
        if was_by_events {
            self.note_refusal();
        }
        if walked.is_err() {
            self.doubted = true;
            self.untold = std::mem::replace(&mut look.changes, Changes::none());
        }
        walked
    }

    fn walk_all(&mut self, start: Vec<Step>, look: &mut Look) -> Result<(), TreeError> {
        let mut stack = start;
        loop {
            while let Some(step) = stack.pop() {
                if self.snapshot.is_alive(step.directory) {
                    self.visit(step, look, &mut stack)?;
                }
            }
            // A directory that moved within the tree was met under its new name, and then its old name was let go of:
            // both are one watch of the kernel.
            let added = std::mem::take(&mut look.added);
            let let_go = std::mem::take(&mut look.let_go);
            let blind = added.into_iter().filter(|id| {
                let dir = self.snapshot.dir(*id);
                self.snapshot.is_alive(*id) && let_go.contains(&dir.node)
            });
            stack.extend(blind.map(|id| Step::new(id, Reach::Only, Renew::Yes)));
            stack.extend(self.settle_links(look));
            if stack.is_empty() {
                return Ok(());
            }
        }
    }

    /// Looks at the other names of inodes that changed under one name.
    fn settle_links(&mut self, look: &mut Look) -> Vec<Step> {
        let linked = std::mem::take(&mut look.linked);
        if linked.is_empty() {
            return Vec::new();
        }
        let mut doubts: BTreeMap<DirId, BTreeMap<Box<[u8]>, Doubt>> = BTreeMap::new();
        for id in self.snapshot.all(DirId::ROOT) {
            let dir = self.snapshot.dir(id);
            for entry in dir.entries() {
                if linked.contains(&entry.print.inode()) {
                    let names = doubts.entry(id).or_default();
                    names.insert(dir.name_of(entry).into(), Doubt::Content);
                }
            }
        }
        look.met.extend(linked);
        let mut steps = Vec::new();
        for (id, names) in doubts {
            steps.extend(self.settle_names(id, &names, look));
        }
        steps
    }

    fn visit(
        &mut self,
        step: Step,
        look: &mut Look,
        stack: &mut Vec<Step>,
    ) -> Result<(), TreeError> {
        let id = step.directory;
        let path = self.snapshot.path(id);
        let directory = names::below(self.root.as_path(), &path);
        match self.hook(id, &directory, step.renew, look)? {
            Hooked::Yes => {}
            Hooked::Gone => return self.lose(id, look),
            Hooked::Denied => {
                return self.cannot_read(id, &path, io::ErrorKind::PermissionDenied, look);
            }
        }
        let raw = match list(&directory) {
            Ok(raw) => raw,
            Err(error) if is_gone(&error) => return self.lose(id, look),
            Err(error) => return self.cannot_read(id, &path, error.kind(), look),
        };
        let mut present = Present::default();
        raw.iter().for_each(|raw| present.note(&raw.name));
        let changed = self.load_rules(id, &directory, present);
        let sieve = self.sieve(id);
        let backups = backups(&raw);
        let mut found = Vec::with_capacity(raw.len());
        let mut failure = None;
        for raw in raw {
            if sieve.shows(&raw.name, raw.kind.is_dir()) && !backups.contains(&raw.name) {
                match raw.entry.metadata() {
                    Ok(meta) => found.push(Found::listed(raw.name, &meta, &raw.entry.path())),
                    Err(error) if is_gone(&error) => {}
                    Err(error) => failure = Some(error.kind()),
                }
            }
        }
        if let Some(kind) = failure {
            return self.cannot_read(id, &path, kind, look);
        }
        self.unreadable.remove(&*path);
        self.snapshot.dir_mut(id).listed = Listed::Done;
        let reach = if changed { Reach::Below } else { step.reach };
        let next = self.settle(id, found, Extent::Complete(reach, step.renew), look);
        stack.extend(next);
        Ok(())
    }

    /// The directory vanished while it was looked at: what it held is gone. That it is gone itself is an event of the
    /// directory above.
    fn lose(&mut self, id: DirId, look: &mut Look) -> Result<(), TreeError> {
        if id == DirId::ROOT {
            return Err(self.lost_root());
        }
        self.empty(id, Listed::Not, look);
        Ok(())
    }

    /// What cannot be read below the root has no content; a root that cannot be read is as good as missing.
    fn cannot_read(
        &mut self,
        id: DirId,
        path: &[u8],
        kind: io::ErrorKind,
        look: &mut Look,
    ) -> Result<(), TreeError> {
        if id == DirId::ROOT {
            let (root, source) = (self.root.clone(), kind.into());
            drop(self.lost_root());
            return Err(TreeError::Root { root, source });
        }
        self.note_unreadable(path, kind);
        self.empty(id, Listed::Unreadable, look);
        Ok(())
    }

    pub(super) fn note_unreadable(&mut self, path: &[u8], kind: io::ErrorKind) {
        if self.unreadable.len() < UNREADABLE_MAX {
            self.unreadable.insert(path.into(), kind);
        }
    }

    fn empty(&mut self, id: DirId, listed: Listed, look: &mut Look) {
        let extent = Extent::Complete(Reach::Only, Renew::No);
        // Nothing found is nothing to go on with.
        drop(self.settle(id, Vec::new(), extent, look));
        let dir = self.snapshot.dir_mut(id);
        dir.listed = listed;
        dir.watched = false;
    }

    fn hook(
        &mut self,
        id: DirId,
        directory: &Path,
        renew: Renew,
        look: &mut Look,
    ) -> Result<Hooked, TreeError> {
        if !self.seeing.is_by_events() {
            return Ok(Hooked::Yes);
        }
        let dir = self.snapshot.dir_mut(id);
        if renew == Renew::Yes && dir.watched {
            dir.watched = false;
            look.let_go.insert(dir.node);
            self.eye.unwatch(directory);
        }
        match self.eye.watch(directory) {
            Ok(()) => {
                self.snapshot.dir_mut(id).watched = true;
                Ok(Hooked::Yes)
            }
            Err(WatchError::Gone { .. }) => Ok(Hooked::Gone),
            Err(WatchError::Denied { .. }) => Ok(Hooked::Denied),
            Err(source) if self.scopes.poll == Poll::Never => Err(TreeError::Watch {
                root: self.root.clone(),
                source,
            }),
            // What this workspace holds is of no use without the rest, and others can use it.
            Err(refused) => {
                self.unwatch_below(DirId::ROOT);
                self.seeing = Seeing::Refused(refused);
                Ok(Hooked::Yes)
            }
        }
    }

    /// Takes away the watches of a directory and of all below it.
    pub(super) fn unwatch_below(&mut self, top: DirId) {
        for id in self.snapshot.all(top) {
            if self.snapshot.dir(id).watched {
                let path = names::below(self.root.as_path(), &self.snapshot.path(id));
                self.eye.unwatch(&path);
                self.snapshot.dir_mut(id).watched = false;
            }
        }
    }

    /// Reads the rules that a directory holds; true if they are others than before.
    pub(super) fn load_rules(&mut self, id: DirId, directory: &Path, present: Present) -> bool {
        let rules = Rules::read(directory, present);
        let dir = self.snapshot.dir_mut(id);
        let changed = !Rules::same(dir.rules.as_deref(), rules.as_deref());
        dir.rules = rules;
        changed
    }

    /// What is shown of a directory.
    pub(super) fn sieve(&self, id: DirId) -> Sieve {
        let path = self.snapshot.path(id);
        let mut within = Vec::new();
        let mut len = path.len();
        for id in self.snapshot.upwards(id) {
            let dir = self.snapshot.dir(id);
            if let Some(rules) = &dir.rules {
                within.push((Arc::clone(rules), len));
            }
            len = len.saturating_sub(dir.name().len() + 1);
        }
        within.reverse();
        let inside = self.scopes.excluded.iter().filter_map(|held| {
            let (directory, name) = names::split(held)?;
            (directory == path).then(|| name.into())
        });
        Sieve {
            chain: self.surroundings.around.chain(&path, within),
            excluded: inside.collect(),
        }
    }
}

impl Found {
    fn listed(name: Box<[u8]>, meta: &Metadata, path: &Path) -> Self {
        Self {
            name,
            what: What::of(meta, path),
            doubt: None,
        }
    }
}

impl What {
    /// What an entry is, by its `lstat`.
    pub(super) fn of(meta: &Metadata, path: &Path) -> Self {
        let kind = meta.file_type();
        if kind.is_dir() {
            Self::Directory(Node::of(meta), Mode::of(meta))
        } else if kind.is_symlink() {
            fs::read_link(path).map_or(Self::Nothing, |target| {
                let target: Box<[u8]> = names::bytes(target.as_os_str()).into();
                let mut print = Print::of(meta);
                // Some file systems say 0, and the snapshot finds the target by it.
                print.size = target.len() as u64;
                Self::Symlink(print, target)
            })
        } else if kind.is_file() {
            Self::File(Print::of(meta))
        } else {
            // Pipes, sockets and devices hold nothing that a digest could tell.
            Self::Nothing
        }
    }
}

/// The names of editors' backups, each beside its file.
fn backups(raw: &[Raw]) -> BTreeSet<Box<[u8]>> {
    let is_there = |name: &[u8]| raw.binary_search_by(|raw| (*raw.name).cmp(name)).is_ok();
    let files = raw.iter().filter(|raw| !raw.kind.is_dir());
    let backups = files.filter(|raw| backed_up(&raw.name).is_some_and(is_there));
    backups.map(|raw| raw.name.clone()).collect()
}

fn list(directory: &Path) -> io::Result<Vec<Raw>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Mostly from the listing itself, without a call.
        match entry.file_type() {
            Ok(kind) => all.push(Raw {
                name: names::bytes(&entry.file_name()).into(),
                kind,
                entry,
            }),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

//! The walk: watch a directory, then list it, then go on below.
//!
//! In this order, because whatever comes after the listing is then an event, and whatever came before is in it. An
//! ignored directory is neither watched nor listed. The kernel's watch hangs on the inode, ours on the name, and both
//! meet only in `notify`'s own tables: so a directory that may have moved is let go of before it is taken up again.

use super::content::{is_gone, is_shut};
use super::journal::Changes;
use super::names;
use super::print::{Mode, Node, Print};
use super::rules::{Present, Rules};
use super::settle::{Extent, Look, What};
use super::snapshot::{DirId, Listed, Turn};
use super::survey::{Sieve, Site, Survey, Wanted, survey_all};
use super::{Tree, TreeError};
use crate::daemon::watcher::{Doubt, WatchError};
use crate::limits::{SURVEY_BATCH_DIRECTORIES, UNREADABLE_MAX};
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
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

/// Whether a directory can be listed now.
enum Hooked {
    Yes,
    Gone,
    Denied,
}

impl Tree {
    /// Looks at directories until none is left to look at. Where that fails, what was found is told by the next look,
    /// and what was left is found by it.
    pub(super) fn walk(&mut self, start: Vec<Step>, look: &mut Look) -> Result<(), TreeError> {
        let walked = self.walk_all(start, look);
        self.note_refusal();
        self.eye.note_watches(self.snapshot.watches());
        if walked.is_err() {
            self.give_up(look);
        }
        walked
    }

    /// A look has failed: what it has found is told by the next one, which is at everything.
    pub(super) fn give_up(&mut self, look: &mut Look) {
        self.doubted = true;
        self.untold = std::mem::replace(&mut look.changes, Changes::none());
    }

    /// As [`Tree::give_up`], because something cannot be read for the moment.
    pub(super) fn failed_look(
        &mut self,
        look: &mut Look,
        path: PathBuf,
        source: io::Error,
    ) -> TreeError {
        self.give_up(look);
        TreeError::File { path, source }
    }

    fn walk_all(&mut self, start: Vec<Step>, look: &mut Look) -> Result<(), TreeError> {
        let mut stack = start;
        loop {
            let mut ahead = self.hook_some(&mut stack, look)?;
            while !ahead.is_empty() {
                let (surveyed, next) = survey_all(ahead, || self.hook_some(&mut stack, look));
                for (site, survey) in surveyed {
                    if self.snapshot.is_alive(site.step.directory) {
                        self.take(&site, survey, look, &mut stack)?;
                    }
                }
                ahead = next?;
                if ahead.is_empty() {
                    ahead = self.hook_some(&mut stack, look)?;
                }
            }
            // A directory that moved within the tree may have been met under its new name before its old name was let go
            // of: both are one watch of the kernel.
            let let_go = std::mem::take(&mut look.let_go);
            if !let_go.is_empty() {
                let blind = self.snapshot.blind(&let_go).into_iter();
                stack.extend(blind.map(|id| Step::new(id, Reach::Only, Renew::No)));
            }
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

    /// Watches the next directories, so that they can be listed.
    fn hook_some(
        &mut self,
        stack: &mut Vec<Step>,
        look: &mut Look,
    ) -> Result<Vec<Site>, TreeError> {
        let mut sites = Vec::new();
        while sites.len() < SURVEY_BATCH_DIRECTORIES
            && let Some(step) = stack.pop()
        {
            let id = step.directory;
            if !self.snapshot.is_alive(id) {
                continue;
            }
            let path = self.snapshot.path(id);
            let directory = names::below(self.root.as_path(), &path);
            match self.hook(id, &directory, step.renew, look)? {
                Hooked::Yes => sites.push(Site {
                    step,
                    above: self.sieve_above(id, &path),
                    // What comes later is mostly being written still.
                    read: !self.scanned && self.scopes.reads_all(&path),
                    // What `stat` says elsewhere need not tell of every change.
                    recalled: self.recalled().filter(|_| !self.is_off_root(id)),
                    since: self.glance_since(),
                    path,
                    directory,
                }),
                Hooked::Gone => self.lose(id, look)?,
                Hooked::Denied => {
                    self.cannot_read(id, &path, io::ErrorKind::PermissionDenied, look)?;
                }
            }
        }
        Ok(sites)
    }

    /// Brings a directory up to date with what it holds.
    pub(super) fn take(
        &mut self,
        site: &Site,
        survey: io::Result<Survey>,
        look: &mut Look,
        stack: &mut Vec<Step>,
    ) -> Result<(), TreeError> {
        let (id, path) = (site.step.directory, &*site.path);
        // It was there, and a directory, when the one above was listed.
        self.note_restless(survey.is_err());
        let survey = match survey {
            Ok(survey) => survey,
            Err(error) if is_gone(&error) => return self.lose(id, look),
            Err(error) if is_shut(&error) => {
                return self.cannot_read(id, path, error.kind(), look);
            }
            // Nobody knows what it holds, and no event tells when that can be read again.
            Err(source) => {
                let path = site.directory.clone();
                return Err(TreeError::Directory { path, source });
            }
        };
        let changed = self.hold_rules(id, survey.rules);
        // A repository in what is hidden is nobody's content as such.
        let is_aside = self.snapshot.dir(id).aside;
        self.nested.note(path, survey.has_git && !is_aside);
        self.unreadable.remove(path);
        self.note_fresh(survey.fresh);
        self.note_restless(survey.restless);
        self.snapshot.dir_mut(id).listed = Listed::Done;
        let reach = if changed {
            Reach::Below
        } else {
            site.step.reach
        };
        let extent = Extent::Complete(reach, site.step.renew);
        let next = self.settle(id, survey.found, extent, look);
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
        self.snapshot.dir_mut(id).listed = listed;
        self.nested.forget(&self.snapshot.path(id));
        self.unhook(id, look);
    }

    fn hook(
        &mut self,
        id: DirId,
        directory: &Path,
        renew: Renew,
        look: &mut Look,
    ) -> Result<Hooked, TreeError> {
        if !self.seeing.is_by_events() {
            let is_mounted = self.is_on_another_device(id);
            self.note_restless(is_mounted);
            return Ok(Hooked::Yes);
        }
        if renew == Renew::Yes {
            self.unhook(id, look);
        }
        // Not asked for where it is known to be in vain: meanwhile another workspace would be refused.
        let watched = match self.room {
            Some(room) if self.snapshot.directories() > room => Err(WatchError::no_room(directory)),
            Some(_) | None => self.eye.watch(directory),
        };
        match watched {
            Ok(inode) => {
                let turn = self.take_turn();
                self.snapshot.hook(id, turn);
                if let Some(inode) = inode {
                    // Another one may have come here since the directory above was listed.
                    let node = Node::watched(inode);
                    if id == DirId::ROOT && self.snapshot.dir(id).node != node {
                        return Err(self.replaced_root());
                    }
                    self.snapshot.dir_mut(id).node = node;
                }
                self.mind_mount(id, directory);
                Ok(Hooked::Yes)
            }
            Err(WatchError::Gone { .. }) => Ok(Hooked::Gone),
            Err(WatchError::Denied { .. }) => Ok(Hooked::Denied),
            Err(WatchError::Ended) => Err(TreeError::Unwatched),
            Err(WatchError::Open { path, source }) => Err(TreeError::Directory { path, source }),
            Err(refused) => self.refuse(refused).map(|()| Hooked::Yes),
        }
    }

    /// Sets the watch of a directory once more, should it be gone.
    pub(super) fn hook_again(&mut self, id: DirId, look: &mut Look) -> Result<(), TreeError> {
        let directory = names::below(self.root.as_path(), &self.snapshot.path(id));
        self.hook(id, &directory, Renew::No, look).map(drop)
    }

    /// Takes away the watch of a directory.
    pub(super) fn unhook(&mut self, id: DirId, look: &mut Look) {
        if self.unwatch(id) {
            let turn = self.take_turn();
            look.let_go.insert(self.snapshot.dir(id).node, turn);
        }
    }

    fn take_turn(&mut self) -> Turn {
        self.turn = self.turn.next();
        self.turn
    }

    /// Takes away the watch of a directory; false if it has none.
    pub(super) fn unwatch(&mut self, id: DirId) -> bool {
        let watched = self.snapshot.unhook(id);
        if watched {
            let path = names::below(self.root.as_path(), &self.snapshot.path(id));
            let inode = self.snapshot.dir(id).node.inode();
            self.eye.unwatch(&path, inode);
        }
        watched
    }

    /// Takes away the watches of a directory and of all below it.
    pub(super) fn unwatch_below(&mut self, top: DirId) {
        for id in self.snapshot.all(top) {
            self.unwatch(id);
        }
    }

    /// Reads the rules that a directory holds; true if they are others than before.
    pub(super) fn load_rules(&mut self, id: DirId, directory: &Path) -> io::Result<bool> {
        let rules = Rules::read(directory, Present::UNKNOWN)?;
        Ok(self.hold_rules(id, rules))
    }

    fn hold_rules(&mut self, id: DirId, rules: Option<Arc<Rules>>) -> bool {
        let dir = self.snapshot.dir_mut(id);
        let changed = !Rules::same(dir.rules.as_deref(), rules.as_deref());
        dir.rules = rules;
        self.tracked.outdated |= changed;
        changed
    }

    /// What is shown of a directory.
    pub(super) fn sieve(&self, id: DirId) -> Sieve {
        let mut sieve = self.sieve_above(id, &self.snapshot.path(id));
        if let Some(own) = &self.snapshot.dir(id).rules {
            sieve.chain = sieve.chain.and(Arc::clone(own));
        }
        sieve
    }

    /// What is shown of a directory by the rules above it.
    fn sieve_above(&self, id: DirId, path: &[u8]) -> Sieve {
        let mut within = Vec::new();
        let mut len = path.len();
        let declared = &self.scopes.declared;
        let mut top = None;
        for id in self.snapshot.upwards(id) {
            let dir = self.snapshot.dir(id);
            if !declared.is_empty() && (dir.aside || self.tracked.buries(path.get(..len))) {
                top = Some(len);
            }
            if len < path.len()
                && let Some(rules) = &dir.rules
            {
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
            chain: self.surroundings.around.chain(path, within),
            excluded: inside.collect(),
            held: self.tracked.in_directory(path).cloned(),
            wanted: (!declared.is_empty()).then(|| Wanted {
                declared: Arc::clone(declared),
                path: path.to_vec(),
                top,
            }),
        }
    }
}

impl What {
    /// What an entry is, by its `lstat`.
    pub(super) fn of(meta: &Metadata, path: impl FnOnce() -> PathBuf) -> Self {
        let kind = meta.file_type();
        if kind.is_dir() {
            Self::Directory(Node::of(meta), Mode::of(meta))
        } else if kind.is_symlink() {
            fs::read_link(path()).map_or(Self::Nothing, |target| {
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

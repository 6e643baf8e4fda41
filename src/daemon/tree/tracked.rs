//! Tracked though ignored: what git keeps counts, whatever its rules say.
//!
//! The names that git's rules hide and an index names are kept, with the directories on the way, and nothing else of an
//! index; the walk shows them, and only them, of what is hidden there. A rule of the workspace itself (its `ignore`, an
//! `.ignore` file) is not git's and hides what is tracked too. An index is read again when its fingerprint differs or a
//! rule does, and only where there is a rule.

use super::content::{is_gone, is_shut};
use super::index::{self, IndexError};
use super::names;
use super::print::{Moment, Print};
use super::rules::Chain;
use super::settings::hash_bytes;
use super::settle::Look;
use super::snapshot::{DirId, Listed};
use super::walk::{Reach, Renew, Step};
use super::{Tree, TreeError};
use crate::daemon::chain::chain;
use crate::daemon::watcher::{Doubt, is_noise};
use crate::limits::{TRACKED_HIDDEN_MAX, TRACKED_TRIES_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is at a tracked path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Leaf,
    /// A directory that is hidden itself.
    Directory,
}

/// What of a directory is shown though rules hide it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Whether the directory is hidden itself, so that nothing else in it is shown.
    pub(super) buried: bool,
    names: BTreeMap<Box<[u8]>, Kind>,
}

impl Held {
    pub(super) fn holds(&self, name: &[u8], is_directory: bool) -> bool {
        let kind = if is_directory {
            Kind::Directory
        } else {
            Kind::Leaf
        };
        self.names.get(name) == Some(&kind)
    }
}

type HeldByDirectory = BTreeMap<Box<[u8]>, Arc<Held>>;
type Stamps = BTreeMap<PathBuf, Option<Print>>;

/// What is shown though rules hide it, by directory.
#[derive(Debug, Default)]
pub(super) struct Tracked {
    held: HeldByDirectory,
    pub(super) stamps: Stamps,
    /// A rule is another since the indexes were read.
    pub(super) outdated: bool,
    /// One of the indexes may have changed since without a change of its fingerprint.
    racy: bool,
}

impl Tracked {
    pub(super) fn in_directory(&self, path: &[u8]) -> Option<&Arc<Held>> {
        self.held.get(path)
    }

    /// Whether a directory is hidden, and shown for what is tracked in it.
    pub(super) fn buries(&self, path: Option<&[u8]>) -> bool {
        let held = path.and_then(|path| self.held.get(path));
        held.is_some_and(|held| held.buried)
    }

    pub(super) fn holds(&self, directory: &[u8], name: &[u8], is_directory: bool) -> bool {
        let held = self.held.get(directory);
        held.is_some_and(|held| held.holds(name, is_directory))
    }
}

impl Tree {
    /// Brings what is shown though ignored up to date, once everything else is.
    pub(super) fn settle_tracked(&mut self, look: &mut Look) -> Result<(), TreeError> {
        self.tracked.outdated |= std::mem::take(&mut self.tracked.racy);
        for _ in 0..TRACKED_TRIES_MAX {
            self.take_up_nested().inspect_err(|_| self.give_up(look))?;
            let now = Moment::now();
            let stamps = self.index_stamps();
            if !self.tracked.outdated && stamps == self.tracked.stamps {
                return Ok(());
            }
            let mut prints = stamps.values().flatten();
            self.tracked.racy = prints.any(|print| print.is_racy_at(now));
            self.tracked.outdated = false;
            self.tracked.stamps = stamps;
            let held = match self.find_tracked() {
                Ok(held) => held,
                Err((path, source)) => {
                    self.tracked.outdated = true;
                    return Err(self.failed_look(look, path, source));
                }
            };
            let before = std::mem::replace(&mut self.tracked.held, held);
            let start = self.settle_differences(&before, look);
            self.walk(start, look)?;
        }
        Ok(())
    }

    pub(super) fn index_stamps(&self) -> Stamps {
        let stamp = |path: PathBuf| {
            let meta = fs::metadata(&path).ok();
            (path, meta.map(|meta| Print::of(&meta)))
        };
        self.repositories.indexes().map(stamp).collect()
    }

    fn settle_differences(&mut self, before: &HeldByDirectory, look: &mut Look) -> Vec<Step> {
        let none = Held::default();
        let paths: BTreeSet<_> = before.keys().chain(self.tracked.held.keys()).collect();
        let mut differ = Vec::new();
        for path in paths {
            let of = |held: Option<&Arc<Held>>| held.map_or(&none, |held| held).clone();
            let (was, is) = (of(before.get(path)), of(self.tracked.held.get(path)));
            let names = was.names.iter().chain(&is.names);
            let names = names.filter(|(name, _)| was.names.get(*name) != is.names.get(*name));
            let names: BTreeMap<_, _> = names
                .map(|(name, _)| (name.clone(), Doubt::Content))
                .collect();
            if was != is {
                differ.push((path.clone(), names, was.buried != is.buried));
            }
        }
        let mut start = Vec::new();
        for (path, names, whole) in differ {
            let id = self.snapshot.find(&path);
            // What is yet to be listed is found then.
            let Some(id) = id.filter(|id| self.snapshot.dir(*id).listed == Listed::Done) else {
                continue;
            };
            if whole {
                start.push(Step::new(id, Reach::Only, Renew::No));
            } else if !names.is_empty() {
                start.extend(self.settle_names(id, &names, look));
            }
        }
        start
    }

    /// What the indexes name and rules of git hide.
    ///
    /// # Errors
    /// When one cannot be read for the moment: without it content would be missing.
    fn find_tracked(&self) -> Result<HeldByDirectory, (PathBuf, io::Error)> {
        let mut sorter = Sorter::new(self);
        if !self.has_rules() {
            return Ok(BTreeMap::new());
        }
        let root = self.root.as_path();
        for (own, top) in self.repositories.tops() {
            let (above, below) = match (root.strip_prefix(top), top.strip_prefix(root)) {
                (Ok(above), _) => (bytes_of(above), Vec::new()),
                (Err(_), Ok(below)) => (Vec::new(), bytes_of(below)),
                (Err(_), Err(_)) => continue,
            };
            // A repository that is hidden is nobody's content, whatever it tracks.
            let known = self.snapshot.find(&below);
            if known.is_none_or(|known| self.snapshot.dir(known).aside) {
                continue;
            }
            let mut path = Vec::new();
            let mut each = |tracked: &[u8]| {
                if let Some(inside) = names::strip(tracked, &above) {
                    path.clone_from(&below);
                    names::push(&mut path, inside);
                    sorter.sort(&path);
                }
            };
            let index = own.join("index");
            let hash = hash_bytes(own).map_err(|source| (own.to_path_buf(), source))?;
            match index::read(&index, hash, &mut each) {
                Err(IndexError::Read { path, source })
                    if !is_gone(&source) && !is_shut(&source) =>
                {
                    return Err((path, source));
                }
                Err(failed) if fs::symlink_metadata(&index).is_ok() => {
                    let error = chain(&failed);
                    tracing::warn!(%error, "what git tracks though it is ignored may not be seen");
                }
                Ok(()) | Err(_) => {}
            }
        }
        let held = sorter.held.into_iter();
        Ok(held.map(|(path, held)| (path, Arc::new(held))).collect())
    }

    fn has_rules(&self) -> bool {
        let around = &self.surroundings.around;
        around.has_rules_of_git() || self.snapshot.has_rules_of_git()
    }
}

fn bytes_of(path: &Path) -> Vec<u8> {
    let mut whole = Vec::new();
    for name in path {
        names::push(&mut whole, names::bytes(name));
    }
    whole
}

/// Where a directory of an index stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Shown, and known.
    Known(DirId),
    /// Not there; no rule hides it.
    Absent,
    /// Hidden by a rule of git.
    Hidden,
    /// Nobody's content, tracked or not.
    Out,
}

/// Sorts tracked paths, of which neighbours mostly share their directory.
struct Sorter<'a> {
    tree: &'a Tree,
    /// The directory of the last path, and what is known of it and of those above it, the root first.
    path: Vec<u8>,
    levels: Vec<Level>,
    held: BTreeMap<Box<[u8]>, Held>,
    count: usize,
}

struct Level {
    /// Of its path.
    len: usize,
    at: At,
    chain: Option<Chain>,
}

impl<'a> Sorter<'a> {
    fn new(tree: &'a Tree) -> Self {
        let root = Level {
            len: 0,
            at: At::Known(DirId::ROOT),
            chain: None,
        };
        Self {
            tree,
            path: Vec::new(),
            levels: vec![root],
            held: BTreeMap::new(),
            count: 0,
        }
    }

    fn sort(&mut self, path: &[u8]) {
        let Some((directory, name)) = names::split(path) else {
            return;
        };
        while !names::is_within(directory, &self.path) {
            self.levels.pop();
            let len = self.levels.last().map_or(0, |level| level.len);
            self.path.truncate(len);
        }
        let below = names::strip(directory, &self.path).unwrap_or_default();
        for name in names::components(below) {
            self.enter(name);
        }
        let at = self.levels.last().map_or(At::Out, |level| level.at);
        let is_hidden = match at {
            At::Out => false,
            At::Hidden => true,
            At::Known(id) => {
                let dir = self.tree.snapshot.dir(id);
                let is_shown = dir.position(name).is_some()
                    && !dir.is_aside(name)
                    && !self.tree.tracked.holds(&self.path, name, false);
                !is_shown && self.rule_is_gits(name, false) == Some(true)
            }
            At::Absent => self.rule_is_gits(name, false) == Some(true),
        };
        if is_hidden && self.count < TRACKED_HIDDEN_MAX {
            self.count += 1;
            self.hold(name);
        }
    }

    fn enter(&mut self, name: &[u8]) {
        let above = self.levels.last().map_or(At::Out, |level| level.at);
        let known = match above {
            At::Known(id) => self.tree.snapshot.subdir(id, name),
            At::Absent | At::Hidden | At::Out => None,
        };
        let mut path = self.path.clone();
        names::push(&mut path, name);
        let is_out =
            || name == b".git" || is_noise(name) || self.tree.scopes.excluded.contains(&*path);
        let at = match (above, known) {
            (At::Out, _) => At::Out,
            (At::Known(_), Some(id))
                if !self.tree.snapshot.dir(id).aside
                    && !self.tree.tracked.holds(&self.path, name, true) =>
            {
                At::Known(id)
            }
            _ if is_out() => At::Out,
            (At::Hidden, _) => At::Hidden,
            (At::Known(_) | At::Absent, known) => match self.rule_is_gits(name, true) {
                Some(true) => At::Hidden,
                Some(false) => At::Out,
                None => known.map_or(At::Absent, At::Known),
            },
        };
        self.levels.push(Level {
            len: path.len(),
            at,
            chain: None,
        });
        self.path = path;
    }

    /// Whether the rule that hides an entry of the directory is one of git's; none where no rule does.
    fn rule_is_gits(&mut self, name: &[u8], is_directory: bool) -> Option<bool> {
        let known = |level: &&mut Level| matches!(level.at, At::Known(_));
        let level = self.levels.iter_mut().rev().find(known)?;
        let At::Known(id) = level.at else {
            return None;
        };
        // Below what is not there, what holds for the deepest that is.
        let mut deep = names::strip(&self.path, self.path.get(..level.len)?)?.to_vec();
        names::push(&mut deep, name);
        let tree = self.tree;
        let chain = level.chain.get_or_insert_with(|| tree.sieve(id).chain);
        chain.ignores(&deep, is_directory).map(|rule| rule.is_gits)
    }

    /// Takes note of a name in the directory, and of the hidden directories on the way to it.
    fn hold(&mut self, name: &[u8]) {
        let mut path = &*self.path;
        let mut entry = (name, Kind::Leaf);
        for level in self.levels.iter().rev() {
            let held = self.held.entry(path.into()).or_default();
            let known = held.names.insert(entry.0.into(), entry.1).is_some();
            held.buried = level.at == At::Hidden;
            let (true, false, Some((above, name))) = (held.buried, known, names::split(path))
            else {
                return;
            };
            (path, entry) = (above, (name, Kind::Directory));
        }
    }
}

//! The tree: one workspace's files as they were last seen, and the digests of what stages read.
//!
//! It is a plain struct with blocking methods and no thread of its own: whoever holds it may ask. Events are hints that
//! the [`Eye`] collects; each look settles them against the disk and tells true differences only. A directory is
//! watched first and listed then, so that whatever comes later is an event. When events are lost, when they cannot be
//! had, or when too many came at once, the answer is the same scan that began it all.
//!
//! It never follows a symbolic link, never writes, and never reads a file's content but to hash it.

mod ahead;
mod around;
mod audit;
mod capture;
pub(super) mod content;
pub(super) mod crew;
mod declared;
mod error;
mod examine;
mod explain;
mod fold;
mod git;
mod glance;
mod index;
mod journal;
mod keep;
pub(super) mod merkle;
pub(super) mod mount;
pub(super) mod names;
mod places;
pub(super) mod print;
mod refusal;
pub(super) mod rules;
mod scopes;
mod settings;
mod settle;
mod sheet;
mod snapshot;
mod stamp;
mod stat_cache;
mod survey;
mod tracked;
mod unread;
mod walk;

pub use audit::Audited;
pub use capture::CaptureError;
pub use error::TreeError;
pub use explain::Overruled;
pub use git::Signs;
pub use places::Places;
pub use rules::PatternError;
pub use scopes::{ScopeError, Scopes};
pub use stat_cache::sweep as sweep_stat_caches;

use crate::daemon::watcher::{Eye, WatchError};
use crate::disk::identity::Identity;
use crate::limits::SAVED_FILES_MAX;
use crate::model::config::Poll;
use crate::model::digest::Digest;
use crate::model::path::{RelPath, RootPath};
use crate::model::run::Changed;
use crate::model::time::Tick;
use crate::model::view::{Subject, Touches};
use around::Surroundings;
use audit::Audits;
use fold::Digests;
use git::{Nested, Repositories};
use glance::Glance;
use journal::Changes;
use keep::Keeping;
use print::Node;
use refusal::Refusal;
use settings::Home;
use settle::{Links, Look};
use snapshot::{DirId, Snapshot, Turn};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::sync::Arc;
use tracked::Tracked;
use walk::{Reach, Renew, Step};

/// Whether the root of a workspace is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootState {
    /// It is.
    Present,
    /// It is not; it is picked up when it is back.
    Missing,
}

/// How changes are found.
#[derive(Debug)]
pub enum Seeing {
    /// By events.
    Events,
    /// By one scan, for somebody who asks once: nothing that has to be watched is under way.
    NotYet,
    /// By scanning, because the configuration says so.
    Configured,
    /// By scanning, because a file system tells no events of what others do.
    FileSystem {
        /// Its kind.
        kind: &'static str,
        /// Where it is mounted, below the root.
        at: RelPath,
    },
    /// By scanning, because the kernel refuses to watch: mostly a limit, which the error names.
    Refused(WatchError),
}

impl Seeing {
    /// Whether changes are found by events.
    #[must_use]
    pub fn is_by_events(&self) -> bool {
        matches!(self, Self::Events)
    }
}

/// One workspace's files.
#[derive(Debug)]
pub struct Tree {
    root: RootPath,
    /// Which directory is at the root.
    identity: Identity,
    eye: Eye,
    scopes: Scopes,
    home: Home,
    surroundings: Surroundings,
    repositories: Repositories,
    nested: Nested,
    /// What was there of git's signs when the last look began.
    signs_before: Signs,
    snapshot: Snapshot,
    tracked: Tracked,
    seeing: Seeing,
    refusal: Refusal,
    /// Directories that may have a watch, while everything is looked at.
    room: Option<usize>,
    /// The watcher that has its watches, by number.
    watcher: u64,
    /// That of the watch which was set or taken away last.
    turn: Turn,
    state: RootState,
    /// Whether it is a file system of its own, or was when it was there.
    mounted: bool,
    scanned: bool,
    /// A walk has failed: what it left unread is read by a look at everything.
    doubted: bool,
    /// What a look found that failed after that; the next one tells it.
    untold: Changes,
    /// Files to be read ahead of the next view, the first to come first.
    ahead: VecDeque<Box<[u8]>>,
    /// Files that are being written and were left alone so far, and since when.
    writing: BTreeMap<Box<[u8]>, Tick>,
    digests: Digests,
    /// What differs since the last view of each subject.
    journals: BTreeMap<Subject, Changes>,
    configuration: BTreeMap<RelPath, Option<Digest>>,
    audits: Audits,
    keeping: Keeping,
    /// The look that no watch stands behind, where watches are put off.
    glance: Option<Glance>,
    unreadable: BTreeMap<Box<[u8]>, io::ErrorKind>,
}

impl Tree {
    /// Takes up a workspace; nothing is read yet but the rules around it.
    ///
    /// # Errors
    /// When the root is missing or no directory.
    pub fn open(root: RootPath, eye: Eye, scopes: Scopes) -> Result<Self, TreeError> {
        Self::open_for(Home::of_user(), root, eye, scopes)
    }

    /// As [`Tree::open`], with git's settings of somebody.
    fn open_for(home: Home, root: RootPath, eye: Eye, scopes: Scopes) -> Result<Self, TreeError> {
        let (node, identity) = look_at(&root)?;
        let setting = Arc::clone(&scopes.setting);
        let surroundings = Surroundings::read(root.as_path(), &home, setting);
        let mut tree = Self {
            seeing: Seeing::Events,
            refusal: Refusal::default(),
            room: None,
            watcher: 0,
            turn: Turn::FIRST,
            repositories: Repositories::default(),
            nested: Nested::default(),
            signs_before: Signs::new(),
            root,
            identity,
            eye,
            scopes,
            home,
            surroundings,
            snapshot: Snapshot::new(node),
            tracked: Tracked::default(),
            state: RootState::Present,
            mounted: false,
            scanned: false,
            doubted: false,
            untold: Changes::none(),
            ahead: VecDeque::new(),
            writing: BTreeMap::new(),
            digests: Digests::default(),
            journals: BTreeMap::new(),
            configuration: BTreeMap::new(),
            audits: Audits::default(),
            keeping: Keeping::default(),
            glance: None,
            unreadable: BTreeMap::new(),
        };
        tree.seeing = tree.choose_seeing();
        tree.mounted = mount::is_at(tree.root.as_path());
        Ok(tree)
    }

    fn choose_seeing(&self) -> Seeing {
        let by_events = || match self.glance {
            None => Seeing::Events,
            Some(_) => Seeing::NotYet,
        };
        match self.scopes.poll {
            Poll::Always => Seeing::Configured,
            Poll::Never => by_events(),
            Poll::Auto => match mount::silent(self.root.as_path()) {
                None => by_events(),
                Some(kind) => Seeing::FileSystem {
                    kind,
                    at: RelPath::root(),
                },
            },
        }
    }

    /// Looks at everything: each directory is watched, then listed, and compared with what was known.
    ///
    /// The first scan tells "everything" for every project, and the configuration.
    ///
    /// # Errors
    /// When the root is missing, or cannot be watched where it must be.
    pub fn scan(&mut self) -> Result<Touches, TreeError> {
        self.choose_again();
        self.begin_glance();
        self.find_watcher()?;
        // What is on the board came before this look; it settles all of it.
        drop(self.eye.drain());
        self.writing.clear();
        self.surroundings.watched = false;
        self.find_repositories()?;
        self.signs_before = self.signs_now();
        let renew = self.check_root()?;
        self.tracked.outdated = true;
        self.read_surroundings()?;
        self.full_scan(renew)
    }

    /// Takes new scopes: a new configuration. Every project may read other files than before. Tells too whether the
    /// configuration's files have changed meanwhile: no later look would.
    ///
    /// # Errors
    /// As [`Tree::scan`].
    pub fn configure(&mut self, scopes: Scopes) -> Result<Touches, TreeError> {
        let shows_same = scopes.patterns_of_setting == self.scopes.patterns_of_setting
            && scopes.excluded == self.scopes.excluded
            && scopes.declared == self.scopes.declared
            && scopes.poll == self.scopes.poll;
        self.scopes = scopes;
        self.digests = Digests::default();
        self.journals.clear();
        self.find_repositories()?;
        self.signs_before = self.signs_now();
        let mut configuration = false;
        if !shows_same || !(self.seeing.is_by_events() || self.is_unwatched()) {
            let was_by_events = self.seeing.is_by_events();
            self.seeing = self.choose_seeing();
            if was_by_events && !self.seeing.is_by_events() {
                self.unwatch_below(DirId::ROOT);
            }
            if self.scanned {
                configuration = self.scan()?.configuration;
            }
        } else if self.scanned {
            self.surround_anew()?;
            configuration = self.check_configuration();
        }
        let everything = self.everything();
        Ok(Touches {
            configuration,
            ..everything
        })
    }

    /// Whether the root is there, as far as the last look told.
    #[must_use]
    pub fn root_state(&self) -> RootState {
        self.state
    }

    /// Which directory is at the root, as far as the last look told.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// How changes are found.
    #[must_use]
    pub fn seeing(&self) -> &Seeing {
        &self.seeing
    }

    /// Directories that the kernel watches for this workspace.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.snapshot.watches()
    }

    /// Files and symbolic links that are not ignored, or count all the same.
    #[must_use]
    pub fn files(&self) -> usize {
        self.snapshot.files()
    }

    /// Directories that are not ignored, or hold what counts all the same; the root among them.
    #[must_use]
    pub fn directories(&self) -> usize {
        self.snapshot.directories()
    }

    /// What could not be read, and why; at most `UNREADABLE_MAX` are named.
    pub fn unreadable(&self) -> impl Iterator<Item = (RelPath, io::ErrorKind)> {
        self.unreadable
            .iter()
            .map(|(path, kind)| (names::rel(path), *kind))
    }

    /// Gives the workspace up: takes its watches away.
    pub fn close(mut self) {
        self.unwatch_below(DirId::ROOT);
        self.leave_surroundings();
        self.eye.close();
    }

    fn full_scan(&mut self, renew: Renew) -> Result<Touches, TreeError> {
        let mut look = match self.scanned {
            true => self.look(),
            false => {
                self.recall();
                Look::new(Changes::Everything)
            }
        };
        // Every name is looked at, so the other names of an inode need no second look; see `Look::linked`.
        look.links = Links::Met;
        let start = vec![Step::new(DirId::ROOT, Reach::Below, renew)];
        self.room = self.eye.room();
        let walked = self.walk(start, &mut look);
        self.room = None;
        walked?;
        self.settle_tracked(&mut look)?;
        self.let_go_of_recalled();
        self.end_glance();
        self.snapshot.reclaim();
        let configuration = self.check_configuration() || !self.scanned;
        self.scanned = true;
        self.doubted = false;
        Ok(self.tell(look.changes, configuration))
    }

    /// Whether somebody tells of events. One that has taken the place of another has no watch yet: then everything is
    /// looked at, which sets them all.
    fn find_watcher(&mut self) -> Result<(), TreeError> {
        if !self.seeing.is_by_events() {
            return Ok(());
        }
        let begin = || self.eye.begin().ok().and_then(|()| self.eye.watcher());
        let Some(watcher) = self.eye.watcher().or_else(begin) else {
            // All of it stays in doubt, and the loop is not to look again before there is a reason.
            drop(self.eye.drain());
            self.writing.clear();
            self.doubted = true;
            return Err(TreeError::Unwatched);
        };
        if self.watcher != watcher {
            self.watcher = watcher;
            self.snapshot.forget_watches();
            self.surroundings.watched = false;
            self.doubted = true;
        }
        Ok(())
    }

    /// A look that tells what one that failed had found.
    fn look(&mut self) -> Look {
        Look::new(std::mem::replace(&mut self.untold, Changes::none()))
    }

    /// Compares the configuration files with what they were.
    fn check_configuration(&mut self) -> bool {
        let mut found = BTreeMap::new();
        for path in &self.scopes.configuration {
            // As the configuration reads it: a pipe does not hold us, and a file without an end is not read to it.
            let digest = match crate::disk::configuration::read(&self.root.join(path)) {
                Ok(text) => text.map(|text| Digest::of(&text)),
                Err(error) => Some(Digest::of(error.to_string().as_bytes())),
            };
            found.insert(path.clone(), digest);
        }
        let differs = found != self.configuration;
        self.configuration = found;
        differs
    }

    /// Writes changes into the journals, and says who reads what changed.
    fn tell(&mut self, changes: Changes, configuration: bool) -> Touches {
        let paths = match changes {
            Changes::Everything => {
                let everything = self.everything();
                return Touches {
                    configuration,
                    ..everything
                };
            }
            Changes::Paths(paths) => paths,
        };
        let mut projects: BTreeMap<_, Vec<RelPath>> = BTreeMap::new();
        let mut near = None;
        for (path, was) in &paths {
            let aside = self.is_aside(path, was, &mut near);
            for task in self.scopes.readers(path, aside) {
                let touched = projects.entry(task.clone()).or_default();
                touched.push(names::rel(path));
            }
            for (subject, journal) in &mut self.journals {
                let scope = self.scopes.subject(subject);
                if scope.is_some_and(|scope| self.scopes.reads(scope.union, path, aside)) {
                    journal.note(path.to_vec(), *was);
                }
            }
        }
        let is_there = |path| self.root.join(&names::rel(path)).symlink_metadata().is_ok();
        let saved = paths.len() <= SAVED_FILES_MAX
            && !projects.is_empty()
            && paths.keys().all(|path| is_there(path));
        let sorted = |mut paths: Vec<RelPath>| {
            paths.sort();
            Changed::Paths(paths)
        };
        Touches {
            projects: projects
                .into_iter()
                .map(|(task, paths)| (task, sorted(paths)))
                .collect(),
            configuration,
            saved,
            at: None,
        }
    }

    /// Everything may differ, for every project.
    fn everything(&mut self) -> Touches {
        for journal in self.journals.values_mut() {
            *journal = Changes::Everything;
        }
        let tasks = self.scopes.triggers().map(|(task, _)| task.clone());
        Touches {
            projects: tasks.map(|task| (task, Changed::Everything)).collect(),
            configuration: false,
            saved: false,
            at: None,
        }
    }
}

/// Which directory is at the root now.
fn look_at(root: &RootPath) -> Result<(Node, Identity), TreeError> {
    match fs::symlink_metadata(root.as_path()) {
        Ok(meta) if meta.is_dir() => Ok((Node::of(&meta), Identity::of(&meta))),
        Ok(_) => Err(TreeError::Missing { root: root.clone() }),
        Err(error) if content::is_gone(&error) => Err(TreeError::Missing { root: root.clone() }),
        Err(source) => Err(TreeError::Root {
            root: root.clone(),
            source,
        }),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;

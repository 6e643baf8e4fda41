//! Git at work: the files and directories that git keeps only while it changes others.
//!
//! A look stats them before and after it reads anything, so that whatever git was doing meanwhile is known. They lie in
//! the git directory of the repository that holds a project: above the workspace, or elsewhere where `.git` is a file
//! (a worktree, a submodule). It is watched for the names in it, of which the index alone is a reason to look, and the
//! settings. Git is never run.
//!
//! A repository below a project, such as a clone or a submodule in it, counts for what it tracks, as content of the project:
//! git itself leaves it alone from outside, but whatever builds there reads it. Its signs are nobody's.
//!
//! Not among them are `MERGE_HEAD`, `CHERRY_PICK_HEAD` or `BISECT_LOG`: with these git has finished, and a person works
//! on what it left. A rebase that stopped at a conflict looks like one that goes on; its runs are put off no longer than
//! the engine allows.

use super::around::is_content;
use super::content::there;
use super::names;
use super::print::Print;
use super::scopes::Scopes;
use super::sheet::{Links, text};
use super::{Tree, TreeError};
use crate::daemon::watcher::{Dirty, Interest, PER_DIRECTORY};
use crate::limits::{GIT_LINK_BYTES_MAX, NESTED_REPOSITORIES_MAX};
use crate::model::id::TaskId;
use crate::model::path::to_text;
use crate::model::view::Sign;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The index while it is rewritten, which a checkout does last; a rebase; `git am`, and a rebase of the older kind; a
/// series of cherry-picks or reverts.
const SIGNS: [&str; 4] = ["index.lock", "rebase-merge", "rebase-apply", "sequencer"];

/// The file that names the common directory in the git directory of a worktree.
pub(super) const COMMON: &str = "commondir";

/// What is there of git's signs, by project.
pub type Signs = BTreeMap<TaskId, BTreeSet<Sign>>;

/// The directories of a workspace in which a listing or an event has shown a `.git`.
#[derive(Debug, Default)]
pub(super) struct Nested {
    places: BTreeSet<Box<[u8]>>,
    /// They are others than when the repositories were looked for.
    pub(super) differ: bool,
    /// Some are left out, and that was said.
    too_many: bool,
}

impl Nested {
    /// Takes note of whether there is one in a directory.
    pub(super) fn note(&mut self, directory: &[u8], is_there: bool) {
        if is_there == self.places.contains(directory) {
            return;
        }
        if !is_there {
            self.differ |= self.places.remove(directory);
        } else if self.places.len() < NESTED_REPOSITORIES_MAX {
            self.differ |= self.places.insert(directory.into());
        } else if !std::mem::replace(&mut self.too_many, true) {
            tracing::warn!("there are too many repositories in a workspace to look into all");
        }
    }

    /// Forgets those in a directory that is none any more.
    pub(super) fn forget(&mut self, directory: &[u8]) {
        let before = self.places.len();
        self.places
            .retain(|held| !names::is_within(held, directory));
        self.differ |= self.places.len() != before;
    }
}

/// The repositories that hold the projects of a workspace, and those in it.
#[derive(Debug, Default)]
pub(super) struct Repositories {
    /// The projects of each, by its git directory.
    held: BTreeMap<PathBuf, BTreeSet<TaskId>>,
    /// Where the worktree of each begins.
    tops: BTreeMap<PathBuf, PathBuf>,
}

impl Repositories {
    /// Looks for the nearest repository at or above each project, and in these directories.
    ///
    /// # Errors
    /// When it cannot be found out for the moment, at the path that is told.
    pub(super) fn find(
        root: &Path,
        scopes: &Scopes,
        nested: &Nested,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let mut known: BTreeMap<PathBuf, Option<PathBuf>> = BTreeMap::new();
        let mut found = Self::default();
        for (task, base) in scopes.places() {
            let place = names::below(root, base);
            let mut passed = Vec::new();
            let mut held = None;
            for directory in place.ancestors() {
                if let Some(before) = known.get(directory) {
                    held.clone_from(before);
                    break;
                }
                passed.push(directory.to_path_buf());
                held = git_dir(directory).map_err(|source| (directory.join(".git"), source))?;
                if let Some(own) = &held {
                    found.tops.insert(own.clone(), directory.to_path_buf());
                    break;
                }
            }
            let passed = passed
                .into_iter()
                .map(|directory| (directory, held.clone()));
            known.extend(passed);
            if let Some(held) = held {
                found.held.entry(held).or_default().insert(task.clone());
            }
        }
        for place in &nested.places {
            let top = names::below(root, place);
            let own = git_dir(&top).map_err(|source| (top.join(".git"), source))?;
            found.tops.extend(own.map(|own| (own, top)));
        }
        Ok(found)
    }

    /// The git directory of each, and the top of its worktree.
    pub(super) fn tops(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let tops = self.tops.iter();
        tops.map(|(own, top)| (own.as_path(), top.as_path()))
    }

    /// What of them is watched: each file that git changes there comes under its name when it is complete.
    pub(super) fn directories(&self, root: &Path) -> impl Iterator<Item = (PathBuf, Interest)> {
        let there = self.tops.keys().filter(|own| PER_DIRECTORY && own.is_dir());
        let there = there.filter(|own| !is_content(own, root));
        there.map(|own| (own.clone(), Interest::Names))
    }

    /// The index of each.
    pub(super) fn indexes(&self) -> impl Iterator<Item = PathBuf> {
        self.tops.keys().map(|own| own.join("index"))
    }

    fn signs(&self, root: &Path) -> Signs {
        let mut signs = Signs::new();
        for (directory, tasks) in &self.held {
            let there = SIGNS.iter().filter_map(|name| {
                let path = directory.join(name);
                let print = Print::of(&fs::symlink_metadata(&path).ok()?);
                let below = path.strip_prefix(root).unwrap_or(&path);
                Some(Sign {
                    place: to_text(below.as_os_str()),
                    stamp: print.stamp(),
                })
            });
            let there: BTreeSet<Sign> = there.collect();
            if !there.is_empty() {
                let ours = tasks.iter().map(|task| (task.clone(), there.clone()));
                signs.extend(ours);
            }
        }
        signs
    }
}

impl Tree {
    /// What was there of git's signs when the last look began, and what is there now.
    #[must_use]
    pub fn signs(&self) -> Signs {
        let mut signs = self.signs_now();
        for (task, before) in &self.signs_before {
            let now = signs.entry(task.clone()).or_default();
            now.extend(before.iter().cloned());
        }
        signs
    }

    /// What is there of git's signs now.
    #[must_use]
    pub fn signs_now(&self) -> Signs {
        self.repositories.signs(self.root.as_path())
    }

    /// Looks for the repositories anew; those that are others than before are to be watched.
    ///
    /// # Errors
    /// When it cannot be found out for the moment: then those from before stand, and the next look is at everything.
    pub(super) fn find_repositories(&mut self) -> Result<(), TreeError> {
        let found = Repositories::find(self.root.as_path(), &self.scopes, &self.nested);
        let found = found.map_err(|(path, source)| {
            self.doubted = true;
            TreeError::File { path, source }
        })?;
        self.surroundings.watched &= found.tops == self.repositories.tops;
        self.repositories = found;
        self.nested.differ = false;
        Ok(())
    }

    /// Takes note of the directories in which a repository may have come or gone.
    pub(super) fn note_nested(&mut self, dirty: &Dirty) {
        let Dirty::Paths(paths) = dirty else {
            return;
        };
        for (directory, name) in paths.keys().filter_map(|path| names::split(path)) {
            // What is not known yet is listed first.
            if name == b".git"
                && let Some(known) = self.snapshot.find(directory)
                && !self.snapshot.dir(known).aside
            {
                let place = names::below(self.root.as_path(), directory);
                let is_there = fs::symlink_metadata(place.join(".git")).is_ok();
                self.nested.note(directory, is_there);
            }
        }
    }

    /// Takes up the repositories that a walk has shown, and lets go of those that are gone.
    ///
    /// # Errors
    /// As [`Tree::find_repositories`] and [`Tree::refuse`].
    pub(super) fn take_up_nested(&mut self) -> Result<(), TreeError> {
        if !self.nested.differ {
            return Ok(());
        }
        self.find_repositories()?;
        self.surround_anew()
    }
}

/// The git directory of the repository whose top is here: `.git`, or the one that it names where it is a file or a link.
/// None where nothing is there that git takes for one; in such a place git itself refuses a file that names none.
///
/// # Errors
/// When it cannot be found out for the moment.
pub(super) fn git_dir(top: &Path) -> io::Result<Option<PathBuf>> {
    let git = top.join(".git");
    if there(fs::metadata(&git))?.is_some_and(|meta| meta.is_dir()) {
        let named = there(fs::symlink_metadata(&git))?;
        let is_link = named.is_some_and(|meta| meta.is_symlink());
        return if is_link { real(git) } else { Ok(git) }.map(Some);
    }
    let text = text(&git, Links::Followed, GIT_LINK_BYTES_MAX)?.unwrap_or_default();
    let named = text.strip_prefix(b"gitdir: ").map(without_end);
    let named = named.filter(|named| !named.is_empty());
    named
        .map(|named| real(top.join(names::path(named))))
        .transpose()
}

/// The directory that holds `info/exclude` and the settings for the repository with this git directory: in a worktree it
/// names a common one.
///
/// # Errors
/// When it cannot be found out for the moment.
pub(super) fn common_dir(own: &Path) -> io::Result<PathBuf> {
    let named = text(&own.join(COMMON), Links::Followed, GIT_LINK_BYTES_MAX)?;
    match named {
        Some(named) => real(own.join(names::path(without_end(&named)))),
        None => Ok(own.to_path_buf()),
    }
}

/// As git reads a file that holds one path.
fn without_end(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_suffix(b"\n").or(text.strip_suffix(b"\r")) {
        text = rest;
    }
    text
}

/// Without `..`, so that one directory has one name.
fn real(path: PathBuf) -> io::Result<PathBuf> {
    Ok(there(fs::canonicalize(&path))?.unwrap_or(path))
}

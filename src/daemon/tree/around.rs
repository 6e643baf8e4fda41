//! What lies around a workspace and decides on what it ignores: the git repository that holds it.
//!
//! These files are outside the watched directories, or below `.git`. So their fingerprints are compared at each look;
//! they are a handful. The directories that hold them have a watch besides, so that an edit shows by itself; but not
//! those of the machine's settings, which are busy, and of a repository's own only what git itself writes shows.

use super::git::{common_dir, git_dir};
use super::names;
use super::rules::{Around, GITIGNORE, IGNORE, Present, Rules};
use super::settings::{Home, Repository, Settings};
use super::sheet::{Links, Sheet};
use super::stamp::Stamp;
use crate::daemon::watcher::{Interest, PER_DIRECTORY};
use crate::model::pattern::Patterns;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The rules around a workspace, and what to compare to know that they still hold.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) around: Around,
    stamps: Vec<Stamp>,
    /// Files beside which much else changes: they are compared at each look, and nothing is watched for them.
    unwatched: Vec<Stamp>,
    /// The entries called `.git` that were looked for, and whether they were there.
    repositories: Vec<(PathBuf, bool)>,
    /// What could not be read for the moment, and why: then all of it is read again.
    pub(super) failed: Option<(PathBuf, io::Error)>,
    /// Whether what lies around the root is watched, as far as anybody knows.
    pub(super) watched: bool,
}

impl Surroundings {
    /// Reads what lies around `root`.
    pub(super) fn read(root: &Path, home: &Home, setting: Arc<Patterns>) -> Self {
        let mut found = Self {
            around: Around {
                prefix: Vec::new(),
                rules: Vec::new(),
                exclude: None,
                global: None,
                setting,
            },
            stamps: Vec::new(),
            unwatched: Vec::new(),
            repositories: Vec::new(),
            failed: None,
            watched: false,
        };
        let Some(top) = found.top_of(root) else {
            found.global(home, Settings::read(home, None));
            return found;
        };
        let prefix = root.strip_prefix(&top).unwrap_or(Path::new(""));
        let mut between = Vec::new();
        let mut directory = top.clone();
        for name in prefix {
            let at = if between.is_empty() {
                0
            } else {
                between.len() + 1
            };
            found.directory(&directory, at);
            directory.push(name);
            names::push(&mut between, names::bytes(name));
        }
        found.around.prefix = between;
        let git = top.join(".git");
        let stamp = Stamp::of(git.clone(), Links::Shunned);
        let own = git_dir(&top);
        if own.as_deref() != Some(&*git) {
            // It names the directory.
            found.stamps.push(stamp);
        }
        let common = own.as_deref().map(common_dir);
        let repository = own.as_deref().zip(common.as_deref());
        let repository = repository.map(|(own, common)| Repository {
            top: &top,
            own,
            common,
        });
        found.global(home, Settings::read(home, repository));
        if let Some(common) = &common {
            found.around.exclude = found.sheet(&common.join("info/exclude"));
        }
        found
    }

    /// Whether something around the workspace is not as it was read.
    pub(super) fn is_outdated(&mut self) -> bool {
        let moved = |(path, there): &(PathBuf, bool)| is_there(path) != *there;
        let mut stamps = self.stamps.iter_mut().chain(&mut self.unwatched);
        self.failed.is_some()
            || stamps.any(Stamp::is_outdated)
            || self.repositories.iter().any(moved)
    }

    /// The files that a change of the workspace's rules may come from, and that are no content of it.
    pub(super) fn files(&self, root: &Path) -> BTreeSet<PathBuf> {
        let stamps = self.stamps.iter().chain(&self.unwatched);
        let stamps = stamps.map(Stamp::path);
        let repositories = self.repositories.iter().map(|(path, _)| path);
        let outside = stamps.chain(repositories);
        let outside = outside.filter(|path| !is_content(path, root));
        outside.cloned().collect()
    }

    /// The directories that hold rules. Those of the workspace are watched anyway, but for what git keeps for itself. A
    /// repository that appears further up than the root's parent shows at the next look: busy directories are there.
    pub(super) fn directories(&self, root: &Path) -> impl Iterator<Item = (PathBuf, Interest)> {
        let stamps = self.stamps.iter().filter(|_| PER_DIRECTORY);
        let directories = stamps.filter_map(|stamp| telling(stamp.path()));
        directories.filter(move |(directory, _)| !is_content(directory, root))
    }

    fn top_of(&mut self, root: &Path) -> Option<PathBuf> {
        for directory in root.ancestors() {
            let git = directory.join(".git");
            let there = is_there(&git);
            self.repositories.push((git, there));
            if there {
                return Some(directory.to_path_buf());
            }
        }
        None
    }

    fn directory(&mut self, directory: &Path, at: usize) {
        let stamps = [GITIGNORE, IGNORE]
            .map(|name| Stamp::of(names::below(directory, name), Links::Shunned));
        self.stamps.extend(stamps);
        match Rules::read(directory, Present::UNKNOWN) {
            Ok(Some(rules)) => self.around.rules.push((rules, at)),
            Ok(None) => {}
            Err(source) => self.failed = Some((directory.to_path_buf(), source)),
        }
    }

    fn global(&mut self, home: &Home, settings: Settings) {
        if settings.failed.is_some() {
            self.failed = settings.failed;
        }
        for stamp in settings.files {
            match home.holds(stamp.path()) {
                true => self.stamps.push(stamp),
                false => self.unwatched.push(stamp),
            }
        }
        if let Some(path) = &settings.excludes {
            self.around.global = self.sheet(path);
        }
    }

    fn sheet(&mut self, path: &Path) -> Option<Arc<Sheet>> {
        self.stamps
            .push(Stamp::of(path.to_path_buf(), Links::Followed));
        match Sheet::read_linked(path) {
            Ok(sheet) => sheet.map(Arc::new),
            Err(source) => {
                self.failed = Some((path.to_path_buf(), source));
                None
            }
        }
    }
}

/// Whether a path may be content of the workspace: it is below the root, and not in what git keeps for itself.
pub(super) fn is_content(path: &Path, root: &Path) -> bool {
    let below = path.strip_prefix(root);
    below.is_ok_and(|below| below.iter().all(|name| name != ".git"))
}

/// The directory that tells of a file, or, where it is not there yet, the one in which it would appear. Git's own are
/// there from the beginning, and whatever is above `info` is busy.
fn telling(file: &Path) -> Option<(PathBuf, Interest)> {
    let mut above = file.ancestors().skip(1);
    let own = above.next()?;
    if own.is_dir() {
        return Some((own.to_path_buf(), Interest::Files));
    }
    let found = above.find(|path| path.is_dir());
    let found = found.filter(|_| !file.ends_with("info/exclude"))?;
    Some((found.to_path_buf(), Interest::Names))
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

//! What lies around a workspace and decides on what it ignores: the git repository that holds it.
//!
//! These files are outside the watched directories, or below `.git`. So their fingerprints are compared at each look;
//! they are a handful. The directories that hold them have a watch besides, so that an edit shows by itself; but not
//! those of the machine's settings, which are busy, and of a repository's own only what git itself writes shows.

use super::content::there;
use super::git::{COMMON, common_dir, git_dir};
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
        let Some((top, own)) = found.repository(root) else {
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
        let named = own.join(COMMON);
        // Git never changes it.
        let stamp = Stamp::of(named.clone(), Links::Followed);
        found.unwatched.push(stamp);
        let common = common_dir(&own).unwrap_or_else(|source| {
            found.failed = Some((named, source));
            own.clone()
        });
        let repository = Repository {
            top: &top,
            own: &own,
            common: &common,
        };
        found.global(home, Settings::read(home, Some(repository)));
        found.around.exclude = found.sheet(&common.join("info/exclude"));
        found
    }

    /// Whether something around the workspace is not as it was read.
    pub(super) fn is_outdated(&mut self) -> bool {
        let moved = |(path, was): &(PathBuf, bool)| is_there(path).ok() != Some(*was);
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

    /// The top of the repository that holds the root, and its git directory.
    fn repository(&mut self, root: &Path) -> Option<(PathBuf, PathBuf)> {
        for directory in root.ancestors() {
            let git = directory.join(".git");
            let meta = there(fs::metadata(&git)).ok().flatten();
            self.repositories.push((git.clone(), meta.is_some()));
            let links = match &meta {
                Some(meta) if meta.is_file() => Links::Followed,
                // What is in a directory changes all the time.
                Some(_) | None => Links::Shunned,
            };
            let stamp = Stamp::of(git.clone(), links);
            let found = match git_dir(directory) {
                Ok(found) => found,
                Err(source) => {
                    self.failed = Some((git, source));
                    return None;
                }
            };
            if meta.is_some() && found.as_ref() != Some(&git) {
                // It names the directory, or none.
                self.stamps.push(stamp);
            }
            if let Some(own) = found {
                return Some((directory.to_path_buf(), own));
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

fn is_there(path: &Path) -> io::Result<bool> {
    Ok(there(fs::metadata(path))?.is_some())
}

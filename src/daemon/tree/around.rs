//! What lies around a workspace and decides on what it ignores: the git repository that holds it.
//!
//! These files are outside the watched directories, or below `.git`. So their fingerprints are compared at each look;
//! they are a handful. The directories that hold them have a watch besides, so that an edit shows by itself.

use super::git::git_dir;
use super::names;
use super::print::{Moment, Print};
use super::rules::{self, Around, GITIGNORE, IGNORE, Present, Rules, Sheet};
use crate::daemon::watcher::{Interest, PER_DIRECTORY};
use crate::model::digest::Digest;
use ignore::gitignore::Gitignore;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that decides, as it was when it was read.
#[derive(Debug)]
struct Stamp {
    path: PathBuf,
    print: Option<Print>,
    /// What it said, as long as its fingerprint is no proof that it still does.
    said: Option<Option<Digest>>,
}

/// The rules around a workspace, and what to compare to know that they still hold.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) around: Around,
    stamps: Vec<Stamp>,
    /// The entries called `.git` that were looked for, and whether they were there.
    repositories: Vec<(PathBuf, bool)>,
    /// Whether what lies around the root is watched, as far as anybody knows.
    pub(super) watched: bool,
}

impl Surroundings {
    /// Reads what lies around `root`.
    pub(super) fn read(root: &Path, setting: Arc<Gitignore>) -> Self {
        let mut found = Self {
            around: Around {
                prefix: Vec::new(),
                rules: Vec::new(),
                exclude: None,
                global: None,
                setting,
            },
            stamps: Vec::new(),
            repositories: Vec::new(),
            watched: false,
        };
        for settings in git_settings() {
            found.stamps.push(Stamp::of(settings));
        }
        let global = ignore::gitignore::gitconfig_excludes_path();
        found.around.global = global.and_then(|path| found.sheet(&path));
        let Some(top) = found.top_of(root) else {
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
        if let Some(common) = common_dir(&top) {
            found.around.exclude = found.sheet(&common.join("info/exclude"));
        }
        found
    }

    /// Whether something around the workspace is not as it was read.
    pub(super) fn is_outdated(&mut self) -> bool {
        let moved = |(path, there): &(PathBuf, bool)| is_there(path) != *there;
        self.stamps.iter_mut().any(Stamp::is_outdated) || self.repositories.iter().any(moved)
    }

    /// The files outside of the workspace that a change of its rules may come from.
    pub(super) fn files(&self, root: &Path) -> BTreeSet<PathBuf> {
        let stamps = self.stamps.iter().map(|stamp| &stamp.path);
        let repositories = self.repositories.iter().map(|(path, _)| path);
        let outside = stamps
            .chain(repositories)
            .filter(|path| !path.starts_with(root));
        outside.cloned().collect()
    }

    /// The directories that hold rules. Those of the workspace are watched anyway, but for what git keeps for itself. A
    /// repository that appears further up than the root's parent shows at the next look: busy directories are there.
    pub(super) fn directories(&self, root: &Path) -> impl Iterator<Item = (PathBuf, Interest)> {
        let stamps = self.stamps.iter().filter(|_| PER_DIRECTORY);
        let directories = stamps.filter_map(|stamp| telling(&stamp.path));
        directories.filter(move |(directory, _)| {
            let below = directory.strip_prefix(root);
            below.is_err() || below.is_ok_and(|below| below.iter().any(|name| name == ".git"))
        })
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
        for name in [GITIGNORE, IGNORE] {
            self.stamps.push(Stamp::of(names::below(directory, name)));
        }
        match Rules::read(directory, Present::UNKNOWN) {
            Ok(Some(rules)) => self.around.rules.push((rules, at)),
            Ok(None) => {}
            Err(_) => self.forget_stamps(2),
        }
    }

    /// What was read last could not be read for the moment: at the next look it is not as it was.
    fn forget_stamps(&mut self, count: usize) {
        let stamps = self.stamps.iter_mut().rev().take(count);
        stamps.for_each(|stamp| stamp.print = None);
    }

    fn sheet(&mut self, path: &Path) -> Option<Arc<Sheet>> {
        self.stamps.push(Stamp::of(path.to_path_buf()));
        let read = Sheet::read(path).inspect_err(|_| self.forget_stamps(1));
        read.ok().flatten().map(Arc::new)
    }
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

/// The files that may name another file of global excludes.
fn git_settings() -> Vec<PathBuf> {
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    let usual = |home: PathBuf| home.join(".config");
    let xdg = named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(usual));
    let home = named("HOME").map(|home| home.join(".gitconfig"));
    let all = [home, xdg.map(|xdg| xdg.join("git/config"))];
    let all = all.into_iter().flatten();
    all.filter(|path| path.is_absolute()).collect()
}

impl Stamp {
    /// Taken before the file is read: a change in between shows.
    fn of(path: PathBuf) -> Self {
        let now = Moment::now();
        let print = print(&path);
        let racy = print.filter(|print| print.is_racy_at(now));
        Self {
            said: racy.map(|_| said(&path)),
            print,
            path,
        }
    }

    fn is_outdated(&mut self) -> bool {
        let now = Moment::now();
        let print = print(&self.path);
        if print != self.print {
            return true;
        }
        if self.said.is_some_and(|before| said(&self.path) != before) {
            return true;
        }
        self.said
            .take_if(|_| !print.is_some_and(|print| print.is_racy_at(now)));
        false
    }
}

fn print(path: &Path) -> Option<Print> {
    fs::symlink_metadata(path).ok().map(|meta| Print::of(&meta))
}

/// The digest of what a file says; `None` where there is none, or it cannot be read.
fn said(path: &Path) -> Option<Digest> {
    let text = rules::text(path).ok().flatten()?;
    Some(Digest::of(&text))
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The directory that holds `info/exclude` for the repository at `top`: in a worktree or a submodule `.git` is a file
/// that names another directory, and that may name a common one.
fn common_dir(top: &Path) -> Option<PathBuf> {
    let own = git_dir(top)?;
    match fs::read_to_string(own.join("commondir")) {
        Ok(common) => Some(own.join(common.trim())),
        Err(_) => Some(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test writes files as a user would"
    )]
    fn what_changed_within_a_tick_of_the_clock_is_outdated_all_the_same() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("exclude");
        fs::write(&path, "gen/\n").unwrap();
        let mut stamp = Stamp::of(path.clone());
        assert!(!stamp.is_outdated());
        assert_eq!(stamp.said, Some(Some(Digest::of(b"gen/\n"))));
        fs::write(&path, "/gen\n").unwrap();
        // As a file system says whose clock has not ticked since.
        stamp.print = print(&path);
        assert!(stamp.is_outdated());
        let old = fs::File::options().write(true).open(&path).unwrap();
        old.set_modified(std::time::UNIX_EPOCH).unwrap();
        let mut stamp = Stamp::of(path);
        stamp.print = stamp
            .print
            .inspect(|print| assert!(print.is_racy_at(Moment::now())));
        assert!(!stamp.is_outdated());
    }
}

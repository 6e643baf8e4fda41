//! What lies around a workspace and decides on what it ignores: the git repository that holds it.
//!
//! These files are outside the watched directories, or below `.git`. So their fingerprints are compared at each look
//! instead; they are a handful. `.git/info` has a watch besides, so that an edit of `exclude` shows by itself.

use super::git::git_dir;
use super::names;
use super::print::Print;
use super::rules::{Around, GITIGNORE, IGNORE, Present, Rules, Sheet};
use ignore::gitignore::Gitignore;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The rules around a workspace, and what to compare to know that they still hold.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) around: Around,
    stamps: Vec<(PathBuf, Option<Print>)>,
    /// The entries called `.git` that were looked for, and whether they were there.
    repositories: Vec<(PathBuf, bool)>,
    /// The directory that holds `exclude`, if it lies in the workspace.
    pub(super) info: Option<PathBuf>,
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
            info: None,
        };
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
            let info = common.join("info");
            found.around.exclude = found.sheet(&info.join("exclude"));
            found.info = (info.starts_with(root) && info.is_dir()).then_some(info);
        }
        found
    }

    /// Whether something around the workspace is not as it was read.
    pub(super) fn is_outdated(&self) -> bool {
        let other = |(path, print): &(PathBuf, Option<Print>)| stamp(path) != *print;
        let moved = |(path, there): &(PathBuf, bool)| is_there(path) != *there;
        self.stamps.iter().any(other) || self.repositories.iter().any(moved)
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
            let path = names::below(directory, name);
            let print = stamp(&path);
            self.stamps.push((path, print));
        }
        if let Some(rules) = Rules::read(directory, Present::UNKNOWN) {
            self.around.rules.push((rules, at));
        }
    }

    fn sheet(&mut self, path: &Path) -> Option<Arc<Sheet>> {
        self.stamps.push((path.to_path_buf(), stamp(path)));
        Sheet::read(path).map(Arc::new)
    }
}

fn stamp(path: &Path) -> Option<Print> {
    fs::symlink_metadata(path).ok().map(|meta| Print::of(&meta))
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

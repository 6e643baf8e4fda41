//! Directories that are watched outside of the workspaces: those above a root, and those that hold rules for it.
//!
//! They are few, and shared: a directory is let go of when the last workspace that wants it has gone. A watch hangs on an
//! inode and is wanted for a name, so the inode that was watched under each name is kept beside it.

use super::Interest;
use crate::model::id::WorkspaceId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a directory is, whatever it is called: device and inode.
pub type Node = (u64, u64);

/// Who wants which directory.
#[derive(Debug, Default)]
pub(super) struct Outside {
    directories: BTreeMap<PathBuf, Held>,
}

#[derive(Debug)]
struct Held {
    node: Node,
    by: BTreeMap<WorkspaceId, Interest>,
}

impl Outside {
    /// Takes note that a workspace wants these and no others; returns those that nobody wants any more, and what was
    /// watched there.
    pub(super) fn release(
        &mut self,
        by: WorkspaceId,
        wanted: &BTreeMap<PathBuf, Interest>,
    ) -> Vec<(PathBuf, Node)> {
        let mut gone = Vec::new();
        self.directories.retain(|path, held| {
            if !wanted.contains_key(path) {
                held.by.remove(&by);
            }
            if held.by.is_empty() {
                gone.push((path.clone(), held.node));
            }
            !held.by.is_empty()
        });
        gone
    }

    /// What is watched under the name of this directory, if it is another one.
    pub(super) fn other(&self, path: &Path, node: Node) -> Option<Node> {
        let held = self.directories.get(path)?.node;
        (held != node).then_some(held)
    }

    /// What is watched under the name of this directory.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        Some(self.directories.get(path)?.node)
    }

    /// Whether this directory is wanted under another name than this.
    pub(super) fn has_elsewhere(&self, path: &Path, node: Node) -> bool {
        let mut all = self.directories.iter();
        all.any(|(held, at)| at.node == node && held != path)
    }

    /// Takes note that a workspace has this one watched, and returns how much of it is wanted by all.
    pub(super) fn hold(
        &mut self,
        by: WorkspaceId,
        (path, interest): (&Path, Interest),
        node: Node,
    ) -> Interest {
        let held = self.directories.entry(path.to_path_buf());
        let held = held.or_insert(Held {
            node,
            by: BTreeMap::new(),
        });
        held.node = node;
        held.by.insert(by, interest);
        held.by.values().fold(interest, |all, one| all.max(*one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(paths: &[&str]) -> BTreeMap<PathBuf, Interest> {
        let paths = paths.iter();
        paths
            .map(|path| (PathBuf::from(path), Interest::Itself))
            .collect()
    }

    #[test]
    fn a_directory_is_let_go_of_with_the_last_who_wants_it() {
        let (one, two) = (WorkspaceId(1), WorkspaceId(2));
        let mut outside = Outside::default();
        let (above, below) = (Path::new("/w"), Path::new("/w/b"));
        let interest = outside.hold(one, (above, Interest::Names), (1, 1));
        assert_eq!(interest, Interest::Names);
        let interest = outside.hold(two, (above, Interest::Itself), (1, 1));
        assert_eq!(interest, Interest::Names, "of what all want, the most");
        outside.hold(two, (below, Interest::Names), (1, 2));
        assert_eq!(outside.release(one, &wanted(&[])), []);
        let interest = outside.hold(two, (above, Interest::Itself), (1, 1));
        assert_eq!(interest, Interest::Itself);
        assert_eq!(outside.other(above, (1, 1)), None);
        assert_eq!(outside.other(above, (1, 3)), Some((1, 1)));
        let gone = |path: &Path, node| vec![(path.to_path_buf(), node)];
        let released = outside.release(two, &wanted(&["/w"]));
        assert_eq!(released, gone(below, (1, 2)));
        let released = outside.release(two, &wanted(&[]));
        assert_eq!(released, gone(above, (1, 1)));
        assert_eq!(outside.other(above, (1, 3)), None, "it is forgotten");
    }
}

//! What the one stream of events tells of, where a directory has no watch of its own.
//!
//! For each path that it takes up or gives up, `notify` ends the stream of FSEvents and begins another "since now": what
//! was on its way is lost, to every workspace. So a path is handed over once, however often it is asked for, and
//! whoever has it handed over puts all others in doubt.

use notify::RecursiveMode;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The paths that the stream tells of.
#[derive(Debug, Default)]
pub(super) struct Streamed {
    /// Whether each is meant with all that lies below.
    paths: BTreeMap<PathBuf, bool>,
}

impl Streamed {
    /// Whether nothing is left to ask for. The recursive kind is worth the other one too.
    pub(super) fn holds(&self, path: &Path, mode: RecursiveMode) -> bool {
        let held = self.paths.get(path);
        held.is_some_and(|whole| *whole || mode == RecursiveMode::NonRecursive)
    }

    pub(super) fn add(&mut self, path: &Path, mode: RecursiveMode) {
        let whole = mode == RecursiveMode::Recursive;
        self.paths.insert(path.to_path_buf(), whole);
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.paths.remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RecursiveMode::{NonRecursive, Recursive};

    #[test]
    fn a_path_is_handed_over_once_and_again_for_all_below_it() {
        let (mut streamed, root) = (Streamed::default(), Path::new("/w"));
        assert!(!streamed.holds(root, NonRecursive));
        streamed.add(root, NonRecursive);
        let held = [NonRecursive, Recursive].map(|mode| streamed.holds(root, mode));
        assert_eq!(held, [true, false]);
        streamed.add(root, Recursive);
        let held = [NonRecursive, Recursive].map(|mode| streamed.holds(root, mode));
        assert_eq!(held, [true, true]);
        streamed.remove(root);
        assert!(!streamed.holds(root, NonRecursive));
    }
}

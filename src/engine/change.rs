//! A change set: what may differ, named path by path until there are too many, then "everything".
//!
//! It only ever grows or coarsens; that is how a change is never lost.

use crate::limits::CHANGED_PATHS_MAX;
use crate::model::path::RelPath;
use crate::model::run::Changed;
use std::collections::BTreeSet;

/// Times that a set is larger than what is added to it, past which each path is cheaper to add by itself.
const MUCH_MORE: usize = 8;

/// What may differ since some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    paths: BTreeSet<RelPath>,
    everything: bool,
}

impl ChangeSet {
    /// A set of which nothing is known.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            paths: BTreeSet::new(),
            everything: true,
        }
    }

    /// Adds what may differ too.
    pub fn merge(&mut self, changed: &Changed) {
        match changed {
            Changed::Everything => self.coarsen(),
            Changed::Paths(_) if self.everything => {}
            Changed::Paths(paths) => {
                if self.paths.len() / MUCH_MORE > paths.len() {
                    self.paths.extend(paths.iter().cloned());
                } else {
                    // Sorted as they are they make a set at once, and two sets one.
                    self.paths.append(&mut paths.iter().cloned().collect());
                }
                if self.paths.len() > CHANGED_PATHS_MAX {
                    self.coarsen();
                }
            }
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.everything && self.paths.is_empty()
    }

    /// Whether it names a path, or everything.
    #[must_use]
    pub fn contains(&self, path: &RelPath) -> bool {
        self.everything || self.paths.contains(path)
    }

    /// What it names.
    #[must_use]
    pub fn changed(&self) -> Changed {
        if self.everything {
            Changed::Everything
        } else {
            Changed::Paths(self.paths.iter().cloned().collect())
        }
    }

    fn coarsen(&mut self) {
        self.everything = true;
        self.paths = BTreeSet::new();
    }
}

/// Whether a report of changes names none.
#[must_use]
pub fn is_nothing(changed: &Changed) -> bool {
    matches!(changed, Changed::Paths(paths) if paths.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths(names: &[u32]) -> Changed {
        Changed::Paths(
            names
                .iter()
                .map(|n| RelPath::parse(&format!("f{n}")).unwrap())
                .collect(),
        )
    }

    #[test]
    fn past_the_bound_everything_may_have_changed() {
        let mut set = ChangeSet::default();
        assert!(set.is_empty());
        let bound = u32::try_from(CHANGED_PATHS_MAX).unwrap();
        set.merge(&paths(&(0..bound).collect::<Vec<_>>()));
        assert!(matches!(set.changed(), Changed::Paths(named) if named.len() == CHANGED_PATHS_MAX));
        set.merge(&paths(&[bound]));
        assert_eq!(set.changed(), Changed::Everything);
        set.merge(&paths(&[1]));
        assert_eq!(set.changed(), Changed::Everything);
    }

    proptest! {
        #[test]
        fn whatever_was_merged_is_named(lists in proptest::collection::vec(proptest::collection::vec(0_u32..50, 0..9), 0..9)) {
            let mut set = ChangeSet::default();
            lists.iter().for_each(|list| set.merge(&paths(list)));
            let all: BTreeSet<u32> = lists.into_iter().flatten().collect();
            let Changed::Paths(named) = set.changed() else { panic!("far below the bound") };
            prop_assert_eq!(named.len(), all.len());
            prop_assert_eq!(set.is_empty(), all.is_empty());
        }
    }
}

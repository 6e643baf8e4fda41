//! The board: per workspace, the paths that may differ since somebody last looked.
//!
//! Pure and bounded: an event only marks a path here, however often it comes, and past `DOUBTS_MAX` the board says
//! "everything". A path belongs to every workspace whose root contains it, so that a workspace inside another costs
//! neither a change. Nothing is ever taken off but by the workspace's own look.

use crate::limits::DOUBTS_MAX;
use crate::model::id::WorkspaceId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// Why a path is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// It is being written: that its writer has closed it will be told.
    Writing,
    /// It may have other content.
    Content,
    /// It was removed or renamed at least once: if it is a directory, the kernel's watch on it may be gone.
    Hook,
}

/// What may differ since the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dirty {
    /// Events were lost, or there were too many.
    Everything,
    /// Exactly these; the bytes of each path below the root, empty for the root itself.
    Paths(BTreeMap<Box<[u8]>, Doubt>),
}

impl Dirty {
    fn nothing() -> Self {
        Self::Paths(BTreeMap::new())
    }

    /// Whether this path may differ, or one above or below it.
    fn touches(&self, path: &[u8]) -> bool {
        let Self::Paths(paths) = self else {
            return true;
        };
        let mut above = (0..path.len()).filter(|at| path.get(*at) == Some(&b'/'));
        let above = above.any(|at| {
            path.get(..at)
                .is_some_and(|above| paths.contains_key(above))
        });
        let below = [path, b"/"].concat();
        let from = (Bound::Included(&*below), Bound::Unbounded);
        let mut from = paths.range::<[u8], _>(from);
        above
            || paths.contains_key(path)
            || paths.contains_key(&b""[..])
            || from
                .next()
                .is_some_and(|(found, _)| found.starts_with(&below))
    }

    /// Whether nothing may differ.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Paths(paths) if paths.is_empty())
    }
}

/// One workspace's place on the board.
#[derive(Debug)]
struct Slot {
    root: PathBuf,
    dirty: Dirty,
    /// Everything came in doubt, and nobody has been told yet; it outlives the look that settles the doubt, since that
    /// look may begin before anybody hears of it.
    lost: bool,
    /// Directories that its tree has a watch on.
    watches: usize,
}

/// Every workspace's doubts.
#[derive(Debug, Default)]
pub(super) struct Board {
    slots: BTreeMap<WorkspaceId, Slot>,
    /// The roots in order, so that one look-up finds those at or below a path.
    roots: BTreeMap<PathBuf, Vec<WorkspaceId>>,
    /// Files outside of the roots that decide on what counts there.
    heeded: BTreeMap<PathBuf, BTreeSet<WorkspaceId>>,
}

/// Whether somebody who waits for doubts has to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Needed,
    Spared,
}

impl Wake {
    fn or(self, other: Self) -> Self {
        if self == Self::Needed { self } else { other }
    }
}

impl Board {
    /// The workspaces of which everything came in doubt since the last time.
    pub(super) fn take_lost(&mut self) -> Vec<WorkspaceId> {
        let slots = self.slots.iter_mut();
        let lost = slots.filter_map(|(id, slot)| std::mem::take(&mut slot.lost).then_some(*id));
        lost.collect()
    }

    pub(super) fn add(&mut self, workspace: WorkspaceId, root: &Path) {
        self.remove(workspace);
        let slot = Slot {
            root: root.to_path_buf(),
            dirty: Dirty::nothing(),
            lost: false,
            watches: 0,
        };
        self.slots.insert(workspace, slot);
        self.roots
            .entry(root.to_path_buf())
            .or_default()
            .push(workspace);
    }

    pub(super) fn remove(&mut self, workspace: WorkspaceId) {
        let Some(slot) = self.slots.remove(&workspace) else {
            return;
        };
        if let Some(holders) = self.roots.get_mut(&slot.root) {
            holders.retain(|holder| *holder != workspace);
            if holders.is_empty() {
                self.roots.remove(&slot.root);
            }
        }
        self.heed(workspace, BTreeSet::new());
    }

    /// Whether a path is in some workspace, or is one.
    pub(super) fn is_content(&self, path: &Path) -> bool {
        path.ancestors().any(|root| self.roots.contains_key(root))
    }

    /// From now on these files are a reason to look at the workspace's root, and no others.
    pub(super) fn heed(&mut self, workspace: WorkspaceId, files: BTreeSet<PathBuf>) {
        self.heeded.retain(|_, by| {
            by.remove(&workspace);
            !by.is_empty()
        });
        for file in files {
            self.heeded.entry(file).or_default().insert(workspace);
        }
    }

    /// Marks a path in every workspace that it is of interest to.
    pub(super) fn note(&mut self, path: &Path, doubt: Doubt) -> Wake {
        let mut wake = Wake::Spared;
        for root in path.ancestors() {
            let Some(holders) = self.roots.get(root) else {
                continue;
            };
            let below = path.strip_prefix(root).unwrap_or(Path::new(""));
            let below = below.as_os_str().as_encoded_bytes();
            for slot in holders {
                if let Some(slot) = self.slots.get_mut(slot) {
                    wake = wake.or(slot.mark(below, doubt));
                }
            }
        }
        // Something happened to a directory above a root: is the root still there? Where that directory went, `notify`
        // has let go of all that it watched below.
        let below = self
            .roots
            .range::<Path, _>((Bound::Excluded(path), Bound::Unbounded));
        let below = below.take_while(|(root, _)| root.starts_with(path));
        let below: Vec<WorkspaceId> = below.flat_map(|(_, holders)| holders.clone()).collect();
        for workspace in below {
            if let Some(slot) = self.slots.get_mut(&workspace) {
                wake = wake.or(slot.mark(b"", doubt));
            }
        }
        let heeded = self
            .heeded
            .range::<Path, _>((Bound::Included(path), Bound::Unbounded));
        for (_, by) in heeded.take_while(|(file, _)| file.starts_with(path)) {
            for workspace in by {
                if let Some(slot) = self.slots.get_mut(workspace) {
                    wake = wake.or(slot.mark(b"", Doubt::Content));
                }
            }
        }
        wake
    }

    /// Events were lost: nobody knows which.
    pub(super) fn note_everything(&mut self) -> Wake {
        self.note_all_but(None)
    }

    /// Marks everything in all workspaces but one.
    pub(super) fn note_all_but(&mut self, spared: Option<WorkspaceId>) -> Wake {
        let slots = self.slots.iter_mut();
        slots
            .filter(|(workspace, _)| Some(**workspace) != spared)
            .fold(Wake::Spared, |wake, (_, slot)| {
                wake.or(slot.mark_everything())
            })
    }

    /// A watch was taken away by one workspace: every other that relies on it has to look again.
    pub(super) fn note_unwatched(&mut self, by: WorkspaceId, directory: &Path) -> Wake {
        let above = directory
            .ancestors()
            .filter_map(|root| self.roots.get(root));
        let below = self
            .roots
            .range::<Path, _>((Bound::Excluded(directory), Bound::Unbounded))
            .take_while(|(root, _)| root.starts_with(directory))
            .map(|(_, holders)| holders);
        let rely: Vec<WorkspaceId> = above.chain(below).flatten().copied().collect();
        let mut wake = Wake::Spared;
        for workspace in rely.into_iter().filter(|workspace| *workspace != by) {
            if let Some(slot) = self.slots.get_mut(&workspace) {
                wake = wake.or(slot.mark_everything());
            }
        }
        wake
    }

    /// Takes note of how many watches a workspace has.
    pub(super) fn note_watches(&mut self, workspace: WorkspaceId, watches: usize) {
        if let Some(slot) = self.slots.get_mut(&workspace) {
            slot.watches = watches;
        }
    }

    /// Watches that all other workspaces have.
    pub(super) fn watches_of_others(&self, workspace: WorkspaceId) -> usize {
        let others = self.slots.iter().filter(|(id, _)| **id != workspace);
        others.map(|(_, slot)| slot.watches).sum()
    }

    pub(super) fn drain(&mut self, workspace: WorkspaceId) -> Dirty {
        self.slots
            .get_mut(&workspace)
            .map_or_else(Dirty::nothing, |slot| {
                std::mem::replace(&mut slot.dirty, Dirty::nothing())
            })
    }

    pub(super) fn is_in_doubt(&self, workspace: WorkspaceId, below: &[u8]) -> bool {
        let slot = self.slots.get(&workspace);
        slot.is_some_and(|slot| slot.dirty.touches(below))
    }

    pub(super) fn is_sure(&self, workspace: WorkspaceId) -> bool {
        let slot = self.slots.get(&workspace);
        slot.is_none_or(|slot| slot.dirty.is_empty())
    }

    pub(super) fn ready(&self) -> Vec<WorkspaceId> {
        let dirty = self.slots.iter().filter(|(_, slot)| !slot.dirty.is_empty());
        dirty.map(|(workspace, _)| *workspace).collect()
    }
}

impl Slot {
    fn mark(&mut self, below: &[u8], doubt: Doubt) -> Wake {
        let Dirty::Paths(paths) = &mut self.dirty else {
            return Wake::Spared;
        };
        let wake = if paths.is_empty() {
            Wake::Needed
        } else {
            Wake::Spared
        };
        if let Some(known) = paths.get_mut(below) {
            // What was closed is open again.
            *known = match (doubt, *known) {
                (Doubt::Writing, Doubt::Content) => Doubt::Writing,
                (doubt, known) => doubt.max(known),
            };
        } else if paths.len() < DOUBTS_MAX {
            paths.insert(below.into(), doubt);
        } else {
            return self.mark_everything();
        }
        wake
    }

    /// Wakes although there were doubts already: that everything is in doubt has to be told at once.
    fn mark_everything(&mut self) -> Wake {
        if self.dirty == Dirty::Everything {
            return Wake::Spared;
        }
        self.dirty = Dirty::Everything;
        self.lost = true;
        Wake::Needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(roots: &[&str]) -> Board {
        let mut board = Board::default();
        for (number, root) in (0..).zip(roots) {
            board.add(WorkspaceId(number), Path::new(root));
        }
        board
    }

    fn paths(dirty: Dirty) -> Vec<(String, Doubt)> {
        let Dirty::Paths(paths) = dirty else {
            return vec![("everything".to_owned(), Doubt::Hook)];
        };
        let text = |(path, doubt): (Box<[u8]>, Doubt)| {
            (String::from_utf8_lossy(&path).into_owned(), doubt)
        };
        paths.into_iter().map(text).collect()
    }

    #[test]
    fn a_path_is_marked_once_where_it_belongs_and_wakes_once() {
        let mut board = board(&["/w/a", "/w/ab"]);
        assert_eq!(board.note(Path::new("/w/a/x"), Doubt::Hook), Wake::Needed);
        assert_eq!(
            board.note(Path::new("/w/a/x"), Doubt::Content),
            Wake::Spared
        );
        assert_eq!(board.note(Path::new("/w/other"), Doubt::Hook), Wake::Spared);
        assert_eq!(board.ready(), [WorkspaceId(0)]);
        let taken = paths(board.drain(WorkspaceId(0)));
        assert_eq!(taken, [("x".to_owned(), Doubt::Hook)]);
        assert_eq!(board.ready(), []);
        assert_eq!(
            board.note(Path::new("/w/a/x"), Doubt::Content),
            Wake::Needed
        );
    }

    #[test]
    fn a_workspace_in_a_workspace_hides_nothing_from_the_outer_one() {
        let mut board = board(&["/w", "/w/in"]);
        board.note(Path::new("/w/in/f"), Doubt::Content);
        let outer = paths(board.drain(WorkspaceId(0)));
        let inner = paths(board.drain(WorkspaceId(1)));
        assert_eq!(outer, [("in/f".to_owned(), Doubt::Content)]);
        assert_eq!(inner, [("f".to_owned(), Doubt::Content)]);
    }

    #[test]
    fn what_happens_to_a_root_or_above_it_is_a_doubt_about_the_root() {
        let mut board = board(&["/w/deep/root"]);
        board.note(Path::new("/w/deep/root"), Doubt::Hook);
        let at = paths(board.drain(WorkspaceId(0)));
        assert_eq!(at, [(String::new(), Doubt::Hook)]);
        board.note(Path::new("/w"), Doubt::Hook);
        let above = paths(board.drain(WorkspaceId(0)));
        assert_eq!(above, [(String::new(), Doubt::Hook)]);
        assert_eq!(
            board.note(Path::new("/w/deeper"), Doubt::Hook),
            Wake::Spared
        );
    }

    #[test]
    fn a_path_is_in_doubt_with_what_is_above_and_below_it() {
        let mut board = board(&["/w", "/v"]);
        let one = WorkspaceId(0);
        assert!(board.is_sure(one) && !board.is_in_doubt(one, b"a/b/c"));
        board.note(Path::new("/w/a/b"), Doubt::Content);
        let asked: [&[u8]; 7] = [b"a/b", b"a/b/c", b"a", b"a/bc", b"a/a", b"b", b"a/b-/c"];
        let doubted = asked.map(|path| board.is_in_doubt(one, path));
        assert_eq!(doubted, [true, true, true, false, false, false, false]);
        assert!(!board.is_sure(one) && board.is_sure(WorkspaceId(1)));
        board.note(Path::new("/w"), Doubt::Hook);
        assert!(board.is_in_doubt(one, b"b"));
        board.note_all_but(Some(one));
        assert!(board.is_in_doubt(WorkspaceId(1), b"b"));
    }

    #[test]
    fn a_file_outside_that_is_heeded_is_a_doubt_about_the_root() {
        let mut board = board(&["/w/root", "/v"]);
        let files = BTreeSet::from([
            PathBuf::from("/w/.gitignore"),
            PathBuf::from("/h/git/ignore"),
        ]);
        board.heed(WorkspaceId(0), files);
        for path in ["/w/.gitignore", "/h/git/ignore", "/h/git"] {
            assert_eq!(
                board.note(Path::new(path), Doubt::Hook),
                Wake::Needed,
                "{path}"
            );
            let told = paths(board.drain(WorkspaceId(0)));
            assert_eq!(told, [(String::new(), Doubt::Content)]);
        }
        for path in ["/w/.gitignore2", "/h/git/ignore/f", "/h/gi", "/w/f"] {
            assert_eq!(
                board.note(Path::new(path), Doubt::Hook),
                Wake::Spared,
                "{path}"
            );
        }
        board.heed(WorkspaceId(0), BTreeSet::new());
        assert_eq!(
            board.note(Path::new("/w/.gitignore"), Doubt::Hook),
            Wake::Spared
        );
    }

    #[test]
    fn too_many_doubts_are_everything_and_a_lost_event_is_everything_everywhere() {
        let mut board = board(&["/w", "/v"]);
        for number in 0..=DOUBTS_MAX {
            board.note(&Path::new("/w").join(number.to_string()), Doubt::Content);
        }
        assert_eq!(board.drain(WorkspaceId(0)), Dirty::Everything);
        assert!(board.drain(WorkspaceId(1)).is_empty());
        assert_eq!(board.note_everything(), Wake::Needed);
        assert_eq!(board.ready(), [WorkspaceId(0), WorkspaceId(1)]);
        assert_eq!(board.drain(WorkspaceId(1)), Dirty::Everything);
        let spared = Some(WorkspaceId(1));
        assert_eq!(board.note_all_but(spared), Wake::Spared);
        assert_eq!(board.drain(WorkspaceId(0)), Dirty::Everything);
        assert_eq!(board.note_all_but(spared), Wake::Needed);
        assert_eq!(board.ready(), [WorkspaceId(0)]);
    }

    #[test]
    fn a_loss_wakes_among_other_doubts_and_is_told_once_though_it_was_settled_before() {
        let mut board = board(&["/w", "/v"]);
        assert_eq!(board.note(Path::new("/w/a"), Doubt::Content), Wake::Needed);
        let others = Some(WorkspaceId(1));
        assert_eq!(board.note_all_but(others), Wake::Needed);
        assert_eq!(board.note_all_but(others), Wake::Spared);
        assert_eq!(board.drain(WorkspaceId(0)), Dirty::Everything);
        assert_eq!(board.take_lost(), [WorkspaceId(0)]);
        assert_eq!(board.take_lost(), []);
    }
}

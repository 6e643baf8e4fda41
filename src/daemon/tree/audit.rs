//! Auditing: the snapshot against the disk, for what the kernel does not tell.
//!
//! A store into a mapped file and a write through a name outside of the workspace are no events. So now and then every
//! directory is compared, a few at a time, by what `stat` says alone: no watch is touched and nothing is read but what
//! differs. What differs and is on nobody's board after a sync was *missed*. It is settled like any doubt; where that
//! finds other content it counts, and a directory that has it happen again and again is compared at each look from then on.

use super::journal::Changes;
use super::names;
use super::settle::What;
use super::snapshot::{DirId, Leaf, Listed};
use super::survey::shown;
use super::{Tree, TreeError};
use crate::daemon::watcher::Doubt;
use crate::limits::{
    AUDIT_SLICE_DIRECTORIES, AUDIT_SLICE_ENTRIES, AUDIT_SYNC_MAX, MISSES_POLLED,
    MISSING_DIRECTORIES_MAX, POLLED_DIRECTORIES_MAX,
};
use crate::model::path::RelPath;
use crate::model::view::Touches;
use std::collections::BTreeMap;
use std::ops::Bound;

/// The audit that is under way, and what audits have found.
#[derive(Debug, Default)]
pub(super) struct Audits {
    /// Directories still to be compared; the last is next.
    left: Vec<DirId>,
    /// Changes that were missed, by the directory that holds them.
    missed: BTreeMap<Box<[u8]>, u32>,
}

/// What a part of an audit has found.
#[derive(Debug)]
pub struct Audited {
    /// What was touched, where something was settled.
    pub touches: Option<Result<Touches, TreeError>>,
    /// What was missed.
    pub missed: Vec<RelPath>,
    /// Whether directories are left to be compared.
    pub more: bool,
}

/// The names whose entries are not as they were known.
type Differing = BTreeMap<Box<[u8]>, Suspect>;

/// How an entry differs.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    weight: Weight,
    /// It had other names, or has some now.
    linked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// It may have other content.
    Content,
    /// It has not been written, but somebody has given it a name elsewhere, or taken one away.
    Names,
}

impl Tree {
    /// Begins to compare everything that is known with the disk, or goes on where the last one was given up.
    pub fn begin_audit(&mut self) {
        if self.audits.left.is_empty() {
            self.audits.left = self.snapshot.all(DirId::ROOT);
            self.audits.left.reverse();
        }
    }

    /// Compares some more directories, and settles what nothing told of.
    pub fn audit(&mut self) -> Audited {
        let mut suspects = Vec::new();
        if !self.seeing.is_by_events() || !self.scanned || self.doubted {
            // A look at everything is due, or is all that there is.
            self.audits.left.clear();
        }
        let mut entries = 0;
        for _ in 0..AUDIT_SLICE_DIRECTORIES {
            if entries > AUDIT_SLICE_ENTRIES {
                break;
            }
            let Some(id) = self.audits.left.pop() else {
                break;
            };
            entries += self.snapshot.dir(id).entries().len();
            let differing = self.differing(id);
            if !differing.is_empty() {
                suspects.push((id, differing));
            }
            suspects.extend(self.opened(id));
        }
        let mut missed = Vec::new();
        let touches = self.settle_untold(suspects, &mut missed);
        Audited {
            touches: touches.transpose(),
            missed: missed.iter().map(|path| names::rel(path)).collect(),
            more: !self.audits.left.is_empty(),
        }
    }

    /// Directories that are compared at each look, because more was missed there than by chance.
    pub fn polled_directories(&self) -> impl Iterator<Item = RelPath> {
        self.polled().map(names::rel)
    }

    fn polled(&self) -> impl Iterator<Item = &[u8]> {
        let missed = self.audits.missed.iter();
        let often = missed.filter(|(_, times)| **times >= MISSES_POLLED);
        let often = often.map(|(path, _)| &**path);
        often.take(POLLED_DIRECTORIES_MAX)
    }

    /// Adds to what is in doubt what differs in these directories; what is being written is left alone.
    pub(super) fn doubt_polled(&self, paths: &mut BTreeMap<Box<[u8]>, Doubt>) {
        for directory in self.polled() {
            let Some(id) = self.snapshot.find(directory) else {
                continue;
            };
            for name in self.differing(id).into_keys() {
                let path = self.snapshot.path_of(id, &name).into_boxed_slice();
                if !self.writing.contains_key(&path) {
                    paths.entry(path).or_insert(Doubt::Content);
                }
            }
        }
    }

    /// The names in a directory whose entries are not as they were known.
    fn differing(&self, id: DirId) -> Differing {
        let mut differing = Differing::new();
        let dir = self.snapshot.dir(id);
        if !self.snapshot.is_alive(id) || dir.listed != Listed::Done {
            return differing;
        }
        let directory = names::below(self.root.as_path(), &self.snapshot.path(id));
        // Whether it is there and may be read is its own doubt, in the directory above.
        let Ok(shown) = shown(&directory, &self.sieve(id)) else {
            return differing;
        };
        let is_there = |name: &[u8]| shown.binary_search_by(|raw| (*raw.name).cmp(name)).is_ok();
        let leaves = dir.entries().iter();
        let leaves = leaves.map(|entry| (dir.name_of(entry), entry.print.is_linked()));
        let dirs = dir.dirs().iter().map(|sub| self.snapshot.dir(*sub).name());
        let all = leaves.chain(dirs.map(|name| (name, false)));
        let weight = Weight::Content;
        let gone = all.filter(|(name, _)| !is_there(name));
        differing.extend(gone.map(|(name, linked)| (name.into(), Suspect { weight, linked })));
        for raw in &shown {
            // What cannot be looked at has just gone.
            let Ok(meta) = raw.entry.metadata() else {
                continue;
            };
            let what = What::of(&meta, || raw.entry.path());
            if let Some(suspect) = self.suspect(id, &raw.name, &what) {
                differing.insert(raw.name.clone(), suspect);
            }
        }
        differing
    }

    /// A directory that could not be read, and can be now, as a name that differs in the one above it.
    fn opened(&self, id: DirId) -> Option<(DirId, Differing)> {
        let dir = self.snapshot.dir(id);
        if !self.snapshot.is_alive(id) || dir.listed != Listed::Unreadable {
            return None;
        }
        let directory = names::below(self.root.as_path(), &self.snapshot.path(id));
        shown(&directory, &self.sieve(id)).ok()?;
        let suspect = Suspect {
            weight: Weight::Content,
            linked: false,
        };
        Some((dir.parent, Differing::from([(dir.name().into(), suspect)])))
    }

    /// How what is at a name differs from what was known; `None` where it does not.
    fn suspect(&self, id: DirId, name: &[u8], what: &What) -> Option<Suspect> {
        let dir = self.snapshot.dir(id);
        let leaf = dir.position(name).and_then(|at| dir.entries().get(at));
        let sub = self.snapshot.subdir(id, name);
        let was_linked = leaf.is_some_and(|known| known.print.is_linked());
        let other = |linked| Suspect {
            weight: Weight::Content,
            linked: linked || was_linked,
        };
        let (kind, print) = match what {
            What::Nothing => return (leaf.is_some() || sub.is_some()).then(|| other(false)),
            What::Directory(node, mode) => {
                let known = sub.map(|sub| self.snapshot.dir(sub));
                let same = known.is_some_and(|known| known.node == *node && known.mode == *mode);
                return (!same).then(|| other(false));
            }
            What::File(print) => (Leaf::File, print),
            What::Symlink(print, _) => (Leaf::Symlink, print),
        };
        match leaf.filter(|known| known.leaf == kind) {
            Some(known) if known.print == *print => None,
            Some(known) if known.print.is_written_alike(print) => Some(Suspect {
                weight: Weight::Names,
                ..other(print.is_linked())
            }),
            Some(_) | None => Some(other(print.is_linked())),
        }
    }

    /// Settles what differs although every event has been seen, and says what of it has other content.
    fn settle_untold(
        &mut self,
        suspects: Vec<(DirId, Differing)>,
        missed: &mut Vec<Vec<u8>>,
    ) -> Result<Option<Touches>, TreeError> {
        if suspects.is_empty() || self.eye.sync_in_passing(AUDIT_SYNC_MAX).is_err() {
            // The next audit finds it again.
            return Ok(None);
        }
        let mut look = self.look();
        let (mut start, mut heavy, mut untold) = (Vec::new(), Vec::new(), false);
        for (id, mut differing) in suspects {
            differing.retain(|name, suspect| !self.is_told(id, name, *suspect));
            if differing.is_empty() || !self.snapshot.is_alive(id) {
                continue;
            }
            untold = true;
            let content = differing.iter().filter(|it| it.1.weight == Weight::Content);
            heavy.extend(content.map(|(name, _)| self.snapshot.path_of(id, name)));
            // That its watch is gone without a word is one reason, and it costs nothing to set it again.
            if let Err(error) = self.hook_again(id, &mut look) {
                // Those before it are known by now, and told by nobody; the watches that were taken away are set again.
                (self.doubted, self.untold) = (true, look.changes);
                return Err(error);
            }
            let doubts = differing.into_keys().map(|name| (name, Doubt::Content));
            start.extend(self.settle_names(id, &doubts.collect(), &mut look));
        }
        if !untold {
            self.untold = look.changes;
            return Ok(None);
        }
        self.walk(start, &mut look)?;
        self.snapshot.reclaim();
        heavy.retain(|path| has_changed(&look.changes, path));
        let mut files = self.scopes.configuration.iter().map(names::of);
        let configuration =
            files.any(|file| heavy.iter().any(|path| names::is_within(&file, path)));
        let configuration = configuration && self.check_configuration();
        self.count(&heavy);
        *missed = heavy;
        Ok(Some(self.tell(look.changes, configuration)))
    }

    /// Whether an event has told of it, so that an ordinary look settles it.
    fn is_told(&self, id: DirId, name: &[u8], suspect: Suspect) -> bool {
        let path = self.snapshot.path_of(id, name);
        if self.writing.contains_key(&*path) || self.eye.is_in_doubt(&path) {
            return true;
        }
        // The event may name another name of the same file: the look for that one looks at this one too.
        suspect.linked && !(self.writing.is_empty() && self.eye.is_sure())
    }

    fn count(&mut self, missed: &[Vec<u8>]) {
        for path in missed {
            let directory = names::split(path).map_or(&b""[..], |(directory, _)| directory);
            let known = &mut self.audits.missed;
            if let Some(times) = known.get_mut(directory) {
                *times = times.saturating_add(1);
            } else if known.len() < MISSING_DIRECTORIES_MAX {
                known.insert(directory.into(), 1);
            }
        }
    }
}

/// Whether a look has found other content at a path or below it.
fn has_changed(changes: &Changes, path: &[u8]) -> bool {
    match changes {
        Changes::Everything => true,
        Changes::Paths(paths) => {
            let below = [path, b"/"].concat();
            let from = (Bound::Included(&*below), Bound::Unbounded);
            let mut from = paths.range::<[u8], _>(from);
            let within = from.next().is_some_and(|it| it.0.starts_with(&below));
            within || paths.contains_key(path)
        }
    }
}

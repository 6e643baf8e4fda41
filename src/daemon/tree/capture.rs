//! Capturing: the content that stages read, at one moment, as digests.
//!
//! First a sync, so that every change made before the call is known; then the doubts; then whatever these stages read
//! and nobody has read yet is hashed; then the digests, of which only those are computed anew that a change spoiled.

use super::content::Reading;
use super::journal::{Changes, Was};
use super::names;
use super::print::Print;
use super::scopes::{FilterId, SubjectScope};
use super::settle::{Extent, Found, Look, What};
use super::snapshot::{Dir, DirId, Entry, Known};
use super::{Tree, TreeError};
use crate::daemon::watcher::{ORDERED, Unsynced};
use crate::limits::{AFFECTED_PATHS_MAX, HASH_BATCH_FILES};
use crate::model::id::{PipelineId, StageId};
use crate::model::path::RelPath;
use crate::model::run::Changed;
use crate::model::view::{Fleeting, Subject, Touches, View};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why nobody can say what the content is.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Whether every change was seen is not known.
    #[error(transparent)]
    Unsynced(#[from] Unsynced),
    /// The files cannot be looked at.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// A path of a journal, and what it held before.
type Touched<'a> = (&'a Box<[u8]>, &'a Was);

/// What differs since the view before, as a view tells it.
struct Told {
    changed: Changed,
    undone: Vec<RelPath>,
    fleeting: Fleeting,
    affected: BTreeSet<(PipelineId, StageId)>,
}

/// A file that is to be read, by its place.
pub(super) type Pending = (DirId, u32);

impl Tree {
    /// Says what the stages of these pipelines read, with every change made before the call in it. What is not
    /// configured has no view; the others have theirs.
    ///
    /// # Errors
    /// When the watcher does not catch up in time, or the root is missing.
    pub fn capture(
        &mut self,
        subjects: &[Subject],
        timeout: Duration,
    ) -> Result<(Touches, Vec<View>), CaptureError> {
        let declared = Arc::clone(&self.scopes.declared);
        for subject in subjects {
            self.scopes.subject(subject);
        }
        // A pipeline that nobody has asked about may declare what was hidden until now.
        self.doubted |= !Arc::ptr_eq(&declared, &self.scopes.declared);
        if self.is_unwatched() {
            return self.capture_at_a_glance(subjects, timeout);
        }
        if self.seeing.is_by_events() {
            self.eye.sync(timeout)?;
        }
        let mut touches = if self.seeing.is_by_events() && !ORDERED {
            // An event may still be on its way. What it would tell of is on disk.
            self.scan()?
        } else {
            self.examine()?
        };
        let captured = self.views(subjects);
        if captured.is_err() {
            // Nobody hears what the examination has found.
            self.untold = Changes::Everything;
        }
        let (late, views) = captured?;
        merge(&mut touches, late);
        Ok((touches, views))
    }

    /// What the stages of these pipelines read as far as the last look tells, and what was found to differ while it was read.
    pub(super) fn views(
        &mut self,
        subjects: &[Subject],
    ) -> Result<(Touches, Vec<View>), TreeError> {
        let scopes = subjects
            .iter()
            .filter_map(|subject| Some((subject, self.scopes.subject(subject)?)));
        let scopes: Vec<_> = scopes.collect();
        let late = self.hash(&scopes)?;
        // What else waits to be read is another view's, which is none the worse for it.
        self.ahead = VecDeque::new();
        let views = scopes
            .iter()
            .map(|(subject, scope)| self.view(subject, scope))
            .collect();
        Ok((late, views))
    }

    /// Reads what these scopes take and nobody has read, and digests what is read already.
    fn hash(&mut self, scopes: &[(&Subject, SubjectScope)]) -> Result<Touches, TreeError> {
        let mut pending = Vec::new();
        let mut done = BTreeSet::new();
        for (_, scope) in scopes {
            for filter in scope
                .stages
                .iter()
                .map(|(_, filter)| filter)
                .chain([&scope.union])
            {
                if done.insert(*filter) {
                    self.fold(*filter, Some(&mut pending));
                }
            }
        }
        pending.sort_unstable();
        pending.dedup();
        let mut look = self.look();
        let (mut gone, mut failed) = (Vec::new(), None);
        for batch in pending.chunks(HASH_BATCH_FILES) {
            let readings = self.read_places(batch);
            for (place, reading) in batch.iter().zip(readings) {
                if let Reading::Failed(reason) = reading {
                    let path = names::below(self.root.as_path(), &self.path_at(*place));
                    failed = Some((path, io::Error::from_raw_os_error(reason)));
                }
                self.take_reading(*place, reading, &mut gone, &mut look);
            }
        }
        let mut start = Vec::new();
        // Last, since it moves places.
        for (id, name) in gone {
            let found = Found {
                name,
                what: What::Nothing,
                read: None,
                doubt: None,
                aside: false,
            };
            start.extend(self.settle(id, vec![found], Extent::Names, &mut look));
        }
        self.walk(start, &mut look)?;
        match failed {
            // Of two contents that nobody could read nobody can say that they are the same.
            Some((path, source)) => Err(TreeError::File { path, source }),
            None => Ok(self.tell(look.changes, false)),
        }
    }

    fn name_at(&self, (id, at): Pending) -> Option<Box<[u8]>> {
        let dir = self.snapshot.dir(id);
        let entry = dir.entries().get(usize::try_from(at).ok()?)?;
        Some(dir.name_of(entry).into())
    }

    fn path_at(&self, place: Pending) -> Vec<u8> {
        let name = self.name_at(place).unwrap_or_default();
        self.snapshot.path_of(place.0, &name)
    }

    fn update_at(&mut self, (id, at): Pending, change: impl FnOnce(&mut Entry)) {
        self.update(id, usize::try_from(at).unwrap_or(usize::MAX), change);
    }

    /// Takes note of what a file holds.
    pub(super) fn take_hash(&mut self, at: Pending, print: Print, hash: [u8; 32], racy: bool) {
        let known = if racy { Known::Racy } else { Known::Yes };
        self.update_at(at, |entry| {
            (entry.print, entry.hash, entry.known) = (print, hash, known);
        });
        self.note_read(&print, known);
        self.note_glanced(&print);
        if !self.unreadable.is_empty() {
            self.unreadable.remove(&*self.path_at(at));
        }
    }

    fn take_reading(
        &mut self,
        (id, at): Pending,
        reading: Reading,
        gone: &mut Vec<(DirId, Box<[u8]>)>,
        look: &mut Look,
    ) {
        match reading {
            Reading::Hashed { print, hash, racy } => self.take_hash((id, at), print, hash, racy),
            Reading::Torn { print, hash } => {
                self.update_at((id, at), |entry| {
                    (entry.print, entry.hash, entry.known) = (print, hash, Known::Torn);
                });
                // The view is of no moment: whoever gets it has to look again.
                let name = self.name_at((id, at)).unwrap_or_default();
                let aside = self.snapshot.dir(id).is_aside(&name);
                let was = Was::Unknown { aside };
                look.changes.note(self.path_at((id, at)), was);
            }
            // It stays unread: the next look tries again.
            Reading::Failed(_) => {}
            // Its event is on the way; the view is without it already.
            Reading::Gone => gone.extend(self.name_at((id, at)).map(|name| (id, name))),
            Reading::Unreadable(kind) => {
                self.update_at((id, at), |entry| entry.known = Known::Unreadable);
                self.note_unreadable(&self.path_at((id, at)), kind);
            }
        }
    }

    fn view(&mut self, subject: &Subject, scope: &SubjectScope) -> View {
        let stages = scope.stages.iter();
        let stages = stages
            .map(|(stage, filter)| (stage.clone(), self.digest(*filter)))
            .collect();
        let input = self.digest(scope.union);
        let since = self.journals.insert(subject.clone(), Changes::none());
        let told = match since {
            None | Some(Changes::Everything) => {
                let all = scope.stages.iter().map(|(stage, _)| stage.clone());
                Told {
                    changed: Changed::Everything,
                    undone: Vec::new(),
                    fleeting: Fleeting::default(),
                    affected: all.collect(),
                }
            }
            Some(Changes::Paths(paths)) => self.told_since(scope, &paths),
        };
        View {
            subject: subject.clone(),
            input,
            stages,
            tools: BTreeMap::new(),
            changed: told.changed,
            undone: told.undone,
            fleeting: told.fleeting,
            affected: told.affected,
        }
    }

    /// What became of the paths of a journal.
    fn told_since(&self, scope: &SubjectScope, paths: &BTreeMap<Box<[u8]>, Was>) -> Told {
        let mut near = None;
        let (mut came, mut went, mut passed) = (Vec::new(), Vec::new(), Vec::new());
        let (mut other, mut undone) = (Vec::new(), Vec::new());
        for one in paths {
            let (path, was) = one;
            let is_there = self.leaf_at(path, &mut near).is_some();
            match (was, is_there) {
                (Was::Absent, true) => came.push(one),
                (Was::Absent, false) => passed.push(one),
                (_, false) => went.push(one),
                _ if self.differs(path, was, &mut near) => other.push(one),
                _ => undone.push(one),
            }
        }
        let named = |all: &[Touched<'_>]| {
            let mut named: Vec<RelPath> = all.iter().map(|(path, _)| names::rel(path)).collect();
            named.sort();
            named
        };
        let fleeting = [&came[..], &went, &passed].concat();
        Told {
            changed: Changed::Paths(named(&[&came[..], &went, &other].concat())),
            undone: named(&undone),
            fleeting: Fleeting {
                came: named(&came),
                went: named(&went),
                passed: named(&passed),
                readers: self.affected(scope, fleeting.into_iter()),
            },
            affected: self.affected(scope, other.into_iter().chain(undone)),
        }
    }

    /// The stages that read some of these paths.
    fn affected<'a>(
        &self,
        scope: &SubjectScope,
        touched: impl Iterator<Item = Touched<'a>>,
    ) -> BTreeSet<(PipelineId, StageId)> {
        let mut near = None;
        let paths: Vec<(&[u8], bool)> = touched
            .take(AFFECTED_PATHS_MAX + 1)
            .map(|(path, was)| (&**path, self.is_aside(path, was, &mut near)))
            .collect();
        let is_too_many = paths.len() > AFFECTED_PATHS_MAX;
        let mut told: BTreeMap<FilterId, bool> = BTreeMap::new();
        let mut reads_some = |filter: FilterId| {
            *told.entry(filter).or_insert_with(|| {
                let mut paths = paths.iter();
                is_too_many || paths.any(|(path, aside)| self.scopes.reads(filter, path, *aside))
            })
        };
        let stages = scope.stages.iter();
        let affected = stages.filter(|(_, filter)| reads_some(*filter));
        affected.map(|(stage, _)| stage.clone()).collect()
    }

    /// Whether a path is not what it was. `near` is the directory of the path that was asked about before, if any: mostly
    /// the same one.
    fn differs<'a>(&self, path: &'a [u8], was: &Was, near: &mut Option<Near<'a>>) -> bool {
        let now = self.leaf_at(path, near);
        match (was, now) {
            (Was::Absent, now) => now.is_some(),
            (Was::Content(was), Some((dir, now))) => dir.content_of(now) != Some(*was),
            (Was::Content(_), None) | (Was::Unknown { .. }, _) => true,
        }
    }

    /// The file or link at a path, and its directory.
    fn leaf_at<'a>(&self, path: &'a [u8], near: &mut Option<Near<'a>>) -> Option<(&Dir, &Entry)> {
        let (directory, name) = names::split(path)?;
        near.take_if(|near| near.0 != directory);
        let find = || (directory, self.snapshot.find(directory));
        let (_, id) = *near.get_or_insert_with(find);
        let dir = self.snapshot.dir(id?);
        Some((dir, dir.entries().get(dir.position(name)?)?))
    }

    /// Whether a path that was this is content only of stages that declare it, and was no other's.
    pub(super) fn is_aside<'a>(
        &self,
        path: &'a [u8],
        was: &Was,
        near: &mut Option<Near<'a>>,
    ) -> bool {
        if self.scopes.declared.is_empty() {
            return false;
        }
        let now = self.leaf_at(path, near);
        let now = now.map(|(dir, now)| dir.is_aside(dir.name_of(now)));
        let known = [was.is_aside(), now];
        known.contains(&Some(true)) && !known.contains(&Some(false))
    }
}

/// A directory's path, and which one that is.
pub(super) type Near<'a> = (&'a [u8], Option<DirId>);

/// Adds what was touched while files were read.
pub(super) fn merge(touches: &mut Touches, late: Touches) {
    for (task, more) in late.projects {
        let held = touches.projects.remove(&task);
        let both = match (held, more) {
            (None, more) => more,
            (Some(Changed::Paths(mut paths)), Changed::Paths(more)) => {
                paths.extend(more);
                paths.sort();
                paths.dedup();
                Changed::Paths(paths)
            }
            (Some(_), _) => Changed::Everything,
        };
        touches.projects.insert(task, both);
    }
}

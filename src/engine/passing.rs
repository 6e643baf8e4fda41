//! What comes and goes while a run is under way: files that are in no content, and that a stage may have read.
//!
//! Who made them is not known: a person who tries a file for a moment looks like a tool that writes one and removes it.
//! So they make a run void, as an edit does that was undone. What comes and goes again in the run that follows at once,
//! under the same name or one that is like it, is taken for the work of the stages themselves, which do it in every run:
//! it is a *habit* of the project, for as long as the daemon lives, and voids nothing. What comes and goes twice and is
//! not alike makes the content unstable, so that no run follows the other for ever.

use crate::engine::project::Project;
use crate::engine::run::{Culprits, Run};
use crate::engine::state::Engine;
use crate::limits::{CHANGED_PATHS_MAX, CHANGED_PATHS_SHOWN_MAX, HABIT_BYTES_MIN, HABITS_MAX};
use crate::model::id::{PipelineId, RunId, StageId};
use crate::model::path::RelPath;
use crate::model::run::Changed;
use crate::model::view::View;
use std::collections::{BTreeSet, VecDeque};

/// What has come and gone in a run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passing {
    /// Paths that came since the run began, and were there when it was looked at last.
    visitors: BTreeSet<RelPath>,
    /// Paths that came and went.
    passed: BTreeSet<RelPath>,
    /// The stages that read some of all these.
    readers: BTreeSet<(PipelineId, StageId)>,
}

/// Names under which something comes and goes in every run: one name on the way is like these, the others are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Habit {
    /// The names on the way.
    names: Vec<Vec<u8>>,
    /// Where one of them may differ, and how it begins and ends.
    like: Option<(usize, Vec<u8>, Vec<u8>)>,
}

/// What comes and goes in each run of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Habits {
    known: VecDeque<Habit>,
    /// What has made the run before void, while nothing has changed outside a run since.
    strange: BTreeSet<RelPath>,
}

fn names(path: &RelPath) -> Vec<Vec<u8>> {
    let names = path.names();
    names.map(|name| name.as_encoded_bytes().to_vec()).collect()
}

impl Habit {
    /// What two paths have in common, if that is enough to tell others by.
    fn of(one: &RelPath, other: &RelPath) -> Option<Self> {
        let (one, other) = (names(one), names(other));
        let mut differing = one.iter().zip(&other).enumerate();
        let mut differing = differing.by_ref().filter(|(_, (one, other))| one != other);
        let (first, second) = (differing.next(), differing.next());
        if one.len() != other.len() || second.is_some() {
            return None;
        }
        let like = match first {
            None => None,
            Some((place, (a, b))) => {
                let both = a.iter().zip(b);
                let begin = both.take_while(|(a, b)| a == b).count();
                let rest = a.len().min(b.len()).saturating_sub(begin);
                let both = a.iter().rev().zip(b.iter().rev()).take(rest);
                let end = both.take_while(|(a, b)| a == b).count();
                // A number that goes on, such as a process id or a time, is other digits the next time.
                let is_digit = |byte: &&u8| byte.is_ascii_digit();
                let digits = a.iter().take(begin).rev().take_while(is_digit).count();
                let begin = begin - digits;
                let digits = a.iter().skip(a.len() - end).take_while(is_digit).count();
                let end = end - digits;
                if begin + end < HABIT_BYTES_MIN {
                    return None;
                }
                let (begin, end) = (a.iter().take(begin), a.iter().skip(a.len() - end));
                Some((place, begin.copied().collect(), end.copied().collect()))
            }
        };
        Some(Self { names: one, like })
    }

    fn holds(&self, path: &RelPath) -> bool {
        let path = names(path);
        let is_like = |(place, (name, held)): (usize, (&Vec<u8>, &Vec<u8>))| match &self.like {
            Some((at, begin, end)) if *at == place => {
                name.len() >= begin.len() + end.len()
                    && name.starts_with(begin)
                    && name.ends_with(end)
            }
            Some(_) | None => name == held,
        };
        path.len() == self.names.len() && path.iter().zip(&self.names).enumerate().all(is_like)
    }
}

impl Habits {
    fn learn(&mut self, habit: Habit) {
        if !self.known.contains(&habit) {
            self.known.push_back(habit);
        }
        while self.known.len() > HABITS_MAX {
            self.known.pop_front();
        }
    }

    /// Something has changed outside of a run: what came and went before says nothing any more of what does next.
    pub(super) fn outside(&mut self) {
        self.strange.clear();
    }
}

impl Run {
    /// Takes over what a view of its pipeline tells that differs since the one before.
    pub(super) fn note_view(&mut self, view: &View) {
        let fleeting = &view.fleeting;
        self.changes.merge(&Changed::Paths(view.undone.clone()));
        self.affected.extend(view.affected.iter().cloned());
        self.passing
            .readers
            .extend(fleeting.readers.iter().cloned());
        self.passing.passed.extend(fleeting.passed.iter().cloned());
        let Changed::Paths(paths) = &view.changed else {
            return self.changes.merge(&view.changed);
        };
        let came: BTreeSet<&RelPath> = fleeting.came.iter().collect();
        let went: BTreeSet<&RelPath> = fleeting.went.iter().collect();
        let mut lasting = Vec::new();
        for path in paths {
            let passing = &mut self.passing;
            if came.contains(path) && !self.changes.contains(path) {
                passing.visitors.insert(path.clone());
            } else if went.contains(path) && passing.visitors.remove(path) {
                passing.passed.insert(path.clone());
            } else if !passing.visitors.contains(path) {
                lasting.push(path.clone());
            }
        }
        if lasting
            .iter()
            .any(|path| came.contains(path) || went.contains(path))
        {
            self.affected.extend(fleeting.readers.iter().cloned());
        }
        self.changes.merge(&Changed::Paths(lasting));
        if self.passing.visitors.len() + self.passing.passed.len() > CHANGED_PATHS_MAX {
            self.changes.merge(&Changed::Everything);
            self.passing = Passing::default();
        }
    }

    /// What differs by now from what it began on, or did meanwhile; not what has gone again.
    pub(super) fn changed(&self) -> Changed {
        let mut all = self.changes.clone();
        let visitors = self.passing.visitors.iter().cloned();
        all.merge(&Changed::Paths(visitors.collect()));
        all.changed()
    }

    /// Whether nothing differs from what it began on, nor did meanwhile.
    pub(super) fn is_undisturbed(&self) -> bool {
        self.changes.is_empty() && self.strayed.is_empty() && self.passing.visitors.is_empty()
    }

    fn disturb(&mut self, paths: impl Iterator<Item = RelPath>) {
        let paths: Vec<RelPath> = paths.collect();
        if !paths.is_empty() {
            self.changes.merge(&Changed::Paths(paths));
            let readers = std::mem::take(&mut self.passing.readers);
            self.affected.extend(readers);
        }
    }
}

impl Engine {
    /// Decides, now that a run has ended, what of that which came and went makes it void. Tells what of it makes the
    /// content unstable, with the stages that ran then: more than one run in a row is void for such.
    pub(super) fn judge_passing(&mut self, id: &RunId) -> Culprits {
        let Some(run) = self.runs.get_mut(id) else {
            return Culprits::new();
        };
        let visitors = std::mem::take(&mut run.passing.visitors);
        run.disturb(visitors.into_iter());
        let passed = std::mem::take(&mut run.passing.passed);
        let is_root = run.parent_stage.is_none() && run.cancelled.is_none();
        let Some(project) = self.projects.get_mut(&run.project) else {
            return Culprits::new();
        };
        let before = project.habits.strange.clone();
        let strange = strange(project, passed, is_root);
        if strange.is_empty() {
            return Culprits::new();
        }
        run.disturb(strange.iter().cloned());
        let ran = run.last_stage.unwrap_or_default();
        let blamed = |path: RelPath| {
            let mut stages = run.culprits.iter().filter(|(of, _)| *of == path);
            let stage = stages.next().map_or(ran, |(_, stage)| *stage);
            (path, stage)
        };
        let twice = is_root && !before.is_empty();
        let strange = strange.into_iter().filter(|_| twice);
        strange.take(CHANGED_PATHS_SHOWN_MAX).map(blamed).collect()
    }
}

/// What of that which came and went is no habit of the project; what is one is learned, and what is not is kept in mind,
/// after a run of its own.
fn strange(project: &mut Project, passed: BTreeSet<RelPath>, is_root: bool) -> BTreeSet<RelPath> {
    let habits = &mut project.habits;
    let known = |path: &RelPath| habits.known.iter().any(|habit| habit.holds(path));
    let unknown: BTreeSet<RelPath> = passed.into_iter().filter(|path| !known(path)).collect();
    if unknown.len() > CHANGED_PATHS_SHOWN_MAX {
        // More than are held against one another; none of them is like any.
        let shown = unknown.iter().take(CHANGED_PATHS_SHOWN_MAX).cloned();
        habits.strange = shown.collect();
        return unknown;
    }
    let mut learned = Vec::new();
    let mut is_strange = |path: &RelPath| {
        let alike = habits.strange.iter();
        let habit = alike.filter_map(|before| Habit::of(before, path)).next();
        let is_strange = habit.is_none();
        learned.extend(habit);
        is_strange
    };
    let strange = unknown.iter().filter(|path| is_strange(path));
    let strange = strange.cloned().collect();
    if is_root {
        learned.into_iter().for_each(|habit| habits.learn(habit));
        habits.strange = unknown;
    }
    strange
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    #[test]
    fn what_is_alike_is_told_by_what_it_has_in_common() {
        for (one, other, third, alike) in [
            ("src/sedAAAAAA", "src/sedBcd1x", "src/sedZZ", Some(true)),
            ("src/sedAAAAAA", "src/sedBcd1x", "lib/sedZZ", Some(false)),
            ("src/sedAAAAAA", "src/sedBcd1x", "src/seeZZ", Some(false)),
            (
                "v.ts.timestamp-17-a.mjs",
                "v.ts.timestamp-18-b.mjs",
                "v.ts.timestamp-19-.mjs",
                Some(true),
            ),
            (
                "v.ts.timestamp-17-a.mjs",
                "v.ts.timestamp-18-b.mjs",
                "v.ts.timestamp-1",
                Some(false),
            ),
            ("tmp.4711", "tmp.4712", "tmp.5000", Some(true)),
            ("4711.log", "4721.log", "5.log", Some(true)),
            ("a47", "a48", "a49", None),
            ("tmp.a/x/y", "tmp.b/x/y", "tmp.c/x/y", Some(true)),
            ("tmp.a/x/y", "tmp.b/x/y", "tmp.c/x", Some(false)),
            ("src/4913", "src/4913", "src/4913", Some(true)),
            ("src/4913", "src/4913", "src/49130", Some(false)),
            ("aa", "aaa", "a", None),
            ("aaa", "aaaa", "aaa", Some(true)),
            ("src/x1", "src/y2", "src/z", None),
            ("tmp.a/x1", "tmp.b/y1", "tmp.c/z1", None),
            ("src/a", "src/a/b", "src/a", None),
        ] {
            let habit = Habit::of(&path(one), &path(other));
            let holds = habit.map(|habit| {
                assert!(
                    habit.holds(&path(one)) && habit.holds(&path(other)),
                    "{one}"
                );
                habit.holds(&path(third))
            });
            assert_eq!(holds, alike, "{one}, {other}, {third}");
        }
    }
}

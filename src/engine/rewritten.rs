//! What is rewritten while a run's stages run: by whom, and whether what is called unstable for it is run once more.
//!
//! Who wrote a file is not known: an editor's save during a stage looks like the stage's own work. What comes again with
//! each run is taken for the stage's own, so that nobody's stages are restarted for ever by what they write themselves.

use crate::engine::ProjectId;
use crate::engine::project::Project;
use crate::engine::run::{Culprits, Run};
use crate::engine::state::Engine;
use crate::limits::{CHANGED_PATHS_SHOWN_MAX, UNSTABLE_RECHECK};
use crate::model::digest::StageKey;
use crate::model::id::{RequestId, RunId};
use crate::model::path::RelPath;
use crate::model::run::{Changed, Verdict};
use crate::model::time::Tick;

/// Whether what is called unstable is run once more: two saves of one file during two runs look like a stage that
/// rewrites it, and the last of them was never run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Recheck {
    /// The present content is not unstable, or one more run has shown it.
    #[default]
    Needless,
    /// By itself from then on, and at once for whoever asks.
    Due(Tick),
    /// The content with these keys is being run once more.
    Underway(Vec<StageKey>),
}

impl Recheck {
    pub(super) fn due(&self) -> Option<Tick> {
        match self {
            Self::Due(at) => Some(*at),
            Self::Needless | Self::Underway(_) => None,
        }
    }

    /// The present content is unstable, as far as one run shows it.
    pub(super) fn want(&mut self, now: Tick) {
        if *self == Self::Needless {
            *self = Self::Due(now.after(UNSTABLE_RECHECK));
        }
    }

    /// A run on content with these keys has ended; whether it was the one more.
    pub(super) fn take(&mut self, keys: &[StageKey]) -> bool {
        std::mem::take(self) == Self::Underway(keys.to_vec())
    }
}

impl Run {
    /// Of the paths that were rewritten while its stages ran, those that a look still found changed.
    pub(super) fn still_changed(&self, changed: &Changed) -> Culprits {
        let culprits = self.culprits.iter();
        match changed {
            Changed::Everything => culprits.cloned().collect(),
            Changed::Paths(paths) => culprits
                .filter(|(path, _)| paths.contains(path))
                .cloned()
                .collect(),
        }
    }
}

impl Engine {
    /// Notes which stage ran when content of its project was touched.
    pub(super) fn blame(&mut self, id: &ProjectId, changed: &Changed) {
        let Changed::Paths(paths) = changed else {
            return;
        };
        for run in self.runs.values_mut().filter(|run| run.project == *id) {
            let stages = run.blamed_stages();
            for path in paths.iter().take(CHANGED_PATHS_SHOWN_MAX) {
                run.culprits
                    .extend(stages.iter().map(|stage| (path.clone(), *stage)));
            }
            while run.culprits.len() > CHANGED_PATHS_SHOWN_MAX {
                run.culprits.pop_last();
            }
        }
    }

    /// Whether all that has changed since a run began is what its stages rewrite in every run: then it is let end and
    /// judged, because the next run would be superseded just so.
    pub(super) fn is_own_work(&self, id: &ProjectId, run: &RunId) -> bool {
        let (Some(project), Some(run)) = (self.projects.get(id), self.runs.get(run)) else {
            return false;
        };
        let changed = run.changed();
        let rewritten = run.still_changed(&changed);
        let before = project.culprits.as_ref();
        let again = |culprit: &(RelPath, usize)| before.is_some_and(|it| it.contains(culprit));
        let again: Culprits = rewritten.iter().filter(|it| again(it)).cloned().collect();
        let ours = |path: &RelPath| again.iter().any(|(ours, _)| ours == path);
        // More than are noted: whatever lies beyond them may be the stage's own just as well.
        let full = run.culprits.len() >= CHANGED_PATHS_SHOWN_MAX;
        let noted = |path: &RelPath| !full || rewritten.iter().any(|(noted, _)| noted == path);
        match changed {
            Changed::Everything => false,
            Changed::Paths(paths) => {
                !again.is_empty() && paths.iter().filter(|path| noted(path)).all(ours)
            }
        }
    }

    /// Has what is called unstable run once more for a question that it was not run for yet, or where one run alone shows
    /// it, and what was red before who doubts that; whether it will be.
    pub(super) fn recheck_for(&mut self, request: RequestId, id: &ProjectId) -> bool {
        let waiter = self.waiters.get(request);
        let is_first = waiter.is_some_and(|waiter| !waiter.rechecked.contains(id));
        let project = self.projects.get(id);
        let is_unsure = project.is_some_and(Project::is_unsure);
        let red = project.and_then(Project::present_proof);
        if waiter
            .zip(red)
            .is_some_and(|(waiter, red)| waiter.doubts(red))
        {
            return self.doubt_red(id);
        }
        let rechecked = (is_first || is_unsure) && self.recheck(id);
        if rechecked {
            self.waiters.note_recheck(request, id);
        }
        rechecked
    }

    /// The same for everybody who waits: it is run once for all of them.
    pub(super) fn recheck_for_all(&mut self, id: &ProjectId) -> bool {
        let waiting = self.awaiting(id);
        let rechecked = waiting.iter().any(|request| self.recheck_for(*request, id));
        for request in waiting.iter().filter(|_| rechecked) {
            self.waiters.note_recheck(*request, id);
        }
        rechecked
    }

    /// Has what is called unstable run once more by itself, where the time for that has come.
    pub(super) fn recheck_by_itself(&mut self) {
        let now = self.now.tick;
        let due = self.projects.iter();
        let due = due.filter(|(_, project)| project.recheck.due().is_some_and(|at| at <= now));
        let due: Vec<ProjectId> = due.map(|(id, _)| id.clone()).collect();
        for id in due {
            if self.recheck(&id) {
                self.want_present(&id);
            } else if let Some(project) = self.projects.get_mut(&id) {
                // It is not the present content, or may not be: wanted again once it is.
                project.recheck = Recheck::default();
            }
        }
    }

    /// Forgets what is called unstable, so that the next look has it run once more; whether the present content is.
    fn recheck(&mut self, id: &ProjectId) -> bool {
        let Some(project) = self.projects.get_mut(id) else {
            return false;
        };
        let unstable = project.present_proof();
        let Some(unstable) = unstable.filter(|proof| proof.verdict == Verdict::Unstable) else {
            return false;
        };
        project.recheck = Recheck::Underway(unstable.keys.clone());
        project
            .proofs
            .retain(|proof| proof.verdict != Verdict::Unstable);
        self.mark(id);
        true
    }

    /// Forgets that the present content is red, so that it is run once more: what failed of it, and nothing else that is
    /// proven.
    fn doubt_red(&mut self, id: &ProjectId) -> bool {
        let Some(project) = self.projects.get_mut(id) else {
            return false;
        };
        let Some(keys) = project.known().map(|seen| seen.keys.clone()) else {
            return false;
        };
        project.proofs.retain(|proof| proof.keys != keys);
        self.mark(id);
        true
    }
}

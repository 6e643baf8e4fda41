//! What is rewritten while a run's stages run: by whom, and how often it may end the run that it happens in.
//!
//! Who wrote a file is not known: an editor's save during a stage looks like the stage's own work. What comes again with
//! each run is taken for the stage's own, so that nobody's stages are restarted for ever by what they write themselves.

use crate::engine::ProjectId;
use crate::engine::run::{Culprits, Run};
use crate::engine::state::Engine;
use crate::limits::{CHANGED_PATHS_SHOWN_MAX, RESTARTS_ALIKE_MAX};
use crate::model::id::RunId;
use crate::model::path::RelPath;
use crate::model::run::Changed;
use std::collections::BTreeMap;

/// Paths with the stage that ran when they were rewritten, and how many runs in a row were superseded for that.
pub(super) type Restarts = BTreeMap<(RelPath, usize), u32>;

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
        let changed = run.changes.changed();
        let rewritten = run.still_changed(&changed);
        let again = |culprit: &(RelPath, usize)| {
            let before = project.culprits.as_ref();
            before.is_some_and(|before| before.contains(culprit))
                || project.restarts.get(culprit).copied() >= Some(RESTARTS_ALIKE_MAX)
        };
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

    /// Counts what a run is superseded for; what did not come again begins anew.
    pub(super) fn note_restart(&mut self, id: &ProjectId, run: &RunId) {
        let (Some(project), Some(run)) = (self.projects.get_mut(id), self.runs.get(run)) else {
            return;
        };
        let rewritten = run.still_changed(&run.changes.changed());
        let before = std::mem::take(&mut project.restarts);
        let count = |culprit: &(RelPath, usize)| {
            let times = before.get(culprit).copied().unwrap_or_default();
            times.saturating_add(1)
        };
        project.restarts = rewritten
            .into_iter()
            .map(|culprit| (culprit.clone(), count(&culprit)))
            .collect();
    }
}

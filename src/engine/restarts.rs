//! `on_busy = "restart"`: a run makes way for the content that came while it was under way, but not for ever.
//!
//! ```text
//! run ──other content──▶ ended, counted ──▶ the next run … ──bound reached──▶ a run that is let end ──▶ counted anew
//! ```
//!
//! The bound is `RESTARTS_MAX` runs, or `RESTARTS_SETTLES_MAX` times `settle_max_ms` since the first of them began. So
//! whoever never stops saving hears of a run that has ended; it proves what was not changed while it ran. A stage that
//! rewrites its own inputs is let end in the same way, and judged in `rewritten`.

use crate::engine::ProjectId;
use crate::engine::run::{Phase, SUPERSEDED};
use crate::engine::state::Engine;
use crate::limits::{RESTARTS_MAX, RESTARTS_SETTLES_MAX};
use crate::model::id::RunId;
use crate::model::time::Tick;

/// Runs in a row that made way for other content, without one in between that ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Restarts {
    times: u32,
    /// When the first of them began.
    since: Tick,
}

impl Engine {
    /// Ends the run under way for what is there now, unless it is let end.
    pub(super) fn restart(&mut self, id: &ProjectId, run: &RunId) {
        if self.is_let_end(id) || self.is_own_work(id, run) {
            return;
        }
        let found = self.runs.get(run).filter(|it| {
            it.cancelled.is_none() && matches!(it.phase, Phase::Beginning | Phase::Running)
        });
        // What ends anyway makes no way.
        let (Some(found), Some(project)) = (found, self.projects.get_mut(id)) else {
            return;
        };
        let since = found.begun;
        let restarts = project.restarts.get_or_insert(Restarts { times: 0, since });
        restarts.times = restarts.times.saturating_add(1);
        self.cancel(run, SUPERSEDED);
    }

    /// Whether enough runs of a project have made way, so that the one under way is let end.
    fn is_let_end(&self, id: &ProjectId) -> bool {
        let restarts = self.projects.get(id).and_then(|project| project.restarts);
        let settings = self.settings(id);
        restarts.zip(settings).is_some_and(|(restarts, settings)| {
            let span = settings.settle_max.saturating_mul(RESTARTS_SETTLES_MAX);
            restarts.times >= RESTARTS_MAX || self.now.tick.since(restarts.since) >= span
        })
    }

    /// A run is being concluded: if it is one of the project's own pipeline that ended by itself, the count begins anew.
    pub(super) fn end_restarts(&mut self, id: &RunId) {
        let Some(run) = self.runs.get(id) else { return };
        let by_itself = run.parent_stage.is_none() && run.cancelled.is_none();
        let own = self.default_pipeline(&run.project);
        let own = own.is_some_and(|own| own.id == run.report.pipeline);
        let project = run.project.clone();
        if by_itself
            && own
            && let Some(project) = self.projects.get_mut(&project)
        {
            project.restarts = None;
        }
    }
}

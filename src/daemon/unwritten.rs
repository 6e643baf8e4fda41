//! What waits to be written of a site: how far its runs have come, and how its projects stand.
//!
//! Both are written late and in their latest state only, when they are due and the desk is at home, or at once at the end.
//! While the root is missing nothing is: what lies at its path is not the workspace.

use crate::daemon::chain::chain;
use crate::daemon::clock::Clock;
use crate::daemon::lend::Lent;
use crate::daemon::site::Site;
use crate::engine::Standing;
use crate::model::evidence::{LastRun, TaskState};
use crate::model::id::{TaskId, WorkspaceId};
use crate::model::run::Verdict;
use crate::model::time::{Tick, Timestamp};

impl Site {
    /// Writes what waits by `at` at the latest.
    pub(super) fn flush_by(&mut self, at: Tick) {
        self.flush_at = Some(self.flush_at.map_or(at, |before| before.min(at)));
    }

    /// When something is due to be written. While the desk is away nothing can be; its return is a wake of its own.
    pub(super) fn flush_due(&self) -> Option<Tick> {
        let is_home = self.desk.as_ref().is_none_or(Lent::is_home);
        self.flush_at.filter(|_| is_home && !self.was_missing)
    }

    /// Hands progress and standings to the desk when they are due, or at once at the end.
    pub(super) fn flush(&mut self, id: WorkspaceId, now: Tick, at_once: bool, clock: Clock) {
        let ending = at_once || self.closing;
        if self.was_missing {
            // What is at its path is not the workspace: standings wait until it is back, and nobody waits for that.
            if ending {
                self.progress.clear();
                self.states.clear();
                self.flush_at = None;
            }
            return;
        }
        let due = self.flush_at.is_some_and(|at| at <= now) || ending;
        let Some(desk) = self.desk.as_mut().filter(|desk| due && desk.is_home()) else {
            if due && self.desk.is_none() {
                self.states.clear();
                self.flush_at = None;
            }
            return;
        };
        self.flush_at = None;
        let (reports, states) = (
            std::mem::take(&mut self.progress),
            std::mem::take(&mut self.states),
        );
        if reports.is_empty() && states.is_empty() {
            return;
        }
        desk.push(move |desk| {
            let now = clock.wall();
            let told = |error| tracing::warn!(workspace = %id, error = %chain(&error), "progress could not be written");
            for report in reports.into_values() {
                desk.record(&report, now).unwrap_or_else(told);
            }
            for (task, state) in states {
                desk.state(&task, &state, now).unwrap_or_else(told);
            }
            None
        });
    }

    /// Notes what the file of a task will say of its present content; gives back what it has said.
    pub(super) fn calls_present(&mut self, state: &TaskState, task: &TaskId) -> Option<Verdict> {
        match state.fresh {
            true => self.present.insert(task.clone(), state.verdict),
            false => self.present.remove(task),
        }
    }

    /// What `state.json` says of a project.
    pub(super) fn task_state(&self, standing: &Standing, now: Timestamp) -> TaskState {
        let task = &standing.project.task;
        TaskState {
            workspace: self.root.to_text(),
            project: standing.path.clone(),
            pipeline: standing.pipeline.clone(),
            verdict: standing.verdict,
            fresh: standing.fresh,
            phase: standing.phase,
            input_digest: standing.input,
            last_run: standing.last.as_ref().map(|(run, status)| LastRun {
                run_id: run.clone(),
                status: *status,
                manifest: self.layout.manifest(task, run),
            }),
            updated_at: now,
        }
    }
}

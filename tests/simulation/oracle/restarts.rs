//! The judge of `on_busy = "restart"`: of the runs that make way for other content, one is let end in time.
//!
//! What counts is what a project's own pipeline was told to have done; a verdict in between is what everybody waits for.

use super::Oracle;
use orch::model::run::{RunReport, RunStatus};
use std::collections::BTreeMap;

/// Runs in a row that may make way.
const IN_A_ROW: u32 = 3;

/// What became of the runs of projects.
#[derive(Default)]
pub(super) struct Restarts {
    /// How many have made way since one ended by itself.
    in_a_row: BTreeMap<usize, u32>,
    /// How many ended by themselves.
    by_itself: BTreeMap<usize, u32>,
}

impl Restarts {
    /// A run of the project's own pipeline was told to have ended.
    pub(super) fn ended(&mut self, project: usize, report: &RunReport) {
        if report.status_detail.as_deref() == Some("superseded") {
            let times = self.in_a_row.entry(project).or_default();
            *times += 1;
            assert!(*times <= IN_A_ROW, "{times} runs in a row made way");
        } else if report.status != RunStatus::Cancelled {
            self.in_a_row.remove(&project);
            *self.by_itself.entry(project).or_default() += 1;
        }
    }

    /// A verdict of the present content was told.
    pub(super) fn judged(&mut self, project: usize) {
        self.in_a_row.remove(&project);
    }
}

impl Oracle {
    /// How many runs of a project's own pipeline ended by themselves.
    pub(crate) fn ended_by_itself(&self, project: usize) -> u32 {
        let ended = &self.restarts.by_itself;
        ended.get(&project).copied().unwrap_or_default()
    }
}

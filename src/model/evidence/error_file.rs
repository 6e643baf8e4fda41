//! `errors/NN-<slug>.json`: what is known of a stage's failure.
//!
//! In the published orchestrator's words and limits; it holds no environment.

use super::layout::numbered;
use crate::limits::ERROR_DETAIL_CHARS_MAX;
use crate::model::id::{RunId, StageId, TaskId};
use crate::model::run::{Outcome, RunReport, StageReport, StageStatus, StageWork};
use crate::model::time::Timestamp;
use serde::Serialize;

/// What is known of a stage's failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorFile {
    run_id: RunId,
    task_id: TaskId,
    command_index: usize,
    command_id: StageId,
    command: String,
    reason: &'static str,
    details: Details,
    created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Details {
    exit_code: Option<i32>,
    stderr: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stderr_truncated: bool,
    failure_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    non_fatal_fallback: bool,
}

impl ErrorFile {
    /// The error file of the stage at `index` (from 1); `None` when it has none.
    #[must_use]
    pub fn of(
        report: &RunReport,
        stage: &StageReport,
        index: usize,
        now: Timestamp,
    ) -> Option<Self> {
        let StageWork::Command(line) = &stage.work else {
            return None;
        };
        has_error_file(stage).then(|| {
            let skipped = stage.status == StageStatus::Skipped;
            let stderr = stage.stderr.trim();
            Self {
                run_id: report.run.clone(),
                task_id: report.task.clone(),
                command_index: index,
                command_id: stage.id.clone(),
                command: line.text(),
                reason: if skipped {
                    "command-allow-failure"
                } else {
                    "command-failed"
                },
                details: Details {
                    exit_code: stage.exit_code,
                    stderr: stderr.chars().take(ERROR_DETAIL_CHARS_MAX).collect(),
                    stderr_truncated: stderr.chars().nth(ERROR_DETAIL_CHARS_MAX).is_some(),
                    failure_reason: match stage.outcome {
                        Outcome::TimedOut => "timed_out",
                        Outcome::Signalled => "signal",
                        Outcome::Unspawnable => "execution_error",
                        Outcome::None
                        | Outcome::Passed
                        | Outcome::Flaky
                        | Outcome::Failed
                        | Outcome::Cancelled => "command_failed",
                    },
                    detail: (stage.outcome == Outcome::Unspawnable)
                        .then(|| stage.summary.clone())
                        .flatten(),
                    non_fatal_fallback: skipped,
                },
                created_at: now,
            }
        })
    }

    /// Its name in the run's `errors` directory.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.json", numbered(self.command_index, &self.command_id))
    }
}

/// Whether a stage's failure is worth a file: it ended by itself or at its deadline, or it could not be started.
pub(super) fn has_error_file(stage: &StageReport) -> bool {
    let failed = matches!(stage.status, StageStatus::Failed | StageStatus::Skipped);
    let by_itself = matches!(
        stage.outcome,
        Outcome::Failed | Outcome::TimedOut | Outcome::Signalled | Outcome::Unspawnable
    );
    failed && by_itself && matches!(stage.work, StageWork::Command(_))
}

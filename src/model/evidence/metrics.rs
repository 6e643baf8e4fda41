//! One line of `metrics.json`: the 13 keys of the first generation, and the shape that the published orchestrator's
//! reader expects behind them, with nothing in it.
//!
//! A line is whole or not there: whoever appends it writes it in one go.

use super::guardrail::Guardrails;
use super::manifest::Manifest;
use crate::model::id::{PipelineId, RunId, TaskId};
use crate::model::run::{RunStatus, StageStatus};
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The metrics of one end of a run; a run that is resumed ends again and has another line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The run.
    pub run_id: RunId,
    /// Its task.
    pub task_id: TaskId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// How it ended.
    pub status: RunStatus,
    /// When it was made.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// From made to ended, a pause before a resume included.
    pub duration_seconds: Option<f64>,
    /// Stages that succeeded.
    pub commands_passed: usize,
    /// Stages that failed.
    pub commands_failed: usize,
    /// Whether a guardrail succeeded.
    pub guardrails_present: bool,
    /// When the line was written.
    pub recorded_at: Timestamp,
    /// The run's directory.
    pub artifact_path: String,
    /// How many child runs it has.
    pub child_runs: usize,
    #[serde(default)]
    control_plane_status: String,
    #[serde(default)]
    scheduler_mode: Value,
    #[serde(default)]
    instance_stats: Vec<Value>,
    #[serde(default)]
    privacy_mode: Value,
    #[serde(default)]
    privacy_events: Vec<Value>,
    #[serde(default)]
    handle_count: u64,
}

impl Metrics {
    /// The metrics of a run that ended.
    #[must_use]
    pub fn of(manifest: &Manifest, now: Timestamp) -> Self {
        let with = |status| {
            let stages = manifest.commands.iter();
            stages.filter(|stage| stage.status == status).count()
        };
        let duration = manifest
            .completed_at
            .map(|end| end.since(manifest.started_at));
        Self {
            run_id: manifest.run_id.clone(),
            task_id: manifest.task_id.clone(),
            pipeline_id: manifest.pipeline_id.clone(),
            status: manifest.status,
            started_at: manifest.started_at,
            completed_at: manifest.completed_at,
            // From whole milliseconds: `as_secs_f64` would write 1.6320000000000001.
            duration_seconds: duration
                .and_then(|duration| u32::try_from(duration.as_millis()).ok())
                .map(|milliseconds| f64::from(milliseconds) / 1000.0),
            commands_passed: with(StageStatus::Succeeded),
            commands_failed: with(StageStatus::Failed),
            guardrails_present: Guardrails::of(manifest).present(),
            recorded_at: now,
            artifact_path: manifest.artifact_root.clone(),
            child_runs: manifest.child_runs.len(),
            control_plane_status: "unknown".to_owned(),
            scheduler_mode: Value::Null,
            instance_stats: Vec::new(),
            privacy_mode: Value::Null,
            privacy_events: Vec::new(),
            handle_count: 0,
        }
    }

    /// The line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether `text` (a metrics file or its tail) holds the line of this end of this run.
    #[must_use]
    pub fn stands_in(&self, text: &str) -> bool {
        let mut lines = text.lines().rev();
        lines.any(|line| {
            // Cheap first: a line is parsed only if it speaks of the run.
            line.contains(self.run_id.as_str())
                && serde_json::from_str::<Self>(line).is_ok_and(|found| {
                    (&found.run_id, found.completed_at) == (&self.run_id, self.completed_at)
                })
        })
    }
}

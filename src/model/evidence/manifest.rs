//! `manifest.json`: the 28 fields of the first generation and the 7 that the published orchestrator requires on top.
//!
//! Keys that we do not know are kept in `rest` and written back behind ours.

use crate::limits::{HEARTBEAT, HEARTBEAT_STALE};
use crate::model::id::{PipelineId, RunId, StageId, TaskId};
use crate::model::run::{RunStatus, StageStatus};
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the manifest that we read and write.
const VERSION: u64 = 1;

/// The record of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always 1.
    pub version: u64,
    /// The task that it lives under.
    pub task_id: TaskId,
    /// The task's slug in `tasks/index.json`, else its id.
    #[serde(default)]
    pub task_slug: Option<String>,
    /// The run; the name of its directory.
    pub run_id: RunId,
    /// The run that it is a child of.
    #[serde(default)]
    pub parent_run_id: Option<RunId>,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Its pipeline's title.
    pub pipeline_title: String,
    /// Always `codex-cli`.
    pub runner: String,
    /// The approval policy that the caller named.
    #[serde(default)]
    pub approval_policy: Option<String>,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it stands there.
    #[serde(default)]
    pub status_detail: Option<String>,
    /// When it was made; a resume does not change it.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// When this was written.
    pub updated_at: Timestamp,
    /// When its owner last said that it lives.
    #[serde(default)]
    pub heartbeat_at: Option<Timestamp>,
    /// How often it says so.
    #[serde(default = "heartbeat_seconds")]
    pub heartbeat_interval_seconds: u64,
    /// After how long silence its owner is taken for dead.
    #[serde(default = "stale_seconds")]
    pub heartbeat_stale_after_seconds: u64,
    /// Its directory.
    #[serde(default)]
    pub artifact_root: String,
    /// The directory of the pointer to it.
    #[serde(default)]
    pub compat_path: String,
    /// The log of all stages.
    #[serde(default)]
    pub log_path: String,
    /// What there is to say, a line each; the guardrails' line is the last.
    #[serde(default)]
    pub summary: Option<String>,
    /// Whether its line in `metrics.json` is written.
    #[serde(default)]
    pub metrics_recorded: bool,
    /// What a resume may be asked for.
    pub resume_token: String,
    /// Its resumes.
    #[serde(default)]
    pub resume_events: Vec<ResumeEvent>,
    /// Approvals, as they were written.
    #[serde(default)]
    pub approvals: Vec<Value>,
    /// One entry per stage, in order.
    pub commands: Vec<Command>,
    /// Its child runs.
    #[serde(default)]
    pub child_runs: Vec<ChildRun>,
    /// Its summary, once that is written.
    #[serde(default)]
    pub run_summary_path: Option<String>,
    /// The stage that a plan aimed at; ours aim at none.
    #[serde(default)]
    pub plan_target_id: Option<String>,
    /// Always `cli` with us.
    #[serde(default = "cli")]
    pub runtime_mode_requested: String,
    /// Always `cli` with us.
    #[serde(default = "cli")]
    pub runtime_mode: String,
    /// Always `CliRuntimeProvider` with us.
    #[serde(default = "cli_provider")]
    pub runtime_provider: String,
    /// Never anything with us.
    #[serde(default)]
    pub runtime_fallback: Value,
    /// Never anything with us.
    #[serde(default)]
    pub instructions_hash: Option<String>,
    /// Never anything with us.
    #[serde(default)]
    pub instructions_sources: Vec<Value>,
    /// Keys that we do not know.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One stage of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its place, from 1.
    pub index: u64,
    /// Its id.
    pub id: StageId,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// Its command line; none for a subpipeline.
    #[serde(default)]
    pub command: Option<String>,
    /// What it is.
    pub kind: StageKind,
    /// Where it stands.
    pub status: StageStatus,
    /// When it began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// Its exit code.
    #[serde(default)]
    pub exit_code: Option<i64>,
    /// One line on how it went.
    #[serde(default)]
    pub summary: Option<String>,
    /// Its log.
    #[serde(default)]
    pub log_path: Option<String>,
    /// What is known of its failure.
    #[serde(default)]
    pub error_file: Option<String>,
    /// Its child run.
    #[serde(default)]
    pub sub_run_id: Option<RunId>,
}

/// What a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageKind {
    /// A command.
    Command,
    /// Another pipeline.
    Subpipeline,
}

/// A child run of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildRun {
    /// The run.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Where it stands.
    pub status: RunStatus,
    /// Its manifest.
    pub manifest: String,
}

/// A resume of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeEvent {
    /// When.
    pub timestamp: Timestamp,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// `accepted` or `blocked`.
    pub outcome: String,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Why a file of evidence could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is empty, cut off or no JSON: it can be rebuilt.
    #[error("it is damaged")]
    Damaged(#[source] serde_json::Error),
    /// Somebody newer wrote it: it is left alone.
    #[error("it has version {found}: this program knows {known} and leaves it alone")]
    Newer {
        /// Its version.
        found: u64,
        /// The version that we know.
        known: u64,
    },
    /// It is whole, but says something that we do not understand: it is left alone.
    #[error("it is none that this program understands")]
    Foreign(#[source] serde_json::Error),
}

impl Manifest {
    /// Reads a manifest of any generation.
    ///
    /// # Errors
    /// When it is damaged, newer, or none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        // Most manifests are sound; only what does not fit the type is looked at twice.
        match serde_json::from_slice::<Self>(bytes) {
            Ok(manifest) if manifest.version > VERSION => Err(Unreadable::Newer {
                found: manifest.version,
                known: VERSION,
            }),
            Ok(manifest) => Ok(manifest),
            Err(error) => Err(diagnose(bytes, error, "version", VERSION)),
        }
    }
}

/// Tells why `bytes` do not fit a type whose version stands under `key`.
pub(super) fn diagnose(
    bytes: &[u8],
    error: serde_json::Error,
    key: &str,
    known: u64,
) -> Unreadable {
    let value = match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => value,
        Err(damage) => return Unreadable::Damaged(damage),
    };
    match value.get(key).and_then(Value::as_u64) {
        Some(found) if found > known => Unreadable::Newer { found, known },
        Some(_) | None => Unreadable::Foreign(error),
    }
}

fn heartbeat_seconds() -> u64 {
    HEARTBEAT.as_secs()
}

fn stale_seconds() -> u64 {
    HEARTBEAT_STALE.as_secs()
}

fn cli() -> String {
    "cli".to_owned()
}

fn cli_provider() -> String {
    "CliRuntimeProvider".to_owned()
}

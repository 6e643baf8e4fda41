//! What `status` says, and with it the first event of every subscription.
//!
//! A verdict that is not `fresh` is about earlier content; nothing here says green of what was not looked at.

use crate::model::digest::InputDigest;
use crate::model::id::{PipelineId, RunId, Seq, StageId, TaskId};
use crate::model::path::{RelPath, RootPath};
use crate::model::run::{Cause, RunStatus, Verdict};
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The daemon and everything that it watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon itself.
    pub daemon: DaemonStatus,
    /// The workspaces, by root.
    pub workspaces: Vec<WorkspaceStatus>,
}

/// The daemon itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Its name, new at each start.
    pub instance_id: String,
    /// How long it has been up.
    pub uptime_ms: u64,
    /// The number of the latest visible change.
    pub seq: Seq,
    /// Memory that it holds.
    pub rss_bytes: u64,
    /// Kernel watches that it holds.
    pub watches: u64,
}

/// How a workspace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceState {
    /// Changes are seen by events.
    Watching,
    /// The view is being rebuilt; verdicts are unknown meanwhile.
    Rescanning,
    /// Changes are seen by scanning, at intervals.
    Polling,
    /// The root is not there, or not readable.
    Missing,
    /// Its commands are not allowed.
    Untrusted,
    /// Its configuration is wrong; the last good one stands.
    Invalid,
}

/// One workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceStatus {
    /// Its root.
    pub root: RootPath,
    /// How it stands.
    pub state: WorkspaceState,
    /// Why it stands so, and what to do about it.
    pub detail: Option<String>,
    /// Changes since the daemon began that no event told, and that a self-audit has found.
    #[serde(default)]
    pub missed: u64,
    /// Its projects, in declared order.
    pub projects: Vec<ProjectStatus>,
}

/// What a project is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing.
    Idle,
    /// It waits for quiet after a change.
    Settling,
    /// It waits for its turn.
    Queued,
    /// A run is under way.
    Running,
}

/// One project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectStatus {
    /// Its task id.
    pub task_id: TaskId,
    /// Its directory, relative to the workspace; `.` for the root.
    pub path: RelPath,
    /// The pipeline that a change runs.
    pub pipeline: PipelineId,
    /// What is known of its present content.
    pub verdict: Verdict,
    /// Whether it counts as green; told only where the verdict leaves it open, which is when it is flaky.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<bool>,
    /// Whether the verdict is about the present content.
    pub fresh: bool,
    /// What it is doing.
    pub phase: Phase,
    /// The content that the verdict is about.
    pub input_digest: Option<InputDigest>,
    /// The run that is under way.
    pub running: Option<RunningRun>,
    /// Runs that were asked for by name and have not begun, in the order in which they will.
    #[serde(default)]
    pub queued: Vec<QueuedRun>,
    /// The run that the verdict is from, which need not be the newest; none where nothing is known.
    #[serde(default)]
    pub proof: Option<ProvenBy>,
    /// The newest run that has ended.
    pub last_run: Option<LastRun>,
    /// What failed first in it.
    pub failure: Option<Failure>,
}

/// Where a verdict is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenBy {
    /// The run.
    pub run_id: RunId,
    /// Its manifest, relative to the workspace.
    pub manifest: String,
}

/// A run that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningRun {
    /// Its id.
    pub run_id: RunId,
    /// The stage that runs.
    pub stage: Option<StageId>,
    /// When the run began.
    pub started_at: Timestamp,
    /// Which stage of it waits for what another process holds, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}

/// A run that waits for its turn: nothing of it is on disk yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedRun {
    /// The id under which it will begin.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Why it is wanted.
    pub cause: Cause,
    /// When it was asked for.
    pub asked_at: Timestamp,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// Its id.
    pub run_id: RunId,
    /// How it ended.
    pub status: RunStatus,
    /// Why it ended so.
    pub status_detail: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Its manifest, relative to the workspace.
    pub manifest: String,
    /// Why it was started.
    pub cause: Option<Cause>,
}

/// The first stage of a run that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stage.
    pub stage: StageId,
    /// The name of its log, which means this stage and no other; told only where other stages have its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its exit code; none when it could not be started, or its daemon died before its end.
    pub exit_code: Option<i32>,
    /// The line that says most of what went wrong, or the last ones.
    pub excerpt: String,
    /// Its log, relative to the workspace.
    pub log_path: Option<String>,
    /// The child run that failed, whose log and exit code these are; told only of a stage that is a pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
}

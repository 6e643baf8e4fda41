//! What subscribers hear: a snapshot first, then every visible change under a gapless number.
//!
//! An event names things by the ids that every answer uses, so that an editor can act on it without asking back. A run
//! is told once whoever looks finds its files whole, and its end once they survive a power cut.

use crate::model::digest::InputDigest;
use crate::model::id::{PipelineId, RunId, Seq, StageId, TaskId};
use crate::model::path::RootPath;
use crate::model::report::runs::ChangedPaths;
use crate::model::report::status::{Failure, Status, WorkspaceState};
use crate::model::run::{Cause, Outcome, RunStatus, StageStatus, Unproven, Verdict};
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Something visible that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number: the one before it plus one; that of a snapshot is the latest change that it shows.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Happening {
    /// Everything as it stands at `seq`; the next event has the number after it.
    #[serde(rename = "snapshot")]
    Snapshot {
        /// What `status` says.
        status: Box<Status>,
    },
    /// The reader was too slow: events up to `seq` are lost to it, and a snapshot follows.
    #[serde(rename = "resync")]
    Resync,
    /// Content changed.
    #[serde(rename = "change")]
    Change(ChangeSeen),
    /// Nothing changed for the settle time; a run follows where the content is not proven.
    #[serde(rename = "settled")]
    Settled(ChangeSeen),
    /// A run waits for its turn.
    #[serde(rename = "run.queued")]
    RunQueued(RunWanted),
    /// A run that waited for its turn under an id never begins.
    #[serde(rename = "run.dropped")]
    RunDropped(RunDropped),
    /// A run's directory and its first files are there, the files synced, and its first stage begins.
    #[serde(rename = "run.started")]
    RunStarted(RunNamed),
    /// A stage begins.
    #[serde(rename = "stage.started")]
    StageStarted(StageBegun),
    /// A stage has ended.
    #[serde(rename = "stage.ended")]
    StageEnded(StageDone),
    /// A run has ended, and its evidence survives a power cut.
    #[serde(rename = "run.ended")]
    RunEnded(RunDone),
    /// What is known of a project's present content is another thing than before.
    #[serde(rename = "verdict")]
    Verdict(VerdictTold),
    /// A workspace came, went, or stands otherwise than before.
    #[serde(rename = "workspace")]
    Workspace(WorkspaceTold),
    /// A workspace's configuration was read again.
    #[serde(rename = "config")]
    Config(ConfigTold),
}

/// Content of a project that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSeen {
    /// The workspace's root.
    pub workspace: RootPath,
    /// The project.
    pub task_id: TaskId,
    /// How many paths, and the first of them.
    #[serde(flatten)]
    pub changed: ChangedPaths,
}

/// A run that waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunWanted {
    /// The workspace's root.
    pub workspace: RootPath,
    /// The project.
    pub task_id: TaskId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Why it is wanted.
    pub cause: Cause,
    /// The run; none for one that gets its id only when it begins, because nobody asked for it by name.
    pub run_id: Option<RunId>,
}

/// A run that never begins, and leaves nothing on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDropped {
    /// The workspace's root.
    pub workspace: RootPath,
    /// The project.
    pub task_id: TaskId,
    /// The run.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// What became of it.
    pub reason: DropReason,
    /// Why it was refused.
    pub detail: Option<String>,
}

/// What became of a run that never begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DropReason {
    /// Somebody ended it.
    Cancelled,
    /// Everybody who asked for it has gone.
    Withdrawn,
    /// It may not run any more.
    Refused,
}

/// A run that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunNamed {
    /// The workspace's root.
    pub workspace: RootPath,
    /// The project.
    pub task_id: TaskId,
    /// The run.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The run that it is a child of.
    pub parent_run_id: Option<RunId>,
    /// Why it was made.
    pub cause: Cause,
    /// The content that it is about.
    pub input_digest: Option<InputDigest>,
    /// Its manifest, relative to the workspace.
    pub manifest: String,
    /// Its stages, in declared order.
    pub stages: Vec<StageId>,
    /// How many paths changed since the project's run before it, and the first of them.
    #[serde(flatten)]
    pub changed: ChangedPaths,
}

/// A stage that begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageBegun {
    /// The workspace's root.
    pub workspace: RootPath,
    /// The project.
    pub task_id: TaskId,
    /// The run.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The stage.
    pub stage: StageId,
    /// Its place in the run's stages, from 1: stages of another tool's configuration may share an id.
    #[serde(default)]
    pub index: usize,
    /// Which try this is, from 1.
    pub attempt: u32,
}

/// A stage that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageDone {
    /// The workspace's root.
    pub workspace: RootPath,
    /// The project.
    pub task_id: TaskId,
    /// The run.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The stage.
    pub stage: StageId,
    /// Its place in the run's stages, from 1: stages of another tool's configuration may share an id.
    #[serde(default)]
    pub index: usize,
    /// How it ended.
    pub status: StageStatus,
    /// How it ended, beyond its status.
    pub outcome: Outcome,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// One line on how it went.
    pub summary: Option<String>,
    /// How long its command ran.
    pub duration_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// The run whose proof was taken instead of running it.
    pub reused_from: Option<RunId>,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDone {
    /// The workspace's root.
    pub workspace: RootPath,
    /// The project.
    pub task_id: TaskId,
    /// The run.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The run that it is a child of.
    pub parent_run_id: Option<RunId>,
    /// How it ended.
    pub status: RunStatus,
    /// Why it ended so.
    pub status_detail: Option<String>,
    /// What it proves.
    pub verdict: Verdict,
    /// Whether it counts as green; told only where the verdict leaves it open, which is when it is flaky.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<bool>,
    /// The content that it was started on.
    pub input_digest: Option<InputDigest>,
    /// Whether that content changed meanwhile, so that it proves nothing of what is there now.
    pub void: bool,
    /// How long it took.
    pub duration_ms: u64,
    /// Its manifest, relative to the workspace.
    pub manifest: String,
    /// What failed first.
    pub failure: Option<Failure>,
    /// Why it says nothing of what is there now, where it came to its end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<Unproven>,
}

/// What is known of a project's present content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictTold {
    /// The workspace's root.
    pub workspace: RootPath,
    /// The project.
    pub task_id: TaskId,
    /// What is known.
    pub verdict: Verdict,
    /// Whether it is about the present content.
    pub fresh: bool,
    /// The content that it is about.
    pub input_digest: Option<InputDigest>,
    /// The run that proved it.
    pub run_id: Option<RunId>,
    /// That run's manifest, relative to the workspace.
    pub manifest: Option<String>,
    /// What failed first.
    pub failure: Option<Failure>,
}

/// How a workspace stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceTold {
    /// Its root.
    pub workspace: RootPath,
    /// How it stands; none once it is removed.
    pub state: Option<WorkspaceState>,
    /// Why it stands so, and what to do about it.
    pub detail: Option<String>,
}

/// What came of reading a workspace's configuration again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigTold {
    /// The workspace's root.
    pub workspace: RootPath,
    /// Whether it is valid; if not, the last good one stands.
    pub ok: bool,
    /// What is wrong with it, with file, line and column.
    pub detail: Option<String>,
    /// The task ids of its projects, in declared order.
    pub tasks: Vec<TaskId>,
}

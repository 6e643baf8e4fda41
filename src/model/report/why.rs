//! The answer to `why`: for each stage of a project's own pipeline, by what it is proven, or why it is not.
//!
//! What is said of a stage is about its present key: the content that it reads, its definition, its toolchain, and what
//! the stages that it waits for have left.

use crate::model::id::{PipelineId, RunId, StageId, TaskId};
use crate::model::path::RootPath;
use crate::model::report::runs::ChangedPaths;
use crate::model::run::Verdict;
use serde::{Deserialize, Serialize};

/// The answer to `why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyAnswer {
    /// One entry per project that was asked for, by workspace.
    pub projects: Vec<WhyProject>,
}

/// Why a project's verdict is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyProject {
    /// The project.
    pub task_id: TaskId,
    /// Its workspace's root.
    pub workspace: RootPath,
    /// Its own pipeline; none while its configuration is not known.
    pub pipeline_id: Option<PipelineId>,
    /// The verdict of its present content.
    pub verdict: Verdict,
    /// The run that told it.
    pub run_id: Option<RunId>,
    /// Why nothing is known of it, or nothing may run; told only where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The stages of its own pipeline in declared order, those of a subpipeline where it is called.
    pub stages: Vec<WhyStage>,
}

/// Whether a stage is proven, and why it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyStage {
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The stage.
    pub stage: StageId,
    /// How it stands.
    pub state: StageProven,
    /// The run that executed it and proves it; of one that has failed or is flaky, the newest that says so; of any other
    /// the one of its last proof.
    pub run_id: Option<RunId>,
    /// What is different from its last proof; empty where it is proven, or has failed on this very key.
    pub why: Vec<Because>,
    /// The paths that it reads and that have changed since its last proof; told only where its inputs are different. Where
    /// everything may have changed, as after a restart, those that have by their times, the first of them.
    pub changed: Option<ChangedPaths>,
    /// Whether a failure of it does not fail its run.
    pub may_fail: bool,
    /// The run under way that has it, where it is not proven.
    pub running: Option<RunId>,
    /// The paths that it reads and that changed while that run is under way, so that it proves nothing of the stage.
    pub void: Option<ChangedPaths>,
}

/// How a stage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageProven {
    /// It has passed on its present key.
    Proven,
    /// Nothing is known of its present key.
    Unproven,
    /// It has failed on its present key.
    Failed,
    /// It has passed on its present key, and failed on it, too.
    Flaky,
}

/// A part of a stage's key that is not what it was at its last proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Because {
    /// It has no proof that is known.
    Never,
    /// The content that it reads.
    Inputs,
    /// Its command, cwd, env, `allow_failure` or `needs`.
    Definition,
    /// What its `toolchain` prints.
    Toolchain,
    /// What the stages that it waits for have left of their `outputs`.
    Outputs,
    /// A stage that it waits for and that declares `outputs` is not proven: what it will leave is not known.
    Waits,
}

//! What `plan` says: the published orchestrator's `plan --format json`, key by key in its order.
//!
//! Its camel case is the original's; so is naming the same thing twice (`requires_cloud`, `requiresCloud`). Its memory
//! references are its own business and are left out.

use crate::model::config::PipelineSource;
use crate::model::id::{PipelineId, StageId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a run of a pipeline would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanAnswer {
    /// The pipeline.
    pub pipeline: PlannedPipeline,
    /// Its stages, in declared order.
    pub stages: Vec<PlannedStage>,
    /// The same as units of work.
    pub plan: Plan,
    /// The unit that is worked on: the first one.
    #[serde(rename = "targetId")]
    pub target_id: Option<String>,
}

/// The pipeline of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPipeline {
    /// Its id.
    pub id: PipelineId,
    /// Its title.
    pub title: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who wrote it.
    pub source: PipelineSource,
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PlannedStage {
    /// It runs a command.
    Command(PlannedCommand),
    /// It runs a pipeline as a child run.
    Subpipeline(PlannedSubpipeline),
}

/// A stage that runs a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedCommand {
    /// Its place, from 1.
    pub index: usize,
    /// Its id.
    pub id: StageId,
    /// Its title.
    pub title: String,
    /// Always `command`.
    pub kind: StageKind,
    /// The command as one line.
    pub command: String,
    /// Where it runs, as the configuration says it.
    pub cwd: Option<String>,
    /// The environment that the configuration declares for it.
    pub env: Option<Map<String, Value>>,
    /// Whether a failure stops the run.
    pub allow_failure: bool,
    /// The summary of a success.
    pub summary_hint: Option<String>,
}

/// A stage that runs a pipeline as a child run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSubpipeline {
    /// Its place, from 1.
    pub index: usize,
    /// Its id.
    pub id: StageId,
    /// Its title.
    pub title: String,
    /// Always `subpipeline`.
    pub kind: StageKind,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Whether a failed child is skipped.
    pub optional: bool,
}

/// What a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageKind {
    /// A command.
    Command,
    /// A child run.
    Subpipeline,
}

/// The stages as units of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One per stage.
    pub items: Vec<PlanItem>,
    /// The pipeline's description; absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The unit that is worked on.
    #[serde(rename = "targetId")]
    pub target_id: Option<String>,
}

/// A stage as a unit of work.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the published orchestrator's file has them"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanItem {
    /// `<pipeline>:<stage>`.
    pub id: String,
    /// The stage's title.
    pub description: String,
    /// Always false: everything runs here.
    pub requires_cloud: bool,
    /// The same in the newer spelling.
    #[serde(rename = "requiresCloud")]
    pub requires_cloud_too: bool,
    /// Whether it may be picked.
    pub runnable: bool,
    /// Where it comes from.
    pub metadata: PlanItemOrigin,
    /// Whether it is the unit that is worked on.
    pub selected: bool,
}

/// Where a unit of work comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanItemOrigin {
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Its stage.
    pub stage_id: StageId,
    /// What the stage is.
    pub stage_kind: StageKind,
    /// Its place, from 0.
    pub index: usize,
    /// Other names of it; absent when it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Whether it is preferred; absent when it is not.
    #[serde(default, skip_serializing_if = "is_not")]
    pub default_target: bool,
    /// Always false.
    pub requires_cloud: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_not(flag: &bool) -> bool {
    !flag
}

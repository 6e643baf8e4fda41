//! What the daemon tells: the answers that `--json` prints and the socket carries, field by field in their order.
//!
//! These types are projections, made to be read by people's scripts: a field that is once told keeps its name and its
//! meaning. The engine makes them and the client reads them; nothing decides by them. Paths below a workspace are text
//! relative to its root, as the evidence has them; `null` means that there is nothing to say.

pub mod event;
pub mod plan;
pub mod runs;
pub mod status;
pub mod why;

use crate::model::digest::{CommandSet, InputDigest};
use crate::model::evidence::Approval;
use crate::model::id::{PipelineId, RunId, Seq, StageId, TaskId};
use crate::model::judged::Judged;
use crate::model::path::RootPath;
use crate::model::report::status::WorkspaceState;
use crate::model::run::Verdict;
use serde::{Deserialize, Serialize};

/// The answer to `ping`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingAnswer {
    /// The daemon's process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Its name, new at each start.
    pub instance_id: String,
    /// How long it has been up.
    pub uptime_ms: u64,
    /// The number of the latest visible change.
    pub seq: Seq,
}

/// The answer to `gate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateAnswer {
    /// The worst verdict of all projects that were asked for.
    pub verdict: Verdict,
    /// Whether it counts as green; told only where the verdict leaves it open, which is when it is flaky.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<bool>,
    /// Why nothing is known, of whatever project; `orchctl` adds it, and a daemon says it of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// One entry per project.
    pub projects: Vec<GateProject>,
}

/// The answer to `wait`; the same shape as that of `gate`.
pub type WaitAnswer = GateAnswer;

/// What is known of one project's present content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateProject {
    /// The project.
    pub task_id: TaskId,
    /// Its workspace; told only where more than one is spoken of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<RootPath>,
    /// Its verdict.
    pub verdict: Verdict,
    /// The content that the verdict is about.
    pub input_digest: Option<InputDigest>,
    /// The run that proved it.
    pub run_id: Option<RunId>,
    /// That run's manifest, relative to the workspace.
    pub manifest: Option<String>,
    /// Whether it was proven before the question was asked.
    pub reused: bool,
    /// Whether it counts as green; told only where the verdict leaves it open, which is when it is flaky.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<bool>,
    /// Why nothing is known; told only where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The approvals by which it passes; told only where it is red without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<Approval>,
    /// What was judged, as `commit` or `index`; `orchctl` adds it where that is not what lies in the workspace.
    #[serde(flatten)]
    pub judged: Option<Judged>,
}

impl GateAnswer {
    /// What these projects say together: the worst verdict; nothing is known of none.
    #[must_use]
    pub fn of(projects: Vec<GateProject>) -> Self {
        let verdicts = projects.iter().map(|project| project.verdict);
        let verdict = verdicts.min_by_key(|verdict| verdict.goodness());
        let verdict = verdict.unwrap_or(Verdict::Unknown);
        let green = projects.iter().all(|project| project.green != Some(false));
        Self {
            verdict,
            green: (verdict == Verdict::Flaky).then_some(green),
            detail: None,
            projects,
        }
    }

    /// What both say together: the worse verdict, all reasons, and all projects.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let green = self.green != Some(false) && other.green != Some(false);
        self.verdict = match other.verdict.goodness() < self.verdict.goodness() {
            true => other.verdict,
            false => self.verdict,
        };
        self.green = (self.verdict == Verdict::Flaky).then_some(green);
        let details = [self.detail.take(), other.detail];
        self.detail = details
            .into_iter()
            .flatten()
            .reduce(|one, two| format!("{one}; {two}"));
        self.projects.extend(other.projects);
        self
    }
}

/// The answer to `sync`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncAnswer {
    /// Whether every workspace has seen every change that was made before the question.
    pub synced: bool,
    /// The number of the latest visible change.
    pub seq: Seq,
    /// One entry per workspace that was asked for.
    pub workspaces: Vec<SyncedWorkspace>,
}

/// How far one workspace has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedWorkspace {
    /// Its root.
    pub root: RootPath,
    /// Whether it has seen every change that was made before the question.
    pub synced: bool,
    /// Why not.
    pub detail: Option<String>,
}

/// The answer to `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainAnswer {
    /// The path, relative to the workspace.
    pub path: String,
    /// The workspace.
    pub workspace: RootPath,
    /// The project that the path belongs to.
    pub owner: Option<TaskId>,
    /// What a change of it triggers; empty when nothing reads it.
    pub projects: Vec<ExplainedProject>,
    /// The rule that ignores it.
    pub ignored: Option<ExplainedRule>,
    /// The rule that names it although it is not ignored, because git tracks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracked: Option<ExplainedRule>,
    /// The rule that names it although it is content of the stages that declare it as an input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<ExplainedRule>,
}

/// What a change triggers in one project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedProject {
    /// The project.
    pub task_id: TaskId,
    /// The stages that read the path.
    pub stages: Vec<ExplainedStage>,
}

/// A stage that reads a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedStage {
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The stage.
    pub stage: StageId,
}

/// A rule that ignores a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedRule {
    /// The rule as it is written.
    pub rule: String,
    /// The file that it stands in, or what made it.
    pub source: String,
    /// Its line there.
    pub line: Option<u64>,
}

/// The answer to `workspace.list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceList {
    /// The registered workspaces, by root.
    pub workspaces: Vec<WorkspaceEntry>,
}

/// A registered workspace; also the answer to `workspace.add`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceEntry {
    /// Its root.
    pub root: RootPath,
    /// How it stands.
    pub state: WorkspaceState,
    /// Why it stands so, and what to do about it.
    pub detail: Option<String>,
    /// The task ids of its projects, in declared order; empty while its configuration is invalid.
    pub tasks: Vec<TaskId>,
}

/// The answer to `workspace.remove` and `workspace.deny`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceChange {
    /// The root.
    pub root: RootPath,
    /// Whether anything was there to be changed.
    pub changed: bool,
}

/// The answer to `workspace.allow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowAnswer {
    /// The root.
    pub root: RootPath,
    /// The identity of the command set.
    pub digest: CommandSet,
    /// Whether it is allowed now: false for a question with `dry_run`.
    pub allowed: bool,
    /// Every command of the set, in declared order.
    pub commands: Vec<AllowedCommand>,
}

/// A command of an allowed set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedCommand {
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Its stage.
    pub stage: StageId,
    /// The command as one line.
    pub command: String,
    /// How it runs beside its line: without a shell, elsewhere, with which variables.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Whether the set that was allowed before has it unchanged.
    pub known: bool,
    /// What is different from what was allowed of the stage before; nothing where it is known or new.
    #[serde(default)]
    pub changes: Vec<String>,
}

/// The answer to `doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorAnswer {
    /// What was looked at.
    pub checks: Vec<DoctorCheck>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorCheck {
    /// What, such as `socket` or `watch-limit`.
    pub id: String,
    /// How it is.
    pub state: Health,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// How a thing is that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could.
    Warn,
    /// It does not work.
    Fail,
}

/// The answer to `reload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadAnswer {
    /// One entry per workspace.
    pub workspaces: Vec<ReloadedWorkspace>,
}

/// What a reload did to one workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadedWorkspace {
    /// Its root.
    pub root: RootPath,
    /// Whether its files are valid; if not, the last good configuration stands.
    pub ok: bool,
    /// What is wrong with them.
    pub detail: Option<String>,
}

/// The answer to `shutdown`, told before the daemon ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownAnswer {
    /// The process that ends.
    pub pid: u32,
    /// Runs that are being ended first.
    pub runs: Vec<RunId>,
}

/// The answer to `events.subscribe` and `events.unsubscribe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeAnswer {
    /// Whether events follow.
    pub subscribed: bool,
    /// The number of the latest visible change.
    pub seq: Seq,
}

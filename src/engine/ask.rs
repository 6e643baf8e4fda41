//! What somebody may ask of the engine, and what it answers.
//!
//! A question that the engine refuses is data, not an error: [`Denied`] says why, and what it names.

use crate::engine::ProjectId;
use crate::model::digest::{InputDigest, StageKey};
use crate::model::id::{PipelineId, RunId, StageId, TaskId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::run::{Cause, ChildReport, Outcome, RunReport, StageStatus, Verdict};
use crate::model::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// A question.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Every change made before this question has been seen.
    Sync {
        /// Where; nothing: everywhere.
        workspace: Option<WorkspaceId>,
    },
    /// The verdict for the present content.
    Verdict {
        /// Which projects.
        scope: Scope,
        /// What to do where nothing is proven.
        patience: Patience,
    },
    /// A run now.
    Run(RunAsk),
    /// An earlier run is to be taken up again.
    Resume(Box<ResumeAsk>),
    /// A run is to end.
    Cancel {
        /// The run.
        run: RunId,
    },
}

/// Which projects a question is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Where; nothing: everywhere.
    pub workspace: Option<WorkspaceId>,
    /// Which tasks; nothing: all.
    pub tasks: Vec<TaskId>,
}

/// What to do where nothing is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Answer `unknown`.
    Answer,
    /// Run what is missing, and wait for it.
    Run,
    /// The same, and have what was red before the question run once more before that is told: what has failed may pass.
    Doubt,
}

impl Patience {
    /// Whether something is run for the answer where nothing is proven.
    #[must_use]
    pub fn runs(self) -> bool {
        match self {
            Self::Answer => false,
            Self::Run | Self::Doubt => true,
        }
    }
}

/// What a run is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAsk {
    /// The project.
    pub project: ProjectId,
    /// The pipeline; nothing: the project's.
    pub pipeline: Option<PipelineId>,
    /// The run that the caller names as its parent.
    pub parent: Option<RunId>,
    /// The approval policy that the caller names.
    pub approval_policy: Option<String>,
    /// Whether it has to be a run of its own that executes every stage, whatever is proven or under way.
    pub force: bool,
    /// When to answer.
    pub until: Until,
    /// For how long it is wanted while it has not begun.
    pub wanted: Wanted,
}

/// For how long a run that waits for its turn is wanted; one that has begun is never ended by who leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// As long as somebody who asked for it is there.
    Attended,
    /// Until it has run.
    Detached,
}

/// When a question about a run is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Once it has an id that may be told: it is queued behind another one, or its first evidence is on disk.
    Named,
    /// Once its final evidence is on disk.
    Ended,
}

/// What is known of a run that is to be taken up again.
#[derive(Clone, Debug)]
pub struct ResumeAsk {
    /// The project.
    pub project: ProjectId,
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// Its parent.
    pub parent: Option<RunId>,
    /// Its approval policy.
    pub approval_policy: Option<String>,
    /// When it was made.
    pub started_at: Timestamp,
    /// Its stages as the evidence has them, in order.
    pub stages: Vec<KeptStage>,
    /// Its child runs.
    pub children: Vec<ChildReport>,
    /// Who asks.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When to answer.
    pub until: Until,
}

/// A stage of a run that is taken up again, as the evidence has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptStage {
    /// Its id.
    pub id: StageId,
    /// Its child run.
    pub child: Option<RunId>,
    /// Where it stands.
    pub status: StageStatus,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// One line on how it went.
    pub summary: Option<String>,
    /// How it ended, beyond its status.
    pub outcome: Outcome,
    /// What its result depends on as far as a look tells it, if that is known.
    pub content_key: Option<StageKey>,
    /// The same with what other stages have left.
    pub key: Option<StageKey>,
    /// The keys on which the stages below it have passed, of one that is a pipeline.
    pub below: BTreeSet<StageKey>,
    /// The content that it read, if that is known.
    pub input: Option<InputDigest>,
    /// The run whose proof was taken instead of running it.
    pub reused_from: Option<RunId>,
    /// Attempts.
    pub attempts: u32,
    /// From first spawn to last exit.
    pub duration: Duration,
    /// Bytes that it wrote.
    pub log_bytes: u64,
    /// Whether its log lacks some of them.
    pub truncated: bool,
}

/// How hard a stage is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// TERM to its process group.
    Term,
    /// KILL to its process group.
    Kill,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Every change made before the question has been seen.
    Synced,
    /// The verdicts.
    Verdicts(Vec<Answer>),
    /// The run is queued, has begun or ended.
    Run(Box<RunReport>),
    /// The run was ended.
    Cancelled(Box<RunReport>),
    /// The question is refused.
    Denied(Denied),
}

/// What is known of one project's present content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The project.
    pub project: ProjectId,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether it counts as green.
    pub green: bool,
    /// The content.
    pub input: Option<InputDigest>,
    /// The run that proves it.
    pub run: Option<RunId>,
    /// Whether it was proven before the question.
    pub reused: bool,
    /// Why nothing is known.
    pub detail: Option<String>,
}

/// What is said of content of which nothing is proven, to who wants nothing run for it.
pub const NOTHING_PROVEN: &str = "nothing is proven of the present content";

/// What is said of a question whose time is over before anything is known.
pub const NOT_IN_TIME: &str = "there was no answer in time";

/// Why a question is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No such workspace.
    UnknownWorkspace,
    /// No project has this task id.
    UnknownProject(TaskId),
    /// Several workspaces have a project with this task id.
    AmbiguousProject(TaskId, Vec<RootPath>),
    /// The configuration has no such pipeline.
    UnknownPipeline(PipelineId, Vec<PipelineId>),
    /// No such run is active or queued.
    UnknownRun(RunId),
    /// The commands were not allowed.
    Untrusted(String),
    /// The configuration is refused.
    Misconfigured(String),
    /// The project has an active run.
    Busy(RunId),
    /// Too many runs of the project wait for their turn.
    QueueFull,
    /// Changes could not be followed up in time.
    Unsynced(String),
    /// The workspace is not there, or its view is being rebuilt.
    Unavailable(String),
    /// Not in time.
    TooLate,
    /// The daemon ends.
    ShuttingDown,
}

/// Why a run is wanted, and what it is to be recorded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The cause to record.
    pub cause: Cause,
    /// The run that the caller names as its parent.
    pub parent: Option<RunId>,
    /// The approval policy that the caller names.
    pub approval_policy: Option<String>,
    /// It executes every stage, whatever is proven.
    pub force: bool,
}

impl Origin {
    /// Whether a run of this is what somebody who names the other has asked for.
    #[must_use]
    pub fn serves(&self, other: &Self) -> bool {
        self.parent == other.parent
            && self.approval_policy == other.approval_policy
            && (self.force || !other.force)
    }
}

impl From<Cause> for Origin {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            parent: None,
            approval_policy: None,
            force: false,
        }
    }
}

//! A run and what is known of it: cause, status, stages, outcome, verdict.
//!
//! [`RunReport`] is the whole truth of one run at one moment, as the engine knows it; evidence, events and answers are
//! projections of it.

use crate::model::config::{CommandLine, Flaky};
use crate::model::digest::{InputDigest, OutputsDigest, StageKey, ToolsDigest};
use crate::model::id::{PipelineId, RunId, StageId, TaskId, WorkspaceId};
use crate::model::path::RelPath;
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Why a run ended that somebody ended, in the published orchestrator's word.
pub const BY_HAND: &str = "run-canceled";

/// How the detail of a run begins whose evidence could not be put on disk; what kept it from there follows.
pub const UNRECORDED: &str = "unrecorded: ";

/// Why a run was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Content without a verdict was found: after `allow`, at a daemon's start, after a new configuration.
    Start,
    /// Content changed.
    Change,
    /// Somebody asked for it.
    Manual,
    /// An earlier run was taken up again.
    Resume,
    /// A stage of another run is this pipeline.
    Parent,
    /// A gate or a wait needed its verdict, and nothing would have run by itself.
    Gate,
}

/// Where a run stands; the published orchestrator's five words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Its directory exists.
    Queued,
    /// Its stages run.
    InProgress,
    /// Terminal: every stage succeeded or was allowed not to.
    Succeeded,
    /// Terminal: a stage failed or could not be run.
    Failed,
    /// Terminal: it was ended from outside.
    Cancelled,
}

impl RunStatus {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Where a stage stands; the published orchestrator's five words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageStatus {
    /// It has not begun.
    Pending,
    /// Its command or child run is under way.
    Running,
    /// It exited 0, or its child run succeeded.
    Succeeded,
    /// It did not succeed.
    Failed,
    /// It did not succeed and was allowed not to.
    Skipped,
}

/// What is known of a project's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every stage succeeded on it.
    Pass,
    /// A stage failed on it.
    Fail,
    /// Every stage succeeded on it, and one of them has failed on it, too.
    Flaky,
    /// A stage keeps rewriting its own inputs.
    Unstable,
    /// A stage could not be run, or the run could not be recorded.
    Error,
    /// Nothing is proven.
    Unknown,
}

/// Why a run that came to its end by itself says nothing of what is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unproven {
    /// Content changed while it ran.
    Changed,
    /// Content may have changed while it ran: nobody could look.
    MayHaveChanged,
    /// A run that is a stage of it was cancelled.
    ChildCancelled,
    /// A stage was kept from before a resume, and had run on other content.
    Kept,
}

impl Unproven {
    /// Why a run says nothing that ended so, for this cause: `void` is whether content changed meanwhile, in one of
    /// the two words for it.
    #[must_use]
    pub fn of(
        (status, verdict, cause): (RunStatus, Verdict, Cause),
        void: Option<Self>,
        mut stages: impl Iterator<Item = (StageStatus, Outcome)>,
    ) -> Option<Self> {
        let ended = matches!(status, RunStatus::Succeeded | RunStatus::Failed);
        if !ended || verdict.of_present(void.is_some()) != Verdict::Unknown {
            return None;
        }
        let kept = || (cause == Cause::Resume).then_some(Self::Kept);
        let cancelled = stages.any(|stage| stage == (StageStatus::Failed, Outcome::Cancelled));
        void.or(cancelled.then_some(Self::ChildCancelled))
            .or_else(kept)
    }
}

impl Verdict {
    /// What the verdict of a run says of what is there now: nothing where content changed while it ran (`void`), except
    /// that it will never rest.
    #[must_use]
    pub fn of_present(self, void: bool) -> Self {
        if void && self != Self::Unstable {
            Self::Unknown
        } else {
            self
        }
    }

    /// How good it is, from the worst up: what is said of several is the worst of them.
    #[must_use]
    pub fn goodness(self) -> u8 {
        match self {
            Self::Fail => 0,
            Self::Unstable => 1,
            Self::Error => 2,
            Self::Unknown => 3,
            Self::Flaky => 4,
            Self::Pass => 5,
        }
    }

    /// Whether it counts as green where it leaves that open, which is when it is flaky.
    #[must_use]
    pub fn green(self, flaky: Flaky) -> Option<bool> {
        (self == Self::Flaky).then(|| self.is_green(flaky))
    }

    /// Whether it counts as green.
    #[must_use]
    pub fn is_green(self, flaky: Flaky) -> bool {
        matches!(self, Self::Pass) || (matches!(self, Self::Flaky) && flaky == Flaky::Pass)
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited by itself.
    Code(i32),
    /// A signal ended it (its number on this platform).
    Signal(i32),
    /// It could not be started; why, as the system says it.
    Unspawnable(String),
}

impl Exit {
    /// The exit code that the manifest records: `128 + n` for signal `n`, none for a command that never started.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Signal(signal) => Some(128_i32.saturating_add(*signal)),
            Self::Unspawnable(_) => None,
        }
    }
}

/// What the runner tells of an attempt that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub exit: Exit,
    /// From spawn to exit, on the monotonic clock.
    pub duration: Duration,
    /// The beginning of its standard output, as text, at most `STAGE_EXCERPT_BYTES_MAX`.
    pub stdout: String,
    /// The end of its standard error, as text, at most `STAGE_EXCERPT_BYTES_MAX`.
    pub stderr: String,
    /// Bytes that it wrote to both, over all attempts of this run.
    pub log_bytes: u64,
    /// Whether the log holds only the head and the tail of them.
    pub truncated: bool,
    /// The line of its output that most likely tells why it failed; none when it exited 0.
    pub excerpt: Option<String>,
    /// Why its log is not whole on disk; whatever the command did, it then proves nothing.
    pub unrecorded: Option<String>,
}

impl Ending {
    /// That it ended like this, at once and without a word.
    #[must_use]
    pub fn silent(exit: Exit) -> Self {
        Self {
            exit,
            duration: Duration::ZERO,
            stdout: String::new(),
            stderr: String::new(),
            log_bytes: 0,
            truncated: false,
            excerpt: None,
            unrecorded: None,
        }
    }
}

/// One stage of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageReport {
    /// Its id.
    pub id: StageId,
    /// Its title.
    pub title: String,
    /// What it does.
    pub work: StageWork,
    /// Where it stands.
    pub status: StageStatus,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Its exit code as the manifest records it.
    pub exit_code: Option<i32>,
    /// One line on how it went.
    pub summary: Option<String>,
    /// How it ended, beyond its status.
    pub outcome: Outcome,
    /// What its result depends on, as far as a look tells it: the content that it reads, and its definition; none for a
    /// stage that was kept from a run without a sidecar.
    pub content_key: Option<StageKey>,
    /// The same with what the stages that it waits for have left of their outputs; none as long as that is not known.
    pub key: Option<StageKey>,
    /// The content that it reads.
    pub input: Option<InputDigest>,
    /// With what it runs, if it declares a `toolchain`.
    pub tools: Option<ToolsDigest>,
    /// What it has left of the outputs that it declares, if it does and that is known.
    pub outputs: Option<OutputsDigest>,
    /// Whether its pass stands for its key: nothing that it reads was touched while its run was under way.
    pub proven: bool,
    /// Whether its failure, or its pass after one, counts against its key: nothing that it reads was touched while its
    /// run was under way, or its run is not void.
    pub against_key: bool,
    /// The keys on which the stages of its child run have passed, and those below, if it is a pipeline.
    pub below: BTreeSet<StageKey>,
    /// The run that executed it, whose pass was taken over instead of executing it again.
    pub reused_from: Option<RunId>,
    /// Its place there, from 0, and its id there; none where only the manifest says where its log stands.
    pub reused_as: Option<(usize, StageId)>,
    /// Attempts so far.
    pub attempts: u32,
    /// From first spawn to last exit.
    pub duration: Duration,
    /// Bytes that it wrote.
    pub log_bytes: u64,
    /// Whether the log holds only the head and the tail of them.
    pub truncated: bool,
    /// The end of its standard error, for the error file.
    pub stderr: String,
    /// The line of its output that most likely tells why it failed.
    pub excerpt: Option<String>,
}

impl StageReport {
    /// The keys that its pass stands for: its own, and those of the stages below it.
    pub fn keys(&self) -> impl Iterator<Item = StageKey> {
        self.key.into_iter().chain(self.below.iter().copied())
    }
}

/// What a stage of a run does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageWork {
    /// It runs this command.
    Command(CommandLine),
    /// It runs this pipeline; the child run once there is one.
    Subpipeline {
        /// The pipeline.
        pipeline: PipelineId,
        /// The child run.
        child: Option<RunId>,
    },
}

/// How a stage ended, beyond its status; what the sidecar records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It has not ended, or never began.
    None,
    /// It exited 0.
    Passed,
    /// It exited 0, and has failed on the same stage key before, in this run or an earlier one; or a stage of its child run
    /// did.
    Flaky,
    /// It exited with another code.
    Failed,
    /// Its deadline passed, or that of a stage of its child run.
    TimedOut,
    /// A signal that we did not send ended it.
    Signalled,
    /// It could not be started.
    Unspawnable,
    /// The run was cancelled while it ran.
    Cancelled,
}

impl Outcome {
    /// Whether its command has failed by itself: what was cancelled or could not be started has not.
    #[must_use]
    pub fn has_failed(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Signalled)
    }

    /// Whether it tells that its command has failed by itself, now or before.
    #[must_use]
    pub fn tells_of_failure(self) -> bool {
        self.has_failed() || self == Self::Flaky
    }
}

/// A child run of a subpipeline stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildReport {
    /// Its id.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// Where it stands.
    pub status: RunStatus,
    /// The command that it failed at first; not known of one that ended before a resume.
    pub failed: Option<FailedBelow>,
}

/// The command that a run failed at first, its own or one of a child run below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedBelow {
    /// The run whose command it is.
    pub run: RunId,
    /// Its stage.
    pub stage: StageId,
    /// The place of that, counted from one.
    pub place: usize,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The line of its output that most likely tells why, else its summary.
    pub said: String,
}

/// A resume of a run, as the manifest records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeReport {
    /// When.
    pub timestamp: Timestamp,
    /// Who asked; `cli` unless they said.
    pub actor: String,
    /// Why; `manual-resume` unless they said.
    pub reason: String,
}

/// The paths that a change set names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Changed {
    /// Nothing is known: everything may have changed.
    #[default]
    Everything,
    /// Exactly these, relative to the workspace, sorted, at most `CHANGED_PATHS_MAX`.
    Paths(Vec<RelPath>),
}

/// Content that changed while a run was under way, so that the run proves nothing of what is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Void {
    /// What changed.
    pub changed: Changed,
    /// What makes the run unstable: paths that were rewritten while a stage ran, in this run and in the one before, each
    /// with that stage's place.
    pub rewritten: Vec<(RelPath, usize)>,
}

/// The whole truth of one run at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    /// Its id.
    pub run: RunId,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// The task that its evidence lives under.
    pub task: TaskId,
    /// The project's directory.
    pub project: RelPath,
    /// The run that it is a child of.
    pub parent: Option<RunId>,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// Its pipeline's title.
    pub title: String,
    /// Whether a missing guardrail is worth a line.
    pub guardrails_required: Option<bool>,
    /// Why it was started.
    pub cause: Cause,
    /// What changed since the project's run before it.
    pub changed: Changed,
    /// What changed since content that passed: a stage that reads no more than this misses nothing.
    pub unproven: Changed,
    /// The approval policy that the caller named.
    pub approval_policy: Option<String>,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it stands there, in the published orchestrator's words (`stage:lint:failed`).
    pub status_detail: Option<String>,
    /// When it was made; a resume does not change it.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// One entry per stage, in declared order.
    pub stages: Vec<StageReport>,
    /// Its child runs, in the order in which they were made.
    pub children: Vec<ChildReport>,
    /// Resumes of this daemon's making that the evidence does not hold yet.
    pub resumes: Vec<ResumeReport>,
    /// The content that it was started on.
    pub input: Option<InputDigest>,
    /// What it proves.
    pub verdict: Verdict,
    /// What changed while it was under way.
    pub void: Option<Void>,
}

impl RunReport {
    /// Whether a stage of it succeeded on a key on which it has failed, too.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        let mut stages = self.stages.iter();
        stages.any(|stage| stage.outcome == Outcome::Flaky)
    }

    /// Why it says nothing of what is there now, where it came to its end by itself.
    #[must_use]
    pub fn unproven(&self) -> Option<Unproven> {
        let void = self.void.as_ref().map(|void| match void.changed {
            Changed::Paths(_) => Unproven::Changed,
            Changed::Everything => Unproven::MayHaveChanged,
        });
        let stages = self.stages.iter();
        let stages = stages.map(|stage| (stage.status, stage.outcome));
        Unproven::of((self.status, self.verdict, self.cause), void, stages)
    }

    /// Whether the time of a stage of it was over.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        let mut stages = self.stages.iter();
        stages.any(|stage| stage.outcome == Outcome::TimedOut)
    }
}

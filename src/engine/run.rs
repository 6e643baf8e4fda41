//! A run under way: its phases, and what it has to watch while it lives.
//!
//! ```text
//! Beginning ──recorded──▶ Running ──last stage ended──▶ Checking ──look──▶ Ending ──recorded──▶ told and forgotten
//! ```
//!
//! In `Checking` the content is looked at once more: the verdict binds only if it is still what the run began on.

use crate::engine::ProjectId;
use crate::engine::change::ChangeSet;
use crate::engine::graph::Graph;
use crate::engine::keys::Seen;
use crate::engine::passing::Passing;
use crate::engine::weighing::Left;
use crate::model::config::{Action, Config, Pipeline, Stage};
use crate::model::digest::OutputsDigest;
use crate::model::id::{CaptureId, PipelineId, RequestId, RunId, StageId, WeighId};
use crate::model::path::RelPath;
use crate::model::run::{
    Outcome, RunReport, RunStatus, StageReport, StageStatus, StageWork, Verdict,
};
use crate::model::time::Tick;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Paths that were rewritten during a run, each with the place of the stage that ran then.
pub(super) type Culprits = BTreeSet<(RelPath, usize)>;

/// Why a run ended that made way for other content.
pub(super) const SUPERSEDED: &str = crate::model::run::SUPERSEDED;

/// Why a run ended that cannot begin a child before its root is back.
pub(super) const MISSING: &str = "root-missing";

/// Why a run ended whose commands are no longer allowed.
pub(super) const DENIED: &str = "commands-denied";

/// What the engine knows of a run under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) project: ProjectId,
    pub(super) report: RunReport,
    pub(super) config: Arc<Config>,
    pub(super) graph: Graph,
    /// When it began.
    pub(super) begun: Tick,
    /// The content that it began on.
    pub(super) seen: Seen,
    /// What the look after its last stage has seen.
    pub(super) closing: Option<Seen>,
    pub(super) phase: Phase,
    pub(super) stages: Vec<Live>,
    /// The stage of another run that this one is.
    pub(super) parent_stage: Option<(RunId, usize)>,
    /// It executes every stage, whatever is proven.
    pub(super) force: bool,
    /// What the stages have left that its parent's stage waits for; nothing if that is not known.
    pub(super) inherited: Option<Left>,
    /// What each of its stages has left; nothing as long as that is not known.
    pub(super) left: Vec<Option<Left>>,
    /// The stages that are executed because what they have left is not what was proven.
    pub(super) executes: BTreeSet<usize>,
    /// Those that found something else than they had waited for, when they began or at their end.
    pub(super) shaken: BTreeSet<usize>,
    /// Where the outputs lie that these found so, those of child runs too.
    pub(super) strayed: ChangeSet,
    /// What stages found, as they began, of what they waited for, but for what they declare to write themselves.
    pub(super) met: BTreeMap<usize, Vec<Option<OutputsDigest>>>,
    /// What lies there of outputs, by what is declared, since a stage has ended that may have written into it; and which.
    pub(super) lying: BTreeMap<Vec<String>, (OutputsDigest, usize)>,
    /// Those that a resume kept.
    pub(super) kept: BTreeSet<usize>,
    /// What changed since it began.
    pub(super) changes: ChangeSet,
    /// What came and went since.
    pub(super) passing: Passing,
    /// The stages that read some of what changed.
    pub(super) affected: BTreeSet<(PipelineId, StageId)>,
    pub(super) culprits: Culprits,
    /// Since when a stage that may start has had no room, or nobody's mutex to take.
    pub(super) waits_since: Option<Tick>,
    /// The stage that ended last: a write is often told only after its writer has gone.
    pub(super) last_stage: Option<usize>,
    /// Why it is being ended from outside.
    pub(super) cancelled: Option<&'static str>,
    /// Its verdict is an error whatever its stages say: evidence of it, or of a child run, could not be written.
    pub(super) broken: bool,
    /// Questions that are answered once it has begun or ended.
    pub(super) requests: BTreeSet<RequestId>,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its first evidence is being recorded.
    Beginning,
    /// Its stages run.
    Running,
    /// Its content is looked at once more, by a look that began after its last stage ended: none up to this one.
    Checking(CaptureId),
    /// Its final evidence is being recorded.
    Ending,
}

/// A stage under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Live {
    /// It does not run.
    Idle,
    /// Its command runs.
    Command {
        /// When it is to be sent TERM.
        deadline: Option<Tick>,
        /// When it is to be sent KILL.
        kill_at: Option<Tick>,
        /// TERM was sent because its deadline passed.
        timed_out: bool,
    },
    /// It has its place, and what it has waited for is weighed once more before its command is started.
    Entering(WeighId),
    /// What it has left before is weighed; if that is what was proven, it is taken over.
    Weighing(WeighId),
    /// It has ended so, and what it has left is weighed.
    Leaving {
        /// The weighing.
        weigh: WeighId,
        /// Where it will stand.
        status: StageStatus,
    },
    /// A look at its pipeline's content is wanted.
    ChildExpected(PipelineId),
    /// Its child run is under way.
    Child(RunId),
}

impl Run {
    /// When something is due.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        let due = self.stages.iter().filter_map(|live| match live {
            Live::Command {
                deadline, kill_at, ..
            } => kill_at.or(*deadline),
            Live::Idle
            | Live::Entering(_)
            | Live::Weighing(_)
            | Live::Leaving { .. }
            | Live::ChildExpected(_)
            | Live::Child(_) => None,
        });
        due.min()
    }

    /// Whether it may still tell a verdict of this content, as far as is known by now.
    pub(super) fn may_prove(&self, seen: &Seen) -> bool {
        self.cancelled.is_none()
            && self.report.void.is_none()
            && self.is_undisturbed()
            && self.seen.keys == seen.keys
    }

    pub(super) fn is_live(&self) -> bool {
        self.stages.iter().any(|live| *live != Live::Idle)
    }

    /// Whether a stage has failed in a pipeline that ends with the first that does.
    pub(super) fn has_failed_fast(&self) -> bool {
        let pipeline = self.config.pipeline(&self.report.pipeline);
        let mut stages = self.report.stages.iter();
        pipeline.is_some_and(|pipeline| pipeline.fail_fast)
            && stages.any(|stage| stage.status == StageStatus::Failed)
    }

    pub(super) fn statuses(&self) -> Vec<StageStatus> {
        self.report
            .stages
            .iter()
            .map(|stage| stage.status)
            .collect()
    }

    /// What may be told of it: its end is nobody's to hear before it is on disk.
    pub(super) fn told(&self) -> RunReport {
        RunReport {
            status: RunStatus::InProgress,
            status_detail: None,
            completed_at: None,
            verdict: Verdict::Unknown,
            ..self.report.clone()
        }
    }

    /// The stage that runs now, else the one that ended last.
    pub(super) fn blamed_stages(&self) -> Vec<usize> {
        let live = self.stages.iter().enumerate().filter(|(_, live)| {
            !matches!(live, Live::Idle | Live::Entering(_) | Live::Weighing(_))
        });
        let live: Vec<usize> = live.map(|(index, _)| index).collect();
        if live.is_empty() {
            self.last_stage.into_iter().collect()
        } else {
            live
        }
    }

    /// The stage's definition in the pipeline that this run executes.
    pub(super) fn definition(&self, stage: usize) -> Option<&Stage> {
        self.config
            .pipeline(&self.report.pipeline)?
            .stages
            .get(stage)
    }
}

/// The entries of a pipeline's stages before anything has run, or its content was looked at.
pub(super) fn fresh_stages(pipeline: &Pipeline, seen: Option<&Seen>) -> Vec<StageReport> {
    let stages = pipeline.stages.iter().enumerate();
    stages
        .map(|(index, stage)| fresh_stage(pipeline, stage, index, seen))
        .collect()
}

fn fresh_stage(
    pipeline: &Pipeline,
    stage: &Stage,
    index: usize,
    seen: Option<&Seen>,
) -> StageReport {
    let work = match &stage.action {
        Action::Command(command) => StageWork::Command(command.line.clone()),
        Action::Subpipeline(sub) => StageWork::Subpipeline {
            pipeline: sub.pipeline.clone(),
            child: None,
        },
    };
    StageReport {
        id: stage.id.clone(),
        title: stage.title.clone(),
        work,
        status: StageStatus::Pending,
        started_at: None,
        completed_at: None,
        exit_code: None,
        summary: None,
        outcome: Outcome::None,
        content_key: seen.and_then(|seen| seen.keys.get(index)).copied(),
        key: None,
        input: seen
            .and_then(|seen| seen.inputs.get(&(pipeline.id.clone(), stage.id.clone())))
            .copied(),
        tools: seen
            .and_then(|seen| seen.tools.get(&(pipeline.id.clone(), stage.id.clone())))
            .copied(),
        outputs: None,
        proven: false,
        against_key: false,
        below: BTreeSet::new(),
        reused_from: None,
        reused_as: None,
        attempts: 0,
        duration: std::time::Duration::ZERO,
        log_bytes: 0,
        truncated: false,
        stderr: String::new(),
        excerpt: None,
    }
}

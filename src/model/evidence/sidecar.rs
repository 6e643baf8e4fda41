//! `orchd.json`: what a run's manifest has no field for, and what a later daemon needs to believe its verdict.
//!
//! A sidecar of a newer schema is read by nobody and rewritten by nobody.

use super::approval::RecordedApproval;
use super::manifest::{Manifest, Unreadable, diagnose};
use crate::limits::CHANGED_PATHS_SHOWN_MAX;
use crate::model::digest::{InputDigest, OutputsDigest, StageKey, ToolsDigest};
use crate::model::id::{RunId, StageId};
use crate::model::judged::Judged;
use crate::model::path::RelPath;
use crate::model::run::{Cause, Changed, Outcome, RunReport, StageReport, StageStatus, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The version of the sidecar that we read and write.
const SCHEMA: u64 = 1;

/// What a run's manifest has no field for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    /// Always 1.
    pub schema: u64,
    /// Why the run was started.
    pub cause: Cause,
    /// What had changed.
    pub changed: CountedPaths,
    /// One entry per stage, in order.
    pub stages: Vec<SidecarStage>,
    /// What the run proves.
    pub verdict: Verdict,
    /// What changed while it was under way, so that it proves nothing of what is there now.
    pub void: Option<VoidPaths>,
    /// What it ran on, where that was not what lay in the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
    /// The content that any stage reads, as it was when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_digest: Option<InputDigest>,
    /// What was approved of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<RecordedApproval>,
}

/// The paths of a change set: the first hundred; none where everything may have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedPaths {
    /// How many there are.
    pub count: usize,
    /// The first of them, relative to the workspace.
    pub paths: Vec<String>,
}

/// The paths that changed while a run was under way: the first hundred; none where everything may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidPaths {
    /// The first of them, relative to the workspace.
    pub paths: Vec<String>,
}

/// What the manifest has no field for, of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidecarStage {
    /// The stage.
    pub id: StageId,
    /// What its result depends on.
    pub key: Option<StageKey>,
    /// The same without what other stages have left, where that makes a difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_key: Option<StageKey>,
    /// The content that it reads.
    pub input_digest: Option<InputDigest>,
    /// With what it ran, where it declares a `toolchain`: the digest of what that printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toolchain: Option<ToolsDigest>,
    /// What it has left of the outputs that it declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<OutputsDigest>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether its pass stands for its key, whatever became of its run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proven: bool,
    /// Whether its failure, or its pass after one, counts against its key, whatever became of its run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub against_key: bool,
    /// The keys on which the stages below it have passed, of one that is a pipeline.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub below: BTreeSet<StageKey>,
    /// The run that executed it, whose pass was taken over instead of executing it again.
    pub reused_from: Option<RunId>,
    /// Attempts.
    pub attempts: u32,
    /// From first spawn to last exit.
    pub duration_ms: u64,
    /// Bytes that it wrote.
    pub log_bytes: u64,
    /// Whether its log lacks some of them.
    pub truncated: bool,
}

impl Sidecar {
    /// The sidecar of a run on what lies in the workspace.
    #[must_use]
    pub fn of(report: &RunReport) -> Self {
        let (count, paths) = shown(&report.changed);
        Self {
            schema: SCHEMA,
            cause: report.cause,
            changed: CountedPaths { count, paths },
            stages: report.stages.iter().map(SidecarStage::of).collect(),
            verdict: report.verdict,
            void: report.void.as_ref().map(|void| VoidPaths {
                paths: shown(&void.changed).1,
            }),
            judged: None,
            input_digest: report.input,
            approvals: Vec::new(),
        }
    }

    /// The same of a run on something else.
    #[must_use]
    pub fn on(self, judged: Option<Judged>) -> Self {
        Self { judged, ..self }
    }

    /// The same of a run of which this was approved before it was taken up again.
    #[must_use]
    pub fn approved(self, approvals: Vec<RecordedApproval>) -> Self {
        Self { approvals, ..self }
    }

    /// Reads a sidecar.
    ///
    /// # Errors
    /// When it is damaged, newer, or none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        match serde_json::from_slice::<Self>(bytes) {
            Ok(sidecar) if sidecar.schema > SCHEMA => Err(Unreadable::Newer {
                found: sidecar.schema,
                known: SCHEMA,
            }),
            Ok(sidecar) => Ok(sidecar),
            Err(error) => Err(diagnose(bytes, error, "schema", SCHEMA)),
        }
    }

    /// The sidecar of a run under way whose stages have something to tell: without keys, because nobody has looked yet
    /// whether the content is still what they were begun on.
    #[must_use]
    pub fn meanwhile(report: &RunReport) -> Self {
        let mut sidecar = Self::of(report);
        sidecar.forget_keys();
        sidecar
    }

    /// Takes over how the stages of a run stood when its daemon was lost: it was written when the run began.
    pub fn lose(&mut self, manifest: &Manifest) {
        self.verdict = Verdict::Unknown;
        self.forget_keys();
        for (stage, command) in self.stages.iter_mut().zip(&manifest.commands) {
            if stage.outcome != Outcome::None || stage.id != command.id {
                continue;
            }
            stage.outcome = match command.status {
                StageStatus::Pending | StageStatus::Running => continue,
                StageStatus::Succeeded => Outcome::Passed,
                StageStatus::Skipped => Outcome::Failed,
                StageStatus::Failed => Outcome::Cancelled,
            };
            stage.attempts = stage.attempts.max(1);
            let span = command.started_at.zip(command.completed_at);
            let span = span.map_or(0, |(start, end)| end.since(start).as_millis());
            stage.duration_ms = u64::try_from(span).unwrap_or(u64::MAX);
        }
    }

    fn forget_keys(&mut self) {
        for stage in &mut self.stages {
            (stage.key, stage.content_key) = (None, None);
            (stage.proven, stage.against_key) = (false, false);
            stage.below.clear();
        }
    }

    /// The runs that executed stages which this one has taken over.
    #[must_use]
    pub fn reused(&self) -> BTreeSet<RunId> {
        let stages = self.stages.iter();
        stages
            .filter_map(|stage| stage.reused_from.clone())
            .collect()
    }

    /// What its stages say against their keys: those that have failed on content that stood still, and how.
    pub fn failures(&self) -> impl Iterator<Item = (StageKey, Outcome)> {
        let proves = self.proves();
        let against = self.stages.iter().filter(move |stage| {
            // Daemons of before said it by the verdict alone.
            stage.outcome.tells_of_failure() && (stage.against_key || proves)
        });
        against.filter_map(|stage| Some((stage.key?, stage.outcome)))
    }

    /// Whether a later daemon may believe its verdict for content with the same stage keys.
    #[must_use]
    pub fn proves(&self) -> bool {
        let verdict = match self.verdict {
            Verdict::Pass | Verdict::Fail | Verdict::Flaky => true,
            // The keys are of what an unstable run found, not of what it left.
            Verdict::Unstable | Verdict::Error | Verdict::Unknown => false,
        };
        verdict && self.void.is_none()
    }
}

impl SidecarStage {
    /// The keys that its pass stands for: its own, and those of the stages below it.
    pub fn keys(&self) -> impl Iterator<Item = StageKey> {
        self.key.into_iter().chain(self.below.iter().copied())
    }

    /// What its result depends on as far as a look tells it.
    #[must_use]
    pub fn content_key(&self) -> Option<StageKey> {
        self.content_key.or(self.key)
    }

    fn of(stage: &StageReport) -> Self {
        Self {
            id: stage.id.clone(),
            key: stage.key,
            content_key: stage.content_key.filter(|_| stage.content_key != stage.key),
            input_digest: stage.input,
            toolchain: stage.tools,
            outputs: stage.outputs,
            outcome: stage.outcome,
            proven: stage.proven,
            against_key: stage.against_key,
            below: stage.below.clone(),
            reused_from: stage.reused_from.clone(),
            attempts: stage.attempts,
            duration_ms: u64::try_from(stage.duration.as_millis()).unwrap_or(u64::MAX),
            log_bytes: stage.log_bytes,
            truncated: stage.truncated,
        }
    }
}

fn shown(changed: &Changed) -> (usize, Vec<String>) {
    match changed {
        Changed::Everything => (0, Vec::new()),
        Changed::Paths(paths) => {
            let first = paths.iter().take(CHANGED_PATHS_SHOWN_MAX);
            (paths.len(), first.map(RelPath::to_text).collect())
        }
    }
}

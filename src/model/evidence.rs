//! The on-disk formats of evidence, as values: what each file says, how it is read back, and how it follows from a
//! [`RunReport`](crate::model::run::RunReport).
//!
//! Everything that a run's end writes follows from its [`Manifest`] and its [`Sidecar`], so that a run whose daemon was
//! lost is finished from its files by the same code. The manifest has the published orchestrator's fields and no other;
//! what it has no field for stands in the sidecar. What we do not know in a file of somebody else's is kept. A file of
//! a newer version is told apart from a damaged one: the first is left alone, the second is rebuilt.

mod approval;
mod error_file;
mod guardrail;
mod layout;
mod link;
mod manifest;
mod metrics;
mod project;
mod sidecar;
mod snapshot;
mod summary;

pub use approval::{Approval, ApprovedStage, RecordedApproval, approvals};
pub use error_file::ErrorFile;
pub use guardrail::{Guardrails, is_guardrail, says_skipped};
pub use layout::{Layout, numbered, slug};
pub use link::{Beginning, Link, LinkFault, LinkedFile, Place, Why};
pub use manifest::{ChildRun, Command, Manifest, ResumeEvent, StageKind, Unreadable};
pub use metrics::Metrics;
pub use project::DAEMON_LOST;
pub use sidecar::{CountedPaths, Sidecar, SidecarStage, VoidPaths};
pub use snapshot::{Entry, Snapshot};
pub use summary::RunSummary;

use crate::model::digest::InputDigest;
use crate::model::id::{PipelineId, RunId, TaskId};
use crate::model::path::RelPath;
use crate::model::report::status::Phase;
use crate::model::run::{Cause, RunStatus, Verdict};
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One row of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    pub run_id: RunId,
    /// The task that its evidence lives under.
    pub task_id: TaskId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Where it stands.
    pub status: RunStatus,
    /// What it proves; `unknown` for a run that another tool made or resumed.
    pub verdict: Verdict,
    /// Why it was started; none for a run that another tool made.
    pub cause: Option<Cause>,
    /// When it was made.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// From made to ended.
    pub duration_ms: Option<u64>,
    /// Its manifest, relative to the workspace.
    pub manifest: String,
}

/// The last run of a project, in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// The run.
    pub run_id: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// Its manifest, relative to the workspace.
    pub manifest: String,
}

/// What the daemon knows of a project: the `orchd` object of `state.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskState {
    /// The workspace's root.
    pub workspace: String,
    /// The project's directory, relative to the workspace.
    pub project: RelPath,
    /// The pipeline that a change runs.
    pub pipeline: PipelineId,
    /// What is known of the present content.
    pub verdict: Verdict,
    /// Whether the verdict is of the present content.
    pub fresh: bool,
    /// What the project is doing.
    pub phase: Phase,
    /// The present content.
    pub input_digest: Option<InputDigest>,
    /// The last run.
    pub last_run: Option<LastRun>,
    /// When this was true.
    pub updated_at: Timestamp,
}

impl RunRecord {
    /// The row of a run, from its files.
    ///
    /// A verdict that contradicts the manifest is of an earlier end: another tool has resumed the run since.
    #[must_use]
    pub fn of(manifest: &Manifest, sidecar: Option<&Sidecar>, layout: &Layout) -> Self {
        let verdict = sidecar.map_or(Verdict::Unknown, |sidecar| sidecar.verdict);
        let contradicted = match verdict {
            Verdict::Pass | Verdict::Flaky => manifest.status != RunStatus::Succeeded,
            Verdict::Fail => manifest.status != RunStatus::Failed,
            Verdict::Unstable | Verdict::Error => !manifest.status.is_terminal(),
            Verdict::Unknown => false,
        };
        let ended = manifest.completed_at;
        let duration = ended.map(|end| end.since(manifest.started_at));
        Self {
            run_id: manifest.run_id.clone(),
            task_id: manifest.task_id.clone(),
            pipeline_id: manifest.pipeline_id.clone(),
            status: manifest.status,
            verdict: if contradicted {
                Verdict::Unknown
            } else {
                verdict
            },
            cause: sidecar.map(|sidecar| sidecar.cause),
            started_at: manifest.started_at,
            completed_at: ended,
            duration_ms: duration.and_then(|d| u64::try_from(d.as_millis()).ok()),
            manifest: layout.manifest(&manifest.task_id, &manifest.run_id),
        }
    }
}

/// A document as the family writes it: two spaces, one newline at the end.
#[must_use]
pub fn document<T: Serialize>(value: &T) -> Vec<u8> {
    let mut text = pretty(value);
    text.push('\n');
    text.into_bytes()
}

/// A document without the newline at the end, as the family writes its snapshots.
#[must_use]
pub fn pretty<T: Serialize>(value: &T) -> String {
    // Our formats have string keys only and no failing `Serialize`, so that there is nothing to fail on.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;

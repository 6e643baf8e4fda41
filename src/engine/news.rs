//! What subscribers are told: one variant per event type of the protocol.
//!
//! Facts only, each told once, and those about a run only after its evidence was recorded.

use crate::engine::ProjectId;
use crate::engine::ask::Denied;
use crate::model::digest::InputDigest;
use crate::model::id::{PipelineId, RunId, WorkspaceId};
use crate::model::run::{Cause, Changed, RunReport, StageReport, Verdict};

/// Something that became visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Content of a project differs from what was seen before.
    Change {
        /// The project.
        project: ProjectId,
        /// What differs.
        changed: Changed,
    },
    /// Nothing has changed for a while, and the content is known.
    Settled {
        /// The project.
        project: ProjectId,
        /// What differs from what was seen before.
        changed: Changed,
    },
    /// A run is wanted; one that was asked for by name, or begins at once for another run, has its id.
    RunQueued {
        /// The project.
        project: ProjectId,
        /// Its pipeline.
        pipeline: PipelineId,
        /// Why.
        cause: Cause,
        /// The run, where that is known before it begins.
        run: Option<RunId>,
    },
    /// A run that had its id never begins.
    RunDropped {
        /// The project.
        project: ProjectId,
        /// Its pipeline.
        pipeline: PipelineId,
        /// The run.
        run: RunId,
        /// How it ended.
        why: Dropped,
    },
    /// A run has begun; its first evidence is on disk.
    RunStarted {
        /// The run.
        report: Box<RunReport>,
    },
    /// A stage has begun.
    StageStarted(Box<StageTold>),
    /// A stage has ended.
    StageEnded(Box<StageTold>),
    /// A run has ended; all its evidence is on disk.
    RunEnded {
        /// The run.
        report: Box<RunReport>,
    },
    /// What is known of a project's content has changed.
    Verdict {
        /// The project.
        project: ProjectId,
        /// What is known.
        verdict: Verdict,
        /// Of which content.
        input: Option<InputDigest>,
        /// By which run.
        run: Option<RunId>,
    },
    /// A workspace came, went, or is watched otherwise than before.
    Workspace {
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// A configuration was taken or refused.
    Config {
        /// The workspace.
        workspace: WorkspaceId,
        /// What is wrong with it.
        refused: Option<String>,
    },
}

/// How a run ended that never began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Somebody ended it.
    Cancelled,
    /// Everybody who asked for it has gone.
    Withdrawn,
    /// It may not run any more.
    Refused(Denied),
}

/// A stage of which something is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageTold {
    /// The project.
    pub project: ProjectId,
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The stage.
    pub stage: StageReport,
    /// Its place in the run's stages, from 0.
    pub place: usize,
}

//! What the tree tells the engine: which projects were touched, and what their content is.
//!
//! A *touch* is a hint that content may differ; a [`View`] is what it was at one moment, with every change that was
//! made before the look already seen.

use crate::model::digest::{InputDigest, ToolsDigest};
use crate::model::id::{PipelineId, StageId, TaskId};
use crate::model::path::RelPath;
use crate::model::run::Changed;
use crate::model::time::Tick;
use std::collections::{BTreeMap, BTreeSet};

/// A project and the pipeline whose inputs are asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The project.
    pub task: TaskId,
    /// The pipeline; its subpipelines are part of the answer.
    pub pipeline: PipelineId,
}

/// The content of a project at one moment, as the stages of one pipeline read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What was asked.
    pub subject: Subject,
    /// The content that any of the stages reads.
    pub input: InputDigest,
    /// The content that each command stage reads, those of subpipelines included.
    pub stages: BTreeMap<(PipelineId, StageId), InputDigest>,
    /// With what those of them run that declare a `toolchain`.
    pub tools: BTreeMap<(PipelineId, StageId), ToolsDigest>,
    /// What differs from the subject's view before this one, of what the stages read.
    pub changed: Changed,
    /// What was changed since that view and is again as it was, of what the stages read: a stage may have read it in
    /// between. Not what came and went.
    pub undone: Vec<RelPath>,
    /// What came or went, of what the stages read.
    pub fleeting: Fleeting,
    /// The command stages, those of subpipelines included, that read some of what was changed or undone, but for what came
    /// or went; all of them where everything may have changed.
    pub affected: BTreeSet<(PipelineId, StageId)>,
}

/// Paths under which something came or went since a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleeting {
    /// Those of the changed ones where nothing was.
    pub came: Vec<RelPath>,
    /// Those of the changed ones where nothing is.
    pub went: Vec<RelPath>,
    /// Those that are in neither content, and where something was seen in between.
    pub passed: Vec<RelPath>,
    /// The command stages, those of subpipelines included, that read some of these.
    pub readers: BTreeSet<(PipelineId, StageId)>,
}

#[cfg(test)]
impl View {
    /// The same content for every subject, in which nothing has changed.
    pub(crate) fn still(subject: Subject) -> Self {
        Self {
            subject,
            input: InputDigest(crate::model::digest::Digest::of(b"A")),
            stages: BTreeMap::new(),
            tools: BTreeMap::new(),
            changed: Changed::Paths(Vec::new()),
            undone: Vec::new(),
            fleeting: Fleeting::default(),
            affected: BTreeSet::new(),
        }
    }
}

/// What may differ since the last touch or view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touches {
    /// Per project: the paths that it reads and that may differ.
    pub projects: BTreeMap<TaskId, Changed>,
    /// Whether a configuration file is among what may differ.
    pub configuration: bool,
    /// Whether it is a few files that are there, as after a save.
    pub saved: bool,
    /// When it was touched at the latest; none where nobody knows better than whoever hears of it.
    pub at: Option<Tick>,
}

impl Touches {
    /// Whether nothing was touched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.projects.is_empty() && !self.configuration
    }
}

/// A file or directory that git keeps only while it changes files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sign {
    /// Its path, as it is shown.
    pub place: String,
    /// Its inode, and when it was last changed: another one is another step of git's.
    pub stamp: (u64, i64),
}

/// What becomes of a change of one path: the answer to `orchctl explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// It triggers these stages.
    Triggers {
        /// The project that owns it, and any other whose inputs name it.
        projects: Vec<(TaskId, Vec<(PipelineId, StageId)>)>,
    },
    /// It is ignored.
    Ignored {
        /// The rule, as it is written.
        rule: String,
        /// The file that it stands in, relative to the workspace, or what made it.
        source: String,
        /// Its line there.
        line: Option<u64>,
    },
    /// It lies in no project, or no stage reads it.
    Unread {
        /// The project that owns it.
        owner: Option<TaskId>,
        /// The path below the workspace.
        path: RelPath,
    },
}

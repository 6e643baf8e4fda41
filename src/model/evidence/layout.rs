//! Where the files of a run stand, as the text that manifests hold: POSIX paths relative to the workspace.
//!
//! A task id and a run id are safe path components, so no path of these leaves the runs directory.

use crate::limits::SLUG_CHARS_MAX;
use crate::model::id::{RunId, StageId, TaskId};

/// How the runs directory is called from the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    runs: String,
}

impl Default for Layout {
    fn default() -> Self {
        Self::new(".runs")
    }
}

impl Layout {
    /// Takes the runs directory: relative to the workspace, or absolute where it lies outside.
    #[must_use]
    pub fn new(runs: &str) -> Self {
        Self {
            runs: runs.trim_end_matches('/').to_owned(),
        }
    }

    /// The directory of a run.
    #[must_use]
    pub fn artifact_root(&self, task: &TaskId, run: &RunId) -> String {
        format!("{}/{task}/cli/{run}", self.runs)
    }

    /// A file in the directory of a task.
    #[must_use]
    pub fn of_task(&self, task: &TaskId, name: &str) -> String {
        format!("{}/{task}/{name}", self.runs)
    }

    /// The manifest of a run.
    #[must_use]
    pub fn manifest(&self, task: &TaskId, run: &RunId) -> String {
        format!("{}/manifest.json", self.artifact_root(task, run))
    }

    /// The directory of the pointer to a run.
    #[must_use]
    pub fn compat(&self, task: &TaskId, run: &RunId) -> String {
        format!("{}/{task}/mcp/{run}", self.runs)
    }

    /// The log of a run, all stages in one.
    #[must_use]
    pub fn runner_log(&self, task: &TaskId, run: &RunId) -> String {
        format!("{}/runner.ndjson", self.artifact_root(task, run))
    }

    /// The log of the stage at `index` (from 1).
    #[must_use]
    pub fn stage_log(&self, task: &TaskId, run: &RunId, index: usize, stage: &StageId) -> String {
        let root = self.artifact_root(task, run);
        format!("{root}/commands/{}.ndjson", numbered(index, stage))
    }

    /// The error file of the stage at `index` (from 1).
    #[must_use]
    pub fn error_file(&self, task: &TaskId, run: &RunId, index: usize, stage: &StageId) -> String {
        let root = self.artifact_root(task, run);
        format!("{root}/errors/{}.json", numbered(index, stage))
    }

    /// The summary of a run.
    #[must_use]
    pub fn run_summary(&self, task: &TaskId, run: &RunId) -> String {
        format!("{}/run-summary.json", self.artifact_root(task, run))
    }
}

/// A stage's name in file names, which no other stage of its run has: its index with two digits and its slug.
#[must_use]
pub fn numbered(index: usize, stage: &StageId) -> String {
    format!("{index:02}-{}", slug(stage.as_str()))
}

/// A stage id as part of a file name, as the published orchestrator makes it.
#[must_use]
pub fn slug(id: &str) -> String {
    let mut slug = String::new();
    for c in id.trim().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let trimmed = slug.trim_end_matches('-');
    let cut: String = trimmed.chars().take(SLUG_CHARS_MAX).collect();
    if cut.is_empty() {
        "command".to_owned()
    } else {
        cut
    }
}

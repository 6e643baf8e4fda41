//! The projects of a workspace: which there are, and whether each has one task, one directory and its own runs.
//!
//! Reading is here, judging in `judge`. A directory of runs that cannot be read is told as what is wrong with it; run
//! directories are only listed, and of each manifest nothing but its task is asked.

mod judge;
#[cfg(test)]
mod tests;

use crate::disk::configuration::ConfigurationError;
use crate::disk::places::{EvidencePlaces, is_of_other_stage};
use crate::documents::declared::{self, Declarations, Declared};
use crate::documents::shelf::{self, Shelf};
use crate::documents::task_index::{self, TaskEntry, TaskIndexError};
use crate::limits::documents::RECORDS_MAX;
use crate::model::id::{PipelineId, TaskId};
use crate::model::path::RootPath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub use judge::judge;

/// Runs that are found by their id alone, whose directory is no task's.
const SHARED_POINTERS: &str = "local-mcp";

/// One project, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedProject {
    /// Its task.
    pub task_id: TaskId,
    /// What its files are called, where `tasks/index.json` says it.
    pub slug: Option<String>,
    /// Its directory, relative to the workspace.
    pub path: String,
    /// The pipeline that a change runs; none where its pipelines run by name only.
    pub pipeline: Option<PipelineId>,
    /// Whether the directory is there.
    pub exists: bool,
}

/// What is wrong with a project, or with runs that are none's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProjectFinding {
    /// What it is.
    pub kind: ProjectKind,
    /// The task that it is about, as it is spelled.
    pub task_id: String,
    /// The directory or file that it is about.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What can be wrong with projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectKind {
    /// Two have one task id.
    DuplicateTask,
    /// Its directory is not there.
    MissingDirectory,
    /// Two share a directory, or one lies in the other.
    Nested,
    /// Runs of a task that nobody knows.
    UnknownTaskRuns,
    /// A run among those of another task.
    WrongTaskManifest,
    /// The environment names another task.
    Environment,
}

impl ProjectKind {
    /// The kind as `--json` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DuplicateTask => "duplicate-task",
            Self::MissingDirectory => "missing-directory",
            Self::Nested => "nested",
            Self::UnknownTaskRuns => "unknown-task-runs",
            Self::WrongTaskManifest => "wrong-task-manifest",
            Self::Environment => "environment",
        }
    }
}

/// The runs below one directory of the runs directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsOf {
    /// The directory's name.
    pub directory: String,
    /// How many run directories it holds.
    pub runs: usize,
    /// The runs whose manifest names another task, and that task.
    pub foreign: Vec<(String, String)>,
}

/// What is held against each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The projects.
    pub projects: Vec<Declared>,
    /// Where the directory of each really is, in their order; none where there is none.
    pub directories: Vec<Option<PathBuf>>,
    /// Whether no file has a project.
    pub is_implied: bool,
    /// The tasks that `tasks/index.json` lists.
    pub listed: Vec<TaskId>,
    /// What is below the runs directory.
    pub runs: Vec<RunsOf>,
    /// `MCP_RUNNER_TASK_ID`, where it is set and about this workspace.
    pub environment: Option<String>,
}

/// Lists the projects of a workspace.
#[must_use]
pub fn list(shelf: &Shelf, entries: &[TaskEntry]) -> Vec<ListedProject> {
    let config = shelf.config();
    let each = config.projects.iter().map(|project| {
        let entry = entries.iter().find(|entry| entry.id == project.task);
        ListedProject {
            task_id: project.task.clone(),
            slug: entry.and_then(|entry| entry.slug.clone()),
            path: project.path.to_text(),
            pipeline: Some(project.pipeline.clone()).filter(|_| !config.is_unpiped(project)),
            exists: shelf.root().join(&project.path).is_dir(),
        }
    });
    each.collect()
}

/// Why the projects of a workspace are not known.
#[derive(Debug, thiserror::Error)]
pub enum ProjectsError {
    /// Its configuration says nothing of them.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The list of tasks cannot be read.
    #[error(transparent)]
    Index(#[from] TaskIndexError),
    /// The runs cannot be listed.
    #[error("failed to read `{}`", path.display())]
    Runs {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Reads what is known of the projects of a workspace. `environment` is `MCP_RUNNER_TASK_ID` as it is set.
///
/// # Errors
/// When the configuration or the list of tasks cannot be read, or the runs cannot be listed.
pub fn read(root: &RootPath, environment: Option<String>) -> Result<Known, ProjectsError> {
    let own = environment.filter(|_| !is_of_other_stage(root));
    let task = own.as_deref().and_then(|text| TaskId::parse(text).ok());
    let Declarations {
        projects,
        is_implied,
        ..
    } = declared::read(root, task.as_ref())?;
    let directories = projects.iter().map(|project| {
        let path = root.join(&project.path);
        path.canonicalize().ok().filter(|real| real.is_dir())
    });
    let listed = task_index::read_at(root)?.into_iter();
    Ok(Known {
        directories: directories.collect(),
        projects,
        is_implied,
        listed: listed.map(|entry| entry.id).collect(),
        runs: runs(&EvidencePlaces::of(root).runs)?,
        environment: own,
    })
}

fn runs(place: &Path) -> Result<Vec<RunsOf>, ProjectsError> {
    let mut all = Vec::new();
    for name in names(place)? {
        if name.starts_with('.') || name == SHARED_POINTERS {
            continue;
        }
        let task = place.join(&name);
        let mut runs = BTreeSet::new();
        let mut foreign = Vec::new();
        for run in names(&task.join("cli"))?
            .into_iter()
            .rev()
            .take(RECORDS_MAX)
        {
            let directory = task.join("cli").join(&run);
            if !directory.is_dir() {
                continue;
            }
            if let Some(other) = task_of(&directory).filter(|other| *other != name) {
                foreign.push((run.clone(), other));
            }
            runs.insert(run);
        }
        foreign.reverse();
        // As the first generation had them.
        let older = names(&task)?.into_iter();
        runs.extend(older.filter(|run| task.join(run).join("manifest.json").is_file()));
        all.push(RunsOf {
            directory: name,
            runs: runs.len(),
            foreign,
        });
    }
    Ok(all)
}

/// The names in a directory, sorted; none where there is no such directory. What is no text is nobody's run.
fn names(path: &Path) -> Result<Vec<String>, ProjectsError> {
    let failed = |source| ProjectsError::Runs {
        path: path.to_path_buf(),
        source,
    };
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if shelf::is_nothing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        names.extend(OsStr::to_str(&name).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

#[derive(Deserialize)]
struct Named {
    task_id: String,
}

/// The task that the manifest of a run names; none where it cannot be read, which is nothing about tasks.
fn task_of(run: &Path) -> Option<String> {
    let bytes = shelf::read(&run.join("manifest.json")).ok().flatten()?;
    let named: Named = serde_json::from_slice(&bytes).ok()?;
    Some(named.task_id)
}

//! `tasks/index.json`: which tasks there are, as the published orchestrator reads it.
//!
//! Only what it reads and what we write is known here; everything else in the file is somebody's own.

use crate::documents::shelf::{self, Shelf, ShelfError};
use crate::model::id::TaskId;
use crate::model::path::RootPath;
use serde::Deserialize;

/// Where it stands, from the workspace.
pub const TASK_INDEX: &str = "tasks/index.json";

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TaskEntry {
    /// Its id.
    pub id: TaskId,
    /// What its files are called.
    #[serde(default)]
    pub slug: Option<String>,
    /// What it is called.
    #[serde(default)]
    pub title: Option<String>,
    /// Its document, from the workspace.
    #[serde(default)]
    pub path: Option<String>,
}

/// Why the file tells no tasks.
#[derive(Debug, thiserror::Error)]
pub enum TaskIndexError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ShelfError),
    /// It is something else.
    #[error("`{TASK_INDEX}` is no list of tasks")]
    Parse(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    items: Vec<serde_json::Value>,
}

/// The tasks that the file names; none where there is no file. Entries that are no tasks are left out.
///
/// # Errors
/// When it cannot be read or is no JSON.
pub fn read(shelf: &Shelf) -> Result<Vec<TaskEntry>, TaskIndexError> {
    read_at(shelf.root())
}

/// The same of a workspace whose configuration may be refused.
///
/// # Errors
/// As [`read`].
pub fn read_at(root: &RootPath) -> Result<Vec<TaskEntry>, TaskIndexError> {
    match shelf::read(&root.as_path().join(TASK_INDEX))? {
        Some(bytes) => parse(&bytes),
        None => Ok(Vec::new()),
    }
}

/// The tasks that these bytes name.
///
/// # Errors
/// When they are no JSON, or something else.
pub fn parse(bytes: &[u8]) -> Result<Vec<TaskEntry>, TaskIndexError> {
    let file: File = serde_json::from_slice(bytes).map_err(TaskIndexError::Parse)?;
    let entries = file.items.into_iter();
    Ok(entries
        .filter_map(|entry| serde_json::from_value(entry).ok())
        .collect())
}

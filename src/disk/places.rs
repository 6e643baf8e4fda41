//! Where a workspace's evidence lies: below its root, unless the environment names other directories.
//!
//! Both sides ask here, so that the paper side reads what the daemon has written. A stage's environment is about its own
//! workspace only.

use crate::disk::durable::{Dir, DurableError};
use crate::model::around::{self, RUNS_AROUND};
use crate::model::path::RootPath;
use std::path::{Component, Path, PathBuf};

/// Where a workspace's evidence lies; absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidencePlaces {
    /// Where runs are recorded.
    pub runs: PathBuf,
    /// Where snapshots are.
    pub out: PathBuf,
}

impl EvidencePlaces {
    /// The places below `root`, unless the environment names others. What a stage has in its environment is about the
    /// workspace of the stage, and about no other that it asks for in its own process.
    #[must_use]
    pub fn of(root: &RootPath) -> Self {
        let is_elsewhere = is_of_other_stage(root);
        let named = |variable: &str, usual: &str| {
            let path = std::env::var_os(variable).filter(|path| !path.is_empty() && !is_elsewhere);
            let path = path.map_or_else(|| PathBuf::from(usual), PathBuf::from);
            resolved(&root.as_path().join(path))
        };
        Self {
            runs: named("CODEX_ORCHESTRATOR_RUNS_DIR", ".runs"),
            out: named("CODEX_ORCHESTRATOR_OUT_DIR", "out"),
        }
    }
}

impl EvidencePlaces {
    /// Opens the directory that holds the runs of the workspace at `root`; nothing where there is none yet. Below the
    /// workspace no link is followed.
    ///
    /// # Errors
    /// When it may not be opened, or something else stands in its place.
    pub fn open_runs(&self, root: &RootPath) -> Result<Option<Dir>, DurableError> {
        let (anchor, below) = match self.runs.strip_prefix(root.as_path()) {
            Ok(below) => (root.as_path(), below),
            Err(_) => (self.runs.as_path(), Path::new("")),
        };
        match Dir::open(anchor) {
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
            Ok(anchor) => anchor.descend(below),
        }
    }
}

/// Whether this process runs in a stage of another workspace than this one.
#[must_use]
pub fn is_of_other_stage(root: &RootPath) -> bool {
    let around = std::env::var(RUNS_AROUND).unwrap_or_default();
    let around = around::read(&around).pop();
    around.is_some_and(|run| run.workspace != *root)
}

/// An absolute path without `.` and `..`, as the published orchestrator resolves its directories: by the text alone.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(resolved.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => resolved.push(part),
        }
    }
    resolved
}

//! What of a workspace is never content: the evidence, wherever it is kept.
//!
//! Computed once for a configuration, from what the caller found on disk; nothing here touches it.

use super::names;
use crate::model::id::TaskId;
use crate::model::path::{RelPath, RootPath};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The directories that hold evidence, and the files that hold the configuration.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Where runs are kept if not in `.runs`; relative to the workspace or absolute.
    pub runs: Option<PathBuf>,
    /// Where snapshots are kept if not in `out`; relative to the workspace or absolute.
    pub out: Option<PathBuf>,
    /// Files below the workspace that the configuration is made of.
    pub configuration: Vec<RelPath>,
    /// Tasks that have evidence here, also where the configuration names them no more.
    pub tasks: BTreeSet<TaskId>,
}

impl Places {
    /// The paths that hold evidence: of runs, and of the tasks that have some.
    pub(in crate::daemon) fn excluded(&self, root: &RootPath) -> BTreeSet<Box<[u8]>> {
        let runs = [Some(Path::new(".runs")), self.runs.as_deref()];
        let runs = runs.into_iter().flatten();
        let runs = runs.filter_map(|path| below(root, path));
        runs.chain(self.snapshots(root, &self.tasks)).collect()
    }

    /// The directories of these tasks' snapshots.
    pub(in crate::daemon) fn snapshots<'a>(
        &self,
        root: &RootPath,
        tasks: impl IntoIterator<Item = &'a TaskId>,
    ) -> BTreeSet<Box<[u8]>> {
        let out = [Some(Path::new("out")), self.out.as_deref()];
        let out: Vec<&Path> = out.into_iter().flatten().collect();
        let tasks = tasks.into_iter();
        tasks
            .flat_map(|task| out.iter().map(|out| out.join(task.as_str())))
            .filter_map(|path| below(root, &path))
            .collect()
    }
}

/// The bytes of a path below the root; `None` for the root itself and for what lies elsewhere.
fn below(root: &RootPath, path: &Path) -> Option<Box<[u8]>> {
    let path = if path.is_absolute() {
        root.relative(path)?
    } else {
        RelPath::new(path).ok()?
    };
    (!path.is_root()).then(|| names::of(&path))
}

//! Runs as their files say them: a manifest and a sidecar each, or why they cannot be read.
//!
//! Read from `.runs/<task>/cli/*`, newest first and bounded. One run that is damaged hides no other. A run has one
//! manifest, however often it was resumed: what it says is its last state.

use crate::documents::shelf::{self, Shelf, ShelfError};
use crate::limits::documents::{RECORD_NAMES_MAX, RECORDS_MAX};
use crate::model::evidence::{Layout, Manifest, RunRecord, Sidecar, Unreadable};
use crate::model::id::{RunId, TaskId};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

const MANIFEST: &str = "manifest.json";
const SIDECAR: &str = "orchd.json";

/// Why a file of a run tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum Untold {
    /// There is none.
    #[error("it is not there")]
    Missing,
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ShelfError),
    /// It is damaged, of a newer version, or something else.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is of another run than its directory.
    #[error("it is of the run `{run}` of task `{task}`")]
    Other {
        /// The task that it names.
        task: TaskId,
        /// The run that it names.
        run: RunId,
    },
}

/// One run, as its files say it.
#[derive(Debug)]
pub struct Record {
    /// The run: the name of its directory.
    pub run_id: RunId,
    /// The task that its directory lies under.
    pub task_id: TaskId,
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// Its manifest as documents call it, relative to the workspace.
    pub path: String,
    /// What it says of itself.
    pub manifest: Result<Manifest, Untold>,
    /// What its manifest has no field for; [`Untold::Missing`] where another tool made it.
    pub sidecar: Result<Sidecar, Untold>,
}

impl Record {
    /// Its manifest, if that can be read.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref().ok()
    }

    /// Its sidecar, if there is one that can be read.
    #[must_use]
    pub fn sidecar(&self) -> Option<&Sidecar> {
        self.sidecar.as_ref().ok()
    }

    /// Its row in the history; none where its manifest cannot be read.
    #[must_use]
    pub fn row(&self, layout: &Layout) -> Option<RunRecord> {
        Some(RunRecord::of(self.manifest()?, self.sidecar(), layout))
    }
}

/// The runs of a task, newest first; none where it has none. Of more than `RECORDS_MAX` the newest.
///
/// # Errors
/// When the directory that holds them cannot be read.
pub fn of_task(shelf: &Shelf, task: &TaskId) -> Result<Vec<Record>, ShelfError> {
    let runs = run_ids(shelf, task)?;
    Ok(runs.into_iter().map(|run| one(shelf, task, run)).collect())
}

/// The ids of a task's runs, newest first, without a look at their files; as many as [`of_task`] reads.
///
/// # Errors
/// When the directory that holds them cannot be read.
pub fn run_ids(shelf: &Shelf, task: &TaskId) -> Result<Vec<RunId>, ShelfError> {
    let path = shelf.places().runs.join(task.as_str()).join("cli");
    let failed = |source| ShelfError::Read {
        path: path.clone(),
        source,
    };
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if is_nothing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries.take(RECORD_NAMES_MAX) {
        names.push(entry.map_err(failed)?.file_name());
    }
    Ok(newest(names.iter().map(AsRef::as_ref)))
}

/// The runs that these directories are named for, newest first; of more than `RECORDS_MAX` the newest.
#[must_use]
pub fn newest<'n>(names: impl Iterator<Item = &'n OsStr>) -> Vec<RunId> {
    let ids = names.filter_map(|name| RunId::parse(name.to_str()?).ok());
    let mut found: Vec<RunId> = ids.collect();
    found.sort_by(|a, b| (is_timed(b), b).cmp(&(is_timed(a), a)));
    found.truncate(RECORDS_MAX);
    found
}

/// One run of a task; what of it is not there is told in its place.
#[must_use]
pub fn one(shelf: &Shelf, task: &TaskId, run: RunId) -> Record {
    let directory = shelf.places().runs.join(task.as_str()).join("cli");
    let directory = directory.join(run.as_str());
    let manifest = read(&directory.join(MANIFEST)).and_then(|bytes| {
        let manifest = Manifest::parse(&bytes)?;
        if manifest.run_id == run && manifest.task_id == *task {
            return Ok(manifest);
        }
        Err(Untold::Other {
            task: manifest.task_id,
            run: manifest.run_id,
        })
    });
    let sidecar = read(&directory.join(SIDECAR)).and_then(|bytes| Ok(Sidecar::parse(&bytes)?));
    Record {
        path: shelf.layout().manifest(task, &run),
        task_id: task.clone(),
        run_id: run,
        directory,
        manifest,
        sidecar,
    }
}

/// Records by the id of their run.
#[must_use]
pub fn by_id(records: &[Record]) -> BTreeMap<&RunId, &Record> {
    let each = records.iter();
    each.map(|record| (&record.run_id, record)).collect()
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, Untold> {
    shelf::read(path)?.ok_or(Untold::Missing)
}

/// Whether an id begins with its time, as ours and the published orchestrator's do. Others are older than all.
fn is_timed(run: &RunId) -> bool {
    let text = run.as_str().as_bytes();
    text.len() >= 19
        && text.iter().take(19).enumerate().all(|(at, byte)| match at {
            4 | 7 | 13 | 16 => *byte == b'-',
            10 => *byte == b'T',
            _ => byte.is_ascii_digit(),
        })
}

fn is_nothing(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "a test writes files in a directory of its own"
    )]

    use super::*;
    use crate::model::evidence::document;
    use crate::model::evidence::tests::report;
    use crate::model::path::RootPath;
    use crate::model::run::RunStatus;

    fn manifest_text(task: &str, run: &str) -> String {
        let mut report = report(task, 1, RunStatus::Succeeded);
        report.run = RunId::parse(run).unwrap();
        let manifest = Manifest::new(&report, task, "token", &Layout::default());
        String::from_utf8(document(&manifest)).unwrap()
    }

    fn shelf(files: &[(&str, &str)]) -> (tempfile::TempDir, Shelf) {
        let dir = tempfile::tempdir().unwrap();
        let toml =
            "[[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'a'\ncommand = 'x'\n";
        for (name, text) in files.iter().chain(&[("orchd.toml", toml)]) {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let root = RootPath::new(&dir.path().canonicalize().unwrap()).unwrap();
        let shelf = Shelf::open(&root, None).unwrap();
        (dir, shelf)
    }

    #[test]
    fn one_that_is_damaged_hides_no_other_and_the_newest_comes_first() {
        let (old, new) = (
            "2026-11-20T10-00-00-000Z-00000001",
            "2026-11-21T10-00-00-000Z-00000002",
        );
        let base = ".runs/t/cli";
        let (_dir, shelf) = shelf(&[
            (
                &format!("{base}/{old}/manifest.json"),
                &manifest_text("t", old),
            ),
            (&format!("{base}/{new}/manifest.json"), "{\"version\": 1,"),
            (
                &format!("{base}/zz-by-hand/manifest.json"),
                &manifest_text("t", old),
            ),
            (&format!("{base}/2026-11-22T10-00-00-000Z-00000003/x"), ""),
        ]);
        let task = TaskId::parse("t").unwrap();
        let records = of_task(&shelf, &task).unwrap();
        let ids: Vec<_> = records.iter().map(|it| it.run_id.as_str()).collect();
        assert_eq!(
            ids,
            ["2026-11-22T10-00-00-000Z-00000003", new, old, "zz-by-hand"]
        );
        assert!(matches!(records[0].manifest, Err(Untold::Missing)));
        assert!(matches!(records[1].manifest, Err(Untold::Unreadable(_))));
        assert_eq!(records[2].manifest().unwrap().run_id.as_str(), old);
        assert!(matches!(records[2].sidecar, Err(Untold::Missing)));
        assert_eq!(records[2].path, format!("{base}/{old}/manifest.json"));
        assert!(
            matches!(&records[3].manifest, Err(Untold::Other { run, .. }) if run.as_str() == old)
        );
        let none = TaskId::parse("none").unwrap();
        assert_eq!(of_task(&shelf, &none).unwrap().len(), 0);
    }
}

//! The last run of a pipeline as a start finds it, and the stage that it failed at.
//!
//! The same failure is told with the same words before a restart and after it: of the failed stages the one that failed
//! first, and of its output the line that was shown when it did, which stands at the end of its log. Little is read,
//! however much a stage wrote, and nothing is written.

use super::files::Files;
use crate::daemon::log::read::read_end;
use crate::disk::durable::Dir;
use crate::limits::{EVIDENCE_BYTES_MAX, SUBPIPELINE_DEPTH_MAX};
use crate::model::evidence::{Command, Manifest, RunRecord, numbered};
use crate::model::id::{RunId, StageId, TaskId};
use crate::model::run::StageStatus;
use crate::model::summary::failure_excerpt;
use std::ffi::OsStr;
use std::path::Path;

/// The last run of a pipeline.
#[derive(Clone, Debug)]
pub struct Last {
    /// Its row in the history.
    pub record: RunRecord,
    /// Why it stands where it stands.
    pub status_detail: Option<String>,
    /// The stage that failed first.
    pub failure: Option<Failure>,
}

/// A stage that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The stage.
    pub stage: StageId,
    /// Its name in file names, where others of its run have the same id.
    pub name: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i64>,
    /// The line of its output that most likely tells why; its summary where there is none.
    pub excerpt: String,
    /// Its log, relative to the workspace.
    pub log_path: Option<String>,
    /// The child run that these are of, where the stage is a pipeline.
    pub run_id: Option<RunId>,
}

impl Last {
    /// What the files of a run say of it, which is the last of its pipeline.
    pub(super) fn of(runs: &Dir, record: RunRecord) -> Self {
        let files = Files::open(runs, &record.task_id, &record.run_id);
        let files = files.ok().flatten();
        let manifest = files.as_ref().and_then(|files| files.read_manifest().ok());
        let failure = files.as_ref().zip(manifest.as_ref());
        let failure = failure.and_then(|(files, manifest)| failed_first(files, manifest));
        let failure = failure.map(|(failure, child)| {
            match child.and_then(|child| failed_below(runs, &record.task_id, child)) {
                None => failure,
                Some(below) => Failure {
                    stage: failure.stage,
                    name: failure.name,
                    ..below
                },
            }
        });
        Self {
            record,
            status_detail: manifest.and_then(|manifest| manifest.status_detail),
            failure,
        }
    }
}

/// The stage that a run failed at first, and the child run that it is where it is a pipeline.
fn failed_first(files: &Files, manifest: &Manifest) -> Option<(Failure, Option<RunId>)> {
    let stages = manifest.commands.iter();
    let failed = stages.filter(|stage| stage.status == StageStatus::Failed);
    let stage = failed.min_by_key(|stage| stage.completed_at)?;
    let said = said_by(&files.run, stage);
    let twins = manifest.commands.iter();
    let twins = twins.filter(|other| other.id == stage.id);
    let place = usize::try_from(stage.index).unwrap_or_default();
    let failure = Failure {
        stage: stage.id.clone(),
        name: (twins.count() > 1).then(|| numbered(place, &stage.id)),
        exit_code: stage.exit_code,
        excerpt: said.or_else(|| stage.summary.clone()).unwrap_or_default(),
        log_path: stage.log_path.clone(),
        run_id: None,
    };
    Some((failure, stage.sub_run_id.clone()))
}

/// The command that a child run failed at first, or one below it.
fn failed_below(runs: &Dir, task: &TaskId, child: RunId) -> Option<Failure> {
    let mut next = child;
    for _ in 0..SUBPIPELINE_DEPTH_MAX {
        let files = Files::open(runs, task, &next).ok()??;
        let manifest = files.read_manifest().ok()?;
        let (failure, below) = failed_first(&files, &manifest)?;
        let Some(below) = below else {
            let run_id = Some(next);
            return Some(Failure { run_id, ..failure });
        };
        next = below;
    }
    None
}

/// The line that was shown when a stage failed; where its log does not tell, as another tool's, one of what its error file
/// holds of its standard error. Both may have been edited since: they are made fit to be shown again.
fn said_by(run: &Dir, stage: &Command) -> Option<String> {
    let ended = file(run, "commands", stage.log_path.as_deref())
        .and_then(|(dir, name)| read_end(&dir, name).ok().flatten());
    let told = ended.and_then(|end| failure_excerpt("", &end.excerpt?));
    told.or_else(|| {
        let (dir, name) = file(run, "errors", stage.error_file.as_deref())?;
        let bytes = dir.read(name, EVIDENCE_BYTES_MAX).ok()??;
        let error: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        failure_excerpt("", error.pointer("/details/stderr")?.as_str()?)
    })
}

/// The directory of a run that holds such files, and the name that `path` ends with.
fn file<'a>(run: &Dir, directory: &str, path: Option<&'a str>) -> Option<(Dir, &'a OsStr)> {
    let name = Path::new(path?).file_name()?;
    let dir = run.descend(Path::new(directory)).ok()??;
    Some((dir, name))
}

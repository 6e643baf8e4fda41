//! What was: the list of runs, one run in full, and a run taken up again.
//!
//! Read from the index and checked against the files that are shown, so that another tool's changes are seen.

use super::files::{Files, MANIFEST, SIDECAR};
use super::open::Open;
use super::owner::Life;
use super::{Desk, EvidenceError, ReadError};
use crate::daemon::index::Key;
use crate::limits::{EVIDENCE_BYTES_MAX, RUNS_NAMED_MAX};
use crate::model::digest::{InputDigest, StageKey};
use crate::model::evidence::{ChildRun, Manifest, RunRecord, Sidecar, SidecarStage};
use crate::model::id::{PipelineId, RunId, StageId, TaskId};
use crate::model::report::runs::ListedRun;
use crate::model::run::{Outcome, StageStatus};
use crate::model::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;

/// What a part of a run's id names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This run.
    One(RunRecord),
    /// Several.
    Many {
        /// The first of them.
        first: Vec<RunId>,
        /// How many there are beside these.
        more: usize,
    },
    /// None.
    None,
}

/// One run in full: the answer to `orchctl show`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// Its row in the history.
    #[serde(flatten)]
    pub record: RunRecord,
    /// Its manifest, as it stands.
    #[serde(rename = "manifest_content")]
    pub content: Value,
    /// Its sidecar, as it stands.
    pub sidecar: Option<Value>,
    /// Where its files are.
    pub paths: ShownPaths,
}

/// Where the files of a run are; absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownPaths {
    /// Its directory.
    pub artifact_root: PathBuf,
    /// Its manifest.
    pub manifest: PathBuf,
    /// Its log, all stages in one.
    pub log: PathBuf,
    /// Its sidecar.
    pub sidecar: PathBuf,
}

/// A run that is taken up again: what its files say.
#[derive(Clone, Debug, PartialEq)]
pub struct Reopened {
    /// The task that it lives under.
    pub task: TaskId,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// Whether a living process owns it and is not done with it.
    pub owned: bool,
    /// When it was made.
    pub started_at: Timestamp,
    /// What a resume may be asked for.
    pub resume_token: String,
    /// The run that it is a child of.
    pub parent: Option<RunId>,
    /// The approval policy that its caller named.
    pub approval_policy: Option<String>,
    /// Its stages, in order.
    pub stages: Vec<ReopenedStage>,
    /// Its child runs.
    pub children: Vec<ChildRun>,
}

/// A stage of a run that is taken up again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReopenedStage {
    /// Its id.
    pub id: StageId,
    /// Where it stands.
    pub status: StageStatus,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Its exit code.
    pub exit_code: Option<i64>,
    /// One line on how it went.
    pub summary: Option<String>,
    /// Its child run.
    pub child: Option<RunId>,
    /// What its result depends on as far as a look tells it, where that was still so when its run ended.
    pub content_key: Option<StageKey>,
    /// The same with what other stages have left.
    pub key: Option<StageKey>,
    /// The keys on which the stages below it have passed, of one that is a pipeline.
    pub below: BTreeSet<StageKey>,
    /// The content that it read, where the sidecar says so.
    pub input: Option<InputDigest>,
    /// How it ended, where the sidecar says so.
    pub outcome: Option<Outcome>,
    /// Attempts.
    pub attempts: u32,
    /// From first spawn to last exit, in milliseconds.
    pub duration_ms: u64,
    /// Bytes that it wrote.
    pub log_bytes: u64,
    /// Whether its log lacks some of them.
    pub truncated: bool,
    /// The run whose proof was taken instead of running it.
    pub reused_from: Option<RunId>,
}

impl Desk {
    /// The newest runs, of one task or of all: at most `limit`, newest first.
    ///
    /// # Errors
    /// When the runs directory cannot be read.
    pub fn runs(
        &mut self,
        task: Option<&TaskId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<RunRecord>, EvidenceError> {
        let Some(runs) = self.runs.open()? else {
            return Ok(Vec::new());
        };
        self.index.refresh(&runs, now)?;
        let rows = self.index.newest(&runs, task, limit);
        if self.index.unread().next().is_none() {
            return Ok(rows);
        }
        self.mend(&runs, now);
        Ok(self.index.newest(&runs, task, limit))
    }

    /// The same as they are listed.
    ///
    /// # Errors
    /// When the runs directory cannot be read.
    pub fn listed_runs(
        &mut self,
        task: Option<&TaskId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<ListedRun>, EvidenceError> {
        let records = self.runs(task, limit, now)?.into_iter();
        let listed = records.map(|record| ListedRun {
            record,
            workspace: None,
            flaky: None,
        });
        Ok(listed.collect())
    }

    /// The newest runs that have a flaky stage, with what is known of those, of one task or of all: at most `limit`.
    ///
    /// # Errors
    /// When the runs directory cannot be read.
    pub fn flaky_runs(
        &mut self,
        task: Option<&TaskId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<ListedRun>, EvidenceError> {
        let Some(runs) = self.runs.open()? else {
            return Ok(Vec::new());
        };
        self.index.refresh(&runs, now)?;
        if self.index.unread().next().is_some() {
            self.mend(&runs, now);
        }
        Ok(self.index.flaky(&runs, task, limit))
    }

    /// The run that `part` of an id names.
    ///
    /// # Errors
    /// When the runs directory cannot be read, or the manifest of the only run that fits.
    pub fn find(&mut self, part: &str, now: Timestamp) -> Result<Found, EvidenceError> {
        let Some(runs) = self.runs.open()? else {
            return Ok(Found::None);
        };
        self.index.refresh(&runs, now)?;
        if let [key] = self.index.matching(part).as_slice() {
            // It may have been torn since, and is found among those then.
            let _row = self.index.check(&runs, key);
        }
        self.mend(&runs, now);
        let keys = self.index.matching(part);
        Ok(match keys.as_slice() {
            [] => match self.unshown(&runs, part) {
                Some(error) => return Err(error),
                None => Found::None,
            },
            [key] => match self.index.check(&runs, key) {
                Some(row) => Found::One(row.record.clone()),
                None => Found::None,
            },
            many => {
                let (first, more) = many.split_at(many.len().min(RUNS_NAMED_MAX));
                Found::Many {
                    first: first.iter().map(|key| key.1.clone()).collect(),
                    more: more.len(),
                }
            }
        })
    }

    /// One run in full.
    ///
    /// # Errors
    /// When there is no such run, or its manifest cannot be read.
    pub fn show(&mut self, run: &RunId, now: Timestamp) -> Result<Shown, EvidenceError> {
        let (files, manifest, sidecar) = self.look(run, now)?;
        let raw = |name: &str| -> Option<Value> {
            let bytes = files
                .run
                .read(OsStr::new(name), EVIDENCE_BYTES_MAX)
                .ok()??;
            serde_json::from_slice(&bytes).ok()
        };
        let directory = files.run.path();
        Ok(Shown {
            record: RunRecord::of(&manifest, sidecar.as_ref(), &self.layout),
            content: raw(MANIFEST).unwrap_or_default(),
            sidecar: raw(SIDECAR),
            paths: ShownPaths {
                manifest: directory.join(MANIFEST),
                log: directory.join("runner.ndjson"),
                sidecar: directory.join(SIDECAR),
                artifact_root: directory.to_path_buf(),
            },
        })
    }

    /// What the files of a run say that is to be taken up again; nothing is kept of it until [`Desk::begin`].
    ///
    /// # Errors
    /// When there is no such run, or its manifest is damaged or of a newer version.
    pub fn reopen(&mut self, run: &RunId, now: Timestamp) -> Result<Reopened, EvidenceError> {
        let (files, manifest, sidecar) = self.look(run, now)?;
        if let Err(ReadError::Unreadable(source)) = files.read_sidecar() {
            let path = files.run.path().join(SIDECAR);
            return Err(EvidenceError::Unreadable { path, source });
        }
        let owner = files.read_owner().filter(|owner| *owner != self.owner);
        let owned = self.open.get(run).is_some_and(Open::is_under_way)
            || owner.is_some_and(|owner| owner.life() == Life::Alive);
        Ok(Reopened::of(&manifest, sidecar.as_ref(), owned))
    }

    fn look(
        &mut self,
        run: &RunId,
        now: Timestamp,
    ) -> Result<(Files, Manifest, Option<Sidecar>), EvidenceError> {
        let unknown = || EvidenceError::UnknownRun { run: run.clone() };
        let runs = self.runs_dir(run)?;
        self.index.refresh(&runs, now)?;
        let keys = self.index.matching(run.as_str());
        let key = keys.into_iter().find(|key| &key.1 == run);
        let unread = || -> Option<Key> {
            let mut unread = self.index.unread();
            unread.find(|key| &key.1 == run).cloned()
        };
        let (task, run) = key.or_else(unread).ok_or_else(unknown)?;
        let files = self.files(&runs, &task, &run)?;
        let manifest = match files.read_manifest() {
            Ok(manifest) => manifest,
            Err(ReadError::Disk(error)) => return Err(error.into()),
            Err(ReadError::Missing) => return Err(EvidenceError::UnknownRun { run }),
            Err(ReadError::Unreadable(source)) => {
                let path = files.run.path().join(MANIFEST);
                return Err(EvidenceError::Unreadable { path, source });
            }
        };
        let sidecar = files.read_sidecar().ok();
        Ok((files, manifest, sidecar))
    }
}

impl Reopened {
    fn of(manifest: &Manifest, sidecar: Option<&Sidecar>, owned: bool) -> Self {
        // The stages of a void run may have read what was there in between: nobody knows of which content they tell.
        let void = sidecar.is_some_and(|sidecar| sidecar.void.is_some());
        let stages = manifest.commands.iter().enumerate();
        let stages = stages.map(|(place, command)| {
            let beside = sidecar.and_then(|sidecar| sidecar.stages.get(place));
            let beside = beside.filter(|stage| stage.id == command.id);
            // One that says no outcome is from before the run's end: the content was never held against what it ran on.
            let known = beside.filter(|stage| !void && stage.outcome != Outcome::None);
            ReopenedStage {
                id: command.id.clone(),
                status: command.status,
                started_at: command.started_at,
                completed_at: command.completed_at,
                exit_code: command.exit_code,
                summary: command.summary.clone(),
                child: command.sub_run_id.clone(),
                content_key: known.and_then(SidecarStage::content_key),
                key: known.and_then(|stage| stage.key),
                below: known.map(|stage| stage.below.clone()).unwrap_or_default(),
                input: beside.and_then(|stage| stage.input_digest),
                outcome: beside.map(|stage| stage.outcome),
                attempts: beside.map_or(0, |stage| stage.attempts),
                duration_ms: beside.map_or(0, |stage| stage.duration_ms),
                log_bytes: beside.map_or(0, |stage| stage.log_bytes),
                truncated: beside.is_some_and(|stage| stage.truncated),
                reused_from: beside.and_then(|stage| stage.reused_from.clone()),
            }
        });
        Self {
            task: manifest.task_id.clone(),
            pipeline: manifest.pipeline_id.clone(),
            owned,
            started_at: manifest.started_at,
            resume_token: manifest.resume_token.clone(),
            parent: manifest.parent_run_id.clone(),
            approval_policy: manifest.approval_policy.clone(),
            stages: stages.collect(),
            children: manifest.child_runs.clone(),
        }
    }
}

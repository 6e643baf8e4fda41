//! A run as an in-toto Statement v1 with the predicate `test-result` v0.1, so that other tools can read what it proves.
//!
//! Made of the run's files alone: the same bytes whenever it is made. It is not signed, and says of nobody that he has
//! made it. A run that proves nothing is refused, and so is one whose files are not what was recorded.

use super::{EvidenceFinding, EvidenceKind, IntegrityError, of_run};
use crate::disk::chain::linked_files;
use crate::disk::durable::{Dir, DurableError};
use crate::documents::records::{self, Record};
use crate::documents::shelf::{Shelf, ShelfError};
use crate::limits::documents::RUNS_NAMED_MAX;
use crate::model::digest::Digest;
use crate::model::evidence::{Manifest, Sidecar, SidecarStage};
use crate::model::id::{RunId, TaskId};
use crate::model::judged::Judged;
use crate::model::run::{Outcome, StageStatus, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// The files of a run that say how it was configured and what came of it.
const CONFIGURATION: [&str; 2] = ["manifest.json", "orchd.json"];

/// Why there is no statement about a run.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Something of the workspace cannot be read.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The evidence cannot be held against its chain.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// The run cannot be read.
    #[error(transparent)]
    Disk(#[from] DurableError),
    /// No run is called so.
    #[error("no run here has `{part}` in its id")]
    NoRun {
        /// What was named.
        part: String,
    },
    /// Several are.
    #[error("`{part}` is part of several runs: {}", runs.join(", "))]
    Runs {
        /// What was named.
        part: String,
        /// Some of them.
        runs: Vec<String>,
    },
    /// It says nothing of any content.
    #[error("run {run} proves nothing: {why}")]
    Unproven {
        /// The run.
        run: RunId,
        /// Why.
        why: &'static str,
    },
    /// Its files are not what was recorded.
    #[error("the files of run {run} are not what was recorded: `{path}`: {message}")]
    Tampered {
        /// The run.
        run: RunId,
        /// The first of them.
        path: String,
        /// What is wrong with it.
        message: String,
    },
}

/// An in-toto Statement v1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: TestResult,
}

/// A resource, as in-toto describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Resource {
    name: String,
    digest: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

/// The predicate `test-result` v0.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct TestResult {
    result: Outcomes,
    configuration: Vec<Resource>,
    passed_tests: Vec<String>,
    warned_tests: Vec<String>,
    failed_tests: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Outcomes {
    Passed,
    Warned,
    Failed,
}

/// The statement about the run that is named by any part of its id that names no other.
///
/// # Errors
/// When there is no such run, it proves nothing, or its files are not what was recorded.
pub fn export(shelf: &Shelf, part: &str) -> Result<Statement, StatementError> {
    let (task, run) = find(shelf, part)?;
    let found = of_run(shelf, &task, &run)?;
    // Nothing speaks against a run that is older than its chain.
    if let Some(first) = found
        .into_iter()
        .find(|it| it.kind != EvidenceKind::Unchained)
    {
        let EvidenceFinding { path, message, .. } = first;
        return Err(StatementError::Tampered { run, path, message });
    }
    let record = records::one(shelf, &task, run);
    let files = linked_files(&Dir::open(&record.directory)?)?;
    let digest = |name: &str| Some(files.iter().find(|it| it.path == name)?.sha256);
    let configuration = CONFIGURATION.into_iter().filter_map(|name| {
        let path = record.path.strip_suffix("manifest.json")?;
        Some((format!("{path}{name}"), digest(name)?))
    });
    let configuration: Vec<(String, Digest)> = configuration.collect();
    statement(&record, configuration)
}

/// The run of any task that is meant.
fn find(shelf: &Shelf, part: &str) -> Result<(TaskId, RunId), StatementError> {
    let named = part.strip_suffix("/manifest.json").unwrap_or(part);
    let named = named.rsplit('/').next().unwrap_or(named);
    let Some(runs) = super::open(shelf)? else {
        let part = part.to_owned();
        return Err(StatementError::NoRun { part });
    };
    let mut fits = Vec::new();
    for task in super::tasks(&runs, None)? {
        for run in records::run_ids(shelf, &task)? {
            if run.as_str() == named {
                return Ok((task, run));
            }
            if run.as_str().contains(named) {
                fits.push((task.clone(), run));
            }
        }
    }
    let part = part.to_owned();
    match (fits.pop(), fits.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(StatementError::NoRun { part }),
        (Some(last), false) => {
            fits.push(last);
            let runs = fits.iter().take(RUNS_NAMED_MAX);
            let runs = runs.map(|(_, run)| run.to_string()).collect();
            Err(StatementError::Runs { part, runs })
        }
    }
}

/// The statement about a run whose configuration is in these files.
fn statement(
    record: &Record,
    configuration: Vec<(String, Digest)>,
) -> Result<Statement, StatementError> {
    let unproven = |why| StatementError::Unproven {
        run: record.run_id.clone(),
        why,
    };
    let manifest = record.manifest();
    let manifest = manifest.ok_or_else(|| unproven("its manifest cannot be read"))?;
    if !manifest.status.is_terminal() {
        return Err(unproven("it has not ended"));
    }
    let sidecar = record.sidecar();
    let sidecar = sidecar.ok_or_else(|| unproven("it has no readable `orchd.json`"))?;
    if sidecar.void.is_some() {
        return Err(unproven("what it read was changed meanwhile"));
    }
    let mut results = results(manifest, sidecar);
    results.result = match sidecar.verdict {
        Verdict::Fail | Verdict::Unstable => Outcomes::Failed,
        Verdict::Flaky => Outcomes::Warned,
        Verdict::Pass if !results.warned_tests.is_empty() => Outcomes::Warned,
        Verdict::Pass => Outcomes::Passed,
        Verdict::Error => return Err(unproven("it could not be carried out (`error`)")),
        Verdict::Unknown => return Err(unproven("its verdict is `unknown`")),
    };
    let subject = subject(record, sidecar);
    let subject = subject.ok_or_else(|| unproven("it does not say which content it ran on"))?;
    let files = configuration.into_iter().map(|(name, digest)| Resource {
        name,
        digest: BTreeMap::from([("sha256", digest.to_string())]),
        annotations: BTreeMap::new(),
    });
    results.configuration = files.chain(sidecar.stages.iter().filter_map(key)).collect();
    Ok(Statement {
        kind: STATEMENT,
        subject: vec![subject],
        predicate_type: PREDICATE,
        predicate: results,
    })
}

/// What was tested: a commit, a tree of git, or the files that stages read.
fn subject(record: &Record, sidecar: &Sidecar) -> Option<Resource> {
    let about = |text: &str| BTreeMap::from([("orchd.subject", text.to_owned())]);
    let (name, algorithm, digest, annotations) = match &sidecar.judged {
        Some(Judged::Commit(oid)) => (
            "commit",
            "gitCommit",
            oid.as_str().to_owned(),
            BTreeMap::new(),
        ),
        Some(Judged::Index(oid)) => ("index", "gitTree", oid.as_str().to_owned(), BTreeMap::new()),
        None => (
            "inputs",
            "sha256",
            sidecar.input_digest?.to_string(),
            about(
                "the files that the stages read: digest of the root Directory of the Remote Execution API v2",
            ),
        ),
    };
    Some(Resource {
        name: format!("{}/{name}", record.task_id),
        digest: BTreeMap::from([(algorithm, digest)]),
        annotations,
    })
}

/// A stage's key: the digest of its definition and of what it read.
fn key(stage: &SidecarStage) -> Option<Resource> {
    let mut annotations = BTreeMap::new();
    if let Some(input) = stage.input_digest {
        annotations.insert("orchd.inputDigest", input.to_string());
    }
    if let Some(run) = &stage.reused_from {
        annotations.insert("orchd.reusedFrom", run.to_string());
    }
    Some(Resource {
        name: format!("stage key of {}", stage.id),
        digest: BTreeMap::from([("sha256", stage.key?.to_string())]),
        annotations,
    })
}

/// How each stage ended. One that did not run is in no list.
fn results(manifest: &Manifest, sidecar: &Sidecar) -> TestResult {
    let mut results = TestResult {
        result: Outcomes::Failed,
        configuration: Vec::new(),
        passed_tests: Vec::new(),
        warned_tests: Vec::new(),
        failed_tests: Vec::new(),
    };
    for stage in &sidecar.stages {
        let mut commands = manifest.commands.iter();
        let status = commands.find(|it| it.id == stage.id).map(|it| it.status);
        let is_allowed = status == Some(StageStatus::Skipped);
        let list = match stage.outcome {
            Outcome::None | Outcome::Cancelled => continue,
            Outcome::Passed => &mut results.passed_tests,
            Outcome::Flaky => &mut results.warned_tests,
            Outcome::Failed | Outcome::TimedOut | Outcome::Signalled | Outcome::Unspawnable => {
                match is_allowed {
                    true => &mut results.warned_tests,
                    false => &mut results.failed_tests,
                }
            }
        };
        list.push(stage.id.to_string());
    }
    results
}

#[cfg(test)]
mod tests;

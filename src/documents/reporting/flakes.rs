//! The flaky stages of a project: what has failed and passed on the same content, in whichever runs.
//!
//! As `orchctl runs --flaky` has it, counted by stage instead of listed by run.

use crate::documents::records::Record;
use crate::model::digest::StageKey;
use crate::model::id::{RunId, StageId};
use crate::model::run::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;

/// A stage that has failed and passed on the same content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlakyStage {
    /// The stage.
    pub stage: StageId,
    /// On how many contents.
    pub contents: usize,
    /// In how many runs it failed on one of them.
    pub failed: usize,
    /// In how many it passed on one of them.
    pub passed: usize,
    /// The newest run in which it failed on one of them; nothing where that is not kept.
    pub failed_in: Option<RunId>,
    /// The newest in which it passed on one of them.
    pub passed_in: Option<RunId>,
}

/// What runs have said against one content, the newest first.
#[derive(Default)]
struct Said<'r> {
    failed: Vec<&'r RunId>,
    passed: Vec<&'r RunId>,
    /// Whether a pass of it came after a failure that may not be kept.
    is_flaky: bool,
    /// Whether it failed whatever time it was given.
    surely: bool,
}

/// The flaky stages of records, which come newest first; in the order of their names.
#[must_use]
pub(super) fn of_records(records: &[Record]) -> Vec<FlakyStage> {
    let mut all: BTreeMap<(&StageId, StageKey), Said<'_>> = BTreeMap::new();
    for record in records {
        let Some(sidecar) = record.sidecar() else {
            continue;
        };
        let proves = sidecar.proves();
        for stage in &sidecar.stages {
            let Some(key) = stage.key else { continue };
            let said = all.entry((&stage.id, key)).or_default();
            let run = &record.run_id;
            if stage.outcome.has_failed() && (stage.against_key || proves) {
                said.failed.push(run);
                said.surely |= stage.outcome != Outcome::TimedOut;
            }
            if matches!(stage.outcome, Outcome::Passed | Outcome::Flaky)
                && stage.reused_from.is_none()
            {
                said.passed.push(run);
            }
            said.is_flaky |= stage.outcome == Outcome::Flaky;
        }
    }
    let mut flaky: BTreeMap<&StageId, FlakyStage> = BTreeMap::new();
    for ((stage, _), said) in all {
        if !(said.is_flaky || (said.surely && !said.passed.is_empty())) {
            continue;
        }
        let told = flaky.entry(stage).or_insert_with(|| FlakyStage {
            stage: stage.clone(),
            contents: 0,
            failed: 0,
            passed: 0,
            failed_in: None,
            passed_in: None,
        });
        told.contents += 1;
        told.failed += said.failed.len();
        told.passed += said.passed.len();
        newer(&mut told.failed_in, said.failed.first());
        newer(&mut told.passed_in, said.passed.first());
    }
    flaky.into_values().collect()
}

/// Keeps the newer of two runs; the ids begin with their time.
fn newer(kept: &mut Option<RunId>, run: Option<&&RunId>) {
    if let Some(run) = run
        && kept.as_ref().is_none_or(|kept| kept < *run)
    {
        *kept = Some((*run).clone());
    }
}

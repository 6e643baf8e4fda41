//! The flaky stages of a history: whose pass stands on a key that has failed, too, and in which runs either was.
//!
//! That is a fact about the key, so it is told of a pass whichever of the two came first, and of whichever run it was.

use super::{Index, Row};
use crate::disk::durable::Dir;
use crate::limits::FLAKY_RUNS_NAMED_MAX;
use crate::model::digest::StageKey;
use crate::model::id::{RunId, TaskId};
use crate::model::report::runs::{FlakyStage, ListedRun};
use crate::model::run::Outcome;
use std::collections::BTreeMap;

/// In which runs a key of a task has failed and passed, the newest first.
#[derive(Debug, Default)]
struct Told<'a> {
    failed: Vec<&'a RunId>,
    passed: Vec<&'a RunId>,
    /// Whether it has failed whatever time it was given.
    surely: bool,
}

type Histories<'a> = BTreeMap<(&'a TaskId, StageKey), Told<'a>>;

impl Index {
    /// The newest runs that have a flaky stage, of one task or of all: at most `limit`.
    pub(crate) fn flaky(
        &mut self,
        runs: &Dir,
        task: Option<&TaskId>,
        limit: usize,
    ) -> Vec<ListedRun> {
        // What is said of one run is found in others, so all of them have to be as they are on disk.
        self.check_all(runs);
        let rows = || {
            let rows = self.rows();
            rows.filter(|row| task.is_none_or(|task| row.record.task_id == *task))
        };
        let mut histories = Histories::new();
        rows().for_each(|row| note(&mut histories, row));
        let listed = rows().filter_map(|row| {
            let stages = flaky_stages(&histories, row);
            (!stages.is_empty()).then(|| ListedRun {
                record: row.record.clone(),
                workspace: None,
                flaky: Some(stages),
            })
        });
        listed.take(limit).collect()
    }
}

fn note<'a>(histories: &mut Histories<'a>, row: &'a Row) {
    let run = &row.record.run_id;
    for said in row.said.iter().flatten() {
        let told = histories
            .entry((&row.record.task_id, said.key))
            .or_default();
        let failed = said.outcome.has_failed() || said.has_failed_here();
        if failed && told.failed.last() != Some(&run) {
            told.failed.push(run);
        }
        if !said.outcome.has_failed() && told.passed.last() != Some(&run) {
            told.passed.push(run);
        }
        // Whether more time was given since is not known here.
        told.surely |= said.tells_of_failure() && said.outcome != Outcome::TimedOut;
    }
}

fn flaky_stages(histories: &Histories<'_>, row: &Row) -> Vec<FlakyStage> {
    let said = row.said.iter().flatten();
    let stages = said.filter_map(|said| {
        let told = histories.get(&(&row.record.task_id, said.key))?;
        let is_flaky =
            said.outcome == Outcome::Flaky || (said.outcome == Outcome::Passed && told.surely);
        let newest = |runs: &[&RunId]| {
            let runs = runs.iter().take(FLAKY_RUNS_NAMED_MAX);
            runs.map(|run| (*run).clone()).collect()
        };
        is_flaky.then(|| FlakyStage {
            stage: said.stage.clone(),
            key: said.key,
            failed_in: newest(&told.failed),
            passed_in: newest(&told.passed),
            sub_run_id: said.below.clone(),
        })
    });
    stages.collect()
}

//! The judge of what is flaky: a green pass never stands for a key that has failed before, and nothing is called flaky
//! that has not failed.

use crate::fixture::index;
use crate::outside::proves;
use orch::model::digest::StageKey;
use orch::model::id::RunId;
use orch::model::run::{Outcome, RunReport, StageReport, StageWork, Verdict};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Failed {
    /// Which runs, whose evidence is on disk, say of a project's key that it has failed, and how.
    by: BTreeMap<(usize, StageKey), BTreeMap<RunId, Outcome>>,
    /// Of which that was ever told of content that stood still.
    ever: BTreeSet<(usize, StageKey)>,
    /// Runs with a flaky stage.
    flaky: BTreeSet<RunId>,
}

fn said(report: &RunReport) -> impl Iterator<Item = ((usize, StageKey), Outcome)> {
    let place = index(&report.task);
    let stages = report.stages.iter();
    let stages = stages.filter(|stage| stage.outcome.tells_of_failure());
    stages.filter_map(move |stage| Some(((place, stage.key?), stage.outcome)))
}

impl Failed {
    /// The end of a run is told, and its evidence is on disk.
    pub(super) fn told(&mut self, report: &RunReport) {
        if report.void.is_some() || report.verdict == Verdict::Error {
            return;
        }
        self.ever.extend(said(report).map(|(key, _)| key));
        if proves(report) {
            self.note(report);
        }
    }

    fn note(&mut self, report: &RunReport) {
        for (key, outcome) in said(report) {
            let runs = self.by.entry(key).or_default();
            runs.insert(report.run.clone(), outcome);
        }
    }

    /// The evidence of a run is gone, or about to say something else.
    pub(super) fn forget(&mut self, run: &RunId) {
        for runs in self.by.values_mut() {
            runs.remove(run);
        }
    }

    pub(super) fn forget_for_time(&mut self, place: usize) {
        let ours = self.by.iter_mut().filter(|((of, _), _)| *of == place);
        ours.for_each(|(_, runs)| runs.retain(|_, outcome| *outcome != Outcome::TimedOut));
    }

    pub(super) fn restarted(&mut self, disk: &[RunReport]) {
        self.by.clear();
        let proving = disk.iter().filter(|report| proves(report));
        proving.for_each(|report| self.note(report));
    }

    pub(super) fn judge(&mut self, report: &RunReport) {
        let place = index(&report.task);
        let now: BTreeSet<StageKey> = said(report)
            .filter(|(_, outcome)| outcome.has_failed())
            .map(|((_, key), _)| key)
            .collect();
        let has_failed = |key: StageKey| {
            let before = self.by.get(&(place, key));
            now.contains(&key) || before.is_some_and(|runs| !runs.is_empty())
        };
        let passed = |stage: &&StageReport| stage.outcome == Outcome::Passed;
        if report.verdict == Verdict::Pass {
            let mut passed = report.stages.iter().filter(passed);
            let hidden = passed.find(|stage| stage.key.is_some_and(has_failed));
            assert!(
                hidden.is_none(),
                "a pass stands for a key that has failed before: {hidden:?}"
            );
        }
        let may_be = |stage: &&StageReport| {
            let below = match &stage.work {
                StageWork::Subpipeline { child, .. } => child.as_ref(),
                StageWork::Command(_) => None,
            };
            let known = |key| now.contains(&key) || self.ever.contains(&(place, key));
            stage.attempts > 1
                || stage.key.is_none_or(known)
                || below.is_some_and(|child| self.flaky.contains(child))
        };
        let mut flaky = report
            .stages
            .iter()
            .filter(|stage| stage.outcome == Outcome::Flaky);
        let baseless = flaky.clone().find(|stage| !may_be(stage));
        assert!(
            baseless.is_none(),
            "flaky is told of a key that has not failed: {baseless:?}"
        );
        if flaky.next().is_some() {
            self.flaky.insert(report.run.clone());
        }
    }
}

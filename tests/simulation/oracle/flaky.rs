//! The judge of what is flaky: a green pass never stands for a key that has failed before or since, in a void run too
//! where that did not disturb the stage, and nothing is called flaky that has not failed.

use crate::fixture::{given_to, index};
use crate::outside::proves;
use orch::model::digest::StageKey;
use orch::model::id::{PipelineId, RunId, StageId};
use orch::model::run::{Cause, Changed, Outcome, RunReport, StageReport, StageWork, Verdict};
use orch::model::view::View;
use std::collections::{BTreeMap, BTreeSet};

/// A key of a project.
type Key = (usize, StageKey);

/// What is known of a run under way, beside what it says itself.
#[derive(Default)]
struct Disturbed {
    /// The stages of which a look has told that what they read was touched.
    stages: BTreeSet<(PipelineId, StageId)>,
    /// Whether another configuration was taken.
    configured: bool,
}

#[derive(Default)]
pub(super) struct Failed {
    /// Which runs, whose evidence is on disk, say of a project's key that it has failed, and how.
    by: BTreeMap<Key, BTreeMap<RunId, Outcome>>,
    /// Of which that was ever told of content that stood still.
    ever: BTreeSet<Key>,
    /// Runs with a flaky stage.
    flaky: BTreeSet<RunId>,
    /// What runs have to say against keys, as they ended.
    against: BTreeMap<RunId, Vec<(Key, Outcome)>>,
    /// The keys on which stages of runs have passed, and the commands below them.
    passed: BTreeMap<RunId, BTreeSet<Key>>,
    disturbed: BTreeMap<RunId, ((usize, PipelineId), Disturbed)>,
}

fn said(report: &RunReport) -> impl Iterator<Item = (&StageReport, Key)> {
    let place = index(&report.task);
    let stages = report.stages.iter();
    let stages = stages.filter(|stage| stage.outcome.tells_of_failure());
    stages.filter_map(move |stage| Some((stage, (place, stage.key?))))
}

fn child(stage: &StageReport) -> Option<&RunId> {
    match &stage.work {
        StageWork::Subpipeline { child, .. } => child.as_ref(),
        StageWork::Command(_) => None,
    }
}

impl Disturbed {
    /// Whether nothing that a stage reads was touched, as far as looks tell it.
    fn lets(&self, pipeline: &PipelineId, stage: &StageReport) -> bool {
        match &stage.work {
            StageWork::Command(_) => !self.stages.contains(&(pipeline.clone(), stage.id.clone())),
            StageWork::Subpipeline { .. } => self.stages.is_empty(),
        }
    }
}

impl Failed {
    pub(super) fn begin(&mut self, report: &RunReport) {
        let subject = (index(&report.task), report.pipeline.clone());
        let begun = (subject, Disturbed::default());
        self.disturbed.insert(report.run.clone(), begun);
    }

    /// A look tells what was touched.
    pub(super) fn seen(&mut self, view: &View) {
        let subject = (index(&view.subject.task), view.subject.pipeline.clone());
        for (of, disturbed) in self.disturbed.values_mut() {
            if *of == subject {
                disturbed.stages.extend(view.affected.iter().cloned());
            }
        }
    }

    pub(super) fn configured(&mut self, place: usize) {
        let runs = self.disturbed.values_mut();
        let ours = runs.filter(|((of, _), _)| *of == place);
        ours.for_each(|(_, disturbed)| disturbed.configured = true);
    }

    /// What a run that ends has to say against keys: all of it if it proves something, else what it did not disturb. Of
    /// what waits for outputs, and of what a resume has kept, that is not known here.
    fn weigh(&mut self, report: &RunReport) {
        let Some((_, disturbed)) = self.disturbed.get(&report.run) else {
            return;
        };
        let looked = match &report.void {
            None => true,
            Some(void) => matches!(void.changed, Changed::Paths(_)),
        };
        let whole = looked && !disturbed.configured && report.cause != Cause::Resume;
        let must = |stage: &StageReport| {
            let alone = child(stage).is_none()
                && given_to(&stage.id).is_empty()
                && stage.id.as_str() != "wish";
            proves(report) || (whole && alone && disturbed.lets(&report.pipeline, stage))
        };
        let against = said(report).filter(|(stage, _)| must(stage));
        let against = against.map(|(stage, key)| (key, stage.outcome)).collect();
        self.against.insert(report.run.clone(), against);
    }

    /// The end of a run is told, and its evidence is on disk.
    pub(super) fn told(&mut self, report: &RunReport) {
        let disturbed = self.disturbed.remove(&report.run);
        if report.verdict == Verdict::Error {
            self.against.remove(&report.run);
            return;
        }
        let place = index(&report.task);
        let lets = |stage: &StageReport| {
            let before = disturbed.as_ref();
            report.void.is_none() || before.is_some_and(|(_, it)| it.lets(&report.pipeline, stage))
        };
        let may = said(report).filter(|(stage, _)| lets(stage));
        self.ever.extend(may.map(|(_, key)| key));
        let passed = report.stages.iter();
        let passed = passed.filter(|stage| stage.outcome == Outcome::Passed);
        let passed: Vec<Key> = passed.flat_map(|it| self.stood_on(place, it)).collect();
        self.passed
            .insert(report.run.clone(), passed.into_iter().collect());
        self.note(&report.run);
    }

    /// The key of a stage, and those on which the commands below it have passed.
    fn stood_on(&self, place: usize, stage: &StageReport) -> Vec<Key> {
        let below = child(stage).and_then(|child| self.passed.get(child));
        let below = below.into_iter().flatten().copied();
        let own = stage.key.map(|key| (place, key));
        own.into_iter().chain(below).collect()
    }

    fn note(&mut self, run: &RunId) {
        for (key, outcome) in self.against.get(run).into_iter().flatten() {
            let runs = self.by.entry(*key).or_default();
            runs.insert(run.clone(), *outcome);
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
        self.disturbed.clear();
        for report in disk {
            if !self.passed.contains_key(&report.run) {
                // It was on disk before anybody heard of its end.
                self.told(report);
            }
            self.note(&report.run);
        }
    }

    fn must_have(&self, key: Key) -> bool {
        self.by.get(&key).is_some_and(|runs| !runs.is_empty())
    }

    /// What may be told of content by now of which a run has said this.
    pub(super) fn tells(&self, run: &RunId, said: Verdict) -> Vec<Verdict> {
        let on = || self.passed.get(run).into_iter().flatten();
        match said {
            Verdict::Pass if on().any(|key| self.must_have(*key)) => vec![Verdict::Flaky],
            Verdict::Pass if on().any(|key| self.ever.contains(key)) => {
                vec![Verdict::Pass, Verdict::Flaky]
            }
            _ => vec![said],
        }
    }

    pub(super) fn judge(&mut self, report: &RunReport) {
        self.weigh(report);
        let place = index(&report.task);
        let now: BTreeSet<Key> = said(report)
            .filter(|(stage, _)| stage.outcome.has_failed())
            .map(|(_, key)| key)
            .collect();
        let has_failed = |key: &Key| now.contains(key) || self.must_have(*key);
        let passed = |stage: &&StageReport| stage.outcome == Outcome::Passed;
        if report.verdict == Verdict::Pass {
            let mut passed = report.stages.iter().filter(passed);
            let hidden = passed.find(|stage| self.stood_on(place, stage).iter().any(has_failed));
            assert!(
                hidden.is_none(),
                "a pass stands for a key that has failed before: {hidden:?}"
            );
        }
        let may_be = |stage: &&StageReport| {
            let known = |key: &Key| now.contains(key) || self.ever.contains(key);
            stage.attempts > 1
                || stage.key.is_none()
                || self.stood_on(place, stage).iter().any(known)
                || child(stage).is_some_and(|child| self.flaky.contains(child))
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

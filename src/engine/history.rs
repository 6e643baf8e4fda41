//! What runs have said against stage keys: which of them have failed, and by whose word.
//!
//! A pass on a key that has failed is flaky, whichever run it failed in: that both happened on one key is a fact about the
//! key, which no later pass takes back, and a pass of before does not stand against. Other content and other definitions
//! have other keys, and so a history of their own. Only what ran on content that stood still counts, of a void run too,
//! and only a command's own failure: what was cancelled or could not be started says nothing of a key. Nothing here
//! decides a verdict; `stages`, `verdicts` and `project` ask.
//!
//! A run's word goes with its evidence where that is noticed: when retention removes it, when it stands as a proof (those
//! are inspected), and at a restart. The evidence of another run that somebody deletes is not missed before the restart: its
//! word stands until then, which errs towards flaky.

use crate::engine::ProjectId;
use crate::engine::keys::Seen;
use crate::engine::project::Project;
use crate::engine::run::Run;
use crate::engine::state::Engine;
use crate::engine::verdicts::kept_from_elsewhere;
use crate::limits::FAILED_RUNS_MAX;
use crate::model::digest::StageKey;
use crate::model::id::RunId;
use crate::model::run::{Outcome, StageReport, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// What runs have said against stage keys: of the newest [`FAILED_RUNS_MAX`] runs that said something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// By run, because a run whose evidence is known to be gone takes its word along; ids begin with the time of their
    /// making.
    runs: BTreeMap<RunId, BTreeMap<StageKey, Outcome>>,
}

impl History {
    /// Takes in how stages of a run have ended; those that did not fail are passed over.
    pub fn note(&mut self, run: &RunId, stages: impl IntoIterator<Item = (StageKey, Outcome)>) {
        for (key, outcome) in stages
            .into_iter()
            .filter(|(_, outcome)| outcome.tells_of_failure())
        {
            let said = self.runs.entry(run.clone()).or_default();
            let worst = said.entry(key).or_insert(outcome);
            // What is forgotten with the time that was given must not hide what is not.
            if *worst == Outcome::TimedOut {
                *worst = outcome;
            }
        }
        while self.runs.len() > FAILED_RUNS_MAX {
            self.runs.pop_first();
        }
    }

    /// Whether a stage has failed on this key.
    #[must_use]
    pub fn has_failed(&self, key: StageKey) -> bool {
        self.runs.values().any(|said| said.contains_key(&key))
    }

    /// The newest run that says that a stage has failed on this key, and whether it says that it has passed, too.
    #[must_use]
    pub fn newest_failure(&self, key: StageKey) -> Option<(&RunId, bool)> {
        let mut runs = self.runs.iter().rev();
        runs.find_map(|(run, said)| Some((run, *said.get(&key)? == Outcome::Flaky)))
    }

    /// Whether a run before this one says that a stage has failed on this key, whatever time it was given.
    #[must_use]
    pub fn has_failed_before(&self, key: StageKey, run: &RunId) -> bool {
        let before = self.runs.range(..run.clone());
        let mut said = before.filter_map(|(_, said)| said.get(&key));
        said.any(|outcome| *outcome != Outcome::TimedOut)
    }

    /// Forgets what these runs have said: their evidence is gone.
    pub(super) fn forget(&mut self, runs: &BTreeSet<RunId>) {
        self.runs.retain(|run, _| !runs.contains(run));
    }

    /// Forgets what failed for time: how much a stage is given is in no key.
    pub(super) fn forget_for_time(&mut self) {
        for said in self.runs.values_mut() {
            said.retain(|_, outcome| *outcome != Outcome::TimedOut);
        }
        self.runs.retain(|_, said| !said.is_empty());
    }
}

impl Engine {
    /// Whether a stage of this run would pass on a key that has failed before.
    pub(super) fn has_failed_before(&self, run: &RunId, stage: usize) -> bool {
        let Some(run) = self.runs.get(run) else {
            return false;
        };
        let key = run.report.stages.get(stage).and_then(|stage| stage.key);
        let project = self.projects.get(&run.project).zip(key);
        project.is_some_and(|(project, key)| project.history.has_failed(key))
    }

    /// Takes in what a run whose evidence is on disk says against the keys of its stages.
    pub(super) fn note_history(&mut self, id: &ProjectId, run: &Run) {
        let is_sound = run.report.verdict != Verdict::Error;
        if let Some(project) = self.projects.get_mut(id).filter(|_| is_sound) {
            let stages = run.report.stages.iter().filter(|stage| stage.against_key);
            let said = stages.filter_map(|stage| Some((stage.key?, stage.outcome)));
            project.history.note(&run.report.run, said);
        }
    }
}

impl Run {
    /// Says of each stage that has failed whether that counts against its key, by what the look has seen that concludes
    /// the run. Of a run that is not void all of them do, of any other those that it did not disturb.
    pub(super) fn admit_failed(&mut self, now_seen: Option<&Seen>) {
        let is_sound = !self.broken && self.report.verdict != Verdict::Error;
        let binds = self.report.void.is_none() && !kept_from_elsewhere(self);
        let stages = self.report.stages.iter().enumerate();
        let against = stages.map(|(place, stage)| {
            let still = || now_seen.is_some_and(|seen| self.has_stood_still(place, seen));
            let tells = stage.key.is_some() && stage.outcome.tells_of_failure();
            is_sound && tells && (binds || still())
        });
        let against: Vec<bool> = against.collect();
        for (stage, against) in self.report.stages.iter_mut().zip(against) {
            stage.against_key = against;
        }
    }
}

/// The keys on which these stages have passed, and those below them.
pub(super) fn passed_on(stages: &[StageReport]) -> BTreeSet<StageKey> {
    let passed = stages.iter();
    let passed = passed.filter(|stage| stage.outcome == Outcome::Passed);
    passed.flat_map(StageReport::keys).collect()
}

/// Tells as flaky what passed on a key that has failed, in another run or in another stage of this one, before or after.
pub(super) fn admit_failures(stages: &mut [StageReport], project: Option<&Project>) {
    let failed = stages.iter().filter(|stage| stage.outcome.has_failed());
    // A child run has said itself which of its commands have failed.
    let failed: BTreeSet<StageKey> = failed.filter_map(|stage| stage.key).collect();
    let has_failed = |key: StageKey| {
        failed.contains(&key) || project.is_some_and(|project| project.history.has_failed(key))
    };
    for stage in stages {
        if stage.outcome == Outcome::Passed && stage.keys().any(has_failed) {
            stage.outcome = Outcome::Flaky;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::time::Timestamp;

    fn run(second: i64) -> RunId {
        RunId::new(Timestamp::from_unix_ms(second * 1000), 7)
    }

    fn key(name: &str) -> StageKey {
        StageKey(Digest::of(name.as_bytes()))
    }

    #[test]
    fn only_what_a_command_did_itself_is_said_against_a_key() {
        let against = [
            (Outcome::None, false),
            (Outcome::Passed, false),
            (Outcome::Flaky, true),
            (Outcome::Failed, true),
            (Outcome::TimedOut, true),
            (Outcome::Signalled, true),
            (Outcome::Unspawnable, false),
            (Outcome::Cancelled, false),
        ];
        for (outcome, says) in against {
            let mut history = History::default();
            history.note(&run(1), [(key("a"), outcome)]);
            assert_eq!(history.has_failed(key("a")), says, "{outcome:?}");
            assert!(!history.has_failed(key("b")));
        }
    }

    #[test]
    fn a_failure_for_time_goes_with_the_time_that_was_given() {
        let mut history = History::default();
        history.note(&run(1), [(key("late"), Outcome::TimedOut)]);
        history.note(
            &run(2),
            [
                (key("both"), Outcome::TimedOut),
                (key("both"), Outcome::Failed),
            ],
        );
        assert!(!history.has_failed_before(key("late"), &run(3)));
        history.forget_for_time();
        assert!(!history.has_failed(key("late")));
        assert!(history.has_failed(key("both")));
    }

    #[test]
    fn a_word_stands_as_long_as_its_run_and_the_oldest_goes_first() {
        let mut history = History::default();
        for second in 1..=2 {
            history.note(&run(second), [(key("a"), Outcome::Failed)]);
        }
        history.forget(&BTreeSet::from([run(2)]));
        assert!(history.has_failed(key("a")));
        assert!(!history.has_failed_before(key("a"), &run(1)));
        assert!(history.has_failed_before(key("a"), &run(2)));
        for second in 0..i64::try_from(FAILED_RUNS_MAX).unwrap() {
            assert!(history.has_failed(key("a")), "{second} runs later");
            history.note(&run(10 + second), [(key("b"), Outcome::Failed)]);
        }
        assert!(!history.has_failed(key("a")));
    }
}

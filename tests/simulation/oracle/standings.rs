//! The judge of standings: what `status` says after every step, and what it has to say once nothing more comes.

use crate::fixture::{Content, digest, index, is_fitful, passes};
use crate::oracle::Oracle;
use orch::engine::ask::Answer;
use orch::engine::{Engine, ProjectId, Standing};
use orch::model::id::RunId;
use orch::model::report::status::Phase;
use orch::model::run::{Outcome, Verdict};

impl Oracle {
    /// Nothing is told as known that is not.
    pub(super) fn judge(&mut self, standing: &Standing) {
        let id = &standing.project;
        let project = index(&id.task);
        let mut pending = self.queued.iter().filter(|(of, _)| of == id);
        match standing.phase {
            Phase::Queued => {
                assert!(
                    pending.next().is_some() || self.named.any_of(id),
                    "a run is queued that nobody was told of"
                );
            }
            // What is no longer wanted is no longer pending.
            Phase::Idle | Phase::Settling => {
                assert!(
                    !self.named.any_of(id),
                    "a run was told to be queued, and is not"
                );
                self.queued.retain(|(of, _)| of != id);
            }
            Phase::Running => {}
        }
        if !standing.fresh {
            // At the end what was proven stays proven of that content; nobody says that it is the present one.
            assert!(
                self.stopping || standing.verdict == Verdict::Unknown,
                "a stale verdict is told"
            );
            return;
        }
        assert!(!self.stopping, "fresh although the daemon ends");
        assert!(
            !self.stale.contains(&project),
            "fresh although it was touched: {standing:?}"
        );
        let run = standing.proof.as_ref().expect("a verdict names its run");
        let report = self
            .ended
            .get(run)
            .expect("a proof is a run that has ended");
        assert_eq!(
            index(&report.task),
            project,
            "the proof is another project's"
        );
        let told = self.failed.tells(run, report.verdict);
        assert!(
            told.contains(&standing.verdict),
            "the proof says {told:?}: {standing:?}"
        );
        let about = match report.verdict {
            Verdict::Unstable => self.closing.get(run).copied(),
            _ => report.input,
        };
        let same = about == standing.input;
        assert!(same, "the proof is about another content: {standing:?}");
    }

    /// No change is lost: what is on disk now has a verdict, and it is the right one.
    pub(crate) fn at_rest(&self, engine: &Engine, id: &ProjectId, content: &Content) {
        self.named.none_left();
        let standing = engine.standing(id).expect("the project is configured");
        self.written.at_rest(&standing);
        assert_eq!(standing.phase, Phase::Idle, "nothing goes on: {standing:?}");
        assert_eq!(
            standing.input,
            Some(digest(content)),
            "the content of {id:?} was never seen"
        );
        if !standing.fresh {
            let let_be = self.let_be.get(&index(&id.task));
            let let_be = let_be.is_some_and(|left| left.input == digest(content));
            assert!(
                let_be,
                "{id:?} with {content:?} was never proven: {standing:?}"
            );
            return;
        }
        match standing.verdict {
            Verdict::Pass | Verdict::Flaky => assert!(passes(content), "green for {content:?}"),
            Verdict::Fail => {
                let proof = &self.ended[&standing.proof.unwrap()];
                let mut outcomes = proof.stages.iter().map(|stage| stage.outcome);
                let late = outcomes.any(|outcome| outcome == Outcome::TimedOut);
                let due = !passes(content) || late || is_fitful(content);
                assert!(due, "red for {content:?}");
            }
            Verdict::Unstable => {
                let run = standing.proof.unwrap();
                assert!(self.is_sure(&run), "{run} may be somebody's save");
            }
            Verdict::Error => {}
            Verdict::Unknown => panic!("a fresh verdict is known"),
        }
    }

    /// Whoever waits for a run is not told that something is unstable which may be somebody's save.
    pub(super) fn judge_unstable(&self, answer: &Answer) {
        let run = answer.run.as_ref();
        let unstable = run.filter(|_| answer.verdict == Verdict::Unstable);
        let sure = unstable.is_none_or(|run| self.is_sure(run));
        assert!(sure, "told, and may be somebody's save: {answer:?}");
    }

    /// Whether a run that is unstable was the one more that shows it.
    fn is_sure(&self, run: &RunId) -> bool {
        let Some(report) = self.ended.get(run) else {
            return true;
        };
        let mut left = self.closing.iter().filter(|(other, _)| *other != run);
        left.any(|(_, left)| Some(*left) == report.input)
    }
}

//! The evidence that the engine has had recorded, and what a start reads of it.
//!
//! A run is on it once its end is recorded; what a daemon has lost of a run under way is not.

use crate::fixture::task;
use orch::engine::Record;
use orch::engine::history::History;
use orch::engine::keys::Proof;
use orch::model::id::{RunId, Seq};
use orch::model::run::{Cause, Outcome, RunReport, StageReport, Verdict};

/// The evidence of runs that have ended, in the order in which it was recorded.
#[derive(Default)]
pub(crate) struct Disk(Vec<RunReport>);

impl Disk {
    pub(crate) fn take(&mut self, report: RunReport, record: Record) {
        self.0.retain(|other| other.run != report.run);
        if record == Record::End {
            self.0.push(report);
        }
    }

    pub(crate) fn lose(&mut self, run: &RunId) {
        self.0.retain(|other| other.run != *run);
    }

    pub(crate) fn reports(&self) -> &[RunReport] {
        &self.0
    }

    pub(crate) fn newest_root(&self) -> Option<&RunReport> {
        let mut roots = self.0.iter().rev();
        roots.find(|report| report.cause != Cause::Parent)
    }

    fn of<'a>(&'a self, project: usize, pipeline: &str) -> impl Iterator<Item = &'a RunReport> {
        let roots = self.0.iter().filter(|report| report.cause != Cause::Parent);
        roots.filter(move |report| {
            report.task == task(project) && report.pipeline.as_str() == pipeline
        })
    }

    pub(crate) fn newest_of(&self, project: usize, pipeline: &str) -> Option<&RunReport> {
        self.of(project, pipeline).last()
    }

    pub(crate) fn proofs(&self, project: usize, pipeline: &str) -> Vec<Proof> {
        let proven = self.of(project, pipeline).filter(|report| proves(report));
        let proofs = proven.map(|report| Proof {
            keys: crate::oracle::keys(report),
            verdict: report.verdict,
            on: report
                .stages
                .iter()
                .filter(|stage| stage.outcome == Outcome::Passed)
                .flat_map(StageReport::keys)
                .collect(),
            run: report.run.clone(),
            timed_out: fails_for_time(report),
            confirmed: false,
            told: Seq::default(),
        });
        proofs.collect()
    }

    /// What the runs of a project, child runs too, say against stage keys.
    pub(crate) fn history(&self, project: usize) -> History {
        let mut history = History::default();
        let ours = self.0.iter().filter(|report| report.task == task(project));
        for report in ours {
            let stages = report.stages.iter().filter(|stage| stage.against_key);
            let said = stages.filter_map(|stage| Some((stage.key?, stage.outcome)));
            history.note(&report.run, said);
        }
        history
    }
}

/// Whether a report proves something of the content that its run began on.
pub(crate) fn proves(report: &RunReport) -> bool {
    let known = matches!(
        report.verdict,
        Verdict::Pass | Verdict::Fail | Verdict::Flaky
    );
    known && report.void.is_none()
}

/// Whether more time might have made it another verdict.
pub(crate) fn fails_for_time(report: &RunReport) -> bool {
    report.verdict == Verdict::Fail && report.is_timed_out()
}

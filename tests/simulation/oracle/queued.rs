//! The judge of runs that wait under an id: each begins under it, is cancelled, withdrawn or refused, and that once.

use crate::oracle::{Oracle, announced};
use crate::questions::Questions;
use orch::engine::ProjectId;
use orch::engine::news::Dropped;
use orch::model::id::{PipelineId, RunId};
use orch::model::run::{Cause, RunReport};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Named {
    /// Those that wait.
    waiting: BTreeMap<RunId, (ProjectId, PipelineId)>,
    /// The same, in the order in which they were asked for.
    order: Vec<RunId>,
    /// Every id that was ever told.
    told: BTreeSet<RunId>,
}

impl Named {
    pub(super) fn queue(&mut self, run: &RunId, project: &ProjectId, pipeline: &PipelineId) {
        assert!(self.told.insert(run.clone()), "{run} is queued twice");
        let wanted = (project.clone(), pipeline.clone());
        self.waiting.insert(run.clone(), wanted);
        self.order.push(run.clone());
    }

    /// Whether a run that begins was told to be queued under its id; somebody has to want it.
    pub(super) fn begin(&mut self, report: &RunReport, questions: &Questions) -> bool {
        let id = ProjectId {
            workspace: report.workspace,
            task: report.task.clone(),
        };
        let run = &report.run;
        assert!(
            questions.is_wanted(report, &id),
            "{run} begins, and nobody wants it any more"
        );
        if self.waiting.contains_key(run) {
            self.first(run, &id);
        }
        self.order.retain(|other| other != run);
        self.waiting.remove(run) == Some((id, report.pipeline.clone()))
    }

    /// What was asked for by name begins in the order of asking, and before what the content calls for.
    pub(super) fn first(&self, run: &RunId, project: &ProjectId) {
        let mut ours = self.order.iter();
        let first = ours.find(|other| {
            self.waiting
                .get(*other)
                .is_some_and(|(of, _)| of == project)
        });
        assert!(
            first.is_none_or(|first| first == run),
            "{run} begins before {first:?}, which was asked for first"
        );
    }

    pub(super) fn dropped(&mut self, run: &RunId, why: &Dropped, questions: &Questions) {
        let waited = self.waiting.remove(run).is_some();
        self.order.retain(|other| other != run);
        assert!(waited, "{run} is dropped, and does not wait");
        match why {
            Dropped::Cancelled => {
                let asked = questions.is_to_end(run);
                assert!(asked, "{run} is cancelled, and nobody asked for that");
            }
            Dropped::Withdrawn => {
                let wanted = questions.is_counted_on(run);
                assert!(!wanted, "{run} is withdrawn, and is still wanted");
            }
            Dropped::Refused(_) => {}
        }
    }

    pub(super) fn any_of(&self, project: &ProjectId) -> bool {
        self.waiting.values().any(|(of, _)| of == project)
    }

    pub(super) fn waits(&self, run: &RunId) -> bool {
        self.waiting.contains_key(run)
    }

    pub(super) fn none_left(&self) {
        let left: Vec<&RunId> = self.waiting.keys().collect();
        assert!(left.is_empty(), "nobody was told what became of {left:?}");
    }
}

impl Oracle {
    /// One pending run per pipeline that nobody asked for by name; the others have their ids.
    pub(super) fn run_queued(
        &mut self,
        (project, pipeline): (&ProjectId, &PipelineId),
        cause: Cause,
        run: Option<&RunId>,
    ) {
        if let (Cause::Manual, Some(run)) = (cause, run) {
            self.named.queue(run, project, pipeline);
            return;
        }
        let kind = announced(cause);
        let wanted = (project.clone(), pipeline.clone(), kind);
        self.announced.insert(wanted);
        if kind != Cause::Change {
            return;
        }
        let pending = (project.clone(), pipeline.clone());
        let dropped = self.needless.remove(&pending);
        let first = self.queued.insert(pending);
        assert!(
            first || dropped,
            "two runs of {pipeline} are pending for {project:?}"
        );
    }
}

//! Runs that wait for their turn under an id, and those that had one and never began: nothing of them is on disk.
//!
//! A run may begin while the desks are asked for it; then it is found there, or is under way by the time all have
//! answered.

use crate::daemon::shell::Shell;
use crate::daemon::waiting::{Lookup, refusal};
use crate::engine::news::Dropped;
use crate::model::id::{RequestId, RunId, WorkspaceId};
use crate::model::report::runs::LogsAnswer;
use crate::model::run::{Cause, RunReport};
use crate::wire::refusal::{ErrorKind, Refusal};

impl Shell {
    /// The runs that wait for their turn and whose id this may be a part of.
    pub(super) fn queued_like(
        &self,
        part: &str,
        scope: Option<WorkspaceId>,
    ) -> Vec<(WorkspaceId, RunId)> {
        let queued = self.engine.queued();
        let queued = queued.map(|queued| (queued.project.workspace, queued.run.clone()));
        let like = |(id, run): &(WorkspaceId, RunId)| is_like(run, part) && is_in(*id, scope);
        queued.filter(like).collect()
    }

    /// Why there is no run of this id, if one was to be and never began.
    pub(super) fn dropped_like(&self, part: &str, scope: Option<WorkspaceId>) -> Option<Refusal> {
        let mut dropped = self.engine.dropped();
        let found = dropped.rfind(|(id, run, _)| is_like(run, part) && is_in(*id, scope));
        found.map(|(_, run, why)| not_begun(run, why))
    }

    /// Why this run is not there, if it never began.
    pub(super) fn dropped_run(&self, wanted: &RunId) -> Option<Refusal> {
        let mut dropped = self.engine.dropped();
        let found = dropped.rfind(|(_, run, _)| run == wanted);
        found.map(|(_, run, why)| not_begun(run, why))
    }

    /// Tells what there is of a run that waits for its turn.
    pub(super) fn answer_queued(&mut self, request: RequestId, report: &RunReport, then: Lookup) {
        let answer = match then {
            Lookup::Logs(wanted) => Ok(LogsAnswer {
                run_id: report.run.clone(),
                stage: wanted.stage,
                offset: wanted.offset,
                next_offset: wanted.offset,
                size: 0,
                ended: false,
                lines: Vec::new(),
            }
            .into()),
            Lookup::Show => {
                let site = self.sites.get(&report.workspace);
                let detail = site.map(|site| {
                    let before = self.run_before(report);
                    crate::daemon::detail::queued(&site.root, &site.layout, report, before)
                });
                detail.map(Into::into).ok_or_else(super::removed_meanwhile)
            }
            Lookup::Cancel | Lookup::Resume(_) => Err(Refusal::new(
                ErrorKind::Busy,
                format!(
                    "run {} has not begun: there is nothing to take up again",
                    report.run
                ),
            )
            .hint(format!("wait for it, or `orchctl cancel {}`", report.run))),
        };
        self.answer(request, answer);
    }

    /// The run that another one of its project waits for.
    fn run_before(&self, report: &RunReport) -> Option<&RunId> {
        let mut active = self.engine.runs();
        let before = active.find(|active| {
            let (ours, task) = (active.workspace == report.workspace, &active.task);
            ours && *task == report.task && active.cause != Cause::Parent
        });
        before.map(|active| &active.run)
    }
}

/// Why a run that had its id never began.
fn not_begun(run: &RunId, why: &Dropped) -> Refusal {
    match why {
        Dropped::Cancelled => Refusal::new(
            ErrorKind::UnknownRun,
            format!("run {run} was cancelled before it began, and left nothing"),
        ),
        Dropped::Withdrawn => Refusal::new(
            ErrorKind::UnknownRun,
            format!("run {run} did not begin: whoever had asked for it was gone before"),
        )
        .hint("`orchctl run --detach` asks for one that nobody has to wait for"),
        Dropped::Refused(denied) => {
            let mut refusal = refusal(denied.clone());
            refusal.message = format!("run {run} did not begin: {}", refusal.message);
            refusal
        }
    }
}

fn is_like(run: &RunId, part: &str) -> bool {
    !part.is_empty() && run.as_str().contains(part)
}

fn is_in(id: WorkspaceId, scope: Option<WorkspaceId>) -> bool {
    scope.is_none_or(|wanted| wanted == id)
}

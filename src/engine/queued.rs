//! Runs that were asked for by name and wait behind another: who hears of them, and how one ends that never begins.
//!
//! ```text
//! queued ──nothing else runs──▶ begins under its id
//!    ├──somebody ends it──▶ cancelled     ├──nobody wants it any more──▶ withdrawn
//!    └──its project or pipeline goes, or may not run──▶ refused
//! ```
//!
//! Each ends in exactly one of these ways, and that is told once. One that never began leaves nothing on disk; the last
//! of them are remembered, for whoever asks by the id that he was told.

use crate::engine::ask::{Denied, Reply, Until, Wanted};
use crate::engine::news::{Dropped, News};
use crate::engine::pending::{Pending, Queued};
use crate::engine::project::Project;
use crate::engine::run::fresh_stages;
use crate::engine::state::Engine;
use crate::engine::waiters::Need;
use crate::engine::{Effect, ProjectId};
use crate::limits::DROPPED_RUNS_MAX;
use crate::model::id::{PipelineId, RequestId, RunId, WorkspaceId};
use crate::model::run::{BY_HAND, Cause, Changed, RunReport, RunStatus, Verdict};
use crate::model::time::Timestamp;
use std::collections::BTreeSet;

/// A run that waits for its turn, as whoever asks for it is told.
#[derive(Clone, Copy, Debug)]
pub struct QueuedRun<'a> {
    /// Its project.
    pub project: &'a ProjectId,
    /// Its id.
    pub run: &'a RunId,
    /// Its pipeline.
    pub pipeline: &'a PipelineId,
    /// Why it is wanted.
    pub cause: Cause,
    /// When it was asked for.
    pub since: Timestamp,
}

impl Project {
    fn asked(&self) -> impl Iterator<Item = (&PipelineId, &Queued)> {
        let pending = self.pending.iter();
        pending.flat_map(|(pipeline, pending)| pending.asked().map(move |it| (pipeline, it)))
    }

    /// What was asked for by name and has not begun, in the order in which it will.
    pub(super) fn queued<'a>(&'a self, id: &'a ProjectId) -> Vec<QueuedRun<'a>> {
        let mut asked: Vec<_> = self.asked().collect();
        asked.sort_by_key(|(_, queued)| queued.place);
        let asked = asked.into_iter().map(|(pipeline, queued)| QueuedRun {
            project: id,
            run: &queued.run,
            pipeline,
            cause: queued.origin.cause,
            since: queued.since,
        });
        asked.collect()
    }
}

impl Engine {
    /// The runs that were asked for by name and have not begun.
    pub fn queued(&self) -> impl Iterator<Item = QueuedRun<'_>> {
        let projects = self.projects.iter();
        projects.flat_map(|(id, project)| project.queued(id))
    }

    fn asked(&self) -> impl Iterator<Item = (&ProjectId, &PipelineId, &Queued)> {
        let projects = self.projects.iter();
        projects.flat_map(|(id, project)| {
            let asked = project.asked();
            asked.map(move |(pipeline, queued)| (id, pipeline, queued))
        })
    }

    /// What is known of a run that has not begun.
    #[must_use]
    pub fn queued_run(&self, run: &RunId) -> Option<RunReport> {
        let (id, pipeline, queued) = self.asked().find(|(_, _, queued)| queued.run == *run)?;
        self.report_queued(id, pipeline, queued)
    }

    /// The last runs that never began, where they were wanted, and why they did not.
    pub fn dropped(&self) -> impl DoubleEndedIterator<Item = &(WorkspaceId, RunId, Dropped)> {
        self.dropped.iter()
    }

    /// Whether a run waits for its turn that is wanted as long as whoever asked this is there.
    #[must_use]
    pub fn is_attended(&self, request: RequestId) -> bool {
        self.askers.contains_key(&request)
    }

    /// The run that this asks for, while it waits for its turn.
    fn asked_by(&self, request: RequestId) -> Option<(&ProjectId, &PipelineId, &Queued)> {
        let (id, pipeline) = self.askers.get(&request)?;
        let mut asked = self.projects.get(id)?.pending.get(pipeline)?.asked();
        let queued = asked.find(|queued| queued.requests.contains(&request))?;
        Some((id, pipeline, queued))
    }

    /// What these asked for waits no longer: who was answered before need not be there any more.
    pub(super) fn release(&mut self, requests: &BTreeSet<RequestId>) {
        for request in requests {
            self.askers.remove(request);
            if !self.waiters.has(*request) {
                self.effects.push(Effect::Release { request: *request });
            }
        }
    }

    fn report_queued(
        &self,
        id: &ProjectId,
        pipeline: &PipelineId,
        queued: &Queued,
    ) -> Option<RunReport> {
        let config = self.workspaces.get(&id.workspace)?.config()?;
        let pipeline = config.pipeline(pipeline)?;
        Some(RunReport {
            run: queued.run.clone(),
            workspace: id.workspace,
            task: id.task.clone(),
            project: config.project(&id.task)?.path.clone(),
            parent: queued.origin.parent.clone(),
            pipeline: pipeline.id.clone(),
            title: pipeline.title.clone(),
            guardrails_required: pipeline.guardrails_required,
            cause: queued.origin.cause,
            changed: Changed::Everything,
            unproven: Changed::Everything,
            approval_policy: queued.origin.approval_policy.clone(),
            status: RunStatus::Queued,
            status_detail: None,
            started_at: queued.since,
            completed_at: None,
            stages: fresh_stages(pipeline, None),
            children: Vec::new(),
            resumes: Vec::new(),
            input: None,
            verdict: Verdict::Unknown,
            void: None,
        })
    }

    /// Answers those who asked in this step, do not wait for the end, and whose run could not begin at once.
    pub(super) fn tell_queued(&mut self) {
        for request in std::mem::take(&mut self.answers_due) {
            let Some(Need::Run { ask, .. }) = self.waiters.get(request).map(|it| &it.need) else {
                continue;
            };
            let (until, wanted) = (ask.until, ask.wanted);
            let queued = self.asked_by(request);
            let report = queued.and_then(|(id, pipeline, it)| self.report_queued(id, pipeline, it));
            let Some(report) = report.filter(|_| until == Until::Named) else {
                continue;
            };
            self.reply(request, Reply::Run(Box::new(report)));
            if wanted == Wanted::Detached {
                // It is left to itself from here on.
                self.leave(request);
            }
        }
    }

    /// Somebody who asked has gone: what he alone wanted, and what has not begun, is not run.
    pub(super) fn leave(&mut self, request: RequestId) {
        let Some((id, pipeline)) = self.askers.remove(&request) else {
            return;
        };
        let project = self.projects.get_mut(&id);
        let pending = project.and_then(|project| project.pending.get_mut(&pipeline));
        if let Some(queued) = pending.and_then(|pending| pending.leave(request)) {
            self.tell_dropped(&id, &pipeline, queued.run, Dropped::Withdrawn);
            self.tidy_pending(&id, &pipeline);
        }
    }

    /// Ends a run that has not begun; whoever waits for it hears so. Nothing if it is not queued.
    pub(super) fn cancel_queued(&mut self, run: &RunId) {
        let found = self.asked().find(|(_, _, queued)| queued.run == *run);
        let Some((id, pipeline, report)) = found.map(|(id, pipeline, queued)| {
            let report = self.report_queued(id, pipeline, queued);
            (id.clone(), pipeline.clone(), report)
        }) else {
            return;
        };
        let project = self.projects.get_mut(&id);
        let pending = project.and_then(|project| project.pending.get_mut(&pipeline));
        let Some(queued) = pending.and_then(|it| it.take(|queued| queued.run == *run)) else {
            return;
        };
        self.release(&queued.requests);
        self.tell_dropped(&id, &pipeline, queued.run, Dropped::Cancelled);
        if let Some(report) = report {
            let report = RunReport {
                status: RunStatus::Cancelled,
                status_detail: Some(BY_HAND.to_owned()),
                completed_at: Some(self.now.wall),
                ..report
            };
            self.tell_run(queued.requests, &report);
        }
        self.tidy_pending(&id, &pipeline);
    }

    /// Nothing of this may run any more: what was asked for by name is told to be refused. Those who asked and wait.
    pub(super) fn refuse_pending(
        &mut self,
        id: &ProjectId,
        pipeline: &PipelineId,
        pending: Pending,
        why: &Denied,
    ) -> Vec<RequestId> {
        let mut requests = Vec::new();
        for queued in pending.into_asked() {
            self.release(&queued.requests);
            requests.extend(queued.requests);
            let why = Dropped::Refused(why.clone());
            self.tell_dropped(id, pipeline, queued.run, why);
        }
        self.mark(id);
        requests
    }

    /// The same of everything that is wanted of a project.
    pub(super) fn refuse_all_pending(&mut self, id: &ProjectId, why: &Denied) -> Vec<RequestId> {
        let project = self.projects.get_mut(id);
        let all = project.map(|project| std::mem::take(&mut project.pending));
        let mut requests = Vec::new();
        for (pipeline, pending) in all.into_iter().flatten() {
            requests.extend(self.refuse_pending(id, &pipeline, pending, why));
        }
        requests
    }

    fn tell_dropped(&mut self, id: &ProjectId, pipeline: &PipelineId, run: RunId, why: Dropped) {
        self.dropped
            .push_back((id.workspace, run.clone(), why.clone()));
        if self.dropped.len() > DROPPED_RUNS_MAX {
            self.dropped.pop_front();
        }
        self.publish(News::RunDropped {
            project: id.clone(),
            pipeline: pipeline.clone(),
            run,
            why,
        });
        self.mark(id);
    }
}

#[cfg(test)]
mod tests;

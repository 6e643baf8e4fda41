//! Those who wait for an answer: for a look, for a verdict, for a run.
//!
//! A question first waits for a look that began after it; so what it is told is never older than itself.

mod index;

use crate::engine::ask::{
    Answer, Ask, Denied, Origin, Patience, Reply, ResumeAsk, RunAsk, Scope, Until,
};
use crate::engine::keys::{Proof, Seen};
use crate::engine::state::Engine;
use crate::engine::workspace::Obstacle;
use crate::engine::{Effect, ProjectId};
use crate::model::id::{PipelineId, RequestId, RunId, Seq, WorkspaceId};
use crate::model::run::{Cause, RunReport, Verdict};
use crate::model::time::Tick;
use std::collections::{BTreeMap, BTreeSet};

pub(super) use index::Waiters;

/// Somebody who waits, until when, and for what.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) deadline: Option<Tick>,
    pub(super) need: Need,
    /// The last visible change before it came.
    pub(super) since: Seq,
    /// The projects whose unstable content was run once more for this question.
    pub(super) rechecked: BTreeSet<ProjectId>,
}

impl Waiter {
    /// Whether this is not to be told before it was run once more: it is red, and was before somebody asked who doubts that.
    pub(super) fn doubts(&self, proof: &Proof) -> bool {
        let is_asked = matches!(
            self.need,
            Need::Verdicts {
                patience: Patience::Doubt,
                ..
            }
        );
        is_asked && proof.verdict == Verdict::Fail && proof.told <= self.since
    }
}

/// What somebody waits for.
#[derive(Debug)]
pub(super) enum Need {
    /// A look in each of these workspaces.
    Sync(BTreeSet<WorkspaceId>),
    /// A look in each of these workspaces, which are refused: their files may have been mended. Then this question.
    Glance(BTreeSet<WorkspaceId>, Box<Ask>),
    /// A verdict for each of these projects.
    Verdicts {
        scope: Scope,
        patience: Patience,
        lone: bool,
        projects: BTreeMap<ProjectId, Sought>,
    },
    /// A run: first a look, then the run itself.
    Run { ask: RunAsk, pipeline: PipelineId },
    /// A run that is taken up again, once the content was looked at.
    Resume { ask: Box<ResumeAsk> },
    /// The end of a run.
    Cancelled(RunId),
}

/// How far the search for a project's verdict has come.
#[derive(Debug)]
pub(super) enum Sought {
    /// A look has to be taken first.
    Look,
    /// A run is under way or wanted.
    Run,
    /// Found.
    Found(Answer),
}

impl Engine {
    /// A look that this question waited for is over.
    pub(super) fn looked(
        &mut self,
        request: RequestId,
        workspace: WorkspaceId,
        seen: &[(ProjectId, PipelineId, Seen)],
    ) {
        let unread = self.obstacle(workspace).is_some_and(|it| it.passes());
        let reread = !self
            .workspaces
            .get(&workspace)
            .is_some_and(|it| it.can_look());
        let Some(waiter) = self.waiters.get(request) else {
            return;
        };
        match &waiter.need {
            // Its configuration is among what has changed, and has not been taken yet.
            Need::Sync(_) | Need::Glance(..) if reread => self.want_sync(workspace, request),
            Need::Sync(_) => {
                if self.waiters.tick_off(request, workspace) {
                    self.reply(request, Reply::Synced);
                }
            }
            Need::Glance(_, ask) => {
                let ask = (**ask).clone();
                if self.waiters.tick_off(request, workspace) {
                    self.ask_at_last(request, ask);
                }
            }
            Need::Verdicts {
                patience, projects, ..
            } => {
                let patience = *patience;
                let ours = projects.iter().filter(|(id, sought)| {
                    id.workspace == workspace && matches!(sought, Sought::Look)
                });
                let ours: Vec<ProjectId> = ours.map(|(id, _)| id.clone()).collect();
                for id in ours {
                    let sought = self.seek(request, &id, patience);
                    self.waiters.note(request, &id, sought);
                }
                self.answer_if_found(request);
            }
            // What was seen is of a configuration that is being read again: looked at again once that is known.
            Need::Run { ask, pipeline } if unread => {
                let (id, pipeline) = (ask.project.clone(), pipeline.clone());
                self.want(&id, &pipeline, Some(request));
            }
            Need::Resume { ask } if unread => {
                let (id, pipeline) = (ask.project.clone(), ask.pipeline.clone());
                self.want(&id, &pipeline, Some(request));
            }
            Need::Run { ask, pipeline } => {
                let (ask, pipeline) = (ask.clone(), pipeline.clone());
                let content = seen
                    .iter()
                    .find(|(id, other, _)| *id == ask.project && *other == pipeline);
                match content {
                    Some((_, _, content)) => self.join_or_pend(request, &ask, &pipeline, content),
                    None => self.deny_pipeline(request, workspace, pipeline),
                }
            }
            Need::Resume { ask } => {
                let ask = ask.clone();
                self.resume_on(request, *ask, seen);
            }
            Need::Cancelled(_) => {}
        }
    }

    /// Takes up a run again on what was just seen.
    fn resume_on(
        &mut self,
        request: RequestId,
        ask: ResumeAsk,
        seen: &[(ProjectId, PipelineId, Seen)],
    ) {
        let content = seen
            .iter()
            .find(|(id, other, _)| *id == ask.project && *other == ask.pipeline);
        let active = self.active_root(&ask.project);
        match (content, active.map(|run| run.report.run.clone())) {
            (_, Some(active)) => self.deny(request, Denied::Busy(active)),
            (Some((_, _, content)), None) => self.resume(request, ask, content.clone()),
            (None, None) => self.deny_pipeline(request, ask.project.workspace, ask.pipeline),
        }
    }

    /// Two who ask for a run of the same content share it; else one is wanted.
    fn join_or_pend(
        &mut self,
        request: RequestId,
        ask: &RunAsk,
        pipeline: &PipelineId,
        content: &Seen,
    ) {
        let run = self.active_root(&ask.project).filter(|run| {
            run.report.pipeline == *pipeline
                && run.may_prove(content)
                && run.report.parent == ask.parent
                && run.report.approval_policy == ask.approval_policy
                && !ask.force
        });
        let Some(run) = run.map(|run| run.report.run.clone()) else {
            let origin = Origin {
                cause: Cause::Manual,
                parent: ask.parent.clone(),
                approval_policy: ask.approval_policy.clone(),
                force: ask.force,
            };
            let asker = (request, ask.wanted);
            self.queue(&ask.project, pipeline, origin, asker);
            return;
        };
        let Some(run) = self.runs.get_mut(&run) else {
            return;
        };
        run.requests.insert(request);
        let begun = run.phase != super::run::Phase::Beginning;
        let report = run.told();
        if begun
            && self.answer_begun(request, &report)
            && let Some(run) = self.runs.get_mut(&report.run)
        {
            run.requests.remove(&request);
        }
    }

    /// Answers a question that only waited for its run to begin; whether it did.
    pub(super) fn answer_begun(&mut self, request: RequestId, report: &RunReport) -> bool {
        let until = match self.waiters.get(request).map(|waiter| &waiter.need) {
            Some(Need::Run { ask, .. }) => ask.until,
            Some(Need::Resume { ask }) => ask.until,
            Some(Need::Sync(_) | Need::Glance(..) | Need::Verdicts { .. } | Need::Cancelled(_))
            | None => return false,
        };
        if until == Until::Named {
            self.reply(request, Reply::Run(Box::new(report.clone())));
        }
        until == Until::Named
    }

    /// Answers the questions that waited for the end of this run.
    pub(super) fn tell_run(&mut self, requests: BTreeSet<RequestId>, report: &RunReport) {
        for request in requests {
            self.reply(request, Reply::Run(Box::new(report.clone())));
        }
        let enders: Vec<RequestId> = self.waiters.enders(&report.run).collect();
        for request in enders {
            self.reply(request, Reply::Cancelled(Box::new(report.clone())));
        }
    }

    pub(super) fn reply(&mut self, request: RequestId, reply: Reply) {
        if self.waiters.remove(request).is_some() {
            self.effects.push(Effect::Reply { request, reply });
        }
    }

    pub(super) fn deny(&mut self, request: RequestId, denied: Denied) {
        self.reply(request, Reply::Denied(denied));
        // Whoever is told that nothing comes of it does not wait for it any more.
        self.leave(request);
    }

    /// The configuration no longer has this pipeline.
    pub(super) fn deny_pipeline(
        &mut self,
        request: RequestId,
        workspace: WorkspaceId,
        pipeline: PipelineId,
    ) {
        let why = self.unknown_pipeline(workspace, pipeline);
        self.deny(request, why);
    }

    pub(super) fn unknown_pipeline(&self, workspace: WorkspaceId, pipeline: PipelineId) -> Denied {
        let config = self.workspaces.get(&workspace).and_then(|w| w.config());
        let pipelines = config
            .into_iter()
            .flat_map(|config| config.pipelines.iter());
        let known = pipelines.map(|pipeline| pipeline.id.clone()).collect();
        Denied::UnknownPipeline(pipeline, known)
    }

    /// A workspace has stopped serving: answers those who wait for it, unless it will serve again by itself.
    pub(super) fn answer_refused(&mut self, id: WorkspaceId) {
        let Some(obstacle) = self
            .workspaces
            .get(&id)
            .and_then(|workspace| workspace.obstacle())
        else {
            return;
        };
        if matches!(obstacle, Obstacle::Rescanning(_)) {
            return;
        }
        for project in self.projects_of(id) {
            // Those who asked are among those who are refused below.
            self.refuse_all_pending(&project, &obstacle.denied());
            self.mark(&project);
        }
        let requests = self.waiters.requests().into_iter();
        requests.for_each(|request| self.look_refused(request, id, &obstacle));
    }

    /// The look that this question waits for cannot be taken.
    pub(super) fn look_denied(&mut self, request: RequestId, id: WorkspaceId, detail: &str) {
        let sync = matches!(
            self.waiters.get(request).map(|w| &w.need),
            Some(Need::Sync(_))
        );
        if sync {
            self.deny(request, Denied::Unsynced(detail.to_owned()));
        } else {
            self.look_refused(request, id, &Obstacle::Gone(detail.to_owned()));
        }
    }

    pub(super) fn look_refused(
        &mut self,
        request: RequestId,
        id: WorkspaceId,
        obstacle: &Obstacle,
    ) {
        let denied = obstacle.denied();
        // Who has joined a run that is under way hears of its end.
        if self
            .runs
            .values()
            .any(|run| run.requests.contains(&request))
        {
            return;
        }
        let Some(waiter) = self.waiters.get(request) else {
            return;
        };
        match &waiter.need {
            Need::Sync(left) if left.contains(&id) => match obstacle {
                // What is not trusted or misconfigured is watched all the same.
                Obstacle::Untrusted(_) | Obstacle::Misconfigured(_) => {}
                Obstacle::Gone(_) | Obstacle::Rescanning(_) => self.deny(request, denied),
            },
            // Nothing more can be seen of it; what that means for the question is for the question to say.
            Need::Glance(left, ask) if left.contains(&id) && !obstacle.may_be_mended() => {
                let ask = (**ask).clone();
                if self.waiters.tick_off(request, id) {
                    self.ask_at_last(request, ask);
                }
            }
            Need::Run { ask, .. } if ask.project.workspace == id => self.deny(request, denied),
            Need::Resume { ask } if ask.project.workspace == id => self.deny(request, denied),
            Need::Verdicts { projects, lone, .. } => {
                let open = projects.iter().filter(|(project, sought)| {
                    project.workspace == id && !matches!(sought, Sought::Found(_))
                });
                let open: Vec<ProjectId> = open.map(|(project, _)| project.clone()).collect();
                let refused = !matches!(obstacle, Obstacle::Gone(_) | Obstacle::Rescanning(_));
                if *lone && refused && !open.is_empty() {
                    self.deny(request, denied);
                    return;
                }
                for project in open {
                    let found = Sought::Found(self.no_answer(&project, obstacle.detail()));
                    self.waiters.note(request, &project, found);
                }
                self.answer_if_found(request);
            }
            Need::Sync(_)
            | Need::Glance(..)
            | Need::Run { .. }
            | Need::Resume { .. }
            | Need::Cancelled(_) => {}
        }
    }
}

impl Obstacle {
    pub(super) fn detail(&self) -> &str {
        match self {
            Self::Misconfigured(detail)
            | Self::Untrusted(detail)
            | Self::Rescanning(detail)
            | Self::Gone(detail) => detail,
        }
    }

    pub(super) fn denied(&self) -> Denied {
        let detail = self.detail().to_owned();
        match self {
            Self::Misconfigured(_) => Denied::Misconfigured(detail),
            Self::Untrusted(_) => Denied::Untrusted(detail),
            Self::Rescanning(_) | Self::Gone(_) => Denied::Unavailable(detail),
        }
    }
}

#[cfg(test)]
mod tests;

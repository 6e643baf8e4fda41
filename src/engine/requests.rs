//! Questions as they come in, questions that go away, and the passing of time.
//!
//! What is refused is data that names the thing; nobody who asks is ever left without an answer.

use crate::engine::ask::{Ask, Denied, Patience, Reply, ResumeAsk, RunAsk, Scope, Wanted};
use crate::engine::pending::Pending;
use crate::engine::state::Engine;
use crate::engine::waiters::{Need, Sought, Waiter};
use crate::engine::{Effect, ProjectId};
use crate::model::config::Config;
use crate::model::id::{PipelineId, RequestId, RunId, WorkspaceId};
use crate::model::run::BY_HAND;
use crate::model::time::Tick;
use std::collections::{BTreeMap, BTreeSet};

impl Engine {
    pub(super) fn ask(&mut self, request: RequestId, ask: Ask, deadline: Option<Tick>) {
        let need = if self.stopping {
            Err(Denied::ShuttingDown)
        } else {
            match self.to_glance(&ask) {
                first if first.is_empty() => self.need(ask),
                first => Ok(Need::Glance(first, Box::new(ask))),
            }
        };
        match need {
            Ok(need) => {
                let rechecked = BTreeSet::new();
                let waiter = Waiter {
                    deadline,
                    need,
                    since: self.seq,
                    rechecked,
                };
                self.waiters.insert(request, waiter);
                self.pursue(request);
            }
            Err(denied) => {
                self.effects.push(Effect::Reply {
                    request,
                    reply: Reply::Denied(denied),
                });
            }
        }
    }

    /// The files of what is refused have been looked at since the question came: it is put.
    pub(super) fn ask_at_last(&mut self, request: RequestId, ask: Ask) {
        match self.need(ask) {
            Ok(need) => {
                self.waiters.change(request, |waiter| waiter.need = need);
                self.pursue(request);
            }
            Err(denied) => self.deny(request, denied),
        }
    }

    /// The workspaces that a question is about and whose files have to be looked at before it is refused, or before it is
    /// said that nothing runs there by itself.
    fn to_glance(&self, ask: &Ask) -> BTreeSet<WorkspaceId> {
        let (about, patience) = match ask {
            Ask::Verdict { scope, patience } => (scope.workspace, *patience),
            Ask::Run(ask) => (Some(ask.project.workspace), Patience::Run),
            Ask::Resume(ask) => (Some(ask.project.workspace), Patience::Run),
            Ask::Sync { .. } | Ask::Cancel { .. } => return BTreeSet::new(),
        };
        let asked = self.workspaces.iter().filter(|(id, workspace)| {
            about.is_none_or(|about| about == **id)
                && (workspace.can_look() || patience.runs())
                && match workspace.obstacle() {
                    Some(obstacle) if !obstacle.passes() => obstacle.may_be_mended(),
                    // Its files may be among what is being read.
                    Some(_) | None => workspace
                        .config()
                        .is_some_and(|config| config.has_unpiped()),
                }
        });
        asked.map(|(id, _)| *id).collect()
    }

    /// What this question waits for; or why it is refused at once.
    fn need(&self, ask: Ask) -> Result<Need, Denied> {
        match ask {
            Ask::Sync { workspace } => {
                let all = self.workspaces.keys().copied();
                let ids: BTreeSet<WorkspaceId> = match workspace {
                    Some(id) if !self.workspaces.contains_key(&id) => {
                        return Err(Denied::UnknownWorkspace);
                    }
                    Some(id) => BTreeSet::from([id]),
                    None => all.collect(),
                };
                Ok(Need::Sync(ids))
            }
            Ask::Verdict { scope, patience } => self.need_verdicts(scope, patience),
            Ask::Run(ask) => {
                let pipeline = self.pipeline_of(&ask)?;
                Ok(Need::Run { ask, pipeline })
            }
            Ask::Resume(ask) => self.need_resume(ask),
            Ask::Cancel { run }
                if self.runs.contains_key(&run) || self.queued_run(&run).is_some() =>
            {
                Ok(Need::Cancelled(run))
            }
            Ask::Cancel { run } => Err(Denied::UnknownRun(run)),
        }
    }

    fn need_verdicts(&self, scope: Scope, patience: Patience) -> Result<Need, Denied> {
        let ids = self.scope(&scope)?;
        let workspaces: BTreeSet<WorkspaceId> = ids.iter().map(|id| id.workspace).collect();
        // One workspace: its obstacle is the answer. Several: each project says its own.
        let lone = workspaces.len() <= 1;
        if ids.is_empty()
            && let Some(obstacle) = scope
                .workspace
                .and_then(|id| self.workspaces.get(&id))
                .and_then(|workspace| workspace.obstacle())
        {
            return Err(obstacle.denied());
        }
        let projects: BTreeMap<ProjectId, Sought> =
            ids.into_iter().map(|id| (id, Sought::Look)).collect();
        Ok(Need::Verdicts {
            scope,
            patience,
            lone,
            projects,
        })
    }

    fn need_resume(&self, ask: Box<ResumeAsk>) -> Result<Need, Denied> {
        let run = RunAsk {
            project: ask.project.clone(),
            pipeline: Some(ask.pipeline.clone()),
            parent: None,
            approval_policy: None,
            force: true,
            until: ask.until,
            wanted: Wanted::Attended,
        };
        self.pipeline_of(&run)?;
        match self
            .projects
            .get(&ask.project)
            .and_then(|project| project.active.clone())
        {
            Some(active) => Err(Denied::Busy(active)),
            None => Ok(Need::Resume { ask }),
        }
    }

    /// The projects that a question is about.
    fn scope(&self, scope: &Scope) -> Result<Vec<ProjectId>, Denied> {
        if scope
            .workspace
            .is_some_and(|id| !self.workspaces.contains_key(&id))
        {
            return Err(Denied::UnknownWorkspace);
        }
        let within = |id: &&ProjectId| {
            scope
                .workspace
                .is_none_or(|workspace| id.workspace == workspace)
        };
        // One that is no longer configured only lives until its run has ended.
        let there = self.projects.iter().filter(|(_, project)| !project.gone);
        let ids: Vec<&ProjectId> = there.map(|(id, _)| id).filter(within).collect();
        if scope.tasks.is_empty() {
            return Ok(ids.into_iter().cloned().collect());
        }
        let mut found = Vec::new();
        for task in &scope.tasks {
            let matching: Vec<&&ProjectId> = ids.iter().filter(|id| id.task == *task).collect();
            match matching.as_slice() {
                [] => return Err(Denied::UnknownProject(task.clone())),
                [one] => found.push((**one).clone()),
                several => {
                    let roots = several
                        .iter()
                        .filter_map(|id| self.workspaces.get(&id.workspace));
                    let roots = roots.map(|workspace| workspace.root.clone()).collect();
                    return Err(Denied::AmbiguousProject(task.clone(), roots));
                }
            }
        }
        Ok(found)
    }

    /// The pipeline that a run is asked for, if it may be run at all.
    fn pipeline_of(&self, ask: &RunAsk) -> Result<PipelineId, Denied> {
        let id = &ask.project;
        let workspace = self
            .workspaces
            .get(&id.workspace)
            .ok_or(Denied::UnknownWorkspace)?;
        if let Some(obstacle) = workspace.obstacle()
            && !matches!(obstacle, super::workspace::Obstacle::Rescanning(_))
        {
            return Err(obstacle.denied());
        }
        let config = workspace.config().ok_or(Denied::UnknownWorkspace)?;
        let unknown = || Denied::UnknownProject(id.task.clone());
        let project = config.project(&id.task).ok_or_else(unknown)?;
        let wanted = ask.pipeline.as_ref().unwrap_or(&project.pipeline);
        match config.pipeline(wanted) {
            Some(pipeline) if pipeline.stages.is_empty() => {
                let id = &pipeline.id;
                let detail = format!("pipeline `{id}` has no stages: its run would prove nothing");
                Err(Denied::Misconfigured(detail))
            }
            Some(pipeline) => Ok(pipeline.id.clone()),
            None => {
                let known = config.pipelines.iter().map(|pipeline| pipeline.id.clone());
                Err(Denied::UnknownPipeline(wanted.clone(), known.collect()))
            }
        }
    }

    /// Does what a new question needs first.
    fn pursue(&mut self, request: RequestId) {
        let Some(waiter) = self.waiters.get(request) else {
            return;
        };
        match &waiter.need {
            Need::Sync(ids) if ids.is_empty() => self.reply(request, Reply::Synced),
            Need::Sync(ids) => {
                for id in ids.clone() {
                    match self
                        .workspaces
                        .get(&id)
                        .and_then(|workspace| workspace.obstacle())
                    {
                        Some(obstacle @ super::workspace::Obstacle::Gone(_)) => {
                            self.look_refused(request, id, &obstacle);
                        }
                        _ => self.want_sync(id, request),
                    }
                }
            }
            Need::Glance(ids, _) => {
                for id in ids.clone() {
                    self.want_sync(id, request);
                }
            }
            Need::Verdicts {
                projects, patience, ..
            } => {
                let (ids, patience) = (projects.keys().cloned().collect::<Vec<_>>(), *patience);
                for id in ids {
                    self.pursue_verdict(request, &id, patience);
                }
                self.answer_if_found(request);
            }
            Need::Run { ask, pipeline } => {
                let (id, pipeline) = (ask.project.clone(), pipeline.clone());
                self.want(&id, &pipeline, Some(request));
            }
            Need::Resume { ask } => {
                let (id, pipeline) = (ask.project.clone(), ask.pipeline.clone());
                self.want(&id, &pipeline, Some(request));
            }
            Need::Cancelled(run) => {
                let run = run.clone();
                self.cancel_queued(&run);
                self.cancel(&run, BY_HAND);
            }
        }
    }

    fn pursue_verdict(&mut self, request: RequestId, id: &ProjectId, patience: Patience) {
        use super::workspace::Obstacle;
        let obstacle = self
            .workspaces
            .get(&id.workspace)
            .and_then(|workspace| workspace.obstacle());
        match obstacle {
            Some(Obstacle::Rescanning(_)) if patience.runs() => {}
            Some(obstacle) => self.look_refused(request, id.workspace, &obstacle),
            None => {}
        }
        let Some(Need::Verdicts { projects, .. }) = self.waiters.get(request).map(|it| &it.need)
        else {
            return;
        };
        let is_refused = matches!(projects.get(id), Some(Sought::Found(_)));
        let sought = self.look_for(request, id);
        if !is_refused {
            self.waiters.note(request, id, sought);
        }
    }

    pub(super) fn withdraw(&mut self, request: RequestId) {
        self.waiters.remove(request);
        self.leave(request);
    }

    /// Drops the runs that are wanted of pipelines which a new configuration no longer has, or which nobody asked for by
    /// name and the project no longer runs.
    pub(super) fn deny_vanished(&mut self, id: &ProjectId, config: &Config) {
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        let (known, vanished) = std::mem::take(&mut project.pending)
            .into_iter()
            .partition(|(pipeline, _)| config.pipeline(pipeline).is_some());
        project.pending = known;
        let own = config.project(&id.task).map(|project| &project.pipeline);
        self.keep_own(id, own);
        let vanished: BTreeMap<PipelineId, Pending> = vanished;
        for (pipeline, pending) in vanished {
            self.deny_vanished_pipeline(id, &pipeline, pending);
        }
    }

    fn deny_vanished_pipeline(&mut self, id: &ProjectId, pipeline: &PipelineId, pending: Pending) {
        let why = self.unknown_pipeline(id.workspace, pipeline.clone());
        for request in self.refuse_pending(id, pipeline, pending, &why) {
            self.deny_pipeline(request, id.workspace, pipeline.clone());
        }
    }

    /// Drops what is wanted of a pipeline that the configuration does not have; who asked for it by name is told.
    pub(super) fn deny_pending(&mut self, id: &ProjectId, pipeline: &PipelineId) {
        let project = self.projects.get_mut(id);
        if let Some(pending) = project.and_then(|project| project.pending.remove(pipeline)) {
            self.deny_vanished_pipeline(id, pipeline, pending);
        }
    }

    /// Answers those who wait for runs of a project that is gone.
    pub(super) fn deny_gone(&mut self, id: &ProjectId, requests: Vec<RequestId>) {
        let waiting = self
            .waiters
            .iter()
            .filter(|(_, waiter)| match &waiter.need {
                Need::Run { ask, .. } => ask.project == *id,
                Need::Resume { ask } => ask.project == *id,
                Need::Sync(_) | Need::Glance(..) | Need::Verdicts { .. } | Need::Cancelled(_) => {
                    false
                }
            });
        // Those whose run is under way hear of its end.
        let joined: BTreeSet<RequestId> = self
            .runs
            .values()
            .flat_map(|run| run.requests.iter().copied())
            .collect();
        let waiting: Vec<RequestId> = waiting
            .map(|(request, _)| request)
            .filter(|request| !joined.contains(request))
            .collect();
        for request in waiting.into_iter().chain(requests) {
            self.deny(request, Denied::UnknownProject(id.task.clone()));
        }
        self.answer_gone(id);
    }

    /// Looks at what has become quiet, ends what is over time, answers those who waited long enough.
    pub(super) fn pass_time(&mut self, unsure: Option<&BTreeSet<WorkspaceId>>) {
        let now = self.now.tick;
        self.end_waits(unsure);
        self.recheck_by_itself();
        self.enforce_deadlines();
        for request in self.waiters.late(now) {
            self.answer_late(request);
        }
    }

    /// Ends what runs, starts nothing new, and exits once everything has been recorded.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.settles.clear();
        let active: Vec<RunId> = self
            .projects
            .values()
            .filter_map(|p| p.active.clone())
            .collect();
        let ids: Vec<ProjectId> = self.projects.keys().cloned().collect();
        for id in &ids {
            // Those who asked are among those who are refused below.
            self.refuse_all_pending(id, &Denied::ShuttingDown);
        }
        active
            .iter()
            .for_each(|run| self.cancel(run, "daemon-stopped"));
        let joined: BTreeSet<RequestId> = self
            .runs
            .values()
            .flat_map(|run| run.requests.iter().copied())
            .collect();
        let waiting = self.waiters.requests().into_iter();
        for request in waiting.filter(|request| !joined.contains(request)) {
            self.deny(request, Denied::ShuttingDown);
        }
        ids.iter().for_each(|id| self.mark(id));
    }

    /// The last thing that is done, once stopping leaves nothing to record.
    pub(super) fn exit_if_done(&mut self) {
        if self.stopping && !self.exited && self.runs.is_empty() {
            self.exited = true;
            self.effects.push(Effect::Exit);
        }
    }
}

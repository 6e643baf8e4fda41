//! Looks: when the content is looked at, and what follows from what was seen.
//!
//! A look begins after whatever asked for it and sees every change made before it; so what it says may be trusted by
//! everybody who waited for it.

use crate::engine::change::is_nothing;
use crate::engine::keys::{Proof, Seen};
use crate::engine::news::News;
use crate::engine::run::{Live, MISSING, Phase, SUPERSEDED};
use crate::engine::settling::Settle;
use crate::engine::state::Engine;
use crate::engine::workspace::Look;
use crate::engine::{Effect, ProjectId};
use crate::model::id::{CaptureId, PipelineId, RequestId, RunId, WorkspaceId};
use crate::model::run::Changed;
use crate::model::view::{Subject, View};
use std::collections::{BTreeMap, BTreeSet};

impl Engine {
    /// Wants a look at what this pipeline reads of a project; `request` is told when it is over.
    pub(super) fn want(
        &mut self,
        id: &ProjectId,
        pipeline: &PipelineId,
        request: Option<RequestId>,
    ) {
        let Some(workspace) = self.workspaces.get_mut(&id.workspace) else {
            return;
        };
        let wanted = workspace.wanted.get_or_insert_default();
        wanted.subjects.insert(Subject {
            task: id.task.clone(),
            pipeline: pipeline.clone(),
        });
        wanted.requests.extend(request);
    }

    /// Wants a look at what a project's own pipeline reads.
    pub(super) fn want_present(&mut self, id: &ProjectId) {
        self.want_own(id, None);
    }

    pub(super) fn want_own(&mut self, id: &ProjectId, request: Option<RequestId>) {
        let own = self.default_pipeline(id);
        if let Some(pipeline) = own.map(|pipeline| pipeline.id.clone()) {
            self.want(id, &pipeline, request);
        }
    }

    /// Wants every look that somebody of this project waits for: at its own content, for what is pending, for a child.
    pub(super) fn want_all(&mut self, id: &ProjectId) {
        self.want_present(id);
        let project = self
            .projects
            .get(id)
            .filter(|project| project.active.is_none());
        let pending = project
            .into_iter()
            .flat_map(|project| project.pending.keys().cloned());
        let runs = self.runs.values().filter(|run| run.project == *id);
        let children = runs
            .flat_map(|run| run.stages.iter())
            .filter_map(|live| match live {
                Live::ChildExpected(pipeline) => Some(pipeline.clone()),
                Live::Idle
                | Live::Command { .. }
                | Live::Entering(_)
                | Live::Weighing(_)
                | Live::Leaving { .. }
                | Live::Child(_) => None,
            });
        let pipelines: Vec<PipelineId> = pending.chain(children).collect();
        pipelines
            .iter()
            .for_each(|pipeline| self.want(id, pipeline, None));
    }

    /// Wants every change seen that was made before now.
    pub(super) fn want_sync(&mut self, id: WorkspaceId, request: RequestId) {
        if let Some(workspace) = self.workspaces.get_mut(&id) {
            workspace
                .wanted
                .get_or_insert_default()
                .requests
                .insert(request);
        }
    }

    /// Begins the looks that are wanted where none is under way.
    pub(super) fn start_looks(&mut self) {
        for (id, workspace) in &mut self.workspaces {
            if workspace.look.is_some() || !workspace.can_look() {
                continue;
            }
            let Some(mut look) = workspace.wanted.take() else {
                continue;
            };
            self.captures = self.captures.next();
            look.capture = self.captures;
            look.config = workspace.config().cloned();
            // What is configured no more cannot be looked at; who waits for it hears so when the look is over.
            let there = |subject: &&Subject| {
                workspace.config().is_some_and(|config| {
                    config.project(&subject.task).is_some()
                        && config.pipeline(&subject.pipeline).is_some()
                })
            };
            let subjects = look.subjects.iter().filter(there).cloned().collect();
            self.effects.push(Effect::Capture {
                capture: look.capture,
                workspace: *id,
                subjects,
            });
            workspace.look = Some(look);
        }
    }

    pub(super) fn see(&mut self, capture: CaptureId, id: WorkspaceId, views: Option<Vec<View>>) {
        let Some(workspace) = self.workspaces.get_mut(&id) else {
            return;
        };
        let Some(look) = workspace.look.take_if(|look| look.capture == capture) else {
            return;
        };
        let overtaken = workspace.is_overtaken(&look);
        let Some(views) = views else {
            match overtaken {
                true => self.look_lost(id, look),
                false => self.look_failed(id, look),
            }
            return;
        };
        let mut seen = Vec::new();
        for view in views {
            let project = ProjectId {
                workspace: id,
                task: view.subject.task.clone(),
            };
            let pipeline = view.subject.pipeline.clone();
            if overtaken {
                // What differs is not told again by the next look.
                let settled = !self.settles.contains_key(&project);
                self.note_changes(&project, &view, settled);
            } else if let Some(content) = self.note_view(&project, &view) {
                seen.push((project, pipeline, content));
            }
        }
        if overtaken {
            if let Some(workspace) = self.workspaces.get_mut(&id) {
                workspace.want_again(look);
            }
            return;
        }
        let mut vanished = look.subjects;
        for (project, pipeline, _) in &seen {
            vanished.remove(&Subject {
                task: project.task.clone(),
                pipeline: pipeline.clone(),
            });
        }
        let requests = look.requests;
        requests
            .iter()
            .for_each(|request| self.looked(*request, id, &seen));
        let mut free: BTreeMap<ProjectId, BTreeMap<PipelineId, Seen>> = BTreeMap::new();
        for (project, pipeline, content) in seen {
            self.answer_proven(&project);
            if !self.act(capture, &project, &pipeline, &content) {
                free.entry(project).or_default().insert(pipeline, content);
            }
        }
        // Only now: what begins first does not depend on the order of the views.
        for (project, contents) in &free {
            self.begin_next(project, contents);
            self.consider(project);
            self.poise(project);
        }
        for subject in vanished {
            let project = ProjectId {
                workspace: id,
                task: subject.task,
            };
            self.give_way(capture, &project, &subject.pipeline);
        }
    }

    /// A run waited for a look at what is no longer configured: it ends, and what is configured now has its own.
    fn give_way(&mut self, capture: CaptureId, id: &ProjectId, pipeline: &PipelineId) {
        for run in self.checking(id, pipeline, capture) {
            self.conclude(&run, None);
        }
        for (parent, _) in self.expecting_child(id, pipeline) {
            self.cancel(&parent, SUPERSEDED);
        }
    }

    /// Takes over what was seen of a project; nothing if it is no longer configured.
    fn note_view(&mut self, id: &ProjectId, view: &View) -> Option<Seen> {
        let config = self.workspaces.get(&id.workspace)?.config()?.clone();
        let pipeline = config.pipeline(&view.subject.pipeline)?;
        let own = config.project(&id.task)?.pipeline == pipeline.id;
        let content = Seen::of(&config, pipeline, view);
        let settled = own && self.end_wait(id);
        let project = self.projects.get_mut(id)?;
        if own {
            project.see(content.clone());
        }
        // What is foreseen is told of once it is quiet.
        if !self.is_foreseen(id) {
            self.mark(id);
        }
        self.note_changes(id, view, settled);
        Some(content)
    }

    /// Takes over what differs since the view of this pipeline before.
    fn note_changes(&mut self, id: &ProjectId, view: &View, settled: bool) {
        let (pipeline, changed) = (&view.subject.pipeline, &view.changed);
        let runs = self.runs.values_mut();
        // Changes are told per pipeline, since its view before; to another pipeline's run they may be old news.
        for run in runs.filter(|run| run.project == *id && run.report.pipeline == *pipeline) {
            run.note_view(view);
        }
        let own = self.default_pipeline(id).map(|own| &own.id) == Some(pipeline);
        let Some(project) = self.projects.get_mut(id).filter(|_| own) else {
            return;
        };
        project.note_change(changed);
        if !is_nothing(changed) {
            self.publish(News::Change {
                project: id.clone(),
                changed: changed.clone(),
            });
        }
        if settled {
            self.tell_settled(id);
        }
    }

    /// Does what the runs under way waited for with this look; whether any did.
    fn act(
        &mut self,
        capture: CaptureId,
        id: &ProjectId,
        pipeline: &PipelineId,
        content: &Seen,
    ) -> bool {
        // Stages of one run may be the same pipeline: each has a child run of its own, and all share the look.
        let checking = self.checking(id, pipeline, capture);
        let expecting = self.expecting_child(id, pipeline);
        for run in &checking {
            self.conclude(run, Some(content));
        }
        for (parent, stage) in &expecting {
            self.begin_child(parent, *stage, content);
        }
        !checking.is_empty() || !expecting.is_empty()
    }

    /// Begins what is pending of a project and next, on what a look has seen of its pipelines; or drops what is needless.
    fn begin_next(&mut self, id: &ProjectId, contents: &BTreeMap<PipelineId, Seen>) {
        let serves = self.obstacle(id.workspace).is_none();
        let free = self.projects.get(id).filter(|it| it.active.is_none());
        let Some(project) = free.filter(|_| serves && !self.stopping) else {
            return;
        };
        let Some((pipeline, pending)) = project.next_pending() else {
            return;
        };
        let (pipeline, asked) = (pipeline.clone(), !pending.is_by_itself());
        let Some(content) = contents.get(&pipeline) else {
            // It has a look of its own, which nothing may overtake.
            return self.want(id, &pipeline, None);
        };
        let proof = project.proof(&content.keys);
        let told = proof.is_some();
        let answers = proof.is_some_and(Proof::answers);
        let left_alone = project.left_alone.as_ref() == Some(&content.keys);
        // What was asked for by name runs whatever is proven. A question needs an answer, which an error is not; a change
        // only needs something to be told of its content.
        let needless = match self.is_awaited(id) {
            _ if asked => false,
            true => answers,
            false => told || left_alone,
        };
        if self.put_off_pending(id, &pipeline) {
            return;
        }
        if needless {
            self.drop_pending(id, &pipeline);
        } else {
            self.begin_pending(id, &pipeline, content.clone());
        }
    }

    /// The runs of this pipeline that wait for a look that began after their last stage.
    fn checking(&self, id: &ProjectId, pipeline: &PipelineId, capture: CaptureId) -> Vec<RunId> {
        let runs = self.runs.values().filter(|run| {
            run.project == *id
                && run.report.pipeline == *pipeline
                && matches!(run.phase, Phase::Checking(after) if capture > after)
        });
        runs.map(|run| run.report.run.clone()).collect()
    }

    fn look_failed(&mut self, id: WorkspaceId, look: Look) {
        let detail = "the look at its content failed; see the daemon's log";
        look.requests
            .into_iter()
            .for_each(|request| self.look_denied(request, id, detail));
        self.abandon_checks(id);
        for project in self.note_loss(id, &look.subjects) {
            self.look_later(&project);
        }
    }

    /// A look met a configuration that it was not asked for, and says nothing: it is taken again.
    fn look_lost(&mut self, id: WorkspaceId, look: Look) {
        self.note_loss(id, &look.subjects);
        if let Some(workspace) = self.workspaces.get_mut(&id) {
            workspace.want_again(look);
        }
    }

    /// What a look would have told of these, no later look tells.
    fn note_loss(&mut self, id: WorkspaceId, subjects: &BTreeSet<Subject>) -> BTreeSet<ProjectId> {
        let projects = subjects.iter().map(|subject| ProjectId {
            workspace: id,
            task: subject.task.clone(),
        });
        let projects: BTreeSet<ProjectId> = projects.collect();
        for project in &projects {
            if let Some(project) = self.projects.get_mut(project) {
                project.changes.merge(&Changed::Everything);
            }
        }
        projects
    }

    /// Looks again after the longest wait for quiet, so that a look which fails at once does not spin.
    fn look_later(&mut self, id: &ProjectId) {
        let Some(wait) = self.settings(id).map(|settings| settings.settle_max) else {
            return;
        };
        let Some(project) = self.projects.get_mut(id) else {
            return;
        };
        project.doubt();
        let later = self.now.tick.after(wait);
        self.settles
            .entry(id.clone())
            .or_insert(Settle::new(later, later));
        self.mark(id);
    }

    /// Concludes the runs that wait for a look which cannot succeed: everything may have changed.
    pub(super) fn abandon_checks(&mut self, id: WorkspaceId) {
        let checking: Vec<RunId> = self
            .runs
            .values()
            .filter(|run| run.project.workspace == id && matches!(run.phase, Phase::Checking(_)))
            .map(|run| run.report.run.clone())
            .collect();
        checking.iter().for_each(|run| self.conclude(run, None));
    }

    /// Ends the runs that wait for a look to begin a child, where none will be taken before the root is back.
    pub(super) fn abandon_children(&mut self, id: WorkspaceId) {
        let workspace = self.workspaces.get(&id);
        if !workspace.is_some_and(|it| matches!(it.watch, crate::engine::Watch::Missing { .. })) {
            return;
        }
        let expecting = self.runs.values().filter(|run| {
            let mut stages = run.stages.iter();
            run.project.workspace == id && stages.any(|live| matches!(live, Live::ChildExpected(_)))
        });
        let expecting: Vec<ProjectId> = expecting.map(|run| run.project.clone()).collect();
        for project in expecting {
            let root = self.active_root(&project);
            if let Some(root) = root.map(|run| run.report.run.clone()) {
                self.cancel(&root, MISSING);
            }
        }
    }
}

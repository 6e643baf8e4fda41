//! The life of a run: begin, advance, cancel, finish; what its stages do is in `stages`, what it proves in `verdicts`.
//!
//! Nothing starts before the run's first evidence is recorded, and nothing after it was cancelled.

use crate::engine::ask::{KeptStage, Origin, ResumeAsk, Stop};
use crate::engine::change::ChangeSet;
use crate::engine::graph::Graph;
use crate::engine::keys::Seen;
use crate::engine::news::News;
use crate::engine::passing::Passing;
use crate::engine::run::{Culprits, Live, Phase, Run, fresh_stages};
use crate::engine::state::Engine;
use crate::engine::weighing::{Left, nothing_left};
use crate::engine::{Effect, ProjectId, Record};
use crate::model::config::{Config, Pipeline};
use crate::model::id::{PipelineId, RequestId, RunId};
use crate::model::run::{
    Cause, Changed, ChildReport, ResumeReport, RunReport, RunStatus, StageReport, StageStatus,
    StageWork, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Engine {
    /// The run that a project's children belong to, if it has one.
    pub(super) fn active_root(&self, id: &ProjectId) -> Option<&Run> {
        self.runs.get(self.projects.get(id)?.active.as_ref()?)
    }

    /// A run of a project on content that was just seen; nothing where its pipeline is not configured.
    pub(super) fn new_root(
        &mut self,
        id: &ProjectId,
        pipeline: &PipelineId,
        origin: &Origin,
        seen: Seen,
    ) -> Option<Run> {
        let config = self.config_of(id)?;
        self.new_run_of(id, config, pipeline, origin, seen)
    }

    /// Begins a run of a project that has none under way.
    pub(super) fn begin(&mut self, mut run: Run) {
        let own = self.default_pipeline(&run.project);
        let own = own.is_some_and(|own| own.id == run.report.pipeline);
        let Some(project) = self.projects.get_mut(&run.project) else {
            return;
        };
        if own {
            (run.report.changed, project.unproven) = project.differs();
            run.report.unproven = project.unproven.changed();
            project.changes = ChangeSet::default();
            project.auto = Cause::Change;
            project.left_alone = None;
        }
        project.active = Some(run.report.run.clone());
        self.install(run, false);
    }

    fn config_of(&self, id: &ProjectId) -> Option<Arc<Config>> {
        self.workspaces.get(&id.workspace)?.config().cloned()
    }

    /// Begins the child run of a stage that is a pipeline, as the configuration had it when its parent began.
    pub(super) fn begin_child(&mut self, parent: &RunId, stage: usize, seen: &Seen) {
        let Some(run) = self.runs.get(parent) else {
            return;
        };
        let Some(Live::ChildExpected(pipeline)) = run.stages.get(stage).cloned() else {
            return;
        };
        let id = run.project.clone();
        let origin = Origin {
            cause: Cause::Parent,
            parent: Some(parent.clone()),
            approval_policy: run.report.approval_policy.clone(),
            force: run.force,
        };
        let inherited = run.left_to(stage);
        let config = Arc::clone(&run.config);
        let Some(seen) = config
            .pipeline(&pipeline)
            .map(|pipeline| seen.under(&config, pipeline))
        else {
            return;
        };
        let Some(mut child) = self.new_run_of(&id, config, &pipeline, &origin, seen) else {
            return;
        };
        child.parent_stage = Some((parent.clone(), stage));
        child.inherit(inherited);
        let name = child.report.run.clone();
        if let Some(run) = self.runs.get_mut(parent) {
            child.report.changed = run.report.changed.clone();
            child.report.unproven = run.report.unproven.clone();
            let status = RunStatus::InProgress;
            run.report.children.push(ChildReport {
                failed: None,
                run: name.clone(),
                pipeline: pipeline.clone(),
                status,
            });
            if let Some(StageWork::Subpipeline { child, .. }) = run
                .report
                .stages
                .get_mut(stage)
                .map(|stage| &mut stage.work)
            {
                *child = Some(name.clone());
            }
            if let Some(live) = run.stages.get_mut(stage) {
                *live = Live::Child(name);
            }
        }
        self.publish(News::RunQueued {
            project: id,
            pipeline,
            cause: Cause::Parent,
            run: Some(child.report.run.clone()),
        });
        self.install(child, false);
    }

    /// Takes an ended run up again: what did not succeed runs again.
    pub(super) fn resume(&mut self, request: RequestId, ask: ResumeAsk, seen: Seen) {
        let id = ask.project.clone();
        let origin = Origin {
            cause: Cause::Resume,
            parent: ask.parent,
            approval_policy: ask.approval_policy,
            force: true,
        };
        let Some(config) = self.config_of(&id) else {
            return;
        };
        let Some(mut run) = self.new_run_of(&id, config, &ask.pipeline, &origin, seen) else {
            return;
        };
        run.report.run = ask.run.clone();
        run.report.started_at = ask.started_at;
        run.report.children = ask.children;
        run.report.status_detail = Some("resuming".to_owned());
        run.report.resumes = vec![ResumeReport {
            timestamp: self.now.wall,
            actor: ask.actor,
            reason: ask.reason,
        }];
        (run.report.changed, run.report.unproven) = (Changed::Everything, Changed::Everything);
        // Upstream matches by position only; the id must agree too, or another stage's success would be taken over.
        for (place, (fresh, kept)) in run.report.stages.iter_mut().zip(ask.stages).enumerate() {
            let done = matches!(kept.status, StageStatus::Succeeded | StageStatus::Skipped);
            if done && kept.id == fresh.id {
                keep(fresh, kept);
                run.kept.insert(place);
            }
        }
        run.requests.insert(request);
        self.publish(News::RunQueued {
            project: id.clone(),
            pipeline: ask.pipeline.clone(),
            cause: Cause::Resume,
            run: Some(ask.run.clone()),
        });
        let own = self
            .default_pipeline(&id)
            .is_some_and(|own| own.id == ask.pipeline);
        if let Some(project) = self.projects.get_mut(&id) {
            if own {
                project.left_alone = None;
            }
            // Its evidence is about to say something else.
            project.proofs.retain(|proof| proof.run != ask.run);
            project.proven.forget(&BTreeSet::from([ask.run.clone()]));
            project.active = Some(ask.run);
        }
        self.install(run, true);
    }

    fn new_run_of(
        &mut self,
        id: &ProjectId,
        config: Arc<Config>,
        pipeline: &PipelineId,
        origin: &Origin,
        seen: Seen,
    ) -> Option<Run> {
        let pipeline: &Pipeline = config.pipeline(pipeline)?;
        let stages = fresh_stages(pipeline, Some(&seen));
        let report = RunReport {
            run: self.new_run(),
            workspace: id.workspace,
            task: id.task.clone(),
            project: config.project(&id.task)?.path.clone(),
            parent: origin.parent.clone(),
            pipeline: pipeline.id.clone(),
            title: pipeline.title.clone(),
            guardrails_required: pipeline.guardrails_required,
            cause: origin.cause,
            changed: Changed::Everything,
            unproven: Changed::Everything,
            approval_policy: origin.approval_policy.clone(),
            status: RunStatus::InProgress,
            status_detail: None,
            started_at: self.now.wall,
            completed_at: None,
            stages,
            children: Vec::new(),
            resumes: Vec::new(),
            input: Some(seen.input),
            verdict: Verdict::Unknown,
            void: None,
        };
        let mut run = Run {
            project: id.clone(),
            graph: Graph::of(pipeline),
            stages: vec![Live::Idle; pipeline.stages.len()],
            left: nothing_left(&config, pipeline),
            report,
            begun: self.now.tick,
            seen,
            closing: None,
            phase: Phase::Beginning,
            parent_stage: None,
            force: origin.force,
            inherited: Some(Left::default()),
            executes: BTreeSet::new(),
            shaken: BTreeSet::new(),
            strayed: ChangeSet::default(),
            met: BTreeMap::new(),
            lying: BTreeMap::new(),
            kept: BTreeSet::new(),
            changes: ChangeSet::default(),
            passing: Passing::default(),
            affected: BTreeSet::new(),
            culprits: Culprits::new(),
            waits_since: None,
            last_stage: None,
            cancelled: None,
            broken: false,
            requests: BTreeSet::new(),
            config,
        };
        run.fix_keys();
        Some(run)
    }

    fn install(&mut self, mut run: Run, resumed: bool) {
        // It may have been foreseen a while ago.
        run.begun = self.now.tick;
        self.mark(&run.project);
        self.effects.push(Effect::Begin {
            report: Box::new(run.report.clone()),
            resumed,
        });
        self.runs.insert(run.report.run.clone(), run);
    }

    pub(super) fn note_record(&mut self, id: &RunId, record: Record, failure: Option<String>) {
        let Some(run) = self.runs.get_mut(id) else {
            return;
        };
        match (record, run.phase, failure) {
            (Record::Begin, Phase::Beginning, None) => {
                run.phase = Phase::Running;
                let report = Box::new(run.report.clone());
                self.publish(News::RunStarted { report });
                self.tell_begun(id);
                self.advance(id);
            }
            (Record::Begin, Phase::Beginning, Some(failure)) => {
                run.report.status = RunStatus::Failed;
                run.report.completed_at = Some(self.now.wall);
                self.give_up(id, &failure);
            }
            (Record::End, Phase::Ending, None) => self.tell_ended(id),
            (Record::End, Phase::Ending, Some(failure)) => self.give_up(id, &failure),
            (Record::Begin | Record::End, _, _) => {}
        }
    }

    /// Starts what may start; finishes the run when nothing runs and nothing more may.
    pub(super) fn advance(&mut self, id: &RunId) {
        let Some(run) = self.runs.get(id) else { return };
        if run.phase != Phase::Running {
            return;
        }
        let waits = loop {
            let ready = self.ready(id);
            let waits = !ready.is_empty();
            let mut is_taken = false;
            for stage in ready {
                is_taken |= self.set_about(id, stage);
            }
            // What was taken over has ended: more may start.
            if !is_taken {
                break waits;
            }
        };
        let Some(run) = self.runs.get(id) else { return };
        let (idle, workspace) = (!run.is_live(), run.project.workspace);
        if idle && !waits {
            self.finish(id);
        }
        self.abandon_children(workspace);
    }

    /// The stages of a run that may start now.
    fn ready(&self, id: &RunId) -> Vec<usize> {
        let run = self.runs.get(id);
        let run = run.filter(|run| run.cancelled.is_none() && !run.has_failed_fast());
        run.map(|run| run.graph.ready(&run.statuses()))
            .unwrap_or_default()
    }

    /// Ends a run from outside: TERM to what runs, nothing new starts.
    pub(super) fn cancel(&mut self, id: &RunId, why: &'static str) {
        let Some(run) = self.runs.get_mut(id) else {
            return;
        };
        if run.cancelled.is_some() || matches!(run.phase, Phase::Checking(_) | Phase::Ending) {
            return;
        }
        run.cancelled = Some(why);
        let (mut children, mut left) = (Vec::new(), Vec::new());
        for (stage, live) in run.stages.iter_mut().enumerate() {
            match live {
                Live::Command { kill_at, .. } if kill_at.is_none() => {
                    let definition = run
                        .config
                        .pipeline(&run.report.pipeline)
                        .and_then(|p| p.stages.get(stage));
                    let grace = definition
                        .and_then(|s| s.command())
                        .map(|command| command.grace);
                    *kill_at = Some(self.now.tick.after(grace.unwrap_or_default()));
                    self.effects.push(Effect::StopStage {
                        run: id.clone(),
                        stage,
                        stop: Stop::Term,
                    });
                }
                Live::Command { .. } | Live::Idle => {}
                Live::Weighing(_) | Live::ChildExpected(_) => *live = Live::Idle,
                Live::Entering(_) => *live = Live::Idle,
                // It has ended before; nobody waits for what it has left any more.
                Live::Leaving { status, .. } => left.push((stage, *status)),
                Live::Child(child) => children.push(child.clone()),
            }
        }
        for stage in left {
            self.end_left(id, stage, &[]);
        }
        for child in children {
            self.cancel(&child, why);
        }
        self.advance(id);
    }

    /// Every stage has ended: looks at the content once more.
    fn finish(&mut self, id: &RunId) {
        let Some(run) = self.runs.get_mut(id) else {
            return;
        };
        run.report.completed_at = Some(self.now.wall);
        let failed = run
            .report
            .stages
            .iter()
            .find(|stage| stage.status == StageStatus::Failed);
        (run.report.status, run.report.status_detail) = match (run.cancelled, failed) {
            (Some(why), _) => (RunStatus::Cancelled, Some(why.to_owned())),
            (None, Some(stage)) => (RunStatus::Failed, Some(super::verdicts::detail(stage))),
            // It would prove nothing, and must not be green for it.
            (None, None) if run.report.stages.is_empty() => (
                RunStatus::Failed,
                Some("the pipeline has no stages".to_owned()),
            ),
            (None, None) => (RunStatus::Succeeded, None),
        };
        run.phase = Phase::Checking(self.captures);
        let (project, pipeline) = (run.project.clone(), run.report.pipeline.clone());
        let workspace = self.workspaces.get(&project.workspace);
        if workspace.is_some_and(super::workspace::Workspace::can_look) {
            self.want(&project, &pipeline, None);
        } else {
            self.conclude(id, None);
        }
    }
}

/// Takes over a stage that was done before a resume.
fn keep(fresh: &mut StageReport, kept: KeptStage) {
    if let StageWork::Subpipeline { child, .. } = &mut fresh.work {
        *child = kept.child;
    }
    fresh.status = kept.status;
    fresh.started_at = kept.started_at;
    fresh.completed_at = kept.completed_at;
    fresh.exit_code = kept.exit_code;
    fresh.summary = kept.summary;
    fresh.outcome = kept.outcome;
    fresh.content_key = kept.content_key;
    fresh.key = kept.key;
    fresh.below = kept.below;
    fresh.input = kept.input;
    fresh.tools = None;
    fresh.reused_from = kept.reused_from;
    fresh.attempts = kept.attempts;
    fresh.duration = kept.duration;
    fresh.log_bytes = kept.log_bytes;
    fresh.truncated = kept.truncated;
}

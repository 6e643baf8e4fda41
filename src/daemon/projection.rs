//! What the engine knows, as the protocol says it: `status`, and an event per piece of news.
//!
//! It only translates: every piece of news becomes exactly one event, so that the numbers have no gap.

use crate::daemon::shell::Shell;
use crate::daemon::waiting::refusal;
use crate::engine::ask::Denied;
use crate::engine::news::{Dropped, News, StageTold};
use crate::engine::{
    self, Held, MutexWait, ProjectId, ProjectStanding, Watch, WorkspaceStanding, failure,
};
use crate::limits::HOLD_WAITS_MAX;
use crate::model::config::Flaky;
use crate::model::config::source::Origin;
use crate::model::evidence::Layout;
use crate::model::id::{RunId, Seq, TaskId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::report::event::{
    ChangeSeen, ConfigTold, DropReason, Event, Happening, RunDone, RunDropped, RunNamed, RunWanted,
    StageBegun, StageDone, VerdictTold, WorkspaceTold,
};
use crate::model::report::runs::ChangedPaths;
use crate::model::report::status::{
    DaemonStatus, ProjectStatus, ProvenBy, QueuedRun, RunningRun, Status, WorkspaceState,
    WorkspaceStatus,
};
use crate::model::run::{RunReport, Verdict};
use crate::model::time::Timestamp;
use crate::wire::answer::Answer;
use crate::wire::call::Scope;
use crate::wire::refusal::Refusal;

impl Shell {
    /// Everything as it stands, or one workspace or task of it.
    pub(super) fn status(&self, scope: &Scope) -> Status {
        let wanted = scope.workspace.as_ref().map(|root| self.site_at(root));
        let workspaces = self.engine.workspaces().into_iter();
        let workspaces = workspaces.filter(|workspace| match &wanted {
            None => true,
            Some(Ok(id)) => *id == workspace.id,
            Some(Err(_)) => false,
        });
        let workspaces =
            workspaces.map(|workspace| self.workspace_status(workspace, scope.task.as_ref()));
        Status {
            daemon: self.daemon_status(),
            workspaces: workspaces.collect(),
        }
    }

    /// The same, for somebody who names a project that has to be there.
    pub(super) fn status_of(&self, scope: &Scope) -> Result<Answer, Refusal> {
        self.scope_of(scope.workspace.as_ref())?;
        let status = self.status(scope);
        let found = status
            .workspaces
            .iter()
            .any(|workspace| !workspace.projects.is_empty());
        match &scope.task {
            Some(task) if !found => Err(refusal(Denied::UnknownProject(task.clone()))),
            Some(_) | None => Ok(status.into()),
        }
    }

    fn daemon_status(&self) -> DaemonStatus {
        let watches: usize = self.sites.values().map(|site| site.facts.watches).sum();
        DaemonStatus {
            pid: self.about.pid,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance_id: self.about.instance_id.clone(),
            uptime_ms: self.about.uptime_ms(),
            seq: self.engine.seq(),
            rss_bytes: crate::daemon::process::rss_bytes().unwrap_or(0),
            watches: u64::try_from(watches).unwrap_or(u64::MAX),
        }
    }

    fn workspace_status(
        &self,
        workspace: WorkspaceStanding<'_>,
        task: Option<&TaskId>,
    ) -> WorkspaceStatus {
        let (state, detail) = self.state_of(&workspace);
        let order = self
            .sites
            .get(&workspace.id)
            .and_then(|site| site.config.clone());
        let place = |project: &ProjectStanding<'_>| {
            let projects = order.as_ref().map(|config| &config.projects);
            projects.and_then(|all| {
                all.iter()
                    .position(|p| p.task == project.standing.project.task)
            })
        };
        let flaky = order.as_ref().map(|config| config.settings.flaky);
        let missed = self
            .sites
            .get(&workspace.id)
            .map_or(0, |site| site.misses.count);
        let layout = self.sites.get(&workspace.id).map(|site| &site.layout);
        let root = workspace.root.clone();
        let mut projects: Vec<ProjectStanding<'_>> = workspace.projects;
        projects.retain(|project| task.is_none_or(|task| project.standing.project.task == *task));
        projects.sort_by_cached_key(|project| place(project).unwrap_or(usize::MAX));
        WorkspaceStatus {
            root,
            state,
            detail,
            missed,
            projects: projects
                .into_iter()
                .map(|project| project_status(project, flaky, layout))
                .collect(),
        }
    }

    /// How a workspace stands, and why.
    fn state_of(&self, workspace: &WorkspaceStanding<'_>) -> (WorkspaceState, Option<String>) {
        let told = |detail: &str| Some(detail.to_owned());
        let unreadable = || {
            let site = self.sites.get(&workspace.id)?;
            let first = site.facts.unreadable.first()?;
            let count = site.facts.unreadable.len();
            Some(match count {
                1 => format!("cannot read {first}"),
                _ => format!("{count} paths cannot be read, the first is {first}"),
            })
        };
        match (workspace.watch, workspace.refused, workspace.untrusted) {
            (Watch::Missing { detail }, _, _) => (WorkspaceState::Missing, told(detail)),
            (_, Some(detail), _) => (WorkspaceState::Invalid, told(detail)),
            (Watch::Rescanning { detail }, _, None) => (WorkspaceState::Rescanning, told(detail)),
            (Watch::Rescanning { detail }, _, Some(_)) if self.is_preparing(workspace.id) => {
                (WorkspaceState::Rescanning, told(detail))
            }
            (_, _, Some(detail)) => (WorkspaceState::Untrusted, told(detail)),
            (Watch::Polling { detail }, _, _) => {
                let mutex = workspace
                    .mutex
                    .map(|wait| format!("; {}", about_mutex(wait)));
                let detail = format!("{detail}{}", mutex.unwrap_or_default());
                (WorkspaceState::Polling, Some(detail))
            }
            (Watch::Watching, _, _) => {
                let held = workspace.held.as_ref().map(about_git);
                let polled = || self.sites.get(&workspace.id)?.facts.polled_too();
                let unpiped = || self.about_unpiped(workspace.id);
                let mutex = || workspace.mutex.map(about_mutex);
                let detail = held.or_else(mutex).or_else(unreadable).or_else(polled);
                (WorkspaceState::Watching, detail.or_else(unpiped))
            }
        }
    }

    /// That nothing runs by itself, and what to do about it.
    fn about_unpiped(&self, id: WorkspaceId) -> Option<String> {
        let config = self.sites.get(&id)?.config.as_ref()?;
        let mut projects = config.projects.iter();
        let project = projects.find(|project| config.is_unpiped(project))?;
        let known = config.pipelines.iter();
        let known: Vec<String> = known.map(|it| format!("`{}`", it.id)).collect();
        Some(format!(
            "a change of `{}` runs nothing: `{}` has no `defaultPipeline`, and no pipeline `{}`. Name one, or run one with `orchctl run PIPELINE`: {}",
            project.task,
            Origin::Codex.file_name(),
            project.pipeline,
            known.join(", ")
        ))
    }

    fn is_preparing(&self, id: WorkspaceId) -> bool {
        self.sites.get(&id).is_some_and(|site| site.preparing)
    }

    pub(super) fn standing_of(&self, id: WorkspaceId) -> Option<(WorkspaceState, Option<String>)> {
        let workspace = self.engine.workspace(id)?;
        Some(self.state_of(&workspace))
    }

    fn root_of(&self, id: WorkspaceId) -> Option<RootPath> {
        self.names.get(&id).map(|(root, _)| root.clone())
    }

    fn tasks_of(&self, id: WorkspaceId) -> Vec<TaskId> {
        let config = self.sites.get(&id).and_then(|site| site.config.as_ref());
        config
            .map(|config| crate::daemon::site::tasks(config))
            .unwrap_or_default()
    }

    fn manifest(&self, project: &ProjectId, run: &RunId) -> Option<String> {
        let (_, layout) = self.names.get(&project.workspace)?;
        Some(layout.manifest(&project.task, run))
    }

    /// A piece of news as an event; nothing where its workspace is gone.
    pub(super) fn event(&self, seq: Seq, at: Timestamp, news: News) -> Option<Event> {
        let what = match news {
            News::Change { project, changed } => Happening::Change(ChangeSeen {
                workspace: self.root_of(project.workspace)?,
                task_id: project.task,
                changed: ChangedPaths::of(&changed),
            }),
            News::Settled { project, changed } => Happening::Settled(ChangeSeen {
                workspace: self.root_of(project.workspace)?,
                task_id: project.task,
                changed: ChangedPaths::of(&changed),
            }),
            News::RunQueued {
                project,
                pipeline,
                cause,
                run,
            } => Happening::RunQueued(RunWanted {
                workspace: self.root_of(project.workspace)?,
                task_id: project.task,
                pipeline_id: pipeline,
                cause,
                run_id: run,
            }),
            News::RunDropped {
                project,
                pipeline,
                run,
                why,
            } => {
                let (reason, detail) = match why {
                    Dropped::Cancelled => (DropReason::Cancelled, None),
                    Dropped::Withdrawn => (DropReason::Withdrawn, None),
                    Dropped::Refused(denied) => {
                        (DropReason::Refused, Some(refusal(denied).message))
                    }
                };
                Happening::RunDropped(RunDropped {
                    workspace: self.root_of(project.workspace)?,
                    task_id: project.task,
                    run_id: run,
                    pipeline_id: pipeline,
                    reason,
                    detail,
                })
            }
            News::RunStarted { report } => Happening::RunStarted(self.run_named(&report)?),
            News::StageStarted(told) => Happening::StageStarted(self.stage_begun(*told)?),
            News::StageEnded(told) => Happening::StageEnded(self.stage_done(*told)?),
            News::RunEnded { report } => Happening::RunEnded(self.run_done(&report)?),
            News::Verdict {
                project,
                verdict,
                input,
                run,
            } => Happening::Verdict(self.verdict_told(&project, verdict, input, run)?),
            News::Workspace { workspace } => self.workspace_told(workspace)?,
            News::Config { workspace, refused } => Happening::Config(ConfigTold {
                workspace: self.root_of(workspace)?,
                ok: refused.is_none(),
                detail: refused,
                tasks: self.tasks_of(workspace),
            }),
        };
        Some(Event { seq, at, what })
    }

    fn workspace_told(&self, id: WorkspaceId) -> Option<Happening> {
        let (state, detail) = self.standing_of(id).unzip();
        Some(Happening::Workspace(WorkspaceTold {
            workspace: self.root_of(id)?,
            state,
            detail: detail.flatten(),
        }))
    }

    fn run_named(&self, report: &RunReport) -> Option<RunNamed> {
        let (root, layout) = self.names.get(&report.workspace)?;
        Some(RunNamed {
            workspace: root.clone(),
            task_id: report.task.clone(),
            run_id: report.run.clone(),
            pipeline_id: report.pipeline.clone(),
            parent_run_id: report.parent.clone(),
            cause: report.cause,
            input_digest: report.input,
            manifest: layout.manifest(&report.task, &report.run),
            stages: report.stages.iter().map(|stage| stage.id.clone()).collect(),
            changed: ChangedPaths::of(&report.changed),
        })
    }

    fn stage_begun(&self, told: StageTold) -> Option<StageBegun> {
        Some(StageBegun {
            workspace: self.root_of(told.project.workspace)?,
            task_id: told.project.task,
            pipeline_id: told.pipeline,
            run_id: told.run,
            stage: told.stage.id,
            index: told.place.saturating_add(1),
            attempt: told.stage.attempts,
        })
    }

    fn stage_done(&self, told: StageTold) -> Option<StageDone> {
        let stage = told.stage;
        Some(StageDone {
            workspace: self.root_of(told.project.workspace)?,
            task_id: told.project.task,
            pipeline_id: told.pipeline,
            run_id: told.run,
            stage: stage.id,
            index: told.place.saturating_add(1),
            status: stage.status,
            outcome: stage.outcome,
            exit_code: stage.exit_code,
            summary: stage.summary,
            duration_ms: u64::try_from(stage.duration.as_millis()).unwrap_or(u64::MAX),
            attempts: stage.attempts,
            reused_from: stage.reused_from,
        })
    }

    fn run_done(&self, report: &RunReport) -> Option<RunDone> {
        let (root, layout) = self.names.get(&report.workspace)?;
        let duration = report.completed_at.map(|end| end.since(report.started_at));
        let green = self.run_answer(report).and_then(|answer| answer.green);
        Some(RunDone {
            workspace: root.clone(),
            task_id: report.task.clone(),
            run_id: report.run.clone(),
            pipeline_id: report.pipeline.clone(),
            parent_run_id: report.parent.clone(),
            status: report.status,
            status_detail: report.status_detail.clone(),
            verdict: report.verdict,
            input_digest: report.input,
            void: report.void.is_some(),
            duration_ms: duration.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            manifest: layout.manifest(&report.task, &report.run),
            failure: failure(report, layout),
            unproven: report.unproven(),
            green,
        })
    }

    fn verdict_told(
        &self,
        project: &ProjectId,
        verdict: Verdict,
        input: Option<crate::model::digest::InputDigest>,
        run: Option<RunId>,
    ) -> Option<VerdictTold> {
        let last = self.engine.last(project);
        Some(VerdictTold {
            workspace: self.root_of(project.workspace)?,
            task_id: project.task.clone(),
            verdict,
            fresh: run.is_some(),
            input_digest: input,
            manifest: run.as_ref().and_then(|run| self.manifest(project, run)),
            failure: last
                .and_then(|last| last.failure.clone())
                .filter(|_| matches!(verdict, Verdict::Fail | Verdict::Unstable)),
            run_id: run,
        })
    }
}

/// What is waited for of git, or was in vain.
fn about_git(held: &Held<'_>) -> String {
    match held {
        Held::Waiting(sign) => format!(
            "git is at work, `{}` is there: runs wait for its end, at most {HOLD_WAITS_MAX} times `settle_max_ms`",
            sign.place
        ),
        Held::GivenUp(sign) => format!(
            "`{}` is still there, and runs start all the same: end what git was doing, or delete it if no git runs",
            sign.place
        ),
    }
}

/// What a stage waits for that another process has.
fn about_mutex(wait: &MutexWait) -> String {
    format!(
        "stage `{}` of `{}` waits for the mutex `{}`, which {} holds",
        wait.stage, wait.task, wait.mutex, wait.holder
    )
}

fn queued_run(queued: engine::QueuedRun<'_>) -> QueuedRun {
    QueuedRun {
        run_id: queued.run.clone(),
        pipeline_id: queued.pipeline.clone(),
        cause: queued.cause,
        asked_at: queued.since,
    }
}

fn project_status(
    project: ProjectStanding<'_>,
    flaky: Option<Flaky>,
    layout: Option<&Layout>,
) -> ProjectStatus {
    let standing = project.standing;
    let proof = standing.proof.zip(layout).map(|(run, layout)| ProvenBy {
        manifest: layout.manifest(&standing.project.task, &run),
        run_id: run,
    });
    let told = flaky.filter(|_| standing.verdict == Verdict::Flaky);
    ProjectStatus {
        task_id: standing.project.task,
        path: standing.path,
        pipeline: standing.pipeline,
        verdict: standing.verdict,
        green: told.map(|flaky| standing.verdict.is_green(flaky)),
        fresh: standing.fresh,
        phase: standing.phase,
        input_digest: standing.input,
        running: project.running.map(|running| RunningRun {
            run_id: running.run,
            stage: running.stage,
            started_at: running.started_at,
            waits: running.waits.as_ref().map(about_mutex),
        }),
        queued: project.queued.into_iter().map(queued_run).collect(),
        proof,
        last_run: project.last.map(|last| last.run.clone()),
        // What failed is of no interest once the present content is proven by another run.
        failure: project
            .last
            .and_then(|last| last.failure.clone())
            .filter(|_| !matches!(standing.verdict, Verdict::Pass | Verdict::Flaky)),
    }
}

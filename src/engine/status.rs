//! What is visible of the engine's state: a standing per project, told and recorded when it changes.
//!
//! A verdict is shown as fresh only while it is about the present content and nothing stands in the way of knowing it.

use crate::engine::hold::Held;
use crate::engine::keys::Seen;
use crate::engine::mutexes::MutexWait;
use crate::engine::news::News;
use crate::engine::queued::QueuedRun;
use crate::engine::state::Engine;
use crate::engine::workspace::Obstacle;
use crate::engine::{Effect, Latest, ProjectId, Trust, Watch};
use crate::model::digest::InputDigest;
use crate::model::id::{PipelineId, RunId, StageId, WorkspaceId};
use crate::model::path::{RelPath, RootPath};
use crate::model::report::status::Phase;
use crate::model::run::{RunReport, RunStatus, StageStatus, Verdict};
use crate::model::time::Timestamp;
use crate::model::view::Subject;

/// What is known of one project at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The project.
    pub project: ProjectId,
    /// Its directory.
    pub path: RelPath,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// What is known: of the present content if fresh, else nothing.
    pub verdict: Verdict,
    /// Whether the verdict is about the present content.
    pub fresh: bool,
    /// What is being done about it.
    pub phase: Phase,
    /// The present content, once it was looked at.
    pub input: Option<InputDigest>,
    /// The run that proves the verdict.
    pub proof: Option<RunId>,
    /// The newest run: its id and status.
    pub last: Option<(RunId, RunStatus)>,
}

/// A workspace as `status` shows it.
#[derive(Clone, Debug)]
pub struct WorkspaceStanding<'a> {
    /// Its name in this daemon's life.
    pub id: WorkspaceId,
    /// Its root.
    pub root: &'a RootPath,
    /// How well it is watched.
    pub watch: &'a Watch,
    /// Why it is refused.
    pub refused: Option<&'a str>,
    /// Why it is not trusted.
    pub untrusted: Option<&'a str>,
    /// What is waited for of git, or was in vain.
    pub held: Option<Held<'a>>,
    /// The stage that waits for a mutex which another process holds.
    pub mutex: Option<&'a MutexWait>,
    /// Its projects.
    pub projects: Vec<ProjectStanding<'a>>,
}

/// A project as `status` shows it.
#[derive(Clone, Debug)]
pub struct ProjectStanding<'a> {
    /// What is known of it.
    pub standing: Standing,
    /// What runs.
    pub running: Option<Running>,
    /// What was asked for by name and has not begun, in the order in which it will.
    pub queued: Vec<QueuedRun<'a>>,
    /// Its newest run.
    pub last: Option<&'a Latest>,
}

/// A run under way as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The run.
    pub run: RunId,
    /// The stage that runs.
    pub stage: Option<StageId>,
    /// When the run was made.
    pub started_at: Timestamp,
    /// What a stage of it waits for that another process holds.
    pub waits: Option<MutexWait>,
}

impl Engine {
    /// All workspaces with their projects, in the order in which they were added.
    #[must_use]
    pub fn workspaces(&self) -> Vec<WorkspaceStanding<'_>> {
        let ids = self.workspaces.keys();
        ids.filter_map(|id| self.workspace(*id)).collect()
    }

    /// Whether the commands of a workspace may run.
    #[must_use]
    pub fn trust(&self, id: WorkspaceId) -> Option<&Trust> {
        Some(&self.workspaces.get(&id)?.trust)
    }

    /// One workspace with its projects.
    #[must_use]
    pub fn workspace(&self, id: WorkspaceId) -> Option<WorkspaceStanding<'_>> {
        let workspace = self.workspaces.get(&id)?;
        let projects = self
            .projects
            .iter()
            .filter(|(project, _)| project.workspace == id);
        let projects = projects.filter_map(|(project, state)| {
            Some(ProjectStanding {
                standing: self.standing(project)?,
                running: self.running_of(project),
                queued: state.queued(project),
                last: state.last.as_ref(),
            })
        });
        Some(WorkspaceStanding {
            id,
            root: &workspace.root,
            watch: &workspace.watch,
            refused: workspace.refused.as_deref(),
            untrusted: workspace.trust.refusal(),
            held: self.held(id),
            mutex: self.mutex_wait(id),
            projects: projects.collect(),
        })
    }

    /// The newest run of a project.
    #[must_use]
    pub fn last(&self, id: &ProjectId) -> Option<&Latest> {
        self.projects.get(id)?.last.as_ref()
    }

    /// The report of a run that is under way.
    #[must_use]
    pub fn run(&self, id: &RunId) -> Option<&RunReport> {
        self.runs.get(id).map(|run| &run.report)
    }

    /// The runs that are under way, children included.
    pub fn runs(&self) -> impl Iterator<Item = &RunReport> {
        self.runs.values().map(|run| &run.report)
    }

    /// What is known of a project now.
    #[must_use]
    pub fn standing(&self, id: &ProjectId) -> Option<Standing> {
        let project = self.projects.get(id)?;
        let workspace = self.workspaces.get(&id.workspace)?;
        let pipeline = workspace.config()?.project(&id.task)?.pipeline.clone();
        let obstacle = workspace.obstacle();
        let seen = project.known();
        let proof = seen.and_then(|seen| project.proof(&seen.keys));
        let told = proof.filter(|_| obstacle.is_none());
        let own = Subject {
            task: id.task.clone(),
            pipeline: pipeline.clone(),
        };
        let looking = |look: &Option<super::workspace::Look>| {
            look.as_ref()
                .is_some_and(|look| look.subjects.contains(&own))
        };
        let unsettled = self.settles.contains_key(id)
            || (told.is_none() && (looking(&workspace.look) || looking(&workspace.wanted)));
        let phase = match &project.active {
            Some(_) => Phase::Running,
            None if !project.pending.is_empty() => Phase::Queued,
            None if unsettled && !matches!(obstacle, Some(Obstacle::Gone(_))) => Phase::Settling,
            None => Phase::Idle,
        };
        Some(Standing {
            project: id.clone(),
            path: project.place.clone(),
            pipeline,
            verdict: told.map_or(Verdict::Unknown, |proof| project.verdict_of(proof)),
            // Nobody looks any more: what was proven stays proven of that content, and may not be the present one.
            fresh: told.is_some() && !self.stopping,
            phase,
            input: seen.map(|seen| seen.input),
            proof: told.map(|proof| proof.run.clone()),
            last: project
                .last
                .as_ref()
                .map(|last| (last.run.run_id.clone(), last.run.status)),
        })
    }

    /// What will be known of a project once this run of it has been told, whose last look has seen `closing`.
    pub(super) fn standing_after(
        &self,
        id: &ProjectId,
        report: &RunReport,
        closing: Option<&Seen>,
    ) -> Option<Standing> {
        let mut standing = self.standing(id)?;
        let project = self.projects.get(id)?;
        let own = standing.pipeline == report.pipeline;
        standing.phase = if project.pending.is_empty() {
            Phase::Idle
        } else {
            Phase::Queued
        };
        if own {
            standing.last = Some((report.run.clone(), report.status));
            let unstable = report.verdict == Verdict::Unstable;
            let proves = report.verdict != Verdict::Unknown && (report.void.is_none() || unstable);
            let about = match unstable {
                true => closing.map(|seen| seen.input),
                false => report.input,
            };
            let present = standing.input.is_some() && standing.input == about;
            let serves = self.obstacle(id.workspace).is_none();
            if proves && present && serves {
                standing.verdict = report.verdict;
                standing.fresh = true;
                standing.proof = Some(report.run.clone());
            }
        }
        Some(standing)
    }

    fn running_of(&self, id: &ProjectId) -> Option<Running> {
        let run = self.active_root(id)?;
        let stages = &run.report.stages;
        let stage = stages
            .iter()
            .find(|stage| stage.status == StageStatus::Running);
        Some(Running {
            run: run.report.run.clone(),
            stage: stage.map(|stage| stage.id.clone()),
            started_at: run.report.started_at,
            waits: self.told_waits.get(id).cloned(),
        })
    }

    /// Nobody looks at a project any more: what is on disk of it says so.
    pub(super) fn take_leave(&mut self, id: &ProjectId) {
        let Some(project) = self.projects.get(id) else {
            return;
        };
        let last = project.last.as_ref();
        let last = last.map(|last| (last.run.run_id.clone(), last.run.status));
        let Some(told) = project.told.clone() else {
            return;
        };
        let standing = Standing {
            verdict: Verdict::Unknown,
            fresh: false,
            phase: project
                .active
                .as_ref()
                .map_or(Phase::Idle, |_| Phase::Running),
            input: None,
            proof: None,
            last,
            ..told
        };
        self.effects.push(Effect::State {
            workspace: id.workspace,
            standing,
        });
    }

    /// Tells and records what has changed of the projects that were marked.
    pub(super) fn tell_standings(&mut self) {
        for id in std::mem::take(&mut self.marked) {
            let Some(standing) = self.standing(&id) else {
                continue;
            };
            let Some(project) = self.projects.get_mut(&id) else {
                continue;
            };
            let before = project.told.replace(standing.clone());
            if before.as_ref() == Some(&standing) {
                continue;
            }
            let known =
                |standing: &Standing| (standing.verdict, standing.fresh, standing.proof.clone());
            let changed = before.as_ref().map(known) != Some(known(&standing));
            let (verdict, input, run) = (standing.verdict, standing.input, standing.proof.clone());
            self.effects.push(Effect::State {
                workspace: id.workspace,
                standing,
            });
            // Subscribers are told by the end of their connection that nothing is fresh any more.
            if changed && !self.stopping {
                self.publish(News::Verdict {
                    project: id,
                    verdict,
                    input,
                    run,
                });
            }
        }
    }
}

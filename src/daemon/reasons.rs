//! Why stages are proven or not: `why`, answered after a look.
//!
//! The look is that of a `gate` that runs nothing. The engine says which part of a key differs, each workspace's tree which
//! of the changed paths a stage reads. It runs nothing and writes nothing.

use crate::daemon::message::{Done, What};
use crate::daemon::server::Asked;
use crate::daemon::shell::Shell;
use crate::daemon::waiting::Purpose;
use crate::engine::ask::{Answer as Found, Ask, NOTHING_PROVEN, Patience, Scope};
use crate::engine::why::StageWhy;
use crate::limits::READING_WAIT_MAX;
use crate::model::id::{RequestId, RunId, TaskId, WorkspaceId};
use crate::model::report::runs::ChangedPaths;
use crate::model::report::why::{WhyAnswer, WhyProject, WhyStage};
use crate::model::run::Changed;
use crate::wire::call;
use std::collections::BTreeMap;

/// What is said of a project, and what its tree has still to choose from.
type Reasons = (WhyProject, Vec<StageWhy>);

impl Shell {
    /// Answers `why` once what it is about has been looked at.
    pub(super) fn why_present(&mut self, asked: Asked, wanted: &call::Scope) {
        match self.scope_of(wanted.workspace.as_ref()) {
            Err(refusal) => self.answer_now(asked, |_| Err(refusal)),
            Ok(workspace) => {
                let tasks = wanted.task.iter().cloned().collect();
                let ask = Ask::Verdict {
                    scope: Scope { workspace, tasks },
                    patience: Patience::Answer,
                };
                self.ask(asked, Purpose::Reasons, ask, Some(READING_WAIT_MAX));
            }
        }
    }

    /// The look is over: says what is known of these projects, once their trees have said which paths it is about.
    pub(super) fn tell_why(&mut self, request: RequestId, found: &[Found]) {
        let mut all: BTreeMap<WorkspaceId, Vec<Reasons>> = BTreeMap::new();
        for answer in found {
            let id = answer.project.workspace;
            if let Some(site) = self.sites.get(&id) {
                let stages = self.engine.why(&answer.project);
                let detail = answer.detail.clone();
                // The stages say so, each for itself.
                let detail = detail.filter(|detail| stages.is_none() || detail != NOTHING_PROVEN);
                let config = site.config.as_ref();
                let project = config.and_then(|config| config.project(&answer.project.task));
                let said = WhyProject {
                    pipeline_id: project.map(|project| project.pipeline.clone()),
                    task_id: answer.project.task.clone(),
                    workspace: site.root.clone(),
                    verdict: answer.verdict,
                    run_id: answer.run.clone(),
                    detail,
                    stages: Vec::new(),
                };
                let reasons = (said, stages.unwrap_or_default());
                all.entry(id).or_default().push(reasons);
            }
        }
        if let Some(waiting) = self.waiting.get_mut(&request) {
            waiting.purpose = Purpose::Why {
                left: all.keys().copied().collect(),
                projects: Vec::new(),
            };
        }
        if all.is_empty() {
            self.told_why(request);
        }
        for (id, reasons) in all {
            self.choose(request, id, reasons);
        }
    }

    /// Has the tree of a workspace choose the paths that its stages read.
    fn choose(&mut self, request: RequestId, id: WorkspaceId, reasons: Vec<Reasons>) {
        let site = self.sites.get_mut(&id);
        let Some(tree) = site.and_then(|site| site.tree.as_mut()) else {
            let projects = reasons.into_iter().map(|(said, _)| said).collect();
            return self.take_reasoned(id, request, projects);
        };
        tree.push(move |tree| {
            let of_stage = |task: &TaskId, why: StageWhy| {
                let name = (why.told.pipeline_id.clone(), why.told.stage.clone());
                let own =
                    |changed: &Changed| ChangedPaths::of(&tree.of_stage(task, &name, changed));
                let began = why.told.run_id.as_ref().and_then(RunId::started);
                let since = |changed: &Changed| match (changed, began) {
                    // Whoever saw the changes is gone, as after a restart: what the files themselves say is told.
                    (Changed::Everything, Some(began)) => ChangedPaths {
                        count: None,
                        paths: tree.later_than(began, task, &name),
                    },
                    (changed, _) => own(changed),
                };
                WhyStage {
                    changed: why.changed.as_deref().map(since),
                    void: why.void.as_deref().map(own),
                    ..why.told
                }
            };
            let projects = reasons.into_iter().map(|(said, stages)| WhyProject {
                stages: stages
                    .into_iter()
                    .map(|why| of_stage(&said.task_id, why))
                    .collect(),
                ..said
            });
            let projects = projects.collect();
            Some(Done {
                workspace: id,
                what: What::Reasoned { request, projects },
            })
        });
    }

    /// A tree has chosen.
    pub(super) fn take_reasoned(
        &mut self,
        id: WorkspaceId,
        request: RequestId,
        said: Vec<WhyProject>,
    ) {
        let waiting = self.waiting.get_mut(&request);
        let Some(Purpose::Why { left, projects }) = waiting.map(|it| &mut it.purpose) else {
            return;
        };
        projects.extend(said);
        if left.remove(&id) && left.is_empty() {
            self.told_why(request);
        }
    }

    /// Every tree that was asked has chosen.
    pub(super) fn told_why(&mut self, request: RequestId) {
        let waiting = self.waiting.get_mut(&request);
        if let Some(Purpose::Why { projects, .. }) = waiting.map(|it| &mut it.purpose) {
            let mut projects = std::mem::take(projects);
            projects.sort_by(|one, other| one.workspace.cmp(&other.workspace));
            self.answer(request, Ok(WhyAnswer { projects }.into()));
        }
    }
}

//! What a run of a pipeline and a change of a path would do: `plan`, as the published orchestrator says it, and `explain`.
//!
//! Both are answered from what has been read, and so look first: what was saved before the question is in the answer.
//! They run nothing and write nothing; the shape of a plan is checked against the real thing in `tests/interop/`.

use crate::daemon::message::{Done, What};
use crate::daemon::server::Asked;
use crate::daemon::shell::{Shell, Tenancy};
use crate::daemon::tree::Overruled;
use crate::daemon::waiting::{Purpose, refusal, removed_meanwhile};
use crate::engine::ask::{Ask, Denied, Reply};
use crate::limits::{PATH_TEXT_BYTES_MAX, READING_WAIT_MAX};
use crate::model::config::{Action, Config, Pipeline, Stage};
use crate::model::id::{RequestId, TaskId, WorkspaceId};
use crate::model::path::{RelPath, RootPath, of_text};
use crate::model::report::plan::{
    Plan, PlanAnswer, PlanItem, PlanItemOrigin, PlannedCommand, PlannedPipeline, PlannedStage,
    PlannedSubpipeline, StageKind,
};
use crate::model::report::{ExplainAnswer, ExplainedProject, ExplainedRule, ExplainedStage};
use crate::model::view::Explanation;
use crate::wire::answer::Answer;
use crate::wire::call::{PathNamed, PlanWanted};
use crate::wire::refusal::{ErrorKind, Refusal};
use serde_json::{Map, Value};

/// A question that is answered from what has been read.
#[derive(Debug)]
pub(super) enum Read {
    Plan(PlanWanted),
    Explain(PathNamed),
}

impl Shell {
    /// Answers `plan` once what it is about has been looked at.
    pub(super) fn plan_present(&mut self, asked: Asked, wanted: PlanWanted) {
        let about = match self.scope_of(wanted.workspace.as_ref()) {
            // Which workspace has the project may have been saved a moment ago.
            Ok(None) => {
                let known = self.project_of(None, wanted.task.as_ref());
                Ok(known.ok().map(|project| project.workspace))
            }
            scope => scope,
        };
        self.look_first(asked, about, Read::Plan(wanted));
    }

    /// Answers `explain` once what it is about has been looked at.
    pub(super) fn explain_present(&mut self, asked: Asked, named: PathNamed) {
        let length = named.path.len();
        let about = match length <= PATH_TEXT_BYTES_MAX {
            true => self.workspace_around(&named).map(Some),
            false => Err(Refusal::new(
                ErrorKind::TooLarge,
                format!("the path has {length} bytes: at most {PATH_TEXT_BYTES_MAX} are taken"),
            )),
        };
        self.look_first(asked, about, Read::Explain(named));
    }

    fn look_first(
        &mut self,
        asked: Asked,
        about: Result<Option<WorkspaceId>, Refusal>,
        read: Read,
    ) {
        match about {
            Err(refusal) => self.answer_now(asked, |_| Err(refusal)),
            // Everything has just been read, for this question.
            Ok(_) if self.tenancy == Tenancy::Hosted => {
                let request = self.wait_for(asked, Purpose::Plain);
                self.answer_read(request, read);
            }
            Ok(workspace) => {
                let ask = Ask::Sync { workspace };
                let purpose = Purpose::Look(Box::new(read));
                self.ask(asked, purpose, ask, Some(READING_WAIT_MAX));
            }
        }
    }

    /// The look that this question was waiting for is over, or cannot be taken.
    pub(super) fn looked_first(&mut self, request: RequestId, read: Read, reply: Reply) {
        let Reply::Denied(denied) = reply else {
            return self.answer_read(request, read);
        };
        let late = denied == Denied::TooLate;
        let mut unseen = refusal(denied);
        if late {
            unseen = Refusal::new(unseen.kind, "what was saved could not be looked at in time")
                .hint("ask again in a while; `orchctl status` tells how it stands");
        }
        // Of several workspaces one may be missing that the question is not about.
        let known = match &read {
            Read::Plan(wanted) if wanted.workspace.is_none() => self.plan(wanted).err(),
            Read::Plan(_) | Read::Explain(_) => None,
        };
        self.answer(request, Err(known.unwrap_or(unseen)));
    }

    fn answer_read(&mut self, request: RequestId, read: Read) {
        match read {
            Read::Plan(wanted) => {
                let answer = self.plan(&wanted);
                self.answer(request, answer);
            }
            Read::Explain(named) => {
                if let Err(refusal) = self.explain(request, &named) {
                    self.answer(request, Err(refusal));
                }
            }
        }
    }

    fn plan(&self, wanted: &PlanWanted) -> Result<Answer, Refusal> {
        let scope = self.scope_of(wanted.workspace.as_ref())?;
        let project = match (scope, &wanted.task, &wanted.pipeline) {
            // A named pipeline means the same for every project of its workspace.
            (Some(_), None, Some(_)) => None,
            _ => Some(self.project_of(wanted.workspace.as_ref(), wanted.task.as_ref())?),
        };
        let id = project.as_ref().map(|project| project.workspace).or(scope);
        let site = id.and_then(|id| self.sites.get(&id));
        if let Some(detail) = site.and_then(|site| site.refused.clone()) {
            return Err(refusal(Denied::Misconfigured(detail)));
        }
        let Some(config) = site.and_then(|site| site.config.clone()) else {
            return Err(Refusal::new(
                ErrorKind::InvalidConfig,
                "there is no configuration",
            ));
        };
        let own = project.and_then(|project| Some(config.project(&project.task)?.pipeline.clone()));
        let named = wanted.pipeline.clone().or(own);
        match named.as_ref().and_then(|id| config.pipeline(id)) {
            Some(pipeline) => Ok(plan(pipeline).into()),
            None => Err(unknown(
                &config,
                named.as_ref().map_or("", |id| id.as_str()),
            )),
        }
    }

    /// The workspace that a path is in.
    fn workspace_around(&self, named: &PathNamed) -> Result<WorkspaceId, Refusal> {
        let path = of_text(&named.path);
        let path = path.as_path();
        if let Some(root) = &named.workspace {
            return self.site_at(root);
        }
        if !path.is_absolute() {
            return Err(Refusal::new(
                ErrorKind::UnknownWorkspace,
                format!(
                    "`{}` is relative, and no workspace is named that it could be in",
                    named.path
                ),
            )
            .hint("name the `workspace`, or send the whole path"));
        }
        let around = self.site_around(path).map(|(id, _)| id);
        around.ok_or_else(|| {
            Refusal::new(
                ErrorKind::UnknownWorkspace,
                format!("`{}` is in no registered workspace", named.path),
            )
            .hint("`orchctl add DIR` registers one, `orchctl list` shows the registered ones")
        })
    }

    /// Has the tree answer; a refusal is for the caller to tell.
    fn explain(&mut self, request: RequestId, named: &PathNamed) -> Result<(), Refusal> {
        let id = self.workspace_around(named)?;
        let path = of_text(&named.path);
        let path = path.as_path();
        let site = self.sites.get_mut(&id).ok_or_else(removed_meanwhile)?;
        if let Some(detail) = site.refused.clone() {
            return Err(refusal(Denied::Misconfigured(detail)));
        }
        let below = if path.is_absolute() {
            site.root.relative(path)
        } else {
            RelPath::new(path).ok()
        };
        let (root, config) = (site.root.clone(), site.config.clone());
        let (Some(below), Some(tree)) = (below, site.tree.as_mut()) else {
            let message = format!("`{}` is not below `{root}`", named.path);
            return Err(Refusal::new(ErrorKind::UnknownWorkspace, message));
        };
        let owner =
            config.and_then(|config| config.owner(&below).map(|project| project.task.clone()));
        tree.push(move |tree| {
            let overruled = tree.overruled(&below);
            let found = (tree.explain(&below), overruled);
            let answer = explained(&found, (root, below, owner));
            let answer = Box::new(Ok(answer.into()));
            Some(Done {
                workspace: id,
                what: What::Answered { request, answer },
            })
        });
        self.answers_at(request, id);
        Ok(())
    }
}

fn explained(
    (found, overruled): &(Explanation, Option<Overruled>),
    about: (RootPath, RelPath, Option<TaskId>),
) -> ExplainAnswer {
    let (workspace, path, owner) = about;
    let projects = match found {
        Explanation::Triggers { projects } => projects.as_slice(),
        Explanation::Ignored { .. } | Explanation::Unread { .. } => &[],
    };
    let rule = |found: &Explanation| match found {
        Explanation::Ignored { rule, source, line } => Some(ExplainedRule {
            rule: rule.clone(),
            source: source.clone(),
            line: *line,
        }),
        Explanation::Triggers { .. } | Explanation::Unread { .. } => None,
    };
    let (tracked, declared) = match overruled {
        Some(Overruled::Tracked(by)) => (rule(by), None),
        Some(Overruled::Declared(by)) => (None, rule(by)),
        None => (None, None),
    };
    let projects = projects.iter().map(|(task, stages)| ExplainedProject {
        task_id: task.clone(),
        stages: stages
            .iter()
            .map(|(pipeline, stage)| ExplainedStage {
                pipeline_id: pipeline.clone(),
                stage: stage.clone(),
            })
            .collect(),
    });
    ExplainAnswer {
        path: path.to_text(),
        workspace,
        owner,
        projects: projects.collect(),
        ignored: rule(found),
        tracked,
        declared,
    }
}

fn unknown(config: &Config, named: &str) -> Refusal {
    let known: Vec<String> = config
        .pipelines
        .iter()
        .map(|p| format!("`{}`", p.id))
        .collect();
    Refusal::new(
        ErrorKind::InvalidConfig,
        format!("there is no pipeline `{named}`"),
    )
    .hint(format!("the configuration defines {}", known.join(", ")))
}

/// Says what a run of `pipeline` would do.
#[must_use]
pub fn plan(pipeline: &Pipeline) -> PlanAnswer {
    let may = |stage: &&Stage| stage.plan.runnable.unwrap_or(true);
    let stages = &pipeline.stages;
    let target = stages.iter().find(|stage| stage.plan.default_target);
    let target = target
        .or_else(|| stages.iter().find(may))
        .or_else(|| stages.first());
    let name = |stage: &Stage| format!("{}:{}", pipeline.id, stage.id);
    let items = stages.iter().enumerate().map(|(index, stage)| PlanItem {
        id: name(stage),
        description: stage.title.clone(),
        requires_cloud: false,
        requires_cloud_too: false,
        runnable: may(&stage),
        metadata: PlanItemOrigin {
            pipeline_id: pipeline.id.clone(),
            stage_id: stage.id.clone(),
            stage_kind: kind(stage),
            index,
            aliases: stage.plan.aliases.clone(),
            default_target: stage.plan.default_target,
            requires_cloud: false,
        },
        selected: target.is_some_and(|target| target.id == stage.id),
    });
    let target_id = target.map(name);
    PlanAnswer {
        pipeline: PlannedPipeline {
            id: pipeline.id.clone(),
            title: pipeline.title.clone(),
            description: pipeline.description.clone(),
            source: pipeline.source,
        },
        stages: stages
            .iter()
            .enumerate()
            .map(|(index, stage)| planned(index, stage))
            .collect(),
        plan: Plan {
            items: items.collect(),
            notes: pipeline.description.clone(),
            target_id: target_id.clone(),
        },
        target_id,
    }
}

fn kind(stage: &Stage) -> StageKind {
    match &stage.action {
        Action::Command(_) => StageKind::Command,
        Action::Subpipeline(_) => StageKind::Subpipeline,
    }
}

fn planned(index: usize, stage: &Stage) -> PlannedStage {
    let index = index.saturating_add(1);
    match &stage.action {
        Action::Command(command) => {
            let names = stage.plan.env.clone();
            let env = names.map(|names| -> Map<String, Value> {
                let value = |name: &String| command.env.get(name).cloned().unwrap_or_default();
                names
                    .iter()
                    .map(|name| (name.clone(), Value::String(value(name))))
                    .collect()
            });
            PlannedStage::Command(PlannedCommand {
                index,
                id: stage.id.clone(),
                title: stage.title.clone(),
                kind: StageKind::Command,
                command: command.line.text(),
                cwd: stage.plan.cwd.clone(),
                env,
                allow_failure: command.allow_failure,
                summary_hint: command.summary_hint.clone(),
            })
        }
        Action::Subpipeline(sub) => PlannedStage::Subpipeline(PlannedSubpipeline {
            index,
            id: stage.id.clone(),
            title: stage.title.clone(),
            kind: StageKind::Subpipeline,
            pipeline: sub.pipeline.clone(),
            optional: sub.optional,
        }),
    }
}

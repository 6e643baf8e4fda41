//! What a run of a pipeline would do, as the published orchestrator's `plan` says it.
//!
//! It runs nothing and writes nothing; the shape is checked against the real thing in `tests/interop/`.

use crate::daemon::shell::Shell;
use crate::model::config::{Action, Config, Pipeline, Stage};
use crate::model::report::plan::{
    Plan, PlanAnswer, PlanItem, PlanItemOrigin, PlannedCommand, PlannedPipeline, PlannedStage,
    PlannedSubpipeline, StageKind,
};
use crate::wire::answer::Answer;
use crate::wire::call::PlanWanted;
use crate::wire::refusal::{ErrorKind, Refusal};
use serde_json::{Map, Value};

impl Shell {
    pub(super) fn plan(&mut self, wanted: &PlanWanted) -> Result<Answer, Refusal> {
        let scope = self.scope_of(wanted.workspace.as_ref())?;
        let project = match (scope, &wanted.task, &wanted.pipeline) {
            // A named pipeline means the same for every project of its workspace.
            (Some(_), None, Some(_)) => None,
            _ => Some(self.project_of(wanted.workspace.as_ref(), wanted.task.as_ref())?),
        };
        let id = project.as_ref().map(|project| project.workspace).or(scope);
        let site = id.and_then(|id| self.sites.get(&id));
        if let Some(detail) = site.and_then(|site| site.refused.clone()) {
            return Err(Refusal::new(ErrorKind::InvalidConfig, detail));
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

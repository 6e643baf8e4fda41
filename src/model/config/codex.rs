//! Reads `codex.orchestrator.json` as the published orchestrator (0.2.1) reads it.
//!
//! Keys that it does not know are ignored there, so they are ignored here. What it would stumble over later is told
//! now: wrong types, missing keys, unknown stage sets. Stage sets are expanded in place. `null` is absent. Directories
//! are relative to the workspace; an absolute one inside of it is made relative, one outside is refused.

mod node;

use self::node::{Node, Object};
use crate::limits;
use crate::model::config::draft::{Draft, DraftPipeline, Faults, StageSpots};
use crate::model::config::duration;
use crate::model::config::fault::Fault;
use crate::model::config::source::{Origin, Spotted};
use crate::model::config::value;
use crate::model::config::{
    Action, Command, CommandLine, Cwd, Order, Pipeline, PipelineSource, PlanHints, Stage,
    Subpipeline,
};
use crate::model::id::{PipelineId, StageId};
use crate::model::path::{RelPath, RootPath};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const KINDS: [&str; 3] = ["command", "subpipeline", "stage-set"];

/// The stages of each stage set.
type StageSets<'t> = BTreeMap<String, Vec<Object<'t>>>;

/// Reads the text of a `codex.orchestrator.json` that lies in `root`.
#[must_use]
pub fn parse(text: &str, root: &RootPath) -> (Draft, Faults) {
    let mut faults = Faults::new(Origin::Codex);
    let mut draft = Draft::default();
    let Some(file) = Node::document(text, &mut faults) else {
        return (draft, faults);
    };
    let Some(file) = file.object("the file", "the file", &mut faults) else {
        return (draft, faults);
    };
    draft.default_pipeline = file
        .string("defaultPipeline", &mut faults)
        .and_then(|text| text.id(PipelineId::parse, &mut faults));
    let sets = read_stage_sets(&file, &mut faults);
    let pipelines = file
        .objects("pipelines", "a pipeline", &mut faults)
        .unwrap_or_default();
    let (count, max) = (pipelines.len(), limits::PIPELINES_MAX);
    if count > max {
        let what = "pipelines";
        faults.add(file.span(), Fault::TooMany { what, count, max });
        return (draft, faults);
    }
    let mut total = 0;
    for pipeline in &pipelines {
        if let Some(pipeline) = read_pipeline(pipeline, &sets, root, &mut faults) {
            total += pipeline.stages.len();
            add_pipeline(&mut draft, pipeline);
        }
        // A large stage set that every pipeline names would grow without a bound.
        let max = limits::STAGES_TOTAL_MAX;
        if total > max {
            let (what, count) = ("stages in all pipelines", total);
            faults.add(pipeline.span(), Fault::TooMany { what, count, max });
            break;
        }
    }
    (draft, faults)
}

/// The published orchestrator takes the first of two pipelines with one id.
fn add_pipeline(draft: &mut Draft, pipeline: DraftPipeline) {
    let id = &pipeline.pipeline.id;
    if draft.pipelines.iter().any(|other| &other.pipeline.id == id) {
        let file = Origin::Codex.file_name();
        let said = format!("`{file}` has more than one pipeline `{id}`: the first is used");
        draft.warnings.push(said);
    } else {
        draft.pipelines.push(pipeline);
    }
}

fn read_stage_sets<'t>(file: &Object<'t>, faults: &mut Faults) -> StageSets<'t> {
    let mut sets = StageSets::new();
    let Some(node) = file.get("stageSets") else {
        return sets;
    };
    let Some(object) = node.object("stageSets", "stageSets", faults) else {
        return sets;
    };
    for (name, node) in object.entries() {
        let key = format!("stageSets.{name}");
        let Some(stages) = node.objects(&key, "a stage", faults) else {
            continue;
        };
        for stage in &stages {
            if stage.peek("kind").as_deref() == Some("stage-set") {
                let name = name.to_owned();
                faults.add(stage.span(), Fault::NestedStageSet { name });
            }
        }
        sets.insert(name.to_owned(), stages);
    }
    sets
}

fn read_pipeline(
    object: &Object<'_>,
    sets: &StageSets<'_>,
    root: &RootPath,
    faults: &mut Faults,
) -> Option<DraftPipeline> {
    let id = object
        .required("id", faults)
        .and_then(|text| text.id(PipelineId::parse, faults));
    let title = object.string("title", faults).map(|text| text.value);
    let description = object.string("description", faults).map(|text| text.value);
    let guardrails_required = object.boolean("guardrailsRequired", faults);
    let (mut stages, mut spots) = (Vec::new(), Vec::new());
    for stage in expand(object, sets, faults) {
        if let Some((stage, spot)) = read_stage(&stage, root, faults) {
            stages.push(stage);
            spots.push(spot);
        }
    }
    let (count, max) = (stages.len(), limits::STAGES_MAX);
    if count > max {
        let what = "stages";
        faults.add(object.span(), Fault::TooMany { what, count, max });
        return None;
    }
    let id = id?;
    Some(DraftPipeline {
        open: BTreeSet::new(),
        spot: id.spot,
        stages: spots,
        broken: BTreeSet::new(),
        has_stages: !stages.is_empty(),
        pipeline: Pipeline {
            title: title.unwrap_or_else(|| id.value.to_string()),
            id: id.value,
            description,
            source: PipelineSource::User,
            stages,
            order: Order::Sequence,
            fail_fast: false,
            guardrails_required,
        },
    })
}

/// The stages of a pipeline with every stage set in its place.
fn expand<'t>(pipeline: &Object<'t>, sets: &StageSets<'t>, faults: &mut Faults) -> Vec<Object<'t>> {
    let mut expanded = Vec::new();
    for stage in pipeline
        .objects("stages", "a stage", faults)
        .unwrap_or_default()
    {
        if stage.peek("kind").as_deref() != Some("stage-set") {
            expanded.push(stage);
            continue;
        }
        let Some(name) = stage.required("ref", faults) else {
            continue;
        };
        match sets.get(&name.value) {
            Some(stages) => expanded.extend(stages.iter().cloned()),
            None => {
                let fault = Fault::Unknown {
                    what: "stage set",
                    name: name.value,
                    known: sets.keys().cloned().collect(),
                };
                faults.add(name.span, fault);
            }
        }
        // Sets may be named again and again: stop before the expansion outgrows what is refused anyway.
        if expanded.len() > limits::STAGES_MAX {
            break;
        }
    }
    expanded
}

fn read_stage(
    object: &Object<'_>,
    root: &RootPath,
    faults: &mut Faults,
) -> Option<(Stage, StageSpots)> {
    let kind = object.required("kind", faults);
    let id = object
        .required("id", faults)
        .and_then(|text| text.id(StageId::parse, faults));
    let title = object.string("title", faults).map(|text| text.value);
    let kind = kind?;
    let mut pipeline_span = object.span();
    let action = match kind.value.as_str() {
        "command" => read_command(object, root, faults).map(Action::Command),
        "subpipeline" => read_subpipeline(object, faults).map(|subpipeline| {
            pipeline_span = subpipeline.spot.start..subpipeline.spot.end;
            Action::Subpipeline(subpipeline.value)
        }),
        // A stage set in a stage set is told where the sets are read.
        "stage-set" => None,
        _ => {
            let fault = Fault::NotAChoice {
                key: "kind",
                value: kind.value,
                allowed: KINDS.to_vec(),
            };
            faults.add(kind.span, fault);
            None
        }
    };
    let (id, action) = (id?, action?);
    let title = title.unwrap_or_else(|| match &action {
        Action::Command(command) => command.line.text(),
        Action::Subpipeline(_) => id.value.to_string(),
    });
    let spots = StageSpots {
        id: id.spot,
        needs: Vec::new(),
        pipeline: faults.spot(pipeline_span),
    };
    let stage = Stage {
        id: id.value,
        title,
        needs: Vec::new(),
        action,
        plan: plan_hints(object),
    };
    Some((stage, spots))
}

fn read_subpipeline(object: &Object<'_>, faults: &mut Faults) -> Option<Spotted<Subpipeline>> {
    let optional = object.boolean("optional", faults).unwrap_or(false);
    let pipeline = object
        .required("pipeline", faults)?
        .id(PipelineId::parse, faults)?;
    let subpipeline = Subpipeline {
        pipeline: pipeline.value,
        optional,
    };
    Some(Spotted::new(subpipeline, pipeline.spot))
}

fn read_command(object: &Object<'_>, root: &RootPath, faults: &mut Faults) -> Option<Command> {
    let line = object.required("command", faults).and_then(|text| {
        let checked = value::shell_line("command", &text.value);
        faults.take(text.span, checked).map(|()| text.value)
    });
    let cwd = match object.string("cwd", faults) {
        Some(text) => {
            let cwd = relative_cwd(&text.value, root);
            faults.take(text.span, cwd)
        }
        None => Some(RelPath::root()),
    };
    let env = read_env(object, faults);
    let timeout = read_timeout(object, faults);
    let allow_failure = object.boolean("allowFailure", faults).unwrap_or(false);
    let summary_hint = object.string("summaryHint", faults).map(|text| text.value);
    Some(Command {
        line: CommandLine::Shell(line?),
        cwd: Cwd::Workspace(cwd?),
        env,
        inputs: None,
        outputs: Vec::new(),
        toolchain: Vec::new(),
        timeout,
        grace: limits::GRACE_DEFAULT,
        retries: 0,
        allow_failure,
        mutex: None,
        summary_hint,
    })
}

fn relative_cwd(written: &str, root: &RootPath) -> Result<RelPath, Fault> {
    let path = Path::new(written);
    if path.is_absolute() {
        return root.relative(path).ok_or_else(|| Fault::OutsideRoot {
            cwd: written.to_owned(),
            root: root.to_string(),
        });
    }
    RelPath::parse(written).map_err(|source| Fault::Path { key: "cwd", source })
}

fn read_env(object: &Object<'_>, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let Some(variables) = object
        .get("env")
        .and_then(|node| node.object("env", "env", faults))
    else {
        return env;
    };
    for (name, node) in variables.entries() {
        let named = faults.take(node.span(), value::variable_name(name));
        let Some(text) = node.string(name, faults) else {
            continue;
        };
        let checked = faults.take(node.span(), value::argument("env", &text.value));
        if named.and(checked).is_some() {
            env.insert(name.to_owned(), text.value);
        }
    }
    env
}

fn read_timeout(object: &Object<'_>, faults: &mut Faults) -> Option<Duration> {
    let node = object.get("timeoutMs")?;
    let max = limits::TIMEOUT_MAX;
    let timeout = node.milliseconds("timeoutMs", faults)?;
    let fault = if timeout.is_zero() {
        duration::DurationError::Zero
    } else if timeout > max {
        let text = duration::show(timeout);
        duration::DurationError::TooLong { text, max }
    } else {
        return Some(timeout);
    };
    let key = "timeoutMs";
    faults.add(node.span(), Fault::Duration { key, source: fault });
    None
}

/// Hints for the planner: whatever has another type is no hint, as the published orchestrator reads them.
fn plan_hints(stage: &Object<'_>) -> PlanHints {
    // The stage's own keys have been read: a fault in them has been told.
    let mut told = Faults::new(Origin::Codex);
    let env = stage
        .get("env")
        .and_then(|node| node.object("env", "env", &mut told));
    let mut hints = PlanHints {
        cwd: stage.peek("cwd"),
        env: env.map(|env| env.entries().map(|(name, _)| name.to_owned()).collect()),
        ..PlanHints::default()
    };
    let plan = stage
        .get("plan")
        .and_then(|node| node.object("plan", "plan", &mut told));
    if let Some(plan) = plan {
        hints.runnable = plan.boolean("runnable", &mut told);
        hints.aliases = plan.words("aliases");
        let target = ["defaultTarget", "default", "primary"];
        let said = target.iter().find_map(|key| plan.get(key));
        hints.default_target = said.is_some_and(|node| node.is_truthy());
    }
    hints
}

#[cfg(test)]
mod tests;

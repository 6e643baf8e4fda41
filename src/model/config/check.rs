//! Puts the two files together and checks what only the whole can tell: unique ids, names that exist, no circles.
//!
//! `orchd.toml` wins where both define a pipeline. A project's pipeline is its own, else the workspace's
//! `default_pipeline`, else `defaultPipeline` of `codex.orchestrator.json`, else `diagnostics`; that one is made of
//! what is found where no file defines it. Nothing here reads a file: the listing is passed in.

mod unique;

use self::unique::check_unique;
use crate::limits::SUBPIPELINE_DEPTH_MAX;
use crate::model::config::detect::{self, Detected, Listing};
use crate::model::config::draft::{Draft, DraftPipeline, DraftProject, Faults};
use crate::model::config::fault::{Fault, Problems, nearest};
use crate::model::config::graph::{self, Edges};
use crate::model::config::source::{Origin, Spot, Spotted};
use crate::model::config::{
    Action, Config, Cwd, OnBusy, Pipeline, Project, Stage, Template, codex, toml,
};
use crate::model::id::{PipelineId, StageId, TaskId};
use crate::model::path::{RelPath, RootPath};

/// The pipeline of projects that name none.
const DIAGNOSTICS: &str = "diagnostics";
/// The task of a workspace without projects and without `MCP_RUNNER_TASK_ID`.
const TASK_DEFAULT: &str = "0101";

/// The text of each file that exists.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'t> {
    /// `orchd.toml`.
    pub toml: Option<&'t str>,
    /// `codex.orchestrator.json`.
    pub codex: Option<&'t str>,
}

impl<'t> Texts<'t> {
    fn of(self, origin: Origin) -> &'t str {
        let text = match origin {
            Origin::Toml => self.toml,
            Origin::Codex => self.codex,
        };
        text.unwrap_or_default()
    }
}

/// What a workspace is besides its files.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Its directory.
    pub root: &'a RootPath,
    /// What is found there.
    pub listing: &'a Listing,
    /// The task of a workspace without projects; `0101` unless it is given.
    pub task: Option<&'a TaskId>,
}

impl Config {
    /// Makes the configuration of a workspace from its files.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with its place.
    pub fn assemble(texts: Texts<'_>, around: &Surroundings<'_>) -> Result<Self, Problems> {
        let (mut draft, mut faults) = texts.toml.map_or_else(nothing, toml::parse);
        let (second, more) = texts
            .codex
            .map_or_else(nothing, |text| codex::parse(text, around.root));
        faults.merge(more);
        let into_problems =
            |faults: Faults| faults.into_problems(|spot: Spot| texts.of(spot.origin));
        // Names that a file would define are unknown now: asking for them would mislead.
        if faults.hide_more() {
            return Err(into_problems(faults));
        }
        check_unique(&draft, texts.of(Origin::Toml), &mut faults);
        merge(&mut draft, second);
        imply_project(&mut draft, around.task, &mut faults);
        let mut check = Check {
            known: known(&draft.pipelines),
            detected: detect::detect(around.listing),
            uses_detected: false,
            unplaced: draft.pipelines.is_empty(),
            is_published: draft
                .pipelines
                .iter()
                .all(|it| it.spot.origin == Origin::Codex),
            faults,
        };
        let projects = check.projects(&mut draft);
        check.references(&draft);
        check.shapes(&draft);
        if !check.faults.is_empty() {
            return Err(into_problems(check.faults));
        }
        Ok(finish(draft, projects, check))
    }
}

fn nothing() -> (Draft, Faults) {
    (Draft::default(), Faults::new(Origin::Toml))
}

/// Adds to `draft` what only the second file defines.
fn merge(draft: &mut Draft, second: Draft) {
    draft.warnings.extend(second.warnings);
    draft.default_pipeline = draft.default_pipeline.take().or(second.default_pipeline);
    let mut own: Vec<DraftPipeline> = Vec::new();
    for other in second.pipelines {
        let id = &other.pipeline.id;
        if draft.pipelines.iter().any(|first| &first.pipeline.id == id) {
            let said = format!(
                "both `{}` and `{}` define the pipeline `{id}`: the first is used",
                Origin::Toml.file_name(),
                Origin::Codex.file_name(),
            );
            draft.warnings.push(said);
        } else {
            own.push(other);
        }
    }
    draft.pipelines.extend(own);
}

/// Without a project, the workspace is one.
fn imply_project(draft: &mut Draft, task: Option<&TaskId>, faults: &mut Faults) {
    if !draft.projects.is_empty() || !faults.is_empty() {
        return;
    }
    let spot = Spot::new(Origin::Toml, 0..0);
    match task
        .cloned()
        .map_or_else(|| TaskId::parse(TASK_DEFAULT), Ok)
    {
        Ok(task) => draft.projects.push(DraftProject {
            task: Spotted::new(task, spot),
            path: Spotted::new(RelPath::root(), spot),
            pipeline: None,
            on_busy: OnBusy::Queue,
            required: Vec::new(),
            sla: None,
            waivers: Vec::new(),
        }),
        Err(error) => faults.add_at(None, Fault::Id(error)),
    }
}

fn known(pipelines: &[DraftPipeline]) -> Vec<String> {
    pipelines
        .iter()
        .map(|draft| draft.pipeline.id.to_string())
        .collect()
}

/// The checks of names.
#[derive(Debug)]
struct Check {
    /// The pipelines that the files define.
    known: Vec<String>,
    /// What is found.
    detected: Detected,
    /// Whether somebody refers to what is found.
    uses_detected: bool,
    /// Whether no file defines a pipeline.
    unplaced: bool,
    /// Whether `orchd.toml` defines none.
    is_published: bool,
    faults: Faults,
}

impl Check {
    /// Whether a name means a pipeline; `diagnostics` means what is found where no file defines it.
    fn exists(&mut self, id: &PipelineId) -> bool {
        if self.known.iter().any(|name| name == id.as_str()) {
            return true;
        }
        let found = id.as_str() == DIAGNOSTICS && !self.detected.pipeline.stages.is_empty();
        if found && !self.uses_detected {
            self.uses_detected = true;
            self.note_broken();
        }
        found
    }

    /// Notes a file that may offer more than is known; tells whether there is one.
    fn note_broken(&mut self) -> bool {
        let broken = self.detected.broken();
        let fault = broken.map(|(file, said)| Fault::Broken {
            file,
            said: said.to_owned(),
        });
        let is_broken = fault.is_some();
        fault
            .into_iter()
            .for_each(|fault| self.faults.add_at(None, fault));
        is_broken
    }

    fn require(&mut self, id: &PipelineId, spot: Spot) {
        if !self.exists(id) {
            self.faults.add_with(Some(spot), || Fault::Unknown {
                what: "pipeline",
                name: id.to_string(),
                known: self.known.clone(),
            });
        }
    }

    /// Gives every project its pipeline.
    fn projects(&mut self, draft: &mut Draft) -> Vec<Project> {
        if let Some(default) = &draft.default_pipeline {
            self.require(&default.value, default.spot);
        }
        let projects = std::mem::take(&mut draft.projects);
        let default = draft.default_pipeline.as_ref();
        let resolve = |project| self.project(project, default);
        projects.into_iter().filter_map(resolve).collect()
    }

    fn project(
        &mut self,
        project: DraftProject,
        default: Option<&Spotted<PipelineId>>,
    ) -> Option<Project> {
        let pipeline = match (project.pipeline, default) {
            (Some(named), _) => {
                self.require(&named.value, named.spot);
                named.value
            }
            // Whether it exists has been asked once for all.
            (None, Some(default)) => default.value.clone(),
            (None, None) => self.diagnostics(&project.task)?,
        };
        Some(Project {
            task: project.task.value,
            path: project.path.value,
            pipeline,
            on_busy: project.on_busy,
            required: project.required,
            sla: project.sla,
            waivers: project.waivers,
        })
    }

    fn diagnostics(&mut self, task: &Spotted<TaskId>) -> Option<PipelineId> {
        let id = PipelineId::parse(DIAGNOSTICS).ok()?;
        if self.exists(&id) {
            return Some(id);
        }
        // The project that a workspace is without any stands nowhere.
        let spot = Some(task.spot).filter(|spot| spot.end > spot.start);
        if spot.is_none() && self.is_published && !self.unplaced {
            // The published orchestrator runs its pipelines by name, and refuses only a run of none.
            return Some(id);
        }
        if !self.unplaced {
            self.faults.add_with(spot, || Fault::NoPipelineNamed {
                task: task.value.to_string(),
                known: self.known.clone(),
            });
        } else if self.faults.is_empty() && !self.note_broken() {
            self.faults.add_at(None, Fault::NothingToRun);
        }
        None
    }

    /// Notes names in stages that mean nothing, and stage ids that stand twice.
    fn references(&mut self, draft: &Draft) {
        let run = draft.pipelines.iter().map(|pipeline| (pipeline, true));
        let held_against = draft.templates.iter().map(|template| (template, false));
        for (pipeline, is_run) in run.chain(held_against) {
            let stages = &pipeline.pipeline.stages;
            for (at, (stage, spots)) in stages.iter().zip(&pipeline.stages).enumerate() {
                // In the other file they are told apart by their places, as the published orchestrator does it.
                let ours = spots.id.origin == Origin::Toml;
                if ours && stages.iter().take(at).any(|before| before.id == stage.id) {
                    self.duplicate_stage(pipeline, stage, spots.id);
                }
                for (need, spot) in stage.needs.iter().zip(&spots.needs) {
                    let is_there = stages.iter().any(|other| &other.id == need);
                    if !is_there && !pipeline.broken.contains(need) {
                        self.faults.add_with(Some(*spot), || Fault::Unknown {
                            what: "stage of this pipeline",
                            name: need.to_string(),
                            known: stages.iter().map(|other| other.id.to_string()).collect(),
                        });
                    }
                }
                // What is never run need not have what it names.
                if let (Action::Subpipeline(child), true) = (&stage.action, is_run) {
                    self.require(&child.pipeline, spots.pipeline);
                }
            }
        }
        self.emptiness(draft);
    }

    /// Notes pipelines without stages. Published configurations may hold them: a run of one is an error.
    fn emptiness(&mut self, draft: &Draft) {
        for pipeline in &draft.pipelines {
            let id = &pipeline.pipeline.id;
            if !pipeline.has_stages && pipeline.spot.origin == Origin::Toml {
                let pipeline = (id.to_string(), pipeline.spot);
                self.faults.add_with(Some(pipeline.1), || Fault::NoStages {
                    pipeline: pipeline.0.clone(),
                });
            }
        }
    }

    fn duplicate_stage(&mut self, pipeline: &DraftPipeline, stage: &Stage, spot: Spot) {
        let fault = Fault::DuplicateStage {
            stage: stage.id.to_string(),
            pipeline: pipeline.pipeline.id.to_string(),
        };
        self.faults.add_at(Some(spot), fault);
    }

    /// Notes circles and subpipelines that nest too deep.
    fn shapes(&mut self, draft: &Draft) {
        for DraftPipeline {
            pipeline, stages, ..
        } in draft.pipelines.iter().chain(&draft.templates)
        {
            let needs = needs_of(pipeline);
            for circle in graph::shape(&needs).circles {
                let first = circle.first().copied().unwrap_or_default();
                let at = pipeline.stages.iter().position(|s| s.id.as_str() == first);
                let spot = at.and_then(|at| stages.get(at)).map(|spots| spots.id);
                self.circle("the `needs` of stages", &circle, spot);
            }
        }
        let children: Edges<'_> = draft
            .pipelines
            .iter()
            .map(|draft| (draft.pipeline.id.as_str(), children_of(&draft.pipeline)))
            .collect();
        let shape = graph::shape(&children);
        let spot_of = |id: &str| {
            let mut drafts = draft.pipelines.iter();
            drafts
                .find(|draft| draft.pipeline.id.as_str() == id)
                .map(|draft| draft.spot)
        };
        for circle in &shape.circles {
            let spot = circle.first().and_then(|id| spot_of(id));
            self.circle("subpipelines", circle, spot);
        }
        if !shape.circles.is_empty() {
            return;
        }
        let max = SUBPIPELINE_DEPTH_MAX;
        for (id, depth) in shape.depths.into_iter().filter(|(_, depth)| *depth > max) {
            let pipeline = id.to_owned();
            let fault = Fault::TooDeep {
                pipeline,
                depth,
                max,
            };
            self.faults.add_at(spot_of(id), fault);
        }
    }

    fn circle(&mut self, what: &'static str, circle: &[&str], spot: Option<Spot>) {
        let circle = circle.iter().map(|name| (*name).to_owned()).collect();
        self.faults.add_at(spot, Fault::Circle { what, circle });
    }
}

fn needs_of(pipeline: &Pipeline) -> Edges<'_> {
    let mut edges = Edges::new();
    for stage in &pipeline.stages {
        let list: &mut Vec<&str> = edges.entry(stage.id.as_str()).or_default();
        list.extend(stage.needs.iter().map(StageId::as_str));
    }
    edges
}

fn children_of(pipeline: &Pipeline) -> Vec<&str> {
    let stages = pipeline.stages.iter();
    let child = stages.filter_map(|stage| match &stage.action {
        Action::Subpipeline(child) => Some(child.pipeline.as_str()),
        Action::Command(_) => None,
    });
    child.collect()
}

fn finish(draft: Draft, projects: Vec<Project>, check: Check) -> Config {
    let mut settings = draft.settings.unwrap_or_default();
    let mut warnings = draft.warnings;
    let templates = draft.templates.into_iter().map(|draft| Template {
        pipeline: draft.pipeline,
        open: draft.open,
    });
    let templates = templates.collect();
    let defined = draft.pipelines.into_iter().map(|draft| draft.pipeline);
    let mut pipelines: Vec<Pipeline> = defined.collect();
    if check.uses_detected {
        if !pipelines.is_empty() {
            let said = format!(
                "no file defines the pipeline `{DIAGNOSTICS}`: it is made of what is found"
            );
            warnings.push(said);
        }
        if !draft.ignore_declared {
            settings.ignore = check.detected.ignore;
        }
        let mut found = check.detected.pipeline;
        let is_nested = |project: &Project| project.pipeline == found.id && !project.path.is_root();
        if projects.iter().any(is_nested) {
            run_at_root(&mut found);
            warnings.push(format!(
                "`{DIAGNOSTICS}` is made of what is found at the workspace's root, and runs there"
            ));
        }
        pipelines.push(found);
    }
    warnings.extend(projects.iter().filter_map(portability));
    warnings.extend(
        projects
            .iter()
            .flat_map(|project| slips(project, &pipelines)),
    );
    Config {
        settings,
        projects,
        pipelines,
        templates,
        warnings,
    }
}

/// What was found at the root makes sense only there.
fn run_at_root(pipeline: &mut Pipeline) {
    for stage in &mut pipeline.stages {
        if let Action::Command(command) = &mut stage.action {
            command.cwd = Cwd::Workspace(RelPath::root());
        }
    }
}

fn portability(project: &Project) -> Option<String> {
    let task = &project.task;
    (!task.is_portable()).then(|| {
        format!("older tools rewrite the task id `{task}`: use only a-z, 0-9, `-` and `_`")
    })
}

/// A guardrail need not exist (coverage tells that it is missing), but a slip of the pen is worth a line.
fn slips(project: &Project, pipelines: &[Pipeline]) -> Vec<String> {
    let own = pipelines.iter().find(|other| other.id == project.pipeline);
    let stages = own.map_or(&[][..], |pipeline| pipeline.stages.as_slice());
    let slip = |id: &StageId| {
        if stages.iter().any(|stage| &stage.id == id) {
            return None;
        }
        let meant = nearest(id.as_str(), stages.iter().map(|stage| stage.id.as_str()))?;
        let (task, pipeline) = (&project.task, &project.pipeline);
        Some(format!(
            "project `{task}` requires `{id}`, which no stage of `{pipeline}` is called: did you mean `{meant}`?"
        ))
    };
    project.required.iter().filter_map(slip).collect()
}

#[cfg(test)]
mod tests;

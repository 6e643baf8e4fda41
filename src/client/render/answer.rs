//! Answers about the present content: `gate`, `wait`, `sync`, `explain`; and `plan`.
//!
//! Pure text from a report; nothing is asked and nothing is looked up here.

use crate::client::output::Look;
use crate::client::render::approving;
use crate::client::render::mark::{self, short};
use crate::client::render::status::{fit, indented, short_path};
use crate::client::render::text::{BOLD, DIM, add, clean, columns, count, pad, styled};
use crate::model::id::RunId;
use crate::model::path::{of_text, plain};
use crate::model::report::plan::{PlanAnswer, PlannedStage};
use crate::model::report::{ExplainAnswer, ExplainedRule, GateAnswer, GateProject, SyncAnswer};
use std::collections::BTreeMap;

/// Columns of the longest verdict with its symbol.
const VERDICT_COLUMNS: usize = 10;
/// Hex digits of a content digest that are shown.
const DIGEST_CHARS: usize = 8;

/// The stages of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stages {
    /// How many passed, or were allowed not to.
    pub passed: usize,
    /// How many there are.
    pub all: usize,
    /// How many of them another run has executed.
    pub reused: usize,
}

/// Renders what is proven of each project, and by which run; `stages` says how those of each run went.
#[must_use]
pub fn gate(answer: &GateAnswer, stages: &BTreeMap<RunId, Stages>, look: &Look) -> String {
    let tasks = answer
        .projects
        .iter()
        .map(|p| columns(p.task_id.as_str()))
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    let mut around = None;
    for project in &answer.projects {
        if project.workspace.is_some() && project.workspace != around {
            around.clone_from(&project.workspace);
            let root = project.workspace.as_ref().map(ToString::to_string);
            let root = short_path(&clean(&root.unwrap_or_default()), look, 0);
            add(&mut text, format_args!("{}\n", styled(BOLD, &root)));
        }
        let verdict = mark::verdict(project.verdict).cell(VERDICT_COLUMNS);
        let task = pad(&clean(project.task_id.as_str()), tasks);
        let trusted = trusted(project, stages);
        let whole = VERDICT_COLUMNS + tasks + columns(&trusted) + 4;
        if look.width.is_some_and(|width| width < whole) {
            add(&mut text, format_args!("{verdict}  {}\n", task.trim_end()));
            text.push_str(&indented(&trusted, 4, look));
        } else {
            text.push_str(format!("{verdict}  {task}  {trusted}").trim_end());
            text.push('\n');
        }
        if let Some(detail) = &project.detail {
            text.push_str(&indented(detail, 4, look));
        }
        if project.green == Some(false) {
            text.push_str(&indented(mark::FLAKY_IS_RED, 4, look));
        }
        if !project.approved.is_empty() {
            let honoured = approving::honoured(&project.approved);
            text.push_str(&indented(&honoured, 4, look));
        }
        if let Some(manifest) = &project.manifest {
            let manifest = short_path(&clean(manifest), look, 4);
            add(&mut text, format_args!("    {}\n", styled(DIM, &manifest)));
        }
    }
    if answer.projects.is_empty() {
        text.push_str("no project to speak of\n");
    }
    text
}

fn trusted(project: &GateProject, stages: &BTreeMap<RunId, Stages>) -> String {
    let mut parts = Vec::new();
    if let Some(run) = &project.run_id {
        let proven = if project.reused {
            ", proven before"
        } else {
            ""
        };
        parts.push(format!("run {}{proven}", short(run)));
    }
    if let Some(input) = &project.input_digest {
        let digest: String = input.to_string().chars().take(DIGEST_CHARS).collect();
        parts.push(format!("inputs {digest}…"));
    }
    if let Some(of_run) = project.run_id.as_ref().and_then(|run| stages.get(run)) {
        let all = count(of_run.all, "stage");
        parts.push(format!("{} of {all}", of_run.passed));
        if of_run.reused > 0 {
            parts.push(format!("{} reused", of_run.reused));
        }
    }
    parts.extend(project.judged.as_ref().map(ToString::to_string));
    parts.join(", ")
}

/// Renders how far each workspace has seen.
#[must_use]
pub fn sync(answer: &SyncAnswer, look: &Look) -> String {
    let mut text = String::new();
    for workspace in &answer.workspaces {
        let root = short_path(&clean(&workspace.root.to_string()), look, 12);
        let word = if workspace.synced {
            "+ synced"
        } else {
            "? unsynced"
        };
        add(&mut text, format_args!("{}  {root}\n", pad(word, 10)));
        if let Some(detail) = &workspace.detail {
            text.push_str(&indented(detail, 4, look));
        }
    }
    if answer.workspaces.is_empty() {
        text.push_str("No directory is watched.\n");
    }
    text
}

/// Renders what a change of a path triggers.
#[must_use]
pub fn explain(answer: &ExplainAnswer, look: &Look) -> String {
    let path = short_path(&clean(&plain(of_text(&answer.path).as_os_str())), look, 0);
    let mut text = format!("{}\n", styled(BOLD, &path));
    let named = |rule: &ExplainedRule| {
        let source = clean(&rule.source);
        let place = rule
            .line
            .map_or(source.clone(), |line| format!("{source}:{line}"));
        format!("`{}`, {place}", clean(&rule.rule))
    };
    if let Some(rule) = &answer.ignored {
        add(&mut text, format_args!("  - ignored by {}\n", named(rule)));
        return text;
    }
    if let Some(rule) = &answer.tracked {
        let named = named(rule);
        add(
            &mut text,
            format_args!("  - tracked by git, though ignored by {named}\n"),
        );
    }
    if let Some(rule) = &answer.declared {
        let named = named(rule);
        add(
            &mut text,
            format_args!("  - declared as an input, though ignored by {named}\n"),
        );
    }
    for project in &answer.projects {
        add(
            &mut text,
            format_args!("  > triggers {}\n", clean(project.task_id.as_str())),
        );
        for stage in &project.stages {
            let pipeline = clean(stage.pipeline_id.as_str());
            add(
                &mut text,
                format_args!("      {}  ({pipeline})\n", clean(stage.stage.as_str())),
            );
        }
    }
    if answer.projects.is_empty() {
        let said = match &answer.owner {
            Some(task) => format!(
                "  - triggers nothing: no stage of {} reads it\n",
                clean(task.as_str())
            ),
            None => "  - triggers nothing: it belongs to no project\n".to_owned(),
        };
        text.push_str(&said);
    }
    text
}

/// Renders what a pipeline would run.
#[must_use]
pub fn plan(answer: &PlanAnswer, look: &Look) -> String {
    let pipeline = &answer.pipeline;
    let mut text = format!(
        "{}  {}\n",
        styled(BOLD, &clean(pipeline.id.as_str())),
        clean(&pipeline.title)
    );
    if let Some(description) = &pipeline.description {
        text.push_str(&indented(description, 2, look));
    }
    for stage in &answer.stages {
        match stage {
            PlannedStage::Command(stage) => {
                let id = clean(stage.id.as_str());
                let allowed = if stage.allow_failure {
                    "  (may fail)"
                } else {
                    ""
                };
                add(&mut text, format_args!("  {} {id}{allowed}\n", stage.index));
                add(
                    &mut text,
                    format_args!("      {}\n", fit(&clean(&stage.command), look, 6)),
                );
                if let Some(cwd) = &stage.cwd {
                    add(
                        &mut text,
                        format_args!("      in {}\n", short_path(&clean(cwd), look, 9)),
                    );
                }
            }
            PlannedStage::Subpipeline(stage) => {
                let optional = if stage.optional { "  (may fail)" } else { "" };
                let (id, child) = (clean(stage.id.as_str()), clean(stage.pipeline.as_str()));
                add(
                    &mut text,
                    format_args!("  {} {id}{optional}\n      pipeline {child}\n", stage.index),
                );
            }
        }
    }
    if answer.stages.is_empty() {
        text.push_str("  no stages\n");
    }
    text
}

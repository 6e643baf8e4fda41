//! `orchctl why`: a line per stage, by which run it is proven, or what has changed since its last proof.
//!
//! Pure text from a report; the words are those of `run`, `explain` and the events.

use crate::client::output::Look;
use crate::client::render::mark::{self, Mark, short};
use crate::client::render::status::{indented, short_path};
use crate::client::render::text::{
    BOLD, CYAN, GREEN, RED, YELLOW, add, clean, columns, count, pad, styled,
};
use crate::model::path::{RelPath, RootPath};
use crate::model::report::runs::ChangedPaths;
use crate::model::report::why::{Because, StageProven, WhyAnswer, WhyProject, WhyStage};
use std::collections::BTreeSet;

/// Paths that are named on a line.
const PATHS_SHOWN_MAX: usize = 3;
/// Columns of the longest verdict with its symbol.
const VERDICT_COLUMNS: usize = 10;
/// Columns of the longest state of a stage with its symbol.
const STATE_COLUMNS: usize = 10;

/// Renders why each stage is proven or not.
#[must_use]
pub fn why(answer: &WhyAnswer, look: &Look) -> String {
    let roots: BTreeSet<&RootPath> = answer.projects.iter().map(|it| &it.workspace).collect();
    let mut around = None;
    let mut text = String::new();
    for project in &answer.projects {
        if roots.len() > 1 && around != Some(&project.workspace) {
            around = Some(&project.workspace);
            let root = short_path(&clean(&project.workspace.to_string()), look, 0);
            add(&mut text, format_args!("{}\n", styled(BOLD, &root)));
        }
        project_lines(&mut text, project, look);
    }
    if answer.projects.is_empty() {
        text.push_str("no project to speak of\n");
    }
    text
}

fn project_lines(text: &mut String, project: &WhyProject, look: &Look) {
    let verdict = mark::verdict(project.verdict).cell(VERDICT_COLUMNS);
    let task = clean(project.task_id.as_str());
    let run = project.run_id.as_ref();
    let run = run.map_or(String::new(), |run| format!("  run {}", short(run)));
    add(text, format_args!("{verdict}  {task}{run}\n"));
    if let Some(detail) = &project.detail {
        text.push_str(&indented(detail, 4, look));
    }
    let own = project.pipeline_id.as_ref();
    let name = |stage: &WhyStage| match own == Some(&stage.pipeline_id) {
        true => clean(stage.stage.as_str()),
        false => clean(&format!("{} ({})", stage.stage, stage.pipeline_id)),
    };
    let names = project.stages.iter().map(|stage| columns(&name(stage)));
    let names = names.max().unwrap_or(0);
    for stage in &project.stages {
        let state = state(stage).cell(STATE_COLUMNS);
        let (name, said) = (name(stage), said(stage));
        let whole = STATE_COLUMNS + names + columns(&said) + 6;
        if look.width.is_some_and(|width| width < whole) {
            add(text, format_args!("  {state}  {name}\n"));
            text.push_str(&indented(&said, 6, look));
        } else {
            add(
                text,
                format_args!("  {state}  {}  {said}\n", pad(&name, names)),
            );
        }
    }
}

fn state(stage: &WhyStage) -> Mark {
    let (symbol, word, style) = match stage.state {
        StageProven::Proven => ('+', "proven", GREEN),
        StageProven::Flaky => ('~', "flaky", YELLOW),
        _ if stage.running.is_some() => ('>', "running", CYAN),
        StageProven::Failed if stage.may_fail => ('-', "failed", YELLOW),
        StageProven::Failed => ('x', "failed", RED),
        StageProven::Unproven => ('?', "unproven", YELLOW),
    };
    Mark {
        symbol,
        word,
        style,
    }
}

fn said(stage: &WhyStage) -> String {
    let run = stage.run_id.as_ref().map(short).unwrap_or_default();
    let mut parts = match stage.state {
        StageProven::Proven => vec![format!("proven by run {run}")],
        StageProven::Failed if stage.may_fail => vec![format!("failed in run {run}, allowed")],
        StageProven::Failed => vec![format!("failed in run {run}")],
        StageProven::Flaky => {
            vec![format!("passed and failed on the same content, run {run}")]
        }
        StageProven::Unproven if stage.why.contains(&Because::Never) => {
            vec!["not proven yet".to_owned()]
        }
        StageProven::Unproven => {
            let why: Vec<String> = stage.why.iter().map(|why| because(*why, stage)).collect();
            vec![format!("since run {run}: {}", why.join("; "))]
        }
    };
    if let Some(run) = &stage.running {
        let void = stage.void.as_ref().map(|void| {
            let paths = changed_paths(void);
            format!(", and void: content changed while it ran ({paths})")
        });
        let void = void.unwrap_or_default();
        parts.push(format!("run {} is under way{void}", short(run)));
    }
    parts.join("; ")
}

fn because(why: Because, stage: &WhyStage) -> String {
    let word = match why {
        Because::Inputs => {
            return stage
                .changed
                .as_ref()
                .map_or("its inputs".to_owned(), inputs);
        }
        Because::Never => "not proven yet",
        Because::Definition => "its definition is another one",
        Because::Toolchain => "its toolchain is another one",
        Because::Outputs => "what it waits for has left other outputs",
        Because::Waits => "what it waits for is not proven",
    };
    word.to_owned()
}

fn inputs(changed: &ChangedPaths) -> String {
    match changed.count {
        // Which files it reads is another question by now, or they were taken back.
        Some(0) => "it reads other files".to_owned(),
        None if !changed.paths.is_empty() => {
            let (named, more) = named(&changed.paths, changed.paths.len());
            format!("by their times changed: {named}{more}; others may have, too")
        }
        Some(_) | None => changed_paths(changed),
    }
}

/// `2 paths changed: src/a.ts, src/b.ts`.
fn changed_paths(changed: &ChangedPaths) -> String {
    let Some(number) = changed.count else {
        return "everything may have changed".to_owned();
    };
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    let (named, more) = named(&changed.paths, number);
    let number = count(number, "path");
    format!("{number} changed: {named}{more}")
}

/// The first paths of so many, and how many there are more.
fn named(paths: &[RelPath], number: usize) -> (String, String) {
    let named = paths.iter().take(PATHS_SHOWN_MAX);
    let named: Vec<String> = named.map(|path| clean(&path.to_string())).collect();
    let more = match number.saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (named.join(", "), more)
}

//! `orchctl report` as one HTML page: templates filled with what [`view`] makes of the report.
//!
//! The page asks for nothing: no script, no font, no picture of elsewhere, and a policy that forbids them. The policy names
//! the digest of the one style sheet, so that nothing that got into the page could bring another. All text from elsewhere is
//! made visible by `view` and escaped by the templates; what is marked `safe` in them is made here, of numbers and ids.

mod chart;
mod markdown;
mod view;

use crate::client::render::report::view::{Fact, Icon, ProjectView, RunView, Section};
use crate::documents::reporting::{Report, ReportedProject};
use crate::limits::documents::REPORT_DETAIL_BYTES_MAX;
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

pub use markdown::markdown;

/// The one style sheet, as it stands in the page.
const STYLE: &str = include_str!("../../../templates/report/style.css");

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'a> {
    title: String,
    lead: String,
    style: &'a str,
    style_hash: String,
    projects: Vec<ProjectView>,
    data: String,
}

#[derive(Template)]
#[template(path = "report/project.html")]
struct ProjectPart<'a> {
    at: usize,
    anchor: &'a str,
    task: &'a str,
    mark: Icon,
    place: &'a str,
    facts: &'a [Fact],
    tables: &'a [view::Table],
    details: Vec<String>,
    rows: &'a [RunView],
    rows_said: String,
    left_out: usize,
    unreadable: &'a [(String, String)],
    unreadable_said: String,
}

#[derive(Template)]
#[template(path = "report/run.html")]
struct RunPart<'a> {
    open: bool,
    id: &'a str,
    short: &'a str,
    mark: Icon,
    what: &'a str,
    began: &'a str,
    facts: &'a [Fact],
    axis: &'a str,
    stages: &'a [view::StageView],
    stages_left_out: usize,
    excerpts: &'a [view::ExcerptView],
}

/// The report as one page.
///
/// # Errors
/// When a template cannot be filled, which only a lack of memory brings about.
pub fn page(report: &Report) -> Result<String, askama::Error> {
    let share = REPORT_DETAIL_BYTES_MAX / report.projects.len().max(1);
    let mut projects = Vec::new();
    for (at, project) in report.projects.iter().enumerate() {
        let mut seen = ProjectView::of(report, project);
        seen.section = section(report, project, at, share)?;
        projects.push(seen);
    }
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    let page = Page {
        title: "Guardrail report".to_owned(),
        lead: view::lead(report),
        style: STYLE,
        style_hash: format!("sha256-{digest}"),
        projects,
        data: data(report),
    };
    let mut text = page.render()?;
    text.push('\n');
    Ok(text)
}

/// A project's part of the page; its newest runs are shown in full until that has taken its share of bytes.
fn section(
    report: &Report,
    project: &ReportedProject,
    at: usize,
    share: usize,
) -> Result<String, askama::Error> {
    let Section {
        anchor,
        task,
        mark,
        place,
        facts,
        tables,
        runs,
        unreadable,
    } = Section::of(report, project);
    let mut details: Vec<String> = Vec::new();
    let mut bytes = 0_usize;
    for (run, told) in runs.iter().zip(&project.runs) {
        let detail = RunPart {
            open: details.is_empty(),
            id: &run.id,
            short: &run.short,
            mark: run.mark,
            what: &run.what,
            began: &run.began,
            facts: &view::facts(told, project),
            axis: &run.axis,
            stages: &view::stages(told, project),
            stages_left_out: told.stages_left_out,
            excerpts: &view::excerpts(told),
        }
        .render()?;
        bytes = bytes.saturating_add(detail.len());
        if bytes > share {
            break;
        }
        details.push(detail);
    }
    let rows = runs.get(details.len()..).unwrap_or_default();
    ProjectPart {
        at,
        anchor: &anchor,
        task: &task,
        mark,
        place: &place,
        facts: &facts,
        tables: &tables,
        details,
        rows,
        rows_said: "a row each; their manifests lie beside the others".to_owned(),
        left_out: project.left_out,
        unreadable_said: view::unreadable_said(&unreadable),
        unreadable: unreadable
            .get(..unreadable.len().min(view::UNREADABLE_SHOWN))
            .unwrap_or_default(),
    }
    .render()
}

/// What a program may want of the page without reading it: the overview. `orchctl report --json` has it all.
fn data(report: &Report) -> String {
    let projects = report.projects.iter().map(|project| {
        let newest = project.newest().map(|run| &run.record);
        json!({
            "task_id": project.task_id,
            "verdict": project.verdict,
            "run_id": newest.map(|it| &it.run_id),
            "manifest": newest.map(|it| &it.manifest),
            "percent": project.coverage.percent,
            "drift": project.drifts(),
        })
    });
    let projects: Vec<_> = projects.collect();
    unbreakable(&json!({ "as_of": report.as_of, "projects": projects }).to_string())
}

/// JSON that no parser of HTML sees anything in: what is no plain letter of ASCII stands as an escape.
fn unbreakable(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && !matches!(c, '<' | '>' | '&') {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

#[cfg(test)]
mod tests;

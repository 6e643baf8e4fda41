//! `orchctl status`: a line per project, and below it what failed and where the evidence is.
//!
//! Pure text from a report; what is unknown is said with its reason.

use crate::client::output::Look;
use crate::client::render::mark;
use crate::client::render::text::{
    BOLD, DIM, RED, add, ago, clean, clip, columns, count, middle, pad, size, styled, took,
};
use crate::model::evidence::DAEMON_LOST;
use crate::model::path::{RootPath, quoted};
use crate::model::report::status::{
    DaemonStatus, Failure, LastRun, Phase, ProjectStatus, ProvenBy, QueuedRun, Status,
    WorkspaceState, WorkspaceStatus,
};
use crate::model::run::{RunStatus, Verdict};
use std::time::Duration;

/// Columns of the longest verdict with its symbol.
const VERDICT_COLUMNS: usize = 10;
/// Columns of `fresh` and `stale`.
const FRESH_COLUMNS: usize = 5;
/// Columns of a phase, the stage excepted.
const PHASE_COLUMNS: usize = 8;
/// Lines of an excerpt that are shown.
const EXCERPT_LINES_MAX: usize = 3;

/// Renders the whole status, or that of the workspace that was asked for.
#[must_use]
pub fn status(status: &Status, asked: Option<&RootPath>, look: &Look) -> String {
    let mut text = String::new();
    for workspace in &status.workspaces {
        text.push_str(&workspace_lines(workspace, look));
    }
    if status.workspaces.is_empty() {
        match asked.map(|root| clean(&root.to_string())) {
            Some(root) => {
                let said = format!("{} is not a registered workspace.", quoted(&root));
                let add = format!("Register it with: orchctl add {}", quoted(&root));
                let list = "See the registered ones with: orchctl list";
                text.push_str(&indented(&format!("{said}\n{add}\n{list}"), 0, look));
            }
            None => text.push_str("Nothing is watched. Add a directory with: orchctl watch DIR\n"),
        }
    }
    // Of one workspace that was asked for nothing is known of the others.
    let workspaces = asked.is_none().then_some(status.workspaces.len());
    text.push_str(&daemon_line(&status.daemon, workspaces, look));
    text
}

/// Renders one workspace with its projects.
#[must_use]
pub fn workspace_lines(workspace: &WorkspaceStatus, look: &Look) -> String {
    let root = clean(&workspace.root.to_string());
    let state = mark::workspace(workspace.state).cell(0);
    let mut text = match look.width {
        Some(width) if look.is_narrow() => {
            format!("{}\n  {state}\n", styled(BOLD, &middle(&root, width)))
        }
        Some(width) => format!("{}  {state}\n", styled(BOLD, &middle(&root, width - 20))),
        None => format!("{}  {state}\n", styled(BOLD, &root)),
    };
    if let Some(detail) = &workspace.detail {
        text.push_str(&indented(detail, 2, look));
    }
    if workspace.state == WorkspaceState::Untrusted && workspace.detail.is_none() {
        let allow = format!("Allow its commands with: orchctl allow {}", quoted(&root));
        text.push_str(&indented(&allow, 2, look));
    }
    let task_columns = workspace
        .projects
        .iter()
        .map(|p| columns(p.task_id.as_str()))
        .max();
    for project in &workspace.projects {
        text.push_str(&render_project(project, task_columns.unwrap_or(0), look));
    }
    text
}

fn render_project(project: &ProjectStatus, task_columns: usize, look: &Look) -> String {
    let task = clean(project.task_id.as_str());
    let verdict = mark::verdict(project.verdict).cell(VERDICT_COLUMNS);
    let fresh = if project.fresh { "fresh" } else { "stale" };
    let phase = phase(project, look);
    let last = project.last_run.as_ref().map(|run| last_run(run, look));
    let mut text = if look.is_narrow() {
        let mut lines = format!("  {verdict}  {task}\n    {fresh}, {phase}\n");
        if let Some(last) = &last {
            add(&mut lines, format_args!("    {last}\n"));
        }
        lines
    } else {
        let line = format!(
            "  {verdict}  {}  {}  {}  {}",
            pad(&task, task_columns),
            pad(fresh, FRESH_COLUMNS),
            pad(&phase, PHASE_COLUMNS),
            last.as_deref().unwrap_or("no run yet")
        );
        format!("{}\n", line.trim_end())
    };
    if let Some(failure) = &project.failure {
        let last = project.last_run.as_ref();
        let detail = last.and_then(|run| run.status_detail.as_deref());
        let is_cancelled = last.is_some_and(|run| is_of_its_end(failure, run.status));
        text.push_str(&match detail {
            Some(DAEMON_LOST) => ended(failure, "interrupted", 4, look),
            _ if is_cancelled => ended(failure, "cancelled", 4, look),
            Some(_) | None => failed(failure, 4, look),
        });
    } else if project.verdict == Verdict::Error
        && let Some(detail) = project
            .last_run
            .as_ref()
            .and_then(|run| run.status_detail.as_ref())
    {
        text.push_str(&indented(detail, 4, look));
    }
    if project.green == Some(false) {
        text.push_str(&indented(mark::FLAKY_IS_RED, 4, look));
    }
    let newest = project.last_run.as_ref();
    let elsewhere = |proof: &&ProvenBy| newest.is_none_or(|newest| newest.run_id != proof.run_id);
    if let Some(proof) = project.proof.as_ref().filter(elsewhere) {
        let run = mark::short(&proof.run_id);
        let manifest = short_path(&clean(&proof.manifest), look, 32);
        let proven = format!("    proven by {run}, manifest {manifest}");
        add(&mut text, format_args!("{}\n", styled(DIM, &proven)));
    } else if let Some(run) = newest {
        let manifest = short_path(&clean(&run.manifest), look, 13);
        text.push_str(&styled(DIM, &format!("    manifest {manifest}")));
        text.push('\n');
    }
    for queued in &project.queued {
        text.push_str(&queued_line(queued, look));
    }
    text
}

fn queued_line(queued: &QueuedRun, look: &Look) -> String {
    let run = mark::short(&queued.run_id);
    let pipeline = clean(queued.pipeline_id.as_str());
    let asked = ago(look.now.since(queued.asked_at));
    let line = format!("queued {run}  {pipeline}  {asked}");
    format!("    {}\n", fit(&line, look, 4))
}

fn phase(project: &ProjectStatus, look: &Look) -> String {
    let Some(running) = &project.running else {
        return phase_word(project.phase).to_owned();
    };
    let span = took(look.now.since(running.started_at));
    match &running.stage {
        Some(stage) => format!("running {} {span}", clean(stage.as_str())),
        None => format!("running {span}"),
    }
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "idle",
        Phase::Settling => "settling",
        Phase::Queued => "queued",
        Phase::Running => "running",
    }
}

fn last_run(run: &LastRun, look: &Look) -> String {
    let mut parts = vec![
        mark::short(&run.run_id).to_owned(),
        mark::run(run.status).word.to_owned(),
    ];
    if let Some(ms) = run.duration_ms {
        parts.push(took(Duration::from_millis(ms)));
    }
    parts.push(ago(look
        .now
        .since(run.completed_at.unwrap_or(run.started_at))));
    parts.join("  ")
}

/// Renders the first failing stage and the lines that say why.
#[must_use]
pub fn failed(failure: &Failure, indent: usize, look: &Look) -> String {
    let exit = match failure.exit_code {
        Some(code) => format!("exit {code}"),
        None if failure.log_path.is_none() => "its run failed".to_owned(),
        None => "could not start".to_owned(),
    };
    ended(failure, &exit, indent, look)
}

/// Whether a stage only ended with its run, which somebody or newer content ended: that is no failure of the stage.
#[must_use]
pub fn is_of_its_end(failure: &Failure, run: RunStatus) -> bool {
    run == RunStatus::Cancelled && failure.exit_code.is_none_or(|code| code > 128)
}

fn ended(failure: &Failure, how: &str, indent: usize, look: &Look) -> String {
    let space = " ".repeat(indent);
    let stage = styled(RED, &clean(stage_name(failure)));
    format!(
        "{space}{stage}  {how}\n{}",
        excerpt(failure, indent + 2, look)
    )
}

/// What a stage that failed is called, so that no other stage of its run is meant.
#[must_use]
pub fn stage_name(failure: &Failure) -> &str {
    let name = failure.name.as_deref();
    name.unwrap_or_else(|| failure.stage.as_str())
}

/// Renders the lines that say why a stage failed.
#[must_use]
pub fn excerpt(failure: &Failure, indent: usize, look: &Look) -> String {
    let space = " ".repeat(indent);
    let lines = failure.excerpt.lines().map(clean);
    let lines = lines.filter(|line| !line.trim().is_empty());
    let shown = lines.take(EXCERPT_LINES_MAX);
    shown
        .map(|line| format!("{space}| {}\n", fit(line.trim_end(), look, indent + 2)))
        .collect()
}

fn daemon_line(daemon: &DaemonStatus, workspaces: Option<usize>, look: &Look) -> String {
    let workspaces = workspaces.map(|number| format!("{}, ", count(number, "workspace")));
    let line = format!(
        "orchd {}, pid {}, up {}, {}{} watches, {}",
        daemon.version,
        daemon.pid,
        took(Duration::from_millis(daemon.uptime_ms)),
        workspaces.unwrap_or_default(),
        daemon.watches,
        size(daemon.rss_bytes)
    );
    let mut text = String::new();
    for piece in wrapped(&line, look) {
        text.push_str(&styled(DIM, &piece));
        text.push('\n');
    }
    text
}

/// Cuts `text` to what is left of the line behind `used` columns.
#[must_use]
pub fn fit(text: &str, look: &Look, used: usize) -> String {
    match look.width {
        Some(width) => clip(text, width.saturating_sub(used).max(8)),
        None => text.to_owned(),
    }
}

/// Cuts the middle of `path` to what is left of the line behind `used` columns.
#[must_use]
pub fn short_path(path: &str, look: &Look, used: usize) -> String {
    match look.width {
        Some(width) => middle(path, width.saturating_sub(used).max(8)),
        None => path.to_owned(),
    }
}

/// Breaks every line of `text` at spaces so that it fits behind `indent` columns.
#[must_use]
pub fn indented(text: &str, indent: usize, look: &Look) -> String {
    let inner = Look {
        width: look.width.map(|width| width.saturating_sub(indent).max(16)),
        now: look.now,
    };
    let space = " ".repeat(indent);
    let lines = text.lines().flat_map(|line| wrapped(&clean(line), &inner));
    lines.map(|line| format!("{space}{line}\n")).collect()
}

fn wrapped(line: &str, look: &Look) -> Vec<String> {
    let Some(width) = look.width else {
        return vec![line.to_owned()];
    };
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let Some(last) = lines.last_mut() else { break };
        if last.is_empty() {
            last.push_str(word);
        } else if columns(last) + 1 + columns(word) <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

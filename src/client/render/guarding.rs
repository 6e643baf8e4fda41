//! `orchctl coverage`, `drift` and `spec-guard`: tables of guardrails, differences by project, and the family's own words.
//!
//! A line about a guardrail has its state as a word in a fixed column; what a spec guard says is plain, because others read it.

use crate::client::output::Look;
use crate::client::render::text::{
    DIM, GREEN, RED, YELLOW, add, ago, clean, columns, count, pad, styled, took,
};
use crate::documents::coverage::{
    Coverage, FINDINGS_HEAD, GuardrailCoverage, ProjectCoverage, State, Window,
};
use crate::documents::drift::{Difference, Drift};
use crate::documents::spec_guard::Guarded;
use std::time::Duration;

/// Renders how the guardrails of each project stand.
#[must_use]
pub fn coverage(told: &Coverage, least: Option<u8>, window: Window, _look: &Look) -> String {
    let mut text = String::new();
    for project in &told.projects {
        let days = &told.window_days;
        let share = match project.percent {
            Some(percent) => format!("{percent}%"),
            None => "no run".to_owned(),
        };
        let is_below = least.is_some_and(|least| project.is_below(least));
        let share = match (least, is_below) {
            (Some(least), true) => styled(RED, &format!("{share}, below {least}%")),
            (Some(_), false) => styled(GREEN, &share),
            (None, _) => share,
        };
        let runs = count(project.runs, "run");
        let (task, covered) = (clean(project.task_id.as_str()), project.covered);
        add(
            &mut text,
            format_args!("{task}  {share}  ({covered} of {runs} in {days}d)"),
        );
        durations(&mut text, project);
        text.push('\n');
        let width = project.guardrails.iter().map(|it| columns(&clean(&it.id)));
        let width = width.max().unwrap_or_default();
        for guardrail in &project.guardrails {
            row(&mut text, guardrail, width, window);
        }
        if project.unreadable > 0 {
            let runs = styled(YELLOW, &count(project.unreadable, "run"));
            add(&mut text, format_args!("  {runs} cannot be read\n"));
        }
    }
    if told.projects.is_empty() {
        text.push_str("no project\n");
    }
    text
}

fn durations(text: &mut String, project: &ProjectCoverage) {
    let (Some(half), Some(most)) = (project.p50_ms, project.p95_ms) else {
        return;
    };
    let span = |ms: u64| took(Duration::from_millis(ms));
    add(text, format_args!("  p50 {}  ", span(half)));
    let said = format!("p95 {}", span(most));
    match project.sla_ms {
        Some(sla) if most > sla => {
            let said = styled(RED, &format!("{said}, sla {} missed", span(sla)));
            text.push_str(&said);
        }
        Some(sla) => add(text, format_args!("{said} (sla {})", span(sla))),
        None => text.push_str(&said),
    }
}

fn row(text: &mut String, guardrail: &GuardrailCoverage, width: usize, window: Window) {
    let style = match guardrail.state {
        State::Green => GREEN,
        State::Failing | State::Missing | State::Disabled => RED,
        State::PassedWithFindings | State::NeverRun => YELLOW,
    };
    let state = styled(style, &pad(guardrail.state.as_str(), 20));
    let green = match &guardrail.last_green {
        Some(green) => {
            let age = ago(window.now.since(green.completed_at));
            format!("green {age}  {}", clean(&green.manifest))
        }
        None => "never green".to_owned(),
    };
    let (id, green) = (pad(&clean(&guardrail.id), width), styled(DIM, &green));
    add(text, format_args!("  {id}  {state}  {green}\n"));
}

/// Renders how pipelines differ.
#[must_use]
pub fn drift(told: &Drift, _look: &Look) -> String {
    let mut text = String::new();
    for project in &told.projects {
        let task = clean(project.task_id.as_str());
        for difference in &project.differences {
            line(&mut text, &task, difference);
        }
    }
    for warning in &told.warnings {
        let word = styled(YELLOW, "warning");
        add(&mut text, format_args!("{word}: {}\n", clean(warning)));
    }
    let findings = told.findings();
    let all = told.projects.iter().map(|it| it.differences.len());
    let waived = all.sum::<usize>().saturating_sub(findings);
    let waived = match waived {
        0 => String::new(),
        some => format!(", {some} waived"),
    };
    let said = match findings {
        0 => styled(GREEN, "no drift"),
        some => styled(RED, &count(some, "difference")),
    };
    let (projects, against) = (count(told.projects.len(), "project"), clean(&told.against));
    add(
        &mut text,
        format_args!("{said}{waived}: {projects} against {against}\n"),
    );
    text
}

fn line(text: &mut String, task: &str, difference: &Difference) {
    let (stage, detail) = (clean(difference.stage.as_str()), clean(&difference.detail));
    let kind = difference.kind.as_str();
    let (kind, waiver) = match &difference.waiver {
        Some(waiver) => (
            styled(DIM, kind),
            styled(DIM, &format!("  waived: {}", clean(waiver))),
        ),
        None => (styled(RED, kind), String::new()),
    };
    add(
        text,
        format_args!("{task}/{stage}: {kind}: {detail}{waiver}\n"),
    );
}

/// Renders what the spec guard has found, in the words of the family's own script, which other tools look for.
#[must_use]
pub fn guarded(guarded: &Guarded, dry_run: bool, _look: &Look) -> String {
    let mut text = String::new();
    let findings = &guarded.findings;
    if findings.is_empty() {
        return "✅ Spec guard: nothing to object\n".to_owned();
    }
    add(
        &mut text,
        format_args!("{FINDINGS_HEAD}: {} to mend\n", findings.len()),
    );
    for finding in findings {
        add(&mut text, format_args!(" - {}\n", clean(&finding.message)));
    }
    if dry_run {
        text.push_str("(dry run: reported only)\n");
    }
    text
}

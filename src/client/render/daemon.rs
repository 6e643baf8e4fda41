//! `orchctl doctor`, `ping`, `reload`, `shutdown`: about the daemon itself.
//!
//! Pure text from a report; every failed check has a line that says what to do.

use crate::client::output::Look;
use crate::client::render::mark;
use crate::client::render::status::{indented, short_path};
use crate::client::render::text::{add, clean, columns, count, pad, styled, took};
use crate::model::report::{DoctorAnswer, Health, PingAnswer, ReloadAnswer, ShutdownAnswer};
use std::time::Duration;

/// Renders the checks, each failure with what to do about it.
#[must_use]
pub fn doctor(answer: &DoctorAnswer, look: &Look) -> String {
    let width = answer
        .checks
        .iter()
        .map(|check| columns(&check.id))
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for check in &answer.checks {
        let state = mark::health(check.state).cell(6);
        let id = clean(&check.id);
        let used = if look.is_narrow() { 4 } else { width + 10 };
        let detail = indented(&check.detail, used, look);
        if look.is_narrow() {
            add(&mut text, format_args!("{state}  {id}\n{detail}"));
        } else {
            let (id, detail) = (pad(&id, width), detail.trim_start());
            add(&mut text, format_args!("{id}  {state}  {detail}"));
        }
        if let Some(fix) = &check.fix {
            text.push_str(&indented(&format!("fix: {fix}"), used, look));
        }
    }
    let number = |state| {
        answer
            .checks
            .iter()
            .filter(|check| check.state == state)
            .count()
    };
    let (failures, warnings) = (number(Health::Fail), number(Health::Warn));
    add(
        &mut text,
        format_args!(
            "{}, {}\n",
            count(failures, "failure"),
            count(warnings, "warning")
        ),
    );
    text
}

/// Renders who answered.
#[must_use]
pub fn ping(answer: &PingAnswer, _look: &Look) -> String {
    let up = took(Duration::from_millis(answer.uptime_ms));
    format!(
        "orchd {} answers, pid {}, up {up}\n",
        clean(&answer.version),
        answer.pid
    )
}

/// Renders which configurations are valid.
#[must_use]
pub fn reload(answer: &ReloadAnswer, look: &Look) -> String {
    let mut text = String::new();
    for workspace in &answer.workspaces {
        let health = if workspace.ok {
            Health::Ok
        } else {
            Health::Fail
        };
        let root = short_path(&clean(&workspace.root.to_string()), look, 8);
        add(
            &mut text,
            format_args!("{}  {root}\n", mark::health(health).cell(6)),
        );
        if let Some(detail) = &workspace.detail {
            text.push_str(&indented(detail, 8, look));
        }
    }
    if answer.workspaces.is_empty() {
        text.push_str("No directory is watched: nothing to read again.\n");
    }
    text
}

/// Renders who ends.
#[must_use]
pub fn shutdown(answer: &ShutdownAnswer, _look: &Look) -> String {
    let mut text = format!("orchd, pid {}, has ended", answer.pid);
    if !answer.runs.is_empty() {
        let runs = answer.runs.len();
        let were = if runs == 1 { "was" } else { "were" };
        add(
            &mut text,
            format_args!(", {} {were} cancelled", count(runs, "run")),
        );
    }
    text.push('\n');
    text
}

/// Renders an error: what, why, and what to do.
#[must_use]
pub fn error(message: &str, hint: Option<&str>, look: &Look) -> String {
    let head = styled(crate::client::render::text::RED, "error");
    let lines = indented(message, 2, look);
    let mut text = format!("{head}: {}", lines.trim_start());
    if let Some(hint) = hint {
        text.push_str(&indented(&format!("hint: {hint}"), 2, look));
    }
    text
}

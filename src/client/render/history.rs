//! `orchctl runs`, `show` and the result of `run`: what was executed, and what came of it.
//!
//! Pure text from a report; in a narrow terminal a row becomes a pair of lines.

use crate::client::output::Look;
use crate::client::render::flaky;
use crate::client::render::live::changed_paths;
use crate::client::render::mark::{self, Mark, short};
use crate::client::render::status::{failed, indented, short_path};
use crate::client::render::text::{BOLD, DIM, add, ago, clean, columns, pad, styled, took};
use crate::model::evidence::RunRecord;
use crate::model::report::runs::{ChangedPaths, RunAnswer, RunDetail, RunList, StageRecord};
use crate::model::run::{BY_HAND, Cause, Outcome, RunStatus, Verdict};
use std::time::Duration;

/// Columns of the longest verdict with its symbol.
const VERDICT_COLUMNS: usize = 10;
/// Columns of the longest status with its symbol.
const STATUS_COLUMNS: usize = 11;

/// Renders the history, newest first.
#[must_use]
pub fn runs(list: &RunList, look: &Look) -> String {
    if list.runs.is_empty() {
        return "No run yet. Start one with: orchctl run\n".to_owned();
    }
    let widest =
        |text: fn(&RunRecord) -> &str| list.runs.iter().map(|run| columns(text(&run.record))).max();
    let ids = widest(|run| shown_id(run)).unwrap_or(0);
    let tasks = widest(|run| run.task_id.as_str()).unwrap_or(0);
    let pipelines = widest(|run| run.pipeline_id.as_str()).unwrap_or(0);
    let mut text = String::new();
    for listed in &list.runs {
        let run = &listed.record;
        let root = listed.workspace.as_ref();
        let root = root.map(|root| clean(&root.to_string()));
        let verdict = mark::verdict(run.verdict).cell(VERDICT_COLUMNS);
        let task = clean(run.task_id.as_str());
        let span = run.duration_ms.map(|ms| took(Duration::from_millis(ms)));
        let span = span.unwrap_or_else(|| "-".to_owned());
        let age = ago(look.now.since(run.started_at));
        let cause = run.cause.map_or("-", cause_word);
        if look.is_narrow() {
            let id = shown_id(run);
            add(
                &mut text,
                format_args!("{verdict}  {id}\n  {task}, {cause}, {span}, {age}\n"),
            );
            if let Some(root) = root {
                add(
                    &mut text,
                    format_args!("  {}\n", short_path(&root, look, 2)),
                );
            }
        } else {
            let status = mark::run(run.status).cell(STATUS_COLUMNS);
            let line = format!(
                "{}  {verdict}  {status}  {}  {}  {}  {}  {age}",
                pad(shown_id(run), ids),
                pad(&task, tasks),
                pad(&clean(run.pipeline_id.as_str()), pipelines),
                pad(cause, 6),
                pad(&span, 6),
            );
            text.push_str(&line);
            if let Some(root) = root {
                // The verdict and the status are wider as text than on a screen.
                let used = ids
                    + tasks
                    + pipelines
                    + VERDICT_COLUMNS
                    + STATUS_COLUMNS
                    + 12
                    + 16
                    + columns(&age);
                add(
                    &mut text,
                    format_args!("  {}", short_path(&root, look, used)),
                );
            }
            text.push('\n');
        }
        text.push_str(&flaky::stages(listed, look));
    }
    text
}

fn shown_id(run: &RunRecord) -> &str {
    short(&run.run_id)
}

/// The word for a cause.
#[must_use]
pub fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Start => "start",
        Cause::Change => "change",
        Cause::Manual => "manual",
        Cause::Resume => "resume",
        Cause::Parent => "parent",
        Cause::Gate => "gate",
    }
}

/// Renders one run in full.
#[must_use]
pub fn show(run: &RunDetail, look: &Look) -> String {
    let record = &run.record;
    let mut text = format!("{}\n", styled(BOLD, record.run_id.as_str()));
    let verdict = mark::verdict(record.verdict).cell(0);
    let status = mark::run(record.status).cell(0);
    add(&mut text, format_args!("  {verdict}  {status}"));
    if let Some(detail) = &run.status_detail {
        add(&mut text, format_args!("  {}", clean(detail)));
    }
    text.push('\n');
    let mut rows = vec![
        ("task", clean(record.task_id.as_str())),
        ("pipeline", clean(record.pipeline_id.as_str())),
        ("cause", {
            let cause = record.cause.map_or("-", cause_word);
            match &run.judged {
                Some(judged) => format!("{cause} of {judged}"),
                None => cause.to_owned(),
            }
        }),
        (
            if record.status == RunStatus::Queued {
                "queued"
            } else {
                "started"
            },
            record.started_at.to_string(),
        ),
    ];
    if let Some(ms) = record.duration_ms {
        rows.push(("took", took(Duration::from_millis(ms))));
    }
    if let Some(parent) = &run.parent_run_id {
        rows.push(("parent", parent.to_string()));
    }
    if let Some(changed) = &run.changed {
        // The sidecar has no path where it knows none: such a run was not about changes.
        let all = matches!(record.cause, Some(Cause::Start | Cause::Resume));
        rows.push(("changed", changed_paths(&or_everything(changed, all))));
    }
    if let Some(void) = &run.void {
        let void = changed_paths(&or_everything(void, true));
        rows.push(("void", format!("{void} while it ran")));
    }
    if let Some(unproven) = run.unproven().filter(|_| run.void.is_none()) {
        rows.push(("unproven", mark::unproven(unproven).to_owned()));
    }
    rows.push((
        "workspace",
        short_path(&clean(&run.workspace.to_string()), look, 13),
    ));
    rows.push(("manifest", short_path(&clean(&record.manifest), look, 13)));
    rows.push(("log", short_path(&clean(&run.log_path), look, 13)));
    for (name, value) in rows {
        add(
            &mut text,
            format_args!("  {}  {value}\n", styled(DIM, &pad(name, 9))),
        );
    }
    let stages = run.stages.iter().enumerate();
    let names: Vec<String> = stages
        .map(|stage| clean(run.name_of(stage).as_str()))
        .collect();
    let widest = names.iter().map(|name| columns(name)).max().unwrap_or(0);
    for (stage, name) in run.stages.iter().zip(&names) {
        text.push_str(&stage_line(stage, &pad(name, widest), look));
    }
    if let Some(summary) = &run.summary {
        text.push_str(&indented(summary, 2, look));
    }
    text
}

/// What is told of changes; with `all`, none that is named means that everything may have changed.
fn or_everything(changed: &ChangedPaths, all: bool) -> ChangedPaths {
    let mut told = changed.clone();
    told.count = told.count.filter(|count| *count > 0 || !all);
    told
}

fn stage_line(stage: &StageRecord, name: &str, look: &Look) -> String {
    let mark = mark::stage(stage.status, stage.outcome);
    let symbol = styled(mark.style, &mark.symbol.to_string());
    let mut line = format!("  {symbol} {name}  {}", mark.word);
    let code = stage.exit_code.filter(|code| *code != 0);
    if let Some(code) = code.filter(|_| stage.outcome != Some(Outcome::Cancelled)) {
        add(&mut line, format_args!(", exit {code}"));
    }
    if let Some(ms) = stage.duration_ms {
        add(
            &mut line,
            format_args!("  {}", took(Duration::from_millis(ms))),
        );
    }
    if stage.attempts > 1 {
        add(&mut line, format_args!("  {} attempts", stage.attempts));
    } else if stage.outcome == Some(Outcome::Flaky) {
        line.push_str("  has failed before on the same content");
    }
    if let Some(from) = &stage.reused_from {
        add(&mut line, format_args!("  proven by {}", short(from)));
    }
    if let Some(child) = &stage.sub_run_id {
        add(&mut line, format_args!("  run {}", short(child)));
    }
    line.push('\n');
    // Of one that was taken over it says the same again.
    let summary = stage.summary.as_ref();
    if let Some(summary) = summary.filter(|_| stage.reused_from.is_none()) {
        line.push_str(&indented(summary, 4, look));
    }
    line
}

/// Says why a run ended as it did, where its verdict does not say it: what failed, what ended it, what changed meanwhile.
#[must_use]
pub fn reason(answer: &RunAnswer, look: &Look) -> String {
    let (failure, detail) = (answer.failure.as_ref(), answer.status_detail.as_deref());
    // What is ended takes its stages along: that they failed says nothing.
    if answer.status == RunStatus::Cancelled {
        let by_hand = |detail: &&str| *detail != BY_HAND;
        let why = detail.filter(by_hand);
        let text = why.map_or("cancelled".to_owned(), |why| format!("cancelled: {why}"));
        return indented(&text, 2, look);
    }
    let mut text = failure
        .map(|failure| failed(failure, 2, look))
        .unwrap_or_default();
    if let Some(unproven) = answer.unproven {
        let why = mark::unproven(unproven);
        let why = format!("{why}: it says nothing of what is there now");
        text.push_str(&indented(&why, 2, look));
    } else if answer.verdict == Verdict::Error && failure.is_none() {
        text.push_str(&indented(detail.unwrap_or_default(), 2, look));
    }
    text
}

/// Renders the result of `cancel`: that the run has ended so, and not that nothing is known of its content.
#[must_use]
pub fn cancelled(answer: &RunAnswer, look: &Look) -> String {
    titled(mark::run(answer.status), answer, look)
}

/// Renders the result of `run` or `resume`.
#[must_use]
pub fn result(answer: &RunAnswer, look: &Look) -> String {
    let head = if answer.status.is_terminal() {
        mark::verdict(answer.verdict)
    } else {
        mark::run(answer.status)
    };
    titled(head, answer, look)
}

fn titled(head: Mark, answer: &RunAnswer, look: &Look) -> String {
    let head = head.cell(0);
    let manifest = short_path(&clean(&answer.manifest), look, 2);
    let mut text = format!("{head}  {}\n", answer.run_id);
    if answer.green == Some(false) {
        text.push_str(&indented(mark::FLAKY_IS_RED, 2, look));
    }
    add(&mut text, format_args!("  {manifest}\n"));
    text
}

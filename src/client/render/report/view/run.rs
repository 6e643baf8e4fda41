//! A run of a report: its row, what there is to know of it, its stages, and what its failing ones said.
//!
//! As everywhere in the view, text from elsewhere is made visible here, and is escaped by the templates.

use super::{Fact, Icon, Named, Tone, anchor, moment, of_run, said, time, word};
use crate::client::render::history::cause_word;
use crate::client::render::mark::{self, short};
use crate::client::render::report::chart;
use crate::client::render::text::{clip, count, took, visible};
use crate::documents::reporting::{Changes, ReportedProject, ReportedRun, ReportedStage};
use crate::limits::documents::EXCERPT_CHARS_MAX;
use crate::model::id::RunId;
use std::time::Duration;

/// Hexadecimal digits of a digest that a row shows.
const DIGITS: usize = 12;

/// A run, as its row and the head of its details show it.
#[derive(Debug)]
pub(in super::super) struct RunView {
    pub(in super::super) id: String,
    pub(in super::super) short: String,
    pub(in super::super) mark: Icon,
    pub(in super::super) what: String,
    pub(in super::super) began: String,
    pub(in super::super) took: String,
    pub(in super::super) axis: String,
}

/// A stage in the lane of its run.
#[derive(Debug)]
pub(in super::super) struct StageView {
    pub(in super::super) anchor: String,
    pub(in super::super) id: String,
    pub(in super::super) mark: Icon,
    pub(in super::super) link: Option<Named>,
    pub(in super::super) note: String,
    pub(in super::super) took: String,
    pub(in super::super) input: String,
    pub(in super::super) bar: String,
}

/// What a failing stage said.
#[derive(Debug)]
pub(in super::super) struct ExcerptView {
    pub(in super::super) title: String,
    pub(in super::super) text: String,
    pub(in super::super) place: String,
    pub(in super::super) log: String,
}

impl RunView {
    pub(super) fn of(run: &ReportedRun) -> Self {
        let record = &run.record;
        Self {
            id: anchor(&record.run_id),
            short: word(short(&record.run_id)),
            mark: of_run(run),
            what: what(run),
            began: time(record.started_at),
            took: record.duration_ms.map(span).unwrap_or_default(),
            axis: span(run.span_ms()),
        }
    }
}

/// What there is to know of the run.
pub(in super::super) fn facts(run: &ReportedRun, project: &ReportedProject) -> Vec<Fact> {
    let record = &run.record;
    let mut facts = vec![
        Fact::code("Manifest", &record.manifest),
        Fact::code("Run again", &run.again),
    ];
    let ended = record.completed_at.map(|at| {
        let took = record.duration_ms.map(span).unwrap_or_default();
        format!("{} to {}, {took}", moment(record.started_at), moment(at))
    });
    facts.extend(ended.map(|text| Fact::new("Time", text)));
    let cause = record
        .cause
        .map_or("unknown: another tool made it", cause_word);
    let of = run.judged.as_ref().map(|of| format!(", of {}", said(of)));
    let changed = run.changed.as_ref().map(changed).unwrap_or_default();
    let cause = format!("{cause}{}{changed}", of.unwrap_or_default());
    facts.push(Fact::new("Cause", cause));
    if record.pipeline_id != project.pipeline_id {
        facts.push(Fact::new("Pipeline", word(record.pipeline_id.as_str())));
    }
    if let Some(parent) = &run.parent_run_id {
        facts.push(Fact::run("Part of", parent, project));
    }
    if let Some(digest) = run.input_digest {
        facts.push(Fact::code("Content", &format!("sha256:{digest}")));
    }
    if let Some(why) = why(run) {
        facts.push(Fact::new("Proves nothing", why));
    }
    if let Some(detail) = &run.status_detail {
        facts.push(Fact::code("Detail", detail));
    }
    let approvals = project.approvals.iter();
    let own = approvals.filter(|it| it.run_id == record.run_id);
    facts.extend(own.take(3).map(|it| {
        let (by, at) = (said(&it.actor), moment(it.timestamp));
        let reason = it.reason.as_deref().map(said).unwrap_or_default();
        Fact::new("Approved", format!("by {by}, {at}: {reason}"))
    }));
    if run.resumes > 0 {
        facts.push(Fact::new("Resumed", count(run.resumes, "time")));
    }
    facts
}

/// The stages of a run.
pub(in super::super) fn stages(run: &ReportedRun, project: &ReportedProject) -> Vec<StageView> {
    let whole = run.span_ms();
    let each = run.stages.iter();
    each.map(|stage| of_stage(stage, whole, project)).collect()
}

fn of_stage(stage: &ReportedStage, whole: u64, project: &ReportedProject) -> StageView {
    let mark = match &stage.reused_from {
        Some(_) => Icon {
            icon: "again",
            word: "reused",
            tone: Tone::Good,
        },
        None => mark::stage(stage.status, stage.outcome).into(),
    };
    let named = stage.reused_from.as_ref().or(stage.sub_run_id.as_ref());
    let shown = named.and_then(|run| project.run(run));
    let mut notes = Vec::new();
    notes.extend(
        stage
            .exit_code
            .filter(|code| *code != 0)
            .map(|code| format!("exit {code}")),
    );
    if stage.attempts > 1 {
        notes.push(count(stage.attempts as usize, "attempt"));
    }
    let elsewhere = named.filter(|_| shown.is_none());
    notes.extend(elsewhere.map(|run: &RunId| word(short(run))));
    let digest = stage.input_digest.map(|digest| digest.to_string());
    StageView {
        anchor: anchor(&stage.id),
        id: word(stage.id.as_str()),
        mark,
        link: shown.map(Named::of),
        note: notes.join(", "),
        took: stage.duration_ms.map(span).unwrap_or_default(),
        input: digest.map_or_else(String::new, |text| text.chars().take(DIGITS).collect()),
        bar: chart::bar(mark.tone, stage.begin_ms, stage.duration_ms, whole),
    }
}

/// What the failing stages of a run said.
pub(in super::super) fn excerpts(run: &ReportedRun) -> Vec<ExcerptView> {
    let each = run.excerpts.iter().map(|excerpt| {
        let lines = excerpt.lines.iter();
        let lines: Vec<String> = lines
            .map(|line| clip(&visible(line), EXCERPT_CHARS_MAX))
            .collect();
        let to = excerpt.from + lines.len().saturating_sub(1);
        let more = if excerpt.goes_on { "at least " } else { "" };
        ExcerptView {
            title: format!("What {} said", word(excerpt.stage.as_str())),
            text: lines.join("\n"),
            place: format!("Lines {} to {to} of {more}{} in", excerpt.from, excerpt.of),
            log: said(&excerpt.log),
        }
    });
    each.collect()
}

/// Why a run proves nothing, in words.
pub(in super::super) fn why(run: &ReportedRun) -> Option<String> {
    let why = mark::unproven(run.unproven?);
    let paths = run.void.as_ref().filter(|void| !void.paths.is_empty());
    Some(paths.map_or_else(|| why.to_owned(), |void| format!("{why}: {}", named(void))))
}

/// A run in a few words: why it began, and what it ran into.
fn what(run: &ReportedRun) -> String {
    let cause = run.record.cause.map_or("another tool", cause_word);
    let mut words = vec![cause.to_owned()];
    words.extend(run.judged.as_deref().map(said));
    if let Some(stage) = run.failed() {
        let mark = mark::stage(stage.status, stage.outcome);
        words.push(format!("{} {}", word(stage.id.as_str()), mark.word));
    } else if let Some(why) = run.unproven {
        words.push(mark::unproven(why).to_owned());
    }
    if run.parent_run_id.is_some() {
        words.push("part of another run".to_owned());
    }
    if run.approvals > 0 {
        words.push("approved".to_owned());
    }
    words.join(" · ")
}

fn changed(changes: &Changes) -> String {
    match changes.paths.is_empty() {
        true => String::new(),
        false => format!(": {}", named(changes)),
    }
}

fn named(changes: &Changes) -> String {
    let paths: Vec<String> = changes.paths.iter().map(|path| said(path)).collect();
    let more = changes.count.saturating_sub(paths.len());
    let paths = paths.join(", ");
    match more {
        0 => paths,
        more => format!("{paths} and {more} more"),
    }
}

fn span(ms: u64) -> String {
    took(Duration::from_millis(ms))
}

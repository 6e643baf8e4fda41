//! What the templates of a report show: words, marks and links, with all text from elsewhere made visible.
//!
//! Nothing here knows HTML but the times and charts, which are made of numbers. A mark is an icon, a word and a tone: the
//! tone only repeats what the other two say.

mod run;
mod section;

use crate::client::render::mark::{self, Mark, short};
use crate::client::render::report::chart;
use crate::client::render::text::{YELLOW, clip, count, visible};
use crate::documents::reporting::{Report, ReportedProject, ReportedRun};
use crate::limits::documents::{REPORT_TEXT_CHARS_MAX, REPORT_TREND_RUNS};
use crate::model::id::RunId;
use crate::model::run::{RunStatus, Verdict};
use crate::model::time::Timestamp;
use std::fmt;

pub(super) use run::{ExcerptView, RunView, StageView, excerpts, facts, stages, why};
pub(super) use section::{Section, Table, covered, drift_said};

/// Runs that cannot be read that a project names; the others are counted.
pub(super) const UNREADABLE_SHOWN: usize = 5;

/// How something is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Warn,
    Idle,
}

impl fmt::Display for Tone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Idle => "idle",
        })
    }
}

/// A state as the page shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Icon {
    pub(super) icon: &'static str,
    pub(super) word: &'static str,
    pub(super) tone: Tone,
}

/// A name and what there is to say of it.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// The anchor of the run that the value is, where the page has it.
    pub(super) link: Option<String>,
    pub(super) note: String,
    /// Whether it is something to copy.
    pub(super) code: bool,
}

/// A run that something names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) short: String,
    pub(super) ended: String,
}

/// A project in the overview.
#[derive(Debug)]
pub(super) struct ProjectView {
    pub(super) anchor: String,
    pub(super) task: String,
    pub(super) mark: Icon,
    pub(super) newest: Option<Named>,
    pub(super) trend: String,
    pub(super) covered: String,
    pub(super) drift_said: String,
    /// Its part of the page, once that is made.
    pub(super) section: String,
}

impl ProjectView {
    pub(super) fn of(report: &Report, project: &ReportedProject) -> Self {
        Self {
            anchor: anchor(&project.task_id),
            task: word(project.task_id.as_str()),
            mark: of_newest(project),
            newest: project.newest().map(Named::of),
            trend: trend(project),
            covered: covered(project),
            drift_said: drift_said(report, project),
            section: String::new(),
        }
    }
}

impl Named {
    fn of(run: &ReportedRun) -> Self {
        let record = &run.record;
        let ended = record.completed_at.unwrap_or(record.started_at);
        Self {
            id: anchor(&record.run_id),
            short: word(short(&record.run_id)),
            ended: time(ended),
        }
    }
}

impl Fact {
    pub(super) fn new(name: &'static str, value: String) -> Self {
        Self {
            name,
            value,
            link: None,
            note: String::new(),
            code: false,
        }
    }

    fn code(name: &'static str, value: &str) -> Self {
        Self {
            code: true,
            ..Self::new(name, said(value))
        }
    }

    fn note(self, note: String) -> Self {
        Self { note, ..self }
    }

    /// A run: a link where the page has it.
    fn run(name: &'static str, run: &RunId, project: &ReportedProject) -> Self {
        Self {
            link: link(run, project),
            ..Self::new(name, word(short(run)))
        }
    }
}

/// What the page begins with: how much it tells of, and of when.
pub(super) fn lead(report: &Report) -> String {
    let projects = count(report.projects.len(), "project");
    let runs = report.projects.iter().map(|it| it.tally.runs).sum();
    let runs = count(runs, "run");
    match report.as_of {
        Some(at) => format!(
            "{projects}, {runs}. The newest evidence is of {}.",
            moment(at)
        ),
        None => format!("{projects}, and no run that can be read."),
    }
}

pub(super) fn unreadable_said(unreadable: &[(String, String)]) -> String {
    format!("{} cannot be read:", count(unreadable.len(), "run"))
}

fn trend(project: &ReportedProject) -> String {
    let own = project
        .runs
        .iter()
        .filter(|run| run.parent_run_id.is_none() && run.record.pipeline_id == project.pipeline_id);
    let mut marks: Vec<Icon> = own.take(REPORT_TREND_RUNS).map(of_run).collect();
    marks.reverse();
    chart::trend(&marks, REPORT_TREND_RUNS)
}

/// How the newest run of a project is shown.
pub(super) fn of_newest(project: &ReportedProject) -> Icon {
    project.newest().map_or_else(
        || Icon {
            word: "no run",
            ..Icon::from(mark::verdict(Verdict::Unknown))
        },
        of_run,
    )
}

/// How a run is shown: by what it proves, and where it proves nothing by why.
pub(super) fn of_run(run: &ReportedRun) -> Icon {
    match (run.record.status, run.verdict) {
        (status @ (RunStatus::Queued | RunStatus::InProgress | RunStatus::Cancelled), _) => {
            mark::run(status).into()
        }
        (_, Verdict::Unknown) if run.void.is_some() => Icon {
            icon: "void",
            word: "void",
            tone: Tone::Warn,
        },
        (_, verdict) => mark::verdict(verdict).into(),
    }
}

impl From<Mark> for Icon {
    fn from(mark: Mark) -> Self {
        let (icon, tone) = match mark.symbol {
            '+' => ("yes", Tone::Good),
            'x' => ("no", Tone::Bad),
            '!' => ("bang", Tone::Bad),
            '~' => ("wave", Tone::Warn),
            '?' => ("what", Tone::Warn),
            '-' if mark.style == YELLOW => ("dash", Tone::Warn),
            '-' => ("dash", Tone::Idle),
            _ => ("go", Tone::Idle),
        };
        let word = mark.word;
        Self { icon, word, tone }
    }
}

/// The anchor of a run, if the page has it.
pub(super) fn link(run: &RunId, project: &ReportedProject) -> Option<String> {
    project.run(run).map(|_| anchor(run))
}

/// What stands for an id in anchors and in links to them: the id, but for what an anchor may not hold.
pub(super) fn anchor(id: impl fmt::Display) -> String {
    let mut text = String::new();
    for c in id.to_string().chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            text.push(c);
        } else {
            text.extend(c.escape_unicode().filter(|c| c.is_ascii_alphanumeric()));
        }
    }
    text
}

/// An id from elsewhere.
pub(super) fn word(text: &str) -> String {
    visible(text)
}

/// Any other text from elsewhere: one line, not too long.
pub(super) fn said(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    clip(&visible(&line), REPORT_TEXT_CHARS_MAX)
}

/// A moment as HTML, to the second.
pub(super) fn time(at: Timestamp) -> String {
    format!("<time>{}</time>", moment(at))
}

/// A moment in words, to the second.
pub(super) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, clock) = text.split_once('T').unwrap_or((&text, ""));
    let clock = clock.split('.').next().unwrap_or(clock);
    format!("{day} {clock}Z")
}

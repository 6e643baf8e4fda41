//! A project of a report: facts in a few words, and tables of guardrails, differences, flaky stages and approvals.
//!
//! A table that would be empty is left out.

use super::{Fact, Icon, RunView, Tone, anchor, link, moment, of_newest, said, word};
use crate::client::render::mark::short;
use crate::client::render::text::{count, took};
use crate::documents::coverage::State;
use crate::documents::reporting::{Report, ReportedProject, Tally};
use crate::model::id::RunId;
use crate::model::time::Day;
use std::time::Duration;

/// Approvals, and findings about evidence, that a project shows; the others are counted.
const SHOWN: usize = 20;

/// A project's part of the page.
#[derive(Debug)]
pub(in super::super) struct Section {
    pub(in super::super) anchor: String,
    pub(in super::super) task: String,
    pub(in super::super) mark: Icon,
    pub(in super::super) place: String,
    pub(in super::super) facts: Vec<Fact>,
    pub(in super::super) tables: Vec<Table>,
    pub(in super::super) runs: Vec<RunView>,
    pub(in super::super) unreadable: Vec<(String, String)>,
}

/// A table whose rows have a name and a state.
#[derive(Debug)]
pub(in super::super) struct Table {
    pub(in super::super) id: &'static str,
    pub(in super::super) title: &'static str,
    pub(in super::super) note: String,
    pub(in super::super) heads: &'static [&'static str],
    pub(in super::super) rows: Vec<Row>,
}

/// A row of one.
#[derive(Debug)]
pub(in super::super) struct Row {
    pub(in super::super) name: String,
    pub(in super::super) mark: Icon,
    pub(in super::super) cells: Vec<Cell>,
}

/// What stands in a row.
#[derive(Debug, Default)]
pub(in super::super) struct Cell {
    pub(in super::super) text: String,
    pub(in super::super) link: Option<String>,
}

impl Section {
    pub(in super::super) fn of(report: &Report, project: &ReportedProject) -> Self {
        let (pipeline, path) = (project.pipeline_id.as_str(), project.path.as_str());
        let path = if path.is_empty() { "." } else { path };
        let unreadable = project.unreadable.iter();
        let tables = [
            guardrails(report, project),
            drift(report, project),
            flaky(project),
            approvals(report, project),
            integrity(project),
        ];
        Self {
            anchor: anchor(&project.task_id),
            task: word(project.task_id.as_str()),
            mark: of_newest(project),
            place: format!("{} in {}", word(pipeline), said(path)),
            facts: facts(report, project),
            tables: tables.into_iter().flatten().collect(),
            runs: project.runs.iter().map(RunView::of).collect(),
            unreadable: unreadable
                .map(|it| (said(&it.manifest), said(&it.reason)))
                .collect(),
        }
    }
}

/// The share of runs in which all guardrails succeeded.
pub(in super::super) fn covered(project: &ReportedProject) -> String {
    let percent = project.coverage.percent;
    percent.map_or_else(|| "no run".to_owned(), |percent| format!("{percent}%"))
}

/// How many differences there are.
pub(in super::super) fn drift_said(report: &Report, project: &ReportedProject) -> String {
    match (project.drifts(), &report.against) {
        (Some(0), _) => "none".to_owned(),
        (Some(some), _) => some.to_string(),
        (None, _) => "no template".to_owned(),
    }
}

fn facts(report: &Report, project: &ReportedProject) -> Vec<Fact> {
    let newest = match project.newest() {
        Some(run) => {
            let content = run.input_digest.map(|digest| digest.to_string());
            let content = content.map(|text| text.chars().take(12).collect::<String>());
            let content = content.map_or_else(
                || "of content that it does not name".to_owned(),
                |digits| format!("of content {digits}"),
            );
            Fact::run("Newest run", &run.record.run_id, project).note(content)
        }
        None => Fact::new("Newest run", "none".to_owned()),
    };
    let green = match &project.last_green {
        Some(run) => {
            let ended = project.run(run).and_then(|run| run.record.completed_at);
            Fact::run("Last green", run, project).note(ended.map(moment).unwrap_or_default())
        }
        None => Fact::new("Last green", "none that is kept".to_owned()),
    };
    let told = &project.coverage;
    let (runs, days) = (count(told.runs, "run"), report.window_days);
    let covered = Fact::new("Covered", covered(project)).note(format!(
        "{} of {runs} in the last {days} days",
        told.covered
    ));
    let kept = Fact::new("Runs kept", project.tally.runs.to_string()).note(ended(project.tally));
    let mut facts = vec![newest, green, covered, duration(project), kept];
    if let Some(against) = &report.against {
        let said = match project.drifts() {
            None | Some(0) => "none".to_owned(),
            Some(some) => count(some, "difference"),
        };
        facts.push(Fact::new("Drift", said).note(format!("against {}", word(against))));
    }
    facts.extend(intact(project));
    facts
}

fn intact(project: &ReportedProject) -> Option<Fact> {
    let told = project.integrity.as_ref()?;
    let said = match told.findings.len() {
        0 if told.runs == 0 => "no run".to_owned(),
        0 if told.head.is_none() => "no chain".to_owned(),
        0 => "as recorded".to_owned(),
        some => count(some, "finding"),
    };
    let head = told.head.as_ref().map(|head| {
        let digits: String = head.sha256.chars().take(12).collect();
        format!("link {} of the chain, {digits}", head.number)
    });
    Some(Fact::new("Evidence", said).note(head.unwrap_or_default()))
}

fn duration(project: &ReportedProject) -> Fact {
    let span = |ms: u64| took(Duration::from_millis(ms));
    let told = &project.coverage;
    let (Some(half), Some(most)) = (told.p50_ms, told.p95_ms) else {
        return Fact::new("Median", "no run".to_owned());
    };
    let sla = match told.sla_ms {
        Some(sla) if most > sla => format!(", sla {} missed", span(sla)),
        Some(sla) => format!(", sla {} met", span(sla)),
        None => String::new(),
    };
    Fact::new("Median", span(half)).note(format!("p95 {}{sla}", span(most)))
}

fn ended(tally: Tally) -> String {
    let parts = [
        (tally.passed, "passed"),
        (tally.flaky, "flaky"),
        (tally.failed, "failed"),
        (tally.void, "void"),
        (tally.cancelled, "cancelled"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    parts.join(", ")
}

fn table(
    id: &'static str,
    title: &'static str,
    heads: &'static [&'static str],
    rows: Vec<Row>,
) -> Option<Table> {
    let note = String::new();
    (!rows.is_empty()).then_some(Table {
        id,
        title,
        note,
        heads,
        rows,
    })
}

fn guardrails(report: &Report, project: &ReportedProject) -> Option<Table> {
    let rows = project.coverage.guardrails.iter().map(|it| {
        let green = it.last_green.as_ref();
        let run = green.map(|green| run_cell(&green.run_id, project));
        Row {
            name: word(&it.id),
            mark: of_state(it.state),
            cells: vec![
                run.unwrap_or_else(|| text("never".to_owned())),
                text(green.map(|it| moment(it.completed_at)).unwrap_or_default()),
            ],
        }
    });
    let heads = &["Guardrail", "State", "Last green", "Ended"];
    let table = table("guardrails", "Guardrails", heads, rows.collect())?;
    let told = &project.coverage;
    let runs = count(told.runs, "run");
    let (all, days) = (told.covered, report.window_days);
    Some(Table {
        note: format!("all succeeded in {all} of {runs} in the last {days} days"),
        ..table
    })
}

fn of_state(state: State) -> Icon {
    let (icon, tone) = match state {
        State::Green => ("yes", Tone::Good),
        State::Failing | State::Missing => ("no", Tone::Bad),
        State::Disabled => ("dash", Tone::Bad),
        State::PassedWithFindings => ("bang", Tone::Warn),
        State::NeverRun => ("what", Tone::Warn),
    };
    let word = match state {
        State::PassedWithFindings => "passed with findings",
        State::NeverRun => "never run",
        State::Green | State::Failing | State::Missing | State::Disabled => state.as_str(),
    };
    Icon { icon, word, tone }
}

fn drift(report: &Report, project: &ReportedProject) -> Option<Table> {
    let rows = project
        .drift
        .iter()
        .flat_map(|it| &it.differences)
        .map(|it| {
            let kind = it.kind.as_str();
            let (icon, tone) = if it.waived {
                ("dash", Tone::Idle)
            } else {
                ("bang", Tone::Bad)
            };
            let waiver = it.waiver.as_deref().map(said).unwrap_or_default();
            Row {
                name: word(it.stage.as_str()),
                mark: Icon {
                    icon,
                    word: kind,
                    tone,
                },
                cells: vec![text(said(&it.detail)), text(waiver)],
            }
        });
    let heads = &["Stage", "Difference", "What", "Waived"];
    let table = table("drift", "Drift", heads, rows.collect())?;
    let against = report.against.as_deref().map(word).unwrap_or_default();
    Some(Table {
        note: format!("against {against}"),
        ..table
    })
}

fn flaky(project: &ReportedProject) -> Option<Table> {
    let rows = project.flaky.iter().map(|it| {
        let cell = |run: &Option<RunId>| {
            let cell = run.as_ref().map(|run| run_cell(run, project));
            cell.unwrap_or_else(|| text("not kept".to_owned()))
        };
        Row {
            name: word(it.stage.as_str()),
            mark: Icon {
                icon: "wave",
                word: "flaky",
                tone: Tone::Warn,
            },
            cells: vec![
                text(format!("{} failed, {} passed", it.failed, it.passed)),
                cell(&it.failed_in),
                cell(&it.passed_in),
            ],
        }
    });
    let heads = &[
        "Stage",
        "State",
        "On the same content",
        "Last failed",
        "Last passed",
    ];
    table("flaky", "Flaky stages", heads, rows.collect())
}

fn approvals(report: &Report, project: &ReportedProject) -> Option<Table> {
    let shown = project.approvals.iter().take(SHOWN);
    let rows = shown.map(|it| {
        let is_over = report.as_of.is_some_and(|at| it.is_over(Day::of(at)));
        let (icon, word, tone) = match it.input_digest {
            None => ("what", "for no content", Tone::Warn),
            Some(_) if is_over => ("dash", "over", Tone::Warn),
            Some(_) => ("yes", "approved", Tone::Good),
        };
        let scope = it.scope.as_ref().map(|stages| {
            let stages: Vec<String> = stages.iter().map(|it| said(it.as_str())).collect();
            said(&stages.join(", "))
        });
        Row {
            name: said(&it.actor),
            mark: Icon { icon, word, tone },
            cells: vec![
                run_cell(&it.run_id, project),
                text(scope.unwrap_or_else(|| "whole run".to_owned())),
                text(moment(it.timestamp)),
                text(
                    it.until
                        .map_or_else(|| "for good".to_owned(), |day| day.to_string()),
                ),
                text(it.reason.as_deref().map(said).unwrap_or_default()),
            ],
        }
    });
    let heads = &["By", "State", "Run", "For", "Given", "Until", "Reason"];
    let table = table("approvals", "Approvals", heads, rows.collect())?;
    let more = project.approvals.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("{more} older ones are left out"));
    Some(Table {
        note: more.unwrap_or_default(),
        ..table
    })
}

fn integrity(project: &ReportedProject) -> Option<Table> {
    let findings = project.integrity.iter().flat_map(|it| &it.findings);
    let rows = findings.clone().take(SHOWN).map(|it| {
        let run = it.run_id.as_ref().map(|run| run_cell(run, project));
        Row {
            name: said(&it.path),
            mark: Icon {
                icon: "bang",
                word: it.kind,
                tone: Tone::Bad,
            },
            cells: vec![run.unwrap_or_default(), text(said(&it.message))],
        }
    });
    let heads = &["File", "State", "Run", "What"];
    let table = table(
        "integrity",
        "Evidence that is not as recorded",
        heads,
        rows.collect(),
    )?;
    let more = findings.count().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("{more} more: `orchctl evidence verify`"));
    Some(Table {
        note: more.unwrap_or_default(),
        ..table
    })
}

fn text(text: String) -> Cell {
    Cell { text, link: None }
}

fn run_cell(run: &RunId, project: &ReportedProject) -> Cell {
    Cell {
        text: word(short(run)),
        link: link(run, project),
    }
}

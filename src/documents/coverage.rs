//! Whether the guardrails of each project run and succeed: how each stands, and in how many runs of a window all did.
//!
//! A run is one run however often it was resumed, and counts by its last state. Left out are the runs that are part of
//! another, those that content changed under (they prove nothing, and another follows), and those that made way for newer
//! content. What is judged gets records; only the log of a spec guard is read on top, for what it printed.

use crate::documents::guardrails::{self, Guardrail, Presence, Printed, Went};
use crate::documents::records::{self, Record};
use crate::documents::shelf::{Shelf, ShelfError};
use crate::limits::documents::GUARD_LOG_BYTES_MAX;
use crate::model::config::{Config, Project};
use crate::model::evidence::{Command, Layout, RunRecord};
use crate::model::id::{RunId, TaskId};
use crate::model::log::{LogEvent, Stream, decode};
use crate::model::run::{RunStatus, SUPERSEDED, Verdict};
use crate::model::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::time::Duration;

/// How a spec guard's findings begin, in the family's own words.
pub const FINDINGS_HEAD: &str = "❌ Spec guard";

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How far back.
    pub length: Duration,
    /// From when.
    pub now: Timestamp,
}

/// What coverage says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// The window, in days; a fraction where it is no whole number of them.
    pub window_days: serde_json::Number,
    /// Each project, as declared.
    pub projects: Vec<ProjectCoverage>,
}

/// How the guardrails of a project stand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProjectCoverage {
    /// The project.
    pub task_id: TaskId,
    /// How many runs ended in the window and count.
    pub runs: usize,
    /// In how many of them every required guardrail succeeded.
    pub covered: usize,
    /// The share of them in percent, cut to a tenth; nothing where there are none.
    pub percent: Option<f64>,
    /// What half of the runs in the window took at most, from made to ended.
    pub p50_ms: Option<u64>,
    /// What 95 of 100 took at most.
    pub p95_ms: Option<u64>,
    /// What a run may take.
    pub sla_ms: Option<u64>,
    /// Runs that cannot be read, so that nobody knows whether they count.
    pub unreadable: usize,
    /// Each guardrail.
    pub guardrails: Vec<GuardrailCoverage>,
}

/// How a guardrail stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuardrailCoverage {
    /// Its name.
    pub id: String,
    /// How it stands now.
    pub state: State,
    /// The newest run in which it succeeded, of all that are kept; nothing where it never did.
    pub last_green: Option<LastGreen>,
}

/// Where a guardrail was green.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastGreen {
    /// The run.
    pub run_id: RunId,
    /// When it ended.
    pub completed_at: Timestamp,
    /// Its manifest, relative to the workspace.
    pub manifest: String,
}

/// How a guardrail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It succeeded when it last ran.
    Green,
    /// It did not.
    Failing,
    /// The project's pipeline does not have it.
    Missing,
    /// The pipeline has it, and whatever it says decides nothing.
    Disabled,
    /// It exited 0 when it last ran, and printed findings.
    PassedWithFindings,
    /// The pipeline has it, and no run that is kept has.
    NeverRun,
}

impl State {
    /// The state as `--json` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Failing => "failing",
            Self::Missing => "missing",
            Self::Disabled => "disabled",
            Self::PassedWithFindings => "passed-with-findings",
            Self::NeverRun => "never-run",
        }
    }
}

impl ProjectCoverage {
    /// The coverage of a project without a run or a guardrail.
    #[must_use]
    pub fn nothing(project: &Project) -> Self {
        Self {
            task_id: project.task.clone(),
            runs: 0,
            covered: 0,
            percent: None,
            p50_ms: None,
            p95_ms: None,
            sla_ms: project.sla.map(whole_ms),
            unreadable: 0,
            guardrails: Vec::new(),
        }
    }

    /// Whether fewer than `least` of a hundred runs are covered. Where none ended in the window nothing has shown that
    /// anything is.
    #[must_use]
    pub fn is_below(&self, least: u8) -> bool {
        let least = usize::from(least);
        let enough = self.covered.saturating_mul(100) >= least.saturating_mul(self.runs);
        !(enough && (self.runs > 0 || least == 0))
    }
}

/// The coverage of all projects of a workspace, or of one.
///
/// # Errors
/// When a directory of runs cannot be read.
pub fn read(shelf: &Shelf, task: Option<&TaskId>, window: Window) -> Result<Coverage, ShelfError> {
    let mut projects = Vec::new();
    let meant = shelf.config().projects.iter();
    for project in meant.filter(|project| task.is_none_or(|task| *task == project.task)) {
        let records = records::of_task(shelf, &project.task)?;
        projects.push(of_records(shelf, project, &records, window));
    }
    Ok(Coverage {
        window_days: days(window.length),
        projects,
    })
}

/// The coverage of one project by records that were read, newest first.
#[must_use]
pub fn of_records(
    shelf: &Shelf,
    project: &Project,
    records: &[Record],
    window: Window,
) -> ProjectCoverage {
    let mut printed = |record: &Record, stage: &Command| printed_findings(shelf, record, stage);
    let declared = (shelf.config(), shelf.layout());
    of_project(declared, project, records, window, &mut printed)
}

fn days(length: Duration) -> serde_json::Number {
    const DAY: u64 = 86_400;
    let whole = length.as_secs() / DAY;
    if length == Duration::from_secs(whole.saturating_mul(DAY)) {
        return whole.into();
    }
    let days = length.as_secs_f64() / Duration::from_secs(DAY).as_secs_f64();
    serde_json::Number::from_f64(days).unwrap_or_else(|| whole.into())
}

/// The coverage of one project by its records, newest first; `printed` tells what a spec guard has printed.
pub fn of_project(
    (config, layout): (&Config, &Layout),
    project: &Project,
    records: &[Record],
    window: Window,
    printed: &mut Printed<'_>,
) -> ProjectCoverage {
    let runs = records::by_id(records);
    let all = guardrails::of_project(project);
    let presence = |guardrail: &Guardrail| guardrail.presence(config, &project.pipeline);
    // What nobody declared is required as far as the project has it.
    let required: Vec<&Guardrail> = all
        .iter()
        .filter(|it| it.declared || presence(it) != Presence::Missing)
        .collect();
    let counted: Vec<(&Record, RunRecord)> = records
        .iter()
        .filter_map(|record| Some((record, record.row(layout)?)))
        .filter(|(record, row)| counts(record, row))
        .collect();
    let mut told = ProjectCoverage::nothing(project);
    told.unreadable = records.len() - records.iter().filter(|it| it.manifest.is_ok()).count();
    let mut durations = Vec::new();
    for (record, row) in counted.iter().filter(|(_, row)| window.holds(row)) {
        told.runs += 1;
        if row.status != RunStatus::Cancelled {
            durations.extend(row.duration_ms);
        }
        let mut succeeded = |it: &&Guardrail| it.went(record, &runs, printed) == Some(Went::Green);
        let all = !required.is_empty() && required.iter().all(&mut succeeded);
        // What keeps rewriting its inputs is red, though each stage exits 0.
        told.covered += usize::from(all && row.verdict != Verdict::Unstable);
    }
    durations.sort_unstable();
    (told.p50_ms, told.p95_ms) = (share(&durations, 50), share(&durations, 95));
    told.percent = percent(told.covered, told.runs);
    told.guardrails = all
        .iter()
        .map(|guardrail| stands(guardrail, presence(guardrail), &counted, &runs, printed))
        .collect();
    told
}

impl Window {
    fn holds(self, row: &RunRecord) -> bool {
        row.completed_at
            .is_some_and(|ended| self.now.since(ended) <= self.length)
    }
}

/// Whether a run has an end that says something about the project's guardrails.
pub(super) fn counts(record: &Record, row: &RunRecord) -> bool {
    let Some(manifest) = record.manifest() else {
        return false;
    };
    let is_part = manifest.parent_run_id.is_some();
    let detail = manifest.status_detail.as_deref();
    let made_way = row.status == RunStatus::Cancelled && detail == Some(SUPERSEDED);
    let is_void = record.sidecar().is_some_and(|it| it.void.is_some());
    let proves_nothing = is_void && row.verdict != Verdict::Unstable;
    row.status.is_terminal() && !is_part && !made_way && !proves_nothing
}

/// How a guardrail stands, by the newest run in which it has ended.
fn stands(
    guardrail: &Guardrail,
    presence: Presence,
    counted: &[(&Record, RunRecord)],
    runs: &BTreeMap<&RunId, &Record>,
    printed: &mut Printed<'_>,
) -> GuardrailCoverage {
    let (mut newest, mut last_green) = (None, None);
    for (record, row) in counted {
        let went = guardrail.went(record, runs, printed);
        let Some(went) = went.filter(|went| !matches!(went, Went::Unended | Went::Untold)) else {
            continue;
        };
        newest = newest.or(Some(went));
        if let (Went::Green, Some(completed_at)) = (went, row.completed_at) {
            last_green = Some(LastGreen {
                run_id: row.run_id.clone(),
                completed_at,
                manifest: record.path.clone(),
            });
            break;
        }
    }
    let state = match (presence, newest) {
        (Presence::Missing, _) => State::Missing,
        (Presence::Disabled, _) => State::Disabled,
        (Presence::Present, None) => State::NeverRun,
        (Presence::Present, Some(Went::Green)) => State::Green,
        (Presence::Present, Some(Went::Findings)) => State::PassedWithFindings,
        (Presence::Present, Some(Went::Failed | Went::Skipped | Went::Unended | Went::Untold)) => {
            State::Failing
        }
    };
    GuardrailCoverage {
        id: guardrail.id.clone(),
        state,
        last_green,
    }
}

/// The nearest rank: what so many of a hundred are at most.
fn share(sorted: &[u64], hundredths: usize) -> Option<u64> {
    let rank = sorted.len().saturating_mul(hundredths).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share has four digits, and there are fewer runs than a float holds"
)]
fn percent(covered: usize, runs: usize) -> Option<f64> {
    // Cut and not rounded, so that 89.96 is never taken for 90.
    let tenths = covered.saturating_mul(1_000).checked_div(runs)?;
    Some(tenths as f64 / 10.0)
}

fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a spec guard has printed findings: by its summary, else by its log, the last attempt of it. Where its log cannot be
/// read any more, one that is no dry run would have failed, and of the others a summary that was not cut tells it all; nothing
/// where another run executed it, because then it says that.
fn printed_findings(shelf: &Shelf, record: &Record, stage: &Command) -> Option<bool> {
    let said = stage.summary.as_deref().unwrap_or_default();
    if said.contains(FINDINGS_HEAD) {
        return Some(true);
    }
    if let Some(printed) = logged_findings(shelf, stage) {
        return Some(printed);
    }
    let line = stage.command.as_deref().unwrap_or_default();
    let is_dry = line.contains("--dry-run");
    let sidecar = record.sidecar().into_iter();
    let mut stages = sidecar.flat_map(|sidecar| &sidecar.stages);
    let is_reused = stages.any(|it| it.id == stage.id && it.reused_from.is_some());
    let is_whole = !said.is_empty() && !said.ends_with('…') && !is_reused;
    (!is_dry || is_whole).then_some(false)
}

/// Whether a stage's log has findings of a spec guard; nothing where it cannot be read.
fn logged_findings(shelf: &Shelf, stage: &Command) -> Option<bool> {
    // Absolute where the runs lie outside of the workspace.
    let path = shelf.root().as_path().join(stage.log_path.as_deref()?);
    // A pipe under this name would hold us for ever.
    if !std::fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut log = BufReader::new(File::open(&path).ok()?.take(GUARD_LOG_BYTES_MAX));
    let (mut line, mut output) = (Vec::new(), Vec::new());
    while log.read_until(b'\n', &mut line).ok()? > 0 {
        let read = decode(&String::from_utf8_lossy(&line));
        match read.map(|read| read.event) {
            Ok(LogEvent::Start { .. }) => output.clear(),
            Ok(LogEvent::Output {
                stream: Stream::Stdout,
                bytes,
            }) => output.extend_from_slice(&bytes),
            Ok(
                LogEvent::Output { .. }
                | LogEvent::Truncated { .. }
                | LogEvent::End(_)
                | LogEvent::Other,
            )
            | Err(_) => {}
        }
        line.clear();
    }
    let output = String::from_utf8_lossy(&output);
    let mut lines = output.lines();
    Some(lines.any(|line| line.trim_start().starts_with(FINDINGS_HEAD)))
}

#[cfg(test)]
mod tests;

//! A report: how projects stand by the runs that are on disk, for readers who were not there.
//!
//! Made of records, coverage, drift and approvals, and of nothing else: no daemon is asked, and no clock is read. What it
//! calls the present is the newest moment that a manifest names, so that the same evidence makes the same report whenever
//! and wherever it is made. A verdict in it is of the content that a run had, which need not be what lies there now.

mod excerpt;
mod flakes;
mod integrity;
pub mod out;
mod runs;
#[cfg(test)]
pub(crate) mod tests;

use crate::documents::coverage::{self, ProjectCoverage, Window};
use crate::documents::drift::{Against, ProjectDrift, drift};
use crate::documents::records::{self, Record};
use crate::documents::shelf::{Shelf, ShelfError};
use crate::limits::documents::{REPORT_RUNS_LEAST, REPORT_RUNS_MAX, WINDOW_DEFAULT};
use crate::model::config::Project;
use crate::model::evidence::{Approval, approvals};
use crate::model::id::{PipelineId, RunId, TaskId};
use crate::model::run::{RunStatus, Verdict};
use crate::model::time::{Day, Timestamp};
use serde::Serialize;

pub use excerpt::Excerpt;
pub use flakes::FlakyStage;
pub use integrity::{ChainHead, Integrity, Mismatch};
pub use runs::{Changes, ReportedRun, ReportedStage};

/// How the projects of a workspace stand by what is on disk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The newest moment that a manifest names: what windows and days are counted from. Nothing where there is no run.
    pub as_of: Option<Timestamp>,
    /// The days before it that coverage counts.
    pub window_days: u64,
    /// What pipelines are held against; nothing where there is no template.
    pub against: Option<String>,
    /// Each project, as declared.
    pub projects: Vec<ReportedProject>,
}

/// How one project stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportedProject {
    /// The project.
    pub task_id: TaskId,
    /// Its directory, relative to the workspace.
    pub path: String,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Its newest run of that pipeline on what lay in the workspace, that is no part of another.
    pub newest: Option<RunId>,
    /// What that run proves of the content that it had; `unknown` where there is none.
    pub verdict: Verdict,
    /// The newest run of that pipeline that passed.
    pub last_green: Option<RunId>,
    /// How its runs ended, all that are kept.
    pub tally: Tally,
    /// How its guardrails stand.
    pub coverage: ProjectCoverage,
    /// How its pipeline differs; nothing where there is nothing to hold it against.
    pub drift: Option<ProjectDrift>,
    /// Its stages that have failed and passed on the same content.
    pub flaky: Vec<FlakyStage>,
    /// Whether its runs are as they were recorded; nothing where that cannot be said.
    pub integrity: Option<Integrity>,
    /// What was approved, the newest first.
    pub approvals: Vec<Approval>,
    /// Its newest runs, the newest first.
    pub runs: Vec<ReportedRun>,
    /// How many older ones are left out.
    pub left_out: usize,
    /// The runs that cannot be read.
    pub unreadable: Vec<UnreadableRun>,
}

/// How the runs of a project ended. Those that are part of another are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All of them.
    pub runs: usize,
    /// Those that passed.
    pub passed: usize,
    /// Those that passed where they had failed on the same content.
    pub flaky: usize,
    /// Those that failed, were unstable, or could not be judged.
    pub failed: usize,
    /// Those whose content changed while they ran.
    pub void: usize,
    /// Those that were ended from outside.
    pub cancelled: usize,
}

/// A run of which nothing is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadableRun {
    /// The run.
    pub run_id: RunId,
    /// Its manifest, relative to the workspace.
    pub manifest: String,
    /// Why it cannot be read.
    pub reason: String,
}

impl Report {
    /// The run of this id among those that are shown, and the project that it is of.
    #[must_use]
    pub fn find(&self, run: &RunId) -> Option<(&ReportedProject, &ReportedRun)> {
        let mut projects = self.projects.iter();
        projects.find_map(|project| Some((project, project.run(run)?)))
    }
}

impl ReportedProject {
    /// The run of this id, if it is among those that are shown.
    #[must_use]
    pub fn run(&self, run: &RunId) -> Option<&ReportedRun> {
        self.runs.iter().find(|it| it.record.run_id == *run)
    }

    /// Its newest run, with what is told of it.
    #[must_use]
    pub fn newest(&self) -> Option<&ReportedRun> {
        self.run(self.newest.as_ref()?)
    }

    /// How many differences nobody has accepted; nothing where there is nothing to hold it against.
    #[must_use]
    pub fn drifts(&self) -> Option<usize> {
        let differences = self.drift.iter().flat_map(|it| &it.differences);
        let open = differences.filter(|it| !it.waived).count();
        self.drift.is_some().then_some(open)
    }
}

/// The report on all projects of a workspace, or on one.
///
/// # Errors
/// When a directory of runs cannot be read.
pub fn read(shelf: &Shelf, task: Option<&TaskId>) -> Result<Report, ShelfError> {
    let meant = shelf.config().projects.iter();
    let meant = meant.filter(|project| task.is_none_or(|task| *task == project.task));
    let mut kept = Vec::new();
    for project in meant {
        kept.push((project, records::of_task(shelf, &project.task)?));
    }
    let all = kept.iter().flat_map(|(_, records)| records);
    let as_of = all.filter_map(newest_moment).max();
    let now = as_of.unwrap_or(Timestamp::from_unix_ms(0));
    let window = Window {
        length: WINDOW_DEFAULT,
        now,
    };
    let against = Against::find(shelf.config(), None).ok();
    let drifted = against.map(|it| drift(shelf.config(), &it, task, Day::of(now)));
    let shown = REPORT_RUNS_MAX.checked_div(kept.len()).unwrap_or_default();
    let shown = shown.max(REPORT_RUNS_LEAST);
    let projects = kept.iter().map(|(project, records)| {
        let drift = drifted.iter().flat_map(|it| &it.projects);
        let mut drift = drift.filter(|it| it.task_id == project.task);
        ReportedProject {
            coverage: coverage::of_records(shelf, project, records, window),
            drift: drift.next().cloned(),
            ..of_project(shelf, project, records, shown)
        }
    });
    Ok(Report {
        as_of,
        window_days: WINDOW_DEFAULT.as_secs() / 86_400,
        projects: projects.collect(),
        against: drifted.as_ref().map(|it| it.against.clone()),
    })
}

/// The newest moment that a run names, of those at which something happened to it.
fn newest_moment(record: &Record) -> Option<Timestamp> {
    let manifest = record.manifest()?;
    let approved = of_record(record).into_iter().map(|it| it.timestamp);
    let ended = manifest.completed_at.into_iter();
    ended.chain([manifest.started_at]).chain(approved).max()
}

/// What a project's records say, without its coverage and its drift, which are read elsewhere.
fn of_project(
    shelf: &Shelf,
    project: &Project,
    records: &[Record],
    shown: usize,
) -> ReportedProject {
    let mut told: Vec<(&Record, ReportedRun)> = records
        .iter()
        .filter_map(|record| Some((record, runs::of_record(record, shelf.layout())?)))
        .collect();
    told.sort_by(|(_, a), (_, b)| b.age().cmp(&a.age()));
    let is_own = |run: &&ReportedRun| {
        let is_whole = run.parent_run_id.is_none() && run.judged.is_none();
        is_whole && run.record.pipeline_id == project.pipeline
    };
    let own = || told.iter().map(|(_, run)| run).filter(is_own);
    let id = |run: &ReportedRun| run.record.run_id.clone();
    let newest = own().next();
    let verdict = newest.map_or(Verdict::Unknown, |run| run.verdict);
    let newest = newest.map(id);
    let last_green = own().find(|run| run.verdict == Verdict::Pass).map(id);
    let tally = tally(told.iter().map(|(_, run)| run));
    let all = told.len();
    // What the overview names is shown, however old it is.
    let mut place = 0;
    told.retain(|(_, run)| {
        place += 1;
        let run = Some(&run.record.run_id);
        place <= shown || run == newest.as_ref() || run == last_green.as_ref()
    });
    let runs = told.into_iter().map(|(record, run)| ReportedRun {
        excerpts: excerpt::of_run(shelf, record),
        ..run
    });
    let runs: Vec<ReportedRun> = runs.collect();
    ReportedProject {
        task_id: project.task.clone(),
        path: project.path.to_text(),
        pipeline_id: project.pipeline.clone(),
        newest,
        verdict,
        last_green,
        tally,
        coverage: ProjectCoverage::nothing(project),
        drift: None,
        flaky: flakes::of_records(records),
        integrity: integrity::of_task(shelf, &project.task),
        approvals: all_approvals(records),
        left_out: all - runs.len(),
        unreadable: unreadable(records),
        runs,
    }
}

fn tally<'r>(runs: impl Iterator<Item = &'r ReportedRun>) -> Tally {
    let mut tally = Tally::default();
    for run in runs.filter(|run| run.parent_run_id.is_none()) {
        tally.runs += 1;
        let count = match (run.record.status, run.verdict) {
            (RunStatus::Queued | RunStatus::InProgress, _) => continue,
            (RunStatus::Cancelled, _) => &mut tally.cancelled,
            _ if run.void.is_some() && run.verdict == Verdict::Unknown => &mut tally.void,
            (_, Verdict::Pass) => &mut tally.passed,
            (_, Verdict::Flaky) => &mut tally.flaky,
            (_, Verdict::Fail | Verdict::Unstable | Verdict::Error) => &mut tally.failed,
            // Another tool made or resumed it: its manifest is all that there is.
            (RunStatus::Succeeded, Verdict::Unknown) => &mut tally.passed,
            (RunStatus::Failed, Verdict::Unknown) => &mut tally.failed,
        };
        *count += 1;
    }
    tally
}

fn of_record(record: &Record) -> Vec<Approval> {
    let Some(manifest) = record.manifest() else {
        return Vec::new();
    };
    let recorded = record.sidecar().map(|it| it.approvals.as_slice());
    approvals(
        &record.run_id,
        &manifest.approvals,
        recorded.unwrap_or_default(),
    )
}

/// As `documents::approvals` has them, of records that are read already.
fn all_approvals(records: &[Record]) -> Vec<Approval> {
    let mut all: Vec<Approval> = records.iter().flat_map(of_record).collect();
    all.sort_by(|a, b| (b.timestamp, &b.run_id).cmp(&(a.timestamp, &a.run_id)));
    all
}

fn unreadable(records: &[Record]) -> Vec<UnreadableRun> {
    let damaged = records.iter().filter_map(|record| {
        let error = record.manifest.as_ref().err()?;
        Some(UnreadableRun {
            run_id: record.run_id.clone(),
            manifest: record.path.clone(),
            reason: error.to_string(),
        })
    });
    damaged.collect()
}

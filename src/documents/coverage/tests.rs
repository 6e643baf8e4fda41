//! Which runs count, how a guardrail stands by them, and that nothing is green which has not succeeded.
//!
//! Records are made here as the engine's reports make them; what a spec guard printed is said by the test.

use super::*;
use crate::model::evidence::tests::{at, report, stage};
use crate::model::evidence::{Manifest, Sidecar};
use crate::model::path::RelPath;
use crate::model::run::{Changed, RunReport, StageStatus, StageWork, Void};
use proptest::prelude::*;
use std::path::PathBuf;

const DAY_MS: i64 = 86_400_000;

/// A project whose pipeline has these stages, and the one `child` beside it.
fn config(project: &str, stages: &[(&str, &str)]) -> Config {
    let each = stages.iter();
    let stages = each.map(|(id, rest)| format!("[[pipeline.stage]]\nid = '{id}'\n{rest}\n"));
    let text = format!(
        "[[project]]\ntask = 't'\n{project}\n[[pipeline]]\nid = 'diagnostics'\n{}\
         [[pipeline]]\nid = 'child'\n[[pipeline.stage]]\nid = 'test'\ncommand = 'npm test'\n",
        stages.collect::<String>()
    );
    Config::of_toml(&text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Four plain guardrails.
fn usual() -> Config {
    let command = "command = 'x'";
    config(
        "",
        &["build", "lint", "test", "spec-guard"].map(|id| (id, command)),
    )
}

fn record(report: &RunReport) -> Record {
    let layout = Layout::default();
    let mut manifest = Manifest::new(report, "t", "token", &layout);
    manifest.note(
        report,
        &layout,
        report.completed_at.unwrap_or_else(|| at(0)),
    );
    Record {
        run_id: report.run.clone(),
        task_id: report.task.clone(),
        directory: PathBuf::new(),
        path: layout.manifest(&report.task, &report.run),
        manifest: Ok(manifest),
        sidecar: Ok(Sidecar::of(report)),
    }
}

/// Coverage of a week before `at(0)` plus a day, with no spec guard that printed anything.
fn judged(config: &Config, records: &[Record]) -> ProjectCoverage {
    told(config, records, &mut |_, _| Some(false))
}

fn told(config: &Config, records: &[Record], printed: &mut Printed<'_>) -> ProjectCoverage {
    let window = Window {
        length: Duration::from_secs(7 * 86_400),
        now: at(DAY_MS),
    };
    let project = &config.projects[0];
    of_project(
        (config, &Layout::default()),
        project,
        records,
        window,
        printed,
    )
}

fn states(coverage: &ProjectCoverage) -> Vec<(&str, &str)> {
    let all = coverage.guardrails.iter();
    all.map(|it| (it.id.as_str(), it.state.as_str())).collect()
}

/// The words of stages run as written.
fn running(mut report: RunReport, lines: &[(&str, &str)]) -> RunReport {
    for stage in &mut report.stages {
        if let Some((_, line)) = lines.iter().find(|(id, _)| stage.id.as_str() == *id) {
            let line = crate::model::config::CommandLine::Shell((*line).to_owned());
            stage.work = StageWork::Command(line);
        }
    }
    report
}

#[test]
fn the_share_is_of_the_runs_in_which_all_succeeded() {
    let runs = [
        record(&report("t", 3, RunStatus::Failed)),
        record(&report("t", 2, RunStatus::Succeeded)),
        record(&report("t", 1, RunStatus::Succeeded)),
    ];
    let coverage = judged(&usual(), &runs);
    assert_eq!(
        (coverage.runs, coverage.covered, coverage.percent),
        (3, 2, Some(66.6))
    );
    assert_eq!((coverage.p50_ms, coverage.p95_ms), (Some(148), Some(148)));
    assert_eq!(
        states(&coverage),
        [
            ("build", "green"),
            ("lint", "failing"),
            ("test", "green"),
            ("spec-guard", "green")
        ],
        "`test` and `spec-guard` did not end in the newest run"
    );
    let lint = coverage.guardrails[1].last_green.as_ref().unwrap();
    assert_eq!(
        (&lint.run_id, &lint.manifest),
        (&runs[1].run_id, &runs[1].path)
    );
    assert!(coverage.is_below(67) && !coverage.is_below(66));
}

#[test]
fn a_run_that_was_resumed_to_success_is_a_success() {
    let mut resumed = report("t", 1, RunStatus::Succeeded);
    resumed.cause = crate::model::run::Cause::Resume;
    let mut record = record(&resumed);
    // What it said before stands in `metrics.json`, and is not asked.
    record.manifest.as_mut().unwrap().metrics_recorded = true;
    let coverage = judged(&usual(), &[record]);
    assert_eq!((coverage.runs, coverage.covered), (1, 1));
}

#[test]
fn what_says_nothing_of_the_guardrails_does_not_count() {
    let mut void = report("t", 1, RunStatus::Succeeded);
    void.void = Some(Void {
        changed: Changed::Paths(vec![RelPath::parse("a").unwrap()]),
        rewritten: Vec::new(),
    });
    void.verdict = Verdict::Unknown;
    let mut child = report("t", 2, RunStatus::Succeeded);
    child.parent = Some(void.run.clone());
    let mut superseded = report("t", 3, RunStatus::Cancelled);
    superseded.status_detail = Some(SUPERSEDED.to_owned());
    let under_way = report("t", 4, RunStatus::InProgress);
    let records = [&under_way, &superseded, &child, &void].map(record);
    let coverage = judged(&usual(), &records);
    assert_eq!((coverage.runs, coverage.percent), (0, None));
    assert_eq!(states(&coverage)[0], ("build", "never-run"));
    assert!(coverage.is_below(1) && !coverage.is_below(0));
    // Whoever cancels a run leaves its guardrails without an answer, and that is told.
    let cancelled = record(&report("t", 5, RunStatus::Cancelled));
    let coverage = judged(&usual(), &[cancelled]);
    assert_eq!(
        (coverage.runs, coverage.covered, coverage.p50_ms),
        (1, 0, None)
    );
}

#[test]
fn what_keeps_rewriting_its_inputs_is_not_covered() {
    let mut unstable = report("t", 1, RunStatus::Succeeded);
    unstable.verdict = Verdict::Unstable;
    let coverage = judged(&usual(), &[record(&unstable)]);
    assert_eq!((coverage.runs, coverage.covered), (1, 0));
}

#[test]
fn the_window_is_counted_by_the_end_of_a_run() {
    let mut old = report("t", 1, RunStatus::Succeeded);
    let week = 7 * DAY_MS;
    old.completed_at = Some(at(DAY_MS - week));
    let mut older = report("t", 0, RunStatus::Succeeded);
    older.completed_at = Some(at(DAY_MS - week - 1));
    let coverage = judged(&usual(), &[record(&old), record(&older)]);
    assert_eq!(coverage.runs, 1);
    let coverage = judged(&usual(), &[record(&older)]);
    assert_eq!(coverage.runs, 0);
    assert_eq!(
        states(&coverage)[0],
        ("build", "green"),
        "green, if long ago"
    );
}

#[test]
fn a_spec_guard_that_printed_findings_is_not_green() {
    let runs = [
        record(&report("t", 2, RunStatus::Succeeded)),
        record(&report("t", 1, RunStatus::Succeeded)),
    ];
    let newest = runs[0].run_id.clone();
    let mut printed = |record: &Record, stage: &Command| {
        assert_eq!(stage.id.as_str(), "spec-guard");
        Some(record.run_id == newest)
    };
    let coverage = told(&usual(), &runs, &mut printed);
    assert_eq!((coverage.runs, coverage.covered), (2, 1));
    assert_eq!(states(&coverage)[3], ("spec-guard", "passed-with-findings"));
    let green = coverage.guardrails[3].last_green.as_ref().unwrap();
    assert_eq!(green.run_id, runs[1].run_id);
    // Whose log is gone is not known to be green, and the one before decides.
    let mut unread = |record: &Record, _: &Command| (record.run_id != newest).then_some(false);
    let coverage = told(&usual(), &runs, &mut unread);
    assert_eq!((coverage.covered, states(&coverage)[3].1), (1, "green"));
}

#[test]
fn a_guardrail_whose_word_decides_nothing_is_disabled() {
    let runs = [record(&running(
        report("t", 1, RunStatus::Succeeded),
        &[("lint", "npm run lint || true")],
    ))];
    let stages = [
        ("build", "command = 'x'\nallow_failure = true"),
        ("lint", "command = 'npm run lint || true'"),
        ("test", "pipeline = 'child'\noptional = true"),
    ];
    let coverage = judged(&config("", &stages), &runs);
    assert_eq!(
        states(&coverage),
        [
            ("build", "disabled"),
            ("lint", "disabled"),
            ("test", "disabled"),
            ("spec-guard", "missing")
        ]
    );
    assert_eq!(coverage.covered, 0, "`|| true` is no success");
    assert_eq!(coverage.guardrails[1].last_green, None);
}

#[test]
fn what_is_required_and_not_there_leaves_no_run_covered() {
    let command = "command = 'x'";
    let runs = [record(&report("t", 1, RunStatus::Succeeded))];
    let stages = [("build", command), ("lint", command)];
    let coverage = judged(&config("required = ['build', 'audit']", &stages), &runs);
    assert_eq!(
        states(&coverage),
        [("build", "green"), ("audit", "missing")]
    );
    assert_eq!((coverage.runs, coverage.covered), (1, 0));
    // Nobody has asked for what is missing here.
    let coverage = judged(&config("", &stages), &runs);
    assert_eq!(
        states(&coverage),
        [
            ("build", "green"),
            ("lint", "green"),
            ("test", "missing"),
            ("spec-guard", "missing")
        ]
    );
    assert_eq!(coverage.covered, 1);
    let coverage = judged(&config("", &[("all", command)]), &runs);
    assert_eq!(
        (coverage.runs, coverage.covered),
        (1, 0),
        "nothing is guarded"
    );
}

#[test]
fn a_guardrail_is_found_by_a_word_of_a_command_and_in_a_child_run() {
    let line = "test -e src && npm run build && ! test -e x; make -C . lint";
    let mut checks = report("t", 1, RunStatus::Succeeded);
    checks.stages = vec![stage("check", StageStatus::Succeeded)];
    let checks = running(checks, &[("check", line)]);
    let command = format!("command = '{line}'");
    let coverage = judged(&config("", &[("check", &command)]), &[record(&checks)]);
    assert_eq!(
        states(&coverage),
        [
            ("build", "green"),
            ("lint", "green"),
            ("test", "missing"),
            ("spec-guard", "missing")
        ]
    );
    let mut child = report("t", 2, RunStatus::Failed);
    child.stages = vec![stage("test", StageStatus::Failed)];
    let mut parent = report("t", 3, RunStatus::Failed);
    child.parent = Some(parent.run.clone());
    parent.stages = vec![stage("quality", StageStatus::Failed)];
    let mut parent = record(&parent);
    let entry = parent
        .manifest
        .as_mut()
        .unwrap()
        .commands
        .first_mut()
        .unwrap();
    entry.sub_run_id = Some(child.run.clone());
    let config = config("required = ['test']", &[("quality", "pipeline = 'child'")]);
    let coverage = judged(&config, &[parent, record(&child)]);
    assert_eq!(states(&coverage), [("test", "failing")]);
    assert_eq!(coverage.runs, 1);
}

#[test]
fn what_cannot_be_read_is_counted_and_hides_nothing() {
    let mut damaged = record(&report("t", 2, RunStatus::Succeeded));
    damaged.manifest = Err(records::Untold::Missing);
    let coverage = judged(
        &usual(),
        &[damaged, record(&report("t", 1, RunStatus::Succeeded))],
    );
    assert_eq!(
        (coverage.unreadable, coverage.runs, coverage.covered),
        (1, 1, 1)
    );
}

#[test]
fn days_are_whole_where_they_are() {
    let shown = |seconds| days(Duration::from_secs(seconds)).to_string();
    assert_eq!([7 * 86_400, 43_200, 0].map(shown), ["7", "0.5", "0"]);
}

fn ended() -> impl Strategy<Value = RunStatus> {
    prop::sample::select(vec![
        RunStatus::Succeeded,
        RunStatus::Failed,
        RunStatus::Cancelled,
    ])
}

proptest! {
    #[test]
    fn covered_is_what_succeeded_and_ranks_are_of_what_was_measured(ends in prop::collection::vec(ended(), 0..40)) {
        let mut salts = 0_u32..;
        let mut records: Vec<Record> = ends.iter().map(|end| record(&report("t", salts.next().unwrap(), *end))).collect();
        records.reverse();
        let coverage = judged(&usual(), &records);
        let green = ends.iter().filter(|end| **end == RunStatus::Succeeded).count();
        prop_assert_eq!((coverage.runs, coverage.covered), (ends.len(), green));
        prop_assert_eq!(coverage.percent.is_some(), !ends.is_empty());
        for least in 0..=100_u8 {
            let enough = green * 100 >= usize::from(least) * ends.len() && (!ends.is_empty() || least == 0);
            prop_assert_eq!(coverage.is_below(least), !enough);
        }
    }

    #[test]
    fn a_rank_is_one_of_the_values_and_as_many_are_not_above_it(mut values in prop::collection::vec(0_u64..1000, 1..60), hundredths in 1_usize..=100) {
        values.sort_unstable();
        let rank = share(&values, hundredths).unwrap();
        prop_assert!(values.contains(&rank));
        let below = values.iter().filter(|value| **value <= rank).count();
        prop_assert!(below * 100 >= hundredths * values.len());
    }
}

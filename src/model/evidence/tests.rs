//! What the formats say of runs that are made here, value by value.
//!
//! The published orchestrator's own reading of them is in `tests/interop/`.

use super::*;
use crate::model::config::CommandLine;
use crate::model::digest::{Digest, StageKey};
use crate::model::id::{StageId, WorkspaceId};
use crate::model::run::{
    Changed, ChildReport, Outcome, ResumeReport, RunReport, StageReport, StageStatus, StageWork,
    Void,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

mod released;

pub(crate) fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_795_342_190_592 + milliseconds)
}

pub(crate) fn stage(id: &str, status: StageStatus) -> StageReport {
    let (exit_code, outcome, summary) = match status {
        StageStatus::Pending => (None, Outcome::None, None),
        StageStatus::Running => (None, Outcome::None, None),
        StageStatus::Succeeded => (Some(0), Outcome::Passed, Some("built")),
        StageStatus::Failed => (Some(2), Outcome::Failed, Some("Exited with code 2 — oops")),
        StageStatus::Skipped => (Some(3), Outcome::Failed, Some("Exited with code 3")),
    };
    let begun = status != StageStatus::Pending;
    StageReport {
        excerpt: None,
        id: StageId::parse(id).unwrap(),
        title: id.to_uppercase(),
        work: StageWork::Command(CommandLine::Shell(format!("run {id}"))),
        status,
        started_at: begun.then(|| at(10)),
        completed_at: exit_code.map(|_| at(50)),
        exit_code,
        summary: summary.map(str::to_owned),
        outcome,
        content_key: Some(StageKey(Digest::of(id.as_bytes()))),
        key: Some(StageKey(Digest::of(id.as_bytes()))),
        input: Some(InputDigest(Digest::of(b"content"))),
        tools: None,
        outputs: None,
        proven: false,
        against_key: false,
        below: BTreeSet::new(),
        reused_from: None,
        reused_as: None,
        attempts: u32::from(begun),
        duration: Duration::from_millis(40),
        log_bytes: 6,
        truncated: false,
        stderr: "oops\n".to_owned(),
    }
}

/// A run of four stages, a spec guard among them, that stands at `status`.
pub(crate) fn report(task: &str, salt: u32, status: RunStatus) -> RunReport {
    let first = match status {
        RunStatus::Queued => StageStatus::Pending,
        RunStatus::InProgress | RunStatus::Cancelled => StageStatus::Running,
        RunStatus::Succeeded | RunStatus::Failed => StageStatus::Succeeded,
    };
    let second = match status {
        RunStatus::Succeeded => StageStatus::Succeeded,
        RunStatus::Failed => StageStatus::Failed,
        RunStatus::Queued | RunStatus::InProgress | RunStatus::Cancelled => StageStatus::Pending,
    };
    let rest = if status == RunStatus::Succeeded {
        second
    } else {
        StageStatus::Pending
    };
    let started_at = at(i64::from(salt) * 1000);
    RunReport {
        run: RunId::new(started_at, salt),
        workspace: WorkspaceId(1),
        task: TaskId::parse(task).unwrap(),
        project: RelPath::root(),
        parent: None,
        pipeline: PipelineId::parse("diagnostics").unwrap(),
        title: "Diagnostics".to_owned(),
        guardrails_required: None,
        cause: Cause::Change,
        changed: Changed::Paths(vec![RelPath::parse("src/a.rs").unwrap()]),
        unproven: Changed::Everything,
        approval_policy: None,
        status,
        status_detail: (status == RunStatus::Failed).then(|| "stage:lint:failed".to_owned()),
        started_at,
        completed_at: status
            .is_terminal()
            .then(|| at(i64::from(salt) * 1000 + 148)),
        stages: vec![
            stage("build", first),
            stage("lint", second),
            stage("test", rest),
            stage("spec-guard", rest),
        ],
        children: Vec::new(),
        resumes: Vec::new(),
        input: Some(InputDigest(Digest::of(b"content"))),
        verdict: match status {
            RunStatus::Succeeded => Verdict::Pass,
            RunStatus::Failed => Verdict::Fail,
            RunStatus::Queued | RunStatus::InProgress | RunStatus::Cancelled => Verdict::Unknown,
        },
        void: None,
    }
}

pub(crate) fn task_state(report: &RunReport) -> TaskState {
    TaskState {
        workspace: "/srv/space".to_owned(),
        project: report.project.clone(),
        pipeline: report.pipeline.clone(),
        verdict: report.verdict,
        fresh: true,
        phase: Phase::Idle,
        input_digest: report.input,
        last_run: Some(LastRun {
            run_id: report.run.clone(),
            status: report.status,
            manifest: Layout::default().manifest(&report.task, &report.run),
        }),
        updated_at: at(200),
    }
}

/// The manifest of a run that ended, as it stands at last.
fn ended(report: &RunReport) -> Manifest {
    let layout = Layout::default();
    let mut manifest = Manifest::new(report, "demo", &"0f".repeat(32), &layout);
    manifest.note(report, &layout, at(150));
    manifest.note_metrics(report.guardrails_required);
    let path = layout.run_summary(&report.task, &report.run);
    manifest.run_summary_path = Some(path);
    manifest
}

#[test]
fn the_manifest_has_the_35_fields_and_no_other() {
    let value = serde_json::to_value(ended(&report("demo", 1, RunStatus::Succeeded))).unwrap();
    let keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys.len(), 35);
    assert_eq!(keys[..3], ["version", "task_id", "task_slug"]);
    assert_eq!(
        keys[27..],
        [
            "run_summary_path",
            "plan_target_id",
            "runtime_mode_requested",
            "runtime_mode",
            "runtime_provider",
            "runtime_fallback",
            "instructions_hash",
            "instructions_sources"
        ]
    );
    assert_eq!(value["commands"][0].as_object().unwrap().len(), 13);
    assert_eq!(
        value["summary"],
        "Guardrails: spec-guard succeeded (1 passed)."
    );
    assert_eq!(value["runner"], "codex-cli");
}

#[test]
fn a_failed_run_says_what_failed_and_ends_with_the_guardrails() {
    let manifest = ended(&report("demo", 1, RunStatus::Failed));
    assert_eq!(
        manifest.summary.as_deref(),
        Some(
            "Stage 'LINT' failed with exit code 2.\nGuardrails: spec-guard partial (1 pending of 1)."
        )
    );
    let mut guard = report("demo", 1, RunStatus::Failed);
    guard.stages[1] = stage("spec-guard", StageStatus::Failed);
    drop(guard.stages.drain(2..));
    let said = ended(&guard).summary.unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[1].starts_with("Guardrail command failed; "), "{said}");
    assert_eq!(lines[2], "Guardrails: spec-guard failed (1/1 failed).");
}

#[test]
fn a_guardrail_that_is_required_and_missing_is_worth_two_lines_and_else_none() {
    let mut bare = report("demo", 1, RunStatus::Succeeded);
    drop(bare.stages.pop());
    assert_eq!(ended(&bare).summary, None);
    bare.guardrails_required = Some(true);
    let said = ended(&bare).summary.unwrap();
    assert!(said.starts_with("Guardrail command missing; "), "{said}");
    assert!(
        said.ends_with("\nGuardrails: spec-guard command not found."),
        "{said}"
    );
}

#[test]
fn a_resume_is_noted_once_and_clears_what_it_overcame() {
    let layout = Layout::default();
    let failed = report("demo", 1, RunStatus::Failed);
    let mut manifest = ended(&failed);
    manifest.commands[1].error_file = Some("x".to_owned());
    manifest
        .rest
        .insert("guardrail_status".to_owned(), json!({}));
    manifest.rest.insert("their_key".to_owned(), json!(1));
    let mut resumed = report("demo", 1, RunStatus::InProgress);
    resumed.resumes.push(ResumeReport {
        timestamp: at(5000),
        actor: "a".to_owned(),
        reason: "r".to_owned(),
    });
    manifest.note(&resumed, &layout, at(5000));
    manifest.note(&resumed, &layout, at(5001));
    assert_eq!(manifest.resume_events.len(), 1);
    assert_eq!(manifest.completed_at, None);
    assert!(!manifest.metrics_recorded);
    assert_eq!(manifest.summary, None);
    assert_eq!(manifest.commands[1].error_file, None);
    assert_eq!(manifest.rest.keys().collect::<Vec<_>>(), ["their_key"]);
}

#[test]
fn a_child_run_is_listed_once_and_a_lost_parent_ends_it() {
    let layout = Layout::default();
    let mut parent = report("demo", 1, RunStatus::InProgress);
    let child = RunId::parse("child").unwrap();
    parent.children.push(ChildReport {
        failed: None,
        run: child.clone(),
        pipeline: PipelineId::parse("smoke").unwrap(),
        status: RunStatus::InProgress,
    });
    parent.stages[1].work = StageWork::Subpipeline {
        pipeline: PipelineId::parse("smoke").unwrap(),
        child: Some(child.clone()),
    };
    let mut manifest = Manifest::new(&parent, "demo", "t", &layout);
    manifest.note(&parent, &layout, at(1));
    manifest.note(&parent, &layout, at(2));
    assert_eq!(manifest.child_runs.len(), 1);
    assert_eq!(
        manifest.child_runs[0].manifest,
        ".runs/demo/cli/child/manifest.json"
    );
    assert_eq!(manifest.commands[1].sub_run_id, Some(child));
    assert_eq!(manifest.commands[1].command, None);
    manifest.lose(at(3));
    assert_eq!(manifest.child_runs[0].status, RunStatus::Cancelled);
    assert_eq!(manifest.commands[0].status, StageStatus::Failed);
    assert_eq!(manifest.commands[0].summary.as_deref(), Some("daemon lost"));
    assert_eq!(manifest.commands[3].status, StageStatus::Pending);
}

#[test]
fn newer_damaged_and_foreign_are_told_apart() {
    let bytes = document(&ended(&report("demo", 1, RunStatus::Succeeded)));
    let text = String::from_utf8(bytes).unwrap();
    let newer = text.replace("\"version\": 1", "\"version\": 2");
    assert!(matches!(
        Manifest::parse(newer.as_bytes()),
        Err(Unreadable::Newer { found: 2, known: 1 })
    ));
    let newer = newer.replace("\"commands\"", "\"phases\"");
    assert!(matches!(
        Manifest::parse(newer.as_bytes()),
        Err(Unreadable::Newer { .. })
    ));
    assert!(matches!(
        Manifest::parse(b"{\"version\": 1}"),
        Err(Unreadable::Foreign(_))
    ));
    assert!(matches!(Manifest::parse(b""), Err(Unreadable::Damaged(_))));
    assert!(matches!(
        Sidecar::parse(b"{\"schema\": 2}"),
        Err(Unreadable::Newer { .. })
    ));
}

#[test]
fn a_verdict_that_the_manifest_contradicts_is_not_shown() {
    let failed = report("demo", 1, RunStatus::Failed);
    let sidecar = Sidecar::of(&failed);
    let mut manifest = ended(&failed);
    let layout = Layout::default();
    let row = RunRecord::of(&manifest, Some(&sidecar), &layout);
    assert_eq!(
        (row.verdict, row.cause),
        (Verdict::Fail, Some(Cause::Change))
    );
    assert_eq!(row.duration_ms, Some(148));
    manifest.status = RunStatus::Succeeded;
    assert_eq!(
        RunRecord::of(&manifest, Some(&sidecar), &layout).verdict,
        Verdict::Unknown
    );
    assert_eq!(RunRecord::of(&manifest, None, &layout).cause, None);
}

#[test]
fn a_void_or_unknown_run_proves_nothing() {
    let mut run = report("demo", 1, RunStatus::Succeeded);
    assert!(Sidecar::of(&run).proves());
    run.void = Some(Void {
        changed: Changed::Everything,
        rewritten: Vec::new(),
    });
    assert!(!Sidecar::of(&run).proves());
    run.void = None;
    run.verdict = Verdict::Unstable;
    assert!(!Sidecar::of(&run).proves());
    assert!(!Sidecar::of(&report("demo", 1, RunStatus::InProgress)).proves());
}

#[test]
fn a_sidecar_lists_the_first_hundred_paths() {
    let mut run = report("demo", 1, RunStatus::Succeeded);
    let paths = (0..250).map(|n| RelPath::parse(&format!("f{n:03}")).unwrap());
    run.changed = Changed::Paths(paths.collect());
    let sidecar = Sidecar::of(&run);
    assert_eq!(
        (sidecar.changed.count, sidecar.changed.paths.len()),
        (250, 100)
    );
}

#[test]
fn a_metrics_line_is_found_by_run_and_end() {
    let metrics = Metrics::of(&ended(&report("demo", 1, RunStatus::Succeeded)), at(1));
    let other = Metrics::of(&ended(&report("demo", 2, RunStatus::Succeeded)), at(1));
    let text = format!("torn{}\n\n{}\n", other.line(), metrics.line());
    assert!(metrics.stands_in(&text));
    assert!(!other.stands_in(&text));
    let mut again = metrics;
    again.completed_at = Some(at(9999));
    assert!(!again.stands_in(&text));
}

#[test]
fn a_slug_is_as_the_published_orchestrator_makes_it() {
    for (id, expected) in [
        ("Lint: all!", "Lint-all"),
        ("  a__b  ", "a-b"),
        ("!!!", "command"),
        ("spec-guard", "spec-guard"),
    ] {
        assert_eq!(slug(id), expected);
    }
    assert_eq!(slug(&"x".repeat(200)).len(), 80);
}

proptest! {
    #[test]
    fn a_manifest_is_read_as_it_was_written(
        status in 0..5_usize,
        summary in proptest::option::of("\\PC{0,40}"),
        key in "[a-z]{12,14}",
        value in "\\PC{0,20}",
    ) {
        let all = [
            RunStatus::Queued,
            RunStatus::InProgress,
            RunStatus::Succeeded,
            RunStatus::Failed,
            RunStatus::Cancelled,
        ];
        let mut manifest = ended(&report("demo", 3, all[status]));
        manifest.summary = summary;
        manifest.rest.insert(key, json!({ "theirs": value }));
        let bytes = document(&manifest);
        prop_assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
    }

    #[test]
    fn any_prefix_of_a_manifest_is_damaged_and_nothing_else(cut in 0..2000_usize) {
        let bytes = document(&ended(&report("demo", 3, RunStatus::Failed)));
        let cut = cut.min(bytes.len() - 2);
        prop_assert!(matches!(Manifest::parse(&bytes[..cut]), Err(Unreadable::Damaged(_))));
        prop_assert!(Snapshot::parse(&bytes[..cut], &TaskId::parse("demo").unwrap()).is_none());
    }
}

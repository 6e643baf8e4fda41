//! What a report says of evidence that is on disk, and a small workspace with a run of every kind for whoever shows it.
//!
//! The workspace is the same wherever and whenever it is made: its times are those of its manifests.

#![expect(
    clippy::disallowed_methods,
    reason = "a test writes files in a directory of its own"
)]

use super::*;
use crate::disk::durable::Dir;
use crate::documents::coverage::State;
use crate::model::digest::{Digest, InputDigest, StageKey};
use crate::model::evidence::tests::{at, report as sample};
use crate::model::evidence::{
    ApprovedStage, Layout, Manifest, RecordedApproval, Sidecar, Why, document,
};
use crate::model::id::StageId;
use crate::model::log::{LogEvent, LogLine, Stream};
use crate::model::path::{RelPath, RootPath};
use crate::model::run::{Cause, Changed, Outcome, RunReport, StageStatus, Void};
use std::path::Path;
use std::time::Duration;

/// Output that tries to be something else: markup, a fence, escape sequences, text that turns around, bytes that are none.
pub(crate) const HOSTILE: &[u8] = b"\x1b[31merror\x1b[0m: </script><img src=x onerror=alert(1)> \xe2\x80\xae\xff @everyone\n\
    ```\n# heading | cell\r\n<details open ontoggle=alert(2)>&amp;\0\x07\n\x1b]0;title\x07]]>--><style>*{display:none}</style>\n";

const TOML: &str = r#"
[[template]]
id = "agreed"
[[template.stage]]
id = "build"
[[template.stage]]
id = "lint"
command = "npm run lint"
[[template.stage]]
id = "test"
[[template.stage]]
id = "spec-guard"

[[project]]
task = "0101-web"
path = "packages/web"
sla = "10s"
[[project.waiver]]
stage = "lint"
reason = "eslint 10 is on its way"
by = "ann"
until = 2026-12-31

[[project]]
task = "0102-api"
path = "packages/api"
required = ["build", "test"]

[[project]]
task = "0103-tools"
path = "packages/tools"

[[project]]
task = "0104-docs"
path = "packages/docs"

[[pipeline]]
id = "diagnostics"
title = "Diagnostics"
[[pipeline.stage]]
id = "build"
command = "npm run build"
[[pipeline.stage]]
id = "lint"
command = "npm run lint -- --fix"
[[pipeline.stage]]
id = "test"
command = "npm test"
[[pipeline.stage]]
id = "spec-guard"
command = "orchctl spec-guard"
"#;

const HOUR: i64 = 3_600_000;

/// A run that ended `hours` after the first, on this content.
fn run(task: &str, hours: i64, content: &str, status: RunStatus) -> RunReport {
    let salt = u32::try_from(hours).unwrap_or_default() + 0x3d01_03be;
    let mut run = sample(task, 1, status);
    run.started_at = Timestamp::from_unix_ms(at(0).unix_ms() + hours * HOUR);
    run.run = RunId::new(run.started_at, salt);
    run.input = Some(InputDigest(Digest::of(content.as_bytes())));
    let mut clock = run.started_at.unix_ms() + 20;
    for (place, stage) in run.stages.iter_mut().enumerate() {
        let key = Digest::of(format!("{task} {content} {}", stage.id).as_bytes());
        (stage.key, stage.content_key) = (Some(StageKey(key)), Some(StageKey(key)));
        stage.input = run.input;
        let took = [1_240, 310, 4_900, 45].get(place).copied().unwrap_or(9);
        if stage.started_at.is_some() {
            stage.started_at = Some(Timestamp::from_unix_ms(clock));
            clock += took;
            stage.completed_at = stage.completed_at.map(|_| Timestamp::from_unix_ms(clock));
            stage.duration = Duration::from_millis(u64::try_from(took).unwrap_or_default());
        }
    }
    run.completed_at = status
        .is_terminal()
        .then(|| Timestamp::from_unix_ms(clock + 30));
    run
}

/// Writes a run's manifest and sidecar, and the logs of its failed stages.
fn write(
    root: &Path,
    run: &RunReport,
    said: &[u8],
    edit: impl FnOnce(&mut Manifest, &mut Sidecar),
) {
    let layout = Layout::default();
    let mut manifest = Manifest::new(run, run.task.as_str(), "token", &layout);
    manifest.note(run, &layout, run.completed_at.unwrap_or(run.started_at));
    let mut sidecar = Sidecar::of(run);
    edit(&mut manifest, &mut sidecar);
    let directory = root.join(layout.artifact_root(&run.task, &run.run));
    std::fs::create_dir_all(directory.join("commands")).unwrap();
    std::fs::write(directory.join("manifest.json"), document(&manifest)).unwrap();
    std::fs::write(directory.join("orchd.json"), document(&sidecar)).unwrap();
    for stage in manifest
        .commands
        .iter()
        .filter(|it| it.status == StageStatus::Failed)
    {
        let (mut log, timestamp) = (Vec::new(), run.started_at);
        let event = LogEvent::Output {
            stream: Stream::Stderr,
            bytes: said.into(),
        };
        let line = LogLine {
            event,
            timestamp,
            index: 1,
        };
        line.encode(&mut log).unwrap();
        std::fs::write(root.join(stage.log_path.as_ref().unwrap()), log).unwrap();
    }
}

fn nothing_else(_: &mut Manifest, _: &mut Sidecar) {}

/// Chains the runs of a task as they are.
fn chain(shelf: &Shelf, task: &str) {
    let runs = Dir::open(&shelf.places().runs).unwrap();
    let task = TaskId::parse(task).unwrap();
    for run in records::run_ids(shelf, &task).unwrap().iter().rev() {
        crate::disk::chain::append(&runs, &task, run, Why::Ended, at(0)).unwrap();
    }
}

fn approve(manifest: &mut Manifest, sidecar: &mut Sidecar) {
    let approval = RecordedApproval {
        actor: "ann <b>".to_owned(),
        timestamp: Timestamp::from_unix_ms(at(0).unix_ms() + 41 * HOUR),
        reason: "known: the linter is of last week, see </td> & co".to_owned(),
        stages: vec![ApprovedStage {
            id: StageId::parse("lint").unwrap(),
            key: None,
            content_key: None,
        }],
        whole: false,
        until: Some(Day::of(Timestamp::from_unix_ms(
            at(0).unix_ms() + 400 * HOUR,
        ))),
        input_digest: sidecar.input_digest.unwrap(),
    };
    manifest.approvals.push(serde_json::json!({
        "actor": approval.actor, "timestamp": approval.timestamp, "reason": approval.reason,
    }));
    sidecar.approvals.push(approval);
}

/// A workspace with these files and no run.
pub(crate) fn workspace(toml: &str) -> (tempfile::TempDir, Shelf) {
    let dir = tempfile::tempdir().unwrap();
    for project in ["web", "api", "tools", "docs"] {
        std::fs::create_dir_all(dir.path().join("packages").join(project)).unwrap();
    }
    std::fs::write(dir.path().join("orchd.toml"), toml).unwrap();
    let root = RootPath::new(&dir.path().canonicalize().unwrap()).unwrap();
    let shelf = Shelf::open(&root, None).unwrap();
    (dir, shelf)
}

/// A workspace with green, red, approved, flaky, void, reused, cancelled and damaged runs.
pub(crate) fn every_kind() -> (tempfile::TempDir, Shelf) {
    let (dir, shelf) = workspace(TOML);
    let root = dir.path();
    for hours in [1, 5, 9, 13, 21, 28] {
        let green = run(
            "0101-web",
            hours,
            &format!("c{hours}"),
            RunStatus::Succeeded,
        );
        write(root, &green, b"", nothing_else);
    }
    let mut red = run("0101-web", 17, "c17", RunStatus::Failed);
    red.cause = Cause::Manual;
    write(
        root,
        &red,
        b"src/a.ts:3:5 error  'frob' is not defined\n1 problem\n",
        nothing_else,
    );
    let cancelled = run("0101-web", 30, "c30", RunStatus::Cancelled);
    write(root, &cancelled, b"", nothing_else);
    let last = run("0101-web", 40, "c40", RunStatus::Failed);
    write(root, &last, HOSTILE, approve);
    chain(&shelf, "0101-web");
    let log = root.join(Layout::default().stage_log(&red.task, &red.run, 2, &red.stages[1].id));
    let told = std::fs::read_to_string(&log).unwrap();
    std::fs::write(log, told.replace("1 problem", "no problem")).unwrap();

    let red = run("0102-api", 10, "same", RunStatus::Failed);
    write(
        root,
        &red,
        b"thread 'a' panicked at src/lib.rs:7:9\n",
        nothing_else,
    );
    let mut flaky = run("0102-api", 12, "same", RunStatus::Succeeded);
    flaky.verdict = Verdict::Flaky;
    flaky.stages[1].outcome = Outcome::Flaky;
    flaky.stages[1].attempts = 2;
    flaky.stages[0].reused_from = Some(red.run);
    write(root, &flaky, b"", nothing_else);

    let green = run("0103-tools", 3, "t3", RunStatus::Succeeded);
    write(root, &green, b"", nothing_else);
    let mut void = run("0103-tools", 8, "t8", RunStatus::Succeeded);
    void.void = Some(Void {
        changed: Changed::Paths(vec![RelPath::parse("packages/tools/a.py").unwrap()]),
        rewritten: Vec::new(),
    });
    write(root, &void, b"", nothing_else);
    let torn = ".runs/0103-tools/cli/2026-11-22T11-09-50-592Z-00000bad";
    std::fs::create_dir_all(root.join(torn)).unwrap();
    std::fs::write(root.join(torn).join("manifest.json"), "{\"version\": 1,").unwrap();
    (dir, shelf)
}

/// A workspace with 200 runs, all of them red, each with a long log that is hostile from end to end.
pub(crate) fn many_hostile(tasks: &[&str]) -> (tempfile::TempDir, Shelf) {
    let (dir, shelf) = workspace(TOML);
    let long = [
        HOSTILE,
        b"error: ",
        "\u{202e}<&\"'`".repeat(2_000).as_bytes(),
        b"\n",
    ]
    .concat();
    for (number, task) in (0..200_i64).zip(tasks.iter().cycle()) {
        let red = run(task, number, &format!("c{number}"), RunStatus::Failed);
        write(dir.path(), &red, &long.repeat(2), nothing_else);
    }
    (dir, shelf)
}

fn project<'r>(report: &'r Report, task: &str) -> &'r ReportedProject {
    let mut projects = report.projects.iter();
    projects.find(|it| it.task_id.as_str() == task).unwrap()
}

#[test]
fn a_project_stands_where_its_newest_run_does() {
    let (_dir, shelf) = every_kind();
    let report = read(&shelf, None).unwrap();
    assert_eq!(
        report.as_of.unwrap().to_string(),
        "2026-11-24T03:09:50.592Z",
        "an approval"
    );
    assert_eq!(report.against.as_deref(), Some("agreed"));
    let verdicts: Vec<Verdict> = report.projects.iter().map(|it| it.verdict).collect();
    assert_eq!(
        verdicts,
        [
            Verdict::Fail,
            Verdict::Flaky,
            Verdict::Unknown,
            Verdict::Unknown
        ]
    );
    let web = project(&report, "0101-web");
    let newest = web.newest().unwrap();
    assert_eq!(newest.failed().unwrap().id.as_str(), "lint");
    assert_eq!(
        newest.again,
        format!("orchctl resume --run {}", newest.record.run_id)
    );
    assert_eq!(
        web.run(web.last_green.as_ref().unwrap()).unwrap().verdict,
        Verdict::Pass
    );
    let expected = Tally {
        runs: 9,
        passed: 6,
        failed: 2,
        cancelled: 1,
        ..Tally::default()
    };
    assert_eq!(web.tally, expected);
    assert_eq!((web.approvals.len(), newest.approvals), (1, 1));
    assert_eq!(project(&report, "0104-docs").newest, None);
    let one = read(&shelf, Some(&web.task_id)).unwrap();
    assert_eq!(one.projects, std::slice::from_ref(web));
}

#[test]
fn what_other_parts_find_is_in_it() {
    let (_dir, shelf) = every_kind();
    let report = read(&shelf, None).unwrap();
    let web = project(&report, "0101-web");
    assert_eq!((web.coverage.runs, web.coverage.covered), (9, 6));
    assert_eq!(web.coverage.guardrails[1].state, State::Failing);
    assert_eq!(web.drifts(), Some(0), "it is waived");
    let intact = web.integrity.as_ref().unwrap();
    assert_eq!((intact.runs, intact.head.as_ref().unwrap().number), (9, 9));
    let [changed] = intact.findings.as_slice() else {
        panic!("{:?}", intact.findings)
    };
    assert_eq!(
        (changed.kind, &changed.run_id),
        ("changed", &Some(web.runs[4].record.run_id.clone()))
    );
    let api = project(&report, "0102-api");
    let unknown = api.integrity.as_ref().unwrap();
    assert_eq!(
        (&unknown.head, unknown.findings.len()),
        (&None, 0),
        "no chain is kept"
    );
    assert_eq!(api.drifts(), Some(1));
    let [lint] = api.flaky.as_slice() else {
        panic!("{:?}", api.flaky)
    };
    assert_eq!(
        (lint.stage.as_str(), lint.failed, lint.passed),
        ("lint", 1, 1)
    );
    let tools = project(&report, "0103-tools");
    assert_eq!((tools.tally.runs, tools.tally.void), (2, 1));
    assert_eq!(tools.unreadable.len(), 1);
    let void = tools.newest().unwrap();
    assert_eq!(void.void.as_ref().unwrap().paths, ["packages/tools/a.py"]);
    assert_eq!(
        void.again,
        "orchctl run diagnostics --task 0103-tools --force"
    );
}

#[test]
fn a_stage_that_was_taken_over_takes_no_time_and_a_log_begins_where_it_tells_why() {
    let (_dir, shelf) = every_kind();
    let report = read(&shelf, None).unwrap();
    let flaky = project(&report, "0102-api").newest().unwrap();
    assert_eq!(
        (flaky.stages[0].begin_ms, flaky.stages[0].duration_ms),
        (None, None)
    );
    assert_eq!(
        (flaky.stages[1].begin_ms, flaky.stages[1].duration_ms),
        (Some(1_260), Some(310))
    );
    let red = project(&report, "0101-web").newest().unwrap();
    let [excerpt] = red.excerpts.as_slice() else {
        panic!("{:?}", red.excerpts)
    };
    assert_eq!((excerpt.stage.as_str(), excerpt.from), ("lint", 1));
    assert!(
        excerpt.lines[0].ends_with("\u{202e}\\xff @everyone"),
        "{excerpt:?}"
    );
}

#[test]
fn of_many_runs_the_newest_are_shown_and_the_others_counted() {
    let (_dir, shelf) = many_hostile(&["0101-web", "0102-api"]);
    let report = read(&shelf, None).unwrap();
    let web = project(&report, "0101-web");
    assert_eq!(
        (web.runs.len(), web.left_out, web.tally.runs),
        (50, 50, 100)
    );
    assert_eq!(web.newest.as_ref(), Some(&web.runs[0].record.run_id));
}

#[test]
fn it_is_written_whole_and_over_files_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.html");
    out::write(&path, b"one").unwrap();
    out::write(&path, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let error = out::write(dir.path(), b"x").unwrap_err();
    assert!(matches!(error, out::OutError::Directory { .. }), "{error}");
    let error = out::write(&dir.path().join("gone/x.html"), b"x").unwrap_err();
    assert!(matches!(error, out::OutError::Write(_)), "{error}");
    #[cfg(unix)]
    {
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let error = out::write(&link, b"x").unwrap_err();
        assert!(matches!(error, out::OutError::Link { .. }), "{error}");
        let error = out::write(Path::new("/dev/null"), b"x").unwrap_err();
        assert!(matches!(error, out::OutError::Irregular { .. }), "{error}");
    }
}

//! What people see, line by line: red, green, flaky, unknown, untrusted; wide, 40 columns, with and without colour.
//!
//! Snapshots of text that people read; a changed column is a decision.

mod answers;
mod approving;
mod live;
mod why;

use crate::client::output::Look;
use crate::client::render::status;
use crate::model::id::{PipelineId, RunId, Seq, StageId, TaskId};
use crate::model::path::{RelPath, RootPath};
use crate::model::report::status::{
    DaemonStatus, Failure, LastRun, Phase, ProjectStatus, ProvenBy, QueuedRun, RunningRun, Status,
    WorkspaceState, WorkspaceStatus,
};
use crate::model::run::{Cause, RunStatus, Verdict};
use crate::model::time::Timestamp;
use std::path::Path;

const RUN: &str = "2026-11-22T10-09-50-592Z-3d0103be";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn look(width: Option<usize>) -> Look {
    Look {
        width,
        now: at("2026-11-22T10:12:00Z"),
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn root() -> RootPath {
    RootPath::new(Path::new("/srv/ann/src/shop")).unwrap()
}

fn task(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

fn stage(text: &str) -> StageId {
    StageId::parse(text).unwrap()
}

fn run(text: &str) -> RunId {
    RunId::parse(text).unwrap()
}

fn pipeline() -> PipelineId {
    PipelineId::parse("diagnostics").unwrap()
}

fn failure() -> Failure {
    Failure {
        stage: stage("lint"),
        name: None,
        exit_code: Some(1),
        excerpt: "web/src/cart.ts:3:5  \u{1b}[31merror\u{1b}[0m  'frob' is not defined  no-undef\n"
            .to_owned(),
        log_path: None,
        run_id: None,
    }
}

fn project(id: &str, verdict: Verdict) -> ProjectStatus {
    let last_run = LastRun {
        run_id: run(RUN),
        status: RunStatus::Succeeded,
        status_detail: None,
        started_at: at("2026-11-22T10:09:50.592Z"),
        completed_at: Some(at("2026-11-22T10:09:53.692Z")),
        duration_ms: Some(3_100),
        manifest: format!(".runs/{id}/cli/{RUN}/manifest.json"),
        cause: Some(Cause::Change),
    };
    ProjectStatus {
        task_id: task(id),
        path: RelPath::root(),
        pipeline: pipeline(),
        verdict,
        green: None,
        fresh: true,
        phase: Phase::Idle,
        input_digest: None,
        running: None,
        queued: Vec::new(),
        proof: None,
        last_run: Some(last_run),
        failure: None,
    }
}

fn status_of(workspaces: Vec<WorkspaceStatus>) -> Status {
    Status {
        daemon: DaemonStatus {
            pid: 4121,
            version: "0.1.0".to_owned(),
            instance_id: "i".to_owned(),
            uptime_ms: 11_100_000,
            seq: Seq(7),
            rss_bytes: 12_700_000,
            watches: 18_204,
        },
        workspaces,
    }
}

fn shop() -> Status {
    let mut red = project("0102-api", Verdict::Fail);
    red.failure = Some(failure());
    if let Some(run) = &mut red.last_run {
        run.status = RunStatus::Failed;
    }
    let flaky = project("0103-docs", Verdict::Flaky);
    let mut unknown = project("0104-cli", Verdict::Unknown);
    unknown.fresh = false;
    unknown.phase = Phase::Running;
    unknown.last_run = None;
    unknown.running = Some(RunningRun {
        run_id: run("other"),
        stage: Some(stage("test")),
        started_at: at("2026-11-22T10:11:48Z"),
        waits: None,
    });
    let watched = WorkspaceStatus {
        root: root(),
        state: WorkspaceState::Watching,
        detail: None,
        missed: 0,
        projects: vec![project("0101-web", Verdict::Pass), red, flaky, unknown],
    };
    let untrusted = WorkspaceStatus {
        root: RootPath::new(Path::new("/srv/ann/src/new tool")).unwrap(),
        state: WorkspaceState::Untrusted,
        detail: None,
        missed: 0,
        projects: Vec::new(),
    };
    status_of(vec![watched, untrusted])
}

#[test]
fn a_verdict_is_shown_with_the_run_that_it_is_from() {
    let mut project = project("0101-web", Verdict::Pass);
    project.proof = Some(ProvenBy {
        run_id: run("2026-11-22T09-00-00-000Z-ab341c5f"),
        manifest: ".runs/0101-web/cli/2026-11-22T09-00-00-000Z-ab341c5f/manifest.json".to_owned(),
    });
    let shop = WorkspaceStatus {
        root: RootPath::new(Path::new("/srv/shop")).unwrap(),
        state: WorkspaceState::Watching,
        detail: None,
        missed: 0,
        projects: vec![project],
    };
    insta::assert_snapshot!(plain(&status::status(&status_of(vec![shop]), None, &look(None))), @"
    /srv/shop  + watching
      + pass      0101-web  fresh  idle      3d0103be  succeeded  3.1s  2m ago
        proven by ab341c5f, manifest .runs/0101-web/cli/2026-11-22T09-00-00-000Z-ab341c5f/manifest.json
    orchd 0.1.0, pid 4121, up 3h 5m, 1 workspace, 18204 watches, 12.1 MiB
    ");
}

#[test]
fn status_without_a_terminal_has_one_line_per_project_and_cuts_nothing() {
    insta::assert_snapshot!(plain(&status::status(&shop(), None, &look(None))), @"
    /srv/ann/src/shop  + watching
      + pass      0101-web   fresh  idle      3d0103be  succeeded  3.1s  2m ago
        manifest .runs/0101-web/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json
      x fail      0102-api   fresh  idle      3d0103be  failed  3.1s  2m ago
        lint  exit 1
          | web/src/cart.ts:3:5  error  'frob' is not defined  no-undef
        manifest .runs/0102-api/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json
      ~ flaky     0103-docs  fresh  idle      3d0103be  succeeded  3.1s  2m ago
        manifest .runs/0103-docs/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json
      ? unknown   0104-cli   stale  running test 12s  no run yet
    /srv/ann/src/new tool  ? untrusted
      Allow its commands with: orchctl allow '/srv/ann/src/new tool'
    orchd 0.1.0, pid 4121, up 3h 5m, 2 workspaces, 18204 watches, 12.1 MiB
    ");
}

#[test]
fn status_fits_forty_columns() {
    let text = plain(&status::status(&shop(), None, &look(Some(40))));
    assert_eq!(
        text.lines().map(|line| line.chars().count()).max(),
        Some(40)
    );
    insta::assert_snapshot!(text, @"
    /srv/ann/src/shop
      + watching
      + pass      0101-web
        fresh, idle
        3d0103be  succeeded  3.1s  2m ago
        manifest .runs/01…03be/manifest.json
      x fail      0102-api
        fresh, idle
        3d0103be  failed  3.1s  2m ago
        lint  exit 1
          | web/src/cart.ts:3:5  error  'fr…
        manifest .runs/01…03be/manifest.json
      ~ flaky     0103-docs
        fresh, idle
        3d0103be  succeeded  3.1s  2m ago
        manifest .runs/01…03be/manifest.json
      ? unknown   0104-cli
        stale, running test 12s
    /srv/ann/src/new tool
      ? untrusted
      Allow its commands with: orchctl allow
      '/srv/ann/src/new tool'
    orchd 0.1.0, pid 4121, up 3h 5m, 2
    workspaces, 18204 watches, 12.1 MiB
    ");
}

#[test]
fn colour_only_repeats_what_a_word_says() {
    let text = status::status(&shop(), None, &look(Some(80)));
    let line = text.lines().find(|line| line.contains("0102-api")).unwrap();
    insta::assert_snapshot!(line.escape_debug(), @r#"  \u{1b}[1m\u{1b}[31mx fail\u{1b}[0m      0102-api   fresh  idle      3d0103be  failed  3.1s  2m ago"#);
}

#[test]
fn a_flaky_verdict_that_counts_as_failed_says_why() {
    let mut flaky = project("0103-docs", Verdict::Flaky);
    flaky.green = Some(false);
    let watched = WorkspaceStatus {
        root: root(),
        state: WorkspaceState::Watching,
        detail: None,
        missed: 0,
        projects: vec![flaky],
    };
    insta::assert_snapshot!(plain(&status::workspace_lines(&watched, &look(None))), @r#"
    /srv/ann/src/shop  + watching
      ~ flaky     0103-docs  fresh  idle      3d0103be  succeeded  3.1s  2m ago
        flaky counts as failed here (flaky = "fail" in orchd.toml)
        manifest .runs/0103-docs/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json
    "#);
}

#[test]
fn status_of_one_workspace_does_not_count_the_others() {
    let text = plain(&status::status(&shop(), Some(&root()), &look(None)));
    let last = text.lines().last();
    assert_eq!(
        last,
        Some("orchd 0.1.0, pid 4121, up 3h 5m, 18204 watches, 12.1 MiB")
    );
}

#[test]
fn what_waits_for_its_turn_is_listed_below_its_project() {
    let mut busy = project("0101-web", Verdict::Unknown);
    busy.phase = Phase::Running;
    let queued = |run_id: &str, asked_at| QueuedRun {
        run_id: run(run_id),
        pipeline_id: pipeline(),
        cause: Cause::Manual,
        asked_at: at(asked_at),
    };
    busy.queued = vec![
        queued(RUN, "2026-11-22T10:09:50Z"),
        queued("next", "2026-11-22T10:11:48Z"),
    ];
    let watched = WorkspaceStatus {
        root: root(),
        state: WorkspaceState::Watching,
        detail: None,
        missed: 0,
        projects: vec![busy],
    };
    let lines = |width| plain(&status::workspace_lines(&watched, &look(width)));
    insta::assert_snapshot!(lines(None), @"
    /srv/ann/src/shop  + watching
      ? unknown   0101-web  fresh  running   3d0103be  succeeded  3.1s  2m ago
        manifest .runs/0101-web/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json
        queued 3d0103be  diagnostics  2m ago
        queued next  diagnostics  12s ago
    ");
    insta::assert_snapshot!(lines(Some(40)), @"
    /srv/ann/src/shop
      + watching
      ? unknown   0101-web
        fresh, running
        3d0103be  succeeded  3.1s  2m ago
        manifest .runs/01…03be/manifest.json
        queued 3d0103be  diagnostics  2m ago
        queued next  diagnostics  12s ago
    ");
}

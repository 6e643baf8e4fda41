//! Runs as they are told while they happen.
//!
//! In the order in which the daemon tells them, resync and snapshot included.

use super::{RUN, at, failure, look, pipeline, plain, root, run, stage, task};
use crate::client::render::live::{Focus, Live};
use crate::client::render::status;
use crate::model::id::Seq;
use crate::model::path::{RelPath, RootPath};
use crate::model::report::event::{Event, Happening, RunDone, RunNamed, StageDone, VerdictTold};
use crate::model::report::runs::ChangedPaths;
use crate::model::run::{Cause, Outcome, RunStatus, StageStatus, Verdict};
use std::path::Path;

fn event(what: Happening) -> Event {
    Event {
        seq: Seq(1),
        at: at("2026-11-22T10:12:00Z"),
        what,
    }
}

fn started(cause: Cause) -> Event {
    event(Happening::RunStarted(RunNamed {
        workspace: root(),
        task_id: task("0101-web"),
        run_id: run(RUN),
        pipeline_id: pipeline(),
        parent_run_id: None,
        cause,
        input_digest: None,
        manifest: "m".to_owned(),
        stages: vec![stage("build"), stage("lint")],
        changed: ChangedPaths {
            count: Some(5),
            paths: ["src/a.ts", "src/b.ts", "c", "d"]
                .map(|p| RelPath::parse(p).unwrap())
                .to_vec(),
        },
    }))
}

fn ended(id: &str, status: StageStatus, outcome: Outcome, code: Option<i32>) -> Event {
    event(Happening::StageEnded(StageDone {
        workspace: root(),
        task_id: task("0101-web"),
        run_id: run(RUN),
        pipeline_id: pipeline(),
        stage: stage(id),
        index: 0,
        status,
        outcome,
        exit_code: code,
        summary: Some("2 warnings".to_owned()),
        duration_ms: 940,
        attempts: 2,
        reused_from: None,
    }))
}

fn run_done(verdict: Verdict, void: bool) -> Event {
    event(Happening::RunEnded(RunDone {
        workspace: root(),
        task_id: task("0101-web"),
        run_id: run(RUN),
        pipeline_id: pipeline(),
        parent_run_id: None,
        status: RunStatus::Failed,
        status_detail: Some("stage:lint:failed".to_owned()),
        verdict,
        green: None,
        input_digest: None,
        void,
        unproven: None,
        duration_ms: 3_100,
        manifest: "m".to_owned(),
        failure: (verdict == Verdict::Fail).then(failure),
    }))
}

fn told(focus: Focus, width: Option<usize>, events: &[Event]) -> String {
    let mut live = Live::new(focus);
    events
        .iter()
        .map(|event| plain(&live.event(event, &look(width))))
        .collect()
}

#[test]
fn a_red_run_is_told_stage_by_stage() {
    let events = [
        started(Cause::Change),
        ended("build", StageStatus::Succeeded, Outcome::Passed, Some(0)),
        ended("style", StageStatus::Skipped, Outcome::Failed, Some(3)),
        ended("unit", StageStatus::Succeeded, Outcome::Flaky, Some(0)),
        ended("lint", StageStatus::Failed, Outcome::Failed, Some(1)),
        run_done(Verdict::Fail, false),
    ];
    insta::assert_snapshot!(told(Focus::Workspace(root()), None, &events), @"
    0101-web  diagnostics  3d0103be  5 paths changed: src/a.ts, src/b.ts, c, …
      + build        0.9s   ok
      - style        0.9s   failed, allowed, exit 3
        | 2 warnings
      ~ unit         0.9s   flaky: passed at attempt 2
      x lint         0.9s   failed, exit 1
        | web/src/cart.ts:3:5  error  'frob' is not defined  no-undef
    x fail  0101-web  3.1s  see: orchctl logs 3d0103be lint
    ");
    let narrow = told(Focus::Workspace(root()), Some(40), &events);
    insta::assert_snapshot!(narrow, @"
    0101-web  diagnostics  3d0103be
      5 paths changed: src/a.ts, src/b.ts, …
      + build        0.9s   ok
      - style        0.9s   failed, allowed, exit 3
        | 2 warnings
      ~ unit         0.9s   flaky: passed at attempt 2
      x lint         0.9s   failed, exit 1
        | web/src/cart.ts:3:5  error  'frob…
    x fail  0101-web  3.1s
      see: orchctl logs 3d0103be lint
    ");
}

#[test]
fn a_pass_after_an_earlier_run_s_failure_is_told_as_flaky() {
    let mut stage = ended("unit", StageStatus::Succeeded, Outcome::Flaky, Some(0));
    if let Happening::StageEnded(stage) = &mut stage.what {
        stage.attempts = 1;
    }
    let mut done = run_done(Verdict::Flaky, false);
    if let Happening::RunEnded(done) = &mut done.what {
        done.green = Some(false);
    }
    let events = [started(Cause::Manual), stage, done];
    insta::assert_snapshot!(told(Focus::Workspace(root()), None, &events), @r#"
    0101-web  diagnostics  3d0103be  asked for
      ~ unit         0.9s   flaky: has failed before on the same content
    ~ flaky  0101-web  3.1s  flaky counts as failed here (flaky = "fail" in orchd.toml)
    "#);
}

#[test]
fn a_void_run_says_that_it_proves_nothing() {
    let events = [started(Cause::Start), run_done(Verdict::Unknown, true)];
    insta::assert_snapshot!(told(Focus::Workspace(root()), None, &events), @"
    0101-web  diagnostics  3d0103be  not proven yet
    ? unknown  0101-web  3.1s  void: content changed while it ran
    ");
}

#[test]
fn a_verdict_that_comes_back_without_a_run_is_told_once() {
    let verdict = |verdict, of: Option<&str>| {
        event(Happening::Verdict(VerdictTold {
            workspace: root(),
            task_id: task("0101-web"),
            verdict,
            fresh: of.is_some(),
            input_digest: None,
            run_id: of.map(run),
            manifest: None,
            failure: None,
        }))
    };
    let earlier = "2026-11-22T10-00-00-000Z-00c0ffee";
    let events = [
        started(Cause::Change),
        run_done(Verdict::Fail, false),
        verdict(Verdict::Fail, Some(RUN)),
        verdict(Verdict::Unknown, None),
        verdict(Verdict::Pass, Some(earlier)),
        verdict(Verdict::Unknown, None),
        verdict(Verdict::Pass, Some(earlier)),
    ];
    insta::assert_snapshot!(told(Focus::Workspace(root()), None, &events), @"
    0101-web  diagnostics  3d0103be  5 paths changed: src/a.ts, src/b.ts, c, …
        | web/src/cart.ts:3:5  error  'frob' is not defined  no-undef
    x fail  0101-web  3.1s  see: orchctl logs 3d0103be lint
    + pass  0101-web  proven before, by run 00c0ffee
    ");
}

#[test]
fn other_workspaces_and_other_runs_are_left_out() {
    let events = [
        started(Cause::Manual),
        ended("build", StageStatus::Succeeded, Outcome::Passed, Some(0)),
        run_done(Verdict::Pass, false),
    ];
    let elsewhere = RootPath::new(Path::new("/elsewhere")).unwrap();
    assert_eq!(told(Focus::Workspace(elsewhere), None, &events), "");
    assert_eq!(told(Focus::Run(run("another")), None, &events), "");
}

#[test]
fn a_stage_that_cannot_drive_the_terminal() {
    let mut hostile = failure();
    hostile.excerpt =
        "\u{1b}]0;owned\u{7}\u{1b}[2Jgone\u{202e}\r\nsecond\n\n\nthird\nfourth".to_owned();
    insta::assert_snapshot!(plain(&status::failed(&hostile, 2, &look(None))), @"
    lint  exit 1
      | gone�
      | second
      | third
    ");
}

#[test]
fn stages_that_share_an_id_are_told_apart() {
    let mut start = started(Cause::Manual);
    if let Happening::RunStarted(run) = &mut start.what {
        run.stages = ["lint", "build", "lint"].map(stage).to_vec();
    }
    let at = |index, id, status, outcome, code| {
        let mut done = ended(id, status, outcome, Some(code));
        if let Happening::StageEnded(done) = &mut done.what {
            done.index = index;
        }
        done
    };
    let mut done = run_done(Verdict::Fail, false);
    if let Happening::RunEnded(done) = &mut done.what
        && let Some(failure) = &mut done.failure
    {
        failure.name = Some("03-lint".to_owned());
    }
    let events = [
        start,
        at(1, "lint", StageStatus::Succeeded, Outcome::Passed, 0),
        at(2, "build", StageStatus::Succeeded, Outcome::Passed, 0),
        at(3, "lint", StageStatus::Failed, Outcome::Failed, 1),
        done,
    ];
    insta::assert_snapshot!(told(Focus::Run(run(RUN)), None, &events), @"
    0101-web  diagnostics  3d0103be  asked for
      + 01-lint      0.9s   ok
      + build        0.9s   ok
      x 03-lint      0.9s   failed, exit 1
        | web/src/cart.ts:3:5  error  'frob' is not defined  no-undef
    x fail  0101-web  3.1s  see: orchctl logs 3d0103be 03-lint
    ");
}

#[test]
fn a_stage_that_ended_with_its_run_has_not_failed() {
    let mut over = run_done(Verdict::Unknown, false);
    if let Happening::RunEnded(run) = &mut over.what {
        run.status = RunStatus::Cancelled;
        run.status_detail = Some("superseded".to_owned());
        let mut failure = failure();
        failure.exit_code = Some(143);
        run.failure = Some(failure);
    }
    let mut begun = started(Cause::Gate);
    if let Happening::RunStarted(run) = &mut begun.what {
        run.stages.push(stage("a-stage-with-a-long-name"));
    }
    let failed = (StageStatus::Failed, Outcome::Cancelled, Some(143));
    let events = [
        begun,
        ended("build", StageStatus::Succeeded, Outcome::Passed, Some(0)),
        ended("a-stage-with-a-long-name", failed.0, failed.1, failed.2),
        over,
    ];
    insta::assert_snapshot!(told(Focus::Workspace(root()), None, &events), @"
    0101-web  diagnostics  3d0103be  for a gate
      + build                    0.9s   ok
      - a-stage-with-a-long-name 0.9s   cancelled
    - cancelled  0101-web  3.1s  superseded
    ");
}

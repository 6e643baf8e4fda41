//! `run` and `resume`: following a run to its end, whatever happens on the way.

use crate::deadline::DEADLINE;
use crate::support::{Place, Say, end, event, keys, value};
use orch::model::report::event::{DropReason, Event, Happening, RunDone, RunDropped};
use orch::model::report::status::Failure;
use orch::model::run::{RunStatus, Verdict};
use orch::wire::call::Call;
use orch::wire::refusal::{ErrorKind, Refusal};
use serde_json::{Value, json};
use std::path::Path;

fn begun() -> Value {
    json!({"run_id": "r-1", "status": "in_progress", "artifact_root": "a", "manifest": "m",
           "log_path": "l", "verdict": "unknown"})
}

fn ended(run: &str, verdict: Verdict) -> Event {
    let root = orch::model::path::RootPath::new(Path::new("/w")).unwrap();
    event(
        7,
        Happening::RunEnded(RunDone {
            workspace: root,
            task_id: orch::model::id::TaskId::parse("0101").unwrap(),
            run_id: orch::model::id::RunId::parse(run).unwrap(),
            pipeline_id: orch::model::id::PipelineId::parse("p").unwrap(),
            parent_run_id: None,
            status: RunStatus::Failed,
            status_detail: None,
            verdict,
            green: None,
            input_digest: None,
            void: false,
            unproven: None,
            duration_ms: 5,
            manifest: "m".to_owned(),
            failure: (verdict == Verdict::Fail).then(|| Failure {
                stage: orch::model::id::StageId::parse("lint").unwrap(),
                name: None,
                exit_code: Some(1),
                excerpt: "a.ts:3 wrong".to_owned(),
                log_path: None,
                run_id: None,
            }),
        }),
    )
}

fn subscribed() -> Value {
    json!({"subscribed": true, "seq": 0})
}

fn started(run: &str) -> Event {
    let started = json!({"workspace": "/w", "task_id": "0101", "run_id": run, "pipeline_id": "p",
        "parent_run_id": null, "cause": "manual", "input_digest": null,
        "manifest": "m", "stages": ["lint"], "count": 0, "paths": []});
    event(
        6,
        Happening::RunStarted(serde_json::from_value(started).unwrap()),
    )
}

fn got(verdict: &str) -> Value {
    json!({
        "run_id": "r-1", "task_id": "0101", "pipeline_id": "p", "status": "succeeded",
        "verdict": verdict, "cause": "manual", "started_at": "2026-11-22T10:00:00Z",
        "completed_at": null, "duration_ms": 1, "manifest": "m", "workspace": "/w",
        "parent_run_id": null, "status_detail": null, "summary": null, "artifact_root": "a",
        "log_path": "l", "changed": null, "void": null, "stages": [],
    })
}

fn place(start: impl Fn() -> Say + Send + Sync + 'static) -> Place {
    place_that_tells(vec![started("r-1")], start)
}

/// A daemon that tells these events as soon as somebody wants some.
fn place_that_tells(events: Vec<Event>, start: impl Fn() -> Say + Send + Sync + 'static) -> Place {
    let place = Place::with_daemon(move |call| match call {
        Call::EventsSubscribe(_) => Say::AnswerAnd(subscribed(), events.clone()),
        Call::RunStart(wanted) => {
            assert!(!wanted.wait, "on a terminal the client follows by events");
            start()
        }
        Call::RunResume(_) => start(),
        Call::RunGet(_) => Say::Answer(got("pass")),
        other => panic!("{other:?}"),
    });
    place.write("orchd.toml", "");
    place
}

#[test]
fn a_run_is_followed_to_its_end() {
    let place = place(|| {
        let events = vec![ended("r-0", Verdict::Pass), ended("r-1", Verdict::Fail)];
        Say::AnswerAnd(begun(), events)
    });
    let done = place.run_watched(&["run"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(
        done.text(),
        "  lint  exit 1\n    | a.ts:3 wrong\nx fail  r-1\n  m\n"
    );
    for arguments in [
        &["run", "--json"][..],
        &["start", "--format", "json"],
        &["resume", "--run", "r", "--json"],
    ] {
        let done = place.run_watched(arguments);
        assert_eq!(done.code, Some(1), "{done:?}");
        let json = done.json();
        let fields = [
            "run_id",
            "status",
            "artifact_root",
            "manifest",
            "log_path",
            "verdict",
        ];
        assert_eq!(keys(&json), fields);
        assert_eq!(
            (&json["status"], &json["verdict"]),
            (&json!("failed"), &json!("fail"))
        );
    }
}

/// A daemon that answers at the end of a run, and says why it stands so, or why it says nothing of what is there.
fn at_the_end(
    (status, verdict): (&'static str, &'static str),
    detail: Option<&'static str>,
    unproven: Option<&'static str>,
) -> Place {
    let place = Place::with_daemon(move |call| match call {
        Call::RunStart(wanted) => {
            assert!(wanted.wait, "whoever is shown nothing needs no events");
            let mut answer = begun();
            answer["status"] = json!(status);
            answer["verdict"] = json!(verdict);
            answer["status_detail"] = json!(detail);
            answer["unproven"] = json!(unproven);
            if status != "succeeded" {
                answer["failure"] = json!({"stage": "lint", "exit_code": 1,
                    "excerpt": "a.ts:3 wrong", "log_path": null});
            }
            Say::Answer(answer)
        }
        other => panic!("{other:?}"),
    });
    place.write("orchd.toml", "");
    place
}

#[test]
fn a_verdict_that_has_come_is_told_though_the_daemon_goes() {
    let place = Place::with_daemon(|_| {
        let mut answer = begun();
        answer["status"] = json!("failed");
        answer["verdict"] = json!("fail");
        Say::AnswerAndLeave(answer)
    });
    place.write("orchd.toml", "");
    let done = place.run(&["run", "--json"]);
    assert_eq!(
        (done.code, &done.json()["verdict"]),
        (Some(1), &json!("fail"))
    );
}

#[test]
fn off_a_terminal_the_end_alone_is_asked_for() {
    for (status, verdict, detail, code, said) in [
        (
            "failed",
            "fail",
            Some("stage:lint:failed"),
            1,
            "  lint  exit 1\n    | a.ts:3 wrong\nx fail  r-1\n  m\n",
        ),
        ("succeeded", "pass", None, 0, "+ pass  r-1\n  m\n"),
        // A daemon that does not say why: nothing is made up.
        ("succeeded", "unknown", None, 3, "? unknown  r-1\n  m\n"),
        (
            "cancelled",
            "unknown",
            Some("superseded"),
            3,
            "  cancelled: superseded\n? unknown  r-1\n  m\n",
        ),
        (
            "cancelled",
            "unknown",
            Some("run-canceled"),
            3,
            "  cancelled\n? unknown  r-1\n  m\n",
        ),
    ] {
        let place = at_the_end((status, verdict), detail, None);
        let done = place.run(&["run"]);
        assert_eq!((done.code, done.text()), (Some(code), said), "{done:?}");
        assert_eq!(done.err, "");
        let json = place.run(&["run", "--json"]).json();
        assert_eq!(json["verdict"], verdict);
        assert_eq!(keys(&json).len(), 6, "words are for people: {json}");
    }
}

#[test]
fn a_run_that_says_nothing_of_what_is_there_is_told_with_the_true_reason() {
    let kept = "a stage was kept from before the resume, and had run on other content";
    for (reason, said) in [
        ("changed", "content changed while it ran"),
        ("may-have-changed", "content may have changed while it ran"),
        (
            "child-cancelled",
            "a run that is a stage of it was cancelled",
        ),
        ("kept", kept),
    ] {
        let place = at_the_end(("succeeded", "unknown"), None, Some(reason));
        let done = place.run(&["run"]);
        let said = format!("  {said}: it says nothing of what is there now\n? unknown  r-1\n  m\n");
        assert_eq!((done.code, done.text()), (Some(3), said.as_str()));
        let json = place.run(&["run", "--json"]).json();
        assert_eq!(keys(&json).len(), 6, "words are for people: {json}");
    }
}

#[test]
fn an_end_that_is_told_before_the_answer_is_not_missed() {
    let place = place(|| Say::EventsFirst(vec![ended("r-1", Verdict::Flaky)], begun()));
    let done = place.run_watched(&["run", "--json"]);
    assert_eq!(
        (done.code, &done.json()["verdict"]),
        (Some(0), &json!("flaky"))
    );
}

#[test]
fn after_a_resync_the_run_itself_is_asked() {
    let place = place(|| {
        let status = json!({"daemon": {"pid": 1, "version": "0", "instance_id": "i",
            "uptime_ms": 0, "seq": 9, "rss_bytes": 0, "watches": 0}, "workspaces": []});
        let snapshot = Happening::Snapshot {
            status: serde_json::from_value(status).unwrap(),
        };
        Say::AnswerAnd(
            begun(),
            vec![event(9, Happening::Resync), event(9, snapshot)],
        )
    });
    let done = place.run_watched(&["run", "--json"]);
    assert_eq!(
        (done.code, &done.json()["status"]),
        (Some(0), &json!("succeeded"))
    );
}

#[test]
fn a_run_that_is_joined_is_shown_from_there_on() {
    let place = Place::with_daemon(|call| match call {
        Call::EventsSubscribe(_) => Say::Answer(subscribed()),
        Call::RunStart(_) => Say::AnswerAnd(begun(), vec![ended("r-1", Verdict::Pass)]),
        Call::RunGet(_) => {
            let mut got = got("unknown");
            got["status"] = json!("in_progress");
            Say::Answer(got)
        }
        Call::Status(_) => Say::Answer(json!({"daemon": {"pid": 1, "version": "0",
            "instance_id": "i", "uptime_ms": 0, "seq": 9, "rss_bytes": 0, "watches": 0},
            "workspaces": []})),
        other => panic!("{other:?}"),
    });
    place.write("orchd.toml", "");
    let done = place.run_watched(&["run"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.err.contains("0101  p  r-1"), "{done:?}");
}

#[test]
fn a_run_that_ended_before_events_came_is_asked() {
    let place = place_that_tells(Vec::new(), || Say::Answer(begun()));
    let done = place.run_watched(&["run", "--json"]);
    assert_eq!(
        (done.code, &done.json()["status"]),
        (Some(0), &json!("succeeded"))
    );
}

#[test]
fn a_flaky_end_that_was_missed_counts_as_the_workspace_says() {
    let place = Place::with_daemon(|call| match call {
        Call::EventsSubscribe(_) => Say::Answer(subscribed()),
        Call::RunStart(_) => Say::Answer(begun()),
        Call::RunGet(_) => {
            let mut got = got("flaky");
            got["green"] = json!(false);
            Say::Answer(got)
        }
        other => panic!("{other:?}"),
    });
    place.write("orchd.toml", "");
    let done = place.run_watched(&["run", "--json"]);
    assert_eq!((done.code, &done.json()["green"]), (Some(1), &json!(false)));
}

#[test]
fn a_daemon_that_ends_in_the_middle_is_no_verdict() {
    let place = place(|| Say::AnswerAndLeave(begun()));
    let done = place.run_watched(&["run"]);
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(done.err.contains("went away"), "{done:?}");
}

#[test]
fn detach_returns_once_the_run_has_begun() {
    let done = place(|| Say::Answer(begun())).run(&["run", "--detach"]);
    assert_eq!((done.code, done.text()), (Some(0), "> running  r-1\n  m\n"));
}

#[test]
fn an_interrupt_lets_go_and_says_what_becomes_of_the_run() {
    let place = Place::with_daemon(|_| Say::Line(r#"{"jsonrpc":"2.0","method":"later"}"#));
    place.write("orchd.toml", "");
    let child = place.orchctl(&["run"]).spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let listening = || {
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = text
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:\t"))
            .unwrap();
        u64::from_str_radix(caught, 16).unwrap() & 0b10 != 0
    };
    wait_until(listening);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = end(child);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("interrupted"), "{said}");
    assert!(said.contains("A run that has begun goes on"), "{said}");
}

/// Waits for what another process does, with a deadline.
pub(crate) fn wait_until(mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + DEADLINE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "it never happened");
        std::thread::yield_now();
    }
}

#[test]
fn every_flag_reaches_the_daemon() {
    let place = Place::with_daemon(|call| match call {
        Call::EventsSubscribe(wanted) if wanted.since.is_none() => Say::Answer(subscribed()),
        call => Say::Refuse(Refusal::new(ErrorKind::Internal, value(call).to_string())),
    });
    place.write("orchd.toml", "");
    let root = place.work_str();
    for (line, asked) in [
        (
            "run lint --task 0101 --force --parent-run p --approval-policy never",
            format!(
                r#"{{"workspace":"{root}","task":"0101","pipeline":"lint","force":true,"wait":true,"detach":false,"parent_run":"p","approval_policy":"never"}}"#
            ),
        ),
        (
            "resume --run r --token t --actor a --reason b",
            r#"{"run_id":"r","token":"t","actor":"a","reason":"b","wait":true}"#.to_owned(),
        ),
        (
            "gate --task a --task b --no-wait",
            format!(r#"{{"workspace":"{root}","tasks":["a","b"],"wait":false}}"#),
        ),
        (
            "runs --limit 3",
            format!(r#"{{"workspace":"{root}","limit":3}}"#),
        ),
        (
            "sync --timeout 500ms",
            format!(r#"{{"workspace":"{root}","timeout_ms":500}}"#),
        ),
        (
            "wait --timeout 2m",
            format!(r#"{{"workspace":"{root}","timeout_ms":120000}}"#),
        ),
        ("events --since 4", r#"{"since":4}"#.to_owned()),
        ("cancel r", r#"{"run_id":"r"}"#.to_owned()),
        ("explain a/b", format!(r#"{{"path":"{root}/a/b"}}"#)),
        (
            "add --allow",
            format!(r#"{{"path":"{root}","allow":true}}"#),
        ),
        ("remove gone", format!(r#"{{"path":"{root}/gone"}}"#)),
        (
            "plan p",
            format!(r#"{{"workspace":"{root}","pipeline":"p"}}"#),
        ),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let done = place.run(&arguments);
        assert!(done.err.contains(&asked), "{line}: {done:?}");
    }
}

#[test]
fn a_run_that_never_begins_is_told_by_why() {
    let status = json!({"daemon": {"pid": 1, "version": "0", "instance_id": "i",
        "uptime_ms": 0, "seq": 9, "rss_bytes": 0, "watches": 0}, "workspaces": []});
    for (reason, code, said) in [
        (DropReason::Cancelled, 3, "cancelled"),
        (DropReason::Refused, 2, "line 3: unknown key"),
    ] {
        let status = status.clone();
        let place = Place::with_daemon(move |call| match call {
            Call::EventsSubscribe(_) => Say::Answer(subscribed()),
            Call::RunStart(wanted) => {
                assert_eq!(wanted.detach, Some(false));
                let queued = json!({"run_id": "r-1", "status": "queued", "artifact_root": "a",
                    "manifest": "m", "log_path": "l", "verdict": "unknown"});
                Say::AnswerAnd(queued, vec![dropped(reason)])
            }
            Call::Status(_) => Say::Answer(status.clone()),
            Call::RunGet(_) => {
                let refusal = Refusal::new(ErrorKind::InvalidConfig, "line 3: unknown key");
                Say::Refuse(refusal)
            }
            other => panic!("{other:?}"),
        });
        let done = place.run_watched(&["run", "--workspace", ".", "--json"]);
        assert_eq!(done.code, Some(code), "{done:?}");
        let document = done.json().to_string();
        assert!(document.contains(said), "{done:?}");
    }
}

fn dropped(reason: DropReason) -> Event {
    let dropped = RunDropped {
        workspace: orch::model::path::RootPath::new(Path::new("/w")).unwrap(),
        task_id: orch::model::id::TaskId::parse("0101").unwrap(),
        run_id: orch::model::id::RunId::parse("r-1").unwrap(),
        pipeline_id: orch::model::id::PipelineId::parse("p").unwrap(),
        reason,
        detail: None,
    };
    event(8, Happening::RunDropped(dropped))
}

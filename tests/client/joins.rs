//! `watch` that comes to a run which is under way.

use crate::deadline::within;
use crate::support::{Place, Say, end};
use orch::model::report::event::Event;
use orch::wire::call::Call;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::sync::{Arc, OnceLock};

const RUN: &str = "2026-11-22T10-09-50-592Z-3d0103be";
const CHILD: &str = "2026-11-22T10-09-51-000Z-00c0ffee";

fn told(seq: u64, kind: &str, fields: &Value) -> Event {
    let mut event = json!({"seq": seq, "at": "2026-11-22T10:12:00Z", "type": kind,
        "workspace": "/w", "task_id": "0101", "pipeline_id": "p"});
    let fields = fields.as_object().unwrap().clone();
    event.as_object_mut().unwrap().extend(fields);
    serde_json::from_value(event).unwrap()
}

fn snapshot(seq: u64, root: &str) -> Event {
    let running = json!({"run_id": RUN, "stage": "sub", "started_at": "2026-11-22T10:09:50Z"});
    let status = json!({"daemon": {"pid": 1, "version": "0", "instance_id": "i", "uptime_ms": 0,
        "seq": seq, "rss_bytes": 0, "watches": 0}, "workspaces": [{"root": root,
        "state": "watching", "detail": null, "projects": [{"task_id": "0101", "path": ".",
        "pipeline": "p", "verdict": "unknown", "fresh": false, "phase": "running",
        "input_digest": null, "running": running, "last_run": null, "failure": null}]}]});
    told(seq, "snapshot", &json!({"status": status}))
}

fn ended(seq: u64, root: &str, run: &str, stage: &str) -> Event {
    let fields = json!({"workspace": root, "run_id": run, "stage": stage, "index": 1,
        "status": "succeeded", "outcome": "passed", "exit_code": 0, "summary": null,
        "duration_ms": 940, "attempts": 1, "reused_from": null});
    told(seq, "stage.ended", &fields)
}

/// One of the two runs as it stands: of the outer one the stage that is the inner one is under way.
fn detail(run: &str, root: &str) -> Value {
    let (pipeline, parent, stage, child) = match run {
        RUN => ("diagnostics", None, "sub", Some(CHILD)),
        _ => ("inner", Some(RUN), "unit", None),
    };
    let cause = if parent.is_some() { "parent" } else { "manual" };
    json!({"run_id": run, "task_id": "0101", "pipeline_id": pipeline, "status": "in_progress",
        "verdict": "unknown", "cause": cause, "started_at": "2026-11-22T10:09:50Z",
        "completed_at": null, "duration_ms": null, "manifest": "m", "workspace": root,
        "parent_run_id": parent, "status_detail": null, "summary": null, "artifact_root": "a",
        "log_path": "l", "changed": null, "void": null, "stages": [{"id": stage,
        "title": stage, "status": "running", "outcome": null, "command": null,
        "exit_code": null, "summary": null, "started_at": null, "completed_at": null,
        "duration_ms": null, "key": null, "input_digest": null, "reused_from": null,
        "attempts": 1, "log_path": null, "error_file": null, "sub_run_id": child}]})
}

#[test]
fn a_run_that_is_under_way_is_named_once_before_its_stages() {
    let dir = Arc::new(OnceLock::new());
    let root = Arc::clone(&dir);
    let place = Place::with_daemon(move |call| {
        let root: &String = root.get().unwrap();
        match call {
            Call::WorkspaceAdd(_) => Say::Answer(
                json!({"root": root, "state": "watching", "detail": null, "tasks": ["0101"]}),
            ),
            Call::EventsSubscribe(_) => {
                let done = json!({"workspace": root, "run_id": RUN, "parent_run_id": null,
                    "status": "succeeded", "status_detail": null, "verdict": "pass",
                    "input_digest": null, "void": false, "duration_ms": 3100, "manifest": "m",
                    "failure": null});
                let events = vec![
                    snapshot(1, root),
                    told(1, "resync", &json!({})),
                    snapshot(1, root),
                    ended(2, root, CHILD, "unit"),
                    ended(3, root, RUN, "sub"),
                    told(4, "run.ended", &done),
                ];
                Say::AnswerAnd(json!({"subscribed": true, "seq": 0}), events)
            }
            Call::RunGet(wanted) => Say::Answer(detail(&wanted.run_id, root)),
            other => panic!("{other:?}"),
        }
    });
    dir.set(place.work_str().to_owned()).unwrap();
    let mut child = place.orchctl(&["watch"]).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (said, _lines) = within("the end of the run", || {
        let mut said = Vec::new();
        let mut lines = lines.map(Result::unwrap);
        for line in lines.by_ref() {
            let is_last = line.starts_with("+ pass");
            said.push(line);
            if is_last {
                break;
            }
        }
        (said, lines)
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(end(child).status.code(), Some(0));
    let root = place.work_str();
    let status = format!("{root}  + watching");
    // How long it runs depends on the moment.
    let said: Vec<&str> = said
        .iter()
        .map(|line| line.split("  stale").next().unwrap())
        .collect();
    assert_eq!(
        said,
        [
            &status,
            "  ? unknown   0101",
            "0101  diagnostics  3d0103be  asked for",
            "  0101  inner  00c0ffee  part of another run",
            &status,
            "  ? unknown   0101",
            "    + unit         0.9s   ok",
            "  + sub          0.9s   ok",
            "+ pass  0101  3.1s",
        ]
    );
}

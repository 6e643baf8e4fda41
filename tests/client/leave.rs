//! ^C while something is waited for: what is said of what goes on.

use crate::runs::wait_until;
use crate::support::{Done, Place, Say, end};
use orch::wire::call::Call;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two projects: one has this run under way, and of the other nothing runs.
fn status() -> Value {
    let project = |task: &str, running: Value| {
        json!({"task_id": task, "path": ".", "pipeline": "p", "verdict": "unknown",
            "fresh": false, "phase": if running.is_null() { "idle" } else { "running" },
            "input_digest": null, "running": running, "last_run": null, "failure": null})
    };
    let running = json!({"run_id": "2026-11-22T10-09-50-592Z-3d0103be", "stage": null,
        "started_at": "2026-11-22T10:09:50Z"});
    json!({"daemon": {"pid": 1, "version": "0", "instance_id": "i", "uptime_ms": 0, "seq": 9,
        "rss_bytes": 0, "watches": 0}, "workspaces": [{"root": "/w", "state": "watching",
        "detail": null, "projects": [project("0101", running), project("0202", Value::Null)]}]})
}

/// What `orchctl` says at ^C, once it waits for verdicts that never come.
fn interrupted(arguments: &[&str]) -> Done {
    let asked = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&asked);
    let place = Place::with_daemon(move |call| match call {
        Call::Gate(_) | Call::Wait(_) => {
            heard.store(true, Ordering::Release);
            Say::Line(r#"{"jsonrpc":"2.0","method":"later"}"#)
        }
        Call::Status(_) => Say::Answer(status()),
        other => panic!("{other:?}"),
    });
    place.write("orchd.toml", "");
    let child = place.orchctl(arguments).spawn().unwrap();
    let pid = Pid::from_child(&child);
    wait_until(|| asked.load(Ordering::Acquire));
    kill_process(pid, Signal::INT).unwrap();
    Done::of(end(child))
}

#[test]
fn who_waits_for_verdicts_is_told_at_an_interrupt_which_runs_go_on() {
    let goes_on = "Run 3d0103be of 0101 goes on. Follow it with `orchctl logs -f 3d0103be`, \
        end it with `orchctl cancel 3d0103be`.\n";
    let nothing = "Nothing of it runs now. See how it stands with: orchctl status\n";
    for command in ["gate", "wait"] {
        for (arguments, said) in [
            (vec![command], goes_on),
            (vec![command, "--task", "0101"], goes_on),
            (vec![command, "--task", "0202"], nothing),
        ] {
            let done = interrupted(&arguments);
            assert_eq!((done.code, done.text()), (Some(3), ""), "{done:?}");
            let error = "error: interrupted before the answer was there\n";
            assert_eq!(done.err, format!("\n{said}{error}"), "{arguments:?}");
        }
        let done = interrupted(&[command, "--json"]);
        assert_eq!(done.code, Some(3), "{done:?}");
        assert!(done.err.contains(goes_on), "{done:?}");
        let document = done.json();
        assert_eq!(document["verdict"], "unknown", "{done:?}");
        assert_eq!(document["projects"].as_array().unwrap().len(), 2);
    }
}

//! ^C while something is waited for: what is said of what goes on.

use crate::runs::wait_until;
use crate::support::{Done, Place, Say, end};
use orch::wire::call::Call;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A daemon that tells the verdicts of many projects at once, and then says nothing any more.
fn falls_silent(heard: Arc<AtomicBool>) -> Place {
    let place = Place::with_daemon(move |call| match call {
        Call::Gate(_) | Call::Wait(_) => {
            let projects = (0..60).map(|number| {
                json!({"task_id": format!("{number:04}"), "verdict": "pass", "input_digest": null,
                    "run_id": format!("r-{number}"), "manifest": "m", "reused": true})
            });
            Say::Answer(json!({"verdict": "pass", "projects": projects.collect::<Vec<_>>()}))
        }
        Call::RunGet(_) => {
            heard.store(true, Ordering::Release);
            Say::Line(r#"{"jsonrpc":"2.0","method":"later"}"#)
        }
        other => panic!("{other:?}"),
    });
    place.write("orchd.toml", "");
    place
}

#[test]
fn verdicts_that_have_come_are_told_though_the_daemon_falls_silent() {
    for command in ["gate", "wait"] {
        let done = falls_silent(Arc::default()).run(&[command]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(done.text().matches("+ pass").count(), 60, "{done:?}");
    }
}

#[test]
fn verdicts_that_have_come_are_told_at_an_interrupt_too() {
    let asked = Arc::new(AtomicBool::new(false));
    let place = falls_silent(Arc::clone(&asked));
    let child = place.orchctl(&["gate"]).spawn().unwrap();
    let pid = Pid::from_child(&child);
    wait_until(|| asked.load(Ordering::Acquire));
    kill_process(pid, Signal::INT).unwrap();
    let done = Done::of(end(child));
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    assert_eq!(done.text().matches("+ pass").count(), 60, "{done:?}");
}

#[test]
fn a_second_interrupt_ends_the_command_at_once() {
    let asked = Arc::new(AtomicBool::new(false));
    let (heard, gone) = (Arc::clone(&asked), Arc::new(AtomicBool::new(false)));
    let left = Arc::clone(&gone);
    let place = Place::with_daemon(move |call| {
        match call {
            Call::Gate(_) => heard.store(true, Ordering::Release),
            Call::Status(_) => left.store(true, Ordering::Release),
            other => panic!("{other:?}"),
        }
        Say::Line(r#"{"jsonrpc":"2.0","method":"later"}"#)
    });
    place.write("orchd.toml", "");
    let child = place.orchctl(&["gate"]).spawn().unwrap();
    let pid = Pid::from_child(&child);
    for waits in [asked, gone] {
        wait_until(|| waits.load(Ordering::Acquire));
        kill_process(pid, Signal::INT).unwrap();
    }
    let status = end(child).status;
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()), "{status:?}");
}

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

//! Streams: events and logs, to their end, to ^C, and into a pipe that nobody reads.

use crate::deadline::within;
use crate::runs::wait_until;
use crate::support::{Done, Place, Say, end, event, output, terminal};
use orch::model::report::event::{Event, Happening};
use orch::wire::call::Call;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

fn happenings(count: u64) -> Vec<Event> {
    (1..=count)
        .map(|seq| event(seq, Happening::Resync))
        .collect()
}

fn telling(count: u64) -> Place {
    Place::with_daemon(move |call| match call {
        Call::EventsSubscribe(_) => {
            Say::AnswerAnd(json!({"subscribed": true, "seq": 0}), happenings(count))
        }
        other => panic!("{other:?}"),
    })
}

#[test]
fn events_are_one_object_a_line_until_an_interrupt() {
    let place = telling(3);
    let mut child = place.orchctl(&["events"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The pipe stays open: a closed one would be an end of its own.
    let (told, _lines) = within("three events", || {
        let told: Vec<String> = lines.by_ref().take(3).map(Result::unwrap).collect();
        (told, lines)
    });
    for (line, seq) in told.iter().zip(1..=3) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["seq"], &line["type"]),
            (&json!(seq), &json!("resync"))
        );
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(end(child).status.code(), Some(0));
}

#[test]
fn an_interrupt_ends_the_line_of_a_terminal() {
    let place = telling(1);
    let (watcher, slave) = terminal();
    let mut command = place.orchctl(&["events"]);
    command.stdout(slave.try_clone().unwrap()).stderr(slave);
    let mut child = command.spawn().unwrap();
    drop(command);
    let (mut seen, mut watcher) = within("an event", || {
        let mut watcher = BufReader::new(watcher);
        let mut line = Vec::new();
        watcher.read_until(b'\n', &mut line).unwrap();
        (line, watcher)
    });
    assert!(seen.ends_with(b"\"resync\"}\r\n"), "{seen:?}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    seen.clear();
    let rest = within("the end", move || {
        // It ends in an error once nobody has the terminal any more.
        drop(watcher.read_to_end(&mut seen));
        seen
    });
    assert_eq!(rest, b"\r\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_is_success() {
    let place = telling(100_000);
    let mut child = place.orchctl(&["events"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = end(child);
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    for arguments in [&["--help"][..], &["man"], &["completions", "zsh"]] {
        let mut child = place.orchctl(arguments).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(end(child).status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_no_success() {
    let place = Place::with_daemon(|_| Say::Answer(json!({"workspaces": []})));
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut list = place.orchctl(&["list"]);
    list.stdout(Stdio::from(full));
    let done = Done::of(output(list));
    assert_eq!(done.code, Some(5));
    assert!(
        done.err.starts_with("error: could not write the output: "),
        "{done:?}"
    );
}

const LINES: [&str; 4] = [
    r#"{"type":"command:start","command":"x","timestamp":"2026-11-22T10:00:00Z","index":1}"#,
    r#"{"type":"command:stdout","data":"a\u001b[31mb","timestamp":"2026-11-22T10:00:00Z","index":1}"#,
    r#"{"type":"command:stderr","data":"wrong\n","timestamp":"2026-11-22T10:00:00Z","index":1}"#,
    r#"{"type":"command:stdout","data":"\ufffd\n","base64":"/wAK","timestamp":"2026-11-22T10:00:00Z","index":1}"#,
];

/// A log in pages of one line, whose last one is only there when it is asked for again.
fn logging() -> Place {
    let late = std::sync::atomic::AtomicBool::new(false);
    let stage = |id: &str, status: &str| {
        json!({"id": id, "title": id, "status": status, "outcome": null, "command": null,
            "exit_code": null, "summary": null, "started_at": null, "completed_at": null,
            "duration_ms": null, "key": null, "input_digest": null, "reused_from": null,
            "attempts": 1, "log_path": null, "error_file": null, "sub_run_id": null})
    };
    let record = json!({"run_id": "r-1", "task_id": "0101", "pipeline_id": "p",
        "status": "failed", "verdict": "fail", "cause": "manual",
        "started_at": "2026-11-22T10:00:00Z", "completed_at": null, "duration_ms": 1,
        "manifest": "m", "workspace": "/w", "parent_run_id": null, "status_detail": null,
        "summary": null, "artifact_root": "a", "log_path": "l", "changed": null, "void": null,
        "stages": [stage("build", "succeeded"), stage("lint", "failed")]});
    Place::with_daemon(move |call| match call {
        Call::WorkspaceList(_) => Say::Answer(json!({"workspaces": []})),
        Call::RunList(_) => Say::Answer(json!({"runs": [record]})),
        Call::RunGet(_) => Say::Answer(record.clone()),
        Call::LogsRead(wanted) => {
            let stage = wanted.stage.as_ref().map(ToString::to_string);
            assert_ne!(stage.as_deref(), Some("build"), "nobody asked for that");
            let at = usize::try_from(wanted.offset).unwrap();
            let is_late = at == 3 && !late.swap(true, std::sync::atomic::Ordering::SeqCst);
            let line = LINES.get(at).filter(|_| !is_late);
            let next = at + usize::from(line.is_some());
            Say::Answer(json!({"run_id": "r-1", "stage": stage, "offset": at,
                "next_offset": next, "size": if at < 3 { 3 } else { next },
                "ended": next == 4, "lines": line.into_iter().collect::<Vec<_>>()}))
        }
        other => panic!("{other:?}"),
    })
}

#[test]
fn logs_are_the_bytes_of_the_first_stage_that_failed() {
    let done = logging().run(&["logs", "-f"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.out, b"a\x1b[31mb\xff\x00\n");
    assert_eq!(done.err, "wrong\n");
}

#[test]
fn raw_logs_are_the_lines_on_disk() {
    for arguments in [
        ["logs", "r-1", "lint", "--raw"],
        ["logs", "r-1", "lint", "--json"],
    ] {
        let done = logging().run(&arguments);
        assert_eq!(done.text(), format!("{}\n", LINES[..3].join("\n")));
    }
}

#[test]
fn a_stage_that_is_not_there_is_named() {
    let done = logging().run(&["logs", "r-1", "test"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains("run r-1 has no log of a stage `test`"),
        "{done:?}"
    );
}

#[test]
fn ping_waits_until_a_daemon_answers() {
    let place = Place::new();
    let child = place
        .orchctl(&["ping", "--wait", "1m", "--json"])
        .spawn()
        .unwrap();
    wait_until(|| std::fs::read_link(format!("/proc/{}/exe", child.id())).is_ok());
    let listener = std::os::unix::net::UnixListener::bind(place.socket()).unwrap();
    let (mut stream, asked) = within("two calls and two questions", move || {
        // The first call finds somebody who is silent, and then goes: that is no answer, and ping goes on.
        drop(listener.accept().unwrap());
        let (stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let asked: Vec<String> = lines.take(2).map(Result::unwrap).collect();
        (stream, asked)
    });
    assert!(asked[0].contains("initialize") && asked[1].contains("ping"));
    let answer = json!({"jsonrpc": "2.0", "id": 2, "result": {"pid": 1, "version": "0",
        "instance_id": "i", "uptime_ms": 5, "seq": 3}});
    std::io::Write::write_all(&mut stream, format!("{answer}\n").as_bytes()).unwrap();
    let done = Done::of(end(child));
    assert_eq!((done.code, &done.json()["pid"]), (Some(0), &json!(1)));
}

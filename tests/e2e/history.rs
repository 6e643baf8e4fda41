//! What ran: listed, shown, its output followed while it runs, the stream of events for programs.

use crate::support::{Running, World, check, lines, pipeline};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

#[test]
fn logs_follow_a_run_to_its_end() {
    let world = World::new();
    let gate = world.fifo("gate");
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        check(&format!(
            "echo early; read _ < {}; echo late",
            gate.display()
        )),
    );
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    let started = events.until_stage("check");
    let run = started["run_id"].as_str().unwrap();
    let mut follow = workspace.orchctl(&["logs", run, "-f"]);
    let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "early\n");
    std::fs::write(&gate, "go\n").unwrap();
    let rest: Vec<String> = out.lines().map(Result::unwrap).collect();
    assert_eq!(rest, ["late"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn show_has_the_whole_run() {
    let world = World::new();
    let toml = pipeline(&[
        ("good", "command = 'true'"),
        ("bad", "command = 'echo why >&2; exit 9'"),
        ("never", "command = 'true'"),
    ]);
    let workspace = world.directory("w");
    workspace.write("orchd.toml", toml);
    workspace.done(&["add", "--allow"]);
    let run = workspace.wait()["projects"][0]["run_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = workspace.done(&["show", &run, "--json"]).json();
    assert_eq!(
        (&shown["cause"], &shown["verdict"], &shown["status_detail"]),
        (&json!("start"), &json!("fail"), &json!("stage:bad:failed"))
    );
    let stages: Vec<(&Value, &Value)> = shown["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (&s["status"], &s["exit_code"]))
        .collect();
    assert_eq!(
        stages,
        [
            (&json!("succeeded"), &json!(0)),
            (&json!("failed"), &json!(9)),
            (&json!("pending"), &Value::Null)
        ]
    );
    assert!(workspace.has(shown["stages"][1]["error_file"].as_str().unwrap()));
    let words = workspace.done(&["show", &run]).out;
    assert!(words.contains("bad") && words.contains("why"), "{words}");
    // Without a stage the first that failed is meant.
    let logs = workspace.done(&["logs"]);
    assert_eq!((logs.out.as_str(), logs.err.as_str()), ("", "why\n"));
}

#[test]
fn the_history_is_rebuilt_without_its_index() {
    let mut world = World::new();
    let counter = world.path("counter");
    let toml = check(&format!("cat a.txt || true; echo >> {}", counter.display()));
    drop(world.watched("w", &toml));
    let workspace = world.directory("w");
    for number in 0..3 {
        workspace.write("a.txt", format!("{number}\n"));
        workspace.wait();
    }
    let before = workspace.runs();
    assert_eq!((before.len(), lines(&counter)), (4, 4));
    world.signal(Signal::TERM);
    world.ended();
    for entry in std::fs::read_dir(world.state()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().contains("index") {
            if entry.path().is_dir() {
                std::fs::remove_dir_all(entry.path()).unwrap();
            } else {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
    world.start();
    assert_eq!(world.directory("w").runs(), before);
}

#[test]
fn the_stream_of_events_is_one_document_a_line() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let mut command = workspace.orchctl(&["events"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let snapshot: Value = serde_json::from_str(&out.next().unwrap().unwrap()).unwrap();
    assert_eq!(
        (
            &snapshot["type"],
            &snapshot["status"]["workspaces"][0]["root"]
        ),
        (&json!("snapshot"), &json!(workspace.root()))
    );
    let running = Running::of(workspace.orchctl(&["run", "--force"]));
    let mut seq = snapshot["seq"].as_u64().unwrap();
    loop {
        let event: Value = serde_json::from_str(&out.next().unwrap().unwrap()).unwrap();
        seq += 1;
        assert_eq!(event["seq"], seq);
        if event["type"] == "run.ended" {
            break;
        }
    }
    // A closed pipe is success.
    drop(out);
    assert_eq!(running.end().code, Some(0));
    workspace.write("a.txt", "one more event\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

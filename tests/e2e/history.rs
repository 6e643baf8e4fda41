//! What ran: listed, shown, its output followed while it runs, the stream of events for programs.

use crate::deadline::within;
use crate::support::{Running, Workspace, World, check, finish, lines, names, pipeline};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
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
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let (line, out) = within("the first line", || (out.next().unwrap().unwrap(), out));
    assert_eq!(line, "early");
    world.say(&gate, "go\n");
    let (rest, ended) = within("the end", move || {
        let rest: Vec<String> = out.map(Result::unwrap).collect();
        (rest, child.wait().unwrap())
    });
    assert_eq!((rest, ended.code()), (vec!["late".to_owned()], Some(0)));
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
    let (snapshot, out) = within("the snapshot", || (out.next().unwrap().unwrap(), out));
    let snapshot: Value = serde_json::from_str(&snapshot).unwrap();
    assert_eq!(
        (
            &snapshot["type"],
            &snapshot["status"]["workspaces"][0]["root"]
        ),
        (&json!("snapshot"), &json!(workspace.root()))
    );
    let running = Running::of(workspace.orchctl(&["run", "--force"]));
    let mut seq = snapshot["seq"].as_u64().unwrap();
    // Once it is through, the pipe is closed, and that is success.
    within("the end of the run", move || {
        for line in out {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            seq += 1;
            assert_eq!(event["seq"], seq);
            if event["type"] == "run.ended" {
                break;
            }
        }
    });
    assert_eq!(running.end().code, Some(0));
    workspace.write("a.txt", "one more event\n");
    let ended = within("the end of `events`", move || child.wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn names_that_are_no_text_are_told_apart_and_stay_in_their_lines() {
    let world = World::new();
    // One run for all four, however long it takes to write them.
    let settings = "[workspace]\nsettle_ms = 60000\nsettle_max_ms = 60000\n";
    let workspace = world.watched("w", &format!("{settings}{}", check("true")));
    let named = [
        (&b"bad\\xff"[..], "bad\\x5cxff", "bad\\x5cxff"),
        (b"bad\xff", "bad\\xff", "bad\\xff"),
        (b"esc\x1b[2J", "esc\u{1b}[2J", "esc\\x1b[2J"),
        (b"new\nline", "new\nline", "new\\x0aline"),
    ];
    for (name, ..) in named {
        workspace.write(OsStr::from_bytes(name), "1");
    }
    workspace.wait();
    let run = workspace.runs()[0].clone();
    let texts = named.map(|(_, text, _)| text);
    let shown = workspace.done(&["show", run["run_id"].as_str().unwrap(), "--json"]);
    assert_eq!(shown.json()["changed"]["paths"], json!(texts));
    let sidecar = run["manifest"].as_str().unwrap();
    let sidecar = sidecar.replace("manifest.json", "orchd.json");
    assert_eq!(workspace.json(&sidecar)["changed"]["paths"], json!(texts));
    for (name, text, plain) in named {
        let explain = |more: &[&str]| {
            let mut command = workspace.orchctl(&["explain"]);
            command.args(more).arg(OsStr::from_bytes(name));
            finish(command)
        };
        let answer = explain(&["--json"]).json();
        assert_eq!(
            (&answer["path"], &answer["owner"]),
            (&json!(text), &json!("t"))
        );
        assert_eq!(explain(&[]).out.lines().next(), Some(plain));
    }
    let lines = workspace.done(&["show", run["run_id"].as_str().unwrap()]);
    assert!(
        lines
            .out
            .contains("4 paths changed: bad\\x5cxff, bad\\xff, esc\\x1b[2J, …"),
        "{lines:?}"
    );
    let away = workspace.ctl(&["add", "no\nwhere"]);
    assert_eq!(away.code, Some(2));
    assert!(away.err.contains("no\\x0awhere"), "{away:?}");
}

#[test]
fn where_everything_may_have_changed_no_number_is_shown() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let of_newest = || {
        let run = workspace.runs().remove(0);
        let run = run["run_id"].as_str().unwrap().to_owned();
        workspace.done(&["show", &run, "--json"]).json()["changed"].clone()
    };
    assert_eq!(of_newest(), json!({"count": null, "paths": []}));
    workspace.done(&["run"]);
    assert_eq!(of_newest(), json!({"count": 0, "paths": []}));
}

#[test]
fn every_content_that_was_proven_is_proven_after_a_restart() {
    let mut world = World::new();
    let toml = check("grep -q good a.txt");
    let contents = ["good 1\n", "bad\n", "good 2\n"];
    let workspace = world.directory("w");
    workspace.write("orchd.toml", toml);
    workspace.write("a.txt", contents[0]);
    workspace.done(&["add", "--allow"]);
    let said = |answer: Value| {
        let project = &answer["projects"][0];
        (project["run_id"].clone(), project["verdict"].clone())
    };
    let before = contents.map(|content| {
        workspace.write("a.txt", content);
        said(workspace.wait())
    });
    let runs = workspace.runs();
    assert_eq!(runs.len(), 3);
    world.signal(Signal::TERM);
    world.ended();
    world.start();
    let workspace = world.directory("w");
    let after = contents.map(|content| {
        workspace.write("a.txt", content);
        said(workspace.wait())
    });
    assert_eq!(after, before);
    assert_eq!(workspace.runs(), runs);
}

#[test]
fn the_last_run_of_a_project_is_one_of_its_own_pipeline_after_a_restart_too() {
    let mut world = World::new();
    let red = "[[pipeline]]\nid = 'red'\n[[pipeline.stage]]\nid = 'tests'\ncommand = 'exit 2'\n";
    let first = world.watched("w", &(check("true") + red));
    let own = first.wait()["projects"][0]["run_id"].clone();
    let other = first.ctl(&["run", "red"]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.out.contains("tests  exit 2"), "{other:?}");
    let last = |workspace: &Workspace<'_>| {
        let project = workspace.status()["projects"][0].clone();
        (
            project["last_run"]["run_id"].clone(),
            project["failure"].clone(),
        )
    };
    assert_eq!(last(&first), (own.clone(), Value::Null));
    world.kill();
    world.start();
    let second = world.directory("w");
    assert_eq!(second.wait()["verdict"], "pass");
    assert_eq!(last(&second), (own, Value::Null));
}

#[test]
fn of_stages_that_share_an_id_the_one_that_failed_is_named_after_a_restart_too() {
    let mut world = World::new();
    let failure = |world: &World| {
        let mut status = world.directory("w").status();
        status["projects"][0]["failure"].take()
    };
    let stage = |command: &str| json!({"kind": "command", "id": "lint", "title": "Lint", "command": command});
    let config = json!({
        "defaultPipeline": "ci",
        "pipelines": [{
            "id": "ci",
            "title": "CI",
            "stages": [stage("true"), stage("echo bad; exit 1")]
        }]
    });
    let workspace = world.directory("w");
    workspace.write("codex.orchestrator.json", config.to_string());
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "fail");
    drop(workspace);
    let live = failure(&world);
    assert_eq!(live["name"], "02-lint", "{live}");
    world.signal(Signal::TERM);
    world.ended();
    world.start();
    assert_eq!(world.directory("w").ctl(&["wait"]).code, Some(1));
    assert_eq!(failure(&world), live);
}

#[test]
fn what_failed_below_a_stage_that_is_a_pipeline_is_told_with_its_line_and_its_log() {
    let mut world = World::new();
    let mut toml = pipeline(&[("first", "command = 'true'"), ("x", "pipeline = 'bad'")]);
    toml += "[[pipeline]]\nid = 'bad'\n[[pipeline.stage]]\nid = 'y'\npipeline = 'worse'\n\
             [[pipeline]]\nid = 'worse'\n[[pipeline.stage]]\nid = 'cc'\n\
             command = 'echo src/foo.c:3: error: nope >&2; exit 7'\n";
    let workspace = world.directory("w");
    workspace.write("orchd.toml", toml);
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    let of_parent =
        |event: &Value| event["type"] == "run.ended" && event["parent_run_id"].is_null();
    let told = events.until(of_parent)["failure"].clone();
    assert_eq!(
        (&told["stage"], &told["exit_code"], &told["excerpt"]),
        (&json!("x"), &json!(7), &json!("src/foo.c:3: error: nope"))
    );
    let log = told["log_path"].as_str().unwrap();
    assert!(log.contains(told["run_id"].as_str().unwrap()), "{told}");
    assert!(workspace.read(log).contains("error: nope"));
    let run = workspace.status()["projects"][0]["last_run"]["run_id"].clone();
    for arguments in [&["logs"][..], &["logs", run.as_str().unwrap(), "x"]] {
        let logs = workspace.done(arguments);
        assert_eq!(logs.err, "src/foo.c:3: error: nope\n", "{arguments:?}");
    }
    assert_eq!(workspace.status()["projects"][0]["failure"], told);
    world.kill();
    world.start();
    let workspace = world.directory("w");
    workspace.wait();
    assert_eq!(workspace.status()["projects"][0]["failure"], told);
}

#[test]
fn the_children_of_a_run_that_is_kept_are_kept_and_theirs() {
    let world = World::new();
    let sub = |id: &str, stage: &str, rest: &str| {
        format!(
            "[[pipeline]]\nid = '{id}'\n[[pipeline.stage]]\nid = '{stage}'\npipeline = '{rest}'\n"
        )
    };
    let leaf = "[[pipeline]]\nid = 'leaf'\n[[pipeline.stage]]\nid = 'l'\ncommand = 'true'\n";
    let toml = format!(
        "[workspace]\nretain = {{ runs = 3 }}\n[[project]]\ntask = 't'\n{}{}{leaf}",
        sub("diagnostics", "outer", "middle"),
        sub("middle", "inner", "leaf"),
    );
    let workspace = world.watched("w", &toml);
    let cited = workspace.wait()["projects"][0].clone();
    let id = cited["run_id"].as_str().unwrap();
    workspace.write("docs/TASKS.md", format!("- [x] done: `{id}`\n"));
    for turn in 0..4 {
        workspace.write("a.txt", format!("{turn}\n"));
        assert_eq!(workspace.wait()["verdict"], "pass");
    }
    workspace.settle(&mut world.events());
    let mut manifest = cited["manifest"].as_str().unwrap().to_owned();
    for pipeline in ["diagnostics", "middle", "leaf"] {
        let content = workspace.json(&manifest);
        assert_eq!(content["pipeline_id"], pipeline);
        if pipeline != "leaf" {
            let child = &content["child_runs"][0];
            assert_eq!(child["run_id"], content["commands"][0]["sub_run_id"]);
            manifest = child["manifest"].as_str().unwrap().to_owned();
        }
    }
    let left = names(&workspace.root.join(".runs/t/cli")).len();
    assert!(left < 3 * 4, "{left} of 15 are left: nothing was removed");
}

//! A verdict is about the present content: edits during a run, formatters, roots that go, questions asked twice.

use crate::events::{Client, of_type};
use crate::support::{Running, Workspace, World, check, lines};
use rustix::process::Signal;
use serde_json::{Value, json};

#[test]
fn an_edit_during_a_run_voids_it_and_the_new_content_runs() {
    let world = World::new();
    let gate = world.fifo("gate");
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        check(&format!("cat a.txt; read _ < {}", gate.display())),
    );
    workspace.write("a.txt", "one\n");
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    events.until_stage("check");
    workspace.write("a.txt", "two\n");
    let unproven = workspace.ctl(&["gate", "--no-wait", "--json"]);
    assert_eq!(unproven.code, Some(3), "{unproven:?}");
    world.say(&gate, "go\n");
    let void = events.until_type("run.ended");
    assert_eq!(
        (&void["void"], &void["status"]),
        (&json!(true), &json!("succeeded")),
        "{void}"
    );
    let sidecar = void["manifest"]
        .as_str()
        .unwrap()
        .replace("manifest.json", "orchd.json");
    assert_eq!(workspace.json(&sidecar)["void"]["paths"], json!(["a.txt"]));
    let follow = events.until_type("run.started");
    assert_eq!(
        (&follow["cause"], &follow["paths"]),
        (&json!("change"), &json!(["a.txt"]))
    );
    world.say(&gate, "go\n");
    let ended = events.until_type("run.ended");
    assert_eq!(
        (&ended["void"], &ended["verdict"]),
        (&json!(false), &json!("pass"))
    );
    assert_eq!(workspace.wait()["projects"][0]["run_id"], ended["run_id"]);
    assert_eq!(workspace.done(&["logs"]).out, "two\n");
    assert_eq!(workspace.runs().len(), 2);
}

#[test]
fn who_waits_is_not_the_cause_of_the_run_of_a_change() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    workspace.write("f", "1\n");
    assert_eq!(
        workspace.done(&["wait", "--json"]).json()["verdict"],
        "pass"
    );
    let run = workspace.runs().remove(0);
    let run = run["run_id"].as_str().unwrap();
    let sidecar = workspace.json(&format!(".runs/t/cli/{run}/orchd.json"));
    assert_eq!(
        (&sidecar["cause"], &sidecar["changed"]["paths"]),
        (&json!("change"), &json!(["f"]))
    );
}

#[test]
fn restart_cancels_the_run_and_begins_on_the_new_content() {
    let world = World::new();
    let workspace = world.directory("w");
    let up = world.fifo("up");
    let toml = check(&format!(
        "if grep -q slow a.txt; then echo up > {}; sleep 1000; fi; cat a.txt",
        up.display()
    ));
    workspace.write(
        "orchd.toml",
        toml.replace("task = \"t\"", "task = \"t\"\non_busy = \"restart\""),
    );
    workspace.write("a.txt", "slow\n");
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    assert_eq!(world.heard(&up), "up\n");
    workspace.write("a.txt", "quick\n");
    let first = events.until_type("run.ended");
    assert_eq!(first["status"], "cancelled", "{first}");
    let second = events.until_type("run.ended");
    assert_eq!(
        (&second["status"], &second["verdict"]),
        (&json!("succeeded"), &json!("pass"))
    );
    assert_eq!(workspace.done(&["logs"]).out, "quick\n");
    assert_eq!(world.processes(), Vec::<u32>::new());
}

#[test]
fn a_formatter_gets_one_more_run() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        check("if grep -q ugly a.txt; then echo fine > a.txt; fi; cat a.txt"),
    );
    workspace.write("a.txt", "ugly\n");
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    let first = events.until_type("run.ended");
    assert_eq!(first["void"], true, "{first}");
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.settle(&mut events);
    assert_eq!(of_type(&events.heard, "run.ended").len(), 2);
}

#[test]
fn a_formatter_that_never_rests_is_unstable_and_no_loop() {
    let world = World::new();
    let counter = world.path("counter");
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        check(&format!(
            "echo >> {}; echo more >> a.txt",
            counter.display()
        )),
    );
    workspace.write("a.txt", "one\n");
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    let unstable =
        events.until(|event| event["type"] == "verdict" && event["verdict"] == "unstable");
    assert_eq!(unstable["fresh"], true, "{unstable}");
    // Who rewrites what is told wherever a failure is.
    let status = workspace.status()["projects"][0].clone();
    for failure in [&unstable["failure"], &status["failure"]] {
        assert_eq!(
            (&failure["stage"], &failure["exit_code"]),
            (&json!("check"), &json!(0))
        );
        let said = failure["excerpt"].as_str().unwrap();
        assert!(
            said.starts_with("rewritten while it ran, in two runs: `a.txt`\n"),
            "{said}"
        );
    }
    let shown = workspace.done(&["status"]).out;
    assert!(
        shown.contains("`a.txt`") && shown.contains("declare them as `outputs`"),
        "{shown}"
    );
    workspace.settle(&mut events);
    let gate = workspace.ctl(&["gate", "--json"]);
    assert_eq!(gate.code, Some(1), "{gate:?}");
    assert_eq!(gate.json()["verdict"], "unstable");
    let waited = workspace.ctl(&["wait"]);
    assert_eq!(waited.code, Some(1), "{waited:?}");
    workspace.settle(&mut events);
    assert_eq!(
        lines(&counter),
        4,
        "two runs, and one more for each question"
    );
    // Whoever changes something else gets a fresh chance, and again no loop.
    workspace.write("b.txt", "b\n");
    let waited = workspace.ctl(&["wait"]);
    assert_eq!(waited.code, Some(1), "{waited:?}");
    workspace.settle(&mut events);
    assert!((6..=7).contains(&lines(&counter)), "{}", lines(&counter));
}

#[test]
fn whoever_joins_a_run_whose_end_is_being_recorded_is_not_told_it_yet() {
    let world = World::new();
    let workspace = world.watched("w", &check("cat a.txt || true"));
    for round in 0..3 {
        // Somebody else's lock keeps the end from being recorded for a third of a second.
        workspace.write(".runs/t.lock", "");
        let mut events = world.events();
        workspace.write("a.txt", format!("{round}\n"));
        events.until_type("stage.ended");
        let mut client = Client::introduced(&world.socket());
        let call = json!({"workspace": workspace.root(), "wait": false});
        let answer = client.ask("run.start", &call)["result"].clone();
        assert_eq!(
            (&answer["status"], &answer["verdict"]),
            (&json!("in_progress"), &json!("unknown")),
            "{answer}"
        );
        let end = events
            .until(|event| event["type"] == "run.ended" && event["run_id"] == answer["run_id"]);
        assert_eq!(end["verdict"], "pass");
    }
}

#[test]
fn a_root_that_goes_is_missing_and_picked_up_again() {
    let world = World::new();
    let workspace = world.watched("w", &check("cat a.txt || true"));
    let other = world.watched("x", &check("true").replace("\"t\"", "\"x\""));
    let mut events = world.events();
    std::fs::rename(&workspace.root, world.path("away")).unwrap();
    let missing = events.until(|event| event["type"] == "workspace" && event["state"] == "missing");
    assert_eq!(missing["workspace"], workspace.root());
    assert_eq!(world.ctl(&["gate", "--task", "t"]).code, Some(3));
    assert_eq!(other.done(&["gate", "--json"]).json()["verdict"], "pass");
    std::fs::write(world.path("away/a.txt"), "away\n").unwrap();
    std::fs::rename(world.path("away"), &workspace.root).unwrap();
    events.until(|event| event["type"] == "workspace" && event["state"] == "watching");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "away\n");
    workspace.write("a.txt", "back\n");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "back\n");
    // Deleted and made anew, without its evidence.
    std::fs::rename(&workspace.root, world.path("gone")).unwrap();
    events.until(|event| event["type"] == "workspace" && event["state"] == "missing");
    assert!(!workspace.root.exists(), "a missing root was made again");
    workspace.write("orchd.toml", check("cat a.txt || true"));
    workspace.write("a.txt", "anew\n");
    events.until(|event| event["type"] == "workspace" && event["state"] == "watching");
    let waited = workspace.wait();
    assert_eq!(waited["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "anew\n");
    assert!(workspace.has(waited["projects"][0]["manifest"].as_str().unwrap()));
}

#[test]
fn asked_twice_it_runs_once() {
    let world = World::new();
    let (gate, counter) = (world.fifo("gate"), world.path("counter"));
    let workspace = world.directory("w");
    let command = format!("echo >> {}; read _ < {}", counter.display(), gate.display());
    workspace.write(
        "orchd.toml",
        format!("[workspace]\non_start = false\n{}", check(&command)),
    );
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    let happened = workspace.settle(&mut events);
    assert_eq!(
        of_type(&happened, "run.started").len(),
        0,
        "on_start = false"
    );
    assert_eq!(workspace.status()["projects"][0]["verdict"], "unknown");
    let first = Running::of(workspace.orchctl(&["run", "--json"]));
    let started = events.until_stage("check");
    let second = Running::of(workspace.orchctl(&["gate", "--json"]));
    let mut client = Client::introduced(&world.socket());
    let shared = client.ask(
        "run.start",
        &json!({"workspace": workspace.root(), "wait": false}),
    );
    assert_eq!(shared["result"]["run_id"], started["run_id"], "{shared}");
    world.say(&gate, "go\n");
    let (first, second) = (first.end(), second.end());
    assert_eq!(
        (first.code, second.code),
        (Some(0), Some(0)),
        "{first:?} {second:?}"
    );
    assert_eq!(first.json()["run_id"], started["run_id"]);
    assert_eq!(second.json()["projects"][0]["run_id"], started["run_id"]);
    assert_eq!(lines(&counter), 1);
}

#[test]
fn what_is_no_longer_looked_at_is_not_said_to_be_known() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let said = |task: &str| {
        let state = workspace.json(&format!("out/{task}/state.json"))["orchd"].clone();
        (state["verdict"].clone(), state["fresh"].clone())
    };
    let mut events = world.events();
    workspace.write("orchd.toml", check("true").replace("\"t\"", "\"u\""));
    events.until(|event| {
        event["type"] == "verdict" && event["task_id"] == "u" && event["verdict"] == "pass"
    });
    workspace.done(&["remove", "."]);
    assert_eq!(said("t"), (json!("unknown"), json!(false)));
    assert_eq!(said("u"), (json!("unknown"), json!(false)));
    let state = workspace.json("out/u/state.json");
    assert_eq!(state["runs"].as_array().unwrap().len(), 1, "{state}");
    assert_eq!(state["orchd"]["last_run"]["status"], "succeeded");
}

#[test]
fn what_a_task_left_in_out_is_no_content_though_nobody_names_it_any_more() {
    let mut world = World::new();
    let workspace = world.watched("w", &check("true"));
    let ignored = |workspace: &Workspace<'_>, path: &str| {
        let told = workspace.done(&["explain", path, "--json"]).json();
        told["ignored"]["source"].clone()
    };
    let other = json!("built in: evidence");
    workspace.write("orchd.toml", check("true").replace("\"t\"", "\"u\""));
    assert_eq!(workspace.wait()["projects"][0]["task_id"], "u");
    assert_eq!(ignored(&workspace, "out/t/state.json"), other);
    assert_eq!(ignored(&workspace, "out/v/state.json"), Value::Null);
    // Nor is what another tool has left for a task of its own.
    workspace.write(".runs/v/cli/one/manifest.json", "{}");
    world.signal(Signal::TERM);
    assert_eq!(world.ended().code(), Some(0));
    world.start();
    let workspace = world.directory("w");
    assert_eq!(workspace.wait()["verdict"], "pass");
    for task in ["t", "u", "v"] {
        let path = format!("out/{task}/state.json");
        assert_eq!(ignored(&workspace, &path), other, "{path}");
    }
    assert_eq!(ignored(&workspace, "out/w/state.json"), Value::Null);
}

#[test]
fn a_stage_is_told_of_all_that_changed_since_content_that_passed() {
    let world = World::new();
    let list = "tr '\\0' ' ' < \"$ORCHD_CHANGED_FILES\"; ! grep -q bad a.txt";
    let workspace = world.directory("w");
    workspace.write("a.txt", "good\n");
    workspace.write("orchd.toml", check(list));
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(
        workspace.done(&["logs"]).out,
        "",
        "everything may have changed"
    );
    let told = |name: &str, text: &str, verdict: &str| {
        workspace.write(name, text);
        assert_eq!(
            workspace.ctl(&["wait", "--json"]).json()["verdict"],
            verdict
        );
        workspace.done(&["logs"]).out
    };
    assert_eq!(told("a.txt", "bad\n", "fail"), "a.txt ");
    assert_eq!(told("b.txt", "b\n", "fail"), "a.txt b.txt ");
    assert_eq!(told("a.txt", "good again\n", "pass"), "a.txt b.txt ");
    assert_eq!(told("c.txt", "c\n", "pass"), "c.txt ");
}

#[test]
fn what_was_saved_in_two_runs_in_a_row_is_run_for_who_asks() {
    let world = World::new();
    let workspace = world.directory("w");
    let gate = world.fifo("gate");
    let held = format!("read _ < {}; sleep 0.3; cat a.txt", gate.display());
    workspace.write("a.txt", "one\n");
    workspace.write("orchd.toml", check(&held));
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    for saved in ["two\n", "three\n"] {
        events.until_stage("check");
        workspace.write("a.txt", saved);
        // Seen while the stage runs.
        workspace.done(&["sync"]);
        world.say(&gate, "go\n");
        events.until_type("run.ended");
    }
    assert_eq!(workspace.status()["projects"][0]["verdict"], "unstable");
    let asked = Running::of(workspace.orchctl(&["wait", "--json"]));
    events.until_stage("check");
    world.say(&gate, "go\n");
    let waited = asked.end();
    assert_eq!(waited.code, Some(0), "{waited:?}");
    assert_eq!(workspace.done(&["logs"]).out, "three\n");
}

#[test]
fn a_state_file_does_not_call_green_what_has_changed_since() {
    let world = World::new();
    let gate = world.fifo("gate");
    let line = format!("test ! -e a.txt || cat {}", gate.display());
    let workspace = world.watched("w", &check(&line));
    let said = || {
        let state = workspace.json("out/t/state.json")["orchd"].clone();
        (state["verdict"].clone(), state["fresh"].clone())
    };
    assert_eq!(said(), (json!("pass"), json!(true)));
    let mut events = world.events();
    // Whoever writes the evidence has nothing left to do: what is asked for next is written next.
    assert_eq!(workspace.runs().len(), 1);
    workspace.write("a.txt", "new\n");
    events.until_type("run.started");
    assert_eq!(said(), (json!("unknown"), json!(false)));
    world.say(&gate, "");
    events.until(|event| event["type"] == "verdict" && event["verdict"] == "pass");
    assert_eq!(said(), (json!("pass"), json!(true)));
}

#[test]
fn a_verdict_that_was_proven_before_is_shown_with_the_run_that_proved_it() {
    let world = World::new();
    let workspace = world.watched("w", &check("test ! -e bad"));
    let told = || {
        let status = workspace.done(&["status", "--json"]).json();
        status["workspaces"][0]["projects"][0].clone()
    };
    let good = told()["last_run"]["run_id"].clone();
    assert_eq!(told()["proof"]["run_id"], good);
    workspace.write("bad", "");
    assert_eq!(workspace.ctl(&["gate"]).code, Some(1));
    workspace.sh("rm bad");
    assert_eq!(workspace.ctl(&["gate"]).code, Some(0));
    let status = told();
    assert_eq!(status["last_run"]["status"], "failed");
    assert_eq!(status["proof"]["run_id"], good);
    let manifest = workspace.json(status["proof"]["manifest"].as_str().unwrap());
    assert_eq!(manifest["run_id"], good);
}

#[test]
fn a_workspace_whose_root_is_missing_is_removed_at_once() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let mut events = world.events();
    std::fs::rename(&workspace.root, world.path("away")).unwrap();
    events.until(|event| event["type"] == "workspace" && event["state"] == "missing");
    let removed = world.ctl(&["remove", workspace.root(), "--json"]);
    assert_eq!(
        (removed.code, &removed.json()["changed"]),
        (Some(0), &serde_json::json!(true)),
        "{removed:?}"
    );
    let listed = world.ctl(&["list", "--json"]).json();
    assert_eq!(listed["workspaces"], serde_json::json!([]));
    assert!(!workspace.root.exists(), "a missing root was made again");
}

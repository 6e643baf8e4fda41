//! Configurations: read, refused with the place of the mistake, mended, found where there is none.

use crate::events::of_type;
use crate::support::{Workspace, World, check, lines, pipeline};
use rustix::process::Signal;
use serde_json::{Value, json};

const BAD: &str = "[[project]]\ntask = \"t\"\nrequierd = []\n";

fn is_refused(workspace: &Workspace<'_>) {
    let status = workspace.status();
    assert_eq!(status["state"], "invalid", "{status}");
    let detail = status["detail"].as_str().unwrap();
    assert!(
        detail.contains("orchd.toml:3:1") && detail.contains("`required`"),
        "{detail}"
    );
    assert_eq!(status["projects"][0]["verdict"], "unknown");
    for arguments in [
        &["run"][..],
        &["gate"],
        &["wait"],
        &["gate", "--no-wait"],
        &["run", "--no-daemon"],
        &["allow"],
    ] {
        let refused = workspace.ctl(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
        assert!(
            refused.err.contains("orchd.toml:3:1"),
            "{arguments:?}: {refused:?}"
        );
    }
    let reload = workspace.ctl(&["reload", "--json"]);
    assert_eq!(reload.code, Some(2), "{reload:?}");
}

#[test]
fn a_bad_reload_keeps_the_last_good_configuration_and_is_shown() {
    let world = World::new();
    let counter = world.path("counter");
    let good = check(&format!("cat a.txt; echo >> {}", counter.display()));
    let workspace = world.directory("w");
    workspace.write("a.txt", "one\n");
    workspace.write("orchd.toml", &good);
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    workspace.write("orchd.toml", BAD);
    let told = events.until(|event| event["type"] == "config" && event["ok"] == false);
    assert!(
        told["detail"].as_str().unwrap().contains("orchd.toml:3:1"),
        "{told}"
    );
    is_refused(&workspace);
    assert_eq!(workspace.status()["projects"][0]["task_id"], "t");
    let doctor = workspace.ctl(&["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(
        format!("{}{}", doctor.out, doctor.err).contains("orchd.toml:3:1"),
        "{doctor:?}"
    );
    // Mended with another content, it goes on.
    workspace.write("a.txt", "two\n");
    workspace.write("orchd.toml", &good);
    events.until(|event| event["type"] == "config" && event["ok"] == true);
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "two\n");
    // The last good configuration may have run once more before the bad one was read.
    assert!((2..=3).contains(&lines(&counter)), "{}", lines(&counter));
    assert_eq!(
        workspace.done(&["reload", "--json"]).json()["workspaces"][0]["ok"],
        true
    );
}

#[test]
fn each_mistake_is_refused_with_its_place() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let long = "x".repeat(300);
    let cases = [
        ("[workspace]\nsettle_ms = \"x\"\n", "orchd.toml:2:"),
        ("[[project\n", "orchd.toml:1:"),
        (
            &pipeline(&[("a", "command = 'true'\nneeds = [\"b\"]")]),
            "`b`",
        ),
        (
            &pipeline(&[
                ("a", "command = 'true'\nneeds = [\"b\"]"),
                ("b", "command = 'true'\nneeds = [\"a\"]"),
            ]),
            "circle",
        ),
        (
            "[[project]]\ntask = \"t\"\n[[project]]\ntask = \"t\"\npath = \"a\"\n",
            "orchd.toml:4:",
        ),
        ("[[project]]\ntask = \"a/b\"\n", "orchd.toml:2:"),
        ("[[project]]\ntask = \"local-mcp\"\n", "orchd.toml:2:"),
        ("[[pipeline]]\nid = \"diagnostics\"\n", "orchd.toml:2:"),
        ("[[project]]\ntask = \"..\"\n", "orchd.toml:2:"),
        ("[[project]]\ntask = \"a\\u0000b\"\n", "orchd.toml:2:"),
        (
            &format!("[[project]]\ntask = \"{long}\"\n"),
            "orchd.toml:2:",
        ),
        (
            "[[project]]\ntask = \"t\"\npath = \"../outside\"\n",
            "orchd.toml:3:",
        ),
        (
            "[[project]]\ntask = \"t\"\npipeline = \"nowhere\"\n",
            "nowhere",
        ),
        ("\u{0}\u{1}", "orchd.toml:1:"),
    ];
    for (text, place) in cases {
        workspace.write("orchd.toml", text);
        let refused = workspace.ctl(&["reload", "--json"]);
        assert_eq!(refused.code, Some(2), "{text}: {refused:?}");
        let answer = refused.json();
        let detail = answer["workspaces"][0]["detail"]
            .as_str()
            .unwrap_or_default();
        assert!(detail.contains(place), "{text}: {answer}");
        let status = workspace.status();
        assert_eq!(status["state"], "invalid", "{text}");
    }
    workspace.write("orchd.toml", check("true"));
    workspace.done(&["reload"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
}

#[test]
fn hup_reads_again_and_a_bad_file_changes_nothing() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let mut events = world.events();
    workspace.write("orchd.toml", BAD);
    events.until(|event| event["type"] == "config" && event["ok"] == false);
    world.signal(Signal::HUP);
    workspace.settle(&mut events);
    assert_eq!(workspace.status()["state"], "invalid");
    workspace.write("orchd.toml", check("true"));
    world.signal(Signal::HUP);
    events.until(|event| event["type"] == "config" && event["ok"] == true);
    assert_eq!(workspace.wait()["verdict"], "pass");
}

#[test]
fn a_new_configuration_runs_what_is_unproven() {
    let world = World::new();
    let workspace = world.watched("w", &check("echo one"));
    let mut events = world.events();
    workspace.write(
        "orchd.toml",
        pipeline(&[("check", "command = 'echo one'\nenv = { A = \"1\" }")]),
    );
    events.until(|event| event["type"] == "workspace" && event["state"] == "untrusted");
    workspace.done(&["allow"]);
    let started = events.until_type("run.started");
    assert_eq!(started["cause"], "start");
    assert_eq!(events.until_type("run.ended")["verdict"], "pass");
}

#[test]
fn a_failure_that_is_no_longer_allowed_proves_nothing() {
    let world = World::new();
    let lax = pipeline(&[("check", "command = 'false'\nallow_failure = true")]);
    let workspace = world.watched("w", &lax);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    workspace.write("orchd.toml", lax.replace("true", "false"));
    let failed = events.until(|event| event["type"] == "verdict" && event["verdict"] == "fail");
    assert_eq!(failed["task_id"], "t", "{failed}");
    assert_eq!(workspace.ctl(&["gate"]).code, Some(1));
    workspace.write("orchd.toml", lax);
    events.until(|event| event["type"] == "verdict" && event["verdict"] == "pass");
    assert_eq!(workspace.ctl(&["gate"]).code, Some(0));
}

#[test]
fn nested_projects_own_their_paths() {
    let world = World::new();
    let (outer, inner) = (world.path("outer"), world.path("inner"));
    let toml = format!(
        "[[project]]\ntask = \"outer\"\npipeline = \"o\"\n[[project]]\ntask = \"inner\"\npath = \"packages/in\"\npipeline = \"i\"\n\
         [[pipeline]]\nid = \"o\"\n[[pipeline.stage]]\nid = \"a\"\ncommand = 'echo >> {}'\n\
         [[pipeline]]\nid = \"i\"\n[[pipeline.stage]]\nid = \"a\"\ncommand = 'echo >> {}'\n",
        outer.display(),
        inner.display()
    );
    let workspace = world.directory("w");
    workspace.write("packages/in/a.txt", "one\n");
    workspace.write("orchd.toml", toml);
    workspace.done(&["add", "--allow"]);
    let both = workspace.wait();
    assert_eq!(
        (&both["verdict"], both["projects"].as_array().unwrap().len()),
        (&json!("pass"), 2)
    );
    let counts = || (lines(&outer), lines(&inner));
    assert_eq!(counts(), (1, 1));
    workspace.write("packages/in/a.txt", "two\n");
    workspace.wait();
    assert_eq!(counts(), (1, 2));
    workspace.write("b.txt", "two\n");
    workspace.wait();
    assert_eq!(counts(), (2, 2));
    let explained = workspace
        .done(&["explain", "packages/in/a.txt", "--json"])
        .json();
    assert_eq!(explained["owner"], "inner");
    assert_eq!(
        explained["projects"].as_array().unwrap().len(),
        1,
        "{explained}"
    );
    let one = workspace
        .done(&["gate", "--task", "inner", "--json"])
        .json();
    assert_eq!(one["projects"][0]["task_id"], "inner");
    let ambiguous = workspace.ctl(&["run"]);
    assert_eq!(ambiguous.code, Some(2));
    assert!(ambiguous.err.contains("--task"), "{ambiguous:?}");
}

#[test]
fn the_published_configuration_is_read_as_it_is() {
    let mut world = World::empty();
    world.set("MCP_RUNNER_TASK_ID", "0202-api");
    world.start();
    let workspace = world.directory("w");
    let config = json!({
        "defaultPipeline": "checks",
        "pipelines": [
            {"id": "checks", "title": "Checks", "stages": [
                {"kind": "command", "id": "pwd", "title": "Where", "command": "pwd", "cwd": "sub"},
                {"kind": "command", "id": "may", "title": "May fail", "command": "exit 4", "allowFailure": true},
                {"kind": "subpipeline", "id": "sub", "title": "Sub", "pipeline": "other", "optional": true},
                {"kind": "command", "id": "hint", "title": "Hint", "command": "true", "summaryHint": "well done"},
            ]},
            {"id": "other", "title": "Other", "stages": [
                {"kind": "command", "id": "no", "title": "No", "command": "false"},
            ]},
        ],
    });
    workspace.write("codex.orchestrator.json", config.to_string());
    workspace.write("sub/a.txt", "a");
    workspace.done(&["add", "--allow"]);
    let waited = workspace.wait();
    assert_eq!(
        (&waited["verdict"], &waited["projects"][0]["task_id"]),
        (&json!("pass"), &json!("0202-api"))
    );
    let manifest = workspace.json(waited["projects"][0]["manifest"].as_str().unwrap());
    assert_eq!(manifest["pipeline_id"], "checks");
    let statuses: Vec<&Value> = manifest["commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["status"])
        .collect();
    assert_eq!(statuses, ["succeeded", "skipped", "skipped", "succeeded"]);
    assert_eq!(manifest["commands"][3]["summary"], "well done");
    let logs = workspace.done(&["logs", manifest["run_id"].as_str().unwrap(), "pwd"]);
    assert_eq!(
        logs.out.trim_end(),
        workspace.root.join("sub").to_str().unwrap()
    );
}

#[test]
fn without_any_configuration_the_checks_are_found() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("Makefile", "test:\n\techo made\n");
    let added = workspace.done(&["add", "--allow", "--json"]).json();
    assert_eq!(added["tasks"], json!(["0101"]));
    let waited = workspace.wait();
    assert_eq!(waited["verdict"], "pass", "{waited}");
    assert!(workspace.has(".runs/0101/metrics.json"));
    let plan = workspace.done(&["plan", "--json"]).json();
    assert_eq!(plan["pipeline"]["id"], "diagnostics");
    // A project that comes later is found too, and its commands have to be allowed.
    let mut events = world.events();
    workspace.write("package.json", "{\"scripts\": {\"lint\": \"true\"}}");
    workspace.done(&["reload"]);
    workspace.settle(&mut events);
    assert_eq!(workspace.status()["state"], "untrusted");
    assert_eq!(of_type(&events.heard, "run.started").len(), 0);
}

#[test]
fn who_asks_is_answered_by_what_the_configuration_says_now() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let mut events = world.events();
    for question in [&["wait"][..], &["gate"], &["run"]] {
        workspace.write("orchd.toml", BAD);
        events.until(|event| event["type"] == "config" && event["ok"] == false);
        workspace.write("orchd.toml", check("true"));
        workspace.done(question);
    }
    // What is not allowed, and taken back.
    workspace.write("orchd.toml", check("false"));
    assert_eq!(workspace.ctl(&["wait"]).code, Some(2));
    workspace.write("orchd.toml", check("true"));
    assert_eq!(workspace.wait()["verdict"], "pass");
    // A sync includes the configuration.
    workspace.write("orchd.toml", BAD);
    workspace.done(&["sync"]);
    assert_eq!(workspace.status()["state"], "invalid");
    workspace.write("orchd.toml", check("true"));
    workspace.done(&["sync"]);
    assert_eq!(workspace.status()["state"], "watching");
}

#[test]
fn a_save_while_the_daemon_starts_is_read() {
    let mut world = World::new();
    let (started, told) = (world.path("started"), world.path("told"));
    // What the killed daemon leaves is told to end, and takes its time: its files are read before, looked at after it.
    // What the shell says of its dead `sleep` must not reach the pipe that nobody reads any more: that would end it.
    let stubborn = format!(
        "test -e {told} && exit 0; exec 2>/dev/null; trap ': > {told}' TERM; : > {started}; while :; do sleep 1000 & wait $!; done",
        told = told.display(),
        started = started.display(),
    );
    let root = {
        let workspace = world.directory("w");
        workspace.write("orchd.toml", check(&stubborn));
        let mut events = world.events();
        workspace.done(&["add", "--allow"]);
        events.until_stage("check");
        appears(&started);
        workspace.root
    };
    world.kill();
    world.spawn();
    appears(&told);
    std::fs::write(root.join("orchd.toml"), BAD).unwrap();
    let workspace = world.directory("w");
    assert_eq!(world.ctl(&["ping", "--wait", "30s"]).code, Some(0));
    let gate = workspace.ctl(&["gate"]);
    assert_eq!(gate.code, Some(2), "{gate:?}");
    is_refused(&workspace);
}

/// Waits until a file is there.
fn appears(path: &std::path::Path) {
    let deadline = std::time::Instant::now() + crate::deadline::DEADLINE;
    while !path.exists() {
        assert!(std::time::Instant::now() < deadline, "{}", path.display());
        std::thread::yield_now();
    }
}

#[test]
fn a_published_pipeline_without_stages_is_never_green() {
    let world = World::new();
    let workspace = world.directory("w");
    let published = json!({"pipelines": [{"id": "diagnostics", "title": "None", "stages": []}]});
    workspace.write("codex.orchestrator.json", published.to_string());
    workspace.done(&["add", "--allow"]);
    let waited = workspace.ctl(&["wait"]);
    assert_eq!(waited.code, Some(3), "{waited:?}");
    assert!(
        waited.out.contains("the pipeline has no stages"),
        "{waited:?}"
    );
    let run = workspace.ctl(&["run"]);
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn published_pipelines_of_which_none_is_the_default_are_run_by_name() {
    let world = World::new();
    let workspace = world.directory("w");
    let published = |default: Option<&str>| {
        let stages = json!([{"kind": "command", "id": "x", "command": "test -e f"}]);
        let mut file = json!({"pipelines": [{"id": "ci", "stages": stages}]});
        if let Some(default) = default {
            file["defaultPipeline"] = json!(default);
        }
        file.to_string()
    };
    workspace.write("codex.orchestrator.json", published(None));
    workspace.write("f", "");
    workspace.done(&["add", "--allow"]);
    let status = workspace.status();
    let detail = status["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("a change of `0101` runs nothing") && detail.ends_with("`ci`"),
        "{detail}"
    );
    let project = &status["projects"][0];
    assert_eq!(
        (&status["state"], &project["verdict"], &project["phase"]),
        (&json!("watching"), &json!("unknown"), &json!("idle"))
    );
    for arguments in [&["run"][..], &["plan"], &["run", "--no-daemon"]] {
        let refused = workspace.ctl(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
        assert!(refused.err.contains("`ci`"), "{arguments:?}: {refused:?}");
    }
    for arguments in [&["gate", "--json"][..], &["wait", "--json"]] {
        let unknown = workspace.ctl(arguments);
        let project = unknown.json()["projects"][0].clone();
        assert_eq!(
            (unknown.code, &project["verdict"]),
            (Some(3), &json!("unknown"))
        );
        let detail = project["detail"].as_str().unwrap();
        assert!(detail.contains("`defaultPipeline`"), "{detail}");
    }
    let planned = workspace.done(&["plan", "ci", "--json"]).json();
    assert_eq!(planned["pipeline"]["id"], "ci");
    for arguments in [
        &["run", "ci", "--json"][..],
        &["run", "ci", "--no-daemon", "--json"],
    ] {
        assert_eq!(workspace.done(arguments).json()["verdict"], "pass");
    }
    // Who names one as the default has it run, and is asked for that once more.
    workspace.write("codex.orchestrator.json", published(Some("ci")));
    assert_eq!(workspace.ctl(&["gate"]).code, Some(2));
    workspace.done(&["allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.status()["detail"], Value::Null);
}

#[test]
fn what_is_odd_in_a_configuration_is_told_by_doctor() {
    let world = World::new();
    let workspace = world.watched("w", &check("true").replace("\"t\"", "\"Demo.1\""));
    let checks = workspace.done(&["doctor", "--json"]).json();
    let checks = checks["checks"].as_array().unwrap().clone();
    let id = format!("configuration {}", workspace.root());
    let told = checks.iter().find(|check| check["id"] == id.as_str());
    let told = told.unwrap_or_else(|| panic!("{checks:#?}"));
    assert_eq!(told["state"], "warn");
    assert!(told["detail"].as_str().unwrap().contains("Demo.1"));
}

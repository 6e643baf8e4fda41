//! A run taken up again: by its token, from the stage that did not succeed.

use crate::deadline::DEADLINE;
use crate::support::{Workspace, World, lines, pipeline};
use serde_json::{Value, json};
use std::time::Instant;

#[test]
fn only_what_did_not_succeed_is_run_again() {
    let world = World::new();
    let (first, second) = (world.path("first"), world.path("second"));
    let repaired = world.path("repaired");
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        pipeline(&[
            ("one", &format!("command = 'echo >> {}'", first.display())),
            (
                "two",
                &format!(
                    "command = 'echo >> {}; test -e {}'",
                    second.display(),
                    repaired.display()
                ),
            ),
            ("three", "command = 'true'"),
        ]),
    );
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "fail");
    let runs = workspace.runs();
    let run = runs[0]["run_id"].as_str().unwrap();
    let at = format!(".runs/t/cli/{run}");
    let started = workspace.json(&format!("{at}/manifest.json"))["started_at"].clone();
    let wrong = workspace.ctl(&["resume", "--run", run, "--token", "wrong", "--json"]);
    assert_eq!(
        (wrong.code, &wrong.json()["error"]["message"]),
        (Some(2), &json!("Resume token mismatch.")),
        "{wrong:?}"
    );
    assert_eq!((lines(&first), lines(&second)), (1, 1));
    std::fs::write(&repaired, "").unwrap();
    let token = workspace.read(&format!("{at}/.resume-token"));
    let resumed = workspace.ctl(&[
        "resume",
        "--run",
        run,
        "--token",
        token.trim(),
        "--actor",
        "me",
        "--reason",
        "mended",
        "--json",
    ]);
    assert_eq!(
        (resumed.code, &resumed.json()["status"]),
        (Some(0), &json!("succeeded")),
        "{resumed:?}"
    );
    assert_eq!(resumed.json()["run_id"], run);
    assert_eq!((lines(&first), lines(&second)), (1, 2));
    let manifest = workspace.json(&format!("{at}/manifest.json"));
    assert_eq!(
        (&manifest["status"], &manifest["started_at"]),
        (&json!("succeeded"), &started)
    );
    let event = manifest["resume_events"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(
        (&event["actor"], &event["reason"], &event["outcome"]),
        (&json!("me"), &json!("mended"), &json!("accepted"))
    );
    counted_twice(&workspace, run);
    assert_eq!(workspace.ctl(&["gate"]).code, Some(0));
}

fn counted_twice(workspace: &Workspace<'_>, run: &str) {
    let metrics = workspace.read(".runs/t/metrics.json");
    assert_eq!(metrics.lines().filter(|line| line.contains(run)).count(), 2);
}

#[test]
fn a_run_that_is_under_way_or_unknown_cannot_be_resumed() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", pipeline(&[("one", "command = 'sleep 1000'")]));
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    let started = events.until_stage("one");
    let run = started["run_id"].as_str().unwrap();
    let unknown = workspace.ctl(&["resume", "--run", "nothing-like-it"]);
    assert_eq!(unknown.code, Some(2));
    let refused = workspace.ctl(&["resume", "--run", run, "--json"]);
    assert_eq!(
        (refused.code, &refused.json()["error"]["kind"]),
        (Some(3), &json!("busy")),
        "{refused:?}"
    );
    workspace.done(&["cancel", run]);
}

#[test]
fn a_resumed_run_is_not_told_the_changes_of_the_time_before() {
    let world = World::new();
    let (repaired, listed) = (world.path("repaired"), world.path("listed"));
    let workspace = world.watched(
        "w",
        &pipeline(&[(
            "list",
            &format!(
                "command = 'cp $ORCHD_CHANGED_FILES {}; test ! -e bad -o -e {}'",
                listed.display(),
                repaired.display()
            ),
        )]),
    );
    let mut events = world.events();
    workspace.write("bad", "1");
    let run = events.until_type("run.ended")["run_id"].clone();
    assert_eq!(std::fs::read(&listed).unwrap(), b"bad\0");
    std::fs::File::create(&repaired).unwrap();
    let resumed = workspace.ctl(&["resume", "--run", run.as_str().unwrap()]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(std::fs::read(&listed).unwrap(), b"");
}

#[test]
fn a_stage_of_a_lost_run_proves_nothing_of_the_content_that_the_run_began_on() {
    let mut world = World::new();
    let (gate, mended) = (world.fifo("gate"), world.path("mended"));
    let look = format!("command = 'read _ < {}; grep good a.txt'", gate.display());
    let hang = format!("command = 'test -e {} || sleep 1000'", mended.display());
    let stages = pipeline(&[("look", &look), ("hang", &hang)]);
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        format!("[workspace]\non_start = false\n{stages}"),
    );
    workspace.write("a.txt", "bad");
    workspace.done(&["add", "--allow"]);
    let mut events = world.events();
    let begun = workspace.done(&["run", "--detach", "--json"]).json();
    let run = begun["run_id"].as_str().unwrap().to_owned();
    workspace.write("a.txt", "good");
    std::fs::write(&gate, "go\n").unwrap();
    events.until_stage("hang");
    let manifest = format!(".runs/t/cli/{run}/manifest.json");
    let ended = || workspace.json(&manifest)["commands"][0]["status"] == "succeeded";
    let began = Instant::now();
    while !ended() {
        assert!(began.elapsed() < DEADLINE, "the stage is never recorded");
        std::thread::yield_now();
    }
    world.kill();
    world.directory("w").write("a.txt", "bad");
    std::fs::File::create(&mended).unwrap();
    world.start();
    let workspace = world.directory("w");
    let resumed = workspace.ctl(&["resume", "--run", &run]);
    let why = "a stage was kept from before the resume, and had run on other content";
    let said =
        format!("  {why}: it says nothing of what is there now\n? unknown  {run}\n  {manifest}\n");
    assert_eq!((resumed.code, &resumed.out), (Some(3), &said));
    let shown = workspace.done(&["show", &run, "--json"]).json();
    assert_eq!(
        (&shown["status"], &shown["verdict"], &shown["void"]),
        (&json!("succeeded"), &json!("unknown"), &Value::Null)
    );
    let shown = workspace.done(&["show", &run]).out;
    assert!(shown.contains(&format!("  unproven   {why}\n")), "{shown}");
}

/// As published users have them: in `codex.orchestrator.json` stages of one id are told apart by their places.
#[test]
fn stages_of_one_id_in_a_published_configuration_are_all_run_and_kept_apart() {
    let world = World::new();
    let (ran, mended) = (world.path("ran"), world.path("mended"));
    let stage = |title: &str, more: &str| {
        let command = format!("echo {title}; echo {title} >> {}; {more}", ran.display());
        json!({"kind": "command", "id": "check", "title": title, "command": command})
    };
    let mut first = stage("one", "exit 3");
    first["allowFailure"] = json!(true);
    let third = stage("three", &format!("test -e {}", mended.display()));
    let workspace = world.directory("w");
    let write = |second: &str| {
        let stages = json!([first, stage(second, ""), third]);
        let published = json!({"pipelines": [{"id": "diagnostics", "stages": stages}]});
        workspace.write("codex.orchestrator.json", published.to_string());
    };
    write("two");
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "fail");
    let run = workspace.runs()[0].clone();
    let id = run["run_id"].as_str().unwrap();
    let column = |table: &Value, key: &str| -> Vec<Value> {
        let rows = table.as_array().unwrap().iter();
        rows.map(|row| row[key].clone()).collect()
    };
    let commands = || workspace.json(run["manifest"].as_str().unwrap())["commands"].clone();
    assert_eq!(column(&commands(), "id"), ["check", "check", "check"]);
    assert_eq!(column(&commands(), "title"), ["one", "two", "three"]);
    assert_eq!(
        column(&commands(), "status"),
        ["skipped", "succeeded", "failed"]
    );
    let said = |stage: &[&str]| workspace.done(&[&["logs", id], stage].concat()).out;
    for (stage, text) in [
        (&[][..], "three\n"),
        (&["check"], "three\n"),
        (&["01-check"], "one\n"),
        (&["02-check"], "two\n"),
    ] {
        assert_eq!(said(stage), text, "{stage:?}");
    }
    std::fs::File::create(&mended).unwrap();
    let resumed = workspace.ctl(&["resume", "--run", id, "--json"]);
    assert_eq!(resumed.json()["verdict"], "flaky", "{resumed:?}");
    assert_eq!(
        std::fs::read_to_string(&ran).unwrap(),
        "one\ntwo\nthree\nthree\n"
    );
    let sidecar = workspace.json(
        &run["manifest"]
            .as_str()
            .unwrap()
            .replace("manifest", "orchd"),
    );
    let outcomes = column(&sidecar["stages"], "outcome");
    assert_eq!(outcomes, ["failed", "passed", "flaky"]);
    write("other");
    workspace.done(&["sync"]);
    let told = workspace.status()["detail"].as_str().unwrap().to_owned();
    assert!(told.contains("other") && !told.contains("three"), "{told}");
    let allowed = workspace.done(&["allow", "--json"]).json();
    let known = column(&allowed["commands"], "known");
    assert_eq!(known, [true, false, true]);
}

#[test]
fn stages_of_one_id_are_told_apart_wherever_they_are_shown() {
    let world = World::new();
    let workspace = world.directory("w");
    let stage = |id: &str, command: &str| json!({"kind": "command", "id": id, "command": command});
    let stages = [("check", "true"), ("build", "true"), ("check", "exit 3")];
    let stages: Vec<Value> = stages.map(|(id, line)| stage(id, line)).to_vec();
    let published = json!({"pipelines": [{"id": "diagnostics", "stages": stages}]});
    workspace.write("codex.orchestrator.json", published.to_string());
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "fail");
    let mut events = world.events();
    let run = workspace.ctl(&["run", "--force"]);
    assert!(run.out.starts_with("  03-check  exit 3\n"), "{run:?}");
    let status = workspace.status();
    let failure = &status["projects"][0]["failure"];
    assert_eq!(
        (&failure["stage"], &failure["name"]),
        (&json!("check"), &json!("03-check"))
    );
    let mut ended = || events.until_type("stage.ended");
    for (index, id) in [(1, "check"), (2, "build"), (3, "check")] {
        let told = ended();
        assert_eq!(
            (&told["index"], &told["stage"]),
            (&json!(index), &json!(id))
        );
    }
    let id = workspace.runs()[0]["run_id"].as_str().unwrap().to_owned();
    let shown = workspace.done(&["show", &id]).out;
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    for (sign, name) in [("+", "01-check"), ("+", "build   "), ("x", "03-check")] {
        let line = format!("{sign} {name}  ");
        let told = lines.iter().any(|it| it.starts_with(&line));
        assert!(told, "{name}: {shown}");
    }
}

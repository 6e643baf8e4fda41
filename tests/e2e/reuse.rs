//! What is proven is not executed again: stages that are taken over, from whom, and what makes them run all the same.

use crate::support::{Workspace, World, lines};
use serde_json::{Value, json};
use std::path::Path;

/// A stage that leaves a line in a file outside of the workspace whenever it is executed.
fn stage(world: &World, id: &str, command: &str, further: &str) -> String {
    let count = world.path(id);
    let count = count.display();
    format!(
        "[[pipeline.stage]]\nid = \"{id}\"\ncommand = \"echo this is {id}; echo {id} >> {count}; {command}\"\n{further}\n"
    )
}

/// How often each of these stages was executed.
fn executed<const N: usize>(world: &World, stages: [&str; N]) -> [usize; N] {
    stages.map(|id| lines(&world.path(id)))
}

/// What the files of the newest run say: its manifest and its sidecar.
fn newest(workspace: &Workspace<'_>) -> (Value, Value) {
    let manifest = workspace.runs()[0]["manifest"].as_str().unwrap().to_owned();
    let sidecar = manifest.replace("manifest.json", "orchd.json");
    (workspace.json(&manifest), workspace.json(&sidecar))
}

/// Of each stage of a sidecar: its outcome, how often it was attempted, and the run that it was taken over from.
fn told(sidecar: &Value) -> Vec<Value> {
    let stages = sidecar["stages"].as_array().unwrap().iter();
    let told = stages.map(|it| json!([it["outcome"], it["attempts"], it["reused_from"]]));
    told.collect()
}

/// What the files of the newest run say of its second stage, which it has taken over from `proving`.
fn is_told(workspace: &Workspace<'_>, proving: &Value) {
    let (manifest, sidecar) = newest(workspace);
    let told = told(&sidecar);
    let expected = [json!(["passed", 1, null]), json!(["passed", 0, proving])];
    assert_eq!(told, expected);
    assert_eq!(sidecar["stages"][1]["proven"], true);
    let test = &manifest["commands"][1];
    assert_eq!(
        (&test["status"], &test["exit_code"]),
        (&json!("succeeded"), &json!(0))
    );
    let from = proving.as_str().unwrap();
    let said = format!("Reused: proven by run {from}.");
    assert_eq!(test["summary"], said);
    let task = manifest["task_id"].as_str().unwrap();
    let log = format!(".runs/{task}/cli/{from}/commands/02-test.ndjson");
    assert_eq!(test["log_path"], log);
    assert!(workspace.read(&log).contains("this is test"));
}

#[test]
fn only_what_reads_a_change_is_executed() {
    let mut world = World::new();
    let toml = [
        "[[pipeline]]\nid = \"diagnostics\"\n".to_owned(),
        stage(&world, "lint", "true", "inputs = [\"src/**\"]"),
        stage(&world, "test", "true", "inputs = [\"lib/**\"]"),
    ];
    let both = ["lint", "test"];
    let first = world.watched("w", &toml.concat());
    assert_eq!(first.wait()["verdict"], "pass");
    first.write("src/a", "1");
    first.write("lib/b", "1");
    assert_eq!(first.wait()["verdict"], "pass");
    let before = executed(&world, both);
    let proving = first.runs()[0]["run_id"].clone();

    first.write("src/a", "2");
    assert_eq!(first.wait()["verdict"], "pass");
    assert_eq!(executed(&world, both), [before[0] + 1, before[1]]);
    is_told(&first, &proving);
    let passed = json!(["passed", 1, null]);
    let taken = |from: &Value| json!(["passed", 0, from]);

    // A daemon that was killed knows it from the sidecars; the run that is named is the one that has executed it.
    let second_run = first.runs()[0]["run_id"].clone();
    world.kill();
    world.start();
    let second = world.directory("w");
    second.write("lib/b", "2");
    assert_eq!(second.wait()["verdict"], "pass");
    assert_eq!(executed(&world, both), [before[0] + 1, before[1] + 1]);
    assert_eq!(
        told(&newest(&second).1),
        [taken(&second_run), passed.clone()]
    );
    second.write("src/a", "1");
    second.write("lib/b", "1");
    second.write("lib/c", "1");
    assert_eq!(second.wait()["verdict"], "pass");
    assert_eq!(executed(&world, both), [before[0] + 1, before[1] + 2]);
    assert_eq!(told(&newest(&second).1), [taken(&proving), passed.clone()]);

    // Who asks for a run gets one that executes nothing; who forces it, one that executes everything.
    second.done(&["run"]);
    assert_eq!(executed(&world, both), [before[0] + 1, before[1] + 2]);
    second.done(&["run", "--force"]);
    assert_eq!(executed(&world, both), [before[0] + 2, before[1] + 3]);
    assert_eq!(told(&newest(&second).1), [passed.clone(), passed]);
}

#[test]
fn outputs_that_are_not_as_they_were_left_are_made_again() {
    let world = World::new();
    let toml = [
        "[[pipeline]]\nid = \"diagnostics\"\n".to_owned(),
        stage(
            &world,
            "build",
            "mkdir -p dist && cp src/a dist/out",
            "inputs = [\"src/**\"]\noutputs = [\"dist/**\"]",
        ),
        stage(
            &world,
            "test",
            "cat dist/out",
            "inputs = [\"lib/**\"]\nneeds = [\"build\"]",
        ),
    ];
    let both = ["build", "test"];
    let workspace = world.directory("w");
    workspace.write("src/a", "1");
    workspace.write("lib/b", "1");
    workspace.write(".gitignore", "dist/\n.runs/\n");
    let workspace = world.watched("w", &toml.concat());
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(executed(&world, both), [1, 1]);
    let (_, sidecar) = newest(&workspace);
    let (build, test) = (&sidecar["stages"][0], &sidecar["stages"][1]);
    assert!(build["outputs"].is_string() && test["outputs"].is_null());
    assert!(build["content_key"].is_null(), "it is the key");
    assert!(test["content_key"].is_string() && test["content_key"] != test["key"]);
    let run = || {
        workspace.done(&["run"]);
        executed(&world, both)
    };
    assert_eq!(run(), [1, 1], "all is as it was");

    workspace.sh("rm -r dist");
    assert_eq!(
        run(),
        [2, 1],
        "what is made again just so needs no other test"
    );
    assert_eq!(workspace.read("dist/out"), "1");
    workspace.write("dist/out", "somebody's");
    assert_eq!(
        run(),
        [3, 1],
        "nor is what somebody else has made taken for it"
    );
    assert_eq!(workspace.read("dist/out"), "1");
    workspace.write("dist/more", "somebody's");
    assert_eq!(
        run(),
        [4, 2],
        "and what lies beside it is part of what is tested"
    );
    workspace.sh("rm dist/more");
    workspace.write("src/a", "2");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(executed(&world, both), [5, 3], "another result is tested");
    workspace.write("src/a", "1");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(
        executed(&world, both),
        [5, 3],
        "the verdict is the content's"
    );
    assert_eq!(
        run(),
        [6, 3],
        "what was left is made again before it is relied on"
    );
    assert_eq!(workspace.read("dist/out"), "1");
}

#[test]
fn nothing_is_taken_over_whose_evidence_is_gone() {
    let world = World::new();
    let toml = [
        "[[pipeline]]\nid = \"diagnostics\"\n".to_owned(),
        stage(&world, "lint", "true", "inputs = [\"src/**\"]"),
        stage(&world, "test", "true", "inputs = [\"lib/**\"]"),
    ];
    let both = ["lint", "test"];
    let workspace = world.watched("w", &toml.concat());
    workspace.write("src/a", "1");
    workspace.write("lib/b", "1");
    assert_eq!(workspace.wait()["verdict"], "pass");
    let before = executed(&world, both);
    // Another run of this content stands for it from now on, and has executed nothing.
    workspace.done(&["run"]);
    let runs = workspace.runs();
    let manifests = runs[1..]
        .iter()
        .map(|run| run["manifest"].as_str().unwrap());
    for manifest in manifests {
        let run = Path::new(workspace.root()).join(manifest);
        std::fs::remove_dir_all(run.parent().unwrap()).unwrap();
    }
    workspace.done(&["run"]);
    assert_eq!(executed(&world, both), before.map(|times| times + 1));
}

#[test]
fn what_was_taken_over_is_told_with_who_executed_it() {
    let world = World::new();
    let toml = [
        "[[pipeline]]\nid = \"diagnostics\"\n".to_owned(),
        stage(&world, "lint", "true", "inputs = [\"src/**\"]"),
        stage(&world, "test", "true", "inputs = [\"lib/**\"]"),
    ];
    let workspace = world.watched("w", &toml.concat());
    workspace.write("src/a", "1");
    workspace.write("lib/b", "1");
    assert_eq!(workspace.wait()["verdict"], "pass");
    let executed = workspace.runs()[0]["run_id"].as_str().unwrap().to_owned();
    let mut events = world.events();
    workspace.write("src/a", "2");
    assert_eq!(workspace.wait()["verdict"], "pass");
    let told = workspace.settle(&mut events);
    let of_stages = told.iter().filter(|event| event["stage"].is_string());
    let of_stages: Vec<Value> = of_stages
        .map(|event| json!([event["type"], event["stage"], event["reused_from"]]))
        .collect();
    let expected = [
        json!(["stage.started", "lint", null]),
        json!(["stage.ended", "lint", null]),
        json!(["stage.ended", "test", executed]),
    ];
    assert_eq!(of_stages, expected);

    let run = workspace.runs()[0]["run_id"].as_str().unwrap().to_owned();
    let gate = workspace.done(&["gate"]);
    assert!(gate.out.contains("2 of 2 stages, 1 reused"), "{gate:?}");
    let shown = workspace.done(&["show", &run]);
    let short = executed.rsplit('-').next().unwrap();
    assert!(
        shown.out.contains(&format!("proven by {short}")),
        "{shown:?}"
    );
    let log = workspace.done(&["logs", &run, "test"]);
    assert_eq!(log.out, "this is test\n");
    assert_eq!(workspace.done(&["logs", &run]).out, "this is lint\n");
    let directory = Path::new(workspace.root()).join(".runs");
    let found = workspace.runs().into_iter();
    let mut found = found.filter(|it| it["run_id"] == executed.as_str());
    let manifest = found.next().unwrap()["manifest"]
        .as_str()
        .unwrap()
        .to_owned();
    let gone = Path::new(workspace.root()).join(manifest);
    assert!(gone.starts_with(&directory));
    std::fs::remove_dir_all(gone.parent().unwrap()).unwrap();
    let log = workspace.ctl(&["logs", &run, "test"]);
    assert_eq!(log.code, Some(2), "{log:?}");
    assert!(log.err.contains(&format!("from run {executed}")), "{log:?}");
}

#[test]
fn what_is_red_is_run_once_more_for_a_gate_and_nothing_that_passed() {
    let world = World::new();
    let broken = world.path("broken");
    std::fs::write(&broken, "").unwrap();
    let toml = [
        "[[pipeline]]\nid = \"diagnostics\"\n".to_owned(),
        stage(&world, "lint", "true", ""),
        stage(
            &world,
            "test",
            &format!("test ! -e {}", broken.display()),
            "",
        ),
    ];
    let both = ["lint", "test"];
    let workspace = world.watched("w", &toml.concat());
    assert_eq!(workspace.wait()["verdict"], "fail");
    assert_eq!(executed(&world, both), [1, 1]);
    assert_eq!(workspace.wait()["verdict"], "fail");
    assert_eq!(workspace.ctl(&["gate", "--no-wait"]).code, Some(1));
    assert_eq!(executed(&world, both), [1, 1], "who only waits is told");
    let gate = workspace.ctl(&["gate"]);
    assert_eq!((gate.code, executed(&world, both)), (Some(1), [1, 2]));
    std::fs::remove_file(&broken).unwrap();
    let gate = workspace.ctl(&["gate"]);
    assert_eq!((gate.code, executed(&world, both)), (Some(0), [1, 3]));
    assert!(gate.out.contains("~ flaky"), "{gate:?}");
    assert_eq!(workspace.ctl(&["gate"]).code, Some(0));
    assert_eq!(executed(&world, both), [1, 3], "green is told");
}

#[test]
fn a_void_run_proves_the_stages_that_the_edit_did_not_concern() {
    let mut world = World::new();
    let gate = world.fifo("gate");
    let slow = format!("read _ < {}", gate.display());
    let toml = [
        "[[pipeline]]\nid = \"diagnostics\"\n".to_owned(),
        stage(&world, "lint", "true", "inputs = [\"lib/**\"]"),
        stage(&world, "slow", &slow, "inputs = [\"src/**\"]"),
    ];
    let both = ["lint", "slow"];
    let workspace = world.directory("w");
    workspace.write("orchd.toml", toml.concat());
    workspace.write("src/a", "1");
    workspace.write("lib/b", "1");
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    events.until_stage("slow");
    workspace.write("src/a", "2");
    workspace.ctl(&["gate", "--no-wait"]);
    world.say(&gate, "go\n");
    let void = events.until_type("run.ended");
    assert_eq!(void["void"], true, "{void}");
    let sidecar = void["manifest"].as_str().unwrap();
    let sidecar = workspace.json(&sidecar.replace("manifest.json", "orchd.json"));
    let stages = &sidecar["stages"];
    assert_eq!(
        (&stages[0]["proven"], &stages[1]["proven"]),
        (&json!(true), &Value::Null)
    );
    world.say(&gate, "go\n");
    let ended = events.until_type("run.ended");
    assert_eq!(ended["verdict"], "pass");
    assert_eq!(executed(&world, both), [1, 2]);
    let taken = json!(["passed", 0, void["run_id"]]);
    assert_eq!(told(&newest(&workspace).1)[0], taken);

    // The next daemon knows it, too.
    drop(workspace);
    world.kill();
    world.start();
    let workspace = world.directory("w");
    let mut events = world.events();
    workspace.write("src/a", "3");
    events.until_stage("slow");
    world.say(&gate, "go\n");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(executed(&world, both), [1, 3]);
    assert_eq!(told(&newest(&workspace).1)[0], taken);
}

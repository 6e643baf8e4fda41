//! `orchctl why`: each reason for which a stage is proven or not, told of the content that is there now.
//!
//! A stage that is to be asked about while it runs waits for a pipe.

use crate::deadline::DEADLINE;
use crate::support::{Workspace, World, pipeline};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// Something that stages wait for where it stands.
struct Hold {
    mark: PathBuf,
    pipe: PathBuf,
}

impl Hold {
    fn new(world: &World) -> Self {
        let (mark, pipe) = (world.path("hold"), world.path("pipe"));
        let made = world.command("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        Self { mark, pipe }
    }

    /// The command of a stage that waits.
    fn command(&self) -> String {
        let (mark, pipe) = (self.mark.display(), self.pipe.display());
        format!("if test -e {mark}; then cat {pipe}; fi")
    }

    fn set(&self) {
        std::fs::write(&self.mark, "").unwrap();
    }

    /// Lets go of the one stage that waits, or will, and of all that would.
    fn lift(&self) {
        let pipe = std::fs::File::options().write(true).open(&self.pipe);
        std::fs::remove_file(&self.mark).unwrap();
        drop(pipe.unwrap());
    }
}

fn why(workspace: &Workspace<'_>) -> Value {
    let told = workspace.done(&["why", "--task", "t", "--json"]).json();
    told["projects"][0].clone()
}

/// Of a stage: its state, the run, and what is different.
fn short(stage: &Value) -> Value {
    json!([stage["state"], stage["run_id"], stage["why"]])
}

fn stages(lint: &str) -> String {
    let lint = format!("command = \"{lint}\"\ninputs = [\"src/**\"]");
    let test = "command = \"true\"\ninputs = [\"lib/**\"]".to_owned();
    pipeline(&[("lint", &lint), ("test", &test)])
}

#[test]
fn a_stage_is_proven_by_a_run_or_something_has_changed_since() {
    let world = World::new();
    let hold = Hold::new(&world);
    let toml = stages(&hold.command());
    let workspace = world.directory("w");
    workspace.write("src/a", "1");
    hold.set();
    workspace.write("orchd.toml", toml);
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    events.until_stage("lint");
    let told = why(&workspace);
    assert_eq!(told["verdict"], "unknown", "{told}");
    let lint = &told["stages"][0];
    assert_eq!(short(lint), json!(["unproven", null, ["never"]]), "{told}");
    assert!(lint["running"].is_string(), "{told}");
    hold.lift();
    assert_eq!(workspace.wait()["verdict"], "pass");
    let first = workspace.runs()[0]["run_id"].clone();
    let proven = json!(["proven", first, []]);
    let told = why(&workspace);
    assert_eq!(
        (&told["verdict"], &told["run_id"]),
        (&json!("pass"), &first)
    );
    assert_eq!(short(&told["stages"][0]), proven, "{told}");
    assert_eq!(short(&told["stages"][1]), proven, "{told}");
    let said = workspace.done(&["why"]).out;
    let salt = first.as_str().unwrap().rsplit('-').next().unwrap();
    assert!(
        said.contains(&format!("+ proven    lint  proven by run {salt}")),
        "{said}"
    );

    hold.set();
    workspace.write("src/a", "2");
    events.until_stage("lint");
    let told = why(&workspace);
    let (lint, test) = (&told["stages"][0], &told["stages"][1]);
    assert_eq!(
        short(lint),
        json!(["unproven", first, ["inputs"]]),
        "{told}"
    );
    assert_eq!(lint["changed"], json!({"count": 1, "paths": ["src/a"]}));
    assert!(
        lint["running"].is_string() && lint["void"].is_null(),
        "{told}"
    );
    assert_eq!(short(test), proven, "it reads nothing of that: {told}");
    workspace.write("src/b", "1");
    workspace.write("lib/c", "1");
    let told = why(&workspace);
    let lint = &told["stages"][0];
    assert_eq!(
        lint["void"],
        json!({"count": 1, "paths": ["src/b"]}),
        "{told}"
    );
    let both = json!({"count": 2, "paths": ["src/a", "src/b"]});
    assert_eq!(lint["changed"], both, "{told}");
    let test = &told["stages"][1];
    let one = json!({"count": 1, "paths": ["lib/c"]});
    assert_eq!((&test["changed"], &test["void"]), (&one, &one), "{told}");
    hold.lift();
    assert_eq!(workspace.wait()["verdict"], "pass");
    let told = why(&workspace);
    assert_eq!(told["stages"][1]["state"], "proven", "{told}");
}

#[test]
fn a_restart_and_another_command_are_told() {
    let mut world = World::new();
    let hold = Hold::new(&world);
    let toml = stages(&hold.command());
    let proven = {
        let workspace = world.watched("w", &toml);
        assert_eq!(workspace.wait()["verdict"], "pass");
        json!(["proven", workspace.runs()[0]["run_id"], []])
    };
    let last = proven[1].clone();
    world.kill();
    hold.set();
    world.start();
    let workspace = world.directory("w");
    let told = why(&workspace);
    assert_eq!(short(&told["stages"][0]), proven, "{told}");
    assert_eq!(short(&told["stages"][1]), proven, "{told}");
    workspace.write("orchd.toml", stages(&format!("{} ; true", hold.command())));
    let by = Instant::now() + DEADLINE;
    let refused = loop {
        let told = workspace.ctl(&["why"]);
        if !told.out.contains("is being read again") {
            break told;
        }
        assert!(Instant::now() < by, "{told:?}");
    };
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let other = world.watched("x", &pipeline(&[("check", "command = \"true\"")]));
    let all = world.ctl(&["why", "--json"]);
    assert_eq!(all.code, Some(0), "of several each says its own: {all:?}");
    let (one, two) = (&all.json()["projects"][0], &all.json()["projects"][1]);
    let untrusted = one["detail"].as_str().unwrap_or_default();
    assert!(untrusted.contains("orchctl allow"), "{all:?}");
    assert_eq!(two["stages"][0]["state"], "proven", "{all:?}");
    world.ctl(&["remove", other.root()]);
    let mut events = world.events();
    workspace.done(&["allow", workspace.root()]);
    events.until_stage("lint");
    let told = why(&workspace);
    let lint = &told["stages"][0];
    assert_eq!(
        short(lint),
        json!(["unproven", last, ["definition"]]),
        "{told}"
    );
    assert_eq!(short(&told["stages"][1]), proven);
    hold.lift();
}

#[test]
fn what_a_stage_waits_for_is_told() {
    let world = World::new();
    let hold = Hold::new(&world);
    let build = "command = \"mkdir -p dist && cp src/a dist/out\"\ninputs = [\"src/**\"]\noutputs = [\"dist/**\"]";
    let test = format!(
        "command = \"{}\"\ninputs = [\"lib/**\"]\nneeds = [\"build\"]",
        hold.command()
    );
    let toml = pipeline(&[("build", build), ("test", &test)]);
    let workspace = world.directory("w");
    workspace.write("src/a", "1");
    workspace.write(".gitignore", "dist/\n.runs/\n");
    let workspace = world.watched("w", &toml);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let first = workspace.runs()[0]["run_id"].clone();
    hold.set();
    let mut events = world.events();
    workspace.write("src/a", "2");
    let second = events.until_stage("test")["run_id"].clone();
    let told = why(&workspace);
    assert_eq!(
        short(&told["stages"][1]),
        json!(["unproven", first, ["waits"]]),
        "{told}"
    );
    workspace.ctl(&["cancel", second.as_str().unwrap()]);
    events.until(|event| event["type"] == "run.ended" && event["run_id"] == second);
    let told = why(&workspace);
    assert_eq!(
        short(&told["stages"][0]),
        json!(["proven", second, []]),
        "{told}"
    );
    assert_eq!(
        short(&told["stages"][1]),
        json!(["unproven", first, ["outputs"]]),
        "{told}"
    );
}

#[test]
fn what_has_failed_and_what_is_flaky_is_told_with_its_run() {
    let world = World::new();
    let broken = world.path("broken");
    std::fs::write(&broken, "").unwrap();
    let check = format!("command = \"test ! -e {}\"", broken.display());
    let workspace = world.watched("w", &pipeline(&[("check", &check)]));
    assert_eq!(workspace.wait()["verdict"], "fail");
    let red = workspace.runs()[0]["run_id"].clone();
    let told = why(&workspace);
    assert_eq!(told["verdict"], "fail");
    assert_eq!(
        short(&told["stages"][0]),
        json!(["failed", red, []]),
        "{told}"
    );
    std::fs::remove_file(&broken).unwrap();
    workspace.done(&["gate"]);
    let flaky = workspace.runs()[0]["run_id"].clone();
    let told = why(&workspace);
    assert_eq!(
        short(&told["stages"][0]),
        json!(["flaky", flaky, []]),
        "{told}"
    );
}

#[test]
fn after_a_restart_the_files_themselves_say_what_has_changed() {
    let mut world = World::new();
    let toml = format!("[workspace]\non_start = false\n{}", stages("true"));
    {
        let workspace = world.directory("w");
        workspace.write("src/a", "1");
        workspace.write("src/b", "1");
        workspace.write("lib/c", "1");
        workspace.write("orchd.toml", toml);
        workspace.done(&["add", "--allow"]);
        assert_eq!(workspace.done(&["run"]).code, Some(0));
    }
    world.ctl(&["shutdown"]);
    world.ended();
    std::fs::write(world.path("w/src/b"), "2").unwrap();
    world.start();
    let workspace = world.directory("w");
    let told = why(&workspace);
    let lint = &told["stages"][0];
    assert_eq!(lint["why"], json!(["inputs"]), "{told}");
    assert_eq!(
        lint["changed"],
        json!({"count": null, "paths": ["src/b"]}),
        "{told}"
    );
    assert_eq!(told["stages"][1]["state"], "proven", "{told}");
    let words = workspace.done(&["why", "--task", "t"]).out;
    let said = "by their times changed: src/b; others may have, too";
    assert!(words.contains(said), "{words}");
}

#[test]
fn a_stage_that_is_a_pipeline_is_told_by_its_stages() {
    let world = World::new();
    let child = "[[pipeline]]\nid = \"smoke\"\n[[pipeline.stage]]\nid = \"probe\"\ncommand = \"true\"\n\
                 inputs = [\"lib/**\"]\n";
    let own = [
        ("lint", "command = \"true\"\ninputs = [\"src/**\"]"),
        ("smoke", "pipeline = \"smoke\""),
    ];
    let workspace = world.directory("w");
    workspace.write("src/a", "1");
    workspace.write("lib/b", "1");
    workspace.write("orchd.toml", pipeline(&own) + child);
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["projects"][0]["verdict"], "pass");
    let told = why(&workspace);
    let named = told["stages"].as_array().unwrap().iter();
    let named: Vec<Value> = named
        .map(|it| json!([it["pipeline_id"], it["stage"]]))
        .collect();
    assert_eq!(
        json!(named),
        json!([["diagnostics", "lint"], ["smoke", "probe"]])
    );
    let probe = told["stages"][1].clone();
    assert_eq!(
        (&probe["state"], &probe["why"]),
        (&json!("proven"), &json!([]))
    );
    // By the child run, which executed it.
    assert_ne!(probe["run_id"], told["run_id"]);
    let child = workspace.done(&["show", probe["run_id"].as_str().unwrap(), "--json"]);
    assert_eq!(child.json()["parent_run_id"], told["run_id"]);
    let fails = pipeline(&own) + &child_that_fails();
    workspace.write("orchd.toml", fails);
    workspace.done(&["allow"]);
    workspace.write("lib/b", "2");
    assert_eq!(workspace.wait()["projects"][0]["verdict"], "fail");
    let told = why(&workspace);
    assert_eq!(told["stages"][0]["state"], "proven", "{told}");
    assert_eq!(told["stages"][1]["state"], "failed", "{told}");
}

fn child_that_fails() -> String {
    let head = "[[pipeline]]\nid = \"smoke\"\n[[pipeline.stage]]\nid = \"probe\"\n";
    format!("{head}command = \"false\"\ninputs = [\"lib/**\"]\n")
}

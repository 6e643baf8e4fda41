//! Approvals: a red gate passes by what somebody has accepted, on that content and no other; and nothing else does.
//!
//! Time is in none of these tests: one that is over was written so into the sidecar.

use crate::support::{Done, Workspace, World, pipeline};
use serde_json::{Value, json};

/// Two stages that run side by side, and a third behind them.
fn toml() -> String {
    pipeline(&[
        ("lint", "command = 'grep -q good a.txt'"),
        ("audit", "command = 'grep -q good b.txt'\nneeds = []"),
        ("pack", "command = 'true'\nneeds = ['lint', 'audit']"),
    ])
}

/// A workspace of these texts in a.txt and b.txt, allowed, that no daemon watches.
fn still<'a>(world: &'a World, a: &str, b: &str) -> Workspace<'a> {
    let workspace = world.directory("w");
    workspace.write("orchd.toml", toml());
    workspace.write("a.txt", a);
    workspace.write("b.txt", b);
    workspace.done(&["allow"]);
    workspace
}

fn gate(workspace: &Workspace<'_>, more: &[&str]) -> Done {
    let mut arguments = vec!["gate", "--json"];
    arguments.extend(more);
    workspace.ctl(&arguments)
}

fn run_of(answer: &Done) -> String {
    let json = answer.json();
    let run = json["projects"][0]["run_id"].as_str();
    run.unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

/// Has a gate be red, and tells the run that it answers by.
fn red(workspace: &Workspace<'_>, more: &[&str]) -> String {
    let answer = gate(workspace, more);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert_eq!(answer.json()["verdict"], "fail");
    assert_eq!(answer.json()["projects"][0]["approved"], Value::Null);
    run_of(&answer)
}

/// Has a gate pass by approvals, and tells those.
fn approved(workspace: &Workspace<'_>, more: &[&str]) -> Vec<Value> {
    let answer = gate(workspace, more);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let json = answer.json();
    assert_eq!(json["verdict"], "pass", "{json}");
    let approved = json["projects"][0]["approved"].as_array();
    approved.unwrap_or_else(|| panic!("{json}")).clone()
}

fn approve(workspace: &Workspace<'_>, run: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["approve", run, "--json", "--reason", "known flake"];
    arguments.extend(more);
    workspace.done(&arguments).json()["approvals"][0].clone()
}

fn refused(workspace: &Workspace<'_>, arguments: &[&str], says: &str) {
    let done = workspace.ctl(arguments);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains(says), "{done:?}");
    assert!(done.err.contains("hint: "), "{done:?}");
}

fn sidecar(run: &str) -> String {
    format!(".runs/t/cli/{run}/orchd.json")
}

#[test]
fn what_is_approved_passes_on_this_content_and_an_edit_makes_it_red_again() {
    let mut world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", toml());
    workspace.write("a.txt", "bad\n");
    workspace.write("b.txt", "good\n");
    workspace.sh("git init -q . && git config user.name 'Ada L.' && echo .runs >> .gitignore && echo out >> .gitignore");
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "fail");
    let run = red(&workspace, &["--no-wait"]);
    let given = approve(&workspace, &run[20..], &["--until", "2999-12-31"]);
    let input = workspace.status()["projects"][0]["input_digest"].clone();
    let expected = json!({
        "run_id": run, "actor": "Ada L.", "timestamp": given["timestamp"], "reason": "known flake",
        "scope": null, "until": "2999-12-31", "input_digest": input,
    });
    assert_eq!(given, expected);
    let all = [given.clone()];
    let manifest = workspace.json(&format!(".runs/t/cli/{run}/manifest.json"));
    let brief =
        json!([{"actor": "Ada L.", "timestamp": given["timestamp"], "reason": "known flake"}]);
    assert_eq!(manifest["approvals"], brief);

    assert_eq!(approved(&workspace, &["--no-wait"]), all);
    let said = workspace.done(&["gate", "--no-wait"]).out;
    let words = "pass (approved by Ada L.: known flake, until 2999-12-31)";
    assert!(said.contains(words), "{said}");
    // A gate that may run something has what is red run once more, and that run is covered, too.
    assert_eq!(approved(&workspace, &[]), all);
    let answer = gate(&workspace, &[]);
    assert_ne!(run_of(&answer), run);
    // Only gates honour it.
    assert_eq!(workspace.status()["projects"][0]["verdict"], "fail");
    assert_eq!(workspace.ctl(&["wait"]).code, Some(1));
    assert_eq!(
        workspace.json("out/t/state.json")["orchd"]["verdict"],
        "fail"
    );
    assert_eq!(workspace.ctl(&["run"]).code, Some(1));

    workspace.write("a.txt", "worse\n");
    red(&workspace, &[]);
    workspace.write("a.txt", "bad\n");
    assert_eq!(approved(&workspace, &[]), all);
    // A command is a part of what was accepted.
    workspace.write("orchd.toml", toml().replace("q good a", "qi good a"));
    workspace.done(&["allow"]);
    red(&workspace, &[]);
    workspace.write("orchd.toml", toml());
    workspace.done(&["allow"]);
    assert_eq!(approved(&workspace, &[]), all);
    assert_eq!(world.ctl(&["shutdown"]).code, Some(0));
    world.start_over();
    let workspace = world.directory("w");
    assert_eq!(approved(&workspace, &["--no-wait"]), all);
    assert_eq!(approved(&workspace, &["--no-daemon"]), all);
}

#[test]
fn an_approval_by_stage_covers_that_stage_and_not_what_failed_beside_it() {
    let world = World::empty();
    let workspace = still(&world, "bad\n", "bad\n");
    let run = red(&workspace, &[]);
    let one = approve(&workspace, &run, &["--as", "Bob", "--scope", "stage=lint"]);
    assert_eq!(one["scope"], json!(["lint"]));
    red(&workspace, &[]);
    approve(&workspace, &run, &["--as", "Bob", "--scope", "stage=audit"]);
    // What was not run for it is covered by the whole, or by its name.
    red(&workspace, &[]);
    approve(&workspace, &run, &["--as", "Bob", "--scope", "stage=pack"]);
    let all = approved(&workspace, &[]);
    let scopes: Vec<&Value> = all.iter().map(|it| &it["scope"][0]).collect();
    assert_eq!(scopes, ["lint", "audit", "pack"]);
    let said = workspace.done(&["gate", "--no-wait"]).out;
    assert!(
        said.contains("known flake, for lint; approved by Bob"),
        "{said}"
    );
    let listed = workspace.done(&["approvals", "list", "--json"]).json();
    let listed = listed["approvals"].as_array().unwrap();
    let scopes: Vec<&Value> = listed.iter().map(|it| &it["scope"][0]).collect();
    assert_eq!(scopes, ["pack", "audit", "lint"], "newest first");
    assert_eq!(listed[2], one);
    let none = workspace.ctl(&["approvals", "list", "--task", "other"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    // Of other content each is worth nothing.
    workspace.write("b.txt", "good\n");
    red(&workspace, &[]);
}

#[test]
fn one_whose_day_is_over_is_honoured_no_more() {
    let world = World::empty();
    let workspace = still(&world, "bad\n", "good\n");
    let run = red(&workspace, &[]);
    approve(&workspace, &run, &["--until", "2999-12-31"]);
    approved(&workspace, &["--no-wait"]);
    let said = workspace.done(&["approvals", "list"]).out;
    assert!(said.contains("+ in force"), "{said}");
    let over = workspace
        .read(&sidecar(&run))
        .replace("2999-12-31", "2020-12-31");
    workspace.write(sidecar(&run), over);
    red(&workspace, &[]);
    let said = workspace.done(&["approvals", "list"]).out;
    assert!(said.contains("- over"), "{said}");
    refused(
        &workspace,
        &["approve", &run, "--reason", "x", "--until", "2020-12-31"],
        "--until 2020-12-31 is over",
    );
    // It is no use to anybody, and another one is another; but nobody approves what was changed by hand.
    let again = ["approve", &run, "--reason", "known flake"];
    refused(&workspace, &again, "is not as it was recorded");
    workspace.ctl(&["evidence", "verify", "--adopt"]);
    approve(&workspace, &run, &[]);
    workspace.done(&["evidence", "verify"]);
    approved(&workspace, &[]);
}

#[test]
fn a_commit_and_an_index_pass_by_what_was_approved_of_their_content() {
    let world = World::empty();
    let workspace = still(&world, "bad\n", "good\n");
    workspace.write(".gitignore", "/.runs/\n/out/t/\n");
    workspace.sh("git init -q -b main . && git add . && git commit -qm first");
    let run = red(&workspace, &["--commit", "HEAD"]);
    workspace.sh("echo good > a.txt");
    let given = approve(&workspace, &run, &[]);
    assert_eq!(given["actor"], workspace_user(&workspace));
    let all = [given];
    assert_eq!(approved(&workspace, &["--commit", "HEAD"]), all);
    assert_eq!(approved(&workspace, &["--index"]), all);
    let green = gate(&workspace, &[]);
    assert_eq!(green.code, Some(0), "{green:?}");
    assert_eq!(green.json()["projects"][0]["approved"], Value::Null);
    // The same content in the workspace is the same content.
    workspace.sh("git checkout -q a.txt");
    assert_eq!(approved(&workspace, &["--no-wait"]), all);
    workspace.sh("echo worse > a.txt; git add a.txt");
    red(&workspace, &["--index"]);
}

/// Who approves where nobody says it and git knows no name.
fn workspace_user(workspace: &Workspace<'_>) -> String {
    let user = workspace.running("echo \"uid $(id -u)\"").end().out;
    user.trim().to_owned()
}

#[test]
fn a_stage_that_is_a_pipeline_is_accepted_by_the_run_that_it_is_a_stage_of() {
    let world = World::empty();
    let workspace = world.directory("w");
    let smoke = "[[pipeline]]\nid = 'smoke'\n[[pipeline.stage]]\nid = 'knock'\ncommand = 'grep -q good a.txt'\n";
    let toml = pipeline(&[("deep", "pipeline = 'smoke'")]);
    workspace.write("orchd.toml", format!("{toml}{smoke}"));
    workspace.write("a.txt", "bad\n");
    workspace.done(&["allow"]);
    let run = red(&workspace, &[]);
    let manifest = workspace.json(&format!(".runs/t/cli/{run}/manifest.json"));
    let child = manifest["child_runs"][0]["run_id"].as_str().unwrap();
    let parent = format!("it is a stage of the run {run}");
    refused(&workspace, &["approve", child, "--reason", "x"], &parent);
    let input = |run: &str| workspace.json(&sidecar(run))["input_digest"].clone();
    assert_eq!(input(child), input(&run));
    let given = approve(&workspace, &run, &["--scope", "stage=deep"]);
    assert_eq!(approved(&workspace, &[]), [given]);
    workspace.write("a.txt", "worse\n");
    red(&workspace, &[]);
}

#[test]
fn a_run_that_is_taken_up_again_keeps_what_was_approved_of_it() {
    let world = World::empty();
    let workspace = still(&world, "bad\n", "good\n");
    let run = red(&workspace, &[]);
    let given = approve(&workspace, &run, &[]);
    let resumed = workspace.ctl(&["resume", "--run", &run, "--no-daemon", "--json"]);
    assert_ne!(resumed.code, Some(0), "{resumed:?}");
    let listed = workspace.done(&["approvals", "list", "--json"]).json();
    assert_eq!(listed["approvals"], json!([given]));
    assert_eq!(approved(&workspace, &[]), [given]);
}

#[test]
fn what_cannot_be_accepted_is_refused_with_the_reason_and_what_to_do() {
    let world = World::empty();
    let workspace = still(&world, "good\n", "good\n");
    let approve = |run: &str| ["approve", run, "--reason", "x"].map(str::to_owned);
    let refuse = |run: &str, more: &[&str], says: &str| {
        let mut arguments = approve(run).to_vec();
        arguments.extend(more.iter().map(|it| (*it).to_owned()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        refused(&workspace, &arguments, says);
    };
    refuse("nowhere", &[], "no run with `nowhere` in its id");
    let green = gate(&workspace, &[]);
    let green = run_of(&green);
    refuse(&green, &[], "it is green: there is nothing to accept");
    workspace.write("a.txt", "bad\n");
    let run = red(&workspace, &[]);
    refuse("2", &[], "names more than one run");
    refuse(&run, &["--scope", "stage=smoke"], "it has no stage `smoke`");
    refuse(&run, &["--scope", "stage=audit"], "has nothing to accept");
    refuse(&run, &["--as", " "], "--as is empty");
    let blank = workspace.ctl(&["approve", &run, "--reason", ""]);
    assert_eq!(blank.code, Some(2), "{blank:?}");
    for odd in [&["--scope", "lint"][..], &["--until", "tomorrow"]] {
        let mut arguments = vec!["approve", &run, "--reason", "x"];
        arguments.extend(odd);
        assert_eq!(workspace.ctl(&arguments).code, Some(2));
    }
    // A command that cannot be started is no failure of the content.
    workspace.write(
        "orchd.toml",
        pipeline(&[("lint", "command = ['/nowhere/at/all']")]),
    );
    workspace.done(&["allow"]);
    let error = gate(&workspace, &[]);
    assert_eq!(error.code, Some(3), "{error:?}");
    refuse(&run_of(&error), &[], "its verdict is `error`");
    workspace.sh(&format!("rm {}", sidecar(&run)));
    refuse(&run, &[], "another tool made it");
}

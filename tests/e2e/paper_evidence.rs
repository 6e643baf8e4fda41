//! Evidence held against its chain by the real binaries: what runs leave is as it was recorded, and what somebody has been
//! at is found.

use crate::support::{Workspace, World};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

const TOML: &str = "\
[workspace]
settle_ms = 0
retain = { runs = 3 }

[[project]]
task = \"0101-web\"

[[pipeline]]
id = \"diagnostics\"
[[pipeline.stage]]
id = \"check\"
command = \"echo said; test ! -e broken\"
[[pipeline.stage]]
id = \"below\"
pipeline = \"below\"
optional = true

[[pipeline]]
id = \"below\"
[[pipeline.stage]]
id = \"leaf\"
command = \"true\"
";

fn kinds(workspace: &Workspace<'_>) -> Vec<String> {
    let done = workspace.ctl(&["evidence", "verify", "--json"]);
    let told = done.json();
    let findings = told["findings"].as_array().unwrap();
    assert_eq!(done.code, Some(i32::from(!findings.is_empty())), "{done:?}");
    let kinds = findings
        .iter()
        .map(|it| it["kind"].as_str().unwrap().to_owned());
    kinds.collect()
}

fn clean(workspace: &Workspace<'_>) {
    let done = workspace.ctl(&["evidence", "verify", "--json"]);
    assert_eq!(done.json()["findings"], serde_json::json!([]), "{done:?}");
}

fn home(workspace: &Workspace<'_>, run: &str) -> PathBuf {
    PathBuf::from(workspace.root())
        .join(".runs/0101-web/cli")
        .join(run)
}

fn newest(workspace: &Workspace<'_>) -> String {
    let runs = workspace.runs();
    let mut runs = runs.iter().filter(|run| run["cause"] != "parent");
    runs.next().unwrap()["run_id"].as_str().unwrap().to_owned()
}

/// Does something to a file, sees it found, and puts it back.
fn found_when(workspace: &Workspace<'_>, path: &PathBuf, kind: &str, act: impl FnOnce()) {
    let before = fs::read(path).unwrap();
    act();
    let kinds = kinds(workspace);
    assert!(kinds.iter().any(|it| it == kind), "{kinds:?} lack {kind}");
    fs::write(path, before).unwrap();
    clean(workspace);
}

fn flip(path: &PathBuf) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn runs_are_as_they_were_recorded_and_whatever_is_done_to_them_is_found() {
    let mut world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", TOML);
    workspace.done(&["add", "--allow"]);
    workspace.wait();
    workspace.write("broken", "");
    workspace.ctl(&["wait"]);
    clean(&workspace);
    let told = workspace.done(&["evidence", "verify", "--json"]).json();
    // Two runs and their child runs, or fewer where a child was taken over.
    assert!(told["runs"].as_u64().unwrap() >= 3, "{told}");
    assert_eq!(told["heads"][0]["task_id"], "0101-web");

    let home = home(&workspace, &newest(&workspace));
    let log = home.join("commands/01-check.ndjson");
    let chain = PathBuf::from(workspace.root()).join(".runs/0101-web/chain.jsonl");
    for path in [
        &log,
        &home.join("manifest.json"),
        &home.join("runner.ndjson"),
    ] {
        found_when(&workspace, path, "changed", || flip(path));
        found_when(&workspace, path, "missing", || {
            fs::remove_file(path).unwrap();
        });
    }
    found_when(&workspace, &chain, "broken-link", || {
        let text = fs::read_to_string(&chain).unwrap();
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        lines.remove(1);
        fs::write(&chain, lines.concat()).unwrap();
    });
    found_when(&workspace, &chain, "torn", || {
        let bytes = fs::read(&chain).unwrap();
        fs::write(&chain, &bytes[..bytes.len() - 9]).unwrap();
    });
    let other = PathBuf::from(workspace.root()).join(".runs/0102-other/cli");
    fs::create_dir_all(&other).unwrap();
    let away = other.join(home.file_name().unwrap());
    fs::rename(&home, &away).unwrap();
    assert_eq!(kinds(&workspace), ["missing", "wrong-task"]);
    fs::rename(&away, &home).unwrap();
    fs::remove_dir_all(other.parent().unwrap()).unwrap();
    clean(&workspace);

    // What the daemon removes it tells of, and what it is killed in is caught up on.
    fs::remove_file(PathBuf::from(workspace.root()).join("broken")).unwrap();
    for _ in 0..6 {
        workspace.done(&["run", "--force"]);
    }
    clean(&workspace);
    let text = fs::read_to_string(&chain).unwrap();
    assert!(text.contains("\"why\":\"removed\""), "{text}");
    drop(workspace);
    world.kill();
    world.start_over();
    let workspace = world.directory("w");
    workspace.wait();
    clean(&workspace);
}

#[test]
fn gates_without_a_daemon_and_runs_of_one_write_one_chain() {
    let world = World::new();
    let workspace = world.directory("w");
    // All are kept: a run that another process removes at its end is told by nobody.
    workspace.write("orchd.toml", TOML.replace("retain = { runs = 3 }\n", ""));
    workspace.done(&["add", "--allow"]);
    workspace.wait();
    let forced = ["run", "--force", "--no-daemon"];
    let beside: Vec<_> = (0..3).map(|_| workspace.orchctl(&forced)).collect();
    let beside: Vec<_> = beside
        .into_iter()
        .map(|mut command| {
            let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
            piped.spawn().unwrap()
        })
        .collect();
    workspace.done(&["run", "--force"]);
    for child in beside {
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }
    clean(&workspace);
}

#[test]
fn a_run_is_handed_on_as_a_statement_and_one_without_a_link_is_taken_on_request() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", TOML);
    workspace.done(&["add", "--allow"]);
    workspace.wait();
    let run = newest(&workspace);
    let first = workspace.done(&["evidence", "export", &run]);
    let told: Value = first.json();
    assert_eq!(told["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(told["predicate"]["result"], "PASSED");
    assert_eq!(told["predicate"]["passedTests"][0], "check");
    // Beside the workspace: in it it would be a change, and runs that follow it let the first one go.
    let file = world.path("run.intoto.json");
    let out = file.to_str().unwrap();
    workspace.done(&["evidence", "export", &run, "--out", out]);
    let written: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, told);

    fs::remove_file(PathBuf::from(workspace.root()).join(".runs/0101-web/chain.jsonl")).unwrap();
    assert!(kinds(&workspace).iter().all(|kind| kind == "unchained"));
    workspace.done(&["evidence", "verify", "--adopt"]);
    clean(&workspace);
    flip(&home(&workspace, &run).join("commands/01-check.ndjson"));
    let refused = workspace.ctl(&["evidence", "export", &run]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
}

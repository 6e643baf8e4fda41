//! What fails and passes on the same content: known across runs and restarts, and told in words.

use crate::support::{Workspace, World, check};
use serde_json::{Value, json};

const RED: &str = r#"flaky counts as failed here (flaky = "fail" in orchd.toml)"#;

/// A forced run of the present content: its exit code, and what its sidecar says of the verdict and the one stage.
fn forced(workspace: &Workspace<'_>) -> (Option<i32>, Value) {
    let run = workspace.ctl(&["run", "--force", "--json"]);
    let manifest = run.json()["manifest"].as_str().unwrap().to_owned();
    let sidecar = workspace.json(&manifest.replace("manifest.json", "orchd.json"));
    assert_eq!(sidecar["verdict"], run.json()["verdict"], "{run:?}");
    let stage = &sidecar["stages"][0];
    let told = json!([sidecar["verdict"], stage["outcome"], stage["attempts"]]);
    (run.code, told)
}

/// What `gate` says and how it ends, and what `status` says.
fn judged(workspace: &Workspace<'_>) -> (Option<i32>, String, String) {
    let gate = workspace.ctl(&["gate"]);
    (gate.code, gate.out, workspace.done(&["status"]).out)
}

#[test]
fn what_failed_in_an_earlier_run_is_flaky_when_it_passes() {
    for (settings, code) in [("", 0), ("[workspace]\nflaky = \"fail\"\n", 1)] {
        let mut world = World::new();
        let (broken, name) = (world.path("broken"), "w");
        std::fs::write(&broken, "").unwrap();
        let toml = check(&format!("test ! -e {}", broken.display()));
        let first = world.watched(name, &format!("{settings}{toml}"));
        assert_eq!(first.ctl(&["gate"]).code, Some(1));
        let flaky = (Some(code), json!(["flaky", "flaky", 1]));

        std::fs::remove_file(&broken).unwrap();
        assert_eq!(forced(&first), flaky);
        assert_eq!(forced(&first), flaky, "a second pass takes nothing back");
        let red = code == 1;
        let (gate, said, status) = judged(&first);
        assert_eq!(gate, Some(code), "{said}");
        assert!(said.contains("~ flaky") && status.contains("~ flaky"));
        assert_eq!((said.contains(RED), status.contains(RED)), (red, red));
        let told = first.status()["projects"][0]["green"].clone();
        assert_eq!(told, json!(!red), "{status}");

        world.kill();
        world.start();
        let second = world.directory(name);
        assert_eq!(judged(&second).0, Some(code), "a restart forgets nothing");
        assert_eq!(forced(&second), flaky);
        std::fs::write(&broken, "").unwrap();
        second.write("a", "other");
        assert_eq!(second.wait()["verdict"], "fail");

        world.kill();
        world.start();
        std::fs::remove_file(&broken).unwrap();
        let third = world.directory(name);
        assert_eq!(forced(&third), flaky, "a failure alone is remembered");
        third.write("a", "another");
        assert_eq!(third.wait()["verdict"], "pass");
        assert_eq!(third.ctl(&["gate"]).code, Some(0));
        assert_eq!(forced(&third), (Some(0), json!(["pass", "passed", 1])));
    }
}

/// A failure whose evidence somebody deletes: another pipeline's, which is nobody's verdict.
#[test]
fn an_older_failure_keeps_its_word_until_a_restart_finds_its_evidence_gone() {
    let mut world = World::new();
    let (broken, name) = (world.path("broken"), "w");
    let stage = |pipeline: &str| {
        let broken = broken.display();
        format!(
            "[[pipeline]]\nid = \"{pipeline}\"\n[[pipeline.stage]]\nid = \"check\"\ncommand = \"test ! -e {broken}\"\n"
        )
    };
    let toml = format!("{}{}", stage("diagnostics"), stage("other"));
    let failed_and_gone = |workspace: &Workspace<'_>| {
        std::fs::write(&broken, "").unwrap();
        let run = workspace.ctl(&["run", "other", "--force", "--json"]).json();
        assert_eq!(run["verdict"], "fail");
        let root = std::path::Path::new(workspace.root());
        std::fs::remove_dir_all(root.join(run["artifact_root"].as_str().unwrap())).unwrap();
        std::fs::remove_file(&broken).unwrap();
    };
    let workspace = world.watched(name, &toml);
    assert_eq!(workspace.wait()["verdict"], "pass");
    failed_and_gone(&workspace);
    world.kill();
    world.start();
    let workspace = world.directory(name);
    assert_eq!(forced(&workspace), (Some(0), json!(["pass", "passed", 1])));
    failed_and_gone(&workspace);
    let flaky = (Some(0), json!(["flaky", "flaky", 1]));
    assert_eq!(forced(&workspace), flaky);
}

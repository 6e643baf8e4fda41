//! What fails and passes on the same content: known across runs and restarts, told in words, and listed with its history.

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

/// Two stages side by side: `lint` fails while `broken` is there, `slow` waits for a word.
fn side_by_side(world: &World) -> String {
    let (broken, gate) = (world.path("broken"), world.fifo("gate"));
    let stage = |id: &str, command: String, inputs: &str| {
        format!(
            "[[pipeline.stage]]\nid = \"{id}\"\ncommand = \"{command}\"\ninputs = [\"{inputs}/**\"]\nneeds = []\n"
        )
    };
    [
        "[workspace]\nflaky = \"fail\"\n[[pipeline]]\nid = \"diagnostics\"\n".to_owned(),
        stage("lint", format!("test ! -e {}", broken.display()), "lib"),
        stage("slow", format!("read _ < {}", gate.display()), "src"),
    ]
    .concat()
}

/// The runs with a flaky stage, and of each its flaky stages.
fn flaky_runs(workspace: &Workspace<'_>, more: &[&str]) -> Vec<(Value, Value)> {
    let arguments = [&["runs", "--flaky", "--json"], more].concat();
    let listed = workspace.done(&arguments).json();
    let runs = listed["runs"].as_array().unwrap().iter();
    runs.map(|run| (run["run_id"].clone(), run["flaky"].clone()))
        .collect()
}

/// What a run did not disturb stands, whatever became of the run: a pass, and so a failure.
#[test]
fn what_fails_in_a_void_run_makes_the_pass_of_before_flaky() {
    let mut world = World::new();
    let toml = side_by_side(&world);
    let (broken, gate, name) = (world.path("broken"), world.path("gate"), "w");
    let workspace = world.directory(name);
    workspace.write("orchd.toml", toml);
    workspace.write("src/a", "1");
    workspace.write("lib/b", "1");
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    world.say(&gate, "go\n");
    let passed = events.until_type("run.ended");
    assert_eq!(passed["verdict"], "pass");
    assert_eq!(judged(&workspace).0, Some(0));

    std::fs::write(&broken, "").unwrap();
    workspace.done(&["run", "--force", "--detach"]);
    events.until_stage("slow");
    workspace.write("src/a", "2");
    workspace.ctl(&["gate", "--no-wait"]);
    workspace.write("src/a", "1");
    workspace.ctl(&["gate", "--no-wait"]);
    world.say(&gate, "go\n");
    let failed = events.until_type("run.ended");
    assert_eq!(
        (&failed["void"], &failed["status"]),
        (&json!(true), &json!("failed"))
    );
    std::fs::remove_file(&broken).unwrap();
    let stage = json!({
        "stage": "lint",
        "key": workspace.json(&sidecar(&passed))["stages"][0]["key"],
        "failed_in": [failed["run_id"]],
        "passed_in": [passed["run_id"]],
    });
    let flaky = [(passed["run_id"].clone(), json!([stage]))];
    let red = |workspace: &Workspace<'_>| {
        let (code, said, status) = judged(workspace);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("~ flaky") && said.contains(RED), "{said}");
        assert!(status.contains("~ flaky"), "{status}");
        assert_eq!(flaky_runs(workspace, &[]), flaky);
    };
    red(&workspace);
    world.kill();
    world.start();
    red(&world.directory(name));
}

fn sidecar(ended: &Value) -> String {
    let manifest = ended["manifest"].as_str().unwrap();
    manifest.replace("manifest.json", "orchd.json")
}

/// A restart takes over what a cancelled run has proven, and so it knows what failed in it.
#[test]
fn what_failed_in_a_cancelled_run_is_known_after_a_restart() {
    let mut world = World::new();
    let toml = side_by_side(&world);
    let (broken, gate) = (world.path("broken"), world.path("gate"));
    let workspace = world.directory("w");
    workspace.write("orchd.toml", toml);
    std::fs::write(&broken, "").unwrap();
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    events.until_type("stage.ended");
    let run = workspace.status()["projects"][0]["running"]["run_id"].clone();
    workspace.ctl(&["cancel", run.as_str().unwrap()]);
    assert_eq!(events.until_type("run.ended")["status"], "cancelled");
    world.kill();
    std::fs::remove_file(&broken).unwrap();
    world.start();
    let workspace = world.directory("w");
    world.say(&gate, "go\n");
    assert_eq!(workspace.wait()["verdict"], "flaky");
    assert_eq!(workspace.ctl(&["gate"]).code, Some(1));
}

#[test]
fn runs_with_a_flaky_stage_are_listed_with_the_runs_in_which_it_failed_and_passed() {
    let mut world = World::new();
    let (broken, name) = (world.path("broken"), "w");
    let toml = check(&format!("test ! -e {}", broken.display()));
    std::fs::write(&broken, "").unwrap();
    let workspace = world.watched(name, &toml);
    assert_eq!(workspace.wait()["verdict"], "fail");
    assert_eq!(
        flaky_runs(&workspace, &[]),
        [],
        "a failure alone is no more than that"
    );
    let none = workspace.done(&["runs", "--flaky"]).out;
    assert!(none.contains("No stage is known to be flaky"), "{none}");
    std::fs::remove_file(&broken).unwrap();
    assert_eq!(forced(&workspace).0, Some(0));
    assert_eq!(forced(&workspace).0, Some(0));
    let runs = workspace.runs();
    let ids: Vec<&Value> = runs.iter().map(|run| &run["run_id"]).collect();
    assert!(
        runs.iter().all(|run| run.get("flaky").is_none()),
        "{runs:?}"
    );
    let key = workspace.json(&sidecar(&runs[0]))["stages"][0]["key"].clone();
    let told = json!([{
        "stage": "check",
        "key": key,
        "failed_in": [ids[2]],
        "passed_in": [ids[0], ids[1]],
    }]);
    let both = [(ids[0].clone(), told.clone()), (ids[1].clone(), told)];
    assert_eq!(flaky_runs(&workspace, &[]), both);
    assert_eq!(flaky_runs(&workspace, &["--limit", "1"]), both[..1]);
    let task = workspace.status()["projects"][0]["task_id"].clone();
    let task = task.as_str().unwrap();
    assert_eq!(flaky_runs(&workspace, &["--task", task]), both);
    assert_eq!(
        workspace.ctl(&["runs", "--flaky", "--task", "nobody"]).code,
        Some(2)
    );
    let said = workspace.done(&["runs", "--flaky"]).out;
    let short = |run: &Value| run.as_str().unwrap().rsplit('-').next().unwrap().to_owned();
    let (first, second) = (short(ids[1]), short(ids[0]));
    let line = format!("failed in {}; passed in {second}, {first}", short(ids[2]));
    assert!(said.contains(&line), "{said}");

    world.kill();
    world.start();
    assert_eq!(flaky_runs(&world.directory(name), &[]), both);
    world.kill();
    std::fs::remove_dir_all(world.state().join("index")).unwrap();
    world.start();
    let workspace = world.directory(name);
    assert_eq!(
        flaky_runs(&workspace, &[]),
        both,
        "the evidence tells it alone"
    );
}

#[test]
fn a_stage_that_passes_when_it_is_tried_again_has_failed_and_passed_in_one_run() {
    let world = World::new();
    let mark = world.path("mark");
    let command = format!("test -e {0} || ! touch {0}", mark.display());
    let workspace = world.watched("w", &format!("{}retries = 1\n", check(&command)));
    assert_eq!(workspace.wait()["verdict"], "flaky");
    let listed = flaky_runs(&workspace, &[]);
    let run = workspace.runs()[0]["run_id"].clone();
    let [(listed, stages)] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!(listed, &run);
    assert_eq!(stages[0]["failed_in"], json!([run]));
    assert_eq!(stages[0]["passed_in"], json!([run]));
}

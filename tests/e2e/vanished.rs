//! Evidence that goes away while the daemon lives: nobody hears of a verdict whose evidence is not on disk.

use crate::support::{Workspace, World, check};
use rustix::process::Signal;
use serde_json::Value;

/// The one project of an answer of `gate`, whose manifest has to be there and to say what is told.
fn proven(workspace: &Workspace<'_>, answer: &Value) -> Value {
    assert_eq!(answer["verdict"], "pass", "{answer}");
    let project = answer["projects"][0].clone();
    let manifest = workspace.json(project["manifest"].as_str().unwrap());
    assert_eq!(manifest["status"], "succeeded", "{project}");
    assert_eq!(manifest["run_id"], project["run_id"]);
    project
}

fn gate(workspace: &Workspace<'_>) -> Value {
    let answer = workspace.done(&["gate", "--json"]).json();
    proven(workspace, &answer)
}

/// The verdict that `status` tells; with its evidence, or it is none.
fn told(workspace: &Workspace<'_>) -> String {
    let status = workspace.status();
    let project = &status["projects"][0];
    let verdict = project["verdict"].as_str().unwrap().to_owned();
    if verdict != "unknown" {
        let manifest = project["last_run"]["manifest"].as_str().unwrap();
        assert!(workspace.has(manifest), "{project}");
    }
    verdict
}

#[test]
fn a_content_whose_proof_retention_removed_is_run_again() {
    let world = World::new();
    let config = format!("{}\n[workspace]\nretain = {{ runs = 2 }}\n", check("true"));
    let workspace = world.watched("w", &config);
    let mut first = None;
    for content in ["A", "B", "C", "D"] {
        workspace.write("a.txt", content);
        let run = gate(&workspace)["run_id"].as_str().unwrap().to_owned();
        first.get_or_insert(run);
    }
    let first = first.unwrap();
    let mut events = world.events();
    workspace.settle(&mut events);
    assert!(!workspace.has(&format!(".runs/t/cli/{first}")));
    workspace.write("a.txt", "A");
    let again = gate(&workspace);
    assert_ne!(again["run_id"], first.as_str());
    assert_eq!(told(&workspace), "pass");
}

#[test]
fn retention_keeps_what_proves_the_present_content() {
    let world = World::new();
    let other =
        "[[pipeline]]\nid = \"other\"\n[[pipeline.stage]]\nid = \"o\"\ncommand = \"true\"\n";
    let config = format!(
        "{}\n{other}\n[workspace]\nretain = {{ runs = 2 }}\n",
        check("true")
    );
    let workspace = world.watched("w", &config);
    workspace.write("a.txt", "A");
    let proof = gate(&workspace);
    workspace.write("a.txt", "B");
    gate(&workspace);
    workspace.write("a.txt", "A");
    gate(&workspace);
    for _ in 0..3 {
        workspace.done(&["run", "other", "--force"]);
    }
    workspace.settle(&mut world.events());
    assert!(workspace.has(proof["manifest"].as_str().unwrap()));
    let answer = gate(&workspace);
    assert_eq!(answer["run_id"], proof["run_id"]);
    assert_eq!(answer["reused"], true);
}

#[test]
fn a_verdict_goes_with_its_evidence() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    workspace.sh("git init -q && git add orchd.toml && git commit -qm one");
    for removal in ["git clean -fdxq", "rm -rf .runs out", "rm -rf .runs/t/cli"] {
        // The daemon may be writing a `state.json` into what is being removed.
        let removal = format!("until {removal}; do :; done");
        for question in ["gate", "wait", "run"] {
            let before = gate(&workspace)["run_id"].clone();
            workspace.sh(&removal);
            let answer = workspace.done(&[question, "--json"]).json();
            let run = match question {
                "run" => answer["run_id"].clone(),
                _ => proven(&workspace, &answer)["run_id"].clone(),
            };
            assert_ne!(run, before, "{question} after {removal}");
        }
        // Nobody asks but `status`: it takes the verdict back, and the content is run by itself.
        let mut events = world.events();
        workspace.settle(&mut events);
        workspace.sh(&removal);
        assert_eq!(told(&workspace), "unknown", "after {removal}");
        let ended = events.until_type("run.ended");
        assert_eq!(
            (&ended["verdict"], &ended["cause"]),
            (&"pass".into(), &Value::Null)
        );
        assert!(workspace.has(ended["manifest"].as_str().unwrap()));
    }
}

#[test]
fn a_manifest_that_is_damaged_proves_nothing_and_one_that_was_added_to_does() {
    let mut world = World::new();
    let workspace = world.watched("w", &check("true"));
    let mut run = gate(&workspace);
    let approved = run["manifest"].as_str().unwrap().to_owned();
    let mut manifest = workspace.json(&approved);
    manifest["approvals"] = serde_json::json!([{"actor": "somebody"}]);
    workspace.write(&approved, manifest.to_string());
    let answer = gate(&workspace);
    assert_eq!(
        (&answer["run_id"], &answer["reused"]),
        (&run["run_id"], &true.into())
    );
    assert_eq!(told(&workspace), "pass");
    assert_eq!(workspace.json(&approved), manifest, "it was not rewritten");

    let damages: [fn(&str) -> Option<String>; 6] = [
        |_| Some(String::new()),
        |whole| Some(whole[..whole.len() / 2].to_owned()),
        |_| Some("\u{0}\u{0}".to_owned()),
        |whole| Some(whole.replace("\"version\": 1", "\"version\": 99")),
        |whole| Some(whole.replace("\"status\": \"succeeded\"", "\"status\": \"failed\"")),
        |_| None,
    ];
    for damage in damages {
        let path = run["manifest"].as_str().unwrap();
        let damaged = damage(&workspace.read(path));
        match &damaged {
            Some(damaged) => workspace.write(path, damaged),
            None => workspace.sh(&format!("rm {path}")),
        }
        let again = gate(&workspace);
        assert_ne!(again["run_id"], run["run_id"], "{damaged:?}");
        run = again;
    }
    world.signal(Signal::TERM);
    world.ended();
    world.start();
    let workspace = world.directory("w");
    // What could be mended was: each run is listed and says how it went, but for the one that a newer version wrote.
    let listed = workspace.runs();
    let said: Vec<_> = listed.iter().map(|run| &run["status"]).collect();
    let expected = [
        "succeeded",
        "succeeded",
        "failed",
        "succeeded",
        "succeeded",
        "succeeded",
    ];
    assert_eq!(said, expected, "{listed:#?}");
}

#[test]
fn where_nothing_runs_by_itself_a_vanished_proof_is_unknown_until_somebody_asks() {
    let world = World::new();
    let config = format!("{}\n[workspace]\non_start = false\n", check("true"));
    let workspace = world.watched("w", &config);
    let before = gate(&workspace)["run_id"].clone();
    workspace.sh("rm -rf .runs");
    assert_eq!(told(&workspace), "unknown");
    let asked = workspace.ctl(&["gate", "--no-wait", "--json"]);
    assert_eq!(asked.code, Some(3), "{asked:?}");
    assert!(!workspace.has(".runs"), "it ran by itself");
    assert_ne!(gate(&workspace)["run_id"], before);
}

#[test]
fn evidence_that_is_cleaned_away_during_a_run_is_made_anew() {
    let world = World::new();
    let (gate, up) = (world.fifo("gate"), world.fifo("up"));
    let workspace = world.directory("w");
    let stage = format!("echo up > {}; read _ < {}", up.display(), gate.display());
    workspace.write("orchd.toml", check(&stage));
    workspace.done(&["add", "--allow"]);
    assert_eq!(std::fs::read_to_string(&up).unwrap(), "up\n");
    workspace.sh("until rm -rf .runs; do :; done");
    std::fs::write(&gate, "go\n").unwrap();
    let project = workspace.wait()["projects"][0].clone();
    assert_eq!(project["verdict"], "pass");
    let runs = workspace.runs();
    assert_eq!((runs.len(), &runs[0]["run_id"]), (1, &project["run_id"]));
    let manifest = workspace.json(runs[0]["manifest"].as_str().unwrap());
    assert_eq!(manifest["status"], "succeeded");
}

/// The sidecar says what a run proves of which content: without it there is no proof, and no two answers about that.
#[test]
fn a_proof_whose_sidecar_is_gone_or_says_something_else_is_none() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let damages: [fn(&str) -> Option<String>; 4] = [
        |_| None,
        |whole| Some(whole[..whole.len() / 2].to_owned()),
        |whole| Some(whole.replace("\"verdict\": \"pass\"", "\"verdict\": \"fail\"")),
        |whole| Some(whole.replace("\"void\": null", "\"void\": {\"paths\": []}")),
    ];
    for damage in damages {
        let run = gate(&workspace);
        let id = run["run_id"].as_str().unwrap();
        let path = format!(".runs/t/cli/{id}/orchd.json");
        let damaged = damage(&workspace.read(&path));
        match &damaged {
            Some(damaged) => workspace.write(&path, damaged),
            None => workspace.sh(&format!("rm {path}")),
        }
        let listed = workspace.runs();
        let row = listed.iter().find(|row| row["run_id"] == id).unwrap();
        let shown = workspace.done(&["show", id, "--json"]).json();
        assert_eq!(row["verdict"], shown["verdict"], "{damaged:?}");
        let again = gate(&workspace);
        assert_ne!(again["run_id"], run["run_id"], "{damaged:?}");
    }
}

#[test]
fn a_run_whose_first_manifest_was_never_written_leaves_nothing() {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let (world, run) = killed_at_the_first_heartbeat(boot.trim());
    let workspace = world.directory("w");
    let shown = workspace.ctl(&["show", "aaaaaaaa", "--json"]);
    assert_eq!(shown.json()["error"]["kind"], "unknown_run", "{shown:?}");
    assert!(!workspace.has(&format!(".runs/t/cli/{run}")));
    for file in [".runs/t/metrics.json", "out/t/runs.json"] {
        assert!(!workspace.read(file).contains(run), "{file}");
    }
}

#[test]
fn a_run_whose_first_manifest_a_power_cut_took_along_was_lost() {
    let (world, _) = killed_at_the_first_heartbeat("00000000-0000-4000-8000-000000000000");
    let shown = world.directory("w").done(&["show", "aaaaaaaa", "--json"]);
    assert_eq!(shown.json()["status_detail"], "daemon-lost");
}

/// A daemon that has started after another one, of this start of the system, had come so far with a run.
fn killed_at_the_first_heartbeat(boot: &str) -> (World, &'static str) {
    let mut world = World::new();
    world.watched("w", &check("true"));
    world.kill();
    let workspace = world.directory("w");
    let run = "2026-11-23T06-00-00-000Z-aaaaaaaa";
    let at = |name: &str| format!(".runs/t/cli/{run}/{name}");
    workspace.sh(&format!("mkdir -p {} {}", at("commands"), at("errors")));
    workspace.write(at(".heartbeat"), "2026-11-23T06:00:00.000Z\n");
    let owner = serde_json::json!({
        "pid": 999_999, "start_time": 1, "boot_id": boot, "instance_id": "x",
    });
    workspace.write(at(".orchd-owner.json"), owner.to_string());
    world.start();
    world.directory("w").wait();
    (world, run)
}

#[test]
fn a_manifest_that_is_json_and_no_manifest_is_made_again() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let run = gate(&workspace);
    let (id, path) = (
        run["run_id"].as_str().unwrap(),
        run["manifest"].as_str().unwrap(),
    );
    for wrong in ["{\"version\": \"1\"}", "[]", "{}"] {
        // At rest for long, as far as its times tell.
        workspace.write("wrong", wrong);
        workspace.sh(&format!("touch -d '1 minute ago' wrong && mv wrong {path}"));
        let listed = workspace.runs();
        let row = listed.iter().find(|row| row["run_id"] == id);
        let row = row.unwrap_or_else(|| panic!("{wrong}: {listed:#?}"));
        assert_eq!(row["status"], "succeeded", "{wrong}");
        workspace.done(&["show", id]);
        assert_eq!(workspace.json(path)["run_id"], id);
    }
}

#[test]
fn what_a_manifest_knows_of_its_run_is_made_again_at_a_start() {
    let mut world = World::new();
    let workspace = world.watched("w", &check("true"));
    let id = gate(&workspace)["run_id"].as_str().unwrap().to_owned();
    drop(workspace);
    world.signal(Signal::TERM);
    world.ended();
    let workspace = world.directory("w");
    let gone = [
        format!(".runs/t/cli/{id}/.resume-token"),
        format!(".runs/t/cli/{id}/run-summary.json"),
        format!(".runs/t/mcp/{id}/manifest.json"),
        format!(".runs/local-mcp/{id}/manifest.json"),
        format!(".runs/t/{id}/manifest.json"),
    ];
    let before = gone.each_ref().map(|path| workspace.read(path));
    workspace.sh(&format!(
        "rm -r {} .runs/t/mcp .runs/local-mcp",
        gone.join(" ")
    ));
    world.start();
    let workspace = world.directory("w");
    gate(&workspace);
    for (path, before) in gone.iter().zip(&before) {
        let is_pointer = path.contains("/mcp/");
        let after = workspace.read(path);
        match is_pointer {
            // It says when it was written.
            true => assert_eq!(
                workspace.json(path)["redirect_to"],
                format!(".runs/t/cli/{id}")
            ),
            false => assert_eq!(after, *before, "{path}"),
        }
    }
    let mode = std::fs::metadata(workspace.root.join(&gone[0])).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o600);
}

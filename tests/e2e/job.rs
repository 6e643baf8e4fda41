//! The main job: a file is saved, the guardrails run, the evidence is on disk, the verdict is told.

use crate::events::{Events, of_type, types};
use crate::support::{Workspace, World, check, lines, pipeline};
use serde_json::{Value, json};

fn web(world: &World) -> String {
    format!(
        "[[project]]\ntask = \"0101-web\"\npath = \"web\"\nrequired = [\"lint\", \"test\"]\n\
         [[pipeline]]\nid = \"diagnostics\"\ntitle = \"Diagnostics\"\n\
         [[pipeline.stage]]\nid = \"lint\"\ncommand = '''cat src.txt; cp \"$ORCHD_CHANGED_FILES\" {0}; pwd > {1}; env > {2}'''\n\
         env = {{ CI = \"1\" }}\n\
         [[pipeline.stage]]\nid = \"test\"\ncommand = [\"sh\", \"-c\", \"echo tested >&2\"]\n",
        world.path("changed").display(),
        world.path("cwd").display(),
        world.path("env").display(),
    )
}

/// What stands on disk of a run at the very moment when its end is told.
fn on_disk(workspace: &Workspace<'_>, ended: &Value, cause: &str) -> Value {
    let run = ended["run_id"].as_str().unwrap();
    let at = format!(".runs/0101-web/cli/{run}");
    assert_eq!(ended["manifest"], format!("{at}/manifest.json"));
    let manifest = workspace.json(&format!("{at}/manifest.json"));
    assert_eq!(manifest["status"], "succeeded");
    assert_eq!(manifest["run_id"], run);
    assert_eq!(manifest["task_id"], "0101-web");
    assert_eq!(manifest["metrics_recorded"], true);
    assert_eq!(
        manifest["run_summary_path"],
        format!("{at}/run-summary.json")
    );
    assert_eq!(manifest.as_object().unwrap().len(), 35);
    let commands = manifest["commands"].as_array().unwrap();
    let told: Vec<_> = commands
        .iter()
        .map(|c| {
            (
                c["id"].as_str().unwrap(),
                c["status"].as_str().unwrap(),
                &c["exit_code"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("lint", "succeeded", &json!(0)),
            ("test", "succeeded", &json!(0))
        ]
    );
    for file in [
        ".heartbeat",
        ".resume-token",
        "runner.ndjson",
        "run-summary.json",
        "commands/01-lint.ndjson",
        "commands/02-test.ndjson",
    ] {
        assert!(workspace.has(&format!("{at}/{file}")), "{file}");
    }
    let token = workspace.read(&format!("{at}/.resume-token"));
    assert_eq!(token.trim_end(), manifest["resume_token"].as_str().unwrap());
    pointers_lead_to(workspace, run);
    counted_and_known(workspace, ended, run);
    let sidecar = workspace.json(&format!("{at}/orchd.json"));
    assert_eq!(
        (
            &sidecar["schema"],
            &sidecar["cause"],
            &sidecar["verdict"],
            &sidecar["void"]
        ),
        (&json!(1), &json!(cause), &json!("pass"), &Value::Null)
    );
    sidecar
}

fn pointers_lead_to(workspace: &Workspace<'_>, run: &str) {
    let at = format!(".runs/0101-web/cli/{run}");
    let pointer = workspace.json(&format!(".runs/0101-web/mcp/{run}/manifest.json"));
    assert_eq!(pointer["redirect_to"], at);
    let link = std::fs::read_link(
        workspace
            .root
            .join(format!(".runs/local-mcp/{run}/manifest.json")),
    );
    assert_eq!(
        link.unwrap().to_str().unwrap(),
        format!("../../0101-web/cli/{run}/manifest.json")
    );
}

fn counted_and_known(workspace: &Workspace<'_>, ended: &Value, run: &str) {
    let metrics = workspace.read(".runs/0101-web/metrics.json");
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["run_id"], &last["status"], &last["commands_passed"]),
        (&json!(run), &json!("succeeded"), &json!(2))
    );
    let state = workspace.json("out/0101-web/state.json");
    assert_eq!(state["taskId"], "0101-web");
    let known = &state["orchd"];
    assert_eq!(
        (
            &known["verdict"],
            &known["fresh"],
            &known["project"],
            &known["last_run"]["run_id"]
        ),
        (&json!("pass"), &json!(true), &json!("web"), &json!(run)),
        "{known}"
    );
    assert_eq!(known["input_digest"], ended["input_digest"]);
    let runs = workspace.json("out/0101-web/runs.json");
    assert_eq!(runs["runs"], state["runs"]);
    assert_eq!(runs.get("orchd"), None);
}

#[test]
fn a_saved_file_becomes_a_verdict_whose_evidence_is_on_disk() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", web(&world));
    workspace.write("web/src.txt", "one\n");
    workspace.write("elsewhere.txt", "not of the project\n");
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    let ended = events.until_type("run.ended");
    let sidecar = on_disk(&workspace, &ended, "start");
    assert_eq!(sidecar["changed"], json!({"count": 0, "paths": []}));
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(lines(&world.path("changed")), 0);
    assert_eq!(std::fs::metadata(world.path("changed")).unwrap().len(), 0);

    let before = events.heard.len();
    workspace.write("web/src.txt", "two\n");
    let ended = events.until_type("run.ended");
    let sidecar = on_disk(&workspace, &ended, "change");
    assert_eq!(
        sidecar["changed"],
        json!({"count": 1, "paths": ["web/src.txt"]})
    );
    assert_eq!(
        std::fs::read(world.path("changed")).unwrap(),
        b"web/src.txt\0"
    );
    let told = events.until_type("verdict");
    assert_eq!(
        (&told["verdict"], &told["fresh"], &told["run_id"]),
        (&json!("pass"), &json!(true), &ended["run_id"])
    );
    let order: Vec<_> = types(&events.heard[before..])
        .into_iter()
        .filter(|kind| *kind != "verdict")
        .collect();
    assert_eq!(
        order,
        [
            "change",
            "settled",
            "run.queued",
            "run.started",
            "stage.started",
            "stage.ended",
            "stage.started",
            "stage.ended",
            "run.ended"
        ]
    );
    let change = of_type(&events.heard[before..], "change")[0].clone();
    assert_eq!(
        (&change["task_id"], &change["count"], &change["paths"]),
        (&json!("0101-web"), &json!(1), &json!(["web/src.txt"]))
    );
    stage_environment(&world, &workspace, ended["run_id"].as_str().unwrap());
    logs_are_what_was_written(&workspace);
    change_elsewhere(&workspace, &mut events);
}

fn stage_environment(world: &World, workspace: &Workspace<'_>, run: &str) {
    let cwd = std::fs::read_to_string(world.path("cwd")).unwrap();
    assert_eq!(cwd.trim_end(), workspace.root.join("web").to_str().unwrap());
    let env = std::fs::read_to_string(world.path("env")).unwrap();
    let root = workspace.root();
    let expected = [
        "MCP_RUNNER_TASK_ID=0101-web".to_owned(),
        format!("CODEX_ORCHESTRATOR_ROOT={root}"),
        format!("CODEX_ORCHESTRATOR_RUNS_DIR={root}/.runs"),
        format!("CODEX_ORCHESTRATOR_OUT_DIR={root}/out"),
        format!("ORCHD_RUN_ID={run}"),
        "ORCHD_STAGE=lint".to_owned(),
        "CI=1".to_owned(),
    ];
    for line in expected {
        assert!(
            env.lines().any(|known| known == line),
            "{line} is not in\n{env}"
        );
    }
}

fn logs_are_what_was_written(workspace: &Workspace<'_>) {
    let lint = workspace.done(&["logs"]);
    assert_eq!(
        (lint.out.as_str(), lint.err.as_str()),
        ("two\n", "tested\n")
    );
}

/// What lies in no project triggers nothing.
fn change_elsewhere(workspace: &Workspace<'_>, events: &mut Events) {
    workspace.settle(events);
    workspace.write("elsewhere.txt", "changed\n");
    let after = workspace.settle(events);
    assert_eq!(after, Vec::<Value>::new());
    assert_eq!(workspace.runs().len(), 2);
}

#[test]
fn a_failing_guardrail_is_told_with_its_line() {
    let world = World::new();
    let toml = pipeline(&[
        ("lint", "command = '''echo 'a.txt:1: error: bad'; exit 3'''"),
        ("test", "command = 'true'"),
    ]);
    let workspace = world.directory("w");
    workspace.write("orchd.toml", toml);
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    let ended = events.until_type("run.ended");
    assert_eq!(
        (&ended["status"], &ended["status_detail"], &ended["verdict"]),
        (
            &json!("failed"),
            &json!("stage:lint:failed"),
            &json!("fail")
        )
    );
    let gate = workspace.ctl(&["gate", "--no-wait", "--json"]);
    assert_eq!(gate.code, Some(1), "{gate:?}");
    let status = workspace.status();
    let project = &status["projects"][0];
    let failure = &project["failure"];
    assert_eq!(
        (&failure["stage"], &failure["exit_code"]),
        (&json!("lint"), &json!(3))
    );
    assert!(
        failure["excerpt"]
            .as_str()
            .unwrap()
            .contains("a.txt:1: error: bad"),
        "{failure}"
    );
    assert!(workspace.has(failure["log_path"].as_str().unwrap()));
    let run = ended["run_id"].as_str().unwrap();
    let manifest = workspace.json(project["last_run"]["manifest"].as_str().unwrap());
    assert_eq!(manifest["commands"][1]["status"], "pending");
    let error = manifest["commands"][0]["error_file"].as_str().unwrap();
    assert_eq!(error, format!(".runs/t/cli/{run}/errors/01-lint.json"));
    assert!(workspace.has(error));
}

#[test]
fn two_saves_in_a_row_end_with_the_content_that_is_there() {
    let world = World::new();
    let counter = world.path("counter");
    let workspace = world.watched("w", &check(&format!("cat a* >> {}", counter.display())));
    let mut events = world.events();
    for number in 0..10 {
        workspace.write("a.txt", format!("{number}\n"));
    }
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.settle(&mut events);
    let seen = std::fs::read_to_string(&counter).unwrap();
    assert_eq!(seen.lines().last(), Some("9"));
    let gate = workspace.done(&["gate", "--json"]).json();
    assert_eq!(gate["projects"][0]["reused"], true);
}

//! Stages as processes: what they end with is what is told, and nothing of them is left.

use crate::deadline::DEADLINE;
use crate::events::Events;
use crate::support::{Running, Workspace, World, check, lines, pipeline};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};

/// The run's manifest and sidecar, once the present content has a verdict.
pub(crate) fn ended(workspace: &Workspace<'_>) -> (Value, Value) {
    workspace.wait();
    let runs = workspace.runs();
    let of_project = runs.iter().find(|run| run["cause"] != "parent").unwrap();
    let path = of_project["manifest"].as_str().unwrap();
    let sidecar = path.replace("manifest.json", "orchd.json");
    (workspace.json(path), workspace.json(&sidecar))
}

pub(crate) fn added<'a>(world: &'a World, toml: &str) -> (Workspace<'a>, Events) {
    let workspace = world.directory("w");
    workspace.write("orchd.toml", toml);
    let events = world.events();
    workspace.done(&["add", "--allow"]);
    (workspace, events)
}

#[test]
fn a_stage_past_its_time_is_ended_with_its_children() {
    let world = World::new();
    let toml = pipeline(&[(
        "slow",
        "command = '''trap \"\" TERM; sleep 1000 & sleep 1000'''\ntimeout = \"300ms\"\ngrace = \"100ms\"",
    )]);
    let (workspace, mut events) = added(&world, &toml);
    let end = events.until_type("run.ended");
    assert_eq!(
        (&end["status"], &end["verdict"]),
        (&json!("failed"), &json!("fail")),
        "{end}"
    );
    assert_eq!(world.processes(), Vec::<u32>::new());
    let (manifest, sidecar) = ended(&workspace);
    let summary = manifest["commands"][0]["summary"].as_str().unwrap();
    assert!(summary.starts_with("Timed out after 300ms"), "{summary}");
    assert_eq!(sidecar["stages"][0]["outcome"], "timed-out", "{sidecar}");
    let error = workspace.json(manifest["commands"][0]["error_file"].as_str().unwrap());
    assert_eq!(error["details"]["failure_reason"], "timed_out", "{error}");
}

#[test]
fn cancel_is_at_once_and_leaves_nothing() {
    let world = World::new();
    let up = world.fifo("up");
    let command = format!("sleep 1000 & echo up > {}; sleep 1000", up.display());
    let (workspace, mut events) = added(&world, &check(&command));
    let started = events.until_stage("check");
    assert_eq!(world.heard(&up), "up\n");
    let waiting = Running::of(workspace.orchctl(&["wait", "--json"]));
    let run = started["run_id"].as_str().unwrap();
    let part = run.rsplit('-').next().unwrap();
    assert!(
        !world.processes().is_empty(),
        "the stage is looked for in vain"
    );
    let cancelled = workspace.done(&["cancel", part, "--json"]).json();
    assert_eq!(
        (&cancelled["run_id"], &cancelled["status"]),
        (&json!(run), &json!("cancelled"))
    );
    assert_eq!(world.processes(), Vec::<u32>::new());
    let manifest = workspace.json(cancelled["manifest"].as_str().unwrap());
    assert_eq!(manifest["status"], "cancelled");
    let waited = waiting.end();
    assert_eq!(waited.code, Some(3), "{waited:?}");
    let again = workspace.ctl(&["cancel", part, "--json"]);
    let refused = again.json()["error"].clone();
    assert_eq!(
        (again.code, &refused["kind"]),
        (Some(2), &json!("unsupported")),
        "{again:?}"
    );
    let said = refused["message"].as_str().unwrap();
    assert!(
        said.contains(run) && said.contains("has ended") && said.contains("`cancelled`"),
        "{said}"
    );
}

#[test]
fn a_killed_stage_is_never_green() {
    let world = World::new();
    let (workspace, mut events) = added(&world, &check("kill -9 $$"));
    events.until_type("run.ended");
    let (manifest, _) = ended(&workspace);
    assert_eq!(
        (&manifest["commands"][0]["exit_code"], &manifest["status"]),
        (&json!(137), &json!("failed"))
    );
    assert_eq!(workspace.ctl(&["gate"]).code, Some(1));
}

#[test]
fn what_cannot_be_started_is_an_error_and_no_failure() {
    let world = World::new();
    for (name, rest, named) in [
        (
            "program",
            "command = [\"/nowhere/at-all\"]",
            "/nowhere/at-all",
        ),
        ("cwd", "command = \"true\"\ncwd = \"no/such\"", "no/such"),
    ] {
        let workspace = world.directory(name);
        let toml = pipeline(&[("check", rest)]);
        workspace.write("orchd.toml", toml.replace("\"t\"", &format!("\"{name}\"")));
        let mut events = world.events();
        workspace.done(&["add", "--allow"]);
        let end = events.until_type("run.ended");
        assert_eq!(
            (&end["status"], &end["verdict"], &end["status_detail"]),
            (
                &json!("failed"),
                &json!("error"),
                &json!("stage:check:error")
            ),
            "{end}"
        );
        let manifest = workspace.json(end["manifest"].as_str().unwrap());
        let summary = manifest["commands"][0]["summary"].as_str().unwrap();
        assert!(summary.starts_with("Execution error: "), "{summary}");
        let path = manifest["commands"][0]["error_file"].as_str().unwrap();
        assert!(path.ends_with("/errors/01-check.json"), "{path}");
        let error = workspace.json(path);
        assert_eq!(
            (&error["reason"], &error["command_id"], &error["details"]),
            (
                &json!("command-failed"),
                &json!("check"),
                &json!({"exit_code": null, "stderr": "", "failure_reason": "execution_error", "detail": summary})
            )
        );
        assert!(summary.contains(named), "{summary}");
        assert_eq!(
            workspace.ctl(&["gate", "--task", name]).code,
            Some(3),
            "{name}"
        );
    }
}

#[test]
fn a_grandchild_that_holds_the_output_delays_nothing() {
    let world = World::new();
    let (workspace, mut events) = added(&world, &check("sleep 1000 & echo hi"));
    let end = events.until_type("run.ended");
    assert_eq!(end["verdict"], "pass");
    assert!(end["duration_ms"].as_u64().unwrap() < 10_000, "{end}");
    assert_eq!(workspace.done(&["logs"]).out, "hi\n");
    assert_eq!(world.processes(), Vec::<u32>::new());
}

#[test]
fn output_is_kept_byte_for_byte_and_its_middle_dropped_past_the_bound() {
    let world = World::new();
    let toml = pipeline(&[
        ("odd", r"command = '''printf '\377\000\nlast' '''"),
        (
            "big",
            "command = '''echo first; head -c 70000000 /dev/zero | tr '\\0' x; echo; echo last'''",
        ),
    ]);
    let (workspace, mut events) = added(&world, &toml);
    let end = events.until_type("run.ended");
    assert_eq!(end["verdict"], "pass", "{end}");
    let run = end["run_id"].as_str().unwrap();
    let odd = Running::of(workspace.orchctl(&["logs", run, "odd"])).output();
    assert_eq!(odd.stdout, b"\xff\0\nlast");
    let (_, sidecar) = ended(&workspace);
    let stages = &sidecar["stages"];
    assert_eq!(
        (&stages[0]["truncated"], &stages[1]["truncated"]),
        (&json!(false), &json!(true))
    );
    assert!(
        stages[1]["log_bytes"].as_u64().unwrap() > 70_000_000,
        "{sidecar}"
    );
    let shown = Running::of(workspace.orchctl(&["logs", run, "big"])).output();
    assert!(shown.stdout.starts_with(b"first\nx") && shown.stdout.ends_with(b"x\nlast\n"));
    assert!(shown.stdout.len() < 70_000_000 && !shown.stderr.is_empty());
}

#[test]
fn a_pass_after_a_failure_is_flaky_and_told() {
    let world = World::new();
    let tries = world.path("tries");
    let command = format!(
        "command = '''echo >> {0}; test $(wc -l < {0}) -gt 2'''\nretries = 2",
        tries.display()
    );
    let (workspace, mut events) = added(&world, &pipeline(&[("check", &command)]));
    let end = events.until_type("run.ended");
    assert_eq!(
        (&end["status"], &end["verdict"]),
        (&json!("succeeded"), &json!("flaky")),
        "{end}"
    );
    assert_eq!(lines(&tries), 3);
    let (_, sidecar) = ended(&workspace);
    assert_eq!(sidecar["stages"][0]["attempts"], 3);
    let gate = workspace.done(&["gate", "--json"]).json();
    assert_eq!(
        (&gate["verdict"], &gate["green"]),
        (&json!("flaky"), &json!(true))
    );
    let strict = format!(
        "[workspace]\nflaky = \"fail\"\n{}",
        workspace.read("orchd.toml")
    );
    std::fs::remove_file(&tries).unwrap();
    workspace.write("orchd.toml", strict);
    workspace.done(&["reload"]);
    assert_eq!(workspace.ctl(&["wait"]).code, Some(1));
}

#[test]
fn a_failure_that_is_allowed_is_skipped() {
    let world = World::new();
    let toml = pipeline(&[
        ("may", "command = 'exit 5'\nallow_failure = true"),
        ("must", "command = 'true'"),
    ]);
    let (workspace, mut events) = added(&world, &toml);
    assert_eq!(events.until_type("run.ended")["verdict"], "pass");
    let (manifest, _) = ended(&workspace);
    assert_eq!(
        (
            &manifest["commands"][0]["status"],
            &manifest["commands"][0]["exit_code"]
        ),
        (&json!("skipped"), &json!(5))
    );
    assert_eq!(manifest["status"], "succeeded");
}

#[test]
fn what_could_not_be_started_is_nothing_to_be_allowed() {
    let world = World::new();
    let toml = pipeline(&[("may", "command = ['no-such-command']\nallow_failure = true")]);
    let (workspace, mut events) = added(&world, &toml);
    assert_eq!(events.until_type("run.ended")["verdict"], "error");
    let gate = workspace.ctl(&["gate"]);
    assert_eq!(gate.code, Some(3), "{gate:?}");
}

#[test]
fn a_subpipeline_is_a_child_run_that_counts_unless_it_is_optional() {
    let world = World::new();
    for (name, optional, verdict, status) in [
        ("a", true, "pass", "skipped"),
        ("b", false, "fail", "failed"),
    ] {
        let workspace = world.directory(name);
        let stage = format!("pipeline = \"smoke\"\noptional = {optional}");
        let mut toml = pipeline(&[("first", "command = 'true'"), ("sub", &stage)])
            .replace("\"t\"", &format!("\"{name}\""));
        toml +=
            "[[pipeline]]\nid = \"smoke\"\n[[pipeline.stage]]\nid = \"no\"\ncommand = 'exit 1'\n";
        workspace.write("orchd.toml", toml);
        workspace.done(&["add", "--allow"]);
        assert_eq!(workspace.wait()["verdict"], verdict);
        let (manifest, _) = ended(&workspace);
        let entry = &manifest["commands"][1];
        assert_eq!(
            (&entry["kind"], &entry["status"]),
            (&json!("subpipeline"), &json!(status))
        );
        let child = &manifest["child_runs"][0];
        assert_eq!(
            (&child["run_id"], &child["status"]),
            (&entry["sub_run_id"], &json!("failed"))
        );
        let of_child = workspace.json(child["manifest"].as_str().unwrap());
        assert_eq!(
            (&of_child["parent_run_id"], &of_child["pipeline_id"]),
            (&manifest["run_id"], &json!("smoke"))
        );
        assert_eq!(of_child["status"], "failed");
    }
}

#[test]
fn a_process_that_made_a_session_of_its_own_is_found() {
    let world = World::new();
    let up = world.fifo("up");
    let command = format!(
        "setsid sh -c 'echo up > {}; sleep 1000' & sleep 1000",
        up.display()
    );
    let toml = pipeline(&[("check", &format!("command = {command:?}"))]);
    let (_workspace, mut events) = added(&world, &toml);
    let started = events.until_stage("check");
    assert_eq!(world.heard(&up), "up\n");
    let run = started["run_id"].as_str().unwrap();
    let cancelled = world.ctl(&["cancel", run]);
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    assert_eq!(world.processes(), Vec::<u32>::new());
}

#[test]
fn a_daemon_full_of_stages_still_looks_and_starts_no_further_one() {
    let world = World::new();
    let (gate, up) = (world.fifo("gate"), world.fifo("up"));
    let stages = |count: usize| -> String {
        let line = format!("echo > {}; read _ < {}", up.display(), gate.display());
        let line = format!("command = '{line}'\nneeds = []");
        let tables = (0..count).map(|n| format!("[[pipeline.stage]]\nid = \"s{n}\"\n{line}\n"));
        tables.collect()
    };
    // 512 stages a pipeline and 1,024 jobs a workspace are the most that a configuration may ask for.
    let toml = format!(
        "[workspace]\njobs = 1024\n[[project]]\ntask = \"a\"\npath = \"a\"\n[[project]]\ntask = \"b\"\npath = \"b\"\n\
         [[pipeline]]\nid = \"diagnostics\"\n{}",
        stages(512)
    );
    let full = world.directory("full");
    full.write("orchd.toml", toml);
    full.write("a/f", "1");
    full.write("b/f", "1");
    full.done(&["add", "--allow"]);
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut up = std::fs::File::options()
            .read(true)
            .write(true)
            .open(up)
            .unwrap();
        send.send(up.read_exact(&mut [0; 1024]))
    });
    receive.recv_timeout(DEADLINE).unwrap().unwrap();
    let synced = full.ctl(&["sync", "--timeout", "20s"]);
    assert_eq!(synced.code, Some(0), "{synced:?}");
    let other = world.directory("other");
    other.write("orchd.toml", check("true"));
    let mut events = world.events();
    other.done(&["add", "--allow"]);
    events.until(|event| event["type"] == "run.started" && event["workspace"] == other.root());
    let waits = other.ctl(&["wait", "--timeout", "300ms"]);
    assert_eq!(waits.code, Some(3), "{waits:?}");
    let mut open = std::fs::File::options().write(true).open(&gate).unwrap();
    open.write_all(&[b'\n'; 1024]).unwrap();
    assert_eq!(other.wait()["verdict"], "pass");
    assert_eq!(full.wait()["verdict"], "pass");
}

/// A hook of another repository has started the daemon: a stage's git works where the stage stands all the same, unless
/// the stage says otherwise itself.
#[test]
fn a_stage_does_not_work_on_the_repository_of_the_hook_that_started_the_daemon() {
    let mut world = World::empty();
    let place = world.path("hooked").display().to_string();
    world.directory("hooked").sh("git init -q .");
    world.directory("w").sh("git init -q .");
    for (name, value) in [
        ("GIT_DIR", format!("{place}/.git")),
        ("GIT_INDEX_FILE", format!("{place}/.git/index")),
        ("GIT_WORK_TREE", place.clone()),
    ] {
        world.set(name, &value);
    }
    world.start();
    let show = "command = '''git rev-parse --show-toplevel'''";
    let declared =
        format!("{show}\nenv = {{ GIT_DIR = \"{place}/.git\", GIT_WORK_TREE = \"{place}\" }}");
    let workspace = world.watched("w", &pipeline(&[("own", show), ("declared", &declared)]));
    let said = |stage| {
        let run = workspace.runs()[0]["run_id"].as_str().unwrap().to_owned();
        let logs = workspace.done(&["logs", &run, stage]).out;
        logs.trim_end().to_owned()
    };
    assert_eq!(said("own"), workspace.root());
    assert_eq!(said("declared"), place);
    workspace.done(&["run", "--no-daemon"]);
    assert_eq!(workspace.runs().len(), 2);
    assert_eq!(said("own"), workspace.root());
}

#[test]
fn a_stage_that_is_a_pipeline_takes_as_long_as_its_child_run() {
    let world = World::new();
    let mut toml = pipeline(&[("sub", "pipeline = \"slow\"")]);
    toml +=
        "[[pipeline]]\nid = \"slow\"\n[[pipeline.stage]]\nid = \"nap\"\ncommand = 'sleep 0.3'\n";
    let (workspace, mut events) = added(&world, &toml);
    let told = events.until(|event| event["type"] == "stage.ended" && event["stage"] == "sub");
    let (manifest, sidecar) = ended(&workspace);
    let shown = workspace.done(&["show", manifest["run_id"].as_str().unwrap(), "--json"]);
    let shown = shown.json();
    let milliseconds = |of: &Value| of["duration_ms"].as_u64().unwrap();
    let stage = milliseconds(&sidecar["stages"][0]);
    assert_eq!(milliseconds(&shown["stages"][0]), stage);
    assert_eq!(milliseconds(&told), stage);
    let child = manifest["child_runs"][0]["run_id"].as_str().unwrap();
    let child = workspace.done(&["show", child, "--json"]).json();
    let (nap, whole) = (milliseconds(&child["stages"][0]), milliseconds(&shown));
    assert!(nap >= 200, "{child}");
    assert!((nap..=whole).contains(&stage), "{nap} {stage} {whole}");
    let moment = |name: &str| -> jiff::Timestamp {
        let text = manifest["commands"][0][name].as_str().unwrap();
        text.parse().unwrap()
    };
    let between = moment("completed_at").duration_since(moment("started_at"));
    assert_eq!(between.as_millis(), i128::from(stage));
}

#[test]
fn a_run_whose_child_was_cancelled_says_that_and_not_that_content_changed() {
    let world = World::new();
    let child =
        "[[pipeline]]\nid = 'inner'\n[[pipeline.stage]]\nid = 'hang'\ncommand = 'sleep 1000'\n";
    let stages = pipeline(&[("sub", "pipeline = 'inner'")]);
    let workspace = world.directory("w");
    let toml = format!("[workspace]\non_start = false\n{stages}{child}");
    workspace.write("orchd.toml", toml);
    workspace.done(&["add", "--allow"]);
    let mut events = world.events();
    let running = Running::of(workspace.orchctl(&["run"]));
    let hang = events.until_stage("hang");
    workspace.done(&["cancel", hang["run_id"].as_str().unwrap()]);
    let done = running.end();
    assert_eq!(done.code, Some(3), "{done:?}");
    let why = "a run that is a stage of it was cancelled: it says nothing of what is there now";
    let said = done.out.lines().any(|line| line.trim_start() == why);
    assert!(said && !done.out.contains("changed"), "{done:?}");
    let ended = events.until(|event| event["type"] == "run.ended" && event["unproven"].is_string());
    assert_eq!(
        (&ended["unproven"], &ended["void"]),
        (&json!("child-cancelled"), &json!(false))
    );
}

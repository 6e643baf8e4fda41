//! One mutex for all of a user's processes: daemons with nothing in common, and commands that do the work themselves.

use crate::events::Events;
use crate::support::{Running, Workspace, World, check, names};
use orch::daemon::mutexes::lock::shelf_of_user;
use orch::model::digest::Digest;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// A name that no other test has, in whatever process; nothing is left of its lock.
struct Name(String);

impl Drop for Name {
    fn drop(&mut self) {
        for kind in ["lock", "turn"] {
            let file = format!("{}.{kind}", Digest::of(self.0.as_bytes()));
            drop(std::fs::remove_file(shelf_of_user().join(file)));
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn name(test: &str) -> Name {
    Name(format!("e2e/{test} {}", std::process::id()))
}

/// A configuration whose stage runs under a mutex.
fn under(mutex: &Name, command: &str) -> String {
    format!("{}mutex = \"{mutex}\"\n", check(command))
}

/// A command that says in a file when it begins and ends.
fn stamping(stamps: &Path) -> String {
    format!(
        "echo begin >> {0}; sleep 0.03; echo end >> {0}",
        stamps.display()
    )
}

/// So many stages have run, and none while another did.
fn never_overlapped(stamps: &Path, stages: usize) {
    let text = std::fs::read_to_string(stamps).unwrap();
    assert_eq!(text, "begin\nend\n".repeat(stages));
}

/// What is told of a workspace that waits for a mutex.
fn told_to_wait(events: &mut Events, by: &str) -> Value {
    let waits = |event: &Value| {
        let detail = event["detail"].as_str().unwrap_or_default();
        event["type"] == "workspace" && detail.ends_with(&format!("which {by} holds"))
    };
    events.until(waits)["detail"].clone()
}

fn forced(workspace: &Workspace<'_>, more: &[&str]) -> Running {
    let arguments = [&["run", "--force", "--json"], more].concat();
    Running::of(workspace.orchctl(&arguments))
}

#[test]
fn stages_of_two_daemons_and_of_commands_beside_them_never_overlap() {
    let worlds = [World::new(), World::new()];
    let stamps = worlds[0].path("stamps");
    let mutex = name("overlap");
    let toml = under(&mutex, &stamping(&stamps));
    let workspaces = worlds.each_ref().map(|world| world.watched("w", &toml));
    let hosted = worlds[1].directory("hosted");
    hosted.write("orchd.toml", &toml);
    hosted.done(&["allow"]);
    let mut stages = 2;
    for _ in 0..4 {
        let runs = [
            forced(&workspaces[0], &[]),
            forced(&workspaces[1], &[]),
            forced(&hosted, &["--no-daemon"]),
        ];
        for done in runs.map(Running::end) {
            assert_eq!(done.code, Some(0), "{done:?}");
            stages += 1;
        }
    }
    never_overlapped(&stamps, stages);
}

#[test]
fn who_waits_for_another_process_is_told_and_can_be_cancelled() {
    let (holding, waiting) = (World::new(), World::new());
    let mutex = name("told");
    let (up, gate) = (holding.fifo("up"), holding.fifo("gate"));
    let first = holding.directory("w");
    let command = format!("echo up > {}; cat {}", up.display(), gate.display());
    first.write("orchd.toml", under(&mutex, &command));
    first.done(&["add", "--allow"]);
    assert_eq!(holding.heard(&up), "up\n");

    let second = waiting.directory("w");
    second.write("orchd.toml", under(&mutex, "true"));
    let mut events = waiting.events();
    second.done(&["add", "--allow"]);
    let by = format!("process {}", holding.pid());
    let told = told_to_wait(&mut events, &by);
    let said = format!("stage `check` of `t` waits for the mutex `{mutex}`, which {by} holds");
    assert_eq!(told, said.as_str());
    let status = second.status();
    assert_eq!(
        (&status["state"], &status["detail"]),
        (&json!("watching"), &told)
    );
    let project = &status["projects"][0];
    assert_eq!(
        (&project["phase"], &project["running"]["stage"]),
        (&json!("running"), &json!(null))
    );
    assert_eq!(project["running"]["waits"], told);
    let run = project["running"]["run_id"].as_str().unwrap();
    second.done(&["cancel", run]);
    let ended = events.until_type("run.ended");
    assert_eq!(ended["status"], "cancelled");
    assert_eq!(second.status()["detail"], Value::Null);
    holding.say(&gate, "");
    assert_eq!(first.wait()["verdict"], "pass");
}

#[test]
fn a_mutex_outlives_its_daemon_as_long_as_its_stage_does() {
    let (mut holding, waiting) = (World::new(), World::new());
    let mutex = name("killed");
    let (up, gate) = (holding.fifo("up"), holding.fifo("gate"));
    let command = format!("echo up > {}; cat {}", up.display(), gate.display());
    let first = holding.directory("w");
    first.write("orchd.toml", under(&mutex, &command));
    first.done(&["add", "--allow"]);
    assert_eq!(holding.heard(&up), "up\n");
    let daemon = holding.pid();
    holding.kill();

    let second = waiting.directory("w");
    second.write("orchd.toml", under(&mutex, "true"));
    let mut events = waiting.events();
    second.done(&["add", "--allow"]);
    told_to_wait(
        &mut events,
        &format!("what process {daemon} has left running"),
    );
    holding.say(&gate, "");
    assert_eq!(second.wait()["verdict"], "pass");
}

#[test]
fn what_a_stage_leaves_running_keeps_no_mutex() {
    let world = World::new();
    let mutex = name("left");
    let (gate, pid) = (world.fifo("gate"), world.path("pid"));
    let workspace = world.directory("w");
    // In a session of its own, with neither output: a build server, which nobody looks for.
    let server = format!(
        "setsid sh -c 'echo $$ > {}; exec cat {}' > /dev/null 2>&1 &",
        pid.display(),
        gate.display()
    );
    let command = format!(
        "{server} while ! test -s {}; do sleep 0.01; done",
        pid.display()
    );
    workspace.write("orchd.toml", under(&mutex, &command));
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let pid = std::fs::read_to_string(&pid).unwrap();
    let lives = || Path::new("/proc").join(pid.trim()).exists();
    assert!(lives(), "the server was to live on");
    let other = world.directory("other");
    other.write("orchd.toml", under(&mutex, "true"));
    other.done(&["allow"]);
    assert_eq!(other.ctl(&["run", "--no-daemon"]).code, Some(0));
    assert!(lives());
    world.say(&gate, "");
}

/// Runs of one workspace beside each other leave evidence that is whole, and no run less; how many there were.
fn beside_each_other(toml: &str) -> usize {
    let world = World::new();
    let workspace = world.watched("w", toml);
    let mut known = BTreeSet::from([workspace.runs()[0]["run_id"].as_str().unwrap().to_owned()]);
    for _ in 0..3 {
        let hosted = || forced(&workspace, &["--no-daemon"]);
        for run in [hosted(), hosted(), hosted(), forced(&workspace, &[])] {
            let done = run.end();
            assert_eq!(done.code, Some(0), "{done:?}");
            let run = done.json()["run_id"].as_str().unwrap().to_owned();
            assert!(known.insert(run), "two runs have one id");
        }
    }
    let there = names(&workspace.root.join(".runs/t/cli"));
    let there = there
        .into_iter()
        .map(|name| String::from_utf8(name).unwrap());
    assert_eq!(there.collect::<BTreeSet<_>>(), known);
    for run in &known {
        let manifest = workspace.json(&format!(".runs/t/cli/{run}/manifest.json"));
        let told = (
            &manifest["run_id"],
            &manifest["status"],
            &manifest["metrics_recorded"],
        );
        assert_eq!(told, (&json!(run), &json!("succeeded"), &json!(true)));
        assert_eq!(
            workspace.json(&format!(".runs/t/cli/{run}/orchd.json"))["verdict"],
            "pass"
        );
        let pointed = workspace.json(&format!(".runs/t/mcp/{run}/manifest.json"));
        assert_eq!(
            pointed["manifest"],
            format!(".runs/t/cli/{run}/manifest.json")
        );
        assert_eq!(
            workspace.json(&format!(".runs/local-mcp/{run}/manifest.json")),
            manifest
        );
    }
    let recorded = workspace.read(".runs/t/metrics.json");
    let recorded = recorded.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["run_id"].as_str().unwrap().to_owned()
    });
    let recorded: Vec<String> = recorded.collect();
    assert_eq!(recorded.len(), known.len(), "one line of each run");
    assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>(), known);
    let last = workspace.json("out/t/state.json")["orchd"]["last_run"]["run_id"].clone();
    assert!(known.contains(last.as_str().unwrap()));
    for file in ["state", "runs"] {
        let snapshot = workspace.json(&format!("out/t/{file}.json"));
        assert_eq!(
            snapshot["runs"].as_array().unwrap().len(),
            known.len(),
            "{file}"
        );
    }
    let listed = workspace.runs();
    let listed = listed
        .iter()
        .map(|run| run["run_id"].as_str().unwrap().to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), known);
    known.len()
}

#[test]
fn runs_side_by_side_in_one_workspace_leave_whole_evidence() {
    beside_each_other(&check("true"));
}

#[test]
fn runs_side_by_side_in_one_workspace_share_its_mutexes() {
    let (dir, mutex) = (tempfile::tempdir().unwrap(), name("beside"));
    let stamps = dir.path().join("stamps");
    let runs = beside_each_other(&under(&mutex, &stamping(&stamps)));
    never_overlapped(&stamps, runs);
}

#[test]
fn a_stage_that_asks_for_one_under_its_own_mutex_does_not_wait_for_itself() {
    let world = World::new();
    let mutex = name("nested");
    let inner = world.directory("inner");
    inner.write("orchd.toml", under(&mutex, "true"));
    inner.done(&["allow"]);
    let outer = world.directory("outer");
    let orchctl = env!("CARGO_BIN_EXE_orchctl");
    let command = format!("{orchctl} run --no-daemon --workspace {}", inner.root());
    outer.write("orchd.toml", under(&mutex, &command));
    outer.done(&["allow"]);
    let done = outer.ctl(&["run", "--no-daemon"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let run = names(&inner.root.join(".runs/t/cli")).pop().unwrap();
    let run = String::from_utf8(run).unwrap();
    let manifest = inner.json(&format!(".runs/t/cli/{run}/manifest.json"));
    let said = manifest["commands"][0]["summary"].as_str().unwrap();
    assert!(
        said.contains("its mutex cannot be taken: a stage of run"),
        "{said}"
    );
}

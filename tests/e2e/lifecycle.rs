//! Starting, doubling, killing, ending: what a run, its processes and its evidence come to.

use crate::events::{Events, of_type};
use crate::support::{Running, World, check, finish, lines, names, pipeline};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::fs::DirBuilderExt as _;

/// A daemon in whose workspace `w` a stage runs that never ends.
fn with_endless_run(world: &World) -> (Events, String) {
    let workspace = world.directory("w");
    workspace.write("a.txt", "slow\n");
    let up = world.fifo("up");
    let command = format!(
        "if grep -q slow a.txt; then sleep 1000 & echo up > {}; sleep 1000; fi; cat a.txt",
        up.display()
    );
    workspace.write("orchd.toml", check(&command));
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    let started = events.until_stage("check");
    let run = started["run_id"].as_str().unwrap().to_owned();
    assert_eq!(world.heard(&up), "up\n");
    (events, run)
}

fn manifest(world: &World, run: &str) -> Value {
    world
        .directory("w")
        .json(&format!(".runs/t/cli/{run}/manifest.json"))
}

#[test]
fn a_second_daemon_says_so_and_ends() {
    let world = World::new();
    let second = finish(world.orchd());
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(
        second.err.contains(&format!("pid {}", world.pid())),
        "{second:?}"
    );
    assert_eq!(world.ctl(&["ping"]).code, Some(0));
}

#[test]
fn a_daemon_killed_during_a_run_leaves_it_cancelled_and_sees_what_was_edited_meanwhile() {
    let mut world = World::new();
    let (_, run) = with_endless_run(&world);
    world.kill();
    assert_eq!(manifest(&world, &run)["status"], "in_progress");
    let left = world.processes();
    assert!(!left.is_empty(), "the stage is looked for in vain");
    assert_eq!(world.ctl(&["ping"]).code, Some(4));
    world
        .directory("w")
        .write("a.txt", "edited while nobody looked\n");
    world.start();
    let workspace = world.directory("w");
    assert_eq!(workspace.wait()["verdict"], "pass");
    let old = manifest(&world, &run);
    assert_eq!(
        (&old["status"], &old["status_detail"]),
        (&json!("cancelled"), &json!("daemon-lost"))
    );
    assert_eq!(world.processes(), Vec::<u32>::new());
    assert_eq!(
        workspace.done(&["logs"]).out,
        "edited while nobody looked\n"
    );
    let runs = workspace.runs();
    let known: Vec<(&Value, &Value)> = runs
        .iter()
        .map(|run| (&run["status"], &run["cause"]))
        .collect();
    assert_eq!(
        known,
        [
            (&json!("succeeded"), &json!("start")),
            (&json!("cancelled"), &json!("start"))
        ]
    );
    let metrics = workspace.read(".runs/t/metrics.json");
    let of_run = metrics.lines().filter(|line| line.contains(&run)).count();
    assert_eq!(of_run, 1, "{metrics}");
}

#[test]
fn what_was_proven_before_a_restart_needs_no_run() {
    let mut world = World::new();
    let counter = world.path("counter");
    let toml = check(&format!("echo >> {}", counter.display()));
    let before = world.watched("w", &toml).wait();
    for signal in [Signal::KILL, Signal::TERM] {
        world.signal(signal);
        world.ended();
        world.start();
        let workspace = world.directory("w");
        let gate = workspace.done(&["gate", "--json"]).json();
        assert_eq!(
            gate["projects"][0]["run_id"],
            before["projects"][0]["run_id"]
        );
        let status = workspace.status();
        assert_eq!(
            (
                &status["projects"][0]["verdict"],
                &status["projects"][0]["fresh"]
            ),
            (&json!("pass"), &json!(true))
        );
        assert_eq!(lines(&counter), 1);
    }
}

#[test]
fn term_ends_a_running_stage_and_records_it() {
    let mut world = World::new();
    let (mut events, run) = with_endless_run(&world);
    world.signal(Signal::TERM);
    let ended = events.until_type("run.ended");
    assert_eq!(ended["status"], "cancelled");
    assert_eq!(world.ended().code(), Some(0));
    assert_eq!(manifest(&world, &run)["status"], "cancelled");
    assert_eq!(world.processes(), Vec::<u32>::new());
    assert!(!world.socket().exists());
    let state = world.directory("w").json("out/t/state.json");
    assert_eq!(
        (&state["orchd"]["verdict"], &state["orchd"]["phase"]),
        (&json!("unknown"), &json!("idle")),
        "{state}"
    );
}

#[test]
fn shutdown_names_the_runs_that_it_ends() {
    let mut world = World::new();
    let (_, run) = with_endless_run(&world);
    let waiting = Running::of(world.directory("w").orchctl(&["wait", "--json"]));
    world.ctl(&["status"]);
    let answer = world.ctl(&["shutdown", "--json"]);
    assert_eq!(
        (answer.code, &answer.json()["runs"]),
        (Some(0), &json!([run])),
        "{answer:?}"
    );
    assert_eq!(world.ended().code(), Some(0));
    assert_eq!(manifest(&world, &run)["status"], "cancelled");
    assert_eq!(world.processes(), Vec::<u32>::new());
    let waited = waiting.end();
    assert!([Some(3), Some(4)].contains(&waited.code), "{waited:?}");
    assert_eq!(world.ctl(&["status"]).code, Some(4));
}

#[test]
fn a_stage_that_ignores_term_does_not_hold_the_end_for_long() {
    let mut world = World::new();
    let up = world.fifo("up");
    let workspace = world.directory("w");
    let command = format!(
        "command = '''trap \"\" TERM; echo up > {}; sleep 1000; sleep 1000'''\ngrace = \"200ms\"",
        up.display()
    );
    workspace.write("orchd.toml", pipeline(&[("check", &command)]));
    workspace.done(&["add", "--allow"]);
    world.heard(&up);
    world.signal(Signal::TERM);
    assert_eq!(world.ended().code(), Some(0));
    assert_eq!(world.processes(), Vec::<u32>::new());
    assert_eq!(world.ctl(&["status"]).code, Some(4));
}

#[test]
fn a_daemon_can_be_started_as_soon_as_the_one_before_has_said_good_bye() {
    let mut world = World::new();
    drop(world.watched("w", &check("true")));
    for _ in 0..5 {
        assert_eq!(world.ctl(&["shutdown"]).code, Some(0));
        world.start_over();
        assert_eq!(world.directory("w").wait()["verdict"], "pass");
    }
}

#[test]
fn detached_it_serves_and_watch_starts_one_by_itself() {
    let mut world = World::empty();
    std::fs::create_dir_all(world.path("r")).unwrap();
    let mut detach = world.orchd();
    detach.arg("--detach");
    let detached = finish(detach);
    assert_eq!(detached.code, Some(0), "{detached:?}");
    let workspace = world.watched("w", &check("true"));
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(world.ctl(&["shutdown"]).code, Some(0));
    world.set("ORCHD_NO_AUTOSTART", "0");
    let workspace = world.directory("w");
    let watching = Running::of(workspace.orchctl(&["watch", "--yes", "."]));
    if world.ctl(&["ping", "--wait", "30s"]).code != Some(0) {
        watching.signal(Signal::INT);
        panic!("watch started no daemon: {:?}", watching.end());
    }
    let mut events = world.events();
    workspace.write("a.txt", "saved while it is shown\n");
    events.until_type("run.ended");
    watching.signal(Signal::INT);
    let watched = watching.end();
    assert_eq!(watched.code, Some(0), "{watched:?}");
    assert_eq!(world.ctl(&["shutdown"]).code, Some(0));
}

#[test]
fn a_removed_workspace_is_forgotten_and_keeps_its_evidence() {
    let world = World::new();
    let workspace = world.watched("w", &check("cat a.txt || true"));
    let mut events = world.events();
    assert_eq!(workspace.runs().len(), 1);
    let index = world.state().join("index");
    assert_eq!(names(&index).len(), 1);
    let removed = world.ctl(&["remove", workspace.root(), "--json"]);
    assert_eq!(
        (removed.code, &removed.json()["changed"]),
        (Some(0), &json!(true)),
        "{removed:?}"
    );
    workspace.write("a.txt", "later\n");
    assert_eq!(world.ctl(&["sync"]).code, Some(0));
    assert_eq!(
        world.ctl(&["list", "--json"]).json()["workspaces"],
        json!([])
    );
    assert!(workspace.has(".runs/t/metrics.json"));
    assert_eq!(names(&index), Vec::<Vec<u8>>::new());
    let again = world.ctl(&["remove", workspace.root(), "--json"]);
    assert_eq!(
        (again.code, &again.json()["changed"]),
        (Some(0), &json!(false)),
        "{again:?}"
    );
    // Back again, it is as it was, and what was edited meanwhile is seen.
    workspace.done(&["add"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "later\n");
    workspace.settle(&mut events);
    assert_eq!(of_type(&events.heard, "run.ended").len(), 1);
}

#[test]
fn removing_during_a_run_ends_it() {
    let world = World::new();
    let (mut events, run) = with_endless_run(&world);
    let workspace = world.directory("w");
    assert_eq!(world.ctl(&["remove", workspace.root()]).code, Some(0));
    assert_eq!(events.until_type("run.ended")["status"], "cancelled");
    assert_eq!(manifest(&world, &run)["status"], "cancelled");
    assert_eq!(world.processes(), Vec::<u32>::new());
}

#[test]
fn killed_again_and_again_it_leaves_nothing_torn() {
    let mut world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("cat a.txt; sleep 0.01; cat a.txt"));
    workspace.write("a.txt", "0\n");
    workspace.done(&["add", "--allow"]);
    for round in 0..8_u32 {
        let mut events = world.events();
        world
            .directory("w")
            .write("a.txt", format!("{round} and more\n"));
        // A different moment of the run each time.
        for _ in 0..=round {
            events.next();
        }
        world.kill();
        world.start();
    }
    let workspace = world.directory("w");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "7 and more\n".repeat(2));
    let mut ids = names(&workspace.root.join(".runs/t/cli"));
    // A run whose daemon was lost before its first manifest was told to nobody.
    ids.retain(|id| {
        let id = std::str::from_utf8(id).unwrap();
        workspace.has(&format!(".runs/t/cli/{id}/manifest.json"))
    });
    let listed = workspace.done(&["runs", "--limit", "100", "--json"]).json();
    assert_eq!(listed["runs"].as_array().unwrap().len(), ids.len());
    for run in listed["runs"].as_array().unwrap() {
        let read = workspace.json(run["manifest"].as_str().unwrap());
        assert!(
            read["status"] == "succeeded" || read["status"] == "cancelled",
            "{read}"
        );
    }
    workspace.json("out/t/state.json");
    for line in workspace.read(".runs/t/metrics.json").lines() {
        assert!(
            serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()),
            "{line}"
        );
    }
    let torn = workspace.root.join(".runs/t");
    let listing = finish({
        let mut find = world.command("find");
        find.arg(&torn).args(["-name", "*.tmp*"]);
        find
    });
    assert_eq!(listing.out, "");
    assert_eq!(world.processes(), Vec::<u32>::new());
}

#[test]
fn who_asks_right_after_the_start_is_told_of_what_is_being_read() {
    let mut world = World::new();
    drop(world.watched("w", &check("true")));
    for _ in 0..4 {
        world.signal(Signal::TERM);
        assert_eq!(world.ended().code(), Some(0));
        world.start();
        for question in [&["gate"][..], &["status"]] {
            let asked = [question, &["--task", "t", "--json"]].concat();
            let answer = world.ctl(&asked);
            assert_eq!(answer.code, Some(0), "{answer:?}");
        }
    }
    assert_eq!(world.ctl(&["gate", "--task", "u"]).code, Some(2));
}

#[test]
fn evidence_may_be_kept_beside_the_workspace() {
    let mut world = World::empty();
    world.wrap(&["env", "CODEX_ORCHESTRATOR_RUNS_DIR=../evidence/./runs"]);
    world.start();
    let workspace = world.watched("w", &check("true"));
    assert_eq!(workspace.wait()["verdict"], "pass");
    let run = workspace.runs()[0]["run_id"].as_str().unwrap().to_owned();
    let kept = world.path("evidence/runs/t/cli").join(&run);
    let manifest = std::fs::read_to_string(kept.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["status"], "succeeded");
    assert!(!workspace.root.join(".runs").exists());
}

#[test]
fn a_second_daemon_on_another_socket_leaves_the_state_to_the_first() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let mut second = world.orchd();
    second.arg("--socket").arg(world.path("r/orchd/other.sock"));
    let refused = finish(second);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    let holder = format!("pid {}", world.pid());
    let socket = world.socket();
    for part in [&holder[..], socket.to_str().unwrap(), "ORCHD_STATE_DIR"] {
        assert!(refused.err.contains(part), "{refused:?}");
    }
    // The first one's syncs go on.
    workspace.write("a.txt", "change\n");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.runs().len(), 2);
    // With a state of its own it serves.
    let mut other = world.orchd();
    other.env("ORCHD_STATE_DIR", world.path("other"));
    other.args(["--detach", "--socket"]);
    other.arg(world.path("r/orchd/other.sock"));
    assert_eq!(finish(other).code, Some(0));
    let socket = world.path("r/orchd/other.sock");
    let ended = world.ctl(&["--socket", socket.to_str().unwrap(), "shutdown"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn doctor_says_that_lines_of_the_log_were_dropped() {
    let mut world = World::empty();
    let logs = world.state().join("logs");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&logs)
        .unwrap();
    // As much as a day's log may have; at midnight the next one is as full.
    let today = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    for day in [today, today.tomorrow().unwrap()] {
        let file = std::fs::File::create(logs.join(format!("orchd.{day}.log"))).unwrap();
        file.set_len(64 * 1024 * 1024).unwrap();
    }
    world.start();
    let doctor = world.ctl(&["doctor", "--json"]).json();
    let mut checks = doctor["checks"].as_array().unwrap().iter();
    let told = checks.find(|check| check["id"] == "log").unwrap();
    assert_eq!(told["state"], "warn", "{told}");
    assert!(
        told["detail"]
            .as_str()
            .unwrap()
            .contains("beyond the day's size"),
        "{told}"
    );
    world.signal(Signal::TERM);
    world.ended();
    assert!(world.log().contains("lines of this log were dropped"));
}

#[test]
fn a_failure_is_told_with_the_same_words_after_a_restart() {
    let mut world = World::new();
    let failure = |world: &World| {
        let mut status = world.directory("w").status();
        status["projects"][0]["failure"].take()
    };
    let live = {
        let gate = world.fifo("gate");
        let slow = format!(
            "command = 'read _ < {}; exit 4'\nneeds = []",
            gate.display()
        );
        let quick =
            "echo 'a.txt:1: error: bad'; yes filler | head -c 300000; echo noise >&2; exit 3";
        let quick = format!("command = {quick:?}\nneeds = []");
        let workspace = world.directory("w");
        workspace.write(
            "orchd.toml",
            pipeline(&[("slow", &slow), ("quick", &quick)]),
        );
        let mut events = world.events();
        workspace.done(&["add", "--allow"]);
        events.until(|event| event["type"] == "stage.ended" && event["stage"] == "quick");
        world.say(&gate, "\n");
        events.until_type("run.ended");
        failure(&world)
    };
    let said = (&live["stage"], &live["excerpt"]);
    assert_eq!(said, (&json!("quick"), &json!("a.txt:1: error: bad")));
    world.signal(Signal::TERM);
    world.ended();
    world.start();
    assert_eq!(world.directory("w").ctl(&["wait"]).code, Some(1));
    assert_eq!(failure(&world), live);
    // Of a log that is gone nobody reads; what the error file holds is told as one line, too.
    std::fs::remove_file(world.path("w").join(live["log_path"].as_str().unwrap())).unwrap();
    world.kill();
    world.start();
    assert_eq!(world.directory("w").ctl(&["wait"]).code, Some(1));
    assert_eq!(failure(&world)["excerpt"], "noise");
}

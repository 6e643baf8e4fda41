//! A root that another directory takes the place of, that goes and comes back, that cannot be read: each is picked up by
//! itself, and no verdict of before stands for what is there then.
//!
//! What comes back is content that nobody has run, and would fail. What is mounted at a root is in `mounts`.

use crate::deadline::within;
use crate::events::Events;
use crate::support::{Workspace, World, check, is_had, names, pipeline};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::process::Command;

fn is_state(state: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["type"] == "workspace" && event["state"] == state
}

fn is_verdict(verdict: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["type"] == "verdict" && event["verdict"] == verdict
}

/// A workspace that is green, and fails as soon as a file says BAD.
fn green(world: &World) -> Workspace<'_> {
    let workspace = world.watched("w", &check("! grep -rqs BAD f sub"));
    workspace.write("f", "ok\n");
    workspace.write("sub/g", "ok\n");
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace
}

/// Nobody is told that what is there now is green; without waiting, and without being asked, it is run.
fn turns_red(workspace: &Workspace<'_>, events: &mut Events) {
    let asked = workspace.ctl(&["gate", "--no-wait", "--json"]);
    assert_ne!(asked.code, Some(0), "{asked:?}");
    events.until(is_verdict("fail"));
    let asked = workspace.ctl(&["gate", "--no-wait", "--json"]);
    assert_eq!(asked.code, Some(1), "{asked:?}");
}

/// What is mended is seen: the root that is there is the one that is watched.
fn turns_green(workspace: &Workspace<'_>, events: &mut Events, path: &str) {
    workspace.write(path, "ok\n");
    events.until(is_verdict("pass"));
    workspace.settle(events);
    workspace.write("new", "1\n");
    let change = events.until_type("change");
    assert_eq!(change["paths"], json!(["new"]));
    workspace.sh("rm new");
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.settle(events);
}

#[test]
fn a_root_that_is_exchanged_is_never_green_by_what_was_there() {
    let world = World::new();
    let workspace = green(&world);
    let mut events = world.events();
    workspace.settle(&mut events);
    for round in 0..4 {
        workspace.sh("cp -r . ../other && echo BAD > ../other/sub/g");
        let other = world.path("other");
        renameat_with(CWD, &workspace.root, CWD, &other, RenameFlags::EXCHANGE).unwrap();
        turns_red(&workspace, &mut events);
        // What was the root is nobody's now.
        workspace.sh("echo BAD > ../other/f");
        workspace.settle(&mut events);
        turns_green(&workspace, &mut events, "sub/g");
        std::fs::remove_dir_all(&other).unwrap();
        assert_eq!(workspace.status()["state"], "watching", "round {round}");
    }
}

#[test]
fn a_root_that_is_deleted_and_made_again_is_never_green_by_what_was_there() {
    let world = World::new();
    let workspace = green(&world);
    let mut events = world.events();
    workspace.settle(&mut events);
    world
        .directory("spare")
        .sh("cp -r ../w/. . && rm -rf .runs out && echo BAD > f");
    for _ in 0..4 {
        // The daemon may be writing evidence into what is being removed.
        let remove = "cd ..; until rm -rf w; do :; done";
        workspace.sh(&format!("{remove}; cp -r spare w"));
        turns_red(&workspace, &mut events);
        turns_green(&workspace, &mut events, "f");
        workspace.sh(remove);
        events.until(is_state("missing"));
        let gate = world.ctl(&["gate", "--task", "t", "--json"]);
        assert_eq!(gate.code, Some(3), "{gate:?}");
        world.directory("spare").sh("cp -r . ../w");
        events.until(is_state("watching"));
        turns_red(&workspace, &mut events);
        turns_green(&workspace, &mut events, "f");
    }
}

#[test]
fn a_root_that_is_renamed_away_and_back_is_never_green_by_what_was_there() {
    let world = World::new();
    let workspace = green(&world);
    let mut events = world.events();
    workspace.settle(&mut events);
    let beside = world.directory("beside");
    for _ in 0..4 {
        beside.sh("mv ../w ../away");
        events.until(is_state("missing"));
        let gate = world.ctl(&["gate", "--task", "t", "--json"]);
        assert_eq!(gate.code, Some(3), "{gate:?}");
        beside.sh("echo BAD > ../away/sub/g; mv ../away ../w");
        events.until(is_state("watching"));
        turns_red(&workspace, &mut events);
        turns_green(&workspace, &mut events, "sub/g");
        // At once, so that the daemon may never have seen it gone.
        beside.sh("mv ../w ../away; echo BAD > ../away/f; mv ../away ../w");
        turns_red(&workspace, &mut events);
        turns_green(&workspace, &mut events, "f");
        // While it is stopped, so that it sees nothing but the end.
        world.signal(Signal::STOP);
        beside.sh("mv ../w ../away; echo BAD > ../away/f; mv ../away ../w");
        world.signal(Signal::CONT);
        turns_red(&workspace, &mut events);
        turns_green(&workspace, &mut events, "f");
    }
}

/// A daemon that the modes of files bind; none where that cannot be had.
fn bound() -> Option<World> {
    let mut world = World::empty();
    if rustix::process::geteuid().is_root() {
        let bounded = [
            "setpriv",
            "--bounding-set",
            "-dac_override,-dac_read_search",
        ];
        let tried = [&bounded[..], &["true"]].concat();
        if !is_had(&tried, "root may read everything") {
            return None;
        }
        world.wrap(&bounded);
    }
    world.start();
    Some(world)
}

#[test]
fn a_root_that_cannot_be_read_for_a_while_is_never_green_by_what_was_there() {
    let Some(world) = bound() else { return };
    let workspace = green(&world);
    let mut events = world.events();
    workspace.settle(&mut events);
    let beside = world.directory("beside");
    // Opened before, since whoever is not root may not go in later.
    for _ in 0..3 {
        let file = std::fs::File::options()
            .write(true)
            .truncate(false)
            .open(workspace.root.join("f"))
            .unwrap();
        beside.sh("chmod 000 ../w");
        events.until(is_state("missing"));
        let gate = world.ctl(&["gate", "--task", "t", "--json"]);
        assert_eq!(gate.code, Some(3), "{gate:?}");
        std::io::Write::write_all(&mut &file, b"BAD").unwrap();
        drop(file);
        beside.sh("chmod 755 ../w");
        events.until(is_state("watching"));
        turns_red(&workspace, &mut events);
        turns_green(&workspace, &mut events, "f");
    }
}

#[test]
fn a_directory_that_cannot_be_read_for_a_while_is_read_again() {
    let Some(world) = bound() else { return };
    let workspace = green(&world);
    let mut events = world.events();
    workspace.settle(&mut events);
    for _ in 0..3 {
        let file = std::fs::File::options()
            .write(true)
            .truncate(false)
            .open(workspace.root.join("sub/g"))
            .unwrap();
        workspace.sh("chmod 000 sub");
        let change = events.until_type("change");
        assert_eq!(change["paths"], json!(["sub/g"]));
        workspace.wait();
        workspace.settle(&mut events);
        std::io::Write::write_all(&mut &file, b"BAD").unwrap();
        drop(file);
        workspace.sh("chmod 755 sub");
        turns_red(&workspace, &mut events);
        turns_green(&workspace, &mut events, "sub/g");
    }
}

/// Lets the daemon open no more files than so many; what is open stays open.
fn open_files(world: &World, most: &str) {
    let pid = world.pid().to_string();
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &pid, &format!("--nofile={most}:")]);
    assert!(prlimit.status().unwrap().success());
}

#[test]
fn what_the_daemon_could_not_open_for_a_while_is_never_green_by_what_was_known() {
    let world = World::new();
    let workspace = green(&world);
    let mut events = world.events();
    workspace.settle(&mut events);
    open_files(&world, "3");
    workspace.sh("mkdir -p sub/deep && echo BAD > sub/deep/g");
    let told = events.until(is_state("missing"));
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains("failed to look at"), "{detail}");
    assert!(detail.contains("Too many open files"), "{detail}");
    open_files(&world, "1024");
    events.until(is_verdict("fail"));
    turns_green(&workspace, &mut events, "sub/deep/g");
}

#[test]
fn what_the_daemon_could_not_read_for_a_while_is_never_green_by_what_was_known() {
    let world = World::new();
    let workspace = green(&world);
    let mut events = world.events();
    workspace.settle(&mut events);
    for text in ["BAD", "BAE", "BAD"] {
        open_files(&world, "3");
        // As long as before, and no directory has to be listed for it.
        workspace.sh(&format!("printf '%s' {text} > f"));
        let told = events.until(is_state("missing"));
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.contains("failed to read"), "{detail}");
        assert!(detail.contains("/w/f`: Too many open files"), "{detail}");
        open_files(&world, "1024");
        let verdict = if text == "BAD" { "fail" } else { "pass" };
        events.until(is_verdict(verdict));
        workspace.settle(&mut events);
    }
}

#[test]
fn an_empty_directory_in_the_place_of_a_root_stays_empty() {
    let world = World::new();
    let workspace = green(&world);
    let mut events = world.events();
    workspace.settle(&mut events);
    // Standings are written a moment later: the last one belongs to what was there.
    let state = workspace.root.join("out/t/state.json");
    let is_idle = move || {
        let state: Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
        state["orchd"]["phase"] == "idle" && state["orchd"]["fresh"] == true
    };
    within("the last standing", move || {
        while !is_idle() {
            std::thread::yield_now();
        }
    });
    std::fs::rename(workspace.root(), world.path("away")).unwrap();
    std::fs::create_dir(workspace.root()).unwrap();
    events.until(is_state("invalid"));
    workspace.ctl(&["gate"]);
    world.ctl(&["remove", workspace.root()]);
    assert!(names(&workspace.root).is_empty());
}

#[test]
fn a_run_of_a_root_that_another_takes_the_place_of_ends_and_leaves_nothing_there() {
    let world = World::new();
    let up = world.fifo("up");
    let waits = format!(
        "command = 'test -e free || {{ echo > {}; sleep 600; }}'",
        up.display()
    );
    let stages = pipeline(&[
        ("first", &waits),
        ("second", "command = 'touch ../second-$ORCHD_RUN_ID'"),
    ]);
    world.directory("w").write("free", "");
    let workspace = world.watched("w", &stages);
    let mut events = world.events();
    workspace.sh("rm free");
    world.heard(&up);
    let run = workspace.status()["projects"][0]["running"]["run_id"].clone();
    let run = run.as_str().unwrap().to_owned();
    workspace.sh("mkdir ../next && cp orchd.toml ../next && touch ../next/free");
    world
        .directory("beside")
        .sh("mv ../w ../away && mv ../next ../w");
    let ended =
        events.until(|event| event["type"] == "run.ended" && event["status"] == "cancelled");
    assert_eq!(ended["run_id"], run, "{ended}");
    events.until(is_verdict("pass"));
    workspace.settle(&mut events);
    let runs: Vec<Value> = workspace.runs();
    assert!(
        runs.iter().all(|it| it["run_id"] != run.as_str()),
        "{runs:?}"
    );
    let kept = names(&workspace.root.join(".runs/t/cli"));
    assert_eq!(kept.len(), runs.len(), "{kept:?}");
    assert!(!world.path(&format!("second-{run}")).exists());
    let state = workspace.json("out/t/state.json");
    assert_ne!(
        state["orchd"]["last_run"]["run_id"],
        run.as_str(),
        "{state}"
    );
}

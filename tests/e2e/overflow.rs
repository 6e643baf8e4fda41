//! The kernel's queue of events overflows, for real: the daemon is stopped while more is written than the queue holds.

use crate::deadline::DEADLINE;
use crate::support::{Running, Workspace, World, check};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

/// Where the files are written; so many in each.
const DIRECTORIES: usize = 10;
const FILES: usize = 500;
/// Two of them, there from the beginning.
const FIRST: [&str; 2] = ["d3/f7", "d3/f8"];

/// Fills the kernel's queue, however much it holds: with what comes after it nobody is told anything. Two files in turn,
/// since it keeps one of two events alike.
fn flood(workspace: &Workspace<'_>) {
    let room = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let room: u32 = room.trim().parse().unwrap();
    let files = FIRST.map(|name| workspace.root.join(name));
    for number in 0..room / 2 + 100 {
        let mode = Permissions::from_mode(0o600 | (number % 2) << 2);
        for file in &files {
            std::fs::set_permissions(file, mode.clone()).unwrap();
        }
    }
}

/// Says what the daemon knows about is what is there: the digest of a walk by a process of its own is the same.
fn knows_everything(workspace: &Workspace<'_>) {
    let own = workspace.done(&["gate", "--json"]).json();
    let fresh = workspace.done(&["gate", "--no-daemon", "--json"]).json();
    let digest = |answer: &Value| answer["projects"][0]["input_digest"].clone();
    assert_eq!(digest(&own), digest(&fresh), "{own} {fresh}");
}

#[test]
fn an_overflow_is_settled_by_a_scan_and_nothing_is_green_before() {
    let world = World::new();
    let stage = "find d* -type f | wc -l; ! grep -q BAD d3/f7";
    let workspace = world.directory("w");
    workspace.sh(&format!(
        "for i in $(seq {DIRECTORIES}); do mkdir d$i; done"
    ));
    for name in FIRST {
        workspace.write(name, "ok\n");
    }
    workspace.write("orchd.toml", check(stage));
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    workspace.settle(&mut events);
    world.signal(Signal::STOP);
    flood(&workspace);
    for directory in 1..=DIRECTORIES {
        for file in 1..=FILES {
            let path = workspace.root.join(format!("d{directory}/f{file}"));
            std::fs::write(path, "BAD").unwrap();
        }
    }
    // Asked while it is stopped, and as long as it looks for what it has lost.
    let asked = ["gate", "--no-wait", "--json"];
    let early = Running::of(workspace.orchctl(&asked));
    let patient = Running::of(workspace.orchctl(&["gate", "--json"]));
    world.signal(Signal::CONT);
    let begun = Instant::now();
    loop {
        let answer = workspace.ctl(&asked);
        assert_ne!(answer.code, Some(0), "{answer:?}");
        if answer.code == Some(1) {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "no verdict: {answer:?}");
    }
    let early = early.end();
    assert_ne!(early.code, Some(0), "{early:?}");
    let patient = patient.end();
    assert_eq!(patient.code, Some(1), "{patient:?}");
    let told = events.until_type("workspace");
    assert_eq!(told["state"], "rescanning", "nothing was lost: {told}");
    workspace.write("d3/f7", "ok\n");
    workspace.done(&["gate"]);
    let all = DIRECTORIES * FILES;
    assert_eq!(workspace.done(&["logs"]).out, format!("{all}\n"));
    knows_everything(&workspace);
    // And each directory is watched.
    for path in (1..=DIRECTORIES).map(|number| format!("d{number}/f1")) {
        workspace.settle(&mut events);
        workspace.write(&path, "later\n");
        let change = events.until_type("change");
        assert_eq!(change["paths"], json!([path]));
    }
}

//! The kernel's limit of watches, for real: the daemon lives in a user namespace with a limit of its own.
//!
//! Where the kernel grants no such namespace there is nothing to see, and the tests say so.

use crate::support::{World, check, finish, is_had, works};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// A daemon that may have so many watches; none where the kernel refuses the namespace.
fn limited(watches: u32) -> Option<World> {
    let limit = format!("echo {watches} > /proc/sys/user/max_inotify_watches");
    if !works(
        &["unshare", "-Ur", "sh", "-ec", &limit],
        "nothing is limited",
    ) {
        return None;
    }
    let mut world = World::empty();
    let line = format!("{limit}; exec \"$0\"");
    world.wrap(&["unshare", "-Ur", "sh", "-ec", &line]);
    world.start();
    Some(world)
}

/// Lets the daemon have so many watches from now on.
fn allow(world: &World, watches: u32) {
    let mut enter = Command::new("nsenter");
    let line = format!("echo {watches} > /proc/sys/user/max_inotify_watches");
    let pid = world.pid().to_string();
    enter.args([
        "-t",
        &pid,
        "-U",
        "--preserve-credentials",
        "sh",
        "-ec",
        &line,
    ]);
    let done = finish(enter);
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[test]
fn what_appears_at_the_limit_is_seen_once_there_are_watches_again() {
    let Some(world) = limited(12) else { return };
    let toml = format!(
        "[workspace]\npoll = \"never\"\n{}",
        check("cat d*/f || true")
    );
    let workspace = world.watched("w", &toml);
    let mut events = world.events();
    workspace.sh("for i in 1 2 3 4 5 6 7 8 9; do mkdir d$i e$i; echo one > d$i/f; done");
    let told = events.until(|event| event["type"] == "workspace" && event["state"] == "missing");
    let detail = told["detail"].as_str().unwrap();
    assert!(
        detail.contains("`poll = \"never\"` forbids to scan instead"),
        "{detail}"
    );
    assert!(detail.contains("no inotify watch is left"), "{detail}");
    allow(&world, 1000);
    events.until(|event| event["type"] == "workspace" && event["state"] == "watching");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "one\n".repeat(9));
    for path in (1..10).map(|number| format!("d{number}/f")) {
        workspace.settle(&mut events);
        workspace.write(&path, "two\n");
        let started = events.until_type("run.started");
        assert_eq!(started["paths"], serde_json::json!([path]));
        workspace.wait();
    }
}

#[test]
fn a_reload_watches_again_once_the_limit_is_raised() {
    let Some(world) = limited(12) else { return };
    let toml = format!(
        "[workspace]\npoll_interval_ms = 100\n{}",
        check("cat d9/f || true")
    );
    let workspace = world.watched("w", &toml);
    let mut events = world.events();
    workspace.sh("for i in 1 2 3 4 5 6 7 8 9; do mkdir d$i e$i; done");
    let told = events.until(|event| event["type"] == "workspace" && event["state"] == "polling");
    let detail = told["detail"].as_str().unwrap();
    assert!(
        detail.contains("sudo sysctl user.max_inotify_watches="),
        "{detail}"
    );
    assert!(detail.contains("then `orchctl reload`"), "{detail}");
    // No file differs, so what was proven is known again by itself.
    events.until(|event| event["type"] == "verdict" && event["verdict"] == "pass");
    let still = workspace.done(&["reload"]);
    events.until(|event| event["type"] == "workspace" && event["state"] == "rescanning");
    let told = events.until(|event| event["type"] == "workspace");
    assert_eq!(told["state"], "polling", "{still:?}");
    allow(&world, 1000);
    workspace.done(&["reload"]);
    events.until(|event| event["type"] == "workspace" && event["state"] == "watching");
    events.until(|event| event["type"] == "verdict" && event["verdict"] == "pass");
    workspace.write("d9/f", "one\n");
    let started = events.until_type("run.started");
    assert_eq!(started["paths"], serde_json::json!(["d9/f"]));
}

/// A configuration of a polled project `task`.
fn quick(task: &str) -> String {
    let toml = check("true").replace("\"t\"", &format!("\"{task}\""));
    format!("[workspace]\npoll_interval_ms = 100\n{toml}")
}

#[test]
fn polling_ends_by_itself_when_there_are_fewer_directories_again() {
    let Some(world) = limited(30) else { return };
    let workspace = world.watched("w", &quick("t"));
    let mut events = world.events();
    workspace.sh("for i in $(seq 50); do mkdir d$i; done");
    let told = events.until(|event| event["type"] == "workspace" && event["state"] == "polling");
    let detail = told["detail"].as_str().unwrap();
    let limit = "(user.max_inotify_watches is 30, and this workspace has ";
    assert!(detail.contains(limit), "{detail}");
    let remedy = "sudo sysctl user.max_inotify_watches=524288";
    assert!(detail.contains(remedy), "{detail}");
    let doctor = world.ctl(&["doctor", "--json"]).json();
    let checks = doctor["checks"].as_array().unwrap();
    let named = format!("workspace {}", workspace.root());
    let found = checks.iter().find(|it| it["id"] == named.as_str()).unwrap();
    assert_eq!(found["fix"], remedy, "{found}");
    let watches = checks.iter().find(|it| it["id"] == "watches").unwrap();
    let detail = watches["detail"].as_str().unwrap();
    assert!(
        detail.contains(" of 30 that this user may have"),
        "{detail}"
    );
    workspace.sh("rmdir d*");
    events.until(|event| event["type"] == "workspace" && event["state"] == "watching");
    workspace.settle(&mut events);
    workspace.write("f", "1");
    let started = events.until_type("run.started");
    assert_eq!(started["paths"], serde_json::json!(["f"]));
}

#[test]
fn polling_ends_by_itself_when_another_workspace_or_the_limit_leaves_room() {
    let Some(world) = limited(40) else { return };
    let first = world.directory("one");
    first.sh("for i in $(seq 20); do mkdir d$i; done");
    world.watched("one", &quick("one"));
    let second = world.directory("two");
    second.sh("for i in $(seq 20); do mkdir d$i; done");
    world.watched("two", &quick("two"));
    assert_eq!(first.status()["state"], "watching");
    assert_eq!(second.status()["state"], "polling");
    let mut events = world.events();
    world.ctl(&["remove", first.root()]);
    events.until(|event| event["type"] == "workspace" && event["state"] == "watching");
    assert_eq!(second.status()["state"], "watching");
    second.sh("for i in $(seq 21 60); do mkdir d$i; done");
    events.until(|event| event["type"] == "workspace" && event["state"] == "polling");
    allow(&world, 1000);
    // Nobody tells of that: it is the slow timer that asks.
    events.until(|event| event["type"] == "workspace" && event["state"] == "watching");
}

/// The thread of the daemon that hears what the kernel tells.
fn hearing(pid: u32) -> String {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut threads = threads.map(|thread| thread.unwrap());
    let found = threads.find(|thread| {
        let name = std::fs::read_to_string(thread.path().join("comm"));
        name.is_ok_and(|name| name.starts_with("notify-rs"))
    });
    found.unwrap().file_name().into_string().unwrap()
}

#[test]
fn a_thread_of_the_watcher_that_dies_is_replaced_and_no_change_is_missed() {
    if !is_had(&["strace", "-qqo", "/dev/null", "true"], "no thread dies") {
        return;
    }
    let world = World::new();
    let workspace = world.watched("w", &check("cat d/* || true"));
    workspace.write("d/f", "one\n");
    workspace.wait();
    for round in ["two\n", "three\n"] {
        let mut events = world.events();
        let mut strace = Command::new("strace");
        let calls = "epoll_wait,epoll_pwait";
        strace.args(["-p", &hearing(world.pid()), "-e", &format!("trace={calls}")]);
        strace.args(["-e", &format!("inject={calls}:error=EBADF")]);
        let mut strace = strace.stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(strace.stderr.take().unwrap());
        told.read_line(&mut String::new()).unwrap();
        // What it hears of is the last that it does.
        workspace.write("d/f", round);
        events.until(|event| event["type"] == "workspace" && event["state"] == "rescanning");
        events.until(|event| event["type"] == "workspace" && event["state"] == "watching");
        strace.wait().unwrap();
        assert_eq!(workspace.wait()["verdict"], "pass");
        assert!(workspace.done(&["logs"]).out.contains(round));
        workspace.settle(&mut events);
        workspace.write("d/g", round);
        let started = events.until_type("run.started");
        assert_eq!(started["paths"], serde_json::json!(["d/g"]));
        workspace.wait();
    }
}

/// How many watches a process has.
fn watches(pid: u32) -> u32 {
    let infos = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let infos = infos.map(|info| std::fs::read_to_string(info.unwrap().path()).unwrap_or_default());
    let infos: String = infos.collect();
    let lines = infos.lines().filter(|line| line.starts_with("inotify "));
    u32::try_from(lines.count()).unwrap()
}

#[test]
fn a_limit_that_is_met_around_a_root_only_is_told_and_the_workspace_polled() {
    let Some(world) = limited(1000) else { return };
    let workspace = world.watched("w", &quick("t"));
    workspace.wait();
    let mut events = world.events();
    // What is watched stays so; the git directory would be one more.
    let watches = watches(world.pid());
    allow(&world, watches);
    workspace.sh("git init -q .");
    let told = events.until(|event| event["type"] == "workspace" && event["state"] == "polling");
    let detail = told["detail"].as_str().unwrap();
    let limit = format!("(user.max_inotify_watches is {watches}, ");
    assert!(detail.contains(&limit), "{detail}");
    let doctor = world.ctl(&["doctor", "--json"]).json();
    let checks = doctor["checks"].as_array().unwrap();
    let named = format!("workspace {}", workspace.root());
    let found = checks.iter().find(|it| it["id"] == named.as_str()).unwrap();
    let fix = found["fix"].as_str().unwrap();
    assert!(
        fix.starts_with("sudo sysctl user.max_inotify_watches="),
        "{found}"
    );
    // Nobody tells of a rule there; a look that is one of many does.
    workspace.write("f", "1");
    events.until_type("run.ended");
    allow(&world, 1000);
    workspace.done(&["reload"]);
    events.until(|event| event["type"] == "workspace" && event["state"] == "watching");
    assert_eq!(workspace.status()["state"], "watching");
}

//! When a run starts by itself: once it is quiet and git has ended, at the latest after the longest wait.

use crate::events::Events;
use crate::support::{Workspace, World, check};
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn a_writer_that_never_stops_gets_a_run_where_changes_are_polled() {
    let world = World::new();
    let settings = "[workspace]\npoll = \"always\"\npoll_interval_ms = 50\nsettle_ms = 100\nsettle_max_ms = 400\n";
    let workspace = world.watched("w", &format!("{settings}{}", check("cat s || true")));
    let mut events = world.events();
    let writer = workspace
        .running("i=0; while [ ! -e ../enough ]; do i=$((i+1)); echo $i > s; sleep 0.02; done");
    let started = events.until_type("run.started");
    assert_eq!(started["cause"], "change", "{started}");
    std::fs::File::create(world.path("enough")).unwrap();
    assert_eq!(writer.end().code, Some(0));
}

/// A repository with a branch `topic` of three commits beside a newer `main`, checked out.
const BRANCHES: &str = "git init -q -b main
    printf '/.runs/\\n/out/\\n' > .gitignore; mkdir -p sub; echo one > sub/s
    git add .; git commit -qm one
    git checkout -qb topic
    for i in 1 2 3; do echo $i > sub/$i; git add .; git commit -qm $i; done
    git checkout -q main; echo two > sub/s; git commit -qam two; git checkout -q topic";

/// Whether a piece of news says that runs wait for git.
fn waits(event: &Value) -> bool {
    let detail = event["detail"].as_str();
    event["type"] == "workspace" && detail.is_some_and(|detail| detail.contains("git is at work"))
}

/// The news that somebody waits for, in order: git begins, git ends, runs.
fn course(events: &[Value]) -> Vec<&'static str> {
    let course = events
        .iter()
        .filter_map(|event| match event["type"].as_str() {
            Some("workspace") if waits(event) => Some("git begins"),
            Some("workspace") => Some("git ends"),
            Some("run.started") => Some("run"),
            Some(_) | None => None,
        });
    course.collect()
}

/// A line of shell for git to run often: from the second time on it waits, once, until it is told that runs wait.
fn waiting(world: &World) -> String {
    let (go, begun, told) = (world.fifo("go"), world.path("begun"), world.path("told"));
    let (go, begun, told) = (go.display(), begun.display(), told.display());
    format!(
        "if test ! -e {begun}; then touch {begun}; elif test ! -e {told}; then read _ < {go}; touch {told}; fi"
    )
}

/// Starts what makes git run that line, tells it once runs wait, and waits for its end.
fn interrupted(workspace: &Workspace<'_>, events: &mut Events, line: &str) {
    let git = workspace.running(line);
    events.until(waits);
    let world = workspace.world;
    world.say(&world.path("go"), "go\n");
    let done = git.end();
    assert_eq!(done.code, Some(0), "{done:?}");
}

/// Rebases `topic`, and looks that one run follows.
fn rebases(workspace: &Workspace<'_>, events: &mut Events) {
    workspace.settle(events);
    let before = events.heard.len();
    let line = format!("git rebase -q main --exec '{}'", waiting(workspace.world));
    interrupted(workspace, events, &line);
    events.until_type("run.started");
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.settle(events);
    let heard = &events.heard[before..];
    assert_eq!(
        course(heard),
        ["git begins", "git ends", "run"],
        "{heard:#?}"
    );
    assert_eq!(workspace.done(&["logs"]).out, "two\n");
    let detail = workspace.status()["detail"].clone();
    assert_eq!(detail, Value::Null);
}

#[test]
fn a_rebase_is_one_change_set() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("cat sub/s"));
    workspace.sh(BRANCHES);
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    rebases(&workspace, &mut world.events());
}

#[test]
fn a_rebase_is_one_change_set_below_the_top_of_a_worktree() {
    let world = World::new();
    let main = world.directory("w");
    main.write("sub/orchd.toml", check("cat s"));
    main.sh(BRANCHES);
    main.sh("git checkout -q main; git worktree add -q ../tree topic");
    let workspace = world.directory("tree/sub");
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    rebases(&workspace, &mut world.events());
}

#[test]
fn a_slow_switch_of_branches_is_one_change_set() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("cat s*"));
    workspace.sh(
        "git init -q -b main; printf '/.runs/\\n/out/\\n' > .gitignore
        for i in 1 2 3 4 5 6; do echo one > s$i; done; git add .; git commit -qm one
        git checkout -qb topic; for i in 1 2 3 4 5 6; do echo two > s$i; done; git commit -qam two
        echo 's* filter=slow' > .git/info/attributes",
    );
    let smudge = waiting(&world);
    workspace.sh(&format!("git config filter.slow.smudge '{smudge}; cat'"));
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    workspace.settle(&mut events);
    let before = events.heard.len();
    interrupted(&workspace, &mut events, "git checkout -q main");
    let started = events.until_type("run.started");
    assert_eq!(started["count"], 6, "{started}");
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.settle(&mut events);
    let heard = &events.heard[before..];
    assert_eq!(
        course(heard),
        ["git begins", "git ends", "run"],
        "{heard:#?}"
    );
    assert_eq!(workspace.done(&["logs"]).out, "one\n".repeat(6));
}

#[test]
fn what_changes_under_gits_lock_runs_once_the_lock_is_gone() {
    let world = World::new();
    let workspace = world.watched("w", &check("cat s || true"));
    workspace.sh("git init -q");
    let mut events = world.events();
    workspace.settle(&mut events);
    let before = events.heard.len();
    workspace.sh("touch .git/index.lock; echo one > s");
    events.until(waits);
    let project = workspace.status()["projects"][0].clone();
    assert_eq!(
        (&project["phase"], &project["verdict"]),
        (&"settling".into(), &"unknown".into())
    );
    // A daemon that does not wait for the lock would run within these 200 ms; one that waits does not look at the clock.
    workspace.sh("echo two > s; sleep 0.2; rm .git/index.lock");
    events.until_type("run.started");
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.settle(&mut events);
    let heard = &events.heard[before..];
    assert_eq!(
        course(heard),
        ["git begins", "git ends", "run"],
        "{heard:#?}"
    );
    assert_eq!(workspace.done(&["logs"]).out, "two\n");
}

#[test]
fn who_asks_while_git_is_at_work_is_answered() {
    let world = World::new();
    let workspace = world.watched("w", &check("cat s || true"));
    workspace.sh("git init -q; mkdir .git/rebase-merge; echo one > s");
    let gate = workspace.done(&["gate", "--json"]).json();
    assert_eq!(gate["verdict"], "pass", "{gate}");
    assert_eq!(workspace.runs()[0]["cause"], "change");
}

#[test]
fn a_stale_lock_is_not_waited_for_longer_than_the_bound() {
    let world = World::new();
    let toml = format!(
        "[workspace]\nsettle_max_ms = 50\n{}",
        check("cat s || true")
    );
    let workspace = world.watched("w", &toml);
    workspace.sh("git init -q");
    let mut events = world.events();
    workspace.settle(&mut events);
    let before = events.heard.len();
    let begun = Instant::now();
    workspace.sh("touch .git/index.lock; echo one > s");
    events.until_type("run.ended");
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "the lock was not waited for"
    );
    workspace.sh("echo two > s");
    events.until_type("run.started");
    let heard = &events.heard[before..];
    assert_eq!(
        course(heard),
        ["git begins", "git ends", "run", "run"],
        "{heard:#?}"
    );
    let detail = workspace.status()["detail"].clone();
    let told = detail.as_str().unwrap_or_default();
    assert!(
        told.contains("`.git/index.lock` is still there"),
        "{detail}"
    );
}

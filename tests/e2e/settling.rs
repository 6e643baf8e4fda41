//! When a run starts by itself: once it is quiet and git has ended, at the latest after the longest wait.

use crate::events::Events;
use crate::support::{Workspace, World, check};
use rustix::process::Signal;
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

/// Does it with git, which is interrupted half-way, and looks that one run follows, which says this.
fn is_one_change_set(workspace: &Workspace<'_>, events: &mut Events, line: &str, says: &str) {
    workspace.settle(events);
    let before = events.heard.len();
    let world = workspace.world;
    for mark in ["begun", "told"] {
        drop(std::fs::remove_file(world.path(mark)));
    }
    interrupted(workspace, events, line);
    let verdict = |event: &Value| event["type"] == "verdict" && event["verdict"] == "pass";
    events.until(verdict);
    workspace.settle(events);
    let heard = &events.heard[before..];
    let runs = course(heard);
    assert!(
        runs == ["git begins", "git ends", "run"] || runs == ["git begins", "git ends"],
        "{line}: {heard:#?}"
    );
    let changes: Vec<&Value> = crate::events::of_type(heard, "change");
    assert_eq!(changes.len(), 1, "{line}: {heard:#?}");
    assert_eq!(changes[0]["paths"].as_array().unwrap().len(), 4, "{line}");
    assert_eq!(workspace.wait()["verdict"], "pass");
    let run = workspace.wait()["projects"][0]["run_id"].clone();
    let said = workspace.done(&["logs", run.as_str().unwrap()]).out;
    assert_eq!(said, format!("{says}\n").repeat(4), "{line}");
}

/// Commits that differ in four files, which git takes its time to write.
fn slow_commits(world: &World, workspace: &Workspace<'_>) {
    workspace.sh(
        "git init -q -b main; printf '/.runs/\\n/out/\\n' > .gitignore; git add .; git commit -qm zero
        for c in one two three four five; do
            for i in 1 2 3 4; do echo $c > s$i; done; git add .; git commit -qm $c; git tag $c
        done
        git checkout -qb side three; for i in 1 2 3 4; do echo side > s$i; done; git commit -qam side
        git checkout -q -b base three
        echo 's* filter=slow' > .git/info/attributes",
    );
    let smudge = waiting(world);
    workspace.sh(&format!("git config filter.slow.smudge '{smudge}; cat'"));
    // Nothing is held up but what the test asks for.
    workspace.sh("touch ../told");
}

/// Each way of git to change files, in a repository at the workspace's root.
fn each_way_of_git_is_one_change_set(workspace: &Workspace<'_>) {
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = workspace.world.events();
    let ways = [
        ("git merge -q side", "side"),
        ("git reset -q --hard five", "five"),
        ("git bisect start five one", "three"),
        ("git bisect good", "four"),
        ("git bisect reset", "five"),
        ("git revert --no-edit five", "four"),
        ("git cherry-pick five", "five"),
        ("git checkout -q two", "two"),
    ];
    for (line, says) in ways {
        is_one_change_set(
            workspace,
            &mut events,
            &format!("{line} > ../said 2>&1"),
            says,
        );
    }
    workspace.sh("for i in 1 2 3 4; do echo mine > s$i; done");
    assert_eq!(workspace.wait()["verdict"], "pass");
    is_one_change_set(workspace, &mut events, "git stash -q", "two");
    is_one_change_set(workspace, &mut events, "git stash pop -q", "mine");
}

#[test]
fn each_way_of_git_to_change_files_is_one_change_set() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("cat s*"));
    slow_commits(&world, &workspace);
    each_way_of_git_is_one_change_set(&workspace);
}

#[test]
fn each_way_of_git_to_change_files_is_one_change_set_in_a_worktree() {
    let world = World::new();
    let main = world.directory("w");
    main.write("orchd.toml", check("cat s*"));
    slow_commits(&world, &main);
    main.sh("git checkout -q main; git worktree add -q ../tree base");
    each_way_of_git_is_one_change_set(&world.directory("tree"));
}

#[test]
fn a_switch_of_two_thousand_files_is_one_run() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("cat d*/* | sort | uniq -c"));
    workspace.sh(
        "git init -q -b main; printf '/.runs/\\n/out/\\n' > .gitignore
        for d in $(seq 20); do mkdir d$d; for f in $(seq 100); do echo one > d$d/$f; done; done
        git add .; git commit -qm one; git checkout -qb topic
        for d in $(seq 20); do for f in $(seq 100); do echo two > d$d/$f; done; done; git commit -qam two",
    );
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    for (branch, says) in [("main", "one"), ("topic", "two")] {
        workspace.settle(&mut events);
        workspace.sh("rm -rf .runs");
        workspace.wait();
        workspace.settle(&mut events);
        let before = events.heard.len();
        workspace.sh(&format!("git checkout -q {branch}"));
        events.until(|event| event["type"] == "verdict" && event["verdict"] == "pass");
        workspace.settle(&mut events);
        let started = crate::events::of_type(&events.heard[before..], "run.started");
        assert_eq!(started.len(), 1, "{started:#?}");
        assert_eq!(started[0]["count"], 2000);
        assert_eq!(workspace.done(&["logs"]).out.trim(), format!("2000 {says}"));
    }
}

#[test]
fn a_rebase_that_stops_at_a_conflict_is_waited_for_no_longer_than_the_bound() {
    let world = World::new();
    let workspace = world.directory("w");
    let toml = format!("[workspace]\nsettle_max_ms = 50\n{}", check("cat sub/s"));
    workspace.write("orchd.toml", toml);
    workspace.sh(
        "git init -q -b main; printf '/.runs/\\n/out/\\n' > .gitignore; mkdir sub; echo one > sub/s
        git add .; git commit -qm one; git checkout -qb topic; echo mine > sub/s; git commit -qam mine
        echo more > sub/more; git add .; git commit -qm more
        git checkout -q main; echo theirs > sub/s; git commit -qam theirs; git checkout -q topic",
    );
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    workspace.settle(&mut events);
    let begun = Instant::now();
    workspace.sh("! git rebase -q main 2> ../said");
    events.until(waits);
    // Somebody thinks about the conflict, and what stands there is run all the same.
    events.until_type("run.ended");
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "git was not waited for"
    );
    assert!(
        workspace.done(&["logs"]).out.contains("<<<<<<<"),
        "the conflict was not run"
    );
    let detail = workspace.status()["detail"].clone();
    let told = detail.as_str().unwrap_or_default();
    assert!(
        told.contains("`.git/rebase-merge` is still there"),
        "{detail}"
    );
    workspace.sh(
        "echo both > sub/s; git add sub/s; GIT_EDITOR=true git rebase --continue > ../said 2>&1",
    );
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.settle(&mut events);
    assert_eq!(workspace.done(&["logs"]).out, "both\n");
    assert_eq!(workspace.status()["detail"], Value::Null);
}

#[test]
fn what_is_prepared_for_a_run_is_none_and_goes_with_the_daemon() {
    let mut world = World::new();
    let settings = "[workspace]\nsettle_ms = 600000\nsettle_max_ms = 600000\n";
    let workspace = world.watched("w", &format!("{settings}{}", check("true")));
    assert_eq!(workspace.wait()["verdict"], "pass");
    let spares = world.path("w/.runs/.orchd-spare");
    let spares = || std::fs::read_dir(&spares).map_or(0, Iterator::count);
    let changed = |world: &World, content: &str| {
        std::fs::write(world.path("w/s"), content).unwrap();
        assert_eq!(world.ctl(&["sync"]).code, Some(0));
        // Whoever asks for the history is answered after it was prepared.
        let runs = world.ctl(&["runs", "--json"]);
        assert_eq!(spares(), 1, "{content}");
        runs.json()["runs"].as_array().unwrap().len()
    };
    assert_eq!(changed(&world, "one"), 1);
    world.kill();
    assert_eq!(spares(), 1);
    world.start();
    let waited = world.ctl(&["wait", "--timeout", "30s"]);
    assert_eq!(waited.code, Some(0), "{waited:?}");
    assert_eq!(spares(), 0, "a start sweeps it");
    assert_eq!(changed(&world, "two"), 2);
    world.signal(Signal::TERM);
    assert!(world.ended().success());
    assert_eq!(spares(), 0, "an end removes it");
}

#[test]
fn nothing_is_prepared_while_somebody_removes_the_workspace() {
    let world = World::new();
    let settings = "[workspace]\nsettle_ms = 600000\nsettle_max_ms = 600000\n";
    std::fs::create_dir(world.path("w")).unwrap();
    std::fs::write(world.path("w/s"), "").unwrap();
    let workspace = world.watched("w", &format!("{settings}{}", check("true")));
    assert_eq!(workspace.wait()["verdict"], "pass");
    std::fs::remove_file(world.path("w/s")).unwrap();
    assert_eq!(world.ctl(&["sync"]).code, Some(0));
    // Whoever asks for the history is answered after it would have been prepared.
    assert_eq!(world.ctl(&["runs"]).code, Some(0));
    assert!(!workspace.has(".runs/.orchd-spare"));
}

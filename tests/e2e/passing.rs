//! What comes and goes in the tree while a run is under way: what somebody tries for a moment, and what tools do.

use crate::support::{World, check};

/// A stage that keeps a file of another name in the tree for as long as it takes until somebody has looked.
const TEMPORARY: &str = "t=tmp.$$; echo x > $t; sleep 0.3; rm $t";

#[test]
fn what_a_stage_makes_and_removes_is_its_habit_and_runs_nothing_for_ever() {
    let world = World::new();
    let workspace = world.watched("w", &check(TEMPORARY));
    assert_eq!(workspace.wait()["projects"][0]["verdict"], "pass");
    let runs = workspace.runs();
    assert!(runs.len() <= 2, "{runs:?}");
    // From then on it is known.
    workspace.write("a", "1");
    assert_eq!(workspace.wait()["projects"][0]["verdict"], "pass");
    assert_eq!(workspace.runs().len(), runs.len() + 1);
}

#[test]
fn what_somebody_tries_for_a_moment_makes_the_run_void() {
    let world = World::new();
    let workspace = world.directory("w");
    let (begun, goes_on) = (world.fifo("begun"), world.fifo("goes-on"));
    let command = format!("echo > {}; read x < {}", begun.display(), goes_on.display());
    workspace.write("orchd.toml", check(&command));
    workspace.done(&["add", "--allow"]);
    world.heard(&begun);
    let mut events = world.events();
    workspace.write("stub", "1");
    workspace.done(&["sync"]);
    std::fs::remove_file(workspace.root.join("stub")).unwrap();
    world.say(&goes_on, "1\n");
    let ended = events.until(|event| event["type"] == "run.ended");
    assert_eq!(ended["verdict"], "unknown", "{ended}");
    world.heard(&begun);
    world.say(&goes_on, "1\n");
    assert_eq!(workspace.wait()["projects"][0]["verdict"], "pass");
    assert_eq!(workspace.runs().len(), 2);
}

//! Stages as a graph: what may start, and what a failure stops.

use crate::stages::{added, ended};
use crate::support::{World, pipeline};
use serde_json::Value;

#[test]
fn a_graph_runs_what_is_ready_side_by_side() {
    let world = World::new();
    let (left, right) = (world.fifo("left"), world.fifo("right"));
    let order = world.path("order");
    let say = |name: &str| format!("echo {name} >> {}", order.display());
    // Each side waits for the other: one after the other they would never end.
    let toml = pipeline(&[
        (
            "join",
            &format!("command = '{}'\nneeds = [\"left\", \"right\"]", say("join")),
        ),
        (
            "left",
            &format!(
                "command = 'echo > {}; read _ < {}'\nneeds = [\"root\"]",
                left.display(),
                right.display()
            ),
        ),
        (
            "right",
            &format!(
                "command = 'read _ < {}; echo > {}'\nneeds = [\"root\"]",
                left.display(),
                right.display()
            ),
        ),
        ("root", &format!("command = '{}'\nneeds = []", say("root"))),
    ]);
    let (workspace, mut events) = added(&world, &format!("[workspace]\njobs = 4\n{toml}"));
    assert_eq!(events.until_type("run.ended")["verdict"], "pass");
    assert_eq!(std::fs::read_to_string(&order).unwrap(), "root\njoin\n");
    let (manifest, _) = ended(&workspace);
    let ids: Vec<&Value> = manifest["commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["id"])
        .collect();
    assert_eq!(ids, ["join", "left", "right", "root"]);
}

#[test]
fn what_does_not_depend_on_a_failure_is_run_unless_the_pipeline_fails_fast() {
    for (fast, besides) in [("", "succeeded"), ("fail_fast = true\n", "pending")] {
        let world = World::new();
        let toml = pipeline(&[
            ("bad", "command = 'false'"),
            ("beside", "command = 'true'"),
            ("after", "command = 'true'\nneeds = ['bad']"),
        ]);
        let head = "id = \"diagnostics\"\n";
        let toml = toml.replacen(head, &format!("{head}{fast}"), 1);
        let toml = format!("[workspace]\njobs = 1\n{toml}");
        let (workspace, _events) = added(&world, &toml);
        let (manifest, _) = ended(&workspace);
        let stages = manifest["commands"].as_array().unwrap();
        let stages: Vec<&Value> = stages.iter().map(|stage| &stage["status"]).collect();
        assert_eq!(stages, ["failed", besides, "pending"], "{fast}");
    }
}

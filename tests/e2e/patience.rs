//! Answers that take long for good reasons, and those who wait for them.

use crate::support::{World, check};
use serde_json::json;

#[test]
fn what_names_nothing_that_is_there_is_refused_alike() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    for arguments in [
        &["status", "--workspace", "/nope", "--json"][..],
        &["gate", "--workspace", "/nope", "--json"],
        &["runs", "--workspace", "/nope", "--json"],
    ] {
        let done = world.ctl(arguments);
        assert_eq!(done.code, Some(2), "{arguments:?}: {done:?}");
        let message = done.json()["error"]["message"].clone();
        assert_eq!(
            message, "`/nope` is not a registered workspace",
            "{arguments:?}"
        );
    }
    let done = workspace.ctl(&["runs", "--task", "nope", "--json"]);
    assert_eq!(
        (done.code, &done.json()["error"]["kind"]),
        (Some(2), &json!("unknown_project")),
        "{done:?}"
    );
}

#[test]
fn a_part_of_many_ids_names_the_first_of_them() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    for _ in 0..6 {
        workspace.done(&["run", "--force"]);
    }
    let done = workspace.ctl(&["resume", "--run", "20", "--json"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    let message = done.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with(", and 2 more"), "{message}");
    assert_eq!(message.matches("Z-").count(), 5, "{message}");
}

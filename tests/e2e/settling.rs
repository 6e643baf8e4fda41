//! When a run starts by itself: once it is quiet, at the latest after the longest wait.

use crate::support::{Running, World, check};

#[test]
fn a_writer_that_never_stops_gets_a_run_where_changes_are_polled() {
    let world = World::new();
    let settings = "[workspace]\npoll = \"always\"\npoll_interval_ms = 50\nsettle_ms = 100\nsettle_max_ms = 400\n";
    let workspace = world.watched("w", &format!("{settings}{}", check("cat s || true")));
    let mut events = world.events();
    let mut writer = world.command("/bin/sh");
    writer.args([
        "-ec",
        "i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo $i > s; sleep 0.02; done; echo > ../done",
    ]);
    let writer = Running::of({
        writer.current_dir(&workspace.root);
        writer
    });
    let started = events.until_type("run.started");
    assert_eq!(started["cause"], "change", "{started}");
    assert!(
        !world.path("done").exists(),
        "the run waited for the writer"
    );
    assert_eq!(writer.end().code, Some(0));
}

//! `on_busy = "restart"` under edits without end: some run is let end, and then the count begins anew.

use crate::support::{World, check};
use serde_json::json;

#[test]
fn after_three_restarts_one_run_is_let_end_and_then_they_count_anew() {
    let world = World::new();
    let (up, gate) = (world.fifo("up"), world.fifo("gate"));
    let workspace = world.directory("w");
    let toml = check(&format!(
        "echo up > {}; cat {}",
        up.display(),
        gate.display()
    ));
    let restarting = toml.replace("task = \"t\"", "task = \"t\"\non_busy = \"restart\"");
    // Far from the bound in time.
    let patient = format!("[workspace]\nsettle_max_ms = 60000\n{restarting}");
    workspace.write("orchd.toml", patient);
    let mut edits = 0_u32..;
    // A file that was not there, and the same one again: it does not matter what is rewritten.
    let mut edit = || {
        let edit = edits.next().unwrap();
        workspace.write(format!("{}.txt", edit % 2 * edit), format!("{edit}\n"));
    };
    edit();
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    for _ in 0..2 {
        for _ in 0..3 {
            assert_eq!(world.heard(&up), "up\n");
            edit();
            let ended = events.until_type("run.ended");
            let told = (&ended["status"], &ended["status_detail"]);
            assert_eq!(told, (&json!("cancelled"), &json!("superseded")));
        }
        assert_eq!(world.heard(&up), "up\n");
        edit();
        events.until_type("run.queued");
        world.say(&gate, "");
        let ended = events.until_type("run.ended");
        let told = (&ended["status"], &ended["void"]);
        assert_eq!(told, (&json!("succeeded"), &json!(true)), "{ended}");
    }
    assert_eq!(world.heard(&up), "up\n");
    world.say(&gate, "");
    assert_eq!(workspace.wait()["verdict"], "pass");
}

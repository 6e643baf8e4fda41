//! `gate` where no daemon answers: it does the work itself, and never passes or fails for lack of one.

use crate::support::{World, check, lines};
use serde_json::json;

#[test]
fn without_a_daemon_a_gate_says_so_and_does_the_work_itself() {
    let world = World::empty();
    let counter = world.path("counter");
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        check(&format!(
            "echo >> {}; grep -q good a.txt",
            counter.display()
        )),
    );
    workspace.write("a.txt", "good\n");
    let refused = workspace.ctl(&["gate"]);
    assert_eq!(refused.code, Some(2), "untrusted: {refused:?}");
    workspace.done(&["allow"]);
    let looked = workspace.ctl(&["gate", "--no-wait"]);
    assert_eq!((looked.code, lines(&counter)), (Some(3), 0), "{looked:?}");
    let green = workspace.ctl(&["gate", "--json"]);
    assert_eq!(
        (green.code, &green.json()["verdict"]),
        (Some(0), &json!("pass")),
        "{green:?}"
    );
    let warning = format!(
        "warning: no daemon answers at `{}`: the gate does the work itself",
        world.socket().display()
    );
    assert!(green.err.starts_with(&warning), "{green:?}");
    let looked = workspace.ctl(&["gate", "--no-wait"]);
    assert_eq!((looked.code, lines(&counter)), (Some(0), 1), "{looked:?}");
    workspace.write("a.txt", "bad\n");
    assert_eq!(workspace.ctl(&["gate"]).code, Some(1));
    // Nobody says which workspace is meant here.
    let outside = world.ctl(&["gate"]);
    assert_eq!(outside.code, Some(4), "{outside:?}");
}

//! File systems that come and go at a root, for real: the daemon lives in a mount namespace of its own.
//!
//! Where the kernel grants no such namespace there is nothing to see, and the tests say so.

use crate::support::{World, check, finish, works};
use serde_json::{Value, json};
use std::process::Command;

/// Runs a line where the daemon sees what it mounts.
fn inside(world: &World, line: &str) {
    let mut enter = Command::new("nsenter");
    let pid = world.pid().to_string();
    let namespaces = ["-t", &pid, "-U", "-m", "--preserve-credentials"];
    enter.args(namespaces).args(["sh", "-ec", line]);
    enter.current_dir("/");
    let done = finish(enter);
    assert_eq!(done.code, Some(0), "{line}: {done:?}");
}

/// Takes a mount away, once nobody has anything open there.
fn unmount(world: &World, at: &str) {
    inside(world, &format!("until umount '{at}'; do :; done"));
}

/// A place whose daemon sees mounts of its own; none where that may not be.
fn mounting() -> Option<World> {
    if !works(&["unshare", "-Urm", "true"], "nothing is mounted") {
        return None;
    }
    let mut world = World::empty();
    world.wrap(&["unshare", "-Urm"]);
    world.start();
    Some(world)
}

fn is_state<'a>(state: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |event| event["type"] == "workspace" && event["state"] == state
}

#[test]
fn a_root_that_is_unmounted_is_missing_and_picked_up_when_it_is_mounted_again() {
    let Some(world) = mounting() else { return };
    // What is mounted lies in reach of the test too, and its root is an empty directory with a blank in its name.
    let files = world.directory("files");
    files.write("orchd.toml", check("cat a.txt"));
    files.write("a.txt", "one\n");
    let workspace = world.directory("w w");
    let (from, to) = (files.root(), workspace.root());
    let mount = format!("mount --bind '{from}' '{to}'");
    inside(&world, &mount);
    let mut events = world.events();
    world.ctl(&["add", "--allow", to]);
    let proven = |event: &Value| event["type"] == "verdict" && event["verdict"] == "pass";
    events.until(proven);
    unmount(&world, to);
    let gone = events.until(is_state("missing"));
    let told = format!("nothing is mounted at `{to}` any more");
    assert_eq!(gone["detail"], json!(told));
    let gate = world.ctl(&["gate", "--task", "t", "--json"]);
    assert_eq!(gate.code, Some(3), "{gate:?}");
    inside(&world, &mount);
    events.until(is_state("watching"));
    // The same content: it is known by itself, without a run.
    events.until(proven);
    files.write("a.txt", "two\n");
    let started = events.until_type("run.started");
    assert_eq!(started["paths"], json!(["a.txt"]));
    events.until_type("run.ended");
    // Below the root it is a change like any other.
    files.sh("mkdir sub");
    let other = world.directory("other");
    other.write("b.txt", "one\n");
    inside(
        &world,
        &format!("mount --bind '{}' '{to}/sub'", other.root()),
    );
    let started = events.until_type("run.started");
    assert_eq!(started["paths"], json!(["sub/b.txt"]));
    events.until_type("run.ended");
    other.write("b.txt", "two\n");
    let started = events.until_type("run.started");
    assert_eq!(started["paths"], json!(["sub/b.txt"]));
    unmount(&world, &format!("{to}/sub"));
    let change = events.until_type("change");
    assert_eq!(change["paths"], json!(["sub/b.txt"]));
}

#[test]
fn what_is_on_an_overlay_is_polled_at_a_root_and_below_one() {
    let Some(world) = mounting() else { return };
    // The layers lie in reach of the test, which writes below the overlay as its neighbours on a host do.
    let lower = world.directory("lower");
    lower.write("orchd.toml", check("true"));
    lower.write("a.txt", "one\n");
    let upper = world.directory("upper");
    let plain = world.directory("plain");
    plain.write("orchd.toml", check("true").replace("\"t\"", "\"u\""));
    upper.sh("mkdir up work; mkdir ../w ../plain/layers");
    let overlay = |at: &str| {
        format!(
            "mount -t overlay overlay -o 'lowerdir={},upperdir={1}/up,workdir={1}/work' '{at}'",
            lower.root(),
            upper.root()
        )
    };
    let root = world.path("w").display().to_string();
    inside(&world, &overlay(&root));
    let mut events = world.events();
    world.ctl(&["add", "--allow", &root]);
    let polling = events.until(is_state("polling"));
    let detail = polling["detail"].as_str().unwrap();
    assert!(
        detail.contains("overlay") && detail.contains("poll = \"never\""),
        "{detail}"
    );
    events.until(|event| event["type"] == "verdict" && event["verdict"] == "pass");
    lower.write("b.txt", "two\n");
    let started = events.until_type("run.started");
    assert_eq!(started["paths"], json!(["b.txt"]));
    events.until_type("run.ended");
    inside(&world, &format!("until umount '{root}'; do :; done"));
    events.until(is_state("missing"));
    // Below a root that is watched: all of it is polled as long as it is there.
    world.ctl(&["add", "--allow", plain.root()]);
    events.until(|event| {
        (&event["task_id"], &event["type"], &event["verdict"])
            == (&json!("u"), &json!("verdict"), &json!("pass"))
    });
    let layers = format!("{}/layers", plain.root());
    inside(&world, &overlay(&layers));
    let polling = events.until(is_state("polling"));
    let detail = polling["detail"].as_str().unwrap();
    assert!(detail.starts_with("`layers` is on overlay"), "{detail}");
    let started = events.until_type("run.started");
    let paths = started["paths"].as_array().unwrap();
    assert!(paths.contains(&json!("layers/a.txt")), "{started}");
    events.until_type("run.ended");
    lower.write("c.txt", "three\n");
    let started = events.until_type("run.started");
    assert_eq!(started["paths"], json!(["layers/c.txt"]));
    events.until_type("run.ended");
    unmount(&world, &layers);
    events.until(is_state("watching"));
}

#[test]
fn nothing_is_written_into_a_bare_mount_point_and_evidence_there_is_no_workspace() {
    let Some(mut world) = mounting() else { return };
    let files = world.directory("files");
    files.write("orchd.toml", check("true"));
    let workspace = world.directory("w");
    let (from, to) = (files.root(), workspace.root().to_owned());
    inside(&world, &format!("mount --bind '{from}' '{to}'"));
    let mut events = world.events();
    world.ctl(&["add", "--allow", &to]);
    events.until(|event| event["type"] == "verdict" && event["verdict"] == "pass");
    unmount(&world, &to);
    events.until(is_state("missing"));
    // What was on its way to the disk when it went is there before a question about runs is answered.
    world.ctl(&["runs", "--task", "t"]);
    workspace.sh("rm -rf out .runs");
    // Where an older daemon has written, the mount point is as bare as any.
    workspace.write("out/t/state.json", "{}");
    workspace.write(".runs/t/cli/r/manifest.json", "{}");
    let gate = world.ctl(&["gate", "--task", "t", "--json"]);
    assert_eq!(gate.code, Some(3), "{gate:?}");
    assert_eq!(workspace.status()["state"], "missing");
    assert_eq!(workspace.read("out/t/state.json"), "{}");
    workspace.sh("rm -r out .runs");
    drop(workspace);
    world.signal(rustix::process::Signal::TERM);
    world.ended();
    let left = crate::support::names(&world.path("w"));
    assert_eq!(left, Vec::<Vec<u8>>::new());
}

#[test]
fn what_is_mounted_at_a_root_is_never_green_by_what_was_there_before() {
    let Some(world) = mounting() else { return };
    let good = world.directory("good");
    good.write("orchd.toml", check("! grep -q BAD f"));
    good.write("f", "ok\n");
    let bad = world.directory("bad");
    good.sh("cp -r . ../bad; echo BAD > ../bad/f");
    let workspace = world.directory("w");
    let to = workspace.root();
    let mount = |from: &str| inside(&world, &format!("mount --bind '{from}' '{to}'"));
    let verdict = |verdict: &'static str| {
        move |event: &Value| event["type"] == "verdict" && event["verdict"] == verdict
    };
    let gate = || world.ctl(&["gate", "--task", "t", "--no-wait", "--json"]);
    mount(good.root());
    let mut events = world.events();
    world.ctl(&["add", "--allow", to]);
    events.until(verdict("pass"));
    for _ in 0..3 {
        unmount(&world, to);
        events.until(is_state("missing"));
        assert_eq!(gate().code, Some(3));
        mount(bad.root());
        let asked = gate();
        assert_ne!(asked.code, Some(0), "{asked:?}");
        events.until(verdict("fail"));
        // Over it, and away again: nothing below was touched.
        mount(good.root());
        events.until(verdict("pass"));
        unmount(&world, to);
        let asked = gate();
        assert_ne!(asked.code, Some(0), "{asked:?}");
        events.until(verdict("fail"));
        // Another one at once, which the daemon may never have seen go.
        inside(
            &world,
            &format!(
                "until umount '{to}'; do :; done; mount --bind '{}' '{to}'",
                good.root()
            ),
        );
        events.until(verdict("pass"));
        good.write("f", "BAD\n");
        events.until(verdict("fail"));
        good.write("f", "ok\n");
        events.until(verdict("pass"));
    }
}

//! What is named means itself: a directory, a workspace, a name as it was shown.
//!
//! Nothing that is named leads to a workspace around it, and what leads nowhere is refused with the remedy.

use crate::support::{Done, Workspace, World, check};
use serde_json::json;

/// A registered workspace without a configuration of its own, and a directory in it that has one.
fn nested(world: &World) -> (Workspace<'_>, Workspace<'_>) {
    let outer = world.directory("a");
    outer.write("Makefile", "test:\n\ttrue\n");
    outer.done(&["add", "--allow"]);
    outer.wait();
    let inner = world.directory("a/fix/x");
    inner.write("orchd.toml", check("true"));
    (outer, inner)
}

fn refused(done: &Done, said: &[&str]) {
    assert_eq!(done.code, Some(2), "{done:?}");
    for said in said {
        assert!(done.err.contains(said), "{said}: {done:?}");
    }
}

#[test]
fn a_directory_that_is_named_means_itself() {
    let world = World::new();
    let (outer, inner) = nested(&world);
    outer.done(&["deny", outer.root()]);
    let gate = inner.ctl(&["gate", "--no-daemon"]);
    refused(&gate, &[&format!("orchctl allow {}", inner.root())]);
    let allowed = world.ctl(&["allow", inner.root(), "--json"]);
    assert_eq!(allowed.json()["root"], inner.root(), "{allowed:?}");
    assert_eq!(inner.done(&["gate", "--no-daemon"]).code, Some(0));
    assert_eq!(outer.status()["state"], "untrusted", "it was not allowed");
    // What is not registered is not the workspace around it either.
    for arguments in [&["gate"][..], &["plan"], &["run"], &["wait"]] {
        refused(
            &inner.ctl(arguments),
            &["a/fix/x` is not a registered workspace"],
        );
    }
    let around = format!("it lies in the workspace `{}`", outer.root());
    refused(&inner.ctl(&["gate"]), &[&around]);
    assert_eq!(
        inner.done(&["status", "--json"]).json()["workspaces"],
        json!([])
    );
    // A directory with nothing of its own is refused, and the one around it named; without a name it is meant.
    let plain = world.directory("a/plain");
    refused(&world.ctl(&["allow", plain.root()]), &[&around]);
    let allowed = plain.done(&["allow", "--json"]);
    assert_eq!(allowed.json()["root"], outer.root());
    assert_eq!(plain.done(&["gate"]).code, Some(0));
    let removed = world.ctl(&["remove", plain.root(), "--json"]).json();
    assert_eq!(removed, json!({"root": plain.root(), "changed": false}));
    // What counts for --no-daemon is taken back as it was given.
    world.ctl(&["deny", inner.root()]);
    refused(
        &inner.ctl(&["gate", "--no-daemon"]),
        &["have not been allowed"],
    );
}

#[test]
fn what_is_no_workspace_is_refused_and_nothing_is_done_to_the_one_around() {
    let mut world = World::new();
    let root = {
        let (outer, _) = nested(&world);
        outer.write("orchd.toml", check("true"));
        outer.done(&["allow"]);
        outer.wait();
        outer.root
    };
    let at = |below: &str| root.join(below).to_str().unwrap().to_owned();
    let (typo, file, plain) = (at("p/tpyo"), at("orchd.toml"), at("fix"));
    for arguments in [
        &["deny"][..],
        &["status", "--workspace"],
        &["gate", "--workspace"],
        &["run", "--workspace"],
        &["reload", "--workspace"],
    ] {
        let with = |name: &str| world.ctl(&[arguments, &[name]].concat());
        refused(&with(&typo), &["p/tpyo`", "there is no such directory"]);
        refused(&with(&file), &["orchd.toml` is no directory"]);
        refused(
            &with(&plain),
            &["a/fix` is not a registered workspace", "/a`"],
        );
    }
    refused(&world.ctl(&["remove", &file]), &["is no directory"]);
    assert_eq!(world.ctl(&["gate", "--task", "t"]).code, Some(0));
    world.ctl(&["shutdown"]);
    world.ended();
    for (name, said) in [(&typo, "does not exist"), (&file, "is no directory")] {
        refused(&world.ctl(&["deny", name]), &[said]);
        let gate = ["gate", "--no-daemon", "--workspace", name];
        refused(&world.ctl(&gate), &[said]);
    }
    world.start();
    assert_eq!(world.ctl(&["gate", "--task", "t"]).code, Some(0));
}

#[test]
fn a_name_that_is_shown_can_be_typed() {
    use std::os::unix::ffi::OsStrExt as _;
    let world = World::new();
    let name = std::ffi::OsStr::from_bytes(b"we\xffi rd");
    let root = world.path("x").with_file_name(name);
    std::fs::create_dir(&root).unwrap();
    let shown = world.path("we\\xffi rd").to_str().unwrap().to_owned();
    std::fs::write(root.join("orchd.toml"), check("true")).unwrap();
    let added = world.ctl(&["add", &shown]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let status = world.ctl(&["status", "--workspace", &shown]);
    assert_eq!(status.code, Some(0), "{status:?}");
    // The hint is a line for a shell.
    let (_, hint) = status.out.split_once("run `orchctl").unwrap();
    let (hint, _) = hint.split_once('`').unwrap();
    let place = world.directory("elsewhere");
    place.sh(&format!("{}{hint}", env!("CARGO_BIN_EXE_orchctl")));
    let gate = world.ctl(&["gate", "--workspace", &shown]);
    assert_eq!(gate.code, Some(0), "{gate:?}");
    // At once: what the daemon still writes of the run would be in the way of removing one by one.
    std::fs::rename(&root, world.path("gone")).unwrap();
    let removed = world.ctl(&["remove", &shown, "--json"]).json();
    assert_eq!(removed, json!({"root": shown, "changed": true}));
}

#[test]
fn a_workspace_keeps_the_task_of_the_add_that_registered_it() {
    let mut world = World::new();
    world.set("MCP_RUNNER_TASK_ID", "one");
    {
        let workspace = world.directory("w");
        workspace.write("Makefile", "test:\n\ttrue\n");
        workspace.done(&["add", "--allow"]);
        assert_eq!(workspace.wait()["projects"][0]["task_id"], "one");
    }
    world.set("MCP_RUNNER_TASK_ID", "two");
    let workspace = world.directory("w");
    let mut events = world.events();
    let added = workspace.done(&["add", "--json"]).json();
    assert_eq!(added["tasks"], json!(["one"]));
    workspace.settle(&mut events);
    let gate = workspace.done(&["gate", "--json"]).json();
    assert_eq!(gate["projects"][0]["task_id"], "one");
    assert_eq!(workspace.runs().len(), 1, "nothing was run again");
    workspace.done(&["remove", workspace.root()]);
    let added = workspace.done(&["add", "--json"]).json();
    assert_eq!(added["tasks"], json!(["two"]));
}

#[test]
fn what_runs_at_another_time_than_it_was_allowed_is_named() {
    let world = World::new();
    let stages = |order: [&str; 2], more: &str| {
        let command = |id: &str| (id.to_owned(), format!("command = 'true {id}'\n"));
        let [first, second] = order.map(command);
        let second = (second.0, second.1 + more);
        crate::support::pipeline(&[(&first.0, &first.1), (&second.0, &second.1)])
    };
    let workspace = world.watched("w", &stages(["a", "b"], ""));
    for (toml, said, marked) in [
        (
            stages(["b", "a"], ""),
            "~ order of diagnostics: b, then a",
            "~ after b, was first",
        ),
        (
            stages(["b", "a"], "needs = ['b']"),
            "+ needs of diagnostics/a: b",
            "~ needs b, needed nothing",
        ),
    ] {
        workspace.write("orchd.toml", toml);
        let gate = workspace.ctl(&["gate"]);
        refused(&gate, &["have changed since they were allowed", said]);
        let allowed = workspace.done(&["allow"]);
        assert!(allowed.out.contains(marked), "{allowed:?}");
        assert!(allowed.out.contains("~ diagnostics/a"), "{allowed:?}");
    }
}

#[test]
fn where_several_workspaces_are_spoken_of_each_is_named() {
    let world = World::new();
    let one = world.watched("one", &check("true"));
    let alone = world.ctl(&["gate", "--json"]).json();
    assert!(alone["projects"][0]["workspace"].is_null(), "{alone}");
    let two = world.watched("two", &check("true"));
    for command in ["gate", "wait", "runs"] {
        let done = world.ctl(&[command]);
        assert_eq!(done.code, Some(0), "{done:?}");
        for workspace in [&one, &two] {
            assert!(done.out.contains(workspace.root()), "{done:?}");
        }
        let json = world.ctl(&[command, "--json"]).json();
        let list = if command == "runs" {
            "runs"
        } else {
            "projects"
        };
        let roots = json[list].as_array().unwrap().iter();
        let mut roots: Vec<_> = roots.map(|it| it["workspace"].as_str().unwrap()).collect();
        roots.sort_unstable();
        roots.dedup();
        assert_eq!(roots, [one.root(), two.root()], "{command}");
        assert!(!one.done(&[command]).out.contains(two.root()));
    }
    // A task that is named is looked for, here too.
    let other = world.directory("other");
    other.write("orchd.toml", check("true"));
    let done = other.ctl(&["status", "--task", "x"]);
    refused(&done, &["is not a registered workspace"]);
}

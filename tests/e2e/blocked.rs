//! Things in a workspace that would hold up whoever reads them, and names that are no text.

use crate::events::Client;
use crate::support::{World, check, finish};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    let mut world = World::new();
    let workspace = world.directory("w");
    workspace.write("Cargo.toml", "[package]\nname = \"x\"\n");
    workspace.sh("mkfifo Makefile");
    let added = workspace.done(&["add", "--json"]).json();
    assert_eq!(added["state"], "untrusted", "{added}");
    let endless = world.directory("e");
    endless.sh("ln -s /dev/zero orchd.toml");
    let added = endless.done(&["add", "--json"]).json();
    assert_eq!(added["state"], "invalid", "{added}");
    world.signal(Signal::TERM);
    assert_eq!(world.ended().code(), Some(0));
}

#[test]
fn a_manifest_does_not_say_which_file_is_the_log() {
    let mut world = World::new();
    let secret = world.path("secret");
    std::fs::File::create(&secret).unwrap();
    let pipe = world.fifo("pipe");
    let workspace = world.watched("w", &check("echo hello"));
    let run = workspace.runs()[0]["run_id"].as_str().unwrap().to_owned();
    let at = format!(".runs/t/cli/{run}");
    let mut manifest: Value = workspace.json(&format!("{at}/manifest.json"));
    for path in ["/etc/hostname", pipe.to_str().unwrap()] {
        manifest["log_path"] = path.into();
        manifest["commands"][0]["log_path"] = path.into();
        workspace.write(format!("{at}/manifest.json"), manifest.to_string());
        assert_eq!(workspace.done(&["logs", &run]).out, "hello\n");
        assert_eq!(workspace.done(&["logs", &run, "check"]).out, "hello\n");
    }
    for line in [
        format!("ln -sf {} {at}/runner.ndjson", secret.display()),
        format!("rm {at}/runner.ndjson; mkfifo {at}/runner.ndjson"),
    ] {
        workspace.sh(&line);
        let refused = workspace.ctl(&["logs", &run]);
        assert_eq!((refused.code, &*refused.out), (Some(5), ""), "{refused:?}");
        assert!(refused.err.contains("runner.ndjson"), "{refused:?}");
    }
    world.signal(Signal::TERM);
    assert_eq!(world.ended().code(), Some(0));
}

#[test]
fn a_workspace_whose_name_is_no_text_is_a_workspace() {
    let world = World::new();
    let root = world.path("").join(OsStr::from_bytes(b"w\xff\n"));
    std::fs::create_dir(&root).unwrap();
    let mut file = std::fs::File::create(root.join("orchd.toml")).unwrap();
    std::io::Write::write_all(&mut file, check("true").as_bytes()).unwrap();
    let ctl = |arguments: &[&str]| {
        let mut command = world.command(env!("CARGO_BIN_EXE_orchctl"));
        command.args(arguments).current_dir(&root);
        let done = finish(command);
        assert_eq!(done.code, Some(0), "{arguments:?}: {done:?}");
        done
    };
    let text = format!("{}\\xff\n", world.path("w").display());
    let added = ctl(&["add", "--allow", "--json"]).json();
    assert_eq!(added["root"], text);
    assert_eq!(ctl(&["gate", "--json"]).json()["verdict"], "pass");
    ctl(&["run", "--force"]);
    assert_eq!(
        ctl(&["list", "--json"]).json()["workspaces"][0]["root"],
        text
    );
    for question in ["status", "list"] {
        assert!(ctl(&[question]).out.contains("/w\\xff\\x0a"), "{question}");
    }
    assert_eq!(ctl(&["remove", ".", "--json"]).json()["changed"], true);
}

/// Another program keeps the locks of what is registered and allowed, for as long as the daemon waits for them: nobody
/// who asks for something else waits too.
#[test]
fn a_lock_that_is_held_holds_up_only_who_changes_what_it_guards() {
    let mut world = World::new();
    let workspace = world.watched("w", &check("true"));
    let path = json!({"path": workspace.root()});
    let ask = |client: &mut Client, id: u32, method: &str, params: &Value| {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        client.send(format!("{message}\n").as_bytes());
    };
    let lock = |name: &str| {
        let file = std::fs::File::options()
            .append(true)
            .open(world.state().join(name))
            .unwrap();
        file.lock().unwrap();
        file
    };
    let held = [lock("trust.json.lock"), lock("workspaces.json.lock")];
    let mut client = Client::introduced(&world.socket());
    for method in ["workspace.deny", "workspace.remove"] {
        ask(&mut client, 7, method, &path);
        for (id, other) in [(8, "status"), (9, "ping")] {
            ask(&mut client, id, other, &json!({}));
        }
        let mut answers: Vec<Value> = (0..3).map(|_| client.line().unwrap()).collect();
        let refused = answers.pop().unwrap();
        assert_eq!(refused["id"], 7, "{method}: {answers:?}");
        assert_eq!(refused["error"]["data"]["kind"], "busy", "{refused}");
    }
    for arguments in [&["allow"][..], &["add", "../other"]] {
        std::fs::create_dir_all(world.path("other")).unwrap();
        let refused = workspace.ctl(arguments);
        assert_eq!(refused.code, Some(3), "{arguments:?}: {refused:?}");
    }
    // What could not be changed is as it was, for the daemon and on disk.
    assert_eq!(workspace.status()["state"], "watching");
    let listed = workspace.done(&["list", "--json"]).json();
    assert_eq!(listed["workspaces"].as_array().unwrap().len(), 1);
    drop(held);
    ask(&mut client, 1, "workspace.deny", &path);
    ask(&mut client, 2, "workspace.deny", &path);
    for (id, changed) in [(1, true), (2, false)] {
        let answer = client.line().unwrap();
        assert_eq!(
            (&answer["id"], &answer["result"]["changed"]),
            (&json!(id), &json!(changed))
        );
    }
    let store = std::fs::read_to_string(world.state().join("trust.json")).unwrap();
    assert!(!store.contains(workspace.root()), "{store}");
    workspace.done(&["allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    // The daemon does not end before it has answered.
    let _held = lock("trust.json.lock");
    ask(&mut client, 3, "workspace.deny", &path);
    ask(&mut client, 4, "status", &json!({}));
    assert_eq!(client.line().unwrap()["id"], 4);
    world.signal(Signal::TERM);
    assert_eq!(client.line().unwrap()["error"]["data"]["kind"], "busy");
    assert_eq!(world.ended().code(), Some(0));
}

/// Time is kept by whoever asks, too: a daemon that does nothing keeps none.
#[test]
fn a_daemon_that_stands_still_is_waited_for_no_longer_than_was_said() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    world.signal(Signal::STOP);
    for question in ["sync", "wait"] {
        let told = workspace.ctl(&[question, "--timeout", "300ms"]);
        assert_eq!(told.code, Some(3), "{question}: {told:?}");
        assert!(told.err.contains("has not answered in time"), "{told:?}");
        let told = workspace.ctl(&[question, "--timeout", "300ms", "--json"]);
        assert_eq!(told.code, Some(3), "{question}: {told:?}");
        told.json();
    }
    world.signal(Signal::CONT);
    workspace.done(&["sync", "--timeout", "20s"]);
}

#[test]
fn a_path_that_cannot_be_one_is_refused_in_few_words() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let asked = workspace.ctl(&["explain", &"x".repeat(100_000), "--json"]);
    assert_eq!(asked.code, Some(2), "{}", asked.err);
    assert_eq!(asked.json()["error"]["kind"], "too_large");
    assert!(asked.out.len() < 1000, "{}", asked.out.len());
    workspace.done(&["explain", &"x".repeat(200)]);
}

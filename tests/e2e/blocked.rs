//! Things in a workspace that would hold up whoever reads them, and names that are no text.

use crate::support::{World, check, finish};
use rustix::process::Signal;
use serde_json::Value;
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

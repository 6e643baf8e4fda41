//! Nothing runs that was not allowed as it is.

use crate::deadline::within;
use crate::events::Client;
use crate::support::{Running, World, check, pipeline};
use serde_json::{Value, json};

#[test]
fn what_was_never_allowed_never_runs() {
    let world = World::new();
    let marker = world.path("marker");
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check(&format!("touch {}", marker.display())));
    let added = workspace.done(&["add", "--json"]).json();
    assert_eq!(added["state"], "untrusted");
    workspace.write("a.txt", "change\n");
    let mut events = world.events();
    workspace.settle(&mut events);
    for arguments in [
        &["run"][..],
        &["gate"],
        &["wait"],
        &["run", "--detach"],
        &["run", "--no-daemon"],
        &["gate", "--no-daemon"],
        &["gate", "--no-wait"],
    ] {
        let refused = workspace.ctl(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
        assert!(refused.err.contains("orchctl allow"), "{refused:?}");
    }
    workspace.done(&["reload"]);
    let status = workspace.status();
    assert_eq!(
        (&status["state"], &status["projects"][0]["verdict"]),
        (&json!("untrusted"), &json!("unknown"))
    );
    assert!(
        status["detail"].as_str().unwrap().contains("orchctl allow"),
        "{status}"
    );
    assert!(!marker.exists(), "an untrusted command was run");
    let shown = workspace.done(&["allow", "--json"]).json();
    assert_eq!(shown["commands"][0]["known"], false, "{shown}");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert!(marker.exists());
}

#[test]
fn a_changed_command_waits_for_leave_and_status_says_what_changed() {
    let world = World::new();
    let marker = world.path("marker");
    let workspace = world.watched("w", &check("true"));
    let mut events = world.events();
    workspace.write("orchd.toml", check(&format!("touch {}", marker.display())));
    events.until(|event| event["type"] == "workspace" && event["state"] == "untrusted");
    workspace.write("a.txt", "change\n");
    let status = workspace.status();
    let detail = status["detail"].as_str().unwrap();
    assert!(
        detail.contains("touch") && detail.contains("orchctl allow"),
        "{detail}"
    );
    let refused = workspace.ctl(&["run", "--json"]);
    assert_eq!(
        (refused.code, &refused.json()["error"]["kind"]),
        (Some(2), &json!("untrusted"))
    );
    assert!(!marker.exists(), "a changed command was run");
    // Back as it was, it is allowed again.
    workspace.write("orchd.toml", check("true"));
    events.until(|event| event["type"] == "workspace" && event["state"] == "watching");
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.write("orchd.toml", check(&format!("touch {}", marker.display())));
    events.until(|event| event["type"] == "workspace" && event["state"] == "untrusted");
    let told = workspace.done(&["allow"]);
    assert!(
        told.out.contains(&format!("touch {}", marker.display())),
        "{told:?}"
    );
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert!(marker.exists());
}

#[test]
fn what_was_shown_is_what_is_allowed() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("true"));
    workspace.done(&["add"]);
    let mut client = Client::introduced(&world.socket());
    let shown = client.ask(
        "workspace.allow",
        &json!({"path": workspace.root(), "dry_run": true}),
    );
    let digest = shown["result"]["digest"].clone();
    assert_eq!(shown["result"]["allowed"], false);
    let marker = world.path("marker");
    workspace.write("orchd.toml", check(&format!("touch {}", marker.display())));
    let refused = client.ask(
        "workspace.allow",
        &json!({"path": workspace.root(), "digest": digest}),
    );
    assert_eq!(refused["error"]["data"]["kind"], "untrusted", "{refused}");
    workspace.done(&["sync"]);
    assert_eq!(workspace.status()["state"], "untrusted");
    assert!(!marker.exists());
}

#[test]
fn deny_ends_what_runs_and_a_changed_set_does_not() {
    let world = World::new();
    let (hold, marker) = (world.fifo("hold"), world.path("marker"));
    let workspace = world.directory("w");
    let toml = pipeline(&[
        ("one", &format!("command = 'cat {}'", hold.display())),
        ("two", "command = 'sleep 1000'"),
        ("three", &format!("command = 'touch {}'", marker.display())),
    ]);
    workspace.write("orchd.toml", &toml);
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    events.until_stage("one");
    workspace.write("orchd.toml", toml.replace("sleep 1000", "sleep 2000"));
    events.until(|event| event["type"] == "workspace" && event["state"] == "untrusted");
    // What was allowed goes on, as it was allowed.
    world.say(&hold, "");
    events.until_stage("two");
    workspace.done(&["deny", "."]);
    let ended = events.until_type("run.ended");
    assert_eq!(
        (&ended["status"], &ended["status_detail"], &ended["verdict"]),
        (
            &json!("cancelled"),
            &json!("commands-denied"),
            &json!("unknown")
        )
    );
    assert!(!marker.exists(), "a stage began after it was denied");
}

#[test]
fn deny_takes_it_back() {
    let world = World::new();
    let counter = world.path("counter");
    let workspace = world.watched(
        "w",
        &check(&format!("cat a.txt; echo >> {}", counter.display())),
    );
    let root = workspace.root();
    let denied = world.ctl(&["deny", root, "--json"]);
    assert_eq!(
        (denied.code, &denied.json()["changed"]),
        (Some(0), &json!(true)),
        "{denied:?}"
    );
    let before = crate::support::lines(&counter);
    workspace.write("a.txt", "change\n");
    assert_eq!(workspace.ctl(&["wait"]).code, Some(2));
    assert_eq!(workspace.status()["state"], "untrusted");
    assert_eq!(crate::support::lines(&counter), before);
    assert_eq!(
        world.ctl(&["deny", root, "--json"]).json()["changed"],
        false
    );
}

#[test]
fn a_project_that_a_repository_brings_along_is_not_trusted_for_it() {
    let world = World::new();
    let marker = world.path("marker");
    let workspace = world.directory("w");
    workspace.write(
        "package.json",
        format!(
            "{{\"scripts\": {{\"lint\": \"touch {}\"}}}}",
            marker.display()
        ),
    );
    workspace.done(&["add"]);
    assert_eq!(workspace.ctl(&["run"]).code, Some(2));
    assert!(!marker.exists());
}

#[test]
fn trust_survives_a_restart_and_is_bound_to_the_directory() {
    let mut world = World::new();
    let marker = world.path("marker");
    let toml = check(&format!("echo >> {}", marker.display()));
    drop(world.watched("w", &toml));
    world.kill();
    world.start();
    let workspace = world.directory("w");
    workspace.done(&["sync"]);
    assert_eq!(workspace.status()["state"], "watching");
    let other = world.directory("other");
    other.write("orchd.toml", &toml);
    assert_eq!(other.done(&["add", "--json"]).json()["state"], "untrusted");
}

#[test]
fn neither_leave_nor_its_end_lifts_a_refused_configuration() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let root = workspace.root();
    let mut events = world.events();
    workspace.write("orchd.toml", "broken = [\n");
    events.until(|event| event["type"] == "config" && event["ok"] == false);
    let added = workspace.ctl(&["add", "--allow", "--json"]);
    assert_eq!(
        (added.code, &added.json()["error"]["kind"]),
        (Some(2), &json!("invalid_config"))
    );
    assert_eq!(workspace.status()["state"], "invalid");
    assert_eq!(workspace.ctl(&["gate"]).code, Some(2));
    assert_eq!(world.ctl(&["deny", root]).code, Some(0));
    let status = workspace.status();
    assert_eq!(status["state"], "invalid", "{status}");
    assert!(status["detail"].as_str().unwrap().contains("orchd.toml:1:"));
}

#[test]
fn a_lock_that_somebody_keeps_holds_nobody_up() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let lock = std::fs::File::open(world.state().join("trust.json.lock")).unwrap();
    lock.lock().unwrap();
    let refused = workspace.ctl(&["deny", ".", "--json"]);
    let error = &refused.json()["error"];
    assert_eq!((refused.code, &error["kind"]), (Some(3), &json!("busy")));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("trust.json.lock"), "{message}");
    // What is allowed is read without it.
    workspace.write("a.txt", "change\n");
    workspace.done(&["reload"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    drop(lock);
    workspace.done(&["deny", "."]);
    assert_eq!(workspace.status()["state"], "untrusted");
}

/// Where nothing has been allowed yet there is no store, and nothing to wait for.
#[test]
fn a_lock_that_somebody_keeps_is_nothing_to_a_workspace_that_was_never_allowed() {
    let world = World::new();
    let mut options = std::fs::File::options();
    options.create(true).append(true);
    let lock = options.open(world.state().join("trust.json.lock")).unwrap();
    lock.lock().unwrap();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("true"));
    workspace.done(&["add"]);
    let status = workspace.status();
    let detail = status["detail"].as_str().unwrap();
    assert!(detail.contains("have not been allowed"), "{detail}");
    drop(lock);
    workspace.done(&["allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
}

#[test]
fn a_command_behind_a_long_environment_is_seen_to_change() {
    let world = World::new();
    let toml = |command: &str| {
        let long = "x".repeat(600);
        format!("{}env = {{ A = \"{long}\" }}\n", check(command))
    };
    let workspace = world.watched("w", &toml("true"));
    let mut events = world.events();
    workspace.write("orchd.toml", toml("echo evil | cat"));
    events.until(|event| event["type"] == "workspace" && event["state"] == "untrusted");
    let status = workspace.status();
    let detail = status["detail"].as_str().unwrap();
    assert!(detail.contains(": echo evil | cat   (with A="), "{detail}");
    let shown = workspace.done(&["allow", "--json"]).json();
    assert_eq!(shown["commands"][0]["known"], false, "{shown}");
    let again = workspace.done(&["allow", "--json"]).json();
    assert_eq!(again["commands"][0]["known"], true, "{again}");
}

#[test]
fn what_changed_of_an_environment_is_shown_to_whoever_allows_it() {
    let world = World::new();
    let toml = |env: &str| format!("{}env = {{ {env} }}\n", check("true"));
    let workspace = world.watched("w", &toml("CI = \"1\", OLD = \"x\""));
    workspace.write("orchd.toml", toml("CI = \"2\", TOKEN = \"a b\""));
    let shown = workspace.done(&["allow"]).out;
    let root = workspace.root();
    let told = format!(
        "Allowed 1 command in {root}\n  ~ diagnostics/check  true\n        with CI=2 TOKEN='a b'\n\
         \x20     ~ CI: 1 -> 2\n      ~ TOKEN='a b' is new\n      ~ OLD=x is gone\n"
    );
    assert!(shown.starts_with(&told), "{shown}");
    let again = workspace.done(&["allow", "--json"]).json();
    let command = &again["commands"][0];
    assert_eq!(
        (&command["known"], &command["changes"], &command["notes"]),
        (&json!(true), &json!([]), &json!(["with CI=2 TOKEN='a b'"]))
    );
}

#[test]
fn a_workspace_that_is_being_removed_stays_so_when_a_damaged_file_is_written_anew() {
    let world = World::new();
    let (told, held, free) = (world.fifo("told"), world.fifo("held"), world.fifo("free"));
    let go = world.path("go");
    let stage = format!(
        "command = \"\"\"trap 'echo told > {}' TERM; until [ -e {} ]; do sleep 0.1; done\"\"\"\ngrace = \"60s\"",
        told.display(),
        go.display()
    );
    let workspace = world.directory("w");
    workspace.write("orchd.toml", pipeline(&[("s", &stage)]));
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    events.until_type("stage.started");
    let trust = world.state().join("trust.json");
    let other = world.directory("other");
    let lock = other.running(&format!(
        "flock {}.lock sh -c 'echo held > {}; read _ < {}'",
        trust.display(),
        held.display(),
        free.display()
    ));
    assert_eq!(world.heard(&held), "held\n");
    std::fs::write(&trust, "{broken").unwrap();
    let removing = Running::of(other.orchctl(&["remove", workspace.root()]));
    assert_eq!(world.heard(&told), "told\n");
    other.done(&["reload"]);
    world.say(&free, "\n");
    assert_eq!(lock.end().code, Some(0));
    within("the file was not written anew", move || {
        while std::fs::read_to_string(&trust).unwrap() == "{broken" {
            std::thread::yield_now();
        }
    });
    other.done(&["status"]);
    std::fs::write(&go, "").unwrap();
    let removed = removing.end();
    assert_eq!(removed.code, Some(0), "{removed:?}");
    let listed = world.ctl(&["list", "--json"]).json();
    assert_eq!(listed["workspaces"], json!([]));
}

/// A daemon knows of the file what it has read of it; whoever changes it meanwhile need not tell it so.
#[test]
fn what_the_file_allows_no_more_is_not_run_whoever_wrote_it() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("f", "first\n");
    let workspace = world.watched("w", &check("cat f >> ../ran"));
    let other = world.watched("other", &check("true"));
    let nobody = world.path("nobody.sock");
    let nobody = nobody.to_str().unwrap();
    let trust = world.state().join("trust.json");
    let whole = std::fs::read(&trust).unwrap();
    let without = |root: &str| {
        let mut all: Value = serde_json::from_slice(&whole).unwrap();
        all["roots"].as_object_mut().unwrap().remove(root);
        all.to_string()
    };
    let put = |text: &[u8]| {
        std::fs::write(world.path("new"), text).unwrap();
        std::fs::rename(world.path("new"), &trust).unwrap();
    };
    let takes_back: [&dyn Fn(); 3] = [
        &|| {
            let denied = world.ctl(&["--socket", nobody, "deny", workspace.root()]);
            assert_eq!(denied.code, Some(0), "{denied:?}");
        },
        &|| std::fs::remove_file(&trust).unwrap(),
        &|| put(without(workspace.root()).as_bytes()),
    ];
    for (turn, take_back) in takes_back.iter().enumerate() {
        workspace.write("f", format!("allowed {turn}\n"));
        assert_eq!(workspace.ctl(&["gate"]).code, Some(0), "{turn}");
        take_back();
        // The content is proven: that is told no more either.
        let proven = workspace.ctl(&["gate", "--json"]);
        assert_eq!(proven.code, Some(2), "{turn}: {proven:?}");
        assert_eq!(workspace.status()["state"], "untrusted", "{turn}");
        workspace.write("f", format!("denied {turn}\n"));
        let refused = workspace.ctl(&["gate", "--json"]);
        assert_eq!(refused.json()["error"]["kind"], "untrusted", "{turn}");
        let ran = std::fs::read_to_string(world.path("ran")).unwrap();
        assert!(!ran.contains("denied"), "{ran}");
        let stands = if turn == 1 { 2 } else { 0 };
        assert_eq!(other.ctl(&["gate"]).code, Some(stands), "{turn}");
        // Given back by whom it was taken away, it counts again; what is there then may be run at once.
        workspace.write("f", format!("given back {turn}\n"));
        put(&whole);
        assert_eq!(workspace.status()["state"], "watching", "{turn}");
    }
}

//! Runs that wait for their turn: their ids, their order, and who takes them along when he goes.

use crate::deadline::within;
use crate::events::{Client, Events};
use crate::support::{Running, Workspace, World, check};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// A workspace whose first run is under way, and whose runs each wait until somebody has said something to the pipe.
fn busy(world: &World) -> (Workspace<'_>, Events, std::path::PathBuf) {
    busy_with(world, "")
}

/// The same, with further pipelines.
fn busy_with<'a>(world: &'a World, pipelines: &str) -> (Workspace<'a>, Events, std::path::PathBuf) {
    let gate = world.fifo("gate");
    let workspace = world.directory("w");
    let own = check(&format!("cat {}", gate.display()));
    workspace.write("orchd.toml", own + pipelines);
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    events.until_stage("check");
    (workspace, events, gate)
}

fn queued(events: &mut Events) -> String {
    let queued = events.until_type("run.queued");
    queued["run_id"].as_str().unwrap().to_owned()
}

fn dropped(events: &mut Events, run: &str) -> Value {
    let told = events.until(|event| event["type"] == "run.dropped");
    assert_eq!(told["run_id"], run);
    told["reason"].clone()
}

/// The first run ends, and nothing else has run.
fn alone(world: &World, workspace: &Workspace<'_>, gate: &std::path::Path) {
    world.say(gate, "");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.status()["projects"][0]["phase"], "idle");
    assert_eq!(workspace.runs().len(), 1);
}

#[test]
fn a_run_that_waits_has_an_id_by_which_it_is_shown_and_ended() {
    let world = World::new();
    let (workspace, mut events, gate) = busy(&world);
    let told = workspace
        .done(&["run", "--detach", "--force", "--json"])
        .json();
    let run = queued(&mut events);
    assert_eq!(
        (&told["run_id"], &told["status"], &told["verdict"]),
        (&json!(run), &json!("queued"), &json!("unknown"))
    );
    assert!(!workspace.has(told["manifest"].as_str().unwrap()));
    let again = workspace
        .done(&["run", "--detach", "--force", "--json"])
        .json();
    assert_eq!(again["run_id"], run, "who asks for the same shares it");
    let shown = workspace.done(&["show", &run, "--json"]).json();
    let before = workspace.status()["projects"][0]["running"].clone();
    let waits = format!(
        "waits for run {} to end; nothing of it is on disk yet",
        before["run_id"].as_str().unwrap()
    );
    assert_eq!(
        (
            &shown["status"],
            &shown["status_detail"],
            &shown["stages"][0]["status"]
        ),
        (&json!("queued"), &json!(waits), &json!("pending"))
    );
    assert_eq!(workspace.done(&["logs", &run, "check"]).out, "");
    let resumed = workspace.ctl(&["resume", "--run", &run]);
    assert_eq!(resumed.code, Some(3), "{resumed:?}");
    assert!(resumed.err.contains("has not begun"), "{resumed:?}");
    let (_, part) = run.split_at(run.len() - 6);
    let cancelled = workspace.done(&["cancel", part, "--json"]).json();
    assert_eq!(
        (&cancelled["run_id"], &cancelled["status"]),
        (&json!(run), &json!("cancelled"))
    );
    assert_eq!(dropped(&mut events, &run), "cancelled");
    let gone = workspace.ctl(&["show", &run]);
    assert_eq!(gone.code, Some(2), "{gone:?}");
    assert!(
        gone.err.contains("was cancelled before it began"),
        "{gone:?}"
    );
    alone(&world, &workspace, &gate);
}

#[test]
fn whoever_waits_for_a_run_that_waits_hears_that_it_was_cancelled() {
    let world = World::new();
    let (workspace, mut events, gate) = busy(&world);
    let waiting = Running::of(workspace.orchctl(&["run", "--force", "--json"]));
    let run = queued(&mut events);
    workspace.done(&["cancel", &run]);
    let waited = waiting.end();
    assert_eq!(waited.code, Some(3), "{waited:?}");
    let said = waited.json();
    assert_eq!(
        (&said["run_id"], &said["status"], &said["verdict"]),
        (&json!(run), &json!("cancelled"), &json!("unknown"))
    );
    alone(&world, &workspace, &gate);
}

#[test]
fn whoever_goes_away_takes_along_his_run_that_has_not_begun() {
    let world = World::new();
    let (workspace, mut events, gate) = busy(&world);
    for signal in [Signal::INT, Signal::KILL] {
        let waiting = Running::of(workspace.orchctl(&["run", "--force"]));
        let run = queued(&mut events);
        waiting.signal(signal);
        let waited = waiting.output();
        assert_eq!(
            waited.status.code(),
            (signal == Signal::INT).then_some(3),
            "{waited:?}"
        );
        assert_eq!(dropped(&mut events, &run), "withdrawn");
        let gone = workspace.ctl(&["show", &run]);
        assert!(gone.err.contains("was gone before"), "{gone:?}");
    }
    alone(&world, &workspace, &gate);
}

#[test]
fn a_detached_run_begins_later_under_the_id_that_was_told() {
    let world = World::new();
    let (workspace, mut events, gate) = busy(&world);
    let told = workspace
        .done(&["run", "--detach", "--force", "--json"])
        .json();
    let waiting = Running::of(workspace.orchctl(&["run", "--force"]));
    world.say(&gate, "");
    let begun = events.until_stage("check");
    assert_eq!(begun["run_id"], told["run_id"]);
    // One that has begun is not ended by who goes away.
    waiting.signal(Signal::KILL);
    waiting.output();
    world.say(&gate, "");
    let run = told["run_id"].as_str().unwrap();
    let ended = events.until(|event| event["type"] == "run.ended" && event["run_id"] == run);
    assert_eq!(ended["verdict"], "pass");
    assert!(workspace.has(told["manifest"].as_str().unwrap()));
    let shown = workspace.done(&["show", run, "--json"]).json();
    assert_eq!(shown["status"], "succeeded");
}

#[test]
fn a_run_that_waits_goes_with_what_allowed_it() {
    let world = World::new();
    let (workspace, mut events, gate) = busy(&world);
    let told = workspace
        .done(&["run", "--detach", "--force", "--json"])
        .json();
    let run = told["run_id"].as_str().unwrap();
    let waiting = Running::of(workspace.orchctl(&["run", "--force", "--approval-policy", "never"]));
    events.until(|event| event["type"] == "run.queued" && event["run_id"] != run);
    workspace.write("orchd.toml", "[[project]]\ntask = 1\n");
    assert_eq!(dropped(&mut events, run), "refused");
    let waited = waiting.end();
    assert_eq!(waited.code, Some(2), "{waited:?}");
    let gone = workspace.ctl(&["show", run, "--json"]);
    assert_eq!(
        (gone.code, &gone.json()["error"]["kind"]),
        (Some(2), &json!("invalid_config")),
        "{gone:?}"
    );
    world.say(&gate, "");
}

#[test]
fn a_queue_has_an_end() {
    let world = World::new();
    let (workspace, _, _) = busy(&world);
    let ask = |policy: usize| {
        let policy = policy.to_string();
        workspace.ctl(&["run", "--detach", "--approval-policy", &policy, "--json"])
    };
    for policy in 0..64 {
        assert_eq!(ask(policy).json()["status"], "queued");
    }
    let refused = ask(64);
    assert_eq!(
        (refused.code, &refused.json()["error"]["kind"]),
        (Some(3), &json!("busy")),
        "{refused:?}"
    );
    assert_eq!(ask(63).code, Some(0), "who shares one takes no place");
    workspace.done(&["deny", "."]);
    let project = workspace.status()["projects"][0].clone();
    assert_ne!(project["phase"], "queued", "{project}");
}

#[test]
fn an_asker_on_the_socket_holds_his_run_alone_or_with_others() {
    let world = World::new();
    let (workspace, mut events, gate) = busy(&world);
    let start = |params: Value| {
        let mut params = params;
        params["workspace"] = json!(workspace.root());
        params["force"] = json!(true);
        params
    };
    // Answered at once, and wanted as long as the connection lives.
    let mut held = Client::introduced(&world.socket());
    let answer = held.ask("run.start", &start(json!({"wait": false, "detach": false})));
    let run = queued(&mut events);
    assert_eq!(
        (&answer["result"]["run_id"], &answer["result"]["status"]),
        (&json!(run), &json!("queued"))
    );
    drop(held);
    assert_eq!(dropped(&mut events, &run), "withdrawn");
    // Two share one; who is not waited for any more takes nothing from the other.
    let mut shared = Client::introduced(&world.socket());
    for id in [7, 8] {
        let message =
            json!({"jsonrpc": "2.0", "id": id, "method": "run.start", "params": start(json!({}))});
        shared.send(format!("{message}\n").as_bytes());
    }
    let run = queued(&mut events);
    workspace.settle(&mut events);
    let cancel = json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 7}});
    shared.send(format!("{cancel}\n").as_bytes());
    let freed = shared.line().unwrap();
    assert_eq!(
        (&freed["id"], &freed["error"]["code"]),
        (&json!(7), &json!(-32800))
    );
    world.say(&gate, "");
    let begun = events.until(|event| event["type"] == "run.started" && event["run_id"] == run);
    assert_eq!(begun["cause"], "manual");
    world.say(&gate, "");
    let told = shared.line().unwrap();
    assert_eq!(
        (
            &told["id"],
            &told["result"]["run_id"],
            &told["result"]["verdict"]
        ),
        (&json!(8), &json!(run), &json!("pass"))
    );
}

#[test]
fn logs_of_a_run_that_waits_say_what_for_and_follow_it_once_it_begins() {
    let world = World::new();
    let (workspace, mut events, gate) = busy(&world);
    workspace.done(&["run", "--detach", "--force"]);
    let run = queued(&mut events);
    let id = run.rsplit('-').next().unwrap();
    let before = workspace.status()["projects"][0]["running"].clone();
    let before = before["run_id"].as_str().unwrap();
    let waits = format!(
        "Run {id} has not begun: waits for run {before} to end; nothing of it is on disk yet\n"
    );
    let logs = workspace.done(&["logs", id]);
    let hint = format!("Follow it once it begins with: orchctl logs -f {id}\n");
    assert_eq!(
        (logs.out.as_str(), logs.err),
        ("", format!("{waits}{hint}"))
    );
    let mut follow = workspace.orchctl(&["logs", "-f", id]);
    follow.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut follow = follow.spawn().unwrap();
    let mut words = BufReader::new(follow.stderr.take().unwrap());
    let (said, _words) = within("what the run waits for", move || {
        let mut line = String::new();
        words.read_line(&mut line).unwrap();
        (line, words)
    });
    assert_eq!(said, waits);
    world.say(&gate, "");
    events.until_stage("check");
    world.say(&gate, "now\n");
    let output = within("the end of the logs", || follow.wait_with_output().unwrap());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "now\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn runs_that_wait_for_their_turn_are_listed_in_the_order_in_which_they_begin() {
    let world = World::new();
    let other = "[[pipeline]]\nid = 'a'\n[[pipeline.stage]]\nid = 'x'\ncommand = 'true'\n";
    let (workspace, mut events, gate) = busy_with(&world, other);
    let listed = || workspace.status()["projects"][0]["queued"].clone();
    assert_eq!(listed(), json!([]));
    let ask = |pipeline: &str, policy: &str| {
        let run = ["run", pipeline, "--force", "--detach", "--json"];
        let told = workspace.done(&[&run[..], &["--approval-policy", policy]].concat());
        told.json()["run_id"].as_str().unwrap().to_owned()
    };
    let asked = [
        ("diagnostics", ask("diagnostics", "1")),
        ("a", ask("a", "2")),
        ("diagnostics", ask("diagnostics", "3")),
    ];
    let now = listed();
    for (place, (pipeline, run)) in asked.iter().enumerate() {
        let told = &now[place];
        assert_eq!(
            (&told["run_id"], &told["pipeline_id"], &told["cause"]),
            (&json!(run), &json!(pipeline), &json!("manual")),
            "{now}"
        );
        let at = told["asked_at"].as_str().unwrap();
        assert!(at.ends_with('Z'), "{at}");
    }
    assert_eq!(now.as_array().unwrap().len(), 3, "{now}");
    let runs = workspace.runs();
    assert_eq!(runs.len(), 1, "the history has what has begun: {runs:?}");
    workspace.done(&["cancel", &asked[1].1]);
    let left = listed();
    assert_eq!(
        (&left[0]["run_id"], &left[1]["run_id"]),
        (&json!(asked[0].1), &json!(asked[2].1)),
        "{left}"
    );
    for (_, run) in [&asked[0], &asked[2]] {
        world.say(&gate, "");
        let begun = events.until(|event| event["type"] == "run.started" && event["run_id"] == *run);
        assert_eq!(begun["cause"], "manual");
    }
    assert_eq!(listed(), json!([]));
    world.say(&gate, "");
}

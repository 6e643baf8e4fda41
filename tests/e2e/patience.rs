//! Answers that take long for good reasons, runs that wait for their turn, and those who wait for them.

use crate::deadline::within;
use crate::events::{Client, Events};
use crate::support::{Done, Running, Workspace, World, check, pipeline, signal_to};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::process::{Command, Stdio};

#[test]
fn a_command_that_would_wait_for_its_own_run_is_refused() {
    let world = World::new();
    let orchctl = env!("CARGO_BIN_EXE_orchctl");
    let line = |what: &str| format!("command = '''{orchctl} {what} 2>&1; echo \"exit $?\"'''");
    let nested = format!(
        "{}\n[[pipeline]]\nid = \"inner\"\n[[pipeline.stage]]\nid = \"deep\"\n{}\n",
        pipeline(&[
            ("gate", &line("gate")),
            ("wait", &line("wait --timeout 30s")),
            ("run", &line("run --detach")),
            ("look", &line("gate --no-wait")),
            ("below", "pipeline = \"inner\""),
        ]),
        line("gate")
    );
    let workspace = world.watched("w", &nested);
    assert_eq!(workspace.wait()["verdict"], "pass");
    for (stage, code) in [
        ("gate", 2),
        ("wait", 2),
        ("run", 2),
        ("look", 3),
        ("deep", 2),
    ] {
        let run = workspace
            .runs()
            .into_iter()
            .find(|run| (run["pipeline_id"] == "inner") == (stage == "deep"));
        let run = run.unwrap();
        let said = workspace
            .done(&["logs", run["run_id"].as_str().unwrap(), stage])
            .out;
        assert!(said.contains(&format!("exit {code}")), "{stage}: {said}");
        assert_eq!(
            said.contains("wait for itself"),
            code == 2,
            "{stage}: {said}"
        );
    }
}

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

#[test]
fn wait_and_gate_without_a_verdict_print_their_own_document() {
    let world = World::new();
    let gate = world.fifo("gate");
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check(&format!("cat {}", gate.display())));
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    events.until_stage("check");
    let unknown = |done: &Done, why: &str| {
        let project = json!({
            "task_id": "t", "verdict": "unknown", "input_digest": null, "run_id": null,
            "manifest": null, "reused": false, "detail": why,
        });
        let document = json!({"verdict": "unknown", "projects": [project]});
        assert_eq!((done.code, done.json()), (Some(3), document), "{done:?}");
        assert!(done.err.starts_with(&format!("error: {why}")), "{done:?}");
    };
    for task in [&[][..], &["--task", "t"]] {
        let asked = [&["wait", "--timeout", "200ms", "--json"], task].concat();
        unknown(&workspace.ctl(&asked), "there was no answer in time");
    }
    let interrupted = interrupted(workspace.orchctl(&["gate", "--json"]));
    unknown(&interrupted, "interrupted before the answer was there");
    let refused = workspace.ctl(&["wait", "--task", "nope", "--json"]);
    assert_eq!(
        (refused.code, &refused.json()["error"]["kind"]),
        (Some(2), &json!("unknown_project"))
    );
    world.say(&gate, "");
    assert_eq!(workspace.wait()["verdict"], "pass");
}

/// What a command does that is interrupted as soon as it catches that: before, it would end without a word.
fn interrupted(mut command: Command) -> Done {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    within("nothing was caught", move || {
        let catches = || {
            let text = std::fs::read_to_string(&status).unwrap();
            let mut lines = text.lines();
            let caught = lines.find_map(|line| line.strip_prefix("SigCgt:\t"));
            u64::from_str_radix(caught.unwrap(), 16).unwrap() & 0b10 != 0
        };
        while !catches() {
            std::thread::yield_now();
        }
    });
    signal_to(child.id(), Signal::INT);
    let output = within("it did not end", || child.wait_with_output().unwrap());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

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
fn runs_that_wait_for_their_turn_are_listed_in_the_order_in_which_they_begin() {
    let world = World::new();
    let other = "[[pipeline]]\nid = 'a'\n[[pipeline.stage]]\nid = 'x'\ncommand = 'true'\n";
    let (workspace, mut events, gate) = busy_with(&world, other);
    let listed = || workspace.status()["projects"][0]["queued"].clone();
    assert_eq!(listed(), json!([]));
    let ask = |pipeline: &str, policy: &str| {
        let run = ["run", pipeline, "--detach", "--json"];
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

#[test]
fn who_waits_in_vain_for_one_project_is_told_what_is_known_of_the_others() {
    let world = World::new();
    let gate = world.fifo("gate");
    let workspace = world.directory("w");
    let of = |task: &str, command: &str| {
        format!(
            "[[project]]\ntask = '{task}'\npath = '{task}'\npipeline = '{task}'\n\
             [[pipeline]]\nid = '{task}'\n[[pipeline.stage]]\nid = 'x'\ncommand = '''{command}'''\n"
        )
    };
    let held = of("held", &format!("cat {}", gate.display()));
    workspace.write("orchd.toml", held + &of("known", "test ! -e red"));
    workspace.write("known/f", "");
    workspace.write("held/f", "");
    workspace.done(&["add", "--allow"]);
    for (verdict, worst, code) in [("pass", "unknown", 3), ("fail", "fail", 1)] {
        if verdict == "fail" {
            workspace.write("known/red", "");
        }
        // A slow machine needs longer to look at both.
        let mut answers = ["200ms", "2s", "10s"].iter().map(|time| {
            let done = workspace.ctl(&["wait", "--timeout", time, "--json"]);
            (done.code, done.json())
        });
        let answer = answers.find(|(_, it)| it["projects"][1]["verdict"] != "unknown");
        let (exit, answer) = answer.expect("what is known is told");
        let [held, known] = [0, 1].map(|place| answer["projects"][place].clone());
        assert_eq!((exit, &answer["verdict"]), (Some(code), &json!(worst)));
        assert_eq!(
            (&known["task_id"], &known["verdict"]),
            (&json!("known"), &json!(verdict)),
            "{answer}"
        );
        assert!(workspace.has(known["manifest"].as_str().unwrap()));
        assert_eq!(
            (&held["verdict"], &held["detail"]),
            (&json!("unknown"), &json!("there was no answer in time"))
        );
    }
    world.say(&gate, "");
}

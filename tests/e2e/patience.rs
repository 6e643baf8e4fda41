//! Answers that take long for good reasons, and what is told of those that do not come in time.

use crate::deadline::within;
use crate::support::{Done, Running, Workspace, World, check, pipeline, signal_to};
use rustix::process::Signal;
use serde_json::json;
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
        let document = json!({"verdict": "unknown", "detail": why, "projects": [project]});
        assert_eq!((done.code, done.json()), (Some(3), document), "{done:?}");
        assert!(done.err.contains(&format!("error: {why}")), "{done:?}");
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

#[test]
fn a_run_of_a_command_without_a_daemon_is_cancelled_with_it_and_said_so() {
    let world = World::empty();
    let workspace = world.directory("w");
    let begun = world.fifo("begun");
    let line = format!("echo begun > {}; exec sleep 1000", begun.display());
    workspace.write("orchd.toml", check(&line));
    workspace.done(&["allow"]);
    for (arguments, out) in [
        (&["run", "--no-daemon"][..], ""),
        (&["gate", "--no-daemon"], ""),
        (&["gate", "--no-daemon", "--json"], "unknown"),
    ] {
        let running = Running::of(workspace.orchctl(arguments));
        world.heard(&begun);
        running.signal(Signal::INT);
        let done = running.end();
        assert_eq!(done.code, Some(3), "{done:?}");
        assert_eq!(done.out.is_empty(), out.is_empty(), "{done:?}");
        let state = workspace.json("out/t/state.json");
        let last = &state["orchd"]["last_run"];
        let run = last["run_id"].as_str().unwrap();
        let id = run.rsplit('-').next().unwrap();
        let path = last["manifest"].as_str().unwrap();
        assert_eq!(
            done.err,
            format!(
                "\nCancelling run {id} of t: it runs in this command. ^C again ends it at once.\nRun {id} is cancelled: {path}\n\
                 error: interrupted before the answer was there\n"
            )
        );
        let manifest = workspace.json(path);
        let ended = (&manifest["status"], &manifest["status_detail"]);
        assert_eq!(ended, (&json!("cancelled"), &json!("run-canceled")));
        assert_eq!(world.processes(), Vec::<u32>::new());
    }
}

#[test]
fn a_second_interrupt_does_not_wait_for_the_grace_of_a_run_in_the_command() {
    let world = World::empty();
    let workspace = world.directory("w");
    let (begun, asked) = (world.fifo("begun"), world.fifo("asked"));
    // A shell hears of a signal at once only while it waits for what runs beside it: one that meets a child of it before
    // that is `sleep` is lost, and the shell would wait for the child first.
    let line = format!(
        "trap \"echo asked > {}\" TERM; echo begun > {}; while :; do sleep 1000 & wait; done",
        asked.display(),
        begun.display()
    );
    workspace.write("orchd.toml", check(&line) + "grace = '10m'\n");
    workspace.done(&["allow"]);
    for arguments in [&["run", "--no-daemon"][..], &["gate", "--no-daemon"]] {
        let running = Running::of(workspace.orchctl(arguments));
        for told in [&begun, &asked] {
            world.heard(told);
            running.signal(Signal::INT);
        }
        let done = running.end();
        assert_eq!(done.code, Some(3), "{done:?}");
        let last = workspace.json("out/t/state.json")["orchd"]["last_run"].clone();
        let path = last["manifest"].as_str().unwrap();
        assert!(
            done.err.contains(&format!(" is cancelled: {path}\n")),
            "{done:?}"
        );
        let manifest = workspace.json(path);
        let ended = (&manifest["status"], &manifest["status_detail"]);
        assert_eq!(ended, (&json!("cancelled"), &json!("run-canceled")));
        assert_eq!(world.processes(), Vec::<u32>::new());
    }
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

#[test]
fn a_stage_that_would_run_its_own_run_again_in_its_own_process_is_refused() {
    let world = World::new();
    let orchctl = env!("CARGO_BIN_EXE_orchctl");
    let line = |what: &str| format!("command = '''{orchctl} {what} 2>&1; echo \"exit $?\"'''");
    let there = world.directory("there");
    let own = world.watched(
        "w",
        &pipeline(&[
            ("gate", &line("gate --no-daemon")),
            ("run", &line("run --no-daemon")),
            ("look", &line("gate --no-daemon --no-wait")),
            (
                "far",
                &line(&format!("gate --no-daemon --workspace {}", there.root())),
            ),
        ]),
    );
    // A stage there asks for the run that its own run is a part of, in both ways.
    let back = |how: &str| line(&format!("gate {how} --workspace {}", own.root()));
    let toml = pipeline(&[("host", &back("--no-daemon")), ("ask", &back(""))]);
    there.write("orchd.toml", toml);
    there.done(&["allow", there.root()]);
    let run = own.done(&["run", "--force", "--json"]).json();
    assert_eq!(run["status"], "succeeded", "{run}");
    let said = |workspace: &Workspace<'_>, log: &str, run: &str| {
        let path = format!(".runs/t/cli/{run}/commands/{log}.ndjson");
        workspace.read(&path)
    };
    let id = run["run_id"].as_str().unwrap();
    for (log, code) in [("01-gate", 2), ("02-run", 2), ("03-look", 0), ("04-far", 0)] {
        let text = said(&own, log, id);
        assert!(text.contains(&format!("exit {code}")), "{log}: {text}");
        assert_eq!(text.contains("wait for itself"), code == 2, "{log}: {text}");
    }
    let runs = std::fs::read_dir(there.root.join(".runs/t/cli")).unwrap();
    let runs: Vec<_> = runs.map(|run| run.unwrap().file_name()).collect();
    let [inner] = runs.as_slice() else {
        panic!("{runs:?}")
    };
    for log in ["01-host", "02-ask"] {
        let text = said(&there, log, inner.to_str().unwrap());
        assert!(text.contains("exit 2"), "{log}: {text}");
        assert!(text.contains("wait for itself"), "{log}: {text}");
    }
}

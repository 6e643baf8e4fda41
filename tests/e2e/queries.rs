//! What scripts ask: exit codes, workspaces found, names that fit more than one, no daemon at all.

use crate::events::Client;
use crate::support::{Done, World, check, lines, pipeline};
use serde_json::json;

#[test]
fn without_a_daemon_every_question_is_exit_4() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("true"));
    for arguments in [
        &["status"][..],
        &["run"],
        &["wait"],
        &["sync"],
        &["runs"],
        &["events"],
        &["ping"],
        &["reload"],
        &["shutdown"],
        &["list"],
        &["add"],
        &["explain", "a"],
        &["why"],
        &["show", "x"],
        &["logs", "x"],
        &["cancel", "x"],
        &["resume", "--run", "x"],
        &["plan"],
    ] {
        let done = workspace.ctl(arguments);
        assert_eq!(done.code, Some(4), "{arguments:?}: {done:?}");
        assert!(done.err.contains("orchd"), "{arguments:?}: {done:?}");
    }
    assert_eq!(workspace.ctl(&["doctor"]).code, Some(4));
    assert_eq!(workspace.ctl(&["frobnicate"]).code, Some(2));
    assert_eq!(workspace.ctl(&["run", "--frob"]).code, Some(2));
}

#[test]
fn a_verdict_is_an_exit_code() {
    let world = World::new();
    for (name, command, code, verdict) in [("a", "true", 0, "pass"), ("b", "false", 1, "fail")] {
        let workspace = world.directory(name);
        workspace.write(
            "orchd.toml",
            check(command).replace("\"t\"", &format!("\"{name}\"")),
        );
        workspace.done(&["add", "--allow"]);
        for arguments in [
            &["wait", "--json"][..],
            &["gate", "--json"],
            &["run", "--force", "--json"],
            &["start", "--format", "json"],
        ] {
            let done = workspace.ctl(arguments);
            assert_eq!(
                (done.code, &done.json()["verdict"]),
                (Some(code), &json!(verdict)),
                "{arguments:?}: {done:?}"
            );
        }
        let detached = workspace
            .done(&["run", "--force", "--detach", "--json"])
            .json();
        let part = detached["run_id"]
            .as_str()
            .unwrap()
            .rsplit('-')
            .next()
            .unwrap()
            .to_owned();
        assert_eq!(workspace.ctl(&["wait"]).code, Some(code));
        assert_eq!(
            workspace.done(&["show", &part, "--json"]).json()["run_id"],
            detached["run_id"]
        );
    }
    // Outside of any workspace all of them are meant; the worst verdict counts.
    let all = world.ctl(&["gate", "--json"]);
    assert_eq!(
        (all.code, &all.json()["verdict"]),
        (Some(1), &json!("fail"))
    );
    let one = world.ctl(&["gate", "--task", "a", "--json"]);
    assert_eq!(
        (one.code, &one.json()["verdict"]),
        (Some(0), &json!("pass"))
    );
    assert_eq!(world.ctl(&["wait", "--task", "b"]).code, Some(1));
    let nobody = world.ctl(&["gate", "--task", "nobody", "--json"]);
    assert_eq!(
        (nobody.code, &nobody.json()["error"]["kind"]),
        (Some(2), &json!("unknown_project")),
        "{nobody:?}"
    );
    let run = world.ctl(&["run"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    let runs = world.ctl(&["runs", "--task", "b", "--json"]).json();
    assert!(
        runs["runs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|run| run["task_id"] == "b"),
        "{runs}"
    );
}

#[test]
fn a_task_that_two_workspaces_have_is_refused_with_both_named() {
    let world = World::new();
    let one = world.watched("one", &check("true"));
    let two = world.watched("two", &check("true"));
    for arguments in [
        &["gate", "--task", "t"][..],
        &["wait", "--task", "t"],
        &["status", "--task", "t"],
        &["runs", "--task", "t"],
        &["run", "--task", "t"],
    ] {
        let refused = world.ctl(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
        assert!(
            arguments[0] == "run"
                || refused.err.contains(one.root()) && refused.err.contains(two.root()),
            "{arguments:?}: {refused:?}"
        );
    }
    assert_eq!(
        one.done(&["gate", "--task", "t", "--json"]).json()["verdict"],
        "pass"
    );
}

#[test]
fn a_wait_that_is_over_before_the_verdict_is_exit_3() {
    let world = World::new();
    let gate = world.fifo("gate");
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check(&format!("read _ < {}", gate.display())));
    workspace.done(&["add", "--allow"]);
    let late = workspace.ctl(&["wait", "--timeout", "200ms", "--json"]);
    assert_eq!(late.code, Some(3), "{late:?}");
    let now = workspace.ctl(&["gate", "--no-wait", "--json"]);
    assert_eq!(
        (now.code, &now.json()["verdict"]),
        (Some(3), &json!("unknown"))
    );
    assert_eq!(workspace.ctl(&["sync", "--timeout", "10s"]).code, Some(0));
    world.say(&gate, "go\n");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.runs().len(), 1);
}

#[test]
fn a_run_is_named_by_any_part_that_fits_no_other() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    workspace.done(&["run", "--force"]);
    let runs = workspace.runs();
    assert_eq!(runs.len(), 2);
    let ids: Vec<&str> = runs
        .iter()
        .map(|run| run["run_id"].as_str().unwrap())
        .collect();
    assert!(ids[0] > ids[1], "newest first: {ids:?}");
    for command in ["show", "logs", "cancel"] {
        let refused = workspace.ctl(&[command, "Z-"]);
        assert_eq!(refused.code, Some(2), "{command}: {refused:?}");
        assert!(
            refused.err.contains(ids[0]) && refused.err.contains(ids[1]),
            "{refused:?}"
        );
        let unknown = workspace.ctl(&[command, "nothing-like-it", "--json"]);
        assert_eq!(
            (unknown.code, &unknown.json()["error"]["kind"]),
            (Some(2), &json!("unknown_run"))
        );
    }
    let part = &ids[1][ids[1].len() - 8..];
    assert_eq!(
        workspace.done(&["show", part, "--json"]).json()["run_id"],
        ids[1]
    );
    let limited = workspace.done(&["runs", "--limit", "1", "--json"]).json();
    assert_eq!(limited["runs"].as_array().unwrap().len(), 1);
    let stage = workspace.ctl(&["logs", ids[0], "nostage"]);
    assert_eq!(stage.code, Some(2));
    assert!(
        stage.err.contains("nostage") && stage.err.contains("orchctl show"),
        "{stage:?}"
    );
}

#[test]
fn explain_says_who_is_triggered_or_what_ignores() {
    let world = World::new();
    let toml = pipeline(&[
        ("js", "command = 'true'\ninputs = [\"src/**\"]"),
        ("smoke", "pipeline = 'a-smoke'"),
        ("all", "command = 'true'\noutputs = [\"dist/**\"]"),
    ]) + "[[pipeline]]\nid = 'a-smoke'\n[[pipeline.stage]]\nid = 'probe'\ncommand = 'true'\ninputs = ['src/**']\n";
    let workspace = world.directory("w");
    workspace.write(".gitignore", "*.log\n");
    workspace.write("orchd.toml", toml);
    workspace.done(&["add", "--allow"]);
    workspace.wait();
    let stages = |path: &str| {
        let answer = workspace.done(&["explain", path, "--json"]).json();
        let projects = answer["projects"].as_array().unwrap().clone();
        let stages = projects
            .iter()
            .flat_map(|project| project["stages"].as_array().unwrap().clone());
        (
            stages
                .map(|stage| stage["stage"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>(),
            answer["ignored"].clone(),
        )
    };
    assert_eq!(
        stages("src/new.js").0,
        ["js", "probe", "all"],
        "in declared order, a subpipeline's where it is called"
    );
    assert_eq!(stages("other.txt").0, ["all"]);
    let (none, ignored) = stages("a.log");
    assert_eq!(
        (none.len(), &ignored["rule"]),
        (0, &json!("*.log")),
        "{ignored}"
    );
    assert!(
        ignored["source"].as_str().unwrap().ends_with(".gitignore"),
        "{ignored}"
    );
    assert_eq!(ignored["line"], 1);
    for path in [".runs/x", "out/t/state.json", ".git/HEAD"] {
        let (none, ignored) = stages(path);
        assert_eq!(none.len(), 0, "{path}");
        assert!(!ignored.is_null(), "{path}");
    }
    assert_eq!(workspace.ctl(&["explain", "/etc/passwd"]).code, Some(2));
}

#[test]
fn plan_runs_nothing_and_names_what_would_run() {
    let world = World::new();
    let counter = world.path("counter");
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        format!(
            "[workspace]\non_start = false\n{}",
            check(&format!("echo >> {}", counter.display()))
        ),
    );
    workspace.done(&["add", "--allow"]);
    let here = workspace.done(&["plan", "--json"]).json();
    let alone = workspace
        .done(&["plan", "--no-daemon", "--format", "json"])
        .json();
    assert_eq!(here, alone);
    assert_eq!(
        (&here["stages"][0]["id"], &here["targetId"]),
        (&json!("check"), &json!("diagnostics:check"))
    );
    assert_eq!(lines(&counter), 0);
    assert_eq!(workspace.ctl(&["plan", "nowhere"]).code, Some(2));
    assert_eq!(workspace.ctl(&["run", "nowhere"]).code, Some(2));
}

fn succeeded(done: &Done) {
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.json()["verdict"], "pass");
}

#[test]
fn without_a_daemon_run_and_gate_leave_the_same_evidence() {
    let mut world = World::empty();
    let counter = world.path("counter");
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        check(&format!("cat a.txt; echo >> {}", counter.display())),
    );
    workspace.write("a.txt", "one\n");
    assert_eq!(workspace.ctl(&["allow"]).code, Some(0));
    succeeded(&workspace.ctl(&["run", "--no-daemon", "--json"]));
    let gate = workspace.ctl(&["gate", "--no-daemon", "--json"]);
    succeeded(&gate);
    assert_eq!(
        (lines(&counter), &gate.json()["projects"][0]["reused"]),
        (1, &json!(true))
    );
    workspace.write("a.txt", "two\n");
    succeeded(&workspace.ctl(&["gate", "--no-daemon", "--json"]));
    assert_eq!(lines(&counter), 2);
    let state = workspace.json("out/t/state.json");
    assert_eq!(state["runs"].as_array().unwrap().len(), 2);
    assert_eq!(state["orchd"]["last_run"]["status"], "succeeded");
    workspace.write("orchd.toml", check("false"));
    assert_eq!(
        workspace.ctl(&["run", "--no-daemon"]).code,
        Some(2),
        "untrusted"
    );
    assert_eq!(workspace.ctl(&["allow"]).code, Some(0));
    assert_eq!(workspace.ctl(&["run", "--no-daemon"]).code, Some(1));
    assert_eq!(world.processes(), Vec::<u32>::new());
    // A daemon that comes later knows it all.
    world.start();
    let workspace = world.directory("w");
    workspace.done(&["add"]);
    assert_eq!(workspace.ctl(&["gate", "--no-wait"]).code, Some(1));
    assert_eq!(workspace.runs().len(), 3);
}

#[test]
fn status_of_what_is_not_registered_names_it_and_the_remedy() {
    let world = World::new();
    let watched = world.watched("w", &check("true"));
    let new = world.directory("new one");
    new.write("orchd.toml", check("true"));
    new.write("sub/a", "");
    let git = world.directory("git");
    git.sh("git init -q; mkdir sub");
    for workspace in [&new, &git] {
        let inside = world.directory(&format!(
            "{}/sub",
            workspace.root.file_name().unwrap().to_str().unwrap()
        ));
        let done = inside.done(&["status"]);
        let root = workspace.root();
        assert!(done.out.contains(root), "{done:?}");
        assert!(
            done.out.contains("is not a registered workspace"),
            "{done:?}"
        );
        assert!(done.out.contains("orchctl add "), "{done:?}");
        let json = inside.done(&["status", "--json"]).json();
        assert_eq!(json["workspaces"], json!([]));
    }
    assert!(
        new.done(&["status"])
            .out
            .contains(&format!("orchctl add '{}'", new.root())),
        "to be pasted as it is"
    );
    // Outside of any, all are spoken of.
    let all = world.directory("elsewhere").done(&["status"]);
    assert!(all.out.contains(watched.root()), "{all:?}");
    watched.done(&["remove", watched.root()]);
    let none = world.directory("elsewhere").done(&["status"]);
    assert!(
        none.out.contains("Nothing is watched. Add a directory"),
        "{none:?}"
    );
}

#[test]
fn a_relative_path_of_no_workspace_is_refused_with_the_remedy_and_one_of_a_thing_is_one() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let mut client = Client::introduced(&world.socket());
    let refused = client.ask("explain", &json!({"path": "a.txt"}))["error"].clone();
    assert_eq!(refused["data"]["kind"], "unknown_workspace", "{refused}");
    let hint = refused["data"]["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("name the `workspace`"), "{refused}");
    let named = json!({"path": "a.txt", "workspace": workspace.root()});
    assert_eq!(client.ask("explain", &named)["result"]["owner"], "t");
    let checks = world.ctl(&["doctor", "--json"]).json()["checks"].clone();
    let of = |id: &str| {
        let mut checks = checks.as_array().unwrap().iter();
        let found = checks.find(|check| check["id"] == id).unwrap();
        found["detail"].as_str().unwrap().to_owned()
    };
    let service = of("service");
    assert!(
        service.ends_with(" s, 1 workspace, 0 runs under way"),
        "{service}"
    );
    let watches = of("watches");
    assert!(
        watches.contains(" and 1 file") && !watches.ends_with('s'),
        "{watches}"
    );
}

#[test]
fn doctor_names_the_checklist_that_keeps_old_runs_from_being_removed() {
    let world = World::new();
    let toml =
        check("true") + "\n[workspace]\nretain = { runs = 1, days = 30 }\nignore = [\"tasks\"]\n";
    let workspace = world.watched("w", &toml);
    let evidence = || {
        // A removal follows the end of its run.
        workspace.done(&["runs"]);
        let doctor = workspace.ctl(&["doctor", "--json"]).json();
        let checks = doctor["checks"].as_array().unwrap().iter();
        let mut ours =
            checks.filter(|check| check["id"] == format!("evidence {}", workspace.root()));
        ours.next().cloned()
    };
    // Larger than any checklist is read.
    workspace.write("tasks/large.md", "");
    let large = workspace.root.join("tasks/large.md");
    let file = std::fs::File::options().write(true).open(&large).unwrap();
    file.set_len(65 * 1024 * 1024).unwrap();
    // What proves the present content when a run ends is kept, and so is that run.
    workspace.done(&["run", "--force"]);
    workspace.done(&["run", "--force"]);
    let told = evidence().unwrap();
    assert_eq!(told["state"], "warn", "{told}");
    assert!(
        told["detail"].as_str().unwrap().contains("tasks/large.md"),
        "{told}"
    );
    assert_eq!(workspace.runs().len(), 3, "nobody knows what it cites");
    std::fs::remove_file(large).unwrap();
    workspace.done(&["run", "--force"]);
    assert_eq!(evidence(), None);
    assert_eq!(workspace.runs().len(), 2);
}

#[test]
fn a_part_of_many_run_ids_says_how_many() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let made = workspace.runs()[0].clone();
    let path = made["manifest"].as_str().unwrap();
    let run = made["run_id"].as_str().unwrap();
    let manifest = workspace.read(path);
    for number in 0..30 {
        let other = format!("{}{number:02}", &run[..run.len() - 2]);
        workspace.write(path.replace(run, &other), manifest.replace(run, &other));
    }
    let all = workspace.done(&["runs", "--limit", "99", "--json"]).json();
    let count = all["runs"].as_array().unwrap().len();
    assert!(count >= 30, "{all}");
    for command in [&["show"][..], &["cancel"], &["resume", "--run"]] {
        let told = workspace.ctl(&[command, &[&run[..10]]].concat());
        assert_eq!(told.code, Some(2), "{told:?}");
        assert!(
            told.err.contains(&format!(", and {} more", count - 5)),
            "{told:?}"
        );
    }
}

/// Nothing tells the daemon of a save where it looks once an hour: what was saved before the question is in the answer
/// all the same.
#[test]
fn a_plan_and_an_explanation_know_what_was_just_saved() {
    let world = World::new();
    let toml = |stage: &str| {
        let polled = "[workspace]\npoll = \"always\"\npoll_interval_ms = 3600000\n";
        let stages = [(stage, "command = \"true\"\ninputs = [\"*.in\"]")];
        format!("{polled}{}", pipeline(&stages))
    };
    let workspace = world.watched("w", &toml("lint"));
    let planned = || workspace.done(&["plan", "--json"]).json()["stages"][0]["id"].clone();
    let explained = || workspace.done(&["explain", "a.in", "--json"]).json();
    workspace.write("orchd.toml", toml("check"));
    assert_eq!(planned(), "check");
    workspace.write("orchd.toml", toml("other"));
    let stages = explained()["projects"][0]["stages"].clone();
    assert_eq!(stages[0]["stage"], "other", "{stages}");
    workspace.write(".gitignore", "/a.in\n");
    // It is an input all the same.
    assert_eq!(explained()["declared"]["rule"], "/a.in");
    workspace.write("orchd.toml", "[[project]\n");
    for question in ["plan", "explain"] {
        let path = (question == "explain").then_some("a.in");
        let asked: Vec<&str> = [question, "--json"].into_iter().chain(path).collect();
        let refused = workspace.ctl(&asked);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert_eq!(refused.json()["error"]["kind"], "invalid_config");
    }
    workspace.write("orchd.toml", toml("mended"));
    assert_eq!(planned(), "mended");
    std::fs::rename(&workspace.root, world.path("away")).unwrap();
    let gone = world.ctl(&["plan", "--json", "--workspace", workspace.root()]);
    assert_eq!(gone.code, Some(3), "{gone:?}");
    assert_eq!(gone.json()["error"]["kind"], "unsynced", "{gone:?}");
}

//! Answers, refusals and the exit codes that they become.

use crate::support::{Place, Say, keys, output, shown, value};
use orch::wire::call::Call;
use orch::wire::refusal::{ErrorKind, Refusal};
use serde_json::json;

fn gate_of(verdict: &'static str, green: Option<bool>) -> Place {
    Place::with_daemon(move |call| match call {
        Call::Gate(_) | Call::Wait(_) => {
            let mut answer = json!({"verdict": verdict, "projects": [{
                "task_id": "0101", "verdict": verdict, "input_digest": null,
                "run_id": "r-1", "manifest": "m", "reused": true,
            }]});
            if let Some(green) = green {
                answer["green"] = json!(green);
            }
            Say::Answer(answer)
        }
        _ => Say::Answer(json!({"workspaces": []})),
    })
}

#[test]
fn each_verdict_has_its_exit_code() {
    for (verdict, green, code) in [
        ("pass", None, 0),
        ("flaky", None, 0),
        ("flaky", Some(false), 1),
        ("fail", None, 1),
        ("unstable", None, 1),
        ("error", None, 3),
        ("unknown", None, 3),
    ] {
        for command in ["gate", "wait"] {
            let done = gate_of(verdict, green).run(&[command, "--json"]);
            assert_eq!(done.code, Some(code), "{command} {verdict} {green:?}");
            assert_eq!(done.json()["verdict"], verdict);
        }
    }
    let json = gate_of("pass", None).run(&["gate", "--json"]).json();
    assert_eq!(keys(&json), ["verdict", "projects"]);
    let project = [
        "task_id",
        "verdict",
        "input_digest",
        "run_id",
        "manifest",
        "reused",
    ];
    assert_eq!(keys(&json["projects"][0]), project);
}

#[test]
fn each_refusal_has_its_exit_code_and_says_what_to_do() {
    for (kind, word, code) in [
        (ErrorKind::UnknownWorkspace, "unknown_workspace", 2),
        (ErrorKind::UnknownProject, "unknown_project", 2),
        (ErrorKind::UnknownRun, "unknown_run", 2),
        (ErrorKind::Untrusted, "untrusted", 2),
        (ErrorKind::InvalidConfig, "invalid_config", 2),
        (ErrorKind::Unsupported, "unsupported", 2),
        (ErrorKind::TooLarge, "too_large", 2),
        (ErrorKind::Busy, "busy", 3),
        (ErrorKind::Unsynced, "unsynced", 3),
        (ErrorKind::ShuttingDown, "shutting_down", 4),
        (ErrorKind::Internal, "internal", 5),
    ] {
        let place = Place::with_daemon(move |_| {
            Say::Refuse(Refusal::new(kind, "`x` is refused").hint("do y"))
        });
        let done = place.run(&["show", "x"]);
        assert_eq!(done.code, Some(code), "{word}");
        assert_eq!(done.err, "error: `x` is refused\n  hint: do y\n");
        assert_eq!(done.text(), "");
        let json = place.run(&["show", "x", "--json"]).json();
        let expected = json!({"kind": word, "message": "`x` is refused", "hint": "do y"});
        assert_eq!(json, json!({"error": expected}));
    }
}

#[test]
fn without_a_daemon_every_way_to_get_one_is_named() {
    let place = Place::new();
    for command in [
        &["status"][..],
        &["ping", "--wait", "50ms"],
        &["watch"],
        &["gate"],
    ] {
        let done = place.run(command);
        assert_eq!(done.code, Some(4), "{command:?}: {done:?}");
        assert!(
            done.err.starts_with("error: no daemon answers at `"),
            "{done:?}"
        );
        for way in [
            "orchctl watch",
            "orchd --detach",
            "systemctl --user start orchd",
        ] {
            assert!(done.err.contains(way), "{done:?}");
        }
    }
    let json = place.run(&["status", "--json"]).json();
    assert_eq!(json["error"]["kind"], "no_daemon");
}

#[test]
fn what_speaks_no_protocol_of_ours_is_an_inner_failure() {
    for line in [
        "hello",
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":[]}",
        "\u{0}",
    ] {
        let done = Place::with_daemon(move |_| Say::Line(line)).run(&["status"]);
        assert_eq!(done.code, Some(5), "{line}: {done:?}");
        assert!(
            done.err.contains("does not speak this protocol"),
            "{done:?}"
        );
    }
}

#[test]
fn a_daemon_that_goes_away_is_no_daemon() {
    let place = Place::with_daemon(|_| Say::AnswerAndLeave(json!({"workspaces": []})));
    let done = place.run(&["status"]);
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(done.err.contains("went away"), "{done:?}");
}

#[test]
fn another_version_is_warned_of_once_and_on_stderr() {
    let place = Place::with_daemon_of("9.9.9", |_| Say::Answer(json!({"workspaces": []})));
    let done = place.run(&["list"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        done.err.matches("warning: orchd is 9.9.9").count(),
        1,
        "{done:?}"
    );
    assert_eq!(
        done.text(),
        "No directory is watched. Add one with: orchctl watch DIR\n"
    );
}

#[test]
fn a_task_finds_its_project_among_all_workspaces() {
    let entry = |root: &str, task: &str| json!({"root": root, "state": "watching", "detail": null, "tasks": [task, "0303"]});
    let list = json!({"workspaces": [entry("/w/a", "0101"), entry("/w/b", "0202")]});
    let place = Place::with_daemon(move |call| match call {
        Call::WorkspaceList(_) => Say::Answer(list.clone()),
        call => Say::Refuse(Refusal::new(ErrorKind::Internal, value(call).to_string())),
    });
    let done = place.run(&["wait", "--task", "0202", "--timeout", "2s"]);
    assert!(
        done.err
            .contains(r#"{"workspace":"/w/b","task":"0202","timeout_ms":2000}"#),
        "{done:?}"
    );
    let done = place.run(&["wait", "--task", "0303"]);
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("`0303`: /w/a, /w/b"), "{done:?}");
    let done = place.run(&["run", "--task", "0404"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains("no watched workspace has a project"),
        "{done:?}"
    );
    let done = place.run(&["run"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("lies in no workspace"), "{done:?}");
}

#[test]
fn the_workspace_is_the_flag_the_variable_or_the_nearest_configuration() {
    let place = Place::with_daemon(|call| {
        Say::Refuse(Refusal::new(ErrorKind::Internal, value(call).to_string()))
    });
    let other = place.dir.path().canonicalize().unwrap();
    place.write("orchd.toml", "");
    let asked = |root: &str| format!(r#"{{"workspace":"{root}"}}"#);
    assert!(
        place
            .run(&["status"])
            .err
            .contains(&asked(place.work_str()))
    );
    let mut by_variable = place.orchctl(&["status"]);
    by_variable.env("CODEX_ORCHESTRATOR_ROOT", &other);
    let done = output(by_variable);
    assert!(String::from_utf8_lossy(&done.stderr).contains(&asked(&shown(&other))));
    let mut by_flag = place.orchctl(&["status", "--workspace", "."]);
    by_flag.env("CODEX_ORCHESTRATOR_ROOT", &other);
    let done = output(by_flag);
    assert!(String::from_utf8_lossy(&done.stderr).contains(&asked(place.work_str())));
}

#[test]
fn wrong_usage_is_exit_two_in_words_and_in_json() {
    let place = Place::new();
    let done = place.run(&["wait", "--timeout", "soon"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains("a duration is a number and a unit"),
        "{done:?}"
    );
    let json = place.run(&["runs", "--limit", "0", "--json"]).json();
    assert_eq!(json["error"]["kind"], "usage");
    let done = place.run(&["status", "--task", "../x"]);
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("may not contain '/'"), "{done:?}");
    let json = place.run(&["deny", "--json"]).json();
    assert_eq!(
        json["error"]["message"],
        "the following required arguments were not provided: <DIR>"
    );
    assert_eq!(place.run(&[]).code, Some(2));
    assert_eq!(
        place.run(&["--version"]).text(),
        concat!("orchctl ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_reader_that_goes_away_hides_no_verdict() {
    for (verdict, code) in [("pass", 0), ("fail", 1), ("unknown", 3)] {
        for arguments in [&["gate"][..], &["gate", "--json"], &["wait"]] {
            let place = gate_of(verdict, None);
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = place.orchctl(arguments);
            command.stderr(writer.try_clone().unwrap()).stdout(writer);
            let done = output(command);
            let said = (verdict, arguments);
            assert_eq!(done.status.code(), Some(code), "{said:?}");
        }
    }
    let place = Place::with_daemon(|_| Say::Refuse(Refusal::new(ErrorKind::UnknownRun, "no")));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.orchctl(&["show", "x"]);
    command.stderr(writer.try_clone().unwrap()).stdout(writer);
    assert_eq!(output(command).status.code(), Some(2));
}

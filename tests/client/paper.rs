//! What needs no daemon: `init`, `completions`, `man`, `doctor`; and `watch` where nobody can be asked.

use crate::support::{Done, Place, Say, output};
use orch::wire::call::Call;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

#[test]
fn init_writes_once_and_keeps_the_evidence_out_of_git() {
    let place = Place::new();
    place.write("Cargo.toml", "[package]\nname = \"x\"\n");
    place.write(".gitignore", "target");
    let dry = place.run(&["init", "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(dry.text().contains("[[pipeline.stage]]"), "{dry:?}");
    assert!(!place.work.join("orchd.toml").exists());
    let done = place.run(&["init"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let written = std::fs::read_to_string(place.work.join("orchd.toml")).unwrap();
    assert_eq!(written, dry.text());
    let ignored = std::fs::read_to_string(place.work.join(".gitignore")).unwrap();
    assert_eq!(ignored, "target\n/.runs/\n/out/0101/\n");
    let again = place.run(&["init"]);
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("init never overwrites"), "{again:?}");
}

#[test]
fn init_does_not_hide_the_other_configuration() {
    let place = Place::new();
    place.write("codex.orchestrator.json", "{}");
    let done = place.run(&["init"]);
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("is a configuration already"), "{done:?}");
}

#[test]
fn packagers_get_completions_and_pages() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = place.run(&["completions", shell]);
        assert!(done.text().contains("orchctl"), "{shell}");
    }
    let version = concat!("\"orchd ", env!("CARGO_PKG_VERSION"), "\"");
    let title = |page: &str| {
        page.lines()
            .find(|line| line.starts_with(".TH"))
            .map(str::to_owned)
    };
    let head = title(place.run(&["man"]).text()).unwrap();
    assert!(
        head.starts_with(".TH orchctl 1") && head.contains(version),
        "{head}"
    );
    let done = place.run(&["man", "--dir", "pages"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    for page in ["orchctl.1", "orchctl-watch.1", "orchctl-gate.1", "orchd.1"] {
        let text = std::fs::read_to_string(place.work.join("pages").join(page)).unwrap();
        let head = title(&text).unwrap();
        assert!(head.contains(version), "{page}: {head}");
    }
}

#[test]
fn doctor_works_with_the_daemon_down() {
    let place = Place::new();
    let done = place.run(&["doctor", "--json"]);
    assert_eq!(done.code, Some(4), "{done:?}");
    let json = done.json();
    let checks = json["checks"].as_array().unwrap();
    let state = |id: &str| {
        let found = checks.iter().find(|check| check["id"] == id);
        found.map(|check| check["state"].as_str().unwrap())
    };
    assert_eq!(state("daemon"), Some("fail"));
    assert_eq!(state("lock"), Some("ok"));
    for check in checks.iter().filter(|check| check["state"] != "ok") {
        assert!(check["fix"].is_string(), "{check}");
    }
}

#[test]
fn doctor_fails_a_directory_in_which_a_daemon_refuses_to_start() {
    let place = Place::new();
    let state = place.work.join("state");
    std::fs::create_dir(&state).unwrap();
    let chmod = |path: &Path, mode| {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    for (socket_mode, state_mode, told) in [
        (0o700, 0o700, ["ok", "ok"]),
        (0o755, 0o755, ["fail", "warn"]),
        (0o700, 0o770, ["ok", "fail"]),
    ] {
        chmod(place.dir.path(), socket_mode);
        chmod(&state, state_mode);
        let mut doctor = place.orchctl(&["doctor", "--json"]);
        doctor.env("ORCHD_STATE_DIR", &state);
        let json = Done::of(output(doctor)).json();
        let checks = json["checks"].as_array().unwrap();
        let found = ["socket-directory", "state-directory"]
            .map(|id| checks.iter().find(|check| check["id"] == id).unwrap());
        assert_eq!(found.map(|check| check["state"].as_str().unwrap()), told);
        let refuses = found.map(|it| it["detail"].as_str().unwrap().contains("refuses to start"));
        assert_eq!(refuses, told.map(|state| state == "fail"));
    }
}

#[test]
fn doctor_shows_what_is_wrong_with_a_configuration() {
    let place = Place::new();
    place.write("orchd.toml", "[[projet]]\ntask = \"0101\"\n");
    let done = place.run(&["doctor"]);
    assert!(done.text().contains("unknown key `projet`"), "{done:?}");
    assert!(done.text().contains("orchd.toml:1:3"), "{done:?}");
}

#[test]
fn doctor_adds_what_the_daemon_says_of_itself() {
    let place = Place::with_daemon(|_| {
        Say::Answer(json!({"checks": [
            {"id": "watch-limit", "state": "fail", "detail": "reached", "fix": "raise it"},
        ]}))
    });
    let done = place.run(&["doctor"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.text().contains("fix: raise it"), "{done:?}");
}

#[test]
fn watch_runs_nothing_that_nobody_has_allowed() {
    let place = Place::with_daemon(|call| match call {
        Call::WorkspaceAdd(wanted) => {
            assert!(!wanted.allow);
            Say::Answer(
                json!({"root": wanted.path, "state": "untrusted", "detail": null, "tasks": []}),
            )
        }
        Call::WorkspaceAllow(wanted) => {
            assert!(wanted.dry_run, "nobody agreed");
            Say::Answer(
                json!({"root": wanted.path, "digest": "4be1".repeat(16), "allowed": false,
                "commands": [{"pipeline_id": "p", "stage": "evil", "command": "rm -rf ~", "known": false}]}),
            )
        }
        other => panic!("{other:?}"),
    });
    let done = place.run(&["watch", "."]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("+ p/evil  rm -rf ~"), "{done:?}");
    assert!(done.err.contains("--yes"), "{done:?}");
}

#[test]
fn completions_and_man_are_one_document_too() {
    let place = Place::new();
    let script = place.run(&["completions", "zsh"]);
    let json = place.run(&["completions", "zsh", "--json"]).json();
    assert_eq!(json, json!({"shell": "zsh", "script": script.text()}));
    let json = place.run(&["man", "--json"]).json();
    assert_eq!(place.run(&["man", "--dir", "pages", "--json"]).json(), json);
    let pages = json["pages"].as_array().unwrap();
    let names = |page: &Value| page["name"].as_str().unwrap().to_owned();
    let named: Vec<String> = pages.iter().map(names).collect();
    for name in ["orchctl.1", "orchctl-gate.1", "orchd.1"] {
        assert!(named.iter().any(|it| it == name), "{named:?}");
    }
    let dir = place.work.join("pages");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), pages.len());
    for page in pages {
        let written = std::fs::read_to_string(dir.join(names(page))).unwrap();
        assert_eq!(page["text"], written, "{}", page["name"]);
    }
}

#[test]
fn what_cannot_be_parsed_is_not_written_down_as_all_there_is() {
    let place = Place::new();
    place.write("package.json", "{\"scripts\":{\"te");
    place.write("Cargo.toml", "[package]\nname = \"x\"\n");
    for arguments in [&["init"][..], &["init", "--dry-run"]] {
        let done = place.run(arguments);
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(
            done.err.contains(
                "package.json` cannot be parsed: EOF while parsing a string at line 1 column 15"
            ),
            "{done:?}"
        );
    }
    assert!(!place.work.join("orchd.toml").exists());
}

/// What one check of `doctor` says.
fn checked(done: &Done, id: &str) -> (Value, String) {
    let checks = done.json()["checks"].as_array().unwrap().clone();
    let check = checks.into_iter().find(|check| check["id"] == id).unwrap();
    (
        check["state"].clone(),
        check["detail"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn doctor_speaks_of_the_workspace_that_is_registered_and_of_keys_that_nothing_reads() {
    let place = Place::new();
    let root = place.work_str().to_owned();
    let done = {
        let registered = Place::with_daemon(move |call| match call {
            Call::Doctor(_) => Say::Answer(json!({"checks": []})),
            _ => Say::Answer(json!({"workspaces": [
                {"root": root, "state": "watching", "detail": null, "tasks": []},
            ]})),
        });
        std::fs::write(place.work.join("Cargo.toml"), "").unwrap();
        std::fs::write(registered.dir.path().join("config.toml"), "colour = 1\n").unwrap();
        let mut command = registered.orchctl(&["doctor", "--json"]);
        command.current_dir(&place.work);
        command.env("ORCHD_CONFIG", registered.dir.path().join("config.toml"));
        Done::of(output(command))
    };
    let (state, detail) = checked(&done, "workspace");
    assert_eq!(state, "ok", "{detail}");
    assert!(
        detail.contains("1 project, 1 pipeline, made of what is found"),
        "{detail}"
    );
    let (state, detail) = checked(&done, "user-config");
    assert_eq!(state, "warn", "{detail}");
    assert!(detail.contains("nothing reads `colour`"), "{detail}");
}

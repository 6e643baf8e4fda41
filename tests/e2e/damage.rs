//! Bad input: files that are empty, torn or newer, odd names, odd directories, garbage on the socket.

use crate::events::{Client, of_type};
use crate::support::{Workspace, World, check, finish, names};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A workspace with two runs, and its newest.
fn with_history(world: &World) -> (Workspace<'_>, String) {
    let workspace = world.watched("w", &check("cat a.txt || true"));
    workspace.write("a.txt", "second\n");
    workspace.wait();
    let run = workspace.runs()[0]["run_id"].as_str().unwrap().to_owned();
    (workspace, run)
}

fn run_ids(of: &Value) -> Vec<&str> {
    let runs = of["runs"].as_array().unwrap();
    runs.iter()
        .map(|run| {
            run["runId"]
                .as_str()
                .unwrap_or_else(|| run["run_id"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn state_files_heal_whatever_became_of_them() {
    let world = World::new();
    let (workspace, _) = with_history(&world);
    let whole = workspace.read("out/t/state.json");
    let aggregate = json!({"tool_stats": [], "patterns": {"active": 1}}).to_string();
    let newer = whole.replace("\"schema\": 1", "\"schema\": 99");
    let cases = [
        "",
        "{",
        &whole[..whole.len() / 2],
        "[1, 2]",
        "null",
        &aggregate,
        &newer,
        "\u{0}\u{0}\u{0}",
    ];
    let mut expected = 2;
    for (number, damage) in cases.into_iter().enumerate() {
        for file in ["state.json", "runs.json"] {
            workspace.write(format!("out/t/{file}"), damage);
            workspace.write("a.txt", format!("{number} {file}\n"));
            assert_eq!(workspace.wait()["verdict"], "pass", "{damage:.20}");
            expected += 1;
            let state = workspace.json("out/t/state.json");
            assert_eq!(run_ids(&state).len(), expected, "{file} was {damage:.60}");
            assert_eq!(state["orchd"]["verdict"], "pass");
            assert_eq!(workspace.json("out/t/runs.json")["runs"], state["runs"]);
        }
    }
    // Both at once, and the directory too.
    std::fs::rename(workspace.root.join("out"), world.path("old")).unwrap();
    workspace.write("a.txt", "last\n");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(
        run_ids(&workspace.json("out/t/runs.json")).len(),
        expected + 1
    );
}

#[test]
fn a_damaged_manifest_is_rebuilt_and_a_newer_one_left_alone() {
    let mut world = World::new();
    let (workspace, run) = with_history(&world);
    let path = format!(".runs/t/cli/{run}/manifest.json");
    let whole = workspace.read(&path);
    let newer = whole.replace("\"version\": 1", "\"version\": 99");
    for damage in ["", "{\"version\": 1", &whole[..whole.len() / 2], &newer] {
        world.directory("w").write(&path, damage);
        for restarted in [false, true] {
            if restarted {
                world.signal(Signal::TERM);
                assert_eq!(world.ended().code(), Some(0));
                world.start();
            }
            let workspace = world.directory("w");
            assert_eq!(workspace.wait()["verdict"], "pass", "{damage:.20}");
            let listed = workspace.runs();
            if damage == newer {
                assert_eq!(workspace.read(&path), newer, "a newer file was overwritten");
            }
            if damage == newer || !restarted {
                continue;
            }
            let of_run = listed.iter().find(|known| known["run_id"] == run.as_str());
            let of_run = of_run.unwrap_or_else(|| panic!("{damage:.20} {restarted}: {listed:#?}"));
            assert_eq!(of_run["status"], "succeeded", "{damage:.20}");
            let shown = workspace.done(&["show", &run, "--json"]).json();
            assert_eq!(
                (&shown["verdict"], &shown["stages"][0]["id"]),
                (&json!("pass"), &json!("check"))
            );
        }
    }
}

#[test]
fn a_torn_line_of_metrics_is_no_end_of_the_file() {
    let world = World::new();
    let (workspace, _) = with_history(&world);
    let metrics = workspace.read(".runs/t/metrics.json");
    workspace.write(
        ".runs/t/metrics.json",
        format!("{metrics}{{\"run_id\": \"torn"),
    );
    workspace.write("a.txt", "third\n");
    workspace.wait();
    let lines: Vec<String> = workspace
        .read(".runs/t/metrics.json")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    let newest: Value = serde_json::from_str(&lines[3]).unwrap();
    assert_eq!(newest["run_id"], workspace.runs()[0]["run_id"]);
}

#[test]
fn a_proof_that_cannot_be_read_proves_nothing() {
    let mut world = World::new();
    let (workspace, run) = with_history(&world);
    let path = workspace.root.join(format!(".runs/t/cli/{run}/orchd.json"));
    for damage in ["", "{\"schema\": 1, \"cau", "{\"schema\": 99}"] {
        world.signal(Signal::TERM);
        world.ended();
        std::fs::write(&path, damage).unwrap();
        world.start();
        let workspace = world.directory("w");
        let waited = workspace.wait();
        assert_eq!(waited["verdict"], "pass");
        assert_ne!(waited["projects"][0]["run_id"], run, "{damage}");
        assert_eq!(workspace.ctl(&["show", &run]).code, Some(0));
        // Without the proof that came after it.
        world.signal(Signal::TERM);
        world.ended();
        let newer = waited["projects"][0]["manifest"]
            .as_str()
            .unwrap()
            .replace("/manifest.json", "");
        std::fs::remove_dir_all(world.path("w").join(newer)).unwrap();
        world.start();
    }
}

#[test]
fn damaged_state_of_the_daemon_is_set_aside_and_newer_state_refused() {
    let mut world = World::new();
    drop(world.watched("w", &check("true")));
    for (file, loses) in [("workspaces.json", "registered"), ("trust.json", "allowed")] {
        let path = world.state().join(file);
        let whole = std::fs::read_to_string(&path).unwrap();
        for damage in ["", "{", &whole[..whole.len() / 2], "\u{0}\u{0}"] {
            world.signal(Signal::TERM);
            world.ended();
            std::fs::write(&path, damage).unwrap();
            world.start();
            let workspace = world.directory("w");
            let list = world.ctl(&["list", "--json"]).json();
            if loses == "registered" {
                assert_eq!(list["workspaces"], json!([]), "{damage}");
                workspace.done(&["add"]);
            } else {
                assert_eq!(workspace.ctl(&["wait"]).code, Some(2), "{damage}");
                workspace.done(&["allow"]);
            }
            assert_eq!(workspace.wait()["verdict"], "pass");
            let kept = names(&world.state())
                .into_iter()
                .filter(|name| name.starts_with(format!("{file}.corrupt-").as_bytes()));
            assert!(kept.count() > 0, "{file} was not set aside");
        }
        world.signal(Signal::TERM);
        world.ended();
        let newer = "{\"version\": 99, \"future\": true}";
        std::fs::write(&path, newer).unwrap();
        let refused = finish(world.orchd());
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.err.contains(file) && refused.err.contains("99"),
            "{refused:?}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), newer);
        std::fs::write(&path, &whole).unwrap();
        world.start();
    }
}

/// What `doctor` says of the daemon's own files.
fn of_state(world: &World) -> Value {
    let doctor = world.ctl(&["doctor", "--json"]).json();
    let mut checks = doctor["checks"].as_array().unwrap().iter();
    checks.find(|check| check["id"] == "state").unwrap().clone()
}

#[test]
fn state_that_is_damaged_while_the_daemon_lives_is_written_anew_of_what_it_knows() {
    let mut world = World::new();
    drop(world.watched("w", &check("true")));
    for (number, damage) in ["", "\u{0}\u{0}", "{\"version\": 1"]
        .into_iter()
        .enumerate()
    {
        for file in ["workspaces.json", "trust.json"] {
            let path = world.state().join(file);
            std::fs::write(&path, damage).unwrap();
            let said = of_state(&world);
            assert_eq!(said["state"], "warn", "{said}");
            assert!(said["detail"].as_str().unwrap().contains(file), "{said}");
            let name = format!("{number}-{file}");
            let other = world.directory(&name);
            other.write("orchd.toml", check("true"));
            other.done(&["add", "--allow"]);
            assert_eq!(other.wait()["verdict"], "pass");
            assert!(std::fs::read_to_string(&path).unwrap().contains(&name));
            drop(other);
            // The last thing that a daemon does is to leave whole files.
            std::fs::write(&path, damage).unwrap();
            world.signal(Signal::TERM);
            world.ended();
            world.start();
            for name in ["w", name.as_str()] {
                assert_eq!(world.directory(name).wait()["verdict"], "pass", "{name}");
            }
        }
    }
    assert_eq!(of_state(&world)["state"], "ok");
    let path = world.state().join("workspaces.json");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "{\"version\": 99}").unwrap();
    for alive in [true, false] {
        if !alive {
            world.signal(Signal::TERM);
            world.ended();
            assert_eq!(finish(world.orchd()).code, Some(1));
        }
        let said = of_state(&world);
        assert_eq!(said["state"], "fail", "{said}");
        let detail = said["detail"].as_str().unwrap();
        assert!(
            detail.contains("workspaces.json` has version 99")
                || !alive && detail.contains("workspaces.json has version 99"),
            "{said}"
        );
    }
    std::fs::write(&path, whole).unwrap();
}

#[test]
fn names_that_are_no_text_are_told_and_handed_on_byte_for_byte() {
    let world = World::new();
    let list = world.path("list");
    let workspace = world.watched(
        "w",
        &check(&format!("cp \"$ORCHD_CHANGED_FILES\" {}", list.display())),
    );
    let mut events = world.events();
    for name in [
        &b"a\xff\xfe b"[..],
        b"line\nbreak",
        b"dir\n\xff/f",
        b" \x1b[31m",
        b"-rf",
        "\u{e9}".as_bytes(),
        b"*",
    ] {
        let path = Path::new(OsStr::from_bytes(name));
        workspace.write(path, "x\n");
        let ended = events.until_type("run.ended");
        assert_eq!(ended["verdict"], "pass");
        let mut expected = name.to_vec();
        expected.push(0);
        assert_eq!(std::fs::read(&list).unwrap(), expected);
        let sidecar = workspace.json(
            &ended["manifest"]
                .as_str()
                .unwrap()
                .replace("manifest.json", "orchd.json"),
        );
        assert_eq!(sidecar["changed"]["count"], 1, "{sidecar}");
        workspace.write(path, "y\n");
        assert_eq!(events.until_type("run.ended")["verdict"], "pass");
        workspace.settle(&mut events);
    }
    assert_eq!(workspace.done(&["status"]).code, Some(0));
}

#[test]
fn what_is_no_directory_of_its_own_is_refused_or_served_beside() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    workspace.write("file", "x");
    workspace.sh("ln -s nowhere broken; ln -s w ../alias");
    for path in ["nowhere", "file", "broken"] {
        let refused = workspace.ctl(&["add", path, "--json"]);
        assert_eq!(refused.code, Some(2), "{path}: {refused:?}");
        assert!(refused.err.contains(path), "{path}: {refused:?}");
    }
    // Another name of the same directory is the same workspace.
    world.ctl(&["add", world.path("alias").to_str().unwrap()]);
    assert_eq!(
        world.ctl(&["list", "--json"]).json()["workspaces"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let inner = world.directory("w/inner");
    inner.write("orchd.toml", check("true").replace("\"t\"", "\"inner\""));
    let nested = inner.ctl(&["add", "--allow", "--json"]);
    if nested.code == Some(0) {
        assert_eq!(inner.wait()["projects"][0]["task_id"], "inner");
        let mut events = world.events();
        inner.write("a.txt", "inside\n");
        inner.wait();
        // The evidence of the inner one is no change of the outer one.
        workspace.settle(&mut events);
        workspace.wait();
        workspace.settle(&mut events);
        let changes = of_type(&events.heard, "change");
        let of_outer = changes.iter().filter(|change| change["task_id"] == "t");
        for change in of_outer {
            let paths = change["paths"].to_string();
            assert!(
                !paths.contains(".runs") && !paths.contains("/out/"),
                "{change}"
            );
        }
    } else {
        assert_eq!(nested.code, Some(2), "{nested:?}");
        assert!(nested.err.contains("inside"), "{nested:?}");
    }
    assert_eq!(workspace.ctl(&["wait"]).code, Some(0));
}

#[test]
fn where_no_evidence_can_be_written_there_is_no_verdict() {
    let world = World::new();
    let workspace = world.directory("w");
    let marker = world.path("marker");
    workspace.write("orchd.toml", check(&format!("touch {}", marker.display())));
    workspace.write(".runs", "a file where the evidence goes\n");
    workspace.done(&["add", "--allow"]);
    let refused = workspace.ctl(&["run", "--json"]);
    assert!([Some(3), Some(5)].contains(&refused.code), "{refused:?}");
    assert!(
        !refused.err.is_empty() && refused.json()["verdict"] != "pass",
        "{refused:?}"
    );
    assert!(!marker.exists(), "a stage ran without evidence");
    assert_eq!(workspace.read(".runs"), "a file where the evidence goes\n");
    assert_eq!(workspace.ctl(&["gate", "--no-wait"]).code, Some(3));
    std::fs::remove_file(workspace.root.join(".runs")).unwrap();
    assert_eq!(workspace.ctl(&["run"]).code, Some(0));
    assert!(workspace.has(workspace.runs()[0]["manifest"].as_str().unwrap()));
}

#[test]
fn garbage_on_the_socket_is_answered_and_costs_nobody_else_anything() {
    let world = World::new();
    let workspace = world.watched("w", &check("true"));
    let mut events = world.events();
    let deep = format!("{}{}\n", "[".repeat(100), "]".repeat(100));
    let large = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}\n",
        "x".repeat(1_100_000)
    );
    let closing = [deep.as_bytes(), large.as_bytes()];
    for bytes in closing {
        let mut client = Client::introduced(&world.socket());
        client.send(bytes);
        assert_eq!(client.line().unwrap()["error"]["data"]["kind"], "too_large");
        assert_eq!(client.line(), None);
    }
    let going_on: [&[u8]; 5] = [
        b"no json\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"frobnicate\"}\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"run.start\",\"params\":{\"tsak\":\"t\"}}\n",
    ];
    for bytes in going_on {
        let mut client = Client::introduced(&world.socket());
        client.send(bytes);
        let answer = client.line().unwrap();
        assert!(answer["error"]["code"].is_i64(), "{answer}");
        assert_eq!(answer["error"]["data"]["kind"], "unsupported", "{answer}");
    }
    let mut half = Client::introduced(&world.socket());
    half.send(b"{\"jsonrpc\":\"2.0\",");
    drop(half);
    workspace.write("a.txt", "goes on\n");
    assert_eq!(events.until_type("run.ended")["verdict"], "pass");
    let pinged = Client::connect(&world.socket()).ask("ping", &json!({}));
    assert_eq!(pinged["result"]["pid"], world.pid());
}

#[test]
fn what_stands_where_evidence_has_to_be_is_named_with_the_remedy() {
    const LINK: &str = "it is a symbolic link, and evidence has to be in a directory of the workspace: put a directory in its place";
    const FILE: &str = "it is no directory, and evidence has to be in one: move it away";
    let world = World::new();
    for (name, line, path, said) in [
        ("a", "mkdir x; ln -s x .runs", ".runs", LINK),
        ("b", "ln -s nowhere .runs", ".runs", LINK),
        ("c", "touch .runs", ".runs", FILE),
        ("d", "mkdir x; ln -s x out", "out", LINK),
    ] {
        let workspace = world.directory(name);
        workspace.sh(line);
        let toml = check("true").replace("\"t\"", &format!("\"{name}\""));
        workspace.write("orchd.toml", toml);
        workspace.done(&["add", "--allow"]);
        let run = workspace.ctl(&["run"]);
        assert_eq!(run.code, Some(3), "{run:?}");
        let reason = format!("`{}`: {said}", workspace.root.join(path).display());
        let words = format!("{}{}", run.out, run.err);
        assert!(words.contains(&reason), "{reason}: {run:?}");
        let last = workspace.status()["projects"][0]["last_run"].clone();
        let detail = last["status_detail"].as_str().unwrap();
        assert!(detail.contains(&reason), "{detail}");
    }
    // A run elsewhere is found all the same.
    let sound = world.directory("e");
    sound.write("orchd.toml", check("true").replace("\"t\"", "\"e\""));
    sound.done(&["add", "--allow"]);
    let run = sound.wait()["projects"][0]["run_id"].clone();
    let shown = world.ctl(&["show", run.as_str().unwrap(), "--json"]);
    assert_eq!(shown.json()["run_id"], run, "{shown:?}");
    let unknown = world.ctl(&["show", "nothing-like-it"]);
    assert!(
        unknown.err.contains("/.runs`: it is"),
        "nobody could look everywhere: {unknown:?}"
    );
}

#[test]
fn a_manifest_that_is_torn_meanwhile_is_made_again_and_never_hides_its_run() {
    let world = World::new();
    let (workspace, _) = with_history(&world);
    // A look that meets a torn manifest has it proven anew: there may be more runs than these, never fewer.
    let runs = workspace.runs();
    assert_eq!(runs.len(), 2);
    for damage in ["", "{\"version\": 1, \"ta"] {
        for run in &runs {
            let id = run["run_id"].as_str().unwrap();
            let path = run["manifest"].as_str().unwrap();
            workspace.write(path, damage);
            // Somebody may be writing it just now; how long ago now was, the test's own time does not decide.
            workspace.sh(&format!("touch -d '1 hour' {path}"));
            let early = workspace.ctl(&["show", id, "--json"]);
            let error = early.json()["error"].clone();
            assert_eq!((early.code, &error["kind"]), (Some(3), &json!("busy")));
            let said = error["message"].as_str().unwrap();
            assert!(said.contains(path) && said.contains("damaged"), "{said}");
            workspace.sh(&format!("touch -d '1 minute ago' {path}"));
            let shown = workspace.done(&["show", id, "--json"]).json();
            for field in ["run_id", "task_id", "pipeline_id", "status", "verdict"] {
                assert_eq!(shown[field], run[field], "{shown}");
            }
            assert_eq!(workspace.json(path)["status"], run["status"]);
        }
    }
    for run in &runs {
        let path = run["manifest"].as_str().unwrap();
        workspace.write(path, "");
        workspace.sh(&format!("touch -d '1 minute ago' {path}"));
    }
    let listed = workspace.runs();
    for run in &runs {
        let healed = listed.iter().find(|one| one["run_id"] == run["run_id"]);
        let healed = healed.unwrap_or_else(|| panic!("a list makes them again too: {listed:#?}"));
        assert_eq!(healed["status"], run["status"]);
    }
    assert_eq!(workspace.wait()["verdict"], "pass");
    // What a newer version wrote is named, and left alone.
    let path = runs[0]["manifest"].as_str().unwrap();
    let newer = workspace
        .read(path)
        .replace("\"version\": 1", "\"version\": 99");
    workspace.write(path, &newer);
    workspace.sh(&format!("touch -d '1 minute ago' {path}"));
    let refused = workspace.ctl(&["show", runs[0]["run_id"].as_str().unwrap()]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains(path) && refused.err.contains("version 99"),
        "{refused:?}"
    );
    assert_eq!(workspace.read(path), newer);
}

//! `--no-daemon`: what is proven is answered without a watch and without a write, and what runs is watched.

use crate::support::{Running, World, check, finish, is_had, names};

#[test]
fn what_is_edited_while_it_runs_without_a_daemon_is_run_again() {
    let world = World::new();
    let (here, go) = (world.fifo("here"), world.fifo("go"));
    let workspace = world.directory("w");
    workspace.write("d/f", "one");
    let command = format!("echo here > {}; cat {} d/f", here.display(), go.display());
    workspace.write("orchd.toml", check(&command));
    workspace.done(&["allow"]);
    let gate = Running::of(workspace.orchctl(&["gate", "--no-daemon", "--json"]));
    assert_eq!(world.heard(&here), "here\n");
    workspace.write("d/f", "two");
    workspace.write("d/new/g", "1");
    world.say(&go, "go\n");
    assert_eq!(
        world.heard(&here),
        "here\n",
        "the content changed, so it runs again"
    );
    world.say(&go, "go\n");
    let gate = gate.end();
    assert_eq!(gate.code, Some(0), "{gate:?}");
    let cli = workspace.root.join(".runs/t/cli");
    let runs = names(&cli)
        .into_iter()
        .map(|run| String::from_utf8(run).unwrap());
    let runs: Vec<String> = runs.collect();
    let verdict =
        |run: &String| workspace.json(&format!(".runs/t/cli/{run}/orchd.json"))["verdict"].clone();
    let verdicts: Vec<_> = runs.iter().map(verdict).collect();
    assert_eq!(verdicts, ["unknown", "pass"], "the oldest first");
    assert_eq!(gate.json()["projects"][0]["run_id"], runs[1].as_str());
}

#[test]
fn what_is_proven_is_answered_without_a_daemon_by_looking_alone() {
    let world = World::new();
    let workspace = world.directory("w");
    for number in 0..40 {
        workspace.write(format!("d{}/f{number}", number % 5), "1");
    }
    workspace.write("orchd.toml", check("true"));
    workspace.done(&["allow"]);
    let hosted = ["gate", "--no-daemon", "--json"];
    let first = workspace.done(&hosted).json()["projects"][0].clone();
    assert_eq!(first["verdict"], "pass");
    // What was read right after it was written is read, and written down, once more.
    workspace.done(&hosted);
    if !is_had(
        &["strace", "-qqo", "/dev/null", "true"],
        "nobody sees what it does",
    ) {
        return;
    }
    let trace = world.path("trace");
    let mut strace = world.command("strace");
    let calls = "trace=inotify_init1,inotify_add_watch,fsync,fdatasync,rename,renameat,renameat2,link,linkat,mkdir,mkdirat";
    strace
        .args(["-f", "-qq", "-z", "-e", calls, "-o"])
        .arg(&trace);
    strace.arg(env!("CARGO_BIN_EXE_orchctl")).args(hosted);
    strace.current_dir(&workspace.root);
    let state = workspace.json("out/t/state.json");
    let second = finish(strace);
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(second.json()["projects"][0]["run_id"], first["run_id"]);
    assert_eq!(std::fs::read_to_string(&trace).unwrap(), "");
    assert_eq!(workspace.json("out/t/state.json"), state);
    assert_eq!(state["orchd"]["verdict"], "pass");
    // What is not is said where everybody reads it.
    workspace.write("d0/f0", "2");
    let unknown = workspace.ctl(&["gate", "--no-daemon", "--no-wait", "--json"]);
    assert_eq!(unknown.code, Some(3), "{unknown:?}");
    let standing = || workspace.json("out/t/state.json")["orchd"]["verdict"].clone();
    assert_eq!(standing(), "unknown");
    workspace.write("d0/f0", "1");
    let again = workspace.done(&hosted).json()["projects"][0].clone();
    assert_eq!(again["run_id"], first["run_id"]);
    assert_eq!(standing(), "pass");
}

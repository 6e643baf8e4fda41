//! What a daemon knows of files outlives it: the next one reads none of them again, and believes none that has changed.

use crate::deadline::within;
use crate::support::{Workspace, World, check, finish, is_had, names};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A workspace of some files with one stage.
fn many(world: &World) -> Workspace<'_> {
    let workspace = world.directory("w");
    for number in 0..40 {
        workspace.write(
            format!("src/d{}/content{number}", number % 4),
            number.to_string(),
        );
    }
    workspace.write("large", "x".repeat(100_000));
    workspace.write("orchd.toml", check("true"));
    workspace
}

fn cache(world: &World) -> Vec<Vec<u8>> {
    let dir = world.state().join("stat-cache");
    if dir.exists() {
        names(&dir)
    } else {
        Vec::new()
    }
}

/// The files of stages that were opened, by what strace has written.
fn opened(trace: &Path) -> Vec<String> {
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(trace.contains("openat("), "{trace}");
    let files = trace.lines().filter(|line| {
        let is_content = line.contains("content") || line.contains("large");
        is_content && !line.contains("O_DIRECTORY")
    });
    files.map(str::to_owned).collect()
}

const CALLS: &str = "trace=open,openat,openat2";

fn gate(workspace: &Workspace<'_>) -> Value {
    workspace.done(&["gate", "--json"]).json()["projects"][0].clone()
}

#[test]
fn after_a_restart_the_verdict_stands_and_no_file_is_read() {
    let mut world = World::new();
    let workspace = many(&world);
    workspace.done(&["add", "--allow"]);
    let root = workspace.root.clone();
    workspace.wait();
    let before = gate(&workspace);
    assert_eq!(before["verdict"], "pass");
    let first = before["run_id"].clone();
    // What was written right before it was read is no proof: the second daemon reads it, and the third need not.
    for _ in 0..2 {
        world.ctl(&["shutdown"]);
        world.ended();
        assert_eq!(cache(&world).len(), 1);
        world.start();
        let workspace = Workspace {
            world: &world,
            root: root.clone(),
        };
        assert_eq!(gate(&workspace)["run_id"], first);
    }
    world.ctl(&["shutdown"]);
    world.ended();
    if !is_had(
        &["strace", "-qqo", "/dev/null", "true"],
        "nobody sees what is read",
    ) {
        return;
    }
    let trace = world.path("trace");
    let text = trace.to_str().unwrap().to_owned();
    world.wrap(&["strace", "-f", "-qq", "-e", CALLS, "-o", &text]);
    world.start();
    let workspace = Workspace {
        world: &world,
        root: root.clone(),
    };
    let after = gate(&workspace);
    assert_eq!(after["run_id"], first);
    assert_eq!(after["input_digest"], before["input_digest"]);
    world.ctl(&["shutdown"]);
    world.ended();
    assert_eq!(opened(&trace), <Vec<String>>::new());
    // An edit of the same size while nobody watches, its time put back.
    let workspace = Workspace {
        world: &world,
        root,
    };
    workspace
        .sh("touch -r src/d1/content1 ../then && echo -n 7 > src/d1/content1 && touch -r ../then src/d1/content1");
    std::fs::remove_file(&trace).unwrap();
    world.start();
    let workspace = Workspace {
        world: &world,
        root: world.path("w"),
    };
    let edited = gate(&workspace);
    assert_ne!(edited["input_digest"], before["input_digest"]);
    assert_ne!(edited["run_id"], first);
    let read = opened(&trace);
    assert!(
        !read.is_empty() && read.iter().all(|line| line.contains("content1")),
        "{read:?}"
    );
    world.ctl(&["shutdown"]);
    world.ended();
}

#[test]
fn a_daemon_that_is_killed_has_written_down_what_its_first_look_read() {
    let mut world = World::new();
    let workspace = many(&world);
    workspace.done(&["add", "--allow"]);
    workspace.wait();
    world.ctl(&["shutdown"]);
    world.ended();
    std::fs::remove_dir_all(world.state().join("stat-cache")).unwrap();
    world.start();
    let state: PathBuf = world.state();
    let workspace = Workspace {
        world: &world,
        root: world.path("w"),
    };
    gate(&workspace);
    within("nothing was written down", move || {
        let is_written = |name: &Vec<u8>| name.ends_with(b".stat");
        let dir = state.join("stat-cache");
        while !(dir.exists() && names(&dir).iter().any(is_written)) {
            std::thread::yield_now();
        }
    });
    world.kill();
    world.start();
    let workspace = Workspace {
        world: &world,
        root: world.path("w"),
    };
    assert_eq!(gate(&workspace)["verdict"], "pass");
    workspace.done(&["remove", workspace.root()]);
    // It goes with the watches, after the answer.
    let is_gone = |_| world.ctl(&["status"]).code == Some(0) && cache(&world).is_empty();
    assert!((0..1_000).any(is_gone));
}

#[test]
fn without_a_daemon_it_is_the_same() {
    let world = World::new();
    let workspace = many(&world);
    workspace.done(&["allow"]);
    let hosted = ["gate", "--no-daemon", "--json"];
    let first = workspace.done(&hosted).json()["projects"][0].clone();
    assert_eq!(first["verdict"], "pass");
    workspace.done(&hosted);
    assert_eq!(cache(&world).len(), 1);
    if !is_had(
        &["strace", "-qqo", "/dev/null", "true"],
        "nobody sees what is read",
    ) {
        return;
    }
    let trace = world.path("trace");
    let mut strace = world.command("strace");
    strace.args(["-f", "-qq", "-e", CALLS, "-o"]).arg(&trace);
    strace.arg(env!("CARGO_BIN_EXE_orchctl")).args(hosted);
    strace.current_dir(&workspace.root);
    let second = finish(strace);
    assert_eq!(second.code, Some(0), "{second:?}");
    let second = second.json()["projects"][0].clone();
    assert_eq!(second["run_id"], first["run_id"]);
    assert_eq!(opened(&trace), <Vec<String>>::new());
    // It is a cache: without it, or with what somebody else left there, the answer is the same.
    let file = world.state().join("stat-cache");
    let file = file.join(std::str::from_utf8(&cache(&world)[0]).unwrap());
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for bytes in [
        &damaged[..],
        &whole[..whole.len() / 2],
        b"",
        &[&whole[..], b"x"].concat(),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let again = workspace.done(&hosted).json()["projects"][0].clone();
        assert_eq!(again["input_digest"], first["input_digest"]);
        assert_eq!(again["run_id"], first["run_id"]);
    }
}

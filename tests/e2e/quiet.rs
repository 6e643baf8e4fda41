//! What must trigger nothing: same bytes, declared outputs, ignored directories, git's own files, evidence.

use crate::events::{Events, of_type};
use crate::support::{Workspace, World, check, lines, pipeline};
use serde_json::Value;

/// So long that nobody looks by itself: content that is there for a moment, while a line of shell is at work, is never
/// looked at. Whoever asks has it looked at once.
const QUIET: &str = "[workspace]\nsettle_ms = 60000\nsettle_max_ms = 60000\n";

/// Does it, and looks that nothing of a project came of it.
fn nothing_comes_of(workspace: &Workspace<'_>, events: &mut Events, act: &str) {
    workspace.settle(events);
    let runs = workspace.runs().len();
    workspace.sh(act);
    let happened = workspace.settle(events);
    // A file that is written in place is empty for a moment, and then nothing is known for that moment.
    let others: Vec<&Value> = happened
        .iter()
        .filter(|event| event["type"] != "verdict")
        .collect();
    assert_eq!(others, Vec::<&Value>::new(), "{act}");
    let gate = workspace.done(&["gate", "--no-wait", "--json"]).json();
    assert_eq!(gate["verdict"], "pass", "{act}");
    assert_eq!(workspace.runs().len(), runs, "{act}");
}

#[test]
fn the_same_bytes_trigger_nothing() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", format!("{QUIET}{}", check("cat a.txt")));
    workspace.write("a.txt", "one\n");
    workspace.write("big.bin", vec![7_u8; 3_000_000]);
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    let acts = [
        "echo one > a.txt",
        "touch a.txt",
        "echo one > b && mv b a.txt",
        "cp a.txt b && rm b",
        "head -c 3000000 big.bin > ../copy && cat ../copy > big.bin",
        "mkdir empty",
        "rmdir empty",
        "chmod 600 a.txt",
    ];
    for act in acts {
        nothing_comes_of(&workspace, &mut events, act);
    }
}

#[test]
fn content_that_was_proven_before_runs_nothing() {
    let world = World::new();
    let counter = world.path("counter");
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        check(&format!("echo >> {}", counter.display())),
    );
    workspace.write("a.txt", "one\n");
    workspace.done(&["add", "--allow"]);
    let first = workspace.wait();
    workspace.write("a.txt", "two\n");
    let second = workspace.wait();
    assert_ne!(
        first["projects"][0]["input_digest"],
        second["projects"][0]["input_digest"]
    );
    workspace.write("a.txt", "one\n");
    let third = workspace.wait();
    assert_eq!(
        third["projects"][0]["input_digest"],
        first["projects"][0]["input_digest"]
    );
    assert_eq!(third["verdict"], "pass");
    assert_eq!(lines(&counter), 2, "{third}");
}

#[test]
fn outputs_ignored_files_and_evidence_trigger_nothing() {
    let world = World::new();
    let workspace = world.directory("w");
    let mut toml = format!("{QUIET}ignore = [\"*.snap.new\"]\n");
    toml += &pipeline(&[(
        "build",
        "command = 'mkdir -p dist && date +%N > dist/stamp'\noutputs = [\"dist/**\"]",
    )]);
    workspace.write("orchd.toml", toml);
    workspace.write(".gitignore", "node_modules/\n*.log\n");
    workspace.write("a.txt", "one\n");
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    let acts = [
        "echo by hand > dist/stamp",
        "mkdir -p node_modules/x/y && echo 1 > node_modules/x/y/z",
        "echo 2 > node_modules/x/y/z",
        "rm -r node_modules",
        "echo > a.log",
        "echo > a.snap.new",
        "echo > .runs/stray && rm .runs/stray",
        "echo > out/t/stray && rm out/t/stray",
        "rm -r dist",
    ];
    for act in acts {
        nothing_comes_of(&workspace, &mut events, act);
    }
    let watches = world.status()["daemon"]["watches"].as_u64().unwrap();
    workspace.sh("for i in 1 2 3 4 5 6 7 8 9; do mkdir -p node_modules/$i/a/b; done");
    workspace.settle(&mut events);
    let with_modules = world.status()["daemon"]["watches"].as_u64().unwrap();
    assert!(
        with_modules <= watches + 1,
        "{watches} became {with_modules}"
    );
}

#[test]
fn git_triggers_only_what_it_does_to_the_files() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("cat a.txt"));
    workspace.write(".gitignore", "/.runs/\n/out/\n");
    workspace.write("a.txt", "one\n");
    workspace.sh("git init -q -b main && git add . && git commit -qm one && git checkout -qb other && echo two > a.txt && git commit -qam two && git checkout -q main");
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    for act in [
        "git status",
        "git branch third",
        "git commit -q --allow-empty -m nothing",
        "git gc -q",
        "git tag x",
        "git stash list",
        "git checkout -q -b same",
    ] {
        nothing_comes_of(&workspace, &mut events, act);
    }
    workspace.sh("git checkout -q other");
    let started = events.until_type("run.started");
    assert_eq!(
        (&started["cause"], &started["paths"]),
        (&"change".into(), &serde_json::json!(["a.txt"]))
    );
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "two\n");
    workspace.settle(&mut events);
    assert_eq!(of_type(&events.heard, "run.started").len(), 1);
}

/// What the daemon's inotify instances watch: the inode and the mask of each, by instance.
fn watched(pid: u32) -> Vec<Vec<(u64, u32)>> {
    let infos = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let texts = infos
        .flatten()
        .map(|info| std::fs::read_to_string(info.path()));
    let watches = texts.flatten().map(|text| {
        let lines = text.lines().filter(|line| line.starts_with("inotify "));
        let field = |line: &str, name: &str| {
            let fields = line.split(' ').find_map(|field| field.strip_prefix(name));
            u64::from_str_radix(fields.unwrap(), 16).unwrap()
        };
        let one = |line| {
            (
                field(line, "ino:"),
                u32::try_from(field(line, "mask:")).unwrap(),
            )
        };
        lines.map(one).collect::<Vec<_>>()
    });
    watches.filter(|watches| !watches.is_empty()).collect()
}

#[test]
fn one_instance_watches_and_a_busy_directory_above_a_root_costs_nothing() {
    use std::os::unix::fs::MetadataExt as _;
    let world = World::new();
    for name in ["up/mid/one", "up/mid/two", "other"] {
        world.watched(
            name,
            &check("true")
                .replace("\"t\"", &format!("{name:?}"))
                .replace("up/mid/", ""),
        );
    }
    let instances = watched(world.pid());
    assert_eq!(instances.len(), 1, "{instances:?}");
    let mask = |path: &str| {
        let inode = std::fs::metadata(world.path(path)).unwrap().ino();
        let found = instances[0].iter().find(|(held, _)| *held == inode);
        found.unwrap_or_else(|| panic!("{path} is not watched")).1
    };
    // As inotify(7) has them; of the rest, nothing is about the names or the files in a directory.
    let (content, opened, names) = (0x2 | 0x8, 0x20, 0x40 | 0x80 | 0x100 | 0x200);
    let itself = 0x400 | 0x800;
    for (path, asked, not) in [
        ("up/mid/one", content | names | itself, opened),
        ("up/mid", names | itself, content | opened),
        ("up", itself, names | content | opened),
        ("home", content | names | itself, opened),
    ] {
        let mask = mask(path);
        assert_eq!((mask & asked, mask & not), (asked, 0), "{path}: {mask:x}");
    }
}

#[test]
fn what_git_tracks_triggers_though_it_is_ignored_and_what_lies_beside_it_does_not() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("cat build/deep/kept"));
    workspace.write(".gitignore", "/.runs/\n/out/\nbuild/\n");
    workspace.write("build/deep/kept", "one\n");
    workspace.sh("git init -q && git add -f build/deep/kept");
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    workspace.write("build/deep/kept", "two\n");
    let started = events.until_type("run.started");
    assert_eq!(
        (&started["cause"], &started["paths"]),
        (&"change".into(), &serde_json::json!(["build/deep/kept"]))
    );
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "two\n");
    let explained = workspace.done(&["explain", "build/deep/kept", "--json"]);
    let explained = explained.json();
    assert_eq!(explained["ignored"], Value::Null);
    assert_eq!(explained["tracked"]["rule"], "build/", "{explained}");
    for act in [
        "echo beside > build/deep/other",
        "mkdir -p build/new && echo 1 > build/new/f",
        "rm -r build/new build/deep/other",
    ] {
        nothing_comes_of(&workspace, &mut events, act);
    }
    workspace.sh("git rm -q -f --cached build/deep/kept");
    let started = events.until_type("run.started");
    let gone = serde_json::json!(["build/deep/kept"]);
    assert_eq!(started["paths"], gone, "the index tells of it by itself");
    assert_eq!(workspace.wait()["verdict"], "pass");
    let asked = workspace.runs();
    assert_eq!(
        asked.len(),
        3,
        "without it the content is another: {asked:?}"
    );
    nothing_comes_of(&workspace, &mut events, "echo three > build/deep/kept");
}

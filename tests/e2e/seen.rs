//! Nothing is lost: new trees, however they come, are told file by file, and what lies in them is watched.

use crate::events::{Events, of_type};
use crate::support::{Workspace, World, check, finish, pipeline};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

/// The files below a directory, relative to `root`.
fn files(root: &Path, below: &Path, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(below).unwrap().flatten() {
        let path = entry.path();
        if entry.file_name() == ".git" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            files(root, &path, into);
        } else {
            into.insert(
                path.strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
}

fn tree(workspace: &Workspace<'_>, below: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    files(&workspace.root, &workspace.root.join(below), &mut all);
    all
}

/// The paths that changes told; nothing where one said "everything may have changed".
fn told(events: &[Value]) -> Option<BTreeSet<String>> {
    let mut paths = BTreeSet::new();
    for change in of_type(events, "change") {
        change["count"].as_u64()?;
        let list = change["paths"].as_array().unwrap();
        paths.extend(list.iter().map(|path| path.as_str().unwrap().to_owned()));
    }
    Some(paths)
}

/// Does it, and looks whether every file that is there now was told, watched, and read by the last run.
fn appears(workspace: &Workspace<'_>, events: &mut Events, below: &str, act: &str) {
    workspace.settle(events);
    workspace.sh(act);
    let happened = workspace.settle(events);
    let expected = tree(workspace, below);
    assert!(expected.len() > 2, "{act} made {expected:?}");
    if let Some(told) = told(&happened) {
        let lost: Vec<_> = expected.difference(&told).collect();
        assert!(lost.is_empty(), "{act}: lost {lost:?}");
    }
    let deep = expected
        .iter()
        .max_by_key(|path| path.matches('/').count())
        .unwrap();
    workspace.write(deep, format!("written after {act}\n"));
    let happened = workspace.settle(events);
    let told = told(&happened);
    assert!(
        told.as_ref().is_none_or(|told| told.contains(deep)),
        "{act}: {deep} is not watched: {told:?}"
    );
    assert!(
        !of_type(&happened, "change").is_empty(),
        "{act}: {deep} is not watched"
    );
    assert_eq!(workspace.wait()["verdict"], "pass");
    let seen = workspace.done(&["logs"]).out;
    let seen: BTreeSet<String> = seen
        .lines()
        .map(|line| line.trim_start_matches("./").to_owned())
        .collect();
    let missing: Vec<_> = tree(workspace, below)
        .into_iter()
        .filter(|path| !seen.contains(path))
        .collect();
    assert!(
        missing.is_empty(),
        "{act}: the last run did not see {missing:?}"
    );
}

const LIST: &str =
    "find . -name .git -prune -o -name .runs -prune -o -name out -prune -o -type f -print";

#[test]
fn directories_that_appear_lose_no_file() {
    let world = World::new();
    let workspace = world.watched("w", &check(LIST));
    let mut events = world.events();
    workspace.sh("mkdir ../full && cd ../full && for d in a b c d e f g h; do mkdir -p $d/in/deep; for f in 1 2; do echo $d$f > $d/$f; echo $d$f > $d/in/deep/$f; done; done");
    workspace.sh("cd .. && tar cf full.tar full && cp -r full moved && cp -r full repo && cd repo && git init -q && git add . && git commit -qm a");
    let acts = [
        (
            "a",
            "mkdir -p a/b/c && echo x > a/b/c/f && echo y > a/b/c/g && echo z > a/b/c/h",
        ),
        (
            "many",
            "for i in 1 2 3 4 5 6 7 8 9; do mkdir -p many/$i/b/c && echo x > many/$i/b/c/f; done",
        ),
        ("copied", "cp -r ../full copied"),
        ("cloned", "git clone -q ../repo cloned"),
        ("full", "tar xf ../full.tar"),
        ("moved", "mv ../moved moved"),
        ("renamed", "mv moved renamed"),
    ];
    for (below, act) in acts {
        appears(&workspace, &mut events, below, act);
    }
}

#[test]
fn every_way_of_saving_a_file_is_seen() {
    let world = World::new();
    let workspace = world.watched("w", &check("cat a.txt 2>/dev/null || true"));
    let mut events = world.events();
    let ways = [
        "echo 1 > a.txt",
        "echo 2 >> a.txt",
        "sed -i s/1/3/ a.txt",
        "cp a.txt a.txt~ && mv a.txt~ backup && echo 4 > a.txt",
        "echo 5 > .a.txt.tmp && mv .a.txt.tmp a.txt",
        "echo 6 > ../outside && mv ../outside a.txt",
        "echo 7 > ../linked && rm a.txt && ln ../linked a.txt",
        "chmod +x a.txt",
        "rm a.txt",
        "ln -s nowhere a.txt",
        "ln -sfn elsewhere a.txt",
        "rm a.txt && mkdir a.txt && echo 8 > a.txt/b",
        "mv a.txt ../gone",
    ];
    for way in ways {
        workspace.settle(&mut events);
        workspace.sh(way);
        let happened = workspace.settle(&mut events);
        let told = told(&happened);
        assert!(
            told.as_ref()
                .is_none_or(|told| told.iter().any(|path| path.starts_with("a.txt"))),
            "{way}: {told:?}"
        );
        assert_eq!(workspace.wait()["verdict"], "pass", "{way}");
    }
}

#[test]
fn a_change_right_after_add_is_seen() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("cat a.txt"));
    workspace.write("a.txt", "before\n");
    let mut events = world.events();
    workspace.done(&["add", "--allow"]);
    workspace.write("a.txt", "after\n");
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.settle(&mut events);
    assert_eq!(workspace.done(&["logs"]).out, "after\n");
}

#[test]
fn an_ignore_file_is_obeyed_as_it_stands_now() {
    let world = World::new();
    let workspace = world.watched("w", &check("cat gen/a.txt || true"));
    workspace.write("gen/a.txt", "one\n");
    assert_eq!(workspace.wait()["verdict"], "pass");
    let mut events = world.events();
    workspace.write(".gitignore", "/gen/\n");
    workspace.wait();
    workspace.settle(&mut events);
    workspace.write("gen/a.txt", "two\n");
    assert_eq!(
        of_type(&workspace.settle(&mut events), "change"),
        Vec::<&Value>::new()
    );
    let explained = workspace.done(&["explain", "gen/a.txt", "--json"]).json();
    assert_eq!(explained["ignored"]["rule"], "/gen/", "{explained}");
    std::fs::remove_file(workspace.root.join(".gitignore")).unwrap();
    workspace.wait();
    workspace.settle(&mut events);
    workspace.write("gen/a.txt", "three\n");
    let happened = workspace.settle(&mut events);
    assert_eq!(
        told(&happened).unwrap(),
        BTreeSet::from(["gen/a.txt".to_owned()])
    );
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "three\n");
}

#[test]
fn what_a_stage_declares_triggers_it_though_it_is_ignored() {
    let world = World::new();
    let named = "command = \"cat .env dist/*/f || true\"\ninputs = [\".env\", \"dist/**\"]";
    let toml = pipeline(&[("named", named), ("rest", "command = \"true\"")]);
    let workspace = world.watched("w", &toml);
    workspace.write(".gitignore", ".env\n/dist/\n/node_modules/\n");
    assert_eq!(workspace.wait()["verdict"], "pass");
    let watches = || world.status()["daemon"]["watches"].as_u64().unwrap();
    let mut events = world.events();
    workspace.settle(&mut events);
    let before = watches();
    for (path, text) in [
        (".env", "one\n"),
        ("dist/in/f", "two\n"),
        (".env", "three\n"),
    ] {
        workspace.write(path, text);
        let happened = workspace.settle(&mut events);
        let told = told(&happened);
        assert_eq!(told, Some(BTreeSet::from([path.to_owned()])), "{path}");
        assert_eq!(workspace.wait()["verdict"], "pass");
    }
    assert_eq!(workspace.done(&["logs"]).out, "three\ntwo\n");
    assert_eq!(watches(), before + 2, "dist and dist/in");
    workspace.write("node_modules/m/f", "1");
    let happened = workspace.settle(&mut events);
    assert_eq!(of_type(&happened, "change"), Vec::<&Value>::new());
    assert_eq!(watches(), before + 2);
    let explained = workspace.done(&["explain", "dist/in/f", "--json"]).json();
    assert_eq!(explained["declared"]["rule"], "/dist/", "{explained}");
    let stages = &explained["projects"][0]["stages"];
    assert_eq!(stages.as_array().unwrap().len(), 1, "{explained}");
    assert_eq!(stages[0]["stage"], "named");
}

#[test]
fn a_tracked_file_is_content_whatever_its_name() {
    let world = World::new();
    let workspace = world.watched("w", &check("! grep -q BAD *.txt notes~ m~/f"));
    for name in ["gen.tmp-notes.txt", "notes~", "m~/f"] {
        workspace.write(name, "ok\n");
        workspace.sh(&format!(
            "git init -q; git add -f '{name}' && git commit -qm a"
        ));
        assert_eq!(workspace.wait()["verdict"], "pass", "{name}");
        workspace.write(name, "BAD\n");
        assert_eq!(workspace.wait()["verdict"], "fail", "{name}");
        let gate = workspace.ctl(&["gate", "--no-wait"]);
        assert_eq!(gate.code, Some(1), "{name}: {gate:?}");
        workspace.write(name, "ok\n");
    }
}

/// Runs a shell line above the workspaces; it must succeed.
fn above(world: &World, line: &str) {
    let mut command = world.command("/bin/sh");
    command.args(["-ec", line]);
    let done = finish(command);
    assert_eq!(done.code, Some(0), "{line}: {done:?}");
}

fn is_state(state: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["type"] == "workspace" && event["state"] == state
}

fn is_verdict(verdict: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["type"] == "verdict" && event["verdict"] == verdict
}

#[test]
fn a_directory_above_a_root_that_goes_or_is_swapped_is_seen_though_nobody_asks() {
    let world = World::new();
    let workspace = world.watched("g/b/a", &check("! grep -q BAD f"));
    workspace.write("f", "ok\n");
    workspace.wait();
    let mut events = world.events();
    workspace.settle(&mut events);
    for gone in ["g", "g/b"] {
        above(&world, &format!("mv {gone} gone"));
        events.until(is_state("missing"));
        above(&world, &format!("mv gone {gone}"));
        events.until(is_state("watching"));
        events.until(is_verdict("pass"));
    }
    // The parent and those above it, each more than once.
    let swapped = ["g/b", "g/b", "g/b", "g", "g", "g/b", "g"];
    for (number, swapped) in swapped.into_iter().enumerate() {
        let old = format!("old-{number}");
        above(
            &world,
            &format!(
                "cp -r {swapped} new; echo BAD > new/{}/f; mv {swapped} {old}; mv new {swapped}",
                Path::new("g/b/a").strip_prefix(swapped).unwrap().display()
            ),
        );
        events.until(is_verdict("fail"));
        workspace.write("f", "ok\n");
        events.until(is_verdict("pass"));
    }
}

#[test]
fn rules_outside_of_a_workspace_are_obeyed_as_they_stand_though_nobody_asks() {
    let world = World::new();
    above(
        &world,
        "git init -q repo && mkdir repo/pkg && echo one > repo/pkg/x.log",
    );
    let workspace = world.watched("repo/pkg", &check("true"));
    let mut events = world.events();
    let places = [
        "repo/.gitignore",
        "repo/.ignore",
        "repo/.git/info/exclude",
        "home/.config/git/ignore",
    ];
    for place in places {
        workspace.settle(&mut events);
        // The directories of the last one are not there yet.
        let directory = Path::new(place).parent().unwrap().display();
        above(
            &world,
            &format!("mkdir -p {directory} && echo '*.log' > {place}"),
        );
        let change = events.until_type("change");
        assert_eq!(change["paths"], serde_json::json!(["x.log"]), "{place}");
        workspace.settle(&mut events);
        above(
            &world,
            &format!("echo > {place}.new && mv {place}.new {place}"),
        );
        let change = events.until_type("change");
        assert_eq!(change["paths"], serde_json::json!(["x.log"]), "{place}");
    }
    workspace.settle(&mut events);
    above(
        &world,
        "echo '*.log' > mine && echo \"[core]\nexcludesFile = $PWD/mine\" > home/.gitconfig",
    );
    let change = events.until_type("change");
    assert_eq!(change["paths"], serde_json::json!(["x.log"]));
}

#[test]
fn a_directory_that_is_removed_and_made_again_is_seen_and_leaves_no_line_in_the_log() {
    let world = World::new();
    let workspace = world.watched("w", &check("cat d/*/f 2>/dev/null || true"));
    let mut events = world.events();
    let make = "for i in 1 2 3 4 5 6 7 8 9; do mkdir -p d/$i/e; echo one > d/$i/f; done";
    workspace.sh(make);
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.sh(&format!("rm -r d; {make}; rm -r d"));
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.sh(make);
    assert_eq!(workspace.wait()["verdict"], "pass");
    workspace.settle(&mut events);
    workspace.write("d/5/f", "two\n");
    let change = events
        .until(|event| event["type"] == "change" && event["paths"] == serde_json::json!(["d/5/f"]));
    assert_eq!(change["task_id"], "t", "{change}");
    for log in std::fs::read_dir(world.state().join("logs")).unwrap() {
        let text = std::fs::read_to_string(log.unwrap().path()).unwrap();
        assert!(text.contains("INFO"), "{text}");
        assert!(!text.contains("notify"), "{text}");
    }
}

/// A configuration with self-audits as often as one may want them.
fn audited(command: &str) -> String {
    format!(
        "[workspace]\naudit = \"1s\"\npoll_interval_ms = 50\n{}",
        check(command)
    )
}

/// Writes a file where it stands, in one act.
fn rewrite(path: &Path, text: &str) {
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// What `doctor` says of changes that no event told.
fn missed(world: &World) -> Option<String> {
    let doctor = world.ctl(&["doctor", "--json"]).json();
    let mut checks = doctor["checks"].as_array().unwrap().iter();
    let found = checks.find(|check| check["id"].as_str().unwrap().starts_with("missed "));
    Some(found?["detail"].as_str().unwrap().to_owned())
}

#[test]
fn a_store_into_a_mapped_file_is_found_by_the_self_audit() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", audited("cat d/f"));
    workspace.write("d/f", "one\n");
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(
        (workspace.status()["missed"].as_u64(), missed(&world)),
        (Some(0), None)
    );
    let mut events = world.events();
    // Its file is closed, and is written long after that.
    let script = "import mmap, os, sys\n\
                  file = os.open('d/f', os.O_RDWR)\n\
                  mapped = mmap.mmap(file, 0)\n\
                  os.close(file)\n\
                  mapped[0:3] = b'two'\n\
                  mapped.flush()\n\
                  sys.stdin.read()\n";
    let mut python = world.command("python3");
    python.args(["-c", script]).current_dir(&workspace.root);
    let mut python = python.stdin(Stdio::piped()).spawn().unwrap();
    let started = events.until_type("run.started");
    assert_eq!(started["paths"], serde_json::json!(["d/f"]));
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "two\n");
    assert_eq!(workspace.status()["missed"], 1);
    let told = missed(&world).unwrap();
    let words = "1 change that no event told of, found by the self-audit; the last is `d/f`";
    assert_eq!(told, words);
    drop(python.stdin.take());
    assert!(python.wait().unwrap().success());
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.status()["missed"], 1);
}

#[test]
fn a_directory_that_others_write_through_a_hard_link_is_polled_in_the_end() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", audited("cat d/f"));
    workspace.write("d/f", "ten\n");
    workspace.done(&["add", "--allow"]);
    assert_eq!(workspace.wait()["verdict"], "pass");
    let elsewhere = world.path("elsewhere");
    std::fs::hard_link(workspace.root.join("d/f"), &elsewhere).unwrap();
    let mut events = world.events();
    for (number, text) in ["one\n", "two\n", "six\n"].iter().enumerate() {
        assert_eq!(workspace.status()["missed"], number);
        assert_eq!(workspace.status()["detail"], Value::Null);
        rewrite(&elsewhere, text);
        let started = events.until_type("run.started");
        assert_eq!(started["paths"], serde_json::json!(["d/f"]));
        assert_eq!(workspace.wait()["verdict"], "pass");
        assert_eq!(workspace.done(&["logs"]).out, *text);
    }
    let status = workspace.status();
    let words = "`d` is polled, too: changes in it are told by no event";
    assert_eq!(
        (&status["missed"], &status["detail"]),
        (&3.into(), &words.into())
    );
    assert!(missed(&world).unwrap().ends_with(words));
    // From now on no question misses it either.
    rewrite(&elsewhere, "all\n");
    assert_eq!(workspace.wait()["verdict"], "pass");
    assert_eq!(workspace.done(&["logs"]).out, "all\n");
}

//! `gate --commit` and `gate --index`: what git has is judged, checked out elsewhere, and nothing of the user's is touched.

use crate::support::{Workspace, World, check, lines};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A repository whose only stage wants `good` in a.txt, and counts how often it ran; its first commit has it.
pub(crate) fn repository<'a>(world: &'a World, name: &str) -> Workspace<'a> {
    let workspace = world.directory(name);
    let counter = counter(world);
    let command = format!("echo >> {}; grep -q good a.txt", counter.display());
    workspace.write("orchd.toml", check(&command));
    workspace.write(".gitignore", "/.runs/\n/out/t/\n/warm/\n");
    workspace.write("a.txt", "good\n");
    workspace.sh("git init -q -b main . && git add . && git commit -qm first");
    workspace.done(&["allow"]);
    workspace
}

pub(crate) fn counter(world: &World) -> PathBuf {
    world.path("counter")
}

/// What git and the file system know of the user's repository, but for its objects and the list of worktrees.
pub(crate) fn state_of(workspace: &Workspace<'_>) -> String {
    let script = "git rev-parse HEAD; git stash list; git status --porcelain; git for-each-ref; sha1sum .git/index; \
        find . -mindepth 1 -path ./.runs -prune -o -path ./out -prune -o -path ./.git/objects -prune -o -path ./.git/worktrees -prune \
        -o -name .git -prune -o -printf '%p %s %m %T@\\n' | sort; ls .git .git/hooks";
    let done = workspace.running(script).end();
    assert_eq!(done.code, Some(0), "{done:?}");
    done.out.replace("worktrees\n", "")
}

fn verdict(answer: &Value) -> (&Value, &Value) {
    (&answer["verdict"], &answer["projects"][0]["reused"])
}

#[test]
fn a_commit_is_judged_by_what_is_in_it_and_nothing_of_the_users_is_touched() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    workspace.sh("echo bad > a.txt; git commit -qam second; echo good > a.txt; echo b > b.txt; git stash -q -u; echo worse > a.txt; echo c > c.txt; git add c.txt");
    let before = state_of(&workspace);
    let red = workspace.ctl(&["gate", "--commit", "HEAD"]);
    assert_eq!(red.code, Some(1), "{red:?}");
    let head = workspace.running("git rev-parse HEAD").end().out;
    let named = format!(", commit {}", &head[..7]);
    assert!(red.out.contains(&named), "{red:?}");
    let green = workspace.ctl(&["gate", "--commit", "HEAD~1", "--json"]);
    let json = green.json();
    assert_eq!(green.code, Some(0), "{green:?}");
    let first = workspace.running("git rev-parse HEAD~1").end().out;
    assert_eq!(json["projects"][0]["commit"], first.trim());
    assert_eq!(verdict(&json), (&json!("pass"), &json!(false)));
    // What has been proven is known, by its evidence, which is where all evidence of the workspace is.
    let again = workspace.done(&["gate", "--commit", "HEAD~1", "--json"]);
    assert_eq!(verdict(&again.json()), (&json!("pass"), &json!(true)));
    assert_eq!(lines(&counter(&world)), 2);
    let run = json["projects"][0]["run_id"].as_str().unwrap();
    let sidecar = workspace.json(&format!(".runs/t/cli/{run}/orchd.json"));
    assert_eq!(
        (&sidecar["cause"], &sidecar["judged"]["commit"]),
        (&json!("gate"), &json!(first.trim()))
    );
    // That is not the standing of what lies there.
    assert!(!workspace.has("out/t/state.json"));
    assert_eq!(
        workspace.json("out/t/runs.json")["runs"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(state_of(&workspace), before);
    assert_eq!(world.processes(), Vec::<u32>::new());
}

/// The input digest and the verdict of a gate that must end so.
pub(crate) fn judged(workspace: &Workspace<'_>, what: &[&str], code: i32) -> (Value, Value) {
    let arguments: Vec<&str> = ["gate", "--json"].iter().chain(what).copied().collect();
    let done = workspace.ctl(&arguments);
    assert_eq!(done.code, Some(code), "{what:?}: {done:?}");
    let project = &done.json()["projects"][0];
    (project["input_digest"].clone(), project["verdict"].clone())
}

#[test]
fn what_is_staged_is_judged_and_not_what_lies_there() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    // The index is red and what lies there green, and the other way round.
    workspace.sh("echo bad > a.txt; git add a.txt; echo good > a.txt");
    judged(&workspace, &["--index"], 1);
    judged(&workspace, &[], 0);
    workspace.sh("git add a.txt; echo bad > a.txt");
    judged(&workspace, &["--index"], 0);
    judged(&workspace, &[], 1);
    // A part of a file.
    workspace.sh("printf 'good\\n1\\n2\\n3\\n4\\n5\\n6\\n7\\nx\\n' > a.txt; git add a.txt; git commit -qm long");
    workspace
        .sh("sed -i 's/good/bad/; s/x/y/' a.txt; printf 'n\\ny\\n' | git add -p a.txt >/dev/null");
    judged(&workspace, &["--index"], 0);
    workspace.sh(
        "git reset -q; printf 'y\\nn\\n' | git add -p a.txt >/dev/null; sed -i 's/bad/good/' a.txt",
    );
    judged(&workspace, &["--index"], 1);
    judged(&workspace, &[], 0);
    // What is no longer tracked is not committed, though it lies there.
    workspace.sh("git reset -q --hard; git rm -q --cached a.txt");
    judged(&workspace, &["--index"], 1);
    judged(&workspace, &[], 0);
}

#[test]
fn what_is_not_tracked_is_in_no_commit() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("test -f needed.txt"));
    workspace.write(".gitignore", "/.runs/\n/out/t/\n");
    workspace.sh("git init -q . && git add . && git commit -qm first; echo > needed.txt");
    workspace.done(&["allow"]);
    judged(&workspace, &[], 0);
    judged(&workspace, &["--index"], 1);
    judged(&workspace, &["--commit", "HEAD"], 1);
    workspace.sh("git add -N needed.txt");
    judged(&workspace, &["--index"], 1);
    workspace.sh("git add needed.txt");
    judged(&workspace, &["--index"], 0);
    judged(&workspace, &["--commit", "HEAD"], 1);
    workspace.sh("git commit -q --amend --no-edit");
    judged(&workspace, &["--commit", "HEAD"], 0);
    judged(&workspace, &["--commit", "HEAD@{1}"], 1);
}

#[test]
fn what_the_working_tree_has_proven_counts_for_the_commit_and_the_other_way_round() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    let counter = counter(&world);
    let own = judged(&workspace, &["--no-daemon"], 0);
    assert_eq!(judged(&workspace, &["--commit", "main"], 0), own);
    assert_eq!(judged(&workspace, &["--index"], 0), own);
    assert_eq!(lines(&counter), 1);
    workspace.sh("echo good too > a.txt; git add a.txt");
    let staged = judged(&workspace, &["--index"], 0);
    workspace.sh("git commit -qm second");
    assert_eq!(judged(&workspace, &["--commit", "HEAD"], 0), staged);
    assert_eq!(judged(&workspace, &["--no-wait"], 0), staged);
    assert_eq!(lines(&counter), 2);
    // Nothing is started to answer at once.
    workspace.sh("echo good as well > a.txt; git add a.txt");
    judged(&workspace, &["--index", "--no-wait"], 3);
    assert_eq!(lines(&counter), 2);
}

#[test]
fn a_daemon_keeps_its_own_standing_beside_a_gate_of_a_commit() {
    let mut world = World::new();
    let workspace = repository(&world, "w");
    workspace.done(&["add"]);
    workspace.wait();
    let before = (workspace.read("out/t/state.json"), workspace.status());
    workspace.sh("echo bad > a.txt; git commit -qam red; git checkout -q HEAD~1");
    workspace.wait();
    judged(&workspace, &["--commit", "main"], 1);
    let of = &workspace.runs()[0]["run_id"];
    let show = ["show", of.as_str().unwrap()];
    let main = workspace.running("git rev-parse main").end().out;
    let words = workspace.done(&show).out;
    assert!(
        words.contains(&format!("gate of commit {}", &main[..7])),
        "{words}"
    );
    let json = workspace.done(&[show[0], show[1], "--json"]).json();
    assert_eq!(json["commit"], main.trim());
    let named = |status: &Value| {
        let project = &status["projects"][0];
        (
            project["verdict"].clone(),
            project["last_run"]["status"].clone(),
        )
    };
    assert_eq!(named(&workspace.status()), named(&before.1));
    let state = workspace.json("out/t/state.json");
    assert_eq!(
        (&state["orchd"]["verdict"], &state["orchd"]["fresh"]),
        (&json!("pass"), &json!(true))
    );
    // Nor does the next daemon take that run for the last of what lies there.
    world.kill();
    world.start();
    let workspace = world.directory("w");
    workspace.wait();
    assert_eq!(named(&workspace.status()), named(&before.1));
}

#[test]
fn a_stage_runs_in_the_checkout_and_its_evidence_is_the_workspaces() {
    let world = World::empty();
    let workspace = world.directory("top/sub");
    let said = world.path("said");
    let told = format!(
        "pwd > {0}; git rev-parse HEAD --show-prefix >> {0}; echo $CODEX_ORCHESTRATOR_ROOT $CODEX_ORCHESTRATOR_OUT_DIR $CODEX_ORCHESTRATOR_RUNS_DIR $CODEX_ORCHESTRATOR_RUN_DIR >> {0}; mkdir -p warm; ls warm >> {0}; echo > warm/x; cat other; echo > new",
        said.display()
    );
    workspace.write("orchd.toml", check(&told));
    workspace.write(".gitignore", "/.runs/\n/out/t/\n/warm/\n/new\n");
    workspace.write("other", "1");
    workspace.sh("cd ..; git init -q . && git add . && git commit -qm first; echo > beside; git add beside; git commit -qm second");
    workspace.done(&["allow"]);
    let head = workspace.running("git rev-parse HEAD").end().out;
    judged(&workspace, &["--commit", "HEAD"], 0);
    let text = std::fs::read_to_string(&said).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let ground = lines[0];
    assert!(
        ground.starts_with(world.state().to_str().unwrap()),
        "{text}"
    );
    assert!(ground.ends_with("/orchd-gate/sub"), "{text}");
    assert_eq!((lines[1], lines[2]), (head.trim(), "sub/"));
    let root = workspace.root();
    let runs = format!("{ground} {ground}/out {root}/.runs {root}/.runs/t/cli/");
    assert!(lines[3].starts_with(&runs), "{text}");
    // What is ignored stays warm; a commit without the workspace is told apart from one that is empty.
    workspace.write("other", "2");
    workspace.sh("git commit -qam third");
    judged(&workspace, &["--commit", "HEAD"], 0);
    assert_eq!(
        std::fs::read_to_string(&said).unwrap().lines().last(),
        Some("x")
    );
    workspace.sh("cd ..; git checkout -q --orphan bare; git rm -rq --cached .; git commit -q --allow-empty -m none");
    let absent = workspace.ctl(&["gate", "--commit", "HEAD"]);
    assert_eq!(absent.code, Some(2), "{absent:?}");
    assert!(absent.err.contains("has nothing in `sub`"), "{absent:?}");
}

#[test]
fn what_a_stage_makes_of_a_commit_is_not_the_commit() {
    let world = World::empty();
    let workspace = world.directory("w");
    // It leaves what it would have passed on, and passes on what it left.
    workspace.write("orchd.toml", check("echo good > a.txt"));
    workspace.write(".gitignore", "/.runs/\n/out/t/\n");
    workspace.write("a.txt", "bad\n");
    workspace.sh("git init -q . && git add . && git commit -qm first");
    workspace.done(&["allow"]);
    for _ in 0..2 {
        let done = workspace.ctl(&["gate", "--commit", "HEAD", "--json"]);
        let json = done.json();
        assert_eq!(
            (done.code, &json["verdict"]),
            (Some(3), &json!("unknown")),
            "{done:?}"
        );
        let detail = json["projects"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("a stage wrote"), "{done:?}");
    }
    assert_eq!(workspace.read("a.txt"), "bad\n");
    workspace.sh("echo good > a.txt; git commit -qam formatted");
    judged(&workspace, &["--commit", "HEAD"], 0);
    judged(&workspace, &["--commit", "HEAD~1"], 3);
}

#[test]
fn what_cannot_be_judged_is_told_with_the_reason() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    let told = |directory: &Workspace<'_>, what: &[&str], code: i32, said: &str| {
        let arguments: Vec<&str> = ["gate"].iter().chain(what).copied().collect();
        let done = directory.ctl(&arguments);
        assert_eq!(done.code, Some(code), "{what:?}: {done:?}");
        assert!(done.err.contains(said), "{what:?}: {done:?}");
    };
    told(
        &workspace,
        &["--commit", "nope"],
        2,
        "`nope` names no commit",
    );
    told(&workspace, &["--commit=--all"], 2, "names no commit");
    told(
        &workspace,
        &["--commit", "HEAD:a.txt"],
        2,
        "names no commit",
    );
    told(
        &workspace,
        &["--commit", "HEAD", "--index"],
        2,
        "cannot be used with",
    );
    let plain = world.directory("plain");
    plain.write("orchd.toml", check("true"));
    told(&plain, &["--index"], 2, "fatal: not a git repository");
    workspace.sh("git clone -q --bare . ../bare");
    told(
        &world.directory("bare"),
        &["--commit", "HEAD"],
        2,
        "must be run in a work tree",
    );
    // A configuration that is not allowed, and one that is no configuration.
    workspace
        .sh("sed -i 's/good/better/' orchd.toml; git commit -qam other; git checkout -q HEAD~1");
    told(
        &workspace,
        &["--commit", "main"],
        2,
        "are others than those that were allowed",
    );
    workspace.sh("git checkout -q -b broken; echo '[[' > orchd.toml; git commit -qam broken; git checkout -q main~1");
    told(&workspace, &["--commit", "broken"], 2, "orchd.toml");
    // Conflicts, and what lies in another repository.
    workspace.sh("git checkout -q -b one; echo good 1 > a.txt; git commit -qam 1; git checkout -q -b two HEAD~1; echo good 2 > a.txt; git commit -qam 2; git merge -q one || true");
    told(
        &workspace,
        &["--index"],
        3,
        "the index has conflicts, the first in `a.txt`",
    );
    let json = workspace.ctl(&["gate", "--index", "--json"]);
    assert_eq!(json.json()["verdict"], "unknown", "{json:?}");
    workspace.sh("git merge --abort; git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),below; git commit -qm sub");
    told(
        &workspace,
        &["--commit", "HEAD"],
        3,
        "has submodules, the first is `below`",
    );
    assert_eq!(lines(&counter(&world)), 0);
}

#[test]
fn before_the_first_commit_what_is_staged_is_judged() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("git log 2>/dev/null && exit 9; test -z \"$(git status --porcelain b.txt)\" && cat a.txt"));
    workspace.write(".gitignore", "/.runs/\n/out/t/\n");
    workspace.sh("git init -q . && git add .; echo > b.txt");
    workspace.done(&["allow"]);
    judged(&workspace, &["--index"], 1);
    workspace.sh("echo > a.txt; git add a.txt");
    judged(&workspace, &["--index"], 0);
    let refs = workspace
        .running("git for-each-ref; git rev-parse -q --verify HEAD || true")
        .end();
    assert_eq!(refs.out, "");
    workspace.sh("git commit -qm first; git branch -m other");
    judged(&workspace, &["--commit", "HEAD", "--no-wait"], 0);
}

#[test]
fn files_are_as_a_fresh_clone_would_have_them() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        check("tr -d '\\n' < a.txt | grep -q '[[:cntrl:]]'"),
    );
    workspace.write(".gitignore", "/.runs/\n/out/t/\n");
    workspace.write("a.txt", "x\ny\n");
    workspace.sh("git init -q . && git add . && git commit -qm first; echo 'a.txt eol=crlf' > .gitattributes; git add .; git commit -qm second");
    workspace.done(&["allow"]);
    judged(&workspace, &["--commit", "HEAD~1"], 1);
    judged(&workspace, &["--commit", "HEAD"], 0);
    judged(&workspace, &["--commit", "HEAD~1", "--no-wait"], 1);
    workspace.sh("git config core.autocrlf true");
    judged(&workspace, &["--commit", "HEAD~1"], 0);
}

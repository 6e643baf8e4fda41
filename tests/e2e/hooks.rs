//! Git's hooks: with them a commit or a push waits for its verdict, and what somebody else wrote stays as it was.

use crate::revisions::{counter, repository, state_of};
use crate::support::{Done, Workspace, World, check, lines, names};
use serde_json::json;

/// What a shell line did, which may fail.
fn tried(workspace: &Workspace<'_>, line: &str) -> Done {
    workspace.running(line).end()
}

fn refused(workspace: &Workspace<'_>, line: &str) {
    let done = tried(workspace, line);
    assert_ne!(done.code, Some(0), "{line}: {done:?}");
    assert!(
        done.out.contains("fail") || done.err.contains("fail"),
        "{line}: {done:?}"
    );
}

#[test]
fn what_is_red_is_not_committed_however_it_is_named() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    workspace.write("b.txt", "1\n");
    workspace.sh("git add .; git commit -qm more");
    workspace.done(&["hook", "install", "pre-commit"]);
    assert!(!workspace.has(".git/hooks/pre-push"));
    let head = |workspace: &Workspace<'_>| tried(workspace, "git rev-parse HEAD").out;
    let before = head(&workspace);
    workspace.sh("echo bad > a.txt");
    refused(&workspace, "git commit -am red");
    refused(&workspace, "git commit -m red a.txt");
    workspace.sh("echo 2 > b.txt");
    refused(&workspace, "git commit -m red a.txt b.txt");
    workspace.sh("git add a.txt");
    refused(&workspace, "git commit -m red");
    assert_eq!(head(&workspace), before);
    // A path beside what is staged: what is staged is red, and is not what is committed.
    workspace.sh("git commit -qm green b.txt");
    assert_ne!(head(&workspace), before);
    let status = tried(
        &workspace,
        "git status --porcelain; git show --stat --format= HEAD",
    )
    .out;
    assert!(status.starts_with("M  a.txt\n b.txt"), "{status}");
    let staged = state_of(&workspace);
    refused(&workspace, "git commit --amend --no-edit");
    assert_eq!(state_of(&workspace), staged);
    workspace.sh("git reset -q --hard; echo good 2 > a.txt; git commit -qam second; echo good 3 > a.txt; git commit -qa --amend --no-edit");
    // From a directory of it, and from another working tree of the repository, which is a workspace of its own.
    workspace.sh("mkdir d; echo 1 > d/c.txt; cd d; git add .; git commit -qm third");
    workspace.sh("git worktree add -q ../other; cd ../other; echo bad > a.txt; if git commit -qam red 2> ../said; then exit 9; fi; grep -q 'have not been allowed' ../said");
    let other = world.directory("other");
    other.done(&["allow"]);
    refused(&other, "git commit -am red");
    other.sh("echo good 4 > a.txt; git commit -qam fourth");
}

#[test]
fn what_is_red_is_not_pushed() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    workspace.sh("git init -q --bare ../there; git remote add there ../there");
    workspace.done(&["hook", "install"]);
    let count = || lines(&counter(&world));
    workspace.sh("git push -q there main");
    assert_eq!(count(), 1);
    // What a commit was judged by before it was made is known when it is pushed.
    workspace.sh("echo good 2 > a.txt; git commit -qam second");
    assert_eq!(count(), 2);
    workspace.sh("git tag -a v1 -m v1; git branch same; git push -q there main same v1 HEAD~1:refs/heads/old");
    assert_eq!(count(), 2);
    workspace
        .sh("git checkout -q -b red; echo bad > a.txt; git commit -qnam red; git checkout -q main");
    refused(&workspace, "git push there main red :old");
    let there = tried(&workspace, "git ls-remote there").out;
    assert!(
        !there.contains("refs/heads/red") && there.contains("refs/heads/old"),
        "{there}"
    );
    // What is deleted is not judged, though it is red.
    workspace.sh("git push -q --no-verify there red; git push -q there :red :old");
    let nothing = tried(&workspace, "git push there main");
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    let mut gate = workspace.orchctl(&["gate", "--commit", "-", "--json"]);
    gate.stdin(std::process::Stdio::null());
    let gate = crate::support::Running::of(gate).end();
    assert_eq!(
        (gate.code, gate.json()),
        (Some(0), json!({"verdict": "pass", "projects": []}))
    );
    assert!(gate.err.contains("Nothing is pushed"), "{gate:?}");
}

#[test]
fn of_several_that_are_pushed_each_is_told_and_the_worst_counts() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    workspace
        .sh("git checkout -q -b red; echo bad > a.txt; git commit -qam red; git checkout -q main");
    let commit = |name: &str| {
        tried(&workspace, &format!("git rev-parse {name}"))
            .out
            .trim()
            .to_owned()
    };
    let (red, green, none) = (commit("red"), commit("main"), "0".repeat(40));
    workspace.write("../pushed", format!("refs/heads/red {red} refs/heads/red {none}\n(delete) {none} refs/heads/x {green}\nrefs/heads/main {green} refs/heads/main {none}\nrefs/heads/main {green} refs/heads/too {none}\n"));
    let gate = |arguments: &[&str]| {
        let mut gate = workspace.orchctl(&["gate", "--commit", "-"]);
        gate.args(arguments);
        gate.stdin(std::fs::File::open(world.path("pushed")).unwrap());
        crate::support::Running::of(gate).end()
    };
    let json = gate(&["--json"]);
    let projects = &json.json()["projects"];
    assert_eq!(
        (json.code, &json.json()["verdict"]),
        (Some(1), &json!("fail")),
        "{json:?}"
    );
    let told = |at: usize| {
        (
            projects[at]["commit"].clone(),
            projects[at]["verdict"].clone(),
        )
    };
    assert_eq!(
        [told(0), told(1)],
        [(json!(red), json!("fail")), (json!(green), json!("pass"))]
    );
    assert_eq!(projects[2], json!(null));
    let words = gate(&[]);
    assert_eq!(words.code, Some(1), "{words:?}");
    for oid in [&red, &green] {
        assert!(
            words.out.contains(&format!(", commit {}", &oid[..7])),
            "{words:?}"
        );
    }
    workspace.write("../pushed", "what is this\n");
    assert_eq!(gate(&[]).code, Some(2));
}

#[test]
fn installing_twice_is_installing_once_and_uninstalling_leaves_nothing() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    let before = state_of(&workspace);
    let install = ["hook", "install", "--json"];
    let states = |done: &Done| {
        let json = done.json();
        [0, 1].map(|at| json["hooks"][at]["state"].as_str().unwrap().to_owned())
    };
    assert_eq!(
        states(&workspace.done(&install)),
        ["installed", "installed"]
    );
    let script = workspace.read(".git/hooks/pre-push");
    assert_eq!(
        states(&workspace.done(&install)),
        ["unchanged", "unchanged"]
    );
    // Those of another orchctl are replaced, and so is one that cannot be run.
    let orchctl = env!("CARGO_BIN_EXE_orchctl");
    let by_a_copy = format!("mkdir -p ../copy; cp {orchctl} ../copy; ../copy/orchctl hook install");
    workspace.sh(&by_a_copy);
    assert_ne!(workspace.read(".git/hooks/pre-push"), script);
    assert_eq!(states(&workspace.done(&install)), ["replaced", "replaced"]);
    workspace.sh("chmod -x .git/hooks/pre-push");
    assert_eq!(states(&workspace.done(&install)), ["unchanged", "replaced"]);
    assert_eq!(workspace.read(".git/hooks/pre-push"), script);
    // Where its program is gone, the one on PATH is asked, and where there is none nothing passes.
    workspace.sh(&format!("{by_a_copy}; rm -r ../copy; echo good 2 > a.txt"));
    assert_ne!(tried(&workspace, "git commit -qam second").code, Some(0));
    workspace.sh(&format!(
        "PATH=\"$PATH:{}\" git commit -qam second; git reset -q --hard HEAD~1",
        orchctl.trim_end_matches("/orchctl")
    ));
    let uninstall = ["hook", "uninstall", "--json"];
    assert_eq!(states(&workspace.done(&uninstall)), ["removed", "removed"]);
    assert_eq!(states(&workspace.done(&uninstall)), ["absent", "absent"]);
    let tail = |state: &str| state.split(".git:").nth(1).map(str::to_owned);
    let hooks = tail(&state_of(&workspace)).unwrap();
    assert_eq!(hooks.split("hooks:").nth(1), before.split("hooks:").nth(1));
}

#[test]
fn what_somebody_else_wrote_or_manages_is_kept_and_the_lines_to_add_are_told() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    workspace.sh(
        "printf '#!/bin/sh\\nexit 0\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit",
    );
    let refused = workspace.ctl(&["hook", "install"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("pre-commit` is there already"),
        "{refused:?}"
    );
    assert!(workspace.has(".git/hooks/pre-push"));
    assert_eq!(
        workspace.read(".git/hooks/pre-commit"),
        "#!/bin/sh\nexit 0\n"
    );
    workspace.done(&["hook", "uninstall"]);
    assert_eq!(
        workspace.read(".git/hooks/pre-commit"),
        "#!/bin/sh\nexit 0\n"
    );
    // The line that is told does it.
    let line = refused.out.lines().next().unwrap().to_owned();
    workspace.write(".git/hooks/pre-commit", format!("#!/bin/sh\n{line}\n"));
    workspace.sh(
        "chmod +x .git/hooks/pre-commit; echo bad > a.txt; if git commit -qam red; then exit 9; fi",
    );
    workspace.sh("rm .git/hooks/pre-commit; git checkout -q a.txt");
    for (set_up, said) in [
        ("mkdir h; git config core.hooksPath h", "core.hooksPath"),
        ("git config --unset core.hooksPath; mkdir .husky", "husky"),
        (
            "rmdir .husky; echo > .pre-commit-config.yaml",
            "pre-commit manages",
        ),
        ("echo > lefthook.yml", "lefthook manages"),
    ] {
        workspace.sh(set_up);
        let refused = workspace.ctl(&["hook", "install", "--json"]);
        assert_eq!(refused.code, Some(2), "{said}: {refused:?}");
        let json = refused.json();
        for at in [0, 1] {
            let hook = &json["hooks"][at];
            assert_eq!(hook["state"], "kept", "{refused:?}");
            assert!(
                hook["detail"].as_str().unwrap().contains(said),
                "{refused:?}"
            );
            assert_ne!(hook["lines"], json!([]), "{refused:?}");
        }
    }
    assert_eq!(names(&workspace.root.join("h")), Vec::<Vec<u8>>::new());
    let plain = world.directory("plain");
    plain.write("orchd.toml", check("true"));
    assert_eq!(plain.ctl(&["hook", "install"]).code, Some(2));
}

#[test]
fn a_hook_of_ours_that_somebody_has_edited_is_his() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    workspace.done(&["hook", "install"]);
    let pre_push = workspace.read(".git/hooks/pre-push");
    workspace
        .sh("sed -i '3 a echo mine >&2' .git/hooks/pre-commit; sed -i '$ d' .git/hooks/pre-push");
    let edited = [".git/hooks/pre-commit", ".git/hooks/pre-push"].map(|path| workspace.read(path));
    let refused = workspace.ctl(&["hook", "install"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for said in [
        "pre-commit is not",
        "pre-push is not",
        "has been edited since",
    ] {
        assert!(refused.err.contains(said), "{refused:?}");
    }
    assert!(
        refused.out.contains("gate --commit - --workspace=."),
        "{refused:?}"
    );
    let json = workspace.ctl(&["hook", "install", "--json"]).json();
    for at in [0, 1] {
        assert_eq!(json["hooks"][at]["state"], "kept", "{json}");
        assert_ne!(json["hooks"][at]["lines"], json!([]), "{json}");
    }
    let kept = workspace.done(&["hook", "uninstall"]);
    assert!(kept.err.contains("pre-push is not removed"), "{kept:?}");
    let json = workspace.done(&["hook", "uninstall", "--json"]).json();
    assert_eq!(json["hooks"][0]["state"], "kept", "{json}");
    let after = [".git/hooks/pre-commit", ".git/hooks/pre-push"].map(|path| workspace.read(path));
    assert_eq!(after, edited);
    // As it was written it is ours again.
    workspace.write(".git/hooks/pre-push", pre_push);
    workspace.done(&["hook", "uninstall", "pre-push"]);
    assert!(!workspace.has(".git/hooks/pre-push"));
}

#[test]
fn where_git_runs_no_hook_none_is_installed_and_that_is_said() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    for set in ["/dev/null", "/dev/null/hooks", "a.txt", ""] {
        workspace.sh(&format!("git config core.hooksPath '{set}'"));
        let refused = workspace.ctl(&["hook", "install"]);
        assert_eq!(refused.code, Some(2), "{set}: {refused:?}");
        assert_eq!(refused.out, "", "{set}: {refused:?}");
        for said in [
            "`core.hooksPath` is set to",
            "git runs no hook here",
            "--show-origin",
        ] {
            assert!(refused.err.contains(said), "{set}: {refused:?}");
        }
        let done = workspace.done(&["hook", "uninstall", "--json"]).json();
        assert_eq!(done["hooks"][0]["state"], "absent", "{set}: {done}");
    }
}

#[test]
fn a_workspace_may_begin_with_a_dash_and_has_its_hooks() {
    let world = World::empty();
    let workspace = repository(&world, "top/-w");
    workspace.sh("rm -r .git; cd ..; git init -q -b main .; git add .; git commit -qm first; git init -q --bare ../there; git remote add there ../there");
    workspace.done(&["hook", "install"]);
    workspace.sh("echo bad > a.txt");
    refused(&workspace, "git commit -am red");
    workspace.sh("git commit -qnam red");
    refused(&workspace, "git push there main");
    workspace.sh("echo good 2 > a.txt; git commit -qam green; git push -q there main");
    // The line for a hook of somebody else's does the same.
    workspace.sh("mkdir -p ../h; git config core.hooksPath h");
    let told = workspace.ctl(&["hook", "install", "pre-commit"]);
    workspace.write("../h/pre-commit", format!("#!/bin/sh\n{}", told.out));
    workspace.sh("chmod +x ../h/pre-commit; echo bad > a.txt");
    refused(&workspace, "git commit -am red");
    workspace.sh("echo good 3 > a.txt; git commit -qam green");
}

//! What `gate --commit` and `gate --index` say where there is nothing to judge: the thing, the reason, the remedy.

use crate::revisions::{judged, repository};
use crate::support::{Done, Running, Workspace, World, check};
use serde_json::json;

/// A gate that must end so and say this.
fn told(workspace: &Workspace<'_>, what: &[&str], code: i32, said: &[&str]) -> Done {
    let arguments: Vec<&str> = ["gate"].iter().chain(what).copied().collect();
    ends(workspace.ctl(&arguments), code, said)
}

fn ends(done: Done, code: i32, said: &[&str]) -> Done {
    assert_eq!(done.code, Some(code), "{done:?}");
    for words in said {
        assert!(done.err.contains(words), "{words}: {done:?}");
    }
    done
}

#[test]
fn without_git_there_is_no_verdict_and_the_remedy_is_told() {
    let mut world = World::empty();
    repository(&world, "w");
    std::fs::create_dir(world.path("bin")).unwrap();
    let bin = world.path("bin");
    world.set("PATH", bin.to_str().unwrap());
    let workspace = world.directory("w");
    let said = ["`git` could not be started", "install git 2.35 or newer"];
    for what in [
        ["--commit", "HEAD"],
        ["--commit", "-"],
        ["--index", "--json"],
    ] {
        let done = told(&workspace, &what, 3, &said);
        if what[1] == "--json" {
            let json = done.json();
            assert_eq!(
                (&json["verdict"], &json["projects"]),
                (&json!("unknown"), &json!([]))
            );
            assert!(json["detail"].as_str().unwrap().contains(said[0]), "{json}");
        }
    }
    ends(workspace.ctl(&["hook", "install"]), 3, &said);
}

#[test]
fn a_configuration_is_named_by_the_commit_that_it_is_in() {
    let world = World::empty();
    let workspace = repository(&world, "top/sub");
    workspace.sh("rm -r .git; cd ..; git init -q -b main .; git add .; git commit -qm first");
    for (spoil, said) in [
        (
            "printf '[workspace]\\nsettle = 1\\n' > orchd.toml",
            "sub/orchd.toml:2:1: ",
        ),
        (
            "printf '\\377' > orchd.toml",
            "sub/orchd.toml` is not UTF-8",
        ),
        (
            "rm orchd.toml; mkdir orchd.toml; echo > orchd.toml/x",
            "sub/orchd.toml` is a directory",
        ),
        (
            "echo '{' > codex.orchestrator.json",
            "sub/codex.orchestrator.json",
        ),
    ] {
        workspace.sh(&format!(
            "git checkout -q -b spoilt main; {spoil}; git add ."
        ));
        let here = ["--workspace", workspace.root()];
        let index = told(
            &workspace,
            &["--index", here[0], here[1]],
            2,
            &[&format!(":{said}")],
        );
        workspace.sh("git commit -qm spoilt");
        let head = workspace.running("git rev-parse --short=7 HEAD").end().out;
        let name = format!("{}:{said}", head.trim());
        let commit = ["--commit", "HEAD", here[0], here[1]];
        let commit = told(&workspace, &commit, 2, &[&name]);
        let json = ["--commit", "HEAD", "--json", here[0], here[1]];
        let json = told(&workspace, &json, 2, &[]).json();
        assert!(
            json["error"]["message"].as_str().unwrap().contains(&name),
            "{json}"
        );
        let state = world.state();
        for done in [index, commit] {
            assert!(!done.err.contains(state.to_str().unwrap()), "{done:?}");
        }
        workspace.sh("git checkout -q -f main; git branch -qD spoilt");
    }
}

#[test]
fn what_is_in_the_way_to_a_workspace_is_told() {
    let world = World::empty();
    let workspace = repository(&world, "top/a/sub");
    workspace.sh("rm -r .git; cd ../..; git init -q -b main .; git add .; git commit -qm first");
    for (instead, said) in [
        (
            "mv a/sub b; ln -s ../b a/sub",
            "has a symbolic link to `../b` at `a/sub`",
        ),
        ("mv a b; ln -s b a", "has a symbolic link to `b` at `a`"),
        ("rm -r a; echo > a", "has a file at `a`"),
        ("rm -r a/sub; echo > a/sub", "has a file at `a/sub`"),
        (
            "git rm -qr --cached .; rm -r a; mkdir a; git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),a",
            "has a submodule at `a`",
        ),
        (
            "git rm -qr a; mkdir -p a; echo > a/other",
            "has nothing in `a/sub`",
        ),
    ] {
        // The workspace stands where it is; what is committed is made elsewhere.
        workspace.sh(&format!(
            "rm -rf ../../../c; git clone -q ../.. ../../../c; cd ../../../c; {instead}; git add . 2>/dev/null; git commit -qm other; cd -; git fetch -q ../c +HEAD:refs/heads/other"
        ));
        told(&workspace, &["--commit", "other"], 2, &[said]);
    }
    judged(&workspace, &["--commit", "main"], 0);
}

#[test]
fn an_index_is_the_one_that_git_would_take() {
    let world = World::empty();
    let workspace = repository(&world, "top/sub");
    workspace.sh("rm -r .git; cd ..; git init -q -b main .; git add .; git commit -qm first; echo bad > sub/a.txt; GIT_INDEX_FILE=other git add .; git checkout -q sub/a.txt");
    let by = |file: &str, code: i32| {
        let mut gate = workspace.orchctl(&["gate", "--index"]);
        gate.env("GIT_INDEX_FILE", file);
        ends(Running::of(gate).end(), code, &[])
    };
    assert!(workspace.has("../other"));
    // A relative one is below the top, wherever it is asked.
    by("other", 1);
    by(workspace.root.join("../other").to_str().unwrap(), 1);
    by(".git/index", 0);
    by("", 0);
    for none in ["../other", "missing", ".git/missing", "/nowhere/index"] {
        let done = by(none, 2);
        for said in ["there is no index at", "GIT_INDEX_FILE"] {
            assert!(done.err.contains(said), "{none}: {done:?}");
        }
    }
    by("sub", 3);
    // Its own, where nothing was ever added, is none that is missing.
    workspace.sh("cd ..; rm -rf .git; git init -q -b main .");
    let nothing = by(".git/index", 2);
    assert!(nothing.err.contains("has nothing in `sub`"), "{nothing:?}");
}

#[test]
fn a_gate_without_a_verdict_says_why_to_a_program_too() {
    let world = World::empty();
    let workspace = repository(&world, "w");
    workspace.sh("git checkout -q -b one; echo good 1 > a.txt; git commit -qam 1; git checkout -q -b two main; echo good 2 > a.txt; git commit -qam 2; git merge -q one || true");
    let json = told(
        &workspace,
        &["--index", "--json"],
        3,
        &["the index has conflicts"],
    )
    .json();
    assert_eq!(
        (&json["verdict"], &json["projects"]),
        (&json!("unknown"), &json!([]))
    );
    assert!(
        json["detail"]
            .as_str()
            .unwrap()
            .contains("the index has conflicts"),
        "{json}"
    );
    let json = told(&workspace, &["--index", "--json", "--task", "t"], 3, &[]).json();
    assert_eq!(json["detail"], json["projects"][0]["detail"]);
    // What is green has nothing to explain.
    workspace.sh("git merge --abort");
    workspace.write("orchd.toml", check("true"));
    let json = told(&workspace, &["--commit", "main", "--json"], 0, &[]).json();
    assert_eq!(json.get("detail"), None);
}

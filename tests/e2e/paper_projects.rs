//! Projects taken in, listed and held against their runs, by the real binary: without a daemon, and then with real runs.

use crate::support::{Workspace, World};
use serde_json::Value;

const NPM: &str = r#"{"scripts":{"lint":"true","test":"true"}}"#;

fn add(workspace: &Workspace<'_>, path: &str, task: &str, slug: &str) -> Value {
    let words = [
        "project", "add", path, "--task", task, "--slug", slug, "--json",
    ];
    workspace.done(&words).json()
}

fn kinds(workspace: &Workspace<'_>) -> Vec<(String, String)> {
    let done = workspace.ctl(&["project", "check", "--json"]);
    let told = done.json();
    let findings = told["findings"].as_array().unwrap().iter();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
    let kinds: Vec<_> = findings
        .map(|it| (text(it, "kind"), text(it, "task_id")))
        .collect();
    assert_eq!(done.code, Some(i32::from(!kinds.is_empty())), "{done:?}");
    kinds
}

fn pair(kind: &str, task: &str) -> Vec<(String, String)> {
    vec![(kind.to_owned(), task.to_owned())]
}

/// All checks that a workspace has to pass.
fn pass(workspace: &Workspace<'_>) {
    for group in ["project", "docs", "checklist"] {
        let told = workspace.done(&[group, "check", "--json"]).json();
        assert_eq!(told["findings"], Value::Array(Vec::new()), "{group}");
    }
}

/// Three kinds of projects, onboarded alone.
fn three(workspace: &Workspace<'_>) {
    workspace.sh("git init -q .");
    workspace.write("packages/web/package.json", NPM);
    workspace.write("packages/core/Cargo.toml", "[package]\nname = \"core\"\n");
    workspace.write("packages/py/pyproject.toml", "[tool.pytest.ini_options]\n");
    workspace.write("packages/py/tests/test_a.py", "");
    add(workspace, "packages/web", "0101-web", "web");
    add(workspace, "packages/core", "0102", "core");
    add(workspace, "packages/py", "0103-py", "py");
}

#[test]
fn three_projects_are_taken_in_and_pass_every_check_at_once() {
    let world = World::empty();
    let workspace = world.directory("w");
    three(&workspace);
    pass(&workspace);
    let listed = workspace.done(&["project", "list", "--json"]).json();
    let wanted = serde_json::json!({ "projects": [
        { "task_id": "0101-web", "slug": "web", "path": "packages/web", "pipeline": "web", "exists": true },
        { "task_id": "0102", "slug": "core", "path": "packages/core", "pipeline": "core", "exists": true },
        { "task_id": "0103-py", "slug": "py", "path": "packages/py", "pipeline": "py", "exists": true },
    ]});
    assert_eq!(listed, wanted);
    let ignored = workspace.read(".gitignore");
    assert_eq!(
        ignored,
        "/.runs/\n/out/0101-web/\n/out/0102/\n/out/0103-py/\n"
    );
}

#[test]
fn a_second_call_changes_nothing_and_a_dry_run_writes_nothing() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.sh("git init -q .");
    workspace.write("p/package.json", NPM);
    let words = [
        "project", "add", "p", "--task", "0101", "--slug", "p", "--title", "P",
    ];
    let dry = workspace
        .done(&[&words[..], &["--dry-run", "--json"]].concat())
        .json();
    assert_eq!(dry["written"], false);
    assert!(
        !workspace.has("orchd.toml") && !workspace.has("docs"),
        "{dry}"
    );
    let first = workspace.done(&[&words[..], &["--json"]].concat()).json();
    assert_eq!(
        (&first["written"], &first["files"]),
        (&Value::Bool(true), &dry["files"])
    );
    let sum = "find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum";
    let before = workspace.running(sum).end();
    let second = workspace.done(&words);
    assert!(second.out.contains("already: nothing to do"), "{second:?}");
    let after = workspace.running(sum).end();
    assert_eq!(before.out, after.out);
    assert!(before.out.contains("tasks/index.json"), "{before:?}");
}

#[test]
fn what_is_written_by_hand_stays_and_a_refusal_writes_nothing() {
    let world = World::empty();
    let workspace = world.directory("w");
    let toml = "# mine\n[workspace]   # w\nsettle_ms = 5\n\n# first\n[[project]]\ntask = \"a\" # t\npath = \"a\"\npipeline = \"x\"\n\n\
                # last\n[[pipeline]]\nid = \"x\"\nstage = [{ id = \"s\", command = \"true\" }]\n# end\n";
    let index =
        "{\"z\": 1.0, \"items\": [{\"id\": \"a\", \"owners\": [ \"x\" ]}],\n \"specs\": []}\n";
    workspace.write("orchd.toml", toml);
    workspace.write("tasks/index.json", index);
    workspace.write("a/x", "");
    workspace.write("b/package.json", NPM);
    let refused = workspace.ctl(&["project", "add", "b", "--task", "a", "--slug", "b"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused
            .err
            .contains("task `a` is the project at `a` already"),
        "{refused:?}"
    );
    assert_eq!(workspace.read("orchd.toml"), toml);
    add(&workspace, "b", "0102", "b");
    let grown = workspace.read("orchd.toml");
    let mut left = grown.lines();
    for line in toml.lines() {
        assert!(left.any(|other| other == line), "{line}\n{grown}");
    }
    let (head, tail) = index.split_once("],\n").unwrap();
    let listed = workspace.read("tasks/index.json");
    assert!(
        listed.starts_with(head) && listed.ends_with(tail),
        "{listed}"
    );
}

#[test]
fn a_document_that_is_a_link_is_refused_and_none_is_written() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.write("p/package.json", NPM);
    workspace.write("elsewhere", "# Tasks\n");
    workspace.sh("mkdir docs && ln -s ../elsewhere docs/TASKS.md");
    let refused = workspace.ctl(&[
        "--workspace",
        ".",
        "project",
        "add",
        "p",
        "--task",
        "t",
        "--slug",
        "p",
    ]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("is a link"), "{refused:?}");
    assert!(
        !workspace.has("orchd.toml") && !workspace.has("tasks"),
        "{refused:?}"
    );
    assert_eq!(workspace.read("elsewhere"), "# Tasks\n");
}

#[test]
fn what_is_wrong_with_projects_is_told() {
    let mut world = World::empty();
    world.set("MCP_RUNNER_TASK_ID", "0999");
    let workspace = world.directory("w");
    three(&workspace);
    assert_eq!(kinds(&workspace), pair("environment", "0999"));
    world.set("MCP_RUNNER_TASK_ID", "0102");
    let workspace = world.directory("w");
    assert_eq!(kinds(&workspace), []);

    let manifest = r#"{"task_id":"0102","run_id":"r"}"#;
    workspace.write(".runs/0101-web/cli/r/manifest.json", manifest);
    workspace.write(".runs/0102/cli/s/manifest.json", manifest);
    workspace.write(
        ".runs/0104/cli/u/manifest.json",
        manifest.replace("0102", "0104"),
    );
    workspace.sh("mv packages/py packages/snake");
    assert_eq!(
        kinds(&workspace),
        [
            pair("missing-directory", "0103-py"),
            pair("unknown-task-runs", "0104"),
            pair("wrong-task-manifest", "0101-web"),
        ]
        .concat()
    );
    workspace.sh("rm -r .runs && ln -s web packages/py");
    assert_eq!(kinds(&workspace), pair("nested", "0103-py"));
    workspace.sh("rm packages/py && mv packages/snake packages/py");
    let toml = workspace
        .read("orchd.toml")
        .replace("\"0103-py\"", "\"0101-web\"");
    workspace.write("orchd.toml", &toml);
    assert_eq!(kinds(&workspace), pair("duplicate-task", "0101-web"));
    let listed = workspace.ctl(&["project", "list"]);
    assert_eq!(listed.code, Some(2), "{listed:?}");
    workspace.write("orchd.toml", toml.replace("[[project]]", "[[projekt]]"));
    let refused = workspace.ctl(&["project", "check"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("projekt"), "{refused:?}");
}

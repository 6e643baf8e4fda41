//! A review of real runs: what is not ready is told with its reason, and becomes ready by what is told.

use crate::support::{Workspace, World};
use serde_json::Value;

const IDS: [&str; 9] = [
    "diagnostics",
    "docs",
    "guardrails",
    "drift",
    "mirrors",
    "checklists",
    "projects",
    "approvals",
    "evidence",
];
const TOML: &str = "\
[[project]]
task = 't'
required = ['lint', 'test']
[[template]]
id = 'rules'
[[template.stage]]
id = 'lint'
command = 'true && test -e a'
[[template.stage]]
id = 'test'
[[pipeline]]
id = 'diagnostics'
[[pipeline.stage]]
id = 'lint'
command = 'true && test -e a'
[[pipeline.stage]]
id = 'test'
command = 'test ! -e broken'
";
const POINTERS: &str = "Runs: `.runs/<task-id>/cli/<run-id>/manifest.json`\n";

/// A workspace with a task, its mirror and the pages that it has to have; nothing has been run in it.
fn workspace(world: &World) -> Workspace<'_> {
    let workspace = world.directory("w");
    workspace.write("orchd.toml", TOML);
    workspace.write("a", "");
    workspace.write("tasks/tasks-t-web.md", "# T\n\n- [ ] Write it\n");
    workspace.write(".agent/task/t-web.md", "# T\n\n- [ ] Write it\n");
    workspace.write(".agent/AGENTS.md", POINTERS);
    workspace.write(".agent/SOPs/runs.md", POINTERS);
    workspace.write(
        "docs/TASKS.md",
        format!(
            "# Tasks\n\n{POINTERS}\n<!-- orchd:status:begin t -->\n<!-- orchd:status:end t -->\n"
        ),
    );
    workspace.done(&["allow"]);
    workspace
}

fn run(workspace: &Workspace<'_>, code: i32) -> String {
    let done = workspace.ctl(&["run", "--no-daemon", "--json"]);
    assert_eq!(done.code, Some(code), "{done:?}");
    done.json()["run_id"].as_str().unwrap().to_owned()
}

/// The checks that are not so; that the others are there, and that the exit code says the same.
fn missing(workspace: &Workspace<'_>) -> Vec<(String, String)> {
    let done = workspace.ctl(&["review", "ready", "--json"]);
    let told = done.json();
    let checks = told["checks"].as_array().unwrap();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
    let ids: Vec<String> = checks.iter().map(|it| text(it, "id")).collect();
    assert_eq!(ids, IDS);
    let missing = checks.iter().filter(|it| it["ok"] == false);
    let missing: Vec<_> = missing
        .map(|it| (text(it, "id"), text(it, "detail")))
        .collect();
    assert_eq!(told["ready"], missing.is_empty());
    assert_eq!(done.code, Some(i32::from(!missing.is_empty())), "{done:?}");
    missing
}

fn ids(missing: &[(String, String)]) -> Vec<&str> {
    missing.iter().map(|(id, _)| id.as_str()).collect()
}

#[test]
fn a_fresh_clone_is_not_ready_and_becomes_so_by_what_it_is_told() {
    let world = World::empty();
    let workspace = workspace(&world);
    let first = missing(&workspace);
    assert_eq!(ids(&first), ["diagnostics", "docs", "guardrails"]);
    assert!(
        first[0].1.contains("there are no runs of it here"),
        "{first:?}"
    );
    assert!(first[2].1.contains("lint never-run"), "{first:?}");
    run(&workspace, 0);
    let second = missing(&workspace);
    assert_eq!(ids(&second), ["docs"]);
    assert!(second[0].1.contains("orchctl docs sync"), "{second:?}");
    workspace.done(&["docs", "sync"]);
    assert_eq!(missing(&workspace), []);
    let said = workspace.done(&["review", "ready", "--task", "t"]);
    assert!(
        said.out.starts_with("ok  diagnostics  t: .runs/t/cli/"),
        "{said:?}"
    );
    assert!(said.out.ends_with("\nready\n"), "{said:?}");
    assert_eq!(
        workspace.ctl(&["review", "ready", "--task", "no"]).code,
        Some(2)
    );
}

#[test]
fn each_thing_that_is_not_so_is_told_under_its_own_name() {
    let world = World::empty();
    let workspace = workspace(&world);
    let good = run(&workspace, 0);
    workspace.done(&["docs", "sync"]);
    assert_eq!(missing(&workspace), []);

    workspace.write("broken", "");
    let bad = run(&workspace, 1);
    let told = missing(&workspace);
    assert_eq!(ids(&told), ["diagnostics", "guardrails"], "{told:?}");
    assert!(told[0].1.contains(&bad), "{told:?}");
    // A page that leads to the red run alone leads to none that passed.
    workspace.sh(&format!("sed -i s/{good}/{bad}/ docs/TASKS.md; rm broken"));
    run(&workspace, 0);
    assert_eq!(ids(&missing(&workspace)), ["docs"]);
    workspace.done(&["docs", "sync"]);

    let mirror = workspace.read(".agent/task/t-web.md");
    workspace.write(".agent/task/t-web.md", mirror.replace("[ ]", "[x]"));
    assert_eq!(ids(&missing(&workspace)), ["mirrors", "checklists"]);
    workspace.write(".agent/task/t-web.md", mirror);
    workspace.write(".runs/ghost/cli/x/manifest.json", "{}");
    assert_eq!(ids(&missing(&workspace)), ["projects"]);
    workspace.sh("rm -r .runs/ghost");
    workspace.write(
        "orchd.toml",
        TOML.replace(
            "command = 'test ! -e broken'",
            "command = 'true && test -e a'\nallow_failure = true",
        ),
    );
    let told = missing(&workspace);
    assert_eq!(ids(&told), ["guardrails", "drift"], "{told:?}");
    assert!(told[0].1.contains("test disabled"), "{told:?}");
    workspace.write("orchd.toml", TOML);
    workspace.sh(&format!("echo '{{' > .runs/t/cli/{good}/manifest.json"));
    let told = missing(&workspace);
    assert_eq!(ids(&told), ["evidence"], "{told:?}");
    assert!(told[0].1.contains(&good), "{told:?}");
}

//! The pages of a workspace, checked and synced by the real binary, with the evidence of real runs; and our own pages.

use crate::support::{Workspace, World};
use serde_json::Value;
use std::path::Path;

const TOML: &str = "\
[workspace]
settle_ms = 0

[[pipeline]]
id = \"web\"
[[pipeline.stage]]
id = \"check\"
command = \"test ! -e broken\"
";

fn project(world: &World) -> Workspace<'_> {
    let workspace = world.directory("w");
    workspace.write("orchd.toml", TOML);
    workspace.write("p/x", "");
    let words = [
        "project",
        "add",
        "p",
        "--task",
        "0101-web",
        "--slug",
        "web",
        "--pipeline",
        "web",
    ];
    workspace.done(&words);
    workspace.done(&["add", "--allow"]);
    workspace.wait();
    workspace
}

fn sync(workspace: &Workspace<'_>) -> Value {
    workspace.done(&["docs", "sync", "--json"]).json()
}

fn kinds(workspace: &Workspace<'_>, code: i32) -> Vec<(String, u64, String)> {
    let done = workspace.ctl(&["docs", "check", "--json"]);
    assert_eq!(done.code, Some(code), "{done:?}");
    let told = done.json();
    let findings = told["findings"].as_array().unwrap().iter();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
    findings
        .map(|it| {
            (
                text(it, "file"),
                it["line"].as_u64().unwrap(),
                text(it, "kind"),
            )
        })
        .collect()
}

#[test]
fn blocks_follow_the_runs_and_twice_is_once() {
    let world = World::new();
    let workspace = project(&world);
    let synced = sync(&workspace);
    assert_eq!(synced["files"], serde_json::json!(["docs/TASKS.md"]));
    assert_eq!(synced["blocks"][0]["task_id"], "0101-web");
    let green = workspace.read("docs/TASKS.md");
    let run = |text: &str, what: &str| {
        let line = text.lines().find(|line| line.starts_with(what)).unwrap();
        line.split('`').nth(1).unwrap().to_owned()
    };
    let first = run(&green, "- Latest run:");
    assert_eq!(run(&green, "- Latest green run:"), first);
    assert_eq!(workspace.json(&first)["status"], "succeeded");
    let again = sync(&workspace);
    assert_eq!(
        (&again["written"], &again["files"]),
        (&Value::Bool(false), &serde_json::json!([]))
    );

    workspace.write("p/broken", "");
    assert_eq!(workspace.wait()["verdict"], "fail");
    let dry = workspace.done(&["docs", "sync", "--dry-run"]);
    assert!(dry.out.contains("1 block would be made again"), "{dry:?}");
    assert_eq!(workspace.read("docs/TASKS.md"), green);
    sync(&workspace);
    let red = workspace.read("docs/TASKS.md");
    assert_eq!(run(&red, "- Latest green run:"), first);
    assert_eq!(
        workspace.json(&run(&red, "- Latest run:"))["status"],
        "failed"
    );
    assert_eq!(kinds(&workspace, 0), []);
    workspace.done(&["checklist", "check"]);

    // A clone has the pages and no runs: nothing fails, and nothing that they say is lost.
    workspace.sh("rm -r .runs out");
    let unverifiable = kinds(&workspace, 0);
    assert!(unverifiable.len() >= 2, "{unverifiable:?}");
    assert!(
        unverifiable
            .iter()
            .all(|(_, _, kind)| kind == "unverifiable")
    );
    sync(&workspace);
    assert_eq!(workspace.read("docs/TASKS.md"), red);
}

#[test]
fn what_leads_nowhere_is_told_with_its_place() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", TOML);
    workspace.write("p/x", "");
    let words = [
        "project",
        "add",
        "p",
        "--task",
        "0101-web",
        "--slug",
        "web",
        "--pipeline",
        "web",
    ];
    workspace.done(&words);
    assert_eq!(kinds(&workspace, 0), []);
    let run = ".runs/0101-web/cli/2026-11-20T10-00-00-000Z-00000001/manifest.json";
    workspace.write("docs/a.md", format!("[x](no.md)\n[y][z]\n`{run}`\n"));
    workspace.write(
        "tasks/0101-web.md",
        "# <task-id>\n\n- [ ] Diagnostics are green\n",
    );
    workspace.write(".agent/SOPs/evidence.md", "nothing\n");
    workspace.sh("mkdir -p .runs/0101-web/cli");
    let at = |file: &str, line: u64, kind: &str| (file.to_owned(), line, kind.to_owned());
    assert_eq!(
        kinds(&workspace, 1),
        [
            at(".agent/SOPs", 1, "missing-pointer"),
            at("docs/a.md", 1, "dangling-link"),
            at("docs/a.md", 2, "undefined-reference"),
            at("docs/a.md", 3, "missing-manifest"),
            at("tasks/0101-web.md", 1, "unfilled"),
        ]
    );
    let github = workspace.ctl(&["docs", "check", "--github"]);
    assert_eq!(github.code, Some(1), "{github:?}");
    assert!(
        github
            .out
            .contains("::error file=docs/a.md,line=1,title=dangling-link::"),
        "{github:?}"
    );
}

#[test]
fn our_own_pages_and_projects_have_no_finding() {
    let world = World::empty();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).to_str().unwrap();
    for group in ["docs", "project"] {
        let done = world.ctl(&["--workspace", here, group, "check"]);
        assert_eq!(done.code, Some(0), "{done:?}");
    }
}

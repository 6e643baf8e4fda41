//! Checklists held against real runs: what is told of each way in which they rot, and what a tick writes.

use crate::support::{Workspace, World, check};
use serde_json::{Value, json};

/// The ids of runs that were made up begin so.
const ODD: &str = "2026-11-22T10-09-50-592Z-3d0103";
const SOURCE: &str = "# T\n\n## Checklist Convention\n\n- [ ] an example\n\n## Checklist\n\n### Docs\n\n- [ ] Write it\n  - Acceptance: it is read\n- [ ] Link it <!-- orchd:item link -->\n\n### Code\n\n1. **Build**\n   - Subtask: Compile it\n     - Acceptance: no warning\n     - [ ] Status: Pending\n";
const MIRROR: &str = "# t\r\n\r\n## Docs\r\n\r\n* [ ] write IT.\r\n* [ ] Have a link <!-- orchd:item link -->\r\n* [x] Its own; Evidence: `out/t/state.json`\r\n";
const ALL: &str = "# Tasks\n\n## t\n\n- Docs — `[ ]` all of it\n\n<!-- docs-sync:begin t -->\nold\n<!-- docs-sync:end t -->\n";

/// A workspace with a run that passed, one that failed before it, and a task with two mirrors.
fn workspace(world: &World) -> (Workspace<'_>, String, String) {
    let workspace = world.directory("w");
    workspace.write("orchd.toml", check("test ! -e broken"));
    workspace.write("broken", "");
    workspace.done(&["allow"]);
    let run = |code: i32| {
        let done = workspace.ctl(&["run", "--no-daemon", "--json"]);
        assert_eq!(done.code, Some(code), "{done:?}");
        done.json()["run_id"].as_str().unwrap().to_owned()
    };
    let failed = run(1);
    workspace.sh("rm broken");
    let passed = run(0);
    workspace.write("tasks/tasks-t-web.md", SOURCE);
    workspace.write(".agent/task/t-web.md", MIRROR);
    workspace.write(".agent/task/templates/t.md", "- [x] never looked at\n");
    workspace.write("docs/TASKS.md", ALL);
    (workspace, failed, passed)
}

fn findings(workspace: &Workspace<'_>, code: i32) -> Vec<(String, u64, String)> {
    let done = workspace.ctl(&["checklist", "check", "--json"]);
    assert_eq!(done.code, Some(code), "{done:?}");
    let told = done.json();
    let all = told["findings"].as_array().unwrap().iter();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    all.map(|it| {
        (
            text(it, "file"),
            it["line"].as_u64().unwrap(),
            text(it, "kind"),
        )
    })
    .collect()
}

/// What is told of one ticked line with this evidence.
fn told(workspace: &Workspace<'_>, line: &str) -> Vec<String> {
    workspace.write("tasks/t-more.md", format!("{line}\n"));
    let done = workspace.ctl(&["checklist", "check", "--json", "tasks/t-more.md"]);
    let report = done.json();
    assert_eq!(report["items"], 1, "{line}");
    let kinds = report["findings"].as_array().unwrap().iter();
    let kinds: Vec<String> = kinds
        .map(|it| it["kind"].as_str().unwrap().to_owned())
        .collect();
    let is_red = kinds.iter().any(|kind| kind != "unverifiable");
    assert_eq!(done.code, Some(i32::from(is_red)), "{line}: {done:?}");
    workspace.sh("rm tasks/t-more.md");
    kinds
}

/// Runs that say something wrong of themselves, each under the end of its id.
fn odd_runs(workspace: &Workspace<'_>, good: &str, passed: &str) {
    let manifest = workspace.json(good);
    let copy = |end: &str, key: &str, value: Value| {
        let run = format!("{ODD}{end}");
        let mut other = manifest.clone();
        other["run_id"] = json!(run);
        match key {
            "stage" => other["commands"][0]["id"] = value,
            key => other[key] = value,
        }
        workspace.write(
            format!(".runs/t/cli/{run}/manifest.json"),
            other.to_string(),
        );
    };
    copy("be", "status", json!("in_progress"));
    copy("bf", "run_id", json!(passed));
    copy("c0", "task_id", json!("u"));
    copy("c1", "stage", json!("other"));
    workspace.write(".runs/t/cli/torn/manifest.json", "{");
    workspace.write(".runs/u/cli/x/manifest.json", "{}");
}

#[test]
fn each_way_in_which_evidence_rots_is_told() {
    let world = World::empty();
    let (workspace, failed, passed) = workspace(&world);
    let good = format!(".runs/t/cli/{passed}/manifest.json");
    odd_runs(&workspace, &good, &passed);
    let bad = format!(".runs/t/cli/{failed}/manifest.json");
    let odd = |end: &str| format!("- [x] a; Evidence: `.runs/t/cli/{ODD}{end}/manifest.json`");
    let ticked = |evidence: &str| format!("- [x] a; Evidence: {evidence}");
    let cases: [(String, &[&str]); 23] = [
        (format!("- [x] a. Evidence: `{good}`."), &[]),
        (format!("- [x] a ({good}#commands[0].id)"), &[]),
        (
            ticked(&format!(".runs/t/cli/{passed}/commands/01-check.ndjson")),
            &[],
        ),
        (ticked("`out/t/state.json`"), &[]),
        ("- [x] a".to_owned(), &["no-evidence"]),
        (ticked("done, 2026-11-22"), &["no-evidence"]),
        (
            ticked("`.runs/<task-id>/cli/<run-id>/manifest.json`"),
            &["placeholder"],
        ),
        (
            ticked("`.runs/t/cli/none/manifest.json`"),
            &["missing-file"],
        ),
        (ticked("`.runs/t/../../../etc/passwd`"), &["missing-file"]),
        (ticked("`.runs/t/cli/torn/manifest.json`"), &["unparsable"]),
        (
            ticked(&format!("`.runs/t/mcp/{passed}/manifest.json`")),
            &["pointer"],
        ),
        (
            ticked(&format!("`.runs/local-mcp/{passed}/manifest.json`")),
            &["pointer"],
        ),
        (
            ticked(&format!("`.runs/local-mcp/{failed}/manifest.json`")),
            &["not-succeeded"],
        ),
        (ticked("`.runs/u/cli/x/manifest.json`"), &["wrong-task"]),
        (odd("c0"), &["wrong-task"]),
        (odd("bf"), &["run-mismatch"]),
        (odd("be"), &["not-terminal"]),
        (ticked(&format!("`{bad}`")), &["not-succeeded"]),
        (odd("c1"), &["guardrail-absent"]),
        (ticked(&format!("`{good}#approvals[]`")), &["bad-fragment"]),
        (
            format!("- [ ] a; Evidence: `{good}`"),
            &["evidence-but-open"],
        ),
        (format!("- [ ] a; Evidence: `{bad}`"), &[]),
        (ticked(&format!("`{good}`, `{bad}`")), &["not-succeeded"]),
    ];
    for (line, kinds) in cases {
        assert_eq!(told(&workspace, &line), kinds, "{line}");
    }
    // A fresh clone has no runs, and nothing to hold evidence against.
    workspace.sh("mv .runs away");
    assert_eq!(
        told(&workspace, &ticked(&format!("`{good}`"))),
        ["unverifiable"]
    );
}

#[test]
fn a_tick_goes_into_the_source_and_all_its_mirrors_and_only_with_a_run_that_passed() {
    let world = World::empty();
    let (workspace, failed, passed) = workspace(&world);
    assert_eq!(
        findings(&workspace, 1),
        [("docs/TASKS.md".to_owned(), 7, "out-of-sync".to_owned())]
    );
    workspace.done(&["checklist", "sync"]);
    assert_eq!(findings(&workspace, 0), []);
    let files = [
        "tasks/tasks-t-web.md",
        ".agent/task/t-web.md",
        "docs/TASKS.md",
    ];
    let before = files.map(|file| workspace.read(file));

    let refused = workspace.ctl(&["checklist", "flip", "write it", "--run", &failed]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("the run has failed"), "{refused:?}");
    let unknown = workspace.ctl(&["checklist", "flip", "nothing", "--latest"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    let several = workspace.ctl(&["checklist", "flip", "it", "--latest"]);
    assert_eq!(several.code, Some(2), "{several:?}");
    assert!(
        several.err.contains("tasks/tasks-t-web.md:11"),
        "{several:?}"
    );
    assert_eq!(files.map(|file| workspace.read(file)), before);

    let evidence = format!("Evidence: `.runs/t/cli/{passed}/manifest.json`");
    let first = workspace
        .done(&["checklist", "flip", "write it", "--run", &passed, "--json"])
        .json();
    assert_eq!(first["checked"], true);
    assert!(
        workspace
            .read(files[0])
            .contains(&format!("- [x] Write it; {evidence}\n"))
    );
    assert!(
        workspace
            .read(files[1])
            .contains(&format!("* [x] write IT. {evidence}\r\n"))
    );
    assert!(
        workspace
            .read(files[2])
            .contains(&format!("- [x] Write it; {evidence}\n"))
    );
    // A row is ticked with the last item of its section.
    assert!(
        workspace
            .read(files[2])
            .contains("- Docs — `[ ]` all of it\n")
    );
    workspace.done(&["checklist", "flip", "link", "--latest"]);
    assert!(
        workspace
            .read(files[2])
            .contains(&format!("- Docs — `[x]` all of it; {evidence}\n"))
    );
    assert!(workspace.read(files[1]).contains(&format!(
        "* [x] Have a link; {evidence} <!-- orchd:item link -->\r\n"
    )));
    workspace.done(&["checklist", "flip", "tasks/tasks-t-web.md:20", "--latest"]);
    assert!(workspace.read(files[0]).contains(&format!(
        "- [x] Status: `.runs/t/cli/{passed}/manifest.json`\n"
    )));
    assert_eq!(findings(&workspace, 0), []);

    for item in ["Compile it", "link", "Write it"] {
        workspace.done(&["checklist", "unflip", item]);
    }
    assert_eq!(files.map(|file| workspace.read(file)), before);
}

#[test]
fn a_mirror_that_says_something_else_is_told_and_follows() {
    let world = World::empty();
    let (workspace, _, passed) = workspace(&world);
    workspace.done(&["checklist", "sync"]);
    let source = workspace.read("tasks/tasks-t-web.md");
    let ticked = source.replace(
        "- [ ] Write it",
        &format!("- [x] Write it. Evidence: `.runs/t/cli/{passed}/manifest.json`"),
    );
    workspace.write("tasks/tasks-t-web.md", &ticked);
    let told = findings(&workspace, 1);
    let expected = [(".agent/task/t-web.md", 5), ("docs/TASKS.md", 7)];
    assert_eq!(
        told,
        expected.map(|(file, line)| (file.to_owned(), line, "out-of-sync".to_owned()))
    );
    let annotated = workspace.ctl(&["checklist", "check", "--github"]);
    assert_eq!(annotated.code, Some(1));
    assert!(
        annotated
            .out
            .starts_with("::error file=.agent/task/t-web.md,line=5,title=out-of-sync::"),
        "{annotated:?}"
    );

    let dry = workspace
        .done(&["checklist", "sync", "--dry-run", "--json"])
        .json();
    assert_eq!(dry["written"], false);
    assert_eq!(
        dry["files"],
        json!([".agent/task/t-web.md", "docs/TASKS.md"])
    );
    assert_eq!(findings(&workspace, 1).len(), 2);
    workspace.done(&["checklist", "sync"]);
    assert_eq!(findings(&workspace, 0), []);
    let again = workspace.done(&["checklist", "sync", "--json"]).json();
    assert_eq!(again["files"], json!([]));
}

#[test]
fn outside_of_a_workspace_and_with_a_broken_list_of_tasks_the_reason_is_told() {
    let world = World::empty();
    let (workspace, ..) = workspace(&world);
    let outside = workspace.ctl(&["checklist", "check", "/etc/hosts"]);
    assert_eq!(outside.code, Some(2), "{outside:?}");
    assert!(outside.err.contains("lies outside of"), "{outside:?}");
    let unknown = workspace.ctl(&["checklist", "show", "--task", "other"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    workspace.write("tasks/index.json", "{");
    let broken = workspace.ctl(&["checklist", "check"]);
    assert_eq!(broken.code, Some(2), "{broken:?}");
    assert!(broken.err.contains("tasks/index.json"), "{broken:?}");
    workspace.sh("rm tasks/index.json; mv docs/TASKS.md real.md; ln -s ../real.md docs/TASKS.md");
    let link = workspace.ctl(&["checklist", "sync"]);
    assert_eq!(link.code, Some(2), "{link:?}");
    assert!(link.err.contains("is a link"), "{link:?}");
}

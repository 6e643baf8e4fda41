//! Checklists held against real runs: what is told of each way in which they rot, and what a tick writes.

use crate::support::{Workspace, World, check};
use serde_json::{Value, json};

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

#[test]
fn each_way_in_which_evidence_rots_is_told() {
    let world = World::empty();
    let (workspace, failed, passed) = workspace(&world);
    let good = format!(".runs/t/cli/{passed}/manifest.json");
    let running = "2026-11-22T10-09-50-592Z-3d0103be";
    let mut manifest = workspace.json(&good);
    let mut copy = |run: &str, change: &dyn Fn(&mut Value)| {
        manifest["run_id"] = json!(run);
        let mut other = manifest.clone();
        change(&mut other);
        workspace.write(
            format!(".runs/t/cli/{run}/manifest.json"),
            other.to_string(),
        );
    };
    copy(running, &|manifest| {
        manifest["status"] = json!("in_progress")
    });
    copy("2026-11-22T10-09-50-592Z-3d0103bf", &|manifest| {
        manifest["run_id"] = json!(passed)
    });
    copy("2026-11-22T10-09-50-592Z-3d0103c0", &|manifest| {
        manifest["task_id"] = json!("u")
    });
    copy("2026-11-22T10-09-50-592Z-3d0103c1", &|manifest| {
        manifest["commands"][0]["id"] = json!("other");
    });
    workspace.write(".runs/t/cli/torn/manifest.json", "{");
    workspace.write(".runs/u/cli/x/manifest.json", "{}");
    let cases: Vec<(String, &[&str])> = vec![
        (format!("- [x] a. Evidence: `{good}`."), &[]),
        (format!("- [x] a ({good}#commands[0].id)"), &[]),
        (
            format!("- [x] a; Evidence: .runs/t/cli/{passed}/commands/01-check.ndjson"),
            &[],
        ),
        ("- [x] a; Evidence: `out/t/state.json`".to_owned(), &[]),
        ("- [x] a".to_owned(), &["no-evidence"]),
        (
            "- [x] a. Evidence: done, 2026-11-22".to_owned(),
            &["no-evidence"],
        ),
        (
            "- [x] a; Evidence: `.runs/<task-id>/cli/<run-id>/manifest.json`".to_owned(),
            &["placeholder"],
        ),
        (
            "- [x] a; Evidence: `.runs/t/cli/none/manifest.json`".to_owned(),
            &["missing-file"],
        ),
        (
            "- [x] a; Evidence: `.runs/t/../../../etc/passwd`".to_owned(),
            &["missing-file"],
        ),
        (
            "- [x] a; Evidence: `.runs/t/cli/torn/manifest.json`".to_owned(),
            &["unparsable"],
        ),
        (
            format!("- [x] a; Evidence: `.runs/t/mcp/{passed}/manifest.json`"),
            &["pointer"],
        ),
        (
            format!("- [x] a; Evidence: `.runs/local-mcp/{passed}/manifest.json`"),
            &["pointer"],
        ),
        (
            format!("- [x] a; Evidence: `.runs/local-mcp/{failed}/manifest.json`"),
            &["not-succeeded"],
        ),
        (
            "- [x] a; Evidence: `.runs/u/cli/x/manifest.json`".to_owned(),
            &["wrong-task"],
        ),
        (
            "- [x] a; Evidence: `.runs/t/cli/2026-11-22T10-09-50-592Z-3d0103c0/manifest.json`"
                .to_owned(),
            &["wrong-task"],
        ),
        (
            "- [x] a; Evidence: `.runs/t/cli/2026-11-22T10-09-50-592Z-3d0103bf/manifest.json`"
                .to_owned(),
            &["run-mismatch"],
        ),
        (
            format!("- [x] a; Evidence: `.runs/t/cli/{running}/manifest.json`"),
            &["not-terminal"],
        ),
        (
            format!("- [x] a; Evidence: `.runs/t/cli/{failed}/manifest.json`"),
            &["not-succeeded"],
        ),
        (
            "- [x] a; Evidence: `.runs/t/cli/2026-11-22T10-09-50-592Z-3d0103c1/manifest.json`"
                .to_owned(),
            &["guardrail-absent"],
        ),
        (
            format!("- [x] a; Evidence: `{good}#approvals[]`"),
            &["bad-fragment"],
        ),
        (
            format!("- [ ] a; Evidence: `{good}`"),
            &["evidence-but-open"],
        ),
        (
            format!("- [ ] a; Evidence: `.runs/t/cli/{failed}/manifest.json`"),
            &[],
        ),
        (
            format!("- [x] a; Evidence: `{good}`, `.runs/t/cli/{failed}/manifest.json`"),
            &["not-succeeded"],
        ),
    ];
    for (line, kinds) in cases {
        assert_eq!(told(&workspace, &line), kinds, "{line}");
    }
    // A fresh clone has no runs, and nothing to hold evidence against.
    workspace.sh("mv .runs away");
    assert_eq!(
        told(&workspace, &format!("- [x] a; Evidence: `{good}`")),
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

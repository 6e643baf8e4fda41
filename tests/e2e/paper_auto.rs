//! Items that tick themselves: by which runs, in which files, and that nothing goes in circles.

use crate::support::{Workspace, World};
use serde_json::Value;

const SOURCE: &str = "# T\n\n- [ ] Build it <!-- orchd:item build pipeline=diagnostics -->\n- [ ] Try it <!-- orchd:item try pipeline=smoke -->\n- [ ] Say it\n";
const MIRROR: &str = "# T\r\n\r\n* [ ] Have it built <!-- orchd:item build -->\r\n* [ ] Say it\r\n";
const FILES: [&str; 3] = ["tasks/t-web.md", ".agent/task/t-web.md", "docs/TASKS.md"];

/// A configuration with the pipelines `diagnostics` and `smoke`, both of which are red while there is a file `broken`.
fn toml(settings: &str) -> String {
    let pipeline = |id: &str| {
        format!(
            "[[pipeline]]\nid = '{id}'\n[[pipeline.stage]]\nid = 'check'\ncommand = 'test ! -e broken'\n"
        )
    };
    format!(
        "[workspace]\n{settings}[[project]]\ntask = 't'\n{}{}",
        pipeline("diagnostics"),
        pipeline("smoke")
    )
}

fn write(workspace: &Workspace<'_>, toml: &str) {
    workspace.write("orchd.toml", toml);
    workspace.write(FILES[0], SOURCE);
    workspace.write(FILES[1], MIRROR);
    workspace.write(
        FILES[2],
        "<!-- docs-sync:begin t -->\n<!-- docs-sync:end t -->\n",
    );
    workspace.done(&["checklist", "sync"]);
}

fn files(workspace: &Workspace<'_>) -> [String; 3] {
    FILES.map(|file| workspace.read(file))
}

/// The runs, once what was ticked by any of them is ticked and what that calls for has ended. To list them waits for its turn
/// behind the tick of a run that has ended.
fn calm(workspace: &Workspace<'_>) -> Vec<Value> {
    let mut runs = Vec::new();
    loop {
        workspace.wait();
        let now = workspace.runs();
        if now.len() == runs.len() {
            return now;
        }
        runs = now;
        assert!(runs.len() < 12, "it goes in circles: {runs:#?}");
    }
}

fn id(run: &Value) -> &str {
    run["run_id"].as_str().unwrap()
}

#[test]
fn a_green_run_ticks_what_declares_its_pipeline_in_all_mirrors_and_once() {
    let world = World::new();
    let workspace = world.directory("w");
    write(&workspace, &toml("flip = 'auto'\n"));
    workspace.write("broken", "");
    let before = files(&workspace);
    workspace.done(&["add", "--allow"]);
    let red = calm(&workspace);
    assert!(red.iter().all(|run| run["verdict"] == "fail"), "{red:#?}");
    assert_eq!(files(&workspace), before);

    workspace.sh("rm broken");
    let runs = calm(&workspace);
    // The one that was green, and the one that its tick called for: no stage says what it reads.
    let green: Vec<&Value> = runs.iter().filter(|run| run["verdict"] == "pass").collect();
    assert_eq!(green.len(), 2, "{runs:#?}");
    let evidence = format!("Evidence: `.runs/t/cli/{}/manifest.json`", id(green[1]));
    let built = format!("Build it; {evidence} <!-- orchd:item build");
    let [source, mirror, all] = files(&workspace);
    let wanted = SOURCE.replace(
        "[ ] Build it <!-- orchd:item build",
        &format!("[x] {built}"),
    );
    assert_eq!(source, wanted);
    assert!(
        mirror.contains(&format!(
            "* [x] Have it built; {evidence} <!-- orchd:item build -->\r\n"
        )),
        "{mirror}"
    );
    assert!(all.contains(&format!("- [x] {built} -->\n")), "{all}");
    workspace.done(&["checklist", "check"]);
    // A run that is asked for by name ticks what declares that one.
    workspace.done(&["run", "smoke"]);
    calm(&workspace);
    assert!(workspace.read(FILES[0]).contains("- [x] Try it; Evidence"));
    assert!(workspace.read(FILES[0]).contains("- [ ] Say it\n"));

    // What was green and is red: nothing is opened by itself, and it is told.
    let ticked = files(&workspace);
    workspace.write("broken", "");
    calm(&workspace);
    assert_eq!(files(&workspace), ticked);
    let told = workspace.done(&["checklist", "check", "--json"]).json();
    let findings = told["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{told:#}");
    assert_eq!(findings[0]["kind"], "contradicted");
    assert_eq!(findings[0]["line"], 3);
    assert!(
        world.log().contains("contradicts items that are ticked"),
        "{}",
        world.log()
    );
    let said = workspace.done(&["checklist", "check"]).out;
    assert!(
        said.ends_with("no finding, 1 contradicted since: 8 items in 3 files\n"),
        "{said}"
    );
}

#[test]
fn without_the_setting_nothing_is_ticked() {
    let world = World::new();
    let workspace = world.directory("w");
    write(&workspace, &toml(""));
    let before = files(&workspace);
    workspace.done(&["add", "--allow"]);
    calm(&workspace);
    workspace.write("orchd.toml", toml("flip = 'manual'\n"));
    let runs = calm(&workspace);
    assert!(runs.iter().all(|run| run["verdict"] == "pass"), "{runs:#?}");
    assert_eq!(files(&workspace), before);
}

#[test]
fn a_run_without_a_daemon_ticks_and_one_of_a_commit_does_not() {
    let world = World::empty();
    let workspace = world.directory("w");
    write(&workspace, &toml("flip = 'auto'\n"));
    workspace.write(".gitignore", "/.runs/\n/out/\n");
    workspace.sh("git init -q && git add -A && git commit -qm a");
    workspace.done(&["allow"]);
    let before = files(&workspace);
    workspace.done(&["gate", "--commit", "HEAD"]);
    assert_eq!(files(&workspace), before);
    // The content is the same, and nothing has to run: what is known already ticks nothing.
    workspace.done(&["gate", "--no-daemon"]);
    assert_eq!(files(&workspace), before);
    let run = workspace
        .done(&["run", "--no-daemon", "--force", "--json"])
        .json();
    let evidence = format!(".runs/t/cli/{}/manifest.json", id(&run));
    assert!(
        files(&workspace)
            .iter()
            .all(|text| text.contains(&evidence))
    );
}

#[test]
fn a_run_whose_content_changed_ticks_nothing() {
    let world = World::new();
    let (begun, go) = (world.fifo("begun"), world.fifo("go"));
    let workspace = world.directory("w");
    let (started, wait) = (begun.display(), go.display());
    let command = format!("test -e again && exit 1; echo x > {started}; cat {wait}");
    let toml = toml("flip = 'auto'\n").replace("test ! -e broken", &command);
    write(&workspace, &toml);
    workspace.done(&["add", "--allow"]);
    world.heard(&begun);
    // The run that is under way is green, of content that is gone; the one that follows is red.
    workspace.write("again", "");
    workspace.ctl(&["sync"]);
    let before = files(&workspace);
    world.say(&go, "on\n");
    let runs = calm(&workspace);
    assert!(runs.iter().all(|run| run["verdict"] != "pass"), "{runs:#?}");
    assert_eq!(files(&workspace), before);
}

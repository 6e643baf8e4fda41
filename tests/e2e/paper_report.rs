//! `orchctl report` of real runs: the same bytes whenever and wherever it is asked for, whole files, and logs that stay text.

use crate::support::{Workspace, World, finish};

const TOML: &str = r#"
[[project]]
task = "t"
[[pipeline]]
id = "diagnostics"
[[pipeline.stage]]
id = "build"
command = "true && true"
[[pipeline.stage]]
id = "lint"
command = """printf 'ok\\nerror: </script><img src=x onerror=alert(1)> \\342\\200\\256\\377 \\033[2J``````\\n' >&2; test -e mended"""
"#;

/// A workspace whose one run has failed; the run.
fn red<'w>(world: &'w World) -> (Workspace<'w>, String) {
    let workspace = world.directory("w");
    workspace.write("orchd.toml", TOML);
    workspace.done(&["allow"]);
    let done = workspace.ctl(&["run", "--no-daemon", "--json"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let run = done.json()["run_id"].as_str().unwrap().to_owned();
    (workspace, run)
}

#[test]
fn a_report_is_the_same_bytes_at_any_time_and_place_and_of_what_is_on_disk() {
    let world = World::empty();
    let (workspace, run) = red(&world);
    let page = workspace.done(&["report"]).out;
    assert!(page.starts_with("<!doctype html>\n"), "{page}");
    for anchor in [
        format!("id=\"run-{run}\""),
        format!("id=\"run-{run}-stage-lint\""),
    ] {
        assert_eq!(page.matches(&anchor).count(), 1, "{anchor}");
    }
    let manifest = format!(".runs/t/cli/{run}/manifest.json");
    assert!(
        page.contains(&manifest) && page.contains("onerror=alert(1)&#62; \\u{202e}\\xff"),
        "{page}"
    );
    assert!(
        !page.contains("<img") && !page.contains('\u{202e}'),
        "{page}"
    );
    let mut elsewhere = workspace.orchctl(&["report"]);
    elsewhere
        .env("TZ", "Asia/Kathmandu")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("COLUMNS", "20")
        .env("CLICOLOR_FORCE", "1");
    assert_eq!(finish(elsewhere).out, page);
    let copy = world.directory("copy");
    copy.sh("cp -a ../w/. .");
    assert_eq!(copy.done(&["report", "--task", "t"]).out, page);

    workspace.write("mended", "");
    let green = workspace.done(&["run", "--no-daemon", "--json"]).json();
    let told = workspace.done(&["report", "--json"]).json();
    let project = &told["projects"][0];
    assert_eq!(project["newest"], green["run_id"]);
    assert_eq!(
        (&project["verdict"], &project["tally"]["failed"]),
        (&"pass".into(), &1.into())
    );
    assert_eq!(project["runs"][1]["excerpts"][0]["stage"], "lint");
    assert_eq!(project["integrity"]["runs"], 2);
    assert!(project["integrity"]["head"]["number"].is_u64(), "{project}");
    assert_eq!(project["integrity"]["findings"], serde_json::json!([]));
    assert_eq!(told["as_of"], project["runs"][0]["completed_at"]);
}

#[test]
fn a_report_goes_to_a_file_whole_and_to_nobody_without_a_word() {
    let world = World::empty();
    let (workspace, run) = red(&world);
    let page = workspace.done(&["report"]).out;
    let done = workspace.done(&["report", "--out", "report.html"]);
    assert_eq!(
        (done.out.as_str(), done.err.as_str()),
        ("", "Wrote report.html\n")
    );
    assert_eq!(workspace.read("report.html"), page);
    workspace.done(&["report", "--json", "--out", "report.json"]);
    assert!(workspace.json("report.json")["projects"].is_array());
    for (arguments, said) in [
        (["report", "--out", "."], "name a file in it"),
        (
            ["report", "--out", "none/x.html"],
            "its directory has to be there",
        ),
        (["report", "--task", "none"], "no task `none`"),
        (["report", "--md", "--json"], "cannot be used with"),
    ] {
        let done = workspace.ctl(&arguments);
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.err.contains(said), "{done:?}");
    }
    let program = env!("CARGO_BIN_EXE_orchctl");
    workspace.sh(&format!("(\"{program}\" report; echo $? > code) | :"));
    assert_eq!(workspace.read("code"), "0\n");

    let markdown = workspace.done(&["report", "--md"]).out;
    assert!(
        markdown.contains(&format!("`.runs/t/cli/{run}/manifest.json`")),
        "{markdown}"
    );
    assert!(
        markdown.contains("\n```````text\nerror: </script><img"),
        "{markdown}"
    );
    assert!(
        markdown.contains("\\u{1b}[2J``````\n```````\n"),
        "{markdown}"
    );
}

#[test]
fn without_a_run_it_says_so() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", TOML);
    let page = workspace.done(&["report"]).out;
    assert!(
        page.contains("1 project, and no run that can be read."),
        "{page}"
    );
    assert!(
        workspace
            .done(&["report", "--md"])
            .out
            .contains("There is no run.")
    );
    assert_eq!(
        workspace.done(&["report", "--json"]).json()["as_of"],
        serde_json::Value::Null
    );
}

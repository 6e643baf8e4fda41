//! Guardrails on paper: how they stand by real runs, how pipelines differ, and what the spec guard sees of a real repository.

use crate::support::{Done, Workspace, World};
use serde_json::{Value, json};

const SPEC: &str = "last_review: 2020-01-01\n";

/// A pipeline of these stages, for one project that is called `t`.
fn toml(project: &str, stages: &[(&str, &str)]) -> String {
    let each = stages.iter();
    let stages = each.map(|(id, command)| {
        format!("[[pipeline.stage]]\nid = '{id}'\ncommand = \"\"\"{command}\"\"\"\n")
    });
    format!(
        "[[project]]\ntask = 't'\n{project}[[pipeline]]\nid = 'diagnostics'\n{}",
        stages.collect::<String>()
    )
}

fn run(workspace: &Workspace<'_>, code: i32) -> String {
    let done = workspace.ctl(&["run", "--no-daemon", "--json"]);
    assert_eq!(done.code, Some(code), "{done:?}");
    done.json()["run_id"].as_str().unwrap().to_owned()
}

fn told(workspace: &Workspace<'_>, arguments: &[&str], code: i32) -> Value {
    let mut all = arguments.to_vec();
    all.push("--json");
    let done = workspace.ctl(&all);
    assert_eq!(done.code, Some(code), "{done:?}");
    done.json()
}

fn states(coverage: &Value) -> Vec<(String, String)> {
    let guardrails = coverage["projects"][0]["guardrails"].as_array().unwrap();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
    guardrails
        .iter()
        .map(|it| (text(it, "id"), text(it, "state")))
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn coverage_is_of_real_runs_and_a_resumed_one_counts_as_it_ended() {
    let world = World::empty();
    let workspace = world.directory("w");
    let text = toml(
        "sla = '30m'\nrequired = ['lint', 'test']\n",
        &[
            ("lint", "true && test -e a"),
            ("test", "test ! -e broken"),
            ("extra", "test -d ."),
        ],
    );
    workspace.write("orchd.toml", text);
    workspace.write("a", "");
    workspace.write("broken", "");
    workspace.done(&["allow"]);
    let coverage = told(&workspace, &["coverage"], 0);
    assert_eq!(coverage["window_days"], 7);
    assert_eq!(coverage["projects"][0]["percent"], Value::Null);
    assert_eq!(
        states(&coverage),
        pairs(&[("lint", "never-run"), ("test", "never-run")])
    );
    told(&workspace, &["coverage", "--fail-under", "1"], 1);
    told(&workspace, &["coverage", "--fail-under", "0"], 0);

    run(&workspace, 1);
    let coverage = told(&workspace, &["coverage", "--fail-under", "90"], 1);
    assert_eq!(coverage["projects"][0]["runs"], 1);
    assert_eq!(coverage["projects"][0]["covered"], 0);
    assert_eq!(coverage["projects"][0]["sla_ms"], 1_800_000);
    assert!(coverage["projects"][0]["p95_ms"].is_u64(), "{coverage}");
    assert_eq!(
        states(&coverage),
        pairs(&[("lint", "green"), ("test", "failing")])
    );
    assert_eq!(
        coverage["projects"][0]["guardrails"][1]["last_green"],
        Value::Null
    );
    let said = workspace.done(&["coverage"]).out;
    assert!(said.contains("never green"), "{said}");

    workspace.sh("rm broken");
    run(&workspace, 0);
    let coverage = told(&workspace, &["coverage", "--fail-under", "50"], 0);
    assert_eq!(
        (
            &coverage["projects"][0]["runs"],
            &coverage["projects"][0]["percent"]
        ),
        (&json!(2), &json!(50.0))
    );
    let green = &coverage["projects"][0]["guardrails"][1]["last_green"];
    let manifest = green["manifest"].as_str().unwrap();
    assert_eq!(workspace.json(manifest)["run_id"], green["run_id"]);
    let done = workspace.ctl(&["coverage", "--task", "other"]);
    assert_eq!(done.code, Some(2), "{done:?}");
}

#[test]
fn a_run_that_is_resumed_to_success_is_covered() {
    let world = World::new();
    let workspace = world.directory("w");
    workspace.write(
        "orchd.toml",
        format!(
            "[workspace]\non_start = false\n{}",
            toml(
                "required = ['test']\n",
                &[("test", "test ! -e /tmp/none && test -e \"$HOME/mended\"")]
            )
        ),
    );
    workspace.done(&["add", "--allow"]);
    let done = workspace.ctl(&["run", "--json"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let run = done.json()["run_id"].as_str().unwrap().to_owned();
    let coverage = told(&workspace, &["coverage", "--fail-under", "100"], 1);
    assert_eq!(coverage["projects"][0]["covered"], 0);
    workspace.sh("mkdir -p \"$HOME\"; touch \"$HOME/mended\"");
    workspace.done(&["resume", "--run", &run]);
    assert_eq!(workspace.read(".runs/t/metrics.json").lines().count(), 2);
    let coverage = told(&workspace, &["coverage", "--fail-under", "100"], 0);
    let project = &coverage["projects"][0];
    assert_eq!(
        (&project["runs"], &project["covered"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(project["guardrails"][0]["last_green"]["run_id"], json!(run));
}

#[test]
fn a_dry_run_that_found_something_is_not_green_and_neither_is_what_cannot_fail() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.sh("git init -q -b main; mkdir -p src tasks/specs");
    workspace.write("tasks/specs/a.md", SPEC);
    workspace.write(".gitignore", "/.runs/\n/out/\n");
    let stages = [
        ("build", "true && true"),
        ("lint", "test -e src || true"),
        // What it finds lies beyond what its summary holds.
        ("spec-guard", "seq 1 200; orchctl spec-guard --dry-run"),
    ];
    workspace.write("orchd.toml", toml("", &stages));
    workspace.done(&["allow"]);
    let first = run(&workspace, 0);
    let log = workspace.read(&format!(
        ".runs/t/cli/{first}/commands/03-spec-guard.ndjson"
    ));
    assert!(log.contains("❌ Spec guard: 1 to mend"), "{log}");
    let coverage = told(&workspace, &["coverage"], 0);
    assert_eq!(
        states(&coverage),
        pairs(&[
            ("build", "green"),
            ("lint", "disabled"),
            ("test", "missing"),
            ("spec-guard", "passed-with-findings")
        ])
    );
    assert_eq!(coverage["projects"][0]["covered"], 0);
    workspace.sh("rm .runs/t/cli/*/commands/03-*");
    let unread = told(&workspace, &["coverage"], 0);
    assert_eq!(states(&unread)[3].1, "never-run", "nobody knows any more");
    let day = workspace.running("date -u +%F").end().out;
    workspace.write("tasks/specs/a.md", format!("last_review: {day}"));
    workspace.write("orchd.toml", toml("", &[stages[0], stages[2]]));
    workspace.done(&["allow"]);
    run(&workspace, 0);
    let coverage = told(&workspace, &["coverage"], 0);
    assert_eq!(
        states(&coverage)[3],
        ("spec-guard".to_owned(), "green".to_owned())
    );
    assert_eq!(coverage["projects"][0]["covered"], 1);
}

#[test]
fn pipelines_drift_and_what_is_accepted_is_no_finding_until_its_day() {
    let world = World::empty();
    let workspace = world.directory("w");
    let pipeline = toml("", &[("lint", "npm run lint || true")]);
    workspace.write("orchd.toml", &pipeline);
    let done = workspace.ctl(&["drift"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.err.contains("[[template]]"), "{done:?}");
    let template = "[[template]]\nid = 'agreed'\n[[template.stage]]\nid = 'lint'\ncommand = 'npm run lint'\n[[template.stage]]\nid = 'test'\n";
    workspace.write("orchd.toml", format!("{template}{pipeline}"));
    let drift = told(&workspace, &["drift"], 1);
    let all = &drift["projects"][0]["differences"];
    assert_eq!(
        (&drift["against"], &drift["projects"][0]["task_id"]),
        (&json!("agreed"), &json!("t"))
    );
    assert_eq!(
        (
            &all[0]["kind"],
            &all[1]["kind"],
            all.as_array().unwrap().len()
        ),
        (&json!("weakened"), &json!("missing"), 2)
    );
    let waiver = |stage: &str, until: &str| {
        format!(
            "[[project.waiver]]\nstage = '{stage}'\nreason = 'later'\nby = 'ann'\nuntil = {until}\n"
        )
    };
    let waived = toml(
        &[waiver("lint", "2999-12-31"), waiver("test", "2999-12-31")].concat(),
        &[("lint", "npm run lint || true")],
    );
    workspace.write("orchd.toml", format!("{template}{waived}"));
    let drift = told(&workspace, &["drift"], 0);
    assert_eq!(drift["projects"][0]["differences"][0]["waived"], true);
    let said = workspace.done(&["drift"]).out;
    assert!(
        said.contains("waived: later (ann, until 2999-12-31)"),
        "{said}"
    );
    let over = waived.replace("2999-12-31\n[[pipeline]]", "2020-12-31\n[[pipeline]]");
    workspace.write("orchd.toml", format!("{template}{over}"));
    let drift = told(&workspace, &["drift"], 1);
    let kinds: Vec<_> = drift["projects"][0]["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["weakened", "missing", "expired-waiver"]);
    let done = workspace.ctl(&["drift", "--against", "nobody"]);
    assert_eq!(done.code, Some(2), "{done:?}");
}

/// What the guard says; its code, and its lines of findings.
fn guarded(done: &Done) -> (Option<i32>, Vec<&str>) {
    let findings = done.out.lines().filter(|line| line.starts_with(" - "));
    (done.code, findings.collect())
}

#[test]
fn the_spec_guard_sees_what_is_not_committed_from_any_directory() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.write("orchd.toml", toml("", &[("lint", "true && true")]));
    let done = workspace.ctl(&["spec-guard"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(
        done.err
            .contains("without git nobody can tell what changed"),
        "{done:?}"
    );
    workspace.sh("git init -q -b main; git add .; git commit -qm first; git tag v1");
    let done = workspace.ctl(&["spec-guard"]);
    assert_eq!(
        (done.code, done.out.as_str()),
        (Some(0), "✅ Spec guard: nothing to object\n")
    );
    workspace.write("packages/web/src/a.ts", "1");
    let expected = " - code changed (packages/web/src/a.ts), but neither tasks/specs/ nor tasks/index.json did";
    let done = workspace.ctl(&["spec-guard"]);
    assert_eq!(guarded(&done), (Some(1), vec![expected]));
    assert!(done.out.starts_with("❌ Spec guard"), "{done:?}");
    let below = workspace.world.directory("w/packages/web");
    assert_eq!(
        guarded(&below.ctl(&["spec-guard", "--dry-run"])),
        (Some(0), vec![expected])
    );
    let json = told(&workspace, &["spec-guard"], 1);
    assert_eq!(json["findings"][0]["rule"], "code-without-spec");
    assert_eq!(json["findings"][0]["path"], "packages/web/src/a.ts");
    let done = workspace.ctl(&["spec-guard", "--base", "nothing"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    let done = workspace.ctl(&["spec-guard", "--dryrun"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    workspace.sh("git add .; git commit -qm code");
    assert_eq!(workspace.ctl(&["spec-guard"]).code, Some(1));
    assert_eq!(
        workspace.ctl(&["spec-guard", "--base", "HEAD"]).code,
        Some(1),
        "the last commit is looked at"
    );
    let mut command = workspace.orchctl(&["spec-guard"]);
    command.env("BASE_SHA", "nothing");
    assert_eq!(crate::support::finish(command).code, Some(2));
}

/// What the guard says, with only the first of the paths that it names: the script names no more.
fn with_first_path(said: &str) -> String {
    let lines = said.lines().map(|line| match line.split_once("), but ") {
        Some((paths, specs)) => {
            let first = paths.split(", ").next().unwrap();
            format!("{first}), but {specs}\n")
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

/// The family's own script, as this repository has it, and ours say the same wherever the script is not blind.
#[test]
fn it_says_what_the_script_says() {
    let world = World::empty();
    let workspace = world.directory("w");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/spec-guard.sh");
    workspace.write("orchd.toml", toml("", &[("lint", "true && true")]));
    workspace.sh("git init -q -b main; git add .; git commit -qm first; git tag v1");
    let steps = [
        "mkdir -p docs; echo 1 > docs/a",
        "mkdir -p src; echo 1 > 'src/a.rs'",
        "git add .; git commit -qm code",
        "git tag v2",
        "git commit -q --allow-empty -m nothing",
        "git mv src/a.rs src/b.rs",
        "git mv src/b.rs src/a.rs; mkdir -p packages/x/server; echo 1 > packages/x/server/s",
        "mkdir -p tasks/specs; echo 'last_review: 2020-01-01' > tasks/specs/a.md",
        "echo 'last_review: 2999-01-01' > tasks/specs/a.md",
        "echo 'last_review: 2026-02-30' > tasks/specs/b.md",
        "echo none > tasks/specs/b.md; printf 'last_review: \"%s\"\\r\\n' \"$(date -u +%F)\" > tasks/specs/a.md",
        "git add .; git commit -qm specs; git checkout -q -b topic; rm tasks/specs/b.md",
        "git rm -q tasks/specs/a.md; echo 2 > packages/x/server/s",
        "mkdir -p tasks; echo '{}' > tasks/index.json",
        "git add .; git commit -qm topic; git update-ref refs/remotes/origin/main v1",
    ];
    for step in steps {
        workspace.sh(step);
        for (flags, named) in [("", ""), ("--dry-run", ""), ("", "v1"), ("", "HEAD")] {
            let script = workspace
                .running(&format!("BASE_SHA={named} bash {script} {flags}"))
                .end();
            let line = format!(
                "BASE_SHA={named} {} spec-guard {flags}",
                env!("CARGO_BIN_EXE_orchctl")
            );
            let own = workspace.running(&line).end();
            assert_eq!(
                (own.code, with_first_path(&own.out)),
                (script.code, script.out),
                "{step} {flags} {named}"
            );
        }
    }
}

#[test]
fn it_guards_what_is_found_where_specs_are_kept_and_no_script_does() {
    let world = World::empty();
    let workspace = world.directory("w");
    workspace.write("Makefile", "test:\n\ttrue\n");
    let stages = |workspace: &Workspace<'_>| -> Vec<String> {
        let plan = told(workspace, &["plan", "--no-daemon"], 0);
        let stages = plan["stages"].as_array().unwrap().iter();
        stages
            .map(|it| it["command"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(stages(&workspace), ["make test"]);
    workspace.sh("mkdir -p tasks/specs");
    assert_eq!(
        stages(&workspace),
        ["make test", "orchctl spec-guard --dry-run"]
    );
    workspace.write("scripts/spec-guard.sh", "");
    assert_eq!(
        stages(&workspace),
        ["make test", "bash scripts/spec-guard.sh --dry-run"]
    );
}

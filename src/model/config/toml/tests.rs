//! The example of the contract, value by value; damaged, odd and hostile files.
//!
//! The words for each mistake are in `mistakes`.

use super::parse;
use crate::model::config::{
    Action, CommandLine, Config, Cwd, Flaky, Flip, OnBusy, OnStart, Order, Poll, Retention,
    Settings,
};
use crate::model::path::RelPath;
use proptest::prelude::*;
use std::time::Duration;

/// A pipeline that a project can run, so that a test shows only its own mistake.
pub(super) const SOUND: &str =
    "[[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'ok'\ncommand = 'true'\n";

#[test]
fn every_key_has_its_row_in_the_manual() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let tables = [
        ("## `[workspace]`", super::WORKSPACE_KEYS),
        ("## `[[project]]`", super::PROJECT_KEYS),
        ("## `[[pipeline]]`", super::PIPELINE_KEYS),
        ("## `[[pipeline.stage]]`", super::stage::KEYS),
        ("## `[[project.waiver]]`", super::agreed::WAIVER_KEYS),
        (
            "## `[workspace.spec_guard]`",
            super::agreed::SPEC_GUARD_KEYS,
        ),
    ];
    for (headline, keys) in tables {
        let (_, rest) = manual.split_once(headline).unwrap();
        let section = rest.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let named: Vec<&str> = rows
            .flat_map(|row| row.split('|').nth(1).unwrap().split(','))
            .map(|name| name.trim().trim_matches('`'))
            .collect();
        let mut expected = keys.to_vec();
        let mut named = named;
        expected.sort_unstable();
        named.sort_unstable();
        assert_eq!(named, expected, "{headline}");
    }
}

fn assemble(text: &str) -> Result<Config, String> {
    Config::of_toml(text).map_err(|problems| problems.to_string())
}

pub(super) fn said(text: &str) -> String {
    assemble(text).unwrap_err()
}

const EXAMPLE: &str = r#"
[workspace]
settle_ms = 20            # quiet time after the last change before a run starts
settle_max_ms = 2000      # a writer that never stops still gets a run after this
ignore = ["*.snap.new"]   # gitignore syntax, on top of .gitignore, .ignore, .git/info/exclude and git's global excludes
jobs = 4                  # stages at once; default: cores
poll = "auto"             # auto | always | never; poll_interval_ms = 1000
audit = "10m"             # how often what no event tells is looked for; "off": never
on_start = true           # run what is unproven after add, allow, a daemon start, a new configuration
flaky = "pass"            # pass: a flaky verdict is told, and counts as green; fail: it does not
flip = "auto"             # items of checklists that declare a pipeline are ticked once it is green; "manual": never
retain = { runs = 200, days = 30 }   # per project; evidence cited by a checklist is never removed

[[project]]
task = "0101-web"         # required, unique
path = "packages/web"     # default "."
pipeline = "diagnostics"  # run on change; default: the workspace's default_pipeline, else "diagnostics"
on_busy = "queue"         # queue (one pending, latest content) | restart (cancel, start on the new content)
required = ["build", "lint", "test", "spec-guard"]   # guardrails that coverage counts
sla = "30m"

[[pipeline]]
id = "diagnostics"
title = "Diagnostics"
[[pipeline.stage]]
id = "lint"
command = "npm run lint"  # a string goes to `sh -c`; an array is executed as it is
needs = ["build"]         # without `needs` anywhere in a pipeline, stages run in order, one by one; with it, as a graph
inputs = ["src/**", "package.json"]   # gitignore syntax, relative to the project; default: every file that is not ignored
outputs = ["dist/**"]     # written by the stage: never a trigger, never an input of the same stage
timeout = "10m"           # TERM to the process group, KILL after grace (default "5s")
retries = 0               # a pass after a failure on the same stage key is `flaky`, and is told
allow_failure = false
mutex = "cargo"           # stages that name the same mutex never overlap, in any workspace
cwd = "."                 # relative to the project
env = { CI = "1" }
[[pipeline.stage]]
id = "smoke"
pipeline = "smoke"        # a subpipeline: a child run with parent_run_id
optional = true
"#;

/// The example of the contract with the stage and the pipeline that it names.
fn example() -> Config {
    let rest = "
        [[pipeline.stage]]\nid = 'build'\ncommand = ['make', 'all targets']\ngrace = '1s'
        [[pipeline]]\nid = 'smoke'\n[[pipeline.stage]]\nid = 'ping'\ncommand = 'true'\n";
    assemble(&format!("{EXAMPLE}{rest}")).unwrap()
}

#[test]
fn the_example_of_the_contract_settles_and_keeps_as_it_says() {
    let config = example();
    let settings = &config.settings;
    assert_eq!(settings.settle, Duration::from_millis(20));
    assert_eq!(settings.settle_max, Duration::from_secs(2));
    assert_eq!(settings.ignore, ["*.snap.new"]);
    assert_eq!(settings.jobs.unwrap().get(), 4);
    assert_eq!(
        (settings.poll, settings.on_start),
        (Poll::Auto, OnStart::Run)
    );
    assert_eq!(settings.poll_interval, Duration::from_secs(1));
    assert_eq!(settings.audit, Some(Duration::from_secs(600)));
    assert_eq!(settings.flaky, Flaky::Pass);
    assert_eq!(
        (settings.flip, Settings::default().flip),
        (Flip::Auto, Flip::Manual)
    );
    assert_eq!(
        settings.retain,
        Retention {
            runs: 200,
            days: 30
        }
    );
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn the_example_of_the_contract_has_its_project() {
    let config = example();
    let project = &config.projects[0];
    assert_eq!(project.task.as_str(), "0101-web");
    assert_eq!(project.path, RelPath::parse("packages/web").unwrap());
    assert_eq!(project.pipeline.as_str(), "diagnostics");
    assert_eq!(project.on_busy, OnBusy::Queue);
    assert_eq!(project.required.len(), 4);
    assert_eq!(project.sla, Some(Duration::from_secs(1_800)));
}

#[test]
fn the_example_of_the_contract_has_its_lint_stage() {
    let config = example();
    let pipeline = &config.pipelines[0];
    assert_eq!(
        (pipeline.title.as_str(), pipeline.order),
        ("Diagnostics", Order::Graph)
    );
    let lint = pipeline.stages[0].command().unwrap();
    assert_eq!(lint.line, CommandLine::Shell("npm run lint".to_owned()));
    assert_eq!(pipeline.stages[0].title, "npm run lint");
    assert_eq!(pipeline.stages[0].needs[0].as_str(), "build");
    assert_eq!(lint.inputs.as_deref().unwrap(), ["src/**", "package.json"]);
    assert_eq!(lint.outputs, ["dist/**"]);
    assert_eq!(lint.timeout, Some(Duration::from_secs(600)));
    assert_eq!(lint.grace, Duration::from_secs(5));
    assert_eq!((lint.retries, lint.allow_failure), (0, false));
    assert_eq!(lint.mutex.as_deref(), Some("cargo"));
    assert_eq!(lint.cwd, Cwd::Project(RelPath::root()));
    assert_eq!(lint.env["CI"], "1");
}

#[test]
fn the_example_of_the_contract_has_its_other_stages() {
    let config = example();
    let pipeline = &config.pipelines[0];
    let Action::Subpipeline(smoke) = &pipeline.stages[1].action else {
        panic!("{:?}", pipeline.stages[1]);
    };
    assert_eq!((smoke.pipeline.as_str(), smoke.optional), ("smoke", true));
    let build = pipeline.stages[2].command().unwrap();
    assert_eq!(build.line.text(), "make 'all targets'");
    assert_eq!(
        (build.inputs.clone(), build.grace),
        (None, Duration::from_secs(1))
    );
}

#[test]
fn many_mistakes_are_cut() {
    let text: String = (0..600).map(|n| format!("key{n} = 1\n")).collect();
    let said = said(&text);
    assert_eq!(
        said.matches("unknown key").count(),
        crate::limits::PROBLEMS_MAX
    );
    assert!(
        said.ends_with("and 550 more"),
        "{}",
        said.lines().last().unwrap()
    );
}

#[test]
fn a_hostile_file_is_refused_in_few_words() {
    let long = "x".repeat(1_000_000);
    let needs = format!("'{}', ", "n".repeat(9)).repeat(30_000);
    let stage = "[[pipeline.stage]]\nid = 'a'\ncommand = 'x'\n";
    let many: String = (0..30_000).map(|n| format!("{{task='{n}'}},")).collect();
    for text in [
        format!("{long} = 1"),
        format!("[workspace]\njobs = 1{}", long.replace('x', "0")),
        format!("[workspace]\npoll = '{long}'"),
        "[workspace]\n\"a\\u001b[31m\\u202e\" = 1".to_owned(),
        format!("[[pipeline]]\nid = 'diagnostics'\n{stage}cwd = '../{long}'"),
        format!("[[pipeline]]\nid = 'diagnostics'\n{stage}needs = [{needs}]"),
        format!("project = [{many}]"),
        format!("a = {}", "[".repeat(200_000)),
        format!("{} = 1", "a.".repeat(100_000)),
        "[[project]]\ntask = 'a'\n".repeat(9_999),
    ] {
        let said = said(&text);
        assert!(said.len() < 40_000, "{} bytes", said.len());
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said}");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_taken() {
    let text = format!("\u{feff}{}", SOUND.replace('\n', "\r\n"));
    assert_eq!(
        assemble(&text).unwrap().pipelines[0].stages[0].id.as_str(),
        "ok"
    );
    let bad = format!("{}\r\ncolour = 1\r\n", SOUND.replace('\n', "\r\n"));
    assert!(
        said(&bad).starts_with("orchd.toml:7:1: unknown key `colour`"),
        "{}",
        said(&bad)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_text_panics(text in "\\PC{0,60}|([\\[\\]{}=\"'a-z0-9._\\n #-]{0,80})") {
        let (draft, faults) = parse(&text);
        prop_assert!(draft.pipelines.is_empty() || faults.is_empty());
    }

    #[test]
    fn a_damaged_example_never_panics(at in 0..EXAMPLE.len(), new in any::<char>(), cut in any::<bool>()) {
        let at = EXAMPLE.floor_char_boundary(at);
        let (head, tail) = EXAMPLE.split_at(at);
        let tail = if cut { "" } else { tail.get(1..).unwrap_or_default() };
        // The example as it stands names a stage and a pipeline that it does not define.
        let problems = assemble(&format!("{head}{new}{tail}"));
        if let Err(said) = problems {
            let is_placed = said.contains("orchd.toml:") || said.contains("nothing to run");
            prop_assert!(is_placed, "{}", said);
        }
    }
}

#[test]
fn the_self_audit_has_a_time_or_is_off() {
    let audit = |line: &str| {
        let text = format!("[workspace]\n{line}\n{SOUND}");
        assemble(&text).map(|config| config.settings.audit)
    };
    assert_eq!(audit(""), Ok(Some(crate::limits::AUDIT_DEFAULT)));
    assert_eq!(
        audit("audit = '1h30m'"),
        Ok(Some(Duration::from_secs(5400)))
    );
    assert_eq!(audit("audit = 'off'"), Ok(None));
    for (line, said) in [
        ("audit = '0s'", "longer than zero"),
        ("audit = '8d'", "at most 7d"),
        ("audit = false", "or \"off\""),
    ] {
        let error = audit(line).unwrap_err();
        assert!(error.contains(said), "{line}: {error}");
    }
}

#[test]
fn what_is_agreed_on_is_read_and_moves_no_command_set() {
    let project = "[[project]]\ntask = 't'\n";
    let agreed = "[[project.waiver]]\nstage = 'lint'\nreason = 'r'\nby = 'ann'\nuntil = 2026-12-31\n\
        [[template]]\nid = 'diagnostics'\n[[template.stage]]\nid = 'ok'\n[[template.stage]]\nid = 'lint'\ncommand = 'x'\n\
        [workspace.spec_guard]\ncode = ['/lib/**']\nmax_age = 'off'\n";
    let plain = assemble(&[project, SOUND].concat()).unwrap();
    let config = assemble(&[project, agreed, SOUND].concat()).unwrap();
    assert_eq!(config.command_set(), plain.command_set());
    assert_eq!(config.commands(), plain.commands());
    let waiver = &config.projects[0].waivers[0];
    assert_eq!(
        (waiver.stage.as_str(), waiver.until.to_string().as_str()),
        ("lint", "2026-12-31")
    );
    let template = config.template("diagnostics").unwrap();
    let open: Vec<_> = template.open.iter().map(|id| id.as_str()).collect();
    assert_eq!((template.pipeline.stages.len(), open), (2, vec!["ok"]));
    let guard = &config.settings.spec_guard;
    assert_eq!((guard.code.len(), guard.max_age), (1, None));
    assert_eq!(guard.specs, plain.settings.spec_guard.specs);
}

#[test]
fn waivers_are_told() {
    let project = |lines: &str| {
        said(&format!(
            "[[project]]\ntask = 't'\n[[project.waiver]]\n{lines}\n{SOUND}"
        ))
    };
    insta::assert_snapshot!(project("stage = 'x'\nreason = ' '\nbye = 'ann'\nuntil = '2026-11-31'"), @r#"
    orchd.toml:3:1: [[project.waiver]] has no `by`
       |
     3 | [[project.waiver]]
       | ^^^^^^^^^^^^^^^^^^
    orchd.toml:5:10: `reason` is empty
       |
     5 | reason = ' '
       |          ^^^
    orchd.toml:6:1: unknown key `bye` in [[project.waiver]]
       |
     6 | bye = 'ann'
       | ^^^
      help: did you mean `by`? allowed: stage, reason, by, until
    orchd.toml:7:9: `until`: `2026-11-31` is no day of the calendar: write it as `2026-11-22`
       |
     7 | until = '2026-11-31'
       |         ^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(project("stage = 'x'\nreason = 'r'\nby = 'ann'\nuntil = 3"), @r#"
    orchd.toml:7:9: `until` has to be a day such as "2026-12-31", not a whole number
       |
     7 | until = 3
       |         ^
    "#);
}

#[test]
fn templates_and_what_is_guarded_are_told() {
    insta::assert_snapshot!(said(&format!("[[template]]\nid = 'a'\n{SOUND}")), @r#"
    orchd.toml:1:1: [[template]] has no `stage`
       |
     1 | [[template]]
       | ^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(
        said(&format!("[[template]]\nid = 'a'\n[[template.stage]]\nid = 's'\nneed = []\nneeds = ['q']\n[[template]]\nid = 'a'\nstage = []\n{SOUND}")),
        @r#"
    orchd.toml:5:1: unknown key `need` in [[template.stage]]
       |
     5 | need = []
       | ^^^^
      help: did you mean `needs`? allowed: id, title, needs, command, inputs, outputs, toolchain, timeout, grace, retries, allow_failure, mutex, cwd, env, summary_hint, pipeline, optional
    orchd.toml:6:10: no stage of this pipeline is called `q`
       |
     6 | needs = ['q']
       |          ^^^
      help: did you mean `s`? known: s
    orchd.toml:8:6: template id `a` is already taken in line 2
       |
     8 | id = 'a'
       |      ^^^
      help: give each its own
    orchd.toml:9:9: `stage` is empty
       |
     9 | stage = []
       |         ^^
    "#
    );
    insta::assert_snapshot!(said(&format!("[workspace]\nspec_guard = {{ codes = [], max_age = '11y' }}\n{SOUND}")), @r#"
    orchd.toml:2:16: unknown key `codes` in [workspace.spec_guard]
       |
     2 | spec_guard = { codes = [], max_age = '11y' }
       |                ^^^^^
      help: did you mean `code`? allowed: code, specs, max_age
    orchd.toml:2:38: `max_age` is no duration that can be used
       |
     2 | spec_guard = { codes = [], max_age = '11y' }
       |                                      ^^^^^
      help: write numbers with units, the largest first, such as "10m", "5s", "500ms" or "1h30m", not "11y"
    "#);
}

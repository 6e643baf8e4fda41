//! `codex.orchestrator.json` as published users have it, and the words for what is wrong with one.
//!
//! Snapshots are what a person sees, word by word.

use super::parse;
use crate::model::config::check::{Surroundings, Texts};
use crate::model::config::detect::Listing;
use crate::model::config::{Action, CommandLine, Config, Cwd, Order, PipelineSource};
use crate::model::path::{RelPath, RootPath};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

fn root() -> RootPath {
    RootPath::new(Path::new("/w")).unwrap()
}

fn assemble(text: &str) -> Result<Config, String> {
    let around = Surroundings {
        root: &root(),
        listing: &Listing::default(),
        task: None,
    };
    let texts = Texts {
        toml: None,
        codex: Some(text),
    };
    Config::assemble(texts, &around).map_err(|problems| problems.to_string())
}

/// What is said of a pipeline `diagnostics` with these stages.
fn said_of(stages: &str) -> String {
    let text =
        format!("{{\"pipelines\": [{{\"id\": \"diagnostics\", \"stages\": [\n{stages}\n]}}]}}");
    assemble(&text).unwrap_err()
}

const FULL: &str = r#"{
  "defaultPipeline": "full",
  "runtimeMode": "cli",
  "orchd": {"unknown": true},
  "stageSets": {"checks": [
    {"kind": "command", "id": "lint", "title": "Lint", "command": "npm run lint", "timeoutMs": 1000},
    {"kind": "subpipeline", "id": "deep", "title": "Deep", "pipeline": "small", "optional": true}
  ]},
  "pipelines": [
    {"id": "full", "title": "Full", "description": "Everything at once", "tags": ["a"], "guardrailsRequired": true, "stages": [
      {"kind": "command", "id": "build", "title": "Build", "command": "make", "cwd": "/w/packages/web",
       "env": {"CI": "1", "A": "b c"}, "allowFailure": true, "summaryHint": "Built", "session": {"id": "s"}},
      {"kind": "stage-set", "ref": "checks"},
      {"kind": "command", "id": "hinted", "command": "true", "cwd": null,
       "plan": {"runnable": false, "aliases": ["h"], "defaultTarget": true}}
    ]},
    {"id": "small", "stages": [
      {"kind": "command", "id": "one", "title": "One", "command": "true", "env": {}, "cwd": "", "summaryHint": "", "x": 1}]},
    {"id": "empty", "title": "Empty", "description": "", "stages": []}
  ]
}"#;

#[test]
fn a_published_file_means_what_it_says() {
    let config = assemble(FULL).unwrap();
    let [full, small, empty] = config.pipelines.as_slice() else {
        panic!("{:?}", config.pipelines);
    };
    assert_eq!(
        (full.title.as_str(), full.guardrails_required),
        ("Full", Some(true))
    );
    assert_eq!(full.description.as_deref(), Some("Everything at once"));
    assert_eq!(
        (full.source, full.order),
        (PipelineSource::User, Order::Sequence)
    );
    let ids: Vec<&str> = full.stages.iter().map(|stage| stage.id.as_str()).collect();
    assert_eq!(ids, ["build", "lint", "deep", "hinted"]);
    assert_eq!(small.title, "small");
    assert_eq!(small.stages[0].plan.cwd.as_deref(), Some(""));
    assert_eq!(small.stages[0].plan.env.as_deref().unwrap(), [""; 0]);
    assert_eq!(
        small.stages[0].command().unwrap().summary_hint.as_deref(),
        Some("")
    );
    assert_eq!(
        (empty.description.as_deref(), empty.stages.len()),
        (Some(""), 0)
    );
    let project = &config.projects[0];
    assert_eq!(
        (project.task.as_str(), project.pipeline.as_str()),
        ("0101", "full")
    );
}

#[test]
fn the_stages_of_a_published_file_do_what_it_says() {
    let config = assemble(FULL).unwrap();
    let full = &config.pipelines[0];
    let build = full.stages[0].command().unwrap();
    assert_eq!(build.line, CommandLine::Shell("make".to_owned()));
    assert_eq!(
        build.cwd,
        Cwd::Workspace(RelPath::parse("packages/web").unwrap())
    );
    assert_eq!(
        (build.env["A"].as_str(), build.allow_failure),
        ("b c", true)
    );
    assert_eq!(build.summary_hint.as_deref(), Some("Built"));
    assert_eq!(full.stages[0].plan.cwd.as_deref(), Some("/w/packages/web"));
    assert_eq!(full.stages[0].plan.env.as_deref().unwrap(), ["CI", "A"]);
    let lint = full.stages[1].command().unwrap();
    assert_eq!(lint.timeout, Some(Duration::from_secs(1)));
    let Action::Subpipeline(deep) = &full.stages[2].action else {
        panic!("{:?}", full.stages[2]);
    };
    assert_eq!((deep.pipeline.as_str(), deep.optional), ("small", true));
}

#[test]
fn hints_for_the_planner_are_kept() {
    let config = assemble(FULL).unwrap();
    let hinted = &config.pipelines[0].stages[3];
    assert_eq!(
        (hinted.title.as_str(), hinted.plan.cwd.as_deref()),
        ("true", None)
    );
    assert_eq!(
        (hinted.plan.runnable, hinted.plan.default_target),
        (Some(false), true)
    );
    assert_eq!(hinted.plan.aliases, ["h"]);
}

#[test]
fn wrong_types_and_missing_keys_are_told() {
    insta::assert_snapshot!(said_of(r#"{"kind": "command", "id": "a", "title": 5, "allowFailure": "yes"}"#), @r#"
    codex.orchestrator.json:2:1: a stage has no `command`
       |
     2 | {"kind": "command", "id": "a", "title": 5, "allowFailure": "yes"}
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    codex.orchestrator.json:2:41: `title` has to be a string, not a number
       |
     2 | {"kind": "command", "id": "a", "title": 5, "allowFailure": "yes"}
       |                                         ^
    codex.orchestrator.json:2:60: `allowFailure` has to be true or false, not a string
       |
     2 | {"kind": "command", "id": "a", "title": 5, "allowFailure": "yes"}
       |                                                            ^^^^^
    "#);
    insta::assert_snapshot!(said_of(r#"{"id": "a", "command": "x"}, 7, {"kind": "subpipeline", "id": "b"}"#), @r#"
    codex.orchestrator.json:2:1: a stage has no `kind`
       |
     2 | {"id": "a", "command": "x"}, 7, {"kind": "subpipeline", "id": "b"}
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    codex.orchestrator.json:2:30: `stages[1]` has to be an object, not a number
       |
     2 | {"id": "a", "command": "x"}, 7, {"kind": "subpipeline", "id": "b"}
       |                              ^
    codex.orchestrator.json:2:33: a stage has no `pipeline`
       |
     2 | {"id": "a", "command": "x"}, 7, {"kind": "subpipeline", "id": "b"}
       |                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(said_of(r#"{"kind": "comand", "id": "a", "command": "x"}"#), @r#"
    codex.orchestrator.json:2:10: `kind` may not be "comand"
       |
     2 | {"kind": "comand", "id": "a", "command": "x"}
       |          ^^^^^^^^
      help: did you mean `command`? allowed: command, subpipeline, stage-set
    "#);
    insta::assert_snapshot!(said_of(r#"{"kind": "command", "id": "a", "command": "x", "timeoutMs": 0, "cwd": "/etc", "env": {"A": 1}}"#), @r#"
    codex.orchestrator.json:2:61: `timeoutMs` is no duration that can be used
       |
     2 | {"kind": "command", "id": "a", "command": "x", "timeoutMs": 0, "cwd": "/etc", "env": {"A": 1}}
       |                                                             ^
      help: it has to be longer than zero
    codex.orchestrator.json:2:71: `cwd` is `/etc`, which is outside of the workspace `/w`
       |
     2 | {"kind": "command", "id": "a", "command": "x", "timeoutMs": 0, "cwd": "/etc", "env": {"A": 1}}
       |                                                                       ^^^^^^
      help: give it relative to the workspace
    codex.orchestrator.json:2:92: `A` has to be a string, not a number
       |
     2 | {"kind": "command", "id": "a", "command": "x", "timeoutMs": 0, "cwd": "/etc", "env": {"A": 1}}
       |                                                                                            ^
    "#);
    insta::assert_snapshot!(assemble("[]").unwrap_err(), @r#"
    codex.orchestrator.json:1:1: `the file` has to be an object, not an array
       |
     1 | []
       | ^^
    "#);
    insta::assert_snapshot!(assemble(r#"{"pipelines": {"id": "a"}, "defaultPipeline": 3}"#).unwrap_err(), @r#"
    codex.orchestrator.json:1:15: `pipelines` has to be an array, not an object
       |
     1 | {"pipelines": {"id": "a"}, "defaultPipeline": 3}
       |               ^^^^^^^^^^^
    codex.orchestrator.json:1:47: `defaultPipeline` has to be a string, not a number
       |
     1 | {"pipelines": {"id": "a"}, "defaultPipeline": 3}
       |                                               ^
    "#);
}

#[test]
fn names_of_nothing_and_circles_are_told() {
    let text = r#"{
  "defaultPipeline": "diagnostic",
  "stageSets": {"checks": [{"kind": "stage-set", "ref": "more"}]},
  "pipelines": [
    {"id": "diagnostics", "stages": [
      {"kind": "stage-set", "ref": "check"},
      {"kind": "subpipeline", "id": "s", "pipeline": "diagnostics"},
      {"kind": "subpipeline", "id": "t", "pipeline": "smoke"}
    ]}
  ]
}"#;
    insta::assert_snapshot!(assemble(text).unwrap_err(), @r#"
    codex.orchestrator.json:2:22: no pipeline is called `diagnostic`
       |
     2 |   "defaultPipeline": "diagnostic",
       |                      ^^^^^^^^^^^^
      help: did you mean `diagnostics`? known: diagnostics
    codex.orchestrator.json:3:28: stage set `checks` holds another stage set
       |
     3 |   "stageSets": {"checks": [{"kind": "stage-set", "ref": "more"}]},
       |                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      help: put its stages there instead
    codex.orchestrator.json:5:12: subpipelines go in a circle: diagnostics → diagnostics
       |
     5 |     {"id": "diagnostics", "stages": [
       |            ^^^^^^^^^^^^^
    codex.orchestrator.json:6:36: no stage set is called `check`
       |
     6 |       {"kind": "stage-set", "ref": "check"},
       |                                    ^^^^^^^
      help: did you mean `checks`? known: checks
    codex.orchestrator.json:8:54: no pipeline is called `smoke`
       |
     8 |       {"kind": "subpipeline", "id": "t", "pipeline": "smoke"}
       |                                                      ^^^^^^^
      help: known: diagnostics
    "#);
}

#[test]
fn broken_syntax_is_told_with_its_place() {
    insta::assert_snapshot!(assemble("{\n  \"pipelines\": [\n  ],\n}").unwrap_err(), @r#"
    codex.orchestrator.json:4:1: key must be a string
       |
     4 | }
       | ^
    "#);
    insta::assert_snapshot!(assemble("").unwrap_err(), @r#"
    codex.orchestrator.json:1:1: EOF while parsing a value
       |
     1 | 
       | ^
    "#);
    insta::assert_snapshot!(assemble(r#"{"pipelines": [{"id": "\ud800"}]}"#).unwrap_err(), @r#"
    codex.orchestrator.json:1:23: unexpected end of hex escape
       |
     1 | {"pipelines": [{"id": "\ud800"}]}
       |                       ^^^^^^^^
    "#);
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let said = assemble(&format!("{{\"pipelines\": {deep}}}")).unwrap_err();
    assert!(
        said.contains("`pipelines[0]` has to be an object"),
        "{}",
        said.get(..300).unwrap()
    );
}

#[test]
fn the_first_of_two_pipelines_counts_and_the_last_of_two_keys() {
    let text = r#"{"pipelines": [
        {"id": "diagnostics", "title": "One", "title": "Two",
         "stages": [{"kind": "command", "id": "a", "command": "true"}]}, {"id": "diagnostics", "stages": []}]}"#;
    let config = assemble(text).unwrap();
    assert_eq!(config.pipelines[0].title, "Two");
    insta::assert_snapshot!(config.warnings.join("\n"), @r#"`codex.orchestrator.json` has more than one pipeline `diagnostics`: the first is used"#);
}

#[test]
fn a_stage_set_that_everybody_names_stays_bounded() {
    let stage = |n: usize| format!(r#"{{"kind":"command","id":"s{n}","command":"x"}}"#);
    let set: Vec<String> = (0..500).map(stage).collect();
    let pipeline =
        |n: usize| format!(r#"{{"id":"p{n}","stages":[{{"kind":"stage-set","ref":"s"}}]}}"#);
    let pipelines: Vec<String> = (0..900).map(pipeline).collect();
    let (set, pipelines) = (set.join(","), pipelines.join(","));
    let text = format!(r#"{{"stageSets":{{"s":[{set}]}},"pipelines":[{pipelines}]}}"#);
    let said = assemble(&text).unwrap_err();
    assert!(
        said.contains("20500 stages in all pipelines: at most 20000"),
        "{said}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_text_panics(text in "\\PC{0,60}|([\\[\\]{}:,\"a-z0-9\\\\ ]{0,80})") {
        let (draft, _) = parse(&text, &root());
        prop_assert!(draft.projects.is_empty());
    }

    #[test]
    fn a_damaged_file_never_panics(at in 0..FULL.len(), new in any::<char>(), cut in any::<bool>()) {
        let (head, tail) = FULL.split_at(FULL.floor_char_boundary(at));
        let tail = if cut { "" } else { tail.get(1..).unwrap_or_default() };
        if let Err(said) = assemble(&format!("{head}{new}{tail}")) {
            let is_placed = said.contains("codex.orchestrator.json:") || said.contains("names no pipeline")
                || said.contains("nothing to run");
            prop_assert!(is_placed, "{}", said);
        }
    }
}

#[test]
fn a_byte_order_mark_is_taken() {
    let config = assemble(&format!("\u{feff}{FULL}"));
    assert_eq!(
        config.map(|it| it.pipelines.len()),
        assemble(FULL).map(|it| it.pipelines.len())
    );
    let said = assemble("\u{feff}{\n  \"pipelines\": [\n").unwrap_err();
    assert!(said.starts_with("codex.orchestrator.json:3:1"), "{said}");
}

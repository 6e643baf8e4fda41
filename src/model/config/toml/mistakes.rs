//! Every mistake in an `orchd.toml`, and the exact words for it: place, caret, what is allowed, what was meant.
//!
//! One call for each kind of mistake; the snapshots are what a person sees.

use super::tests::{SOUND, said};

/// What is said of a workspace table.
fn said_of_workspace(lines: &str) -> String {
    said(&format!("[workspace]\n{lines}\n{SOUND}"))
}

/// What is said of a stage with these further lines.
fn said_of_stage(lines: &str) -> String {
    said(&format!(
        "[[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'a'\n{lines}\n"
    ))
}

#[test]
fn unknown_keys_are_told_with_the_nearest_name() {
    insta::assert_snapshot!(said_of_workspace("  setle_ms = 20\n  colour = 'red'"), @r#"
    orchd.toml:2:3: unknown key `setle_ms` in [workspace]
       |
     2 |   setle_ms = 20
       |   ^^^^^^^^
      help: did you mean `settle_ms`? allowed: settle_ms, settle_max_ms, ignore, jobs, poll, poll_interval_ms, audit, on_start, flaky, flip, retain, default_pipeline, spec_guard
    orchd.toml:3:3: unknown key `colour` in [workspace]
       |
     3 |   colour = 'red'
       |   ^^^^^^
      help: allowed: settle_ms, settle_max_ms, ignore, jobs, poll, poll_interval_ms, audit, on_start, flaky, flip, retain, default_pipeline, spec_guard
    "#);
    insta::assert_snapshot!(said(&format!("{SOUND}[projects]\nx = 1")), @r#"
    orchd.toml:6:2: unknown key `projects` in the file
       |
     6 | [projects]
       |  ^^^^^^^^
      help: did you mean `project`? allowed: workspace, project, pipeline, template
    "#);
    insta::assert_snapshot!(said_of_stage("command = 'x'\nneed = ['a']"), @r#"
    orchd.toml:6:1: unknown key `need` in [[pipeline.stage]]
       |
     6 | need = ['a']
       | ^^^^
      help: did you mean `needs`? allowed: id, title, needs, command, inputs, outputs, toolchain, timeout, grace, retries, allow_failure, mutex, cwd, env, summary_hint, pipeline, optional
    "#);
    insta::assert_snapshot!(said_of_workspace("retain = { run = 3 }"), @r#"
    orchd.toml:2:12: unknown key `run` in `retain`
       |
     2 | retain = { run = 3 }
       |            ^^^
      help: did you mean `runs`? allowed: runs, days
    "#);
}

#[test]
fn wrong_types_are_told() {
    insta::assert_snapshot!(said_of_workspace("settle_ms = '20'\nignore = '*.tmp'\non_start = 1"), @r#"
    orchd.toml:2:13: `settle_ms` has to be a whole number, not a string
       |
     2 | settle_ms = '20'
       |             ^^^^
    orchd.toml:3:10: `ignore` has to be an array of strings, not a string
       |
     3 | ignore = '*.tmp'
       |          ^^^^^^^
    orchd.toml:4:12: `on_start` has to be true or false, not a whole number
       |
     4 | on_start = 1
       |            ^
    "#);
    insta::assert_snapshot!(said_of_workspace("ignore = ['a', 3]\nretain = 5"), @r#"
    orchd.toml:2:16: `ignore[1]` has to be a string, not a whole number
       |
     2 | ignore = ['a', 3]
       |                ^
    orchd.toml:3:10: `retain` has to be a table, not a whole number
       |
     3 | retain = 5
       |          ^
    "#);
    insta::assert_snapshot!(said_of_stage("command = 5"), @r#"
    orchd.toml:5:11: `command` has to be a string for `sh -c` or an array of strings, not a whole number
       |
     5 | command = 5
       |           ^
    "#);
    insta::assert_snapshot!(said("project = 'web'\nworkspace = []"), @r#"
    orchd.toml:1:11: `project` has to be an array of tables, `[[…]]`, not a string
       |
     1 | project = 'web'
       |           ^^^^^
    orchd.toml:2:13: `workspace` has to be a table, not an array
       |
     2 | workspace = []
       |             ^^
    "#);
}

#[test]
fn values_out_of_bounds_are_told() {
    insta::assert_snapshot!(said_of_workspace("jobs = 0\nsettle_ms = -1\npoll = 'allways'"), @r#"
    orchd.toml:2:8: `jobs` is 0: it has to be from 1 to 1024
       |
     2 | jobs = 0
       |        ^
    orchd.toml:3:13: `settle_ms` is -1: it has to be from 0 to 600000
       |
     3 | settle_ms = -1
       |             ^^
    orchd.toml:4:8: `poll` may not be "allways"
       |
     4 | poll = 'allways'
       |        ^^^^^^^^^
      help: did you mean `always`? allowed: auto, always, never
    "#);
    insta::assert_snapshot!(said_of_workspace("settle_ms = 3000"), @r#"
    orchd.toml:2:13: `settle_ms` is 3000, more than `settle_max_ms`, which is 2000
       |
     2 | settle_ms = 3000
       |             ^^^^
    "#);
    insta::assert_snapshot!(said_of_stage("command = 'x'\nretries = 0xFFFF"), @r#"
    orchd.toml:6:11: `retries` is 0xFFFF: it has to be from 0 to 100
       |
     6 | retries = 0xFFFF
       |           ^^^^^^
    "#);
}

#[test]
fn durations_are_told() {
    insta::assert_snapshot!(said_of_stage("command = 'x'\ntimeout = '10'\ngrace = 'soon'"), @r#"
    orchd.toml:6:11: `timeout` is no duration that can be used
       |
     6 | timeout = '10'
       |           ^^^^
      help: "10" has no unit: write "10s" for seconds or "10ms" for milliseconds
    orchd.toml:7:9: `grace` is no duration that can be used
       |
     7 | grace = 'soon'
       |         ^^^^^^
      help: write numbers with units, the largest first, such as "10m", "5s", "500ms" or "1h30m", not "soon"
    "#);
    insta::assert_snapshot!(said_of_stage("command = 'x'\ntimeout = '0s'\ngrace = '1d'"), @r#"
    orchd.toml:6:11: `timeout` is no duration that can be used
       |
     6 | timeout = '0s'
       |           ^^^^
      help: it has to be longer than zero
    orchd.toml:7:9: `grace` is no duration that can be used
       |
     7 | grace = '1d'
       |         ^^^^
      help: "1d" is too long: at most 10m is allowed
    "#);
    insta::assert_snapshot!(said_of_stage("command = 'x'\ntimeout = 10"), @r#"
    orchd.toml:6:11: `timeout` has to be a duration such as "10m", not a whole number
       |
     6 | timeout = 10
       |           ^^
    "#);
}

#[test]
fn commands_are_told() {
    insta::assert_snapshot!(said_of_stage("title = 'nothing'"), @r#"
    orchd.toml:3:1: the stage has neither `command` nor `pipeline`
       |
     3 | [[pipeline.stage]]
       | ^^^^^^^^^^^^^^^^^^
      help: add `command = "…"` or `pipeline = "…"`
    "#);
    insta::assert_snapshot!(said_of_stage("command = 'x'\npipeline = 'y'"), @r#"
    orchd.toml:6:1: the stage has both `command` and `pipeline`
       |
     6 | pipeline = 'y'
       | ^^^^^^^^
      help: keep one; make two stages of two actions
    "#);
    insta::assert_snapshot!(said_of_stage("command = []"), @r#"
    orchd.toml:5:11: `command` is empty
       |
     5 | command = []
       |           ^^
    "#);
    insta::assert_snapshot!(said_of_stage("command = ' '"), @r#"
    orchd.toml:5:11: `command` is empty
       |
     5 | command = ' '
       |           ^^^
    "#);
    insta::assert_snapshot!(said_of_stage(r#"command = ["a", "b\u0000"]"#), @r#"
    orchd.toml:5:17: `command` holds a NUL character
       |
     5 | command = ["a", "b\u0000"]
       |                 ^^^^^^^^^
    "#);
    insta::assert_snapshot!(said_of_stage("pipeline = 'diagnostics'\ntimeout = '5s'\noptional = true"), @r#"
    orchd.toml:2:6: subpipelines go in a circle: diagnostics → diagnostics
       |
     2 | id = 'diagnostics'
       |      ^^^^^^^^^^^^^
    orchd.toml:6:1: `timeout` does not belong to a stage that runs a pipeline
       |
     6 | timeout = '5s'
       | ^^^^^^^
    "#);
    insta::assert_snapshot!(said_of_stage("command = 'x'\ncwd = '../up'\nenv = { 'A=B' = 'x', C = 1 }"), @r#"
    orchd.toml:6:7: `cwd`: `../up` leaves its directory: `..` is not allowed
       |
     6 | cwd = '../up'
       |       ^^^^^^^
    orchd.toml:7:9: `A=B` cannot be the name of an environment variable
       |
     7 | env = { 'A=B' = 'x', C = 1 }
       |         ^^^^^
    orchd.toml:7:26: `C` has to be a string, not a whole number
       |
     7 | env = { 'A=B' = 'x', C = 1 }
       |                          ^
    "#);
}

#[test]
fn patterns_are_told() {
    insta::assert_snapshot!(said_of_stage("command = 'x'\ninputs = ['src/**', '[z-a]', '../x']"), @r#"
    orchd.toml:6:21: `inputs`: `[z-a]` is no gitignore pattern: invalid range; 'z' > 'a'
       |
     6 | inputs = ['src/**', '[z-a]', '../x']
       |                     ^^^^^^^
      help: patterns are relative to the project, as in a .gitignore: `src/**`, `*.lock`, `/dist/`
    orchd.toml:6:30: `inputs`: `../x` is no gitignore pattern: `..` leaves the project
       |
     6 | inputs = ['src/**', '[z-a]', '../x']
       |                              ^^^^^^
      help: patterns are relative to the project, as in a .gitignore: `src/**`, `*.lock`, `/dist/`
    "#);
}

#[test]
fn task_ids_are_told() {
    let project = |task: &str| said(&format!("[[project]]\ntask = \"{task}\"\n{SOUND}"));
    insta::assert_snapshot!(project("a/b"), @r#"
    orchd.toml:2:8: task id `a/b` may not contain '/'
       |
     2 | task = "a/b"
       |        ^^^^^
    "#);
    insta::assert_snapshot!(project(".."), @r#"
    orchd.toml:2:8: task id `..` may not begin with a dot
       |
     2 | task = ".."
       |        ^^^^
    "#);
    insta::assert_snapshot!(project("a\\u0000"), @r#"
    orchd.toml:2:8: task id `a\0` may not contain '\0'
       |
     2 | task = "a\u0000"
       |        ^^^^^^^^^
    "#);
    insta::assert_snapshot!(project(&"x".repeat(300)), @r#"
    orchd.toml:2:8: task id `xxxxxxxxxxxxxxxxxxxxxxxx…` has 300 bytes: at most 200 are allowed
       |
     2 | task = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(said(&format!("[[project]]\npath = 'web'\n{SOUND}")), @r#"
    orchd.toml:1:1: [[project]] has no `task`
       |
     1 | [[project]]
       | ^^^^^^^^^^^
    "#);
}

#[test]
fn duplicates_are_told_with_the_first() {
    let text = format!(
        "[[project]]\ntask = 'a'\n[[project]]\ntask = 'A'\npath = './web'\n[[project]]\ntask = 'c'\npath = 'web/'\n\
         {SOUND}[[pipeline.stage]]\nid = 'ok'\ncommand = 'x'\n{SOUND}"
    );
    insta::assert_snapshot!(said(&text), @r#"
    orchd.toml:4:8: task id `A` is already taken in line 2
       |
     4 | task = 'A'
       |        ^^^
      help: give each its own; `Web` and `web` are one directory on some file systems
    orchd.toml:8:8: project path `web` is already taken in line 5
       |
     8 | path = 'web/'
       |        ^^^^^^
      help: give each its own
    orchd.toml:15:6: pipeline `diagnostics` has two stages `ok`
        |
     15 | id = 'ok'
        |      ^^^^
      help: give each its own
    orchd.toml:18:6: pipeline id `diagnostics` is already taken in line 10
        |
     18 | id = 'diagnostics'
        |      ^^^^^^^^^^^^^
      help: give each its own
    "#);
}

#[test]
fn names_of_nothing_are_told() {
    let text = "[[project]]\ntask = 'a'\npipeline = 'diagnostic'\n\
        [[pipeline]]\nid = 'diagnostics'\n\
        [[pipeline.stage]]\nid = 'lint'\ncommand = 'x'\nneeds = ['biuld', 'broken']\n\
        [[pipeline.stage]]\nid = 'build'\npipeline = 'nothing-like-it'\n\
        [[pipeline.stage]]\nid = 'broken'\n";
    insta::assert_snapshot!(said(text), @r#"
    orchd.toml:3:12: no pipeline is called `diagnostic`
       |
     3 | pipeline = 'diagnostic'
       |            ^^^^^^^^^^^^
      help: did you mean `diagnostics`? known: diagnostics
    orchd.toml:9:10: no stage of this pipeline is called `biuld`
       |
     9 | needs = ['biuld', 'broken']
       |          ^^^^^^^
      help: did you mean `build`? known: lint, build
    orchd.toml:12:12: no pipeline is called `nothing-like-it`
        |
     12 | pipeline = 'nothing-like-it'
        |            ^^^^^^^^^^^^^^^^^
      help: known: diagnostics
    orchd.toml:13:1: the stage has neither `command` nor `pipeline`
        |
     13 | [[pipeline.stage]]
        | ^^^^^^^^^^^^^^^^^^
      help: add `command = "…"` or `pipeline = "…"`
    "#);
}

#[test]
fn circles_are_told_by_name() {
    let stage = |id: &str, need: &str| {
        format!("[[pipeline.stage]]\nid = '{id}'\ncommand = 'x'\nneeds = ['{need}']\n")
    };
    let stages = [stage("a", "b"), stage("b", "c"), stage("c", "b")].concat();
    insta::assert_snapshot!(said(&format!("[[pipeline]]\nid = 'diagnostics'\n{stages}")), @r#"
    orchd.toml:8:6: the `needs` of stages go in a circle: b → c → b
       |
     8 | id = 'b'
       |      ^^^
    "#);
    let pipeline = |id: &str, child: &str| {
        format!("[[pipeline]]\nid = '{id}'\n[[pipeline.stage]]\nid = 's'\npipeline = '{child}'\n")
    };
    let pipelines = [pipeline("diagnostics", "b"), pipeline("b", "diagnostics")].concat();
    insta::assert_snapshot!(said(&pipelines), @r#"
    orchd.toml:7:6: subpipelines go in a circle: b → diagnostics → b
       |
     7 | id = 'b'
       |      ^^^
    "#);
    let mut deep = pipeline("diagnostics", "p0");
    for level in 0..9 {
        deep.push_str(&pipeline(&format!("p{level}"), &format!("p{}", level + 1)));
    }
    deep.push_str("[[pipeline]]\nid = 'p9'\n[[pipeline.stage]]\nid = 's'\ncommand = 'true'\n");
    insta::assert_snapshot!(said(&deep), @r#"
    orchd.toml:2:6: subpipelines nest 10 deep below `diagnostics`: at most 8 are allowed
       |
     2 | id = 'diagnostics'
       |      ^^^^^^^^^^^^^
    orchd.toml:7:6: subpipelines nest 9 deep below `p0`: at most 8 are allowed
       |
     7 | id = 'p0'
       |      ^^^^
    "#);
}

#[test]
fn broken_syntax_is_told_alone() {
    insta::assert_snapshot!(said("[workspace\nsettle_ms = 5\n"), @r#"
    orchd.toml:1:11: unclosed table, expected `]`
       |
     1 | [workspace
       |           ^
    "#);
    insta::assert_snapshot!(said("[workspace]\nsettle_ms = \nsettle_ms = 3\ncolour = 1\n"), @r#"
    orchd.toml:2:13: string values must be quoted, expected literal string
       |
     2 | settle_ms = 
       |             ^
    orchd.toml:3:1: duplicate key
       |
     3 | settle_ms = 3
       | ^^^^^^^^^
    "#);
}

#[test]
fn an_array_that_is_not_closed_is_told_where_it_begins() {
    insta::assert_snapshot!(said(&format!("[workspace]\nignore = [\n  'a',\n{SOUND}")), @r#"
    orchd.toml:2:10: unclosed array, expected `]`
       |
     2 | ignore = [
       |          ^
    "#);
}

#[test]
fn a_stage_that_is_wrong_is_a_stage() {
    let pipeline = |rest: &str| said(&format!("[[pipeline]]\nid = 'diagnostics'\n{rest}\n"));
    insta::assert_snapshot!(pipeline("[[pipeline.stage]]\ncommand = 'x'"), @r#"
    orchd.toml:3:1: [[pipeline.stage]] has no `id`
       |
     3 | [[pipeline.stage]]
       | ^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(pipeline("stage = 'x'"), @r#"
    orchd.toml:3:9: `stage` has to be an array of tables, `[[…]]`, not a string
       |
     3 | stage = 'x'
       |         ^^^
    "#);
    insta::assert_snapshot!(pipeline("stage = []"), @r#"
    orchd.toml:2:6: pipeline `diagnostics` has no stages
       |
     2 | id = 'diagnostics'
       |      ^^^^^^^^^^^^^
      help: its run would be green and prove nothing: give it a stage with a command, or take it out
    "#);
}

#[test]
fn what_would_never_match_or_run_is_told() {
    insta::assert_snapshot!(said_of_stage("command = 'x'\ninputs = []"), @r#"
    orchd.toml:6:10: `inputs` is empty: no change would ever run the stage again
       |
     6 | inputs = []
       |          ^^
      help: name what it reads, or leave `inputs` out: then it is every file that is not ignored
    "#);
    insta::assert_snapshot!(said_of_workspace("ignore = ['a[']"), @r#"
    orchd.toml:2:11: `ignore`: `a[` is no gitignore pattern: a `[` lacks its `]`; write `\[` for the character
       |
     2 | ignore = ['a[']
       |           ^^^^
      help: patterns are relative to the project, as in a .gitignore: `src/**`, `*.lock`, `/dist/`
    "#);
    insta::assert_snapshot!(said(&format!("[[project]]\ntask = 'a'\non_busy = 'que'\n{SOUND}")), @r#"
    orchd.toml:3:11: `on_busy` may not be "que"
       |
     3 | on_busy = 'que'
       |           ^^^^^
      help: did you mean `queue`? allowed: queue, restart
    "#);
}

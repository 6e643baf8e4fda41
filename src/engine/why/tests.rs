//! Which part of a key is said to differ, and whose run is named.
//!
//! What is told of files and tools is tried in `tests/e2e/why.rs`.

use crate::engine::trial::{config, configured, exited, opened, project, recorded, step};
use crate::engine::{Engine, Record};
use crate::model::id::RunId;
use crate::model::report::why::{Because, StageProven, WhyStage};
use crate::model::run::Exit;

fn text(command: &str) -> String {
    format!(
        "[[project]]\ntask = \"t\"\n[[pipeline]]\nid = \"diagnostics\"\n[[pipeline.stage]]\nid = \"check\"\ncommand = \"{command}\"\n"
    )
}

fn told(engine: &Engine) -> WhyStage {
    let mut stages = engine.why(&project("t")).unwrap();
    assert_eq!(stages.len(), 1);
    stages.remove(0).told
}

/// Ends the run under way so.
fn end(engine: &mut Engine, code: i32) -> RunId {
    let run = engine.runs().next().map(|report| report.run.clone());
    let run = run.expect("a run is under way");
    step(engine, recorded(&run, Record::Begin));
    step(engine, exited(&run, Exit::Code(code)));
    step(engine, recorded(&run, Record::End));
    run
}

#[test]
fn a_stage_is_proven_by_the_run_that_executed_it_or_has_another_definition() {
    let mut engine = opened(&text("true"));
    let before = told(&engine);
    assert_eq!(before.state, StageProven::Unproven);
    assert_eq!(before.why, [Because::Never]);
    let run = end(&mut engine, 0);
    assert_eq!((before.run_id, before.running), (None, Some(run.clone())));
    let after = told(&engine);
    assert_eq!(
        (after.state, after.run_id),
        (StageProven::Proven, Some(run.clone()))
    );
    assert!(after.why.is_empty() && after.running.is_none());
    step(&mut engine, configured(config(&text("true;"))));
    let other = told(&engine);
    assert_eq!(other.state, StageProven::Unproven);
    assert_eq!(other.why, [Because::Definition]);
    assert_eq!(other.run_id, Some(run));
    let next = engine.runs().next().map(|report| report.run.clone());
    assert_eq!((other.running, other.void), (next, None));
}

#[test]
fn a_failure_on_this_very_key_is_told_with_its_run() {
    let mut engine = opened(&text("true"));
    let run = end(&mut engine, 1);
    let red = told(&engine);
    assert_eq!((red.state, red.run_id), (StageProven::Failed, Some(run)));
    assert!(red.why.is_empty(), "it is no other key");
}

#[test]
fn the_stages_of_a_subpipeline_stand_where_it_is_called() {
    let toml = "[[project]]\ntask = \"t\"\n[[pipeline]]\nid = \"diagnostics\"\n\
        [[pipeline.stage]]\nid = \"below\"\npipeline = \"child\"\n\
        [[pipeline.stage]]\nid = \"last\"\ncommand = \"true\"\n\
        [[pipeline]]\nid = \"child\"\n[[pipeline.stage]]\nid = \"first\"\ncommand = \"true\"\n";
    let stages = opened(toml).why(&project("t")).unwrap();
    let told = stages.iter().map(|stage| &stage.told);
    let told: Vec<_> = told
        .map(|told| (told.pipeline_id.as_str(), told.stage.as_str()))
        .collect();
    assert_eq!(told, [("child", "first"), ("diagnostics", "last")]);
}

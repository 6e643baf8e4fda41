//! A workspace that is removed while a run of it goes on.
//!
//! The engine alone: whoever reads configurations may still hand one in for it.

use crate::engine::ask::Stop;
use crate::engine::trial::{
    WORKSPACE, config, configured, exited, opened, project, recorded, step,
};
use crate::engine::{Effect, Input, Record};
use crate::model::run::Exit;

const TEXT: &str = "[[project]]\ntask = 'p'\n\
                    [[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'x'\ncommand = 'make'\n";

#[test]
fn what_is_being_removed_is_not_configured_again() {
    let mut engine = opened(TEXT);
    let run = engine.active_root(&project("p")).unwrap();
    let run = run.report.run.clone();
    step(&mut engine, recorded(&run, Record::Begin));
    let workspace = WORKSPACE;
    let closed = step(&mut engine, Input::Closed { workspace });
    let is_told = |effect: &Effect| {
        matches!(
            effect,
            Effect::StopStage {
                stop: Stop::Term,
                ..
            }
        )
    };
    assert!(closed.iter().any(is_told), "{closed:?}");
    let again = step(&mut engine, configured(config(TEXT)));
    assert!(again.is_empty(), "{again:?}");
    let ended = exited(&run, Exit::Signal(15));
    let mut effects = step(&mut engine, ended);
    effects.extend(step(&mut engine, recorded(&run, Record::End)));
    let is_forgotten = |effect: &Effect| matches!(effect, Effect::Forget { .. });
    assert!(effects.iter().any(is_forgotten), "{effects:?}");
}

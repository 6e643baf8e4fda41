//! From when on it is quiet.
//!
//! A look is told of a little later than the change was made that it has found.

use crate::engine::Input;
use crate::engine::trial::{WORKSPACE, opened, project, step_at};
use crate::model::path::RelPath;
use crate::model::run::Changed;
use crate::model::time::Tick;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[test]
fn quiet_is_counted_from_the_last_change_and_never_from_one_before_it() {
    let toml = r#"
        [workspace]
        on_start = false
        settle_ms = 20
        [[project]]
        task = "a"
        pipeline = "p"
        [[pipeline]]
        id = "p"
        [[pipeline.stage]]
        id = "s"
        command = "true"
    "#;
    let ms = Duration::from_millis;
    let touched = |at: u64| Input::Touched {
        workspace: WORKSPACE,
        projects: BTreeMap::from([(
            project("a").task,
            Changed::Paths(vec![RelPath::parse("f").unwrap()]),
        )]),
        at: Tick::new(ms(at)),
    };
    let mut engine = opened(toml);
    let wake = |engine: &crate::engine::Engine| engine.next_wake().map(Tick::since_start);
    // The look before the end is a quarter of the wait earlier.
    for (told, at, look) in [(10, 3, 18), (12, 1, 18), (14, 99, 29)] {
        drop(step_at(&mut engine, ms(told), touched(at)));
        assert_eq!(wake(&engine), Some(ms(look)), "told at {told} of {at}");
    }
    let unsure = BTreeSet::new();
    drop(step_at(&mut engine, ms(29), Input::Woke { unsure }));
    assert_eq!(wake(&engine), Some(ms(34)), "that is when it is quiet");
}

//! From when on it is quiet.
//!
//! A look is told of a little later than the change was made that it has found.

use crate::engine::Input;
use crate::engine::trial::{WORKSPACE, opened, project, step_at};
use crate::model::path::RelPath;
use crate::model::run::Changed;
use crate::model::time::Tick;
use std::collections::BTreeMap;
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
    for (told, at, due) in [(10, 3, 23), (12, 1, 23), (14, 99, 34)] {
        drop(step_at(&mut engine, ms(told), touched(at)));
        let wake = engine.next_wake().map(Tick::since_start);
        assert_eq!(wake, Some(ms(due)), "told at {told} of {at}");
    }
}

//! Whose stages start first where there is no room for all, or several name one mutex.
//!
//! What somebody waits for goes before what content calls for by itself; of two alike the one goes first whose stage has
//! waited longer, so that no workspace keeps a mutex by having many stages that name it.

use crate::engine::run::{Phase, Run};
use crate::engine::state::Engine;
use crate::model::id::RunId;
use crate::model::run::Cause;
use crate::model::time::Tick;

impl Engine {
    /// A place or a mutex may be free, perhaps because a stage of `own` has ended: lets the runs go on, each in its turn.
    pub(super) fn advance_in_turn(&mut self, own: Option<&RunId>) {
        let running = self.runs.values().filter(|run| run.phase == Phase::Running);
        let turn = |run: &Run| (self.turn_of(run), Some(&run.report.run) != own);
        let mut turns: Vec<_> = running
            .map(|run| (turn(run), run.report.run.clone()))
            .collect();
        turns.sort();
        for (_, run) in turns {
            self.advance(&run);
        }
    }

    fn turn_of(&self, run: &Run) -> (bool, Tick) {
        let since = run.waits_since.unwrap_or(self.now.tick);
        (!self.is_asked_for(run), since)
    }

    /// Whether somebody waits for a run, or asked for it; for a child run, of the run that it belongs to.
    fn is_asked_for(&self, run: &Run) -> bool {
        let root = self.active_root(&run.project);
        let root = root.filter(|_| run.parent_stage.is_some()).unwrap_or(run);
        let by_somebody = match root.report.cause {
            Cause::Manual | Cause::Resume | Cause::Gate => true,
            Cause::Start | Cause::Change | Cause::Parent => false,
        };
        by_somebody || !root.requests.is_empty() || self.is_awaited(&run.project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ask::{Ask, Patience, Scope};
    use crate::engine::trial::{WORKSPACE, exited, opened, project, recorded, step_at};
    use crate::engine::{Effect, Input, Record};
    use crate::model::id::RequestId;
    use crate::model::run::Exit;
    use std::time::Duration;

    const TOML: &str = r#"
        [workspace]
        jobs = 8
        [[project]]
        task = "a"
        path = "a"
        pipeline = "two"
        [[project]]
        task = "b"
        path = "b"
        pipeline = "one"
        [[project]]
        task = "c"
        path = "c"
        pipeline = "one"
        [[pipeline]]
        id = "two"
        [[pipeline.stage]]
        id = "first"
        command = "true"
        mutex = "m"
        [[pipeline.stage]]
        id = "second"
        command = "true"
        mutex = "m"
        [[pipeline]]
        id = "one"
        [[pipeline.stage]]
        id = "only"
        command = "true"
        mutex = "m"
    "#;

    struct Bench {
        engine: Engine,
        at: u64,
    }

    impl Bench {
        /// A run of each project has begun by itself, and the first stage of `a` runs.
        fn new() -> Self {
            let (engine, at) = (opened(TOML), 0);
            let mut bench = Self { engine, at };
            assert_eq!(bench.begin("a"), ["a/first"]);
            assert_eq!(bench.begin("b"), [""; 0]);
            assert_eq!(bench.begin("c"), [""; 0]);
            bench
        }

        /// A second later; the stages that start then.
        fn step(&mut self, input: Input) -> Vec<String> {
            self.at += 1;
            let effects = step_at(&mut self.engine, Duration::from_secs(self.at), input);
            let started = effects.into_iter().filter_map(|effect| {
                let Effect::StartStage { report, stage, .. } = effect else {
                    return None;
                };
                Some(format!("{}/{}", report.task, report.stages[stage].id))
            });
            started.collect()
        }

        fn run(&self, task: &str) -> RunId {
            let mut runs = self.engine.runs();
            let run = runs.find(|report| report.task.as_str() == task);
            run.unwrap().run.clone()
        }

        fn begin(&mut self, task: &str) -> Vec<String> {
            let run = self.run(task);
            self.step(recorded(&run, Record::Begin))
        }

        fn end(&mut self, task: &str) -> Vec<String> {
            let run = self.run(task);
            self.step(exited(&run, Exit::Code(0)))
        }
    }

    #[test]
    fn whoever_has_waited_longer_takes_a_mutex_first() {
        let mut bench = Bench::new();
        assert_eq!(bench.end("a"), ["b/only"], "and not the next stage of `a`");
        assert_eq!(bench.end("b"), ["c/only"]);
        assert_eq!(bench.end("c"), ["a/second"]);
    }

    #[test]
    fn what_somebody_waits_for_goes_first() {
        let mut bench = Bench::new();
        let ask = Ask::Verdict {
            scope: Scope {
                workspace: Some(WORKSPACE),
                tasks: vec![project("c").task],
            },
            patience: Patience::Run,
        };
        let request = RequestId(1);
        let deadline = None;
        bench.step(Input::Asked {
            request,
            ask,
            deadline,
        });
        assert_eq!(bench.end("a"), ["c/only"]);
        assert_eq!(bench.end("c"), ["b/only"]);
        assert_eq!(bench.end("b"), ["a/second"]);
    }
}

//! An engine for the tests beside it: one workspace, whose looks all see the same content at once, and no other process.
//!
//! What else the engine wants done is handed back and not carried out; the whole of it is tried in `tests/simulation`.

use crate::engine::{Effect, Engine, Input, ProjectId, Record, Setup, Trust, Watch};
use crate::model::config::Config;
use crate::model::evidence::Layout;
use crate::model::id::{RunId, TaskId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::run::{Ending, Exit};
use crate::model::time::{Now, Tick, Timestamp};
use crate::model::view::View;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) const WORKSPACE: WorkspaceId = WorkspaceId(1);

pub(super) fn project(task: &str) -> ProjectId {
    ProjectId {
        workspace: WORKSPACE,
        task: TaskId::parse(task).unwrap(),
    }
}

pub(super) fn config(toml: &str) -> Config {
    Config::of_toml(toml).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A configuration is taken, and its commands are allowed.
pub(super) fn configured(config: Config) -> Input {
    Input::Configured {
        workspace: WORKSPACE,
        setup: Setup {
            config: Arc::new(config),
            trust: Trust::Allowed,
            known: BTreeMap::new(),
        },
    }
}

/// An engine that watches the workspace under this `orchd.toml`.
pub(super) fn opened(toml: &str) -> Engine {
    let mut engine = Engine::new(7, NonZeroU32::MIN);
    let inputs = [
        Input::Opened {
            workspace: WORKSPACE,
            root: RootPath::new(Path::new("/w")).unwrap(),
            layout: Layout::new(".runs"),
        },
        configured(config(toml)),
        Input::Watched {
            workspace: WORKSPACE,
            watch: Watch::Watching,
        },
    ];
    for input in inputs {
        step(&mut engine, input);
    }
    engine
}

pub(super) fn recorded(run: &RunId, record: Record) -> Input {
    Input::Recorded {
        run: run.clone(),
        record,
        failure: None,
    }
}

/// The only stage of a run has ended.
pub(super) fn exited(run: &RunId, exit: Exit) -> Input {
    Input::StageEnded {
        run: run.clone(),
        stage: 0,
        ending: Ending::silent(exit),
    }
}

/// Takes a step at the beginning of time; what comes of it beside looks.
pub(super) fn step(engine: &mut Engine, input: Input) -> Vec<Effect> {
    step_at(engine, Duration::ZERO, input)
}

/// The same, later.
pub(super) fn step_at(engine: &mut Engine, at: Duration, input: Input) -> Vec<Effect> {
    let now = Now {
        tick: Tick::new(at),
        wall: Timestamp::from_unix_ms(0),
    };
    let mut effects = engine.step(now, input);
    let mut done = Vec::new();
    while !effects.is_empty() {
        let mut next = Vec::new();
        for effect in effects {
            if let Effect::Capture {
                capture, subjects, ..
            } = effect
            {
                let views = subjects.into_iter().map(View::still);
                let captured = Input::Captured {
                    capture,
                    workspace: WORKSPACE,
                    views: Some(views.collect()),
                };
                next.append(&mut engine.step(now, captured));
            } else if let Effect::TakeMutex { mutex } = effect {
                next.append(&mut engine.step(now, Input::MutexTaken { mutex }));
            } else {
                done.push(effect);
            }
        }
        effects = next;
    }
    done
}

//! What it costs that somebody goes away, and that nobody is remembered whose run waits no longer.
//!
//! The engine alone: every look sees the same content at once, and nothing else that it wants done is carried out.

use super::*;
use crate::engine::ask::{Ask, RunAsk};
use crate::engine::pending::WALKED;
use crate::engine::trial::{WORKSPACE, opened, recorded, step};
use crate::engine::{Input, Record};
use crate::limits::QUEUED_RUNS_MAX;
use crate::model::digest::{Digest, InputDigest};
use std::collections::BTreeMap;

const TEXT: &str = "[workspace]\non_start = false\n[[project]]\ntask = 't'\n\
                    [[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'x'\ncommand = 'make'\n";

/// How a run ceases to wait behind another one.
type End = fn(&mut Engine, &RunId) -> Vec<Effect>;

fn project() -> ProjectId {
    crate::engine::trial::project("t")
}

fn asked(engine: &mut Engine, request: u64, policy: &str) -> Vec<Effect> {
    let ask = Ask::Run(RunAsk {
        project: project(),
        pipeline: None,
        parent: None,
        approval_policy: Some(policy.to_owned()),
        force: false,
        until: Until::Named,
        wanted: Wanted::Attended,
    });
    step(
        engine,
        Input::Asked {
            request: RequestId(request),
            ask,
            deadline: None,
        },
    )
}

/// An engine with a run under way that nothing ends.
fn busy() -> (Engine, RunId) {
    let mut engine = opened(TEXT);
    asked(&mut engine, 0, "first");
    let run = engine.runs.keys().next().unwrap().clone();
    step(&mut engine, recorded(&run, Record::Begin));
    (engine, run)
}

fn released(effects: &[Effect]) -> Vec<u64> {
    let released = effects.iter().filter_map(|effect| {
        let Effect::Release { request } = effect else {
            return None;
        };
        Some(request.0)
    });
    released.collect()
}

#[test]
fn who_goes_away_does_not_cost_a_walk_over_all_who_wait() {
    let (mut engine, _) = busy();
    let askers = 20 * u64::try_from(QUEUED_RUNS_MAX).unwrap();
    for request in 1..=askers {
        let policy = request % u64::try_from(QUEUED_RUNS_MAX).unwrap();
        asked(&mut engine, request, &format!("p{policy}"));
        assert!(engine.is_attended(RequestId(request)));
    }
    assert_eq!(engine.queued().count(), QUEUED_RUNS_MAX);
    for request in 1..=askers {
        WALKED.set(0);
        assert!(engine.is_attended(RequestId(request)));
        assert_eq!(WALKED.get(), 0, "whether somebody has to stay is known");
        step(
            &mut engine,
            Input::Withdrawn {
                request: RequestId(request),
            },
        );
        let walked = WALKED.get();
        assert!(walked <= QUEUED_RUNS_MAX, "{walked} runs were looked at");
    }
    assert_eq!(engine.queued().count(), 0);
    assert!(engine.askers.is_empty());
}

#[test]
fn who_asked_is_let_go_however_his_run_ceases_to_wait() {
    let ends: [(&str, End); 4] = [
        ("cancelled", |engine, _| {
            let run = engine.queued().next().unwrap().run.clone();
            let ask = Ask::Cancel { run };
            let request = RequestId(9);
            let deadline = None;
            step(
                engine,
                Input::Asked {
                    request,
                    ask,
                    deadline,
                },
            )
        }),
        ("refused", |engine, _| {
            let detail = "line 3".to_owned();
            step(
                engine,
                Input::Misconfigured {
                    workspace: WORKSPACE,
                    detail,
                },
            )
        }),
        ("at the end", |engine, _| step(engine, Input::Stopping)),
        ("begun", |engine, run| {
            let record = |record| Input::Recorded {
                run: run.clone(),
                record,
                failure: Some("no room".to_owned()),
            };
            engine.runs.get_mut(run).unwrap().phase = crate::engine::run::Phase::Ending;
            step(engine, record(Record::End))
        }),
    ];
    for (name, end) in ends {
        let (mut engine, run) = busy();
        asked(&mut engine, 1, "strict");
        asked(&mut engine, 2, "strict");
        assert_eq!(engine.askers.len(), 2, "{name}");
        let effects = end(&mut engine, &run);
        assert_eq!(released(&effects), [1, 2], "{name}");
        assert!(engine.askers.is_empty(), "{name}");
    }
}

#[test]
fn what_cannot_begin_is_told_to_be_refused() {
    let (mut engine, _) = busy();
    let gone = PipelineId::parse("gone").unwrap();
    let asker = (RequestId(1), Wanted::Attended);
    let origin = crate::engine::ask::Origin::from(Cause::Manual);
    engine.queue(&project(), &gone, origin, asker);
    let run = engine.queued().next().unwrap().run.clone();
    let seen = crate::engine::keys::Seen {
        input: InputDigest(Digest::of(b"A")),
        keys: Vec::new(),
        inputs: BTreeMap::new(),
        tools: BTreeMap::new(),
    };
    engine.begin_pending(&project(), &gone, seen);
    let effects = step(
        &mut engine,
        Input::Woke {
            unsure: BTreeSet::new(),
        },
    );
    let dropped = effects.iter().find_map(|effect| {
        let Effect::Publish {
            news: News::RunDropped { run, why, .. },
            ..
        } = effect
        else {
            return None;
        };
        Some((run.clone(), why.clone()))
    });
    let known = vec![PipelineId::parse("diagnostics").unwrap()];
    let why = Dropped::Refused(Denied::UnknownPipeline(gone, known));
    assert_eq!(dropped, Some((run, why)));
    assert_eq!(engine.queued().count(), 0);
    assert!(engine.askers.is_empty());
}

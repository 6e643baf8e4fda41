//! That everybody is found by what he waits for, and what it costs to find him among many.
//!
//! The index is held against a walk over all; the engine, against the number of those that it looks at.

use super::*;
use crate::engine::Input;
use crate::engine::trial::{opened, project, step, step_at};
use proptest::prelude::*;
use std::time::Duration;

const TEXT: &str = "[workspace]\non_start = false\n[[project]]\ntask = 't'\n\
                    [[pipeline]]\nid = 'diagnostics'\n[[pipeline.stage]]\nid = 'x'\ncommand = 'make'\n";
const TASKS: [&str; 3] = ["a", "b", "c"];

thread_local! {
    /// How many of those who wait were looked at in this thread, in walks over all of them.
    pub(super) static WALKED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

fn verdicts(request: u64) -> Input {
    Input::Asked {
        request: RequestId(request),
        ask: Ask::Verdict {
            scope: Scope::default(),
            patience: Patience::Run,
        },
        deadline: Some(Tick::new(Duration::from_secs(request))),
    }
}

#[test]
fn a_step_looks_only_at_those_whom_it_is_about() {
    let mut engine = opened(TEXT);
    for request in 1..=1_000 {
        step(&mut engine, verdicts(request));
    }
    assert_eq!(engine.awaiting(&project("t")).len(), 1_000);
    WALKED.set(0);
    assert_eq!(
        engine.next_wake(),
        Some(Tick::new(Duration::from_secs(1))),
        "the first deadline"
    );
    step(&mut engine, verdicts(1_001));
    let late = step_at(
        &mut engine,
        Duration::from_secs(2),
        Input::Woke {
            unsure: BTreeSet::new(),
        },
    );
    let late = late.iter().filter_map(|effect| {
        let Effect::Reply { request, .. } = effect else {
            return None;
        };
        Some(request.0)
    });
    assert_eq!(late.collect::<Vec<_>>(), [1, 2]);
    assert!(engine.is_awaited(&project("t")) && !engine.is_awaited(&project("u")));
    let request = RequestId(3);
    step_at(
        &mut engine,
        Duration::from_secs(2),
        Input::Withdrawn { request },
    );
    assert_eq!(engine.awaiting(&project("t")).len(), 998);
    assert_eq!(WALKED.get(), 0);
}

/// What may be done to somebody who waits.
#[derive(Clone, Debug)]
enum Op {
    Insert(Option<u8>, Vec<Option<bool>>),
    Cancel(u8),
    Remove,
    Note(usize, Option<bool>),
    Forget(usize),
}

fn sought(found: Option<bool>) -> Sought {
    match found {
        None => Sought::Look,
        Some(false) => Sought::Run,
        Some(true) => Sought::Found(Answer {
            project: project("a"),
            verdict: Verdict::Unknown,
            green: false,
            input: None,
            run: None,
            reused: false,
            detail: None,
        }),
    }
}

fn run(number: u8) -> RunId {
    RunId::parse(&format!("r{number}")).unwrap()
}

fn op() -> impl Strategy<Value = Op> {
    let found = || proptest::option::of(any::<bool>());
    prop_oneof![
        (
            proptest::option::of(0_u8..4),
            proptest::collection::vec(found(), 0..3)
        )
            .prop_map(|(deadline, projects)| Op::Insert(deadline, projects)),
        (0_u8..2).prop_map(Op::Cancel),
        Just(Op::Remove),
        (0..TASKS.len(), found()).prop_map(|(place, found)| Op::Note(place, found)),
        (0..TASKS.len()).prop_map(Op::Forget),
    ]
}

fn act(waiters: &mut Waiters, request: RequestId, op: Op) {
    let waiter = |deadline: Option<u8>, need| Waiter {
        deadline: deadline.map(|at| Tick::new(Duration::from_secs(at.into()))),
        need,
        since: Seq::default(),
        rechecked: BTreeSet::new(),
    };
    match op {
        Op::Insert(deadline, found) => {
            let projects = TASKS
                .into_iter()
                .map(project)
                .zip(found.into_iter().map(sought));
            let need = Need::Verdicts {
                scope: Scope::default(),
                patience: Patience::Run,
                lone: false,
                projects: projects.collect(),
            };
            waiters.insert(request, waiter(deadline, need));
        }
        Op::Cancel(number) => {
            waiters.insert(request, waiter(Some(9), Need::Cancelled(run(number))));
        }
        Op::Remove => drop(waiters.remove(request)),
        Op::Note(place, found) => waiters.note(request, &project(TASKS[place]), sought(found)),
        Op::Forget(place) => waiters.change(request, |waiter| {
            if let Need::Verdicts { projects, .. } = &mut waiter.need {
                projects.remove(&project(TASKS[place]));
            }
        }),
    }
}

fn found(waiters: &Waiters, is_it: impl Fn(&Waiter) -> bool) -> Vec<RequestId> {
    let found = waiters.iter().filter(|(_, waiter)| is_it(waiter));
    found.map(|(request, _)| request).collect()
}

proptest! {
    #[test]
    fn everybody_is_found_by_what_he_waits_for(ops in proptest::collection::vec((0_u64..5, op()), 0..40)) {
        let mut waiters = Waiters::default();
        for (request, op) in ops {
            act(&mut waiters, RequestId(request), op);
            for task in TASKS.map(project) {
                let awaits = |waiter: &Waiter| {
                    let Need::Verdicts { projects, .. } = &waiter.need else { return false };
                    matches!(projects.get(&task), Some(Sought::Run))
                };
                prop_assert_eq!(waiters.awaiting(&task).collect::<Vec<_>>(), found(&waiters, awaits));
            }
            for run in [0, 1].map(run) {
                let ends = |waiter: &Waiter| matches!(&waiter.need, Need::Cancelled(of) if *of == run);
                prop_assert_eq!(waiters.enders(&run).collect::<Vec<_>>(), found(&waiters, ends));
            }
            let now = Tick::new(Duration::from_secs(2));
            let mut late = waiters.late(now);
            late.sort();
            prop_assert_eq!(late, found(&waiters, |it| it.deadline.is_some_and(|at| at <= now)));
            let deadlines = waiters.iter().filter_map(|(_, waiter)| waiter.deadline);
            prop_assert_eq!(waiters.next_deadline(), deadlines.min());
        }
    }
}

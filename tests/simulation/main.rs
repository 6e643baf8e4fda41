//! The engine under a seeded world: random edits, faults, questions and delays, and an oracle per promise.
//!
//! A failure prints the smallest script that proptest finds; `tests/simulation/mutants.py` breaks the engine on purpose,
//! one promise at a time, and demands that an oracle notices. `directed` plays single scenes to the letter.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "clippy does not take the modules of an integration test for tests; here a panic is a finding, and a judge \
              looks only at what its promise is about"
)]

mod bench;
mod directed;
mod fixture;
mod oracle;
mod outside;
mod questions;
mod script;
mod world;

use proptest::prelude::*;
use script::{Op, op};
use world::World;

/// Scripts per test run, the same ones every time: `.cargo/config.toml` gives their seed to whatever cargo starts.
/// `SIMULATION_CASES=100000 PROPTEST_RNG_SEED=$RANDOM` for a night of others; a test binary that is started by hand
/// takes a new seed each time.
fn cases() -> u32 {
    std::env::var("SIMULATION_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(600)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_every_promise_holds(
        seed in any::<u64>(),
        ops in proptest::collection::vec(op(), 1..60),
    ) {
        let mut world = World::new(seed);
        for op in &ops {
            world.act(op);
        }
        world.come_to_rest();
    }
}

/// What a stage has failed on before a daemon was killed, it has failed on: a pass after that is flaky.
#[test]
fn what_failed_before_a_restart_has_failed() {
    let deliver = Op::Deliver { count: 60 };
    let again = Op::Run {
        project: 2,
        other: false,
        force: true,
        until_named: false,
        detach: false,
        strict: false,
    };
    let fitful = Op::Save {
        project: 2,
        file: 1,
        content: u8::try_from(fixture::FITFUL).unwrap(),
    };
    let ops = [
        fitful,
        Op::Wait { ms: 60 },
        deliver.clone(),
        Op::Restart,
        deliver.clone(),
        again.clone(),
        deliver.clone(),
        Op::Restart,
        deliver.clone(),
        again,
        deliver,
    ];
    for seed in 0..100 {
        let mut world = World::new(seed);
        ops.iter().for_each(|op| world.act(op));
        world.come_to_rest();
    }
}

/// Whoever never stops saving under `on_busy = "restart"` hears of a run that has ended by itself.
#[test]
fn endless_edits_let_a_run_end_now_and_then() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        for edit in 0..40_u8 {
            world.edit_on(1, edit % 3);
        }
        let ended = world.oracle.ended_by_itself(1);
        assert!(ended >= 2, "{ended} runs ended by themselves");
        world.come_to_rest();
    }
}

/// A stage fails in a run that is void for a file that this stage does not read: its pass of before is flaky.
#[test]
fn what_failed_in_a_void_run_has_failed() {
    let save = |file, content: u32| Op::Save {
        project: 2,
        file,
        content: u8::try_from(content).unwrap(),
    };
    let forced = Op::Run {
        project: 2,
        other: false,
        force: true,
        until_named: false,
        detach: false,
        strict: false,
    };
    for seed in 0..200 {
        let deliver = |count| Op::Deliver { count };
        let settled = [Op::Wait { ms: 60 }, deliver(60)];
        let disturbed = [
            forced.clone(),
            deliver(u8::try_from(seed % 16).unwrap()),
            save(0, 3),
            deliver(1),
            save(0, 1),
            deliver(60),
        ];
        let began = [save(0, 1), save(1, fixture::FITFUL), save(2, 0)];
        let again = disturbed.iter().chain(&settled);
        let restarted = [Op::Restart, deliver(60)];
        let mut world = World::new(seed);
        began
            .iter()
            .chain(&settled)
            .chain(again.clone())
            .chain(again.clone())
            .chain(again)
            .chain(&restarted)
            .for_each(|op| world.act(op));
        world.come_to_rest();
    }
}

/// One project of a question has its answer, another one's run is under way, and the evidence of the first goes.
#[test]
fn an_answer_that_waits_for_others_is_still_true_when_it_is_told() {
    let deliver = |count| Op::Deliver { count };
    let ops = [
        Op::Gate {
            project: 3,
            patient: true,
            deadline_ms: None,
        },
        deliver(5),
        Op::Configure {
            home: 0,
            setting: fixture::Setting::Usual,
        },
        deliver(10),
        Op::Blind {
            home: 0,
            missing: false,
        },
        deliver(17),
        Op::Vanish,
        Op::Save {
            project: 0,
            file: 0,
            content: 0,
        },
        Op::Cancel,
    ];
    for seed in [571_030_356_996_501_414].into_iter().chain(0..200) {
        let mut world = World::new(seed);
        ops.iter().for_each(|op| world.act(op));
        world.come_to_rest();
    }
}

/// One project of a question has its answer and is touched again, and another one's run is under way until the time is
/// over.
#[test]
fn what_is_told_when_the_time_is_over_is_known_then() {
    let deliver = |count| Op::Deliver { count };
    let save = |project, content| Op::Save {
        project,
        file: 0,
        content,
    };
    for seed in 0..200 {
        let mut world = World::new(seed);
        let ops = [
            deliver(60),
            save(2, u8::try_from(fixture::HANGS).unwrap()),
            Op::Gate {
                project: 3,
                patient: true,
                deadline_ms: Some(300),
            },
            deliver(u8::try_from(seed % 20).unwrap()),
            save(0, 4),
            deliver(1),
            Op::Wait { ms: 400 },
        ];
        ops.iter().for_each(|op| world.act(op));
        world.come_to_rest();
    }
}

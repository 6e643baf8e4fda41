//! The engine under a seeded world: random edits, faults, questions and delays, and an oracle per promise.
//!
//! A failure prints the smallest script that proptest finds; `tests/simulation/mutants.py` breaks the engine on purpose,
//! one promise at a time, and demands that an oracle notices.

mod oracle;
mod script;
mod world;

use proptest::prelude::*;
use script::op;
use world::World;

/// Scripts per test run; `SIMULATION_CASES=100000` for a night.
fn cases() -> u32 {
    std::env::var("SIMULATION_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(600)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 4000,
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

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
use script::op;
use world::World;

/// Scripts per test run; `SIMULATION_CASES=100000` for a night, `PROPTEST_RNG_SEED` to see the same ones again.
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

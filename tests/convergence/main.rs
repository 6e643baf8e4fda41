//! Random writers against the real daemon: after each storm it has to know what is there, and to have told what differs.
//!
//! A session is one daemon and one workspace with a repository, and rounds of storms in it. Up to five writers at once
//! save as editors do, move, exchange, link, copy, unpack, switch branches, change what is ignored, and what git tracks
//! though it is. Meanwhile nobody asks, or somebody asks all the time, or the daemon is stopped until the storm is over, at
//! times with the kernel's queue full, so that it is told of none of it. Then the daemon is asked once: its input digest has
//! to be the one of an independent walk (`truth`), and every path that differs from the round before has to be in a `change`
//! event, or one said "everything". Now and then a verdict is asked for, and what the stage of its run saw has to be what is
//! there.
//!
//! `CONVERGENCE_SECONDS=60` plays sessions for that long, without it there are few and short ones. A failure names its
//! session: `CONVERGENCE_SEED=…` plays it first. The acts are the same then; who is faster is not.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "a test starts processes itself, fails by panicking, and then prints what it did"
)]

mod acts;
mod chance;
#[path = "../deadline/within.rs"]
mod deadline;
mod place;
mod session;
mod truth;
mod writer;

use std::time::{Duration, Instant};

/// Sessions, and rounds in each, where no time is named.
const SESSIONS: u64 = 3;
const ROUNDS_FEW: usize = 5;
/// Rounds in a session where there is time.
const ROUNDS: usize = 40;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

#[test]
fn after_each_storm_the_daemon_knows_what_is_there_and_told_what_differs() {
    let first = number("CONVERGENCE_SEED").unwrap_or(1);
    let time = number("CONVERGENCE_SECONDS").map(Duration::from_secs);
    let begun = Instant::now();
    let (mut rounds, mut seed) = (0, first);
    while time.map_or(seed - first < SESSIONS, |time| begun.elapsed() < time) {
        let wanted = if time.is_some() { ROUNDS } else { ROUNDS_FEW };
        rounds += session::play(seed, wanted);
        seed += 1;
    }
    eprintln!("{rounds} rounds in {} sessions", seed - first);
}

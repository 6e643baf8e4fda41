//! `orchctl` as a process against a daemon that says what the test wants: exit codes, streams, JSON, ^C.
//!
//! The real daemon is tried elsewhere; here it is the client's own promises that are looked at, most of all those for
//! answers that a healthy daemon rarely gives.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test that fails may panic, starts the program that it tests, and scripts only what is asked"
)]

mod answers;
#[path = "../deadline/within.rs"]
mod deadline;
mod joins;
mod leave;
mod paper;
mod runs;
mod streams;
mod support;

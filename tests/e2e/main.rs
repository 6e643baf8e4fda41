//! The whole product: real `orchd` and `orchctl`, real files, real git, real processes.
//!
//! Every test has a place of its own for its socket, state and workspaces. A test waits for events, answers and ends of
//! processes, never for time; what must not happen is looked for after a `sync`, which tells that everything was seen.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test starts processes itself, fails by panicking, and then prints the daemon's log"
)]

mod blocked;
mod configuration;
mod damage;
#[path = "../deadline/within.rs"]
mod deadline;
mod events;
mod history;
mod job;
mod lifecycle;
mod mounts;
mod patience;
mod present;
mod queries;
mod quiet;
mod resume;
mod seen;
mod settling;
mod stages;
mod support;
mod trust;
mod vanished;
mod watches;

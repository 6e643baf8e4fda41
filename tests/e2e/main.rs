//! The whole product: real `orchd` and `orchctl`, real files, real git, real processes.
//!
//! Every test has a place of its own for its socket, state and workspaces. A test waits for events, answers and ends of
//! processes, and gives up after a deadline; what must not happen is looked for after a `sync`, which tells that
//! everything was seen. Time itself is in two files: `settling` gives a daemon that does not wait for git 200 ms to show
//! it, and measures that half a second was waited for a stale lock; in `present` somebody's lock holds up the end of a run
//! for a third of a second. On a machine too slow for that they prove less, and fail no more.

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
mod busy;
mod checklists;
mod checkouts;
mod configuration;
mod contents;
mod damage;
#[path = "../deadline/within.rs"]
mod deadline;
mod events;
mod flaky;
mod gates;
mod graph;
mod history;
mod hooks;
mod hosted;
mod job;
mod lifecycle;
mod mounts;
mod mutexes;
mod naming;
mod overflow;
mod paper_approvals;
mod paper_auto;
mod paper_docs;
mod paper_evidence;
mod paper_guardrails;
mod paper_projects;
mod paper_report;
mod paper_review;
mod paper_story;
mod passing;
mod patience;
mod present;
mod pushes;
mod queries;
mod queue;
mod quiet;
mod remembered;
mod resume;
mod reuse;
mod revisions;
mod roots;
mod seen;
mod settling;
mod stages;
mod support;
mod toolchain;
mod trust;
mod unjudged;
mod vanished;
mod watches;
mod why;

//! The paper side: what people write about runs, held against what runs have left.
//!
//! Checklists, projects, coverage, drift, approvals, integrity, documents, reports. Works without a daemon: `orchctl` calls it in
//! its own process, and the daemon uses the same code where it writes or asks. Each part reads, judges and writes apart: what
//! judges gets values and returns findings, and knows no file.

pub mod approvals;
pub mod book;
pub mod checklist;
pub mod checklists;
pub mod cited;
pub mod coverage;
pub mod declared;
pub mod drift;
pub mod failure;
pub mod finding;
pub mod flipping;
pub mod guardrails;
pub mod integrity;
pub mod judge;
pub mod latest;
pub mod mirrors;
pub mod onboarding;
pub mod projects;
pub mod prose;
pub mod records;
pub mod reporting;
pub mod review;
pub mod rewrite;
pub mod shelf;
pub mod spec_guard;
pub mod standings;
pub mod task_index;
pub mod templates;
pub mod ticking;
pub mod upkeep;
pub mod weakness;

#[cfg(test)]
mod fuzz;

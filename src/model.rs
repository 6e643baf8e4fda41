//! The words of the field as types: ids, paths, times, digests, configuration, runs, evidence.
//!
//! Nothing here does I/O, reads a clock or logs. A value that exists is valid: `parse` is the only door, and serde goes
//! through it.

pub mod around;
pub mod config;
pub mod digest;
pub mod evidence;
pub mod id;
pub mod judged;
pub mod log;
pub mod path;
pub mod pattern;
pub mod places;
pub mod report;
pub mod run;
pub mod summary;
pub mod time;
pub mod view;

//! `orch`: the library behind `orchd` (the daemon) and `orchctl` (the client).
//!
//! Read the modules in this order: `limits` (every bound), `model` (the words of the field as types), `engine` (the pure
//! state machine that decides), `wire` (what goes over the socket), `git` (git as a program), `disk` (files, written so that they
//! last), `documents` (the paper side), `daemon` (the shell that does), `client` (what a person or a script sees). Arrows point down that list only; `tests/tidy.rs` fails the build otherwise.

pub mod client;
pub mod daemon;
pub mod disk;
pub mod documents;
pub mod engine;
pub mod git;
pub mod limits;
pub mod model;
pub mod wire;

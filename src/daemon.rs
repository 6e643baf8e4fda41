//! The shell that does: processes, files, sockets and signals around the pure engine.
//!
//! Everything here carries out what the engine decided and reports what happened; nothing here decides.

pub mod clock;
pub mod leftovers;
pub mod log;
pub mod process;
pub mod runner;

//! The shell: everything that touches the world on the engine's behalf.
//!
//! Each module owns one kind of contact (files seen, processes, sockets) and turns it into inputs of the engine, or
//! carries out its effects. Nothing here decides what is run.

pub mod tree;
pub mod watcher;

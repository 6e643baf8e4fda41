//! The shell: everything that touches the disk, the clock, processes and sockets.
//!
//! It turns what happens outside into inputs of the engine and carries out what the engine decides. It decides nothing
//! about runs or verdicts itself. Each part is a plain struct with one owner; there are no locks around state.

pub mod configuration;
pub mod durable;
pub mod registry;
mod store;
pub mod trust;

pub use store::StoreError;

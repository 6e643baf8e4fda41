//! Bounds of a task's chain.
//!
//! They are no limits of the format: what lies beyond them is told.

/// Bytes of a link: a run of the most stages has some 200 KiB.
pub const LINK_BYTES_MAX: u64 = 1024 * 1024;
/// Files of a run that a link names: twice those of a run of the most stages, each with its log and its error file.
pub const LINK_FILES_MAX: usize = 2_048;
/// Bytes of a file's name that a link names: ours are shorter.
pub const LINK_NAME_BYTES_MAX: usize = 128;
/// Bytes of a file that are hashed at once.
pub const HASH_CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of a chain past which what is told of runs that were removed is left out: some 3,000 runs, and some milliseconds
/// to read.
pub const CHAIN_COMPACT_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of a chain that are read: some 100,000 runs, as many as may be kept.
pub const CHAIN_BYTES_MAX: u64 = 512 * 1024 * 1024;
const _: () = assert!(CHAIN_COMPACT_BYTES < CHAIN_BYTES_MAX);
const _: () = assert!(LINK_FILES_MAX as u64 * (LINK_NAME_BYTES_MAX as u64 + 128) < LINK_BYTES_MAX);

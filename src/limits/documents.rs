//! Bounds of the paper side: how much it reads of what people write.
//!
//! They are no limits of the formats: what lies beyond them is told, and names the bound.

/// Bytes of a document that is read; a longer one is told and left out.
pub const DOCUMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Documents below one directory: checklists of some thousand tasks.
pub const DOCUMENTS_MAX: usize = 20_000;
/// Directories from a workspace's own to a document.
pub const DOCUMENT_DEPTH_MAX: usize = 16;

//! Bounds of the paper side: how much it reads of what people write.
//!
//! They are no limits of the formats: what lies beyond them is told, and names the bound.

/// Bytes of a document that is read; a longer one is told and left out.
pub const DOCUMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Documents below one directory: checklists of some thousand tasks.
pub const DOCUMENTS_MAX: usize = 20_000;
/// Directories from a workspace's own to a document.
pub const DOCUMENT_DEPTH_MAX: usize = 16;
/// Runs of a task that are read for what its documents say of it: more than a project keeps of a year.
pub const TASK_RUNS_READ_MAX: usize = 10_000;
/// Approvals that a block about a project names; the others are counted.
pub const APPROVALS_SHOWN_MAX: usize = 5;
/// Characters of an approval's reason in a block about a project.
pub const APPROVAL_CHARS_MAX: usize = 160;
/// Characters between the angle brackets of a template's fragment: more is no name of something to fill in.
pub const FRAGMENT_CHARS_MAX: usize = 80;
/// Characters of a slug: with a task id it is a file name.
pub const SLUG_CHARS_MAX: usize = 48;

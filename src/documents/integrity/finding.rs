//! What is said of evidence that is not what was recorded.
//!
//! These are the types that `evidence verify --json` prints; a new kind is a change of the contract.

use crate::model::digest::Digest;
use crate::model::id::{RunId, TaskId};
use serde::Serialize;

/// What came of holding runs against their chains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Runs that are there.
    pub runs: usize,
    /// What is wrong, by task.
    pub findings: Vec<EvidenceFinding>,
    /// The newest link of each chain: who keeps its digest elsewhere knows later that nothing was cut off.
    pub heads: Vec<Head>,
}

/// The newest link of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// The task.
    pub task_id: TaskId,
    /// The link's number.
    pub number: u64,
    /// The digest of its line, with the newline.
    pub sha256: Digest,
}

/// Something that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EvidenceFinding {
    /// The run; none where it is the chain itself.
    pub run_id: Option<RunId>,
    /// What it is.
    pub kind: EvidenceKind,
    /// The file or directory, relative to the workspace.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What can be wrong with evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// A line of the chain was changed, taken away or put in.
    BrokenLink,
    /// A file is another than was recorded, or was not recorded.
    Changed,
    /// A file or a run that was recorded is not there.
    Missing,
    /// It lies under, or speaks of, another task or run.
    WrongTask,
    /// A run is there of which the chain tells nothing.
    Unchained,
    /// The last line of the chain was cut off.
    Torn,
    /// It cannot be read.
    Unreadable,
}

impl EvidenceKind {
    /// The kind as `--json` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BrokenLink => "broken-link",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::WrongTask => "wrong-task",
            Self::Unchained => "unchained",
            Self::Torn => "torn",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether a link can say that somebody takes it as it is.
    #[must_use]
    pub fn is_adopted(self) -> bool {
        match self {
            Self::Changed | Self::Missing | Self::Unchained => true,
            Self::BrokenLink | Self::WrongTask | Self::Torn | Self::Unreadable => false,
        }
    }
}

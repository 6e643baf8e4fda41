//! What a check has found: a kind, a place, and words with the remedy.
//!
//! The kinds are those that `--json` promises; a new one is a change of the contract. Two of them are no fault.

use serde::Serialize;

/// Something that is not as it should be, in a checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemFinding {
    /// The document, relative to the workspace.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What it is.
    pub kind: ItemKind,
    /// The item's title.
    pub title: String,
    /// The path that it is about, as the item names it.
    pub evidence: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What can be wrong with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    /// It is ticked and names nothing.
    NoEvidence,
    /// It is ticked and names only what was never filled in.
    Placeholder,
    /// What it names is not there.
    MissingFile,
    /// What it names is no manifest.
    Unparsable,
    /// It names a pointer to a manifest.
    Pointer,
    /// It names a run of another task.
    WrongTask,
    /// The manifest says that it is of another run than its directory.
    RunMismatch,
    /// The run has not ended.
    NotTerminal,
    /// The run has not succeeded.
    NotSucceeded,
    /// The run has no guardrail.
    GuardrailAbsent,
    /// The part of the manifest that it names is not there or empty.
    BadFragment,
    /// It is open and names a run that succeeded.
    EvidenceButOpen,
    /// It says something else than its source.
    OutOfSync,
    /// It is ticked and declares a pipeline, which has failed since.
    Contradicted,
    /// There are no runs here to hold it against.
    Unverifiable,
}

impl ItemKind {
    /// The kind as `--json` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoEvidence => "no-evidence",
            Self::Placeholder => "placeholder",
            Self::MissingFile => "missing-file",
            Self::Unparsable => "unparsable",
            Self::Pointer => "pointer",
            Self::WrongTask => "wrong-task",
            Self::RunMismatch => "run-mismatch",
            Self::NotTerminal => "not-terminal",
            Self::NotSucceeded => "not-succeeded",
            Self::GuardrailAbsent => "guardrail-absent",
            Self::BadFragment => "bad-fragment",
            Self::EvidenceButOpen => "evidence-but-open",
            Self::OutOfSync => "out-of-sync",
            Self::Contradicted => "contradicted",
            Self::Unverifiable => "unverifiable",
        }
    }

    /// Whether it is wrong, and not only unknown here, or for somebody to decide.
    ///
    /// What a newer run says is none: a pipeline that checks its own checklists would never be green again.
    #[must_use]
    pub fn is_fault(self) -> bool {
        !matches!(self, Self::Contradicted | Self::Unverifiable)
    }
}

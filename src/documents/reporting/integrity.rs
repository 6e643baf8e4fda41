//! Whether the runs of a project are as their chain recorded them, as far as a report tells it.
//!
//! The one place where a report asks for that. Nothing is told where nobody can say.

use crate::documents::integrity::{self, EvidenceKind};
use crate::documents::shelf::Shelf;
use crate::model::id::{RunId, TaskId};
use serde::Serialize;

/// What came of holding a project's runs against their chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// Runs that are there.
    pub runs: usize,
    /// The newest link; nothing where no chain is kept. Who keeps its digest elsewhere knows later that nothing was cut off.
    pub head: Option<ChainHead>,
    /// What is not as it was recorded.
    pub findings: Vec<Mismatch>,
}

/// The newest link of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainHead {
    /// Its number.
    pub number: u64,
    /// The digest of its line.
    pub sha256: String,
}

/// Something that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The run; nothing where it is the chain itself.
    pub run_id: Option<RunId>,
    /// What it is, in a word.
    pub kind: &'static str,
    /// The file or directory, relative to the workspace.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// How the runs of a task stand against their chain; nothing where that cannot be said. Where no chain is kept, no run is
/// told to be missing from it: there is no head, and that says it.
pub(super) fn of_task(shelf: &Shelf, task: &TaskId) -> Option<Integrity> {
    let verified = integrity::verify(shelf, Some(task)).ok()?;
    let head = verified.heads.into_iter().next();
    let is_kept = head.is_some();
    let findings = verified.findings.into_iter();
    let told = findings.filter(|it| is_kept || it.kind != EvidenceKind::Unchained);
    Some(Integrity {
        runs: verified.runs,
        head: head.map(|head| ChainHead {
            number: head.number,
            sha256: head.sha256.to_string(),
        }),
        findings: told
            .map(|it| Mismatch {
                run_id: it.run_id,
                kind: it.kind.as_str(),
                path: it.path,
                message: it.message,
            })
            .collect(),
    })
}

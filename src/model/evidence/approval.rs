//! Approvals: that somebody accepts what a run has said, of some content, for some of its stages, for some time.
//!
//! The manifest holds three fields of one, as the published orchestrator's schema has them; the sidecar holds all. An
//! approval changes no verdict and no evidence of what happened: a gate that honours one says so.

use crate::model::digest::{InputDigest, StageKey};
use crate::model::id::{RunId, StageId};
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One approval, as the sidecar has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedApproval {
    /// Who approved.
    pub actor: String,
    /// When.
    pub timestamp: Timestamp,
    /// Why.
    pub reason: String,
    /// The stages that it is for, with the keys that they had.
    pub stages: Vec<ApprovedStage>,
    /// Whether it was given for the whole run, not for stages by name.
    pub whole: bool,
    /// The first moment at which it is no longer honoured; nothing where it is for good.
    pub until: Option<Timestamp>,
    /// The content that it is for.
    pub input_digest: InputDigest,
}

/// A stage whose failure is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedStage {
    /// The stage.
    pub id: StageId,
    /// What its result depended on; nothing where it was not run.
    pub key: Option<StageKey>,
}

/// One approval, as lists and answers have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The run that it is of.
    pub run_id: RunId,
    /// Who approved.
    pub actor: String,
    /// When.
    pub timestamp: Timestamp,
    /// Why; nothing where another tool wrote it without.
    pub reason: Option<String>,
    /// The stages that it is for; nothing for the whole run.
    pub scope: Option<Vec<StageId>>,
    /// The first moment at which it is no longer honoured; nothing where it is for good.
    pub until: Option<Timestamp>,
    /// The content that it is for; nothing where the sidecar says nothing of it, so that no gate honours it.
    pub input_digest: Option<InputDigest>,
}

impl Approval {
    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// The approvals of a run: those of its sidecar, and those that stand in its manifest alone. Oldest first; what names
/// nobody or no time is left out.
#[must_use]
pub fn approvals(run: &RunId, manifest: &[Value], sidecar: &[RecordedApproval]) -> Vec<Approval> {
    let recorded = sidecar.iter().map(|it| Approval {
        run_id: run.clone(),
        actor: it.actor.clone(),
        timestamp: it.timestamp,
        reason: Some(it.reason.clone()),
        scope: (!it.whole).then(|| it.stages.iter().map(|stage| stage.id.clone()).collect()),
        until: it.until,
        input_digest: Some(it.input_digest),
    });
    let mut all: Vec<Approval> = recorded.collect();
    for value in manifest {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let at = text("timestamp").and_then(|at| Timestamp::parse(at).ok());
        let Some((actor, timestamp)) = text("actor").zip(at) else {
            continue;
        };
        let is_known = |it: &Approval| it.actor == actor && it.timestamp == timestamp;
        if !all.iter().any(is_known) {
            all.push(Approval {
                run_id: run.clone(),
                actor: actor.to_owned(),
                timestamp,
                reason: text("reason").map(str::to_owned),
                scope: None,
                until: None,
                input_digest: None,
            });
        }
    }
    all.sort_by(|a, b| (a.timestamp, &a.actor).cmp(&(b.timestamp, &b.actor)));
    all
}

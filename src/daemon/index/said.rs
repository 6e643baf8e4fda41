//! What the stages of a run say of their keys, as the index remembers it: that they have passed, or failed.
//!
//! Only what stands: of a void run what it did not disturb. What a run has taken over is said by the run that executed it.

use crate::model::digest::StageKey;
use crate::model::evidence::{Manifest, Sidecar};
use crate::model::id::{RunId, StageId};
use crate::model::run::Outcome;
use serde::{Deserialize, Serialize};

/// What one stage of a run says of its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    /// The stage.
    pub(crate) stage: StageId,
    /// What its result depends on.
    pub(crate) key: StageKey,
    /// How it ended: passed, flaky, or by a failure of its own.
    pub(crate) outcome: Outcome,
    /// Whether it was tried more than once in this run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) retried: bool,
    /// The run that it is, if it is a pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) below: Option<RunId>,
}

impl Said {
    /// Whether it says that its key has failed, now or before.
    pub(crate) fn tells_of_failure(&self) -> bool {
        self.outcome.tells_of_failure()
    }

    /// Whether it has failed in this run before it passed there; of a pipeline that is said by the run that it is.
    pub(super) fn has_failed_here(&self) -> bool {
        self.outcome == Outcome::Flaky && self.retried && self.below.is_none()
    }
}

/// What the stages of a run say, in their order.
pub(super) fn by(sidecar: &Sidecar, manifest: &Manifest) -> Vec<Said> {
    let proves = sidecar.proves();
    let stages = sidecar.stages.iter().zip(1_u64..);
    let said = stages.filter_map(|(stage, index)| {
        let own_pass = stage.outcome == Outcome::Passed && stage.reused_from.is_none();
        let stands = (own_pass && (stage.proven || proves))
            || (stage.outcome.tells_of_failure() && (stage.against_key || proves));
        let mut commands = manifest.commands.iter();
        let command = commands.find(|command| command.index == index);
        Some(Said {
            stage: stage.id.clone(),
            key: stage.key.filter(|_| stands)?,
            outcome: stage.outcome,
            retried: stage.attempts > 1,
            below: command.and_then(|command| command.sub_run_id.clone()),
        })
    });
    said.collect()
}

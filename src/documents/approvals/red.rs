//! What of a run can be accepted: the stages that did not succeed, on content that is known.
//!
//! Pure: a manifest and a sidecar go in. Only a run that failed, and whose content stood still, is red in a way that somebody
//! can accept; anything else says nothing of its content, or nothing bad.

use crate::model::digest::{InputDigest, StageKey};
use crate::model::evidence::{ApprovedStage, Manifest, Sidecar};
use crate::model::id::{RunId, StageId};
use crate::model::run::{Cause, Outcome, RunStatus, StageStatus, Verdict};

/// A stage that did not succeed, and was not allowed not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedStage {
    /// The stage.
    pub id: StageId,
    /// Whether it failed; else it was not run, because another one did.
    pub failed: bool,
    /// What its failure depends on, if that is known.
    pub key: Option<StageKey>,
    /// The same as far as a look tells it.
    pub content_key: Option<StageKey>,
}

/// A run that is red.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Red {
    /// The content that it began on.
    pub input: InputDigest,
    /// The stages that make it so, in declared order.
    pub stages: Vec<RedStage>,
}

/// Why there is nothing of a run that could be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It goes on.
    #[error("it has not ended")]
    UnderWay,
    /// Nobody wrote down what it ran on.
    #[error("another tool made it, and nobody knows what it ran on")]
    OtherTool,
    /// It was taken up again by another tool.
    #[error(
        "its manifest and its sidecar tell of two ends: another tool has taken it up again, and nobody knows on what content"
    )]
    TwoEnds,
    /// It is of before content was written down.
    #[error("it is older than what is written down of a run's content")]
    NoContent,
    /// Content changed.
    #[error("it is void: content changed while it ran, so it says nothing of any")]
    Void,
    /// It says nothing of the content.
    #[error("its verdict is `{}`: it says nothing of its content that could be accepted", word(*.verdict))]
    Unjudged {
        /// Its verdict.
        verdict: Verdict,
    },
    /// All is well.
    #[error("it is green: there is nothing to accept")]
    Green,
    /// All is well, after all.
    #[error("it is flaky: every stage succeeded in the end, so there is none to accept")]
    Flaky,
    /// It is a stage of another.
    #[error("it is a stage of the run {parent}, by which gates answer")]
    Child {
        /// The other run.
        parent: RunId,
    },
    /// It has no such stage.
    #[error("it has no stage `{stage}`: there is {}", .known.join(", "))]
    NoStage {
        /// What was named.
        stage: StageId,
        /// What there is.
        known: Vec<String>,
    },
    /// The stage is fine.
    #[error("its stage `{stage}` has nothing to accept: it succeeded, or was allowed to fail")]
    Succeeded {
        /// The stage.
        stage: StageId,
    },
    /// What a stage depended on is not known.
    #[error("nobody knows what its stage `{stage}` depended on, so no gate could tell it again")]
    Keyless {
        /// The stage.
        stage: StageId,
    },
}

impl Unfit {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnderWay => {
                "approve it when it has ended: `orchctl wait`, or end it with `orchctl cancel RUN`"
            }
            Self::OtherTool
            | Self::TwoEnds
            | Self::NoContent
            | Self::Void
            | Self::Keyless { .. } => "have the content run, and approve that run: `orchctl gate`",
            Self::Unjudged { .. } => {
                "have it run until it passes or fails: `orchctl show RUN` says what kept it from that"
            }
            Self::Green => "`orchctl runs` shows those that failed",
            Self::Flaky => {
                "whether flaky counts as green is said by `[workspace] flaky` in orchd.toml"
            }
            Self::Child { .. } => "approve that one",
            Self::NoStage { .. } | Self::Succeeded { .. } => {
                "`orchctl show RUN` shows its stages; without --scope the whole run is approved"
            }
        }
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Flaky => "flaky",
        Verdict::Unstable => "unstable",
        Verdict::Error => "error",
        Verdict::Unknown => "unknown",
    }
}

impl Red {
    /// What made a run red, as its files say it.
    ///
    /// # Errors
    /// When it is not, or not in a way that could be accepted.
    pub fn of(manifest: &Manifest, sidecar: Option<&Sidecar>) -> Result<Self, Unfit> {
        if !manifest.status.is_terminal() {
            return Err(Unfit::UnderWay);
        }
        let sidecar = sidecar.ok_or(Unfit::OtherTool)?;
        if let (Cause::Parent, Some(parent)) = (sidecar.cause, &manifest.parent_run_id) {
            let parent = parent.clone();
            return Err(Unfit::Child { parent });
        }
        if sidecar.void.is_some() {
            return Err(Unfit::Void);
        }
        match (sidecar.verdict, manifest.status) {
            (Verdict::Fail, RunStatus::Failed) => {}
            (Verdict::Pass, RunStatus::Succeeded) => return Err(Unfit::Green),
            (Verdict::Flaky, RunStatus::Succeeded) => return Err(Unfit::Flaky),
            (Verdict::Pass | Verdict::Fail | Verdict::Flaky, _) => return Err(Unfit::TwoEnds),
            (verdict @ (Verdict::Unstable | Verdict::Error | Verdict::Unknown), _) => {
                return Err(Unfit::Unjudged { verdict });
            }
        }
        let input = sidecar.input_digest.ok_or(Unfit::NoContent)?;
        let stages = red_stages(manifest, sidecar)?;
        Ok(Self { input, stages })
    }

    /// What is approved by who approves these stages of it; of the whole run where none is named.
    ///
    /// # Errors
    /// When it has no such stage, or none that is red, or nobody could tell again what is approved.
    pub fn accept(
        &self,
        manifest: &Manifest,
        scope: &[StageId],
    ) -> Result<Vec<ApprovedStage>, Unfit> {
        for stage in scope {
            if !manifest.commands.iter().any(|it| it.id == *stage) {
                let stage = stage.clone();
                let known = manifest.commands.iter();
                let known = known.map(|it| format!("`{}`", it.id)).collect();
                return Err(Unfit::NoStage { stage, known });
            }
            if !self.stages.iter().any(|it| it.id == *stage) {
                let stage = stage.clone();
                return Err(Unfit::Succeeded { stage });
            }
        }
        let meant = self.stages.iter();
        let meant = meant.filter(|stage| scope.is_empty() || scope.contains(&stage.id));
        meant.map(RedStage::accept).collect()
    }
}

impl RedStage {
    fn accept(&self) -> Result<ApprovedStage, Unfit> {
        let is_known = match self.failed {
            true => self.key.is_some(),
            false => self.content_key.is_some(),
        };
        if !is_known {
            let stage = self.id.clone();
            return Err(Unfit::Keyless { stage });
        }
        Ok(ApprovedStage {
            id: self.id.clone(),
            key: self.key,
            content_key: self.content_key.filter(|_| self.content_key != self.key),
        })
    }
}

/// The stages that did not succeed, told alike by both files.
fn red_stages(manifest: &Manifest, sidecar: &Sidecar) -> Result<Vec<RedStage>, Unfit> {
    if manifest.commands.len() != sidecar.stages.len() {
        return Err(Unfit::TwoEnds);
    }
    let mut red = Vec::new();
    for (command, stage) in manifest.commands.iter().zip(&sidecar.stages) {
        let failed = match (command.status, stage.outcome) {
            _ if command.id != stage.id => return Err(Unfit::TwoEnds),
            (StageStatus::Succeeded | StageStatus::Skipped, _) => continue,
            (StageStatus::Failed, outcome) if outcome.has_failed() => true,
            (StageStatus::Pending, Outcome::None) => false,
            (StageStatus::Failed | StageStatus::Pending | StageStatus::Running, _) => {
                return Err(Unfit::TwoEnds);
            }
        };
        red.push(RedStage {
            id: stage.id.clone(),
            failed,
            key: stage.key.filter(|_| failed),
            content_key: stage.content_key(),
        });
    }
    Ok(red)
}

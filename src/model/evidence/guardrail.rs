//! Which stages of a run are guardrails in the published orchestrator's sense, and the line that it reads of them.
//!
//! Only text is looked at: a stage is one if its id, title or command says so.

use super::manifest::{Command, Manifest};
use crate::model::run::StageStatus;

/// How the guardrails of a run stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guardrails {
    /// All of them.
    pub total: usize,
    /// Those that succeeded.
    pub succeeded: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that were skipped, or say that they skipped their work.
    pub skipped: usize,
}

impl Guardrails {
    /// Counts the guardrails of a run.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        let mut counts = Self::default();
        for stage in manifest.commands.iter().filter(|stage| is_guardrail(stage)) {
            counts.total = counts.total.saturating_add(1);
            let count = match stage.status {
                StageStatus::Succeeded if says_skipped(stage) => &mut counts.skipped,
                StageStatus::Succeeded => &mut counts.succeeded,
                StageStatus::Failed => &mut counts.failed,
                StageStatus::Skipped => &mut counts.skipped,
                StageStatus::Pending | StageStatus::Running => continue,
            };
            *count = count.saturating_add(1);
        }
        counts
    }

    /// Whether one of them succeeded.
    #[must_use]
    pub fn present(self) -> bool {
        self.succeeded > 0
    }

    /// The line on them that ends a summary; none where there are none and none is required.
    #[must_use]
    pub fn line(self, required: Option<bool>) -> Option<String> {
        let required = required.unwrap_or(self.total > 0);
        (required || self.total > 0).then(|| self.words(required))
    }

    /// What there is to say of them in any case.
    #[must_use]
    pub fn words(self, required: bool) -> String {
        let Self {
            total,
            succeeded,
            failed,
            skipped,
        } = self;
        let said = if total == 0 && required {
            "command not found.".to_owned()
        } else if total == 0 {
            "not configured for this pipeline.".to_owned()
        } else if failed > 0 {
            format!("failed ({failed}/{total} failed).")
        } else if succeeded == total {
            format!("succeeded ({total} passed).")
        } else if skipped == total {
            format!("skipped (all {total} skipped).")
        } else {
            let pending = total.saturating_sub(succeeded).saturating_sub(skipped);
            let parts = [
                (succeeded, "passed"),
                (skipped, "skipped"),
                (pending, "pending"),
            ];
            let parts = parts.iter().filter(|(count, _)| *count > 0);
            let parts: Vec<String> = parts
                .map(|(count, word)| format!("{count} {word}"))
                .collect();
            format!("partial ({} of {total}).", parts.join(", "))
        };
        format!("Guardrails: spec-guard {said}")
    }
}

/// Whether a stage is one.
#[must_use]
pub fn is_guardrail(stage: &Command) -> bool {
    let command = stage.command.as_deref().unwrap_or_default();
    let text = format!("{} {} {command}", stage.id, stage.title).to_lowercase();
    text.contains("spec-guard") || text.contains("specguardrunner")
}

/// Whether a guardrail that exited 0 says that it skipped its work.
#[must_use]
pub fn says_skipped(stage: &Command) -> bool {
    let said = stage.summary.as_deref().unwrap_or_default().to_lowercase();
    [
        "[spec-guard] skipped",
        "spec-guard skipped",
        "spec guard skipped",
    ]
    .iter()
    .any(|needle| said.contains(needle))
}

//! A symbol and a word for every state; the colour only repeats them.
//!
//! So that nothing is lost without colour, in a log, or to a screen reader.

use crate::client::render::text::{CYAN, DIM, GREEN, RED, YELLOW};
use crate::model::id::RunId;
use crate::model::report::Health;
use crate::model::report::status::WorkspaceState;
use crate::model::run::{Outcome, RunStatus, StageStatus, Unproven, Verdict};
use anstyle::Style;

/// A state as it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// One character.
    pub symbol: char,
    /// One word.
    pub word: &'static str,
    /// How both are coloured.
    pub style: Style,
}

impl Mark {
    const fn new(symbol: char, word: &'static str, style: Style) -> Self {
        Self {
            symbol,
            word,
            style,
        }
    }

    /// The symbol and the word, filled up to `width` columns.
    #[must_use]
    pub fn cell(self, width: usize) -> String {
        let plain = format!("{} {}", self.symbol, self.word);
        let fill = " ".repeat(width.saturating_sub(plain.chars().count()));
        format!("{}{plain}{:#}{fill}", self.style, self.style)
    }
}

/// What is said of a flaky verdict where it does not count as green.
pub const FLAKY_IS_RED: &str = "flaky counts as failed here (flaky = \"fail\" in orchd.toml)";

/// What is said of a run that says nothing of what is there now.
#[must_use]
pub fn unproven(why: Unproven) -> &'static str {
    match why {
        Unproven::Changed => "content changed while it ran",
        Unproven::MayHaveChanged => "content may have changed while it ran",
        Unproven::ChildCancelled => "a run that is a stage of it was cancelled",
        Unproven::Kept => "a stage was kept from before the resume, and had run on other content",
    }
}

/// How a verdict is shown.
#[must_use]
pub fn verdict(verdict: Verdict) -> Mark {
    match verdict {
        Verdict::Pass => Mark::new('+', "pass", GREEN),
        Verdict::Fail => Mark::new('x', "fail", RED),
        Verdict::Flaky => Mark::new('~', "flaky", YELLOW),
        Verdict::Unstable => Mark::new('x', "unstable", RED),
        Verdict::Error => Mark::new('!', "error", RED),
        Verdict::Unknown => Mark::new('?', "unknown", YELLOW),
    }
}

/// How a run's status is shown.
#[must_use]
pub fn run(status: RunStatus) -> Mark {
    match status {
        RunStatus::Queued => Mark::new('.', "queued", CYAN),
        RunStatus::InProgress => Mark::new('>', "running", CYAN),
        RunStatus::Succeeded => Mark::new('+', "succeeded", GREEN),
        RunStatus::Failed => Mark::new('x', "failed", RED),
        RunStatus::Cancelled => Mark::new('-', "cancelled", YELLOW),
    }
}

/// How a stage is shown; the outcome says more than the status where there is one.
#[must_use]
pub fn stage(status: StageStatus, outcome: Option<Outcome>) -> Mark {
    match (status, outcome.unwrap_or(Outcome::None)) {
        (StageStatus::Pending, _) => Mark::new('-', "not run", DIM),
        (StageStatus::Running, _) => Mark::new('>', "running", CYAN),
        (StageStatus::Skipped, _) => Mark::new('-', "failed, allowed", YELLOW),
        (StageStatus::Succeeded, Outcome::Flaky) => Mark::new('~', "flaky", YELLOW),
        (StageStatus::Succeeded, _) => Mark::new('+', "ok", GREEN),
        (StageStatus::Failed, Outcome::TimedOut) => Mark::new('x', "timed out", RED),
        (StageStatus::Failed, Outcome::Signalled) => Mark::new('x', "killed", RED),
        (StageStatus::Failed, Outcome::Unspawnable) => Mark::new('!', "could not start", RED),
        (StageStatus::Failed, Outcome::Cancelled) => Mark::new('-', "cancelled", YELLOW),
        (StageStatus::Failed, _) => Mark::new('x', "failed", RED),
    }
}

/// How a workspace's state is shown.
#[must_use]
pub fn workspace(state: WorkspaceState) -> Mark {
    match state {
        WorkspaceState::Watching => Mark::new('+', "watching", GREEN),
        WorkspaceState::Rescanning => Mark::new('?', "rescanning", YELLOW),
        WorkspaceState::Polling => Mark::new('~', "polling", YELLOW),
        WorkspaceState::Missing => Mark::new('!', "missing", RED),
        WorkspaceState::Untrusted => Mark::new('?', "untrusted", YELLOW),
        WorkspaceState::Invalid => Mark::new('!', "invalid", RED),
    }
}

/// How a check of `doctor` is shown.
#[must_use]
pub fn health(health: Health) -> Mark {
    match health {
        Health::Ok => Mark::new('+', "ok", GREEN),
        Health::Warn => Mark::new('~', "warn", YELLOW),
        Health::Fail => Mark::new('x', "fail", RED),
    }
}

/// The part of a run's id that is enough to name it: the salt of ours, all of others'.
#[must_use]
pub fn short(run: &RunId) -> &str {
    let salt = run.as_str().rsplit('-').next().unwrap_or_default();
    let ours = salt.len() == 8 && salt.bytes().all(|byte| byte.is_ascii_hexdigit());
    if ours { salt } else { run.as_str() }
}

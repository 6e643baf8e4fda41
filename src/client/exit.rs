//! The exit codes of `orchctl`, each decided here and nowhere else.
//!
//! One match per question, after the table in `docs/cli.md`; a broken pipe is success.

use crate::client::failure::Failure;
use crate::git::revision::RevisionError;
use crate::model::run::Verdict;
use crate::wire::refusal::ErrorKind;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; for run, resume, wait and gate: green.
    Done,
    /// A guardrail failed, or a check of `doctor` did.
    Red,
    /// Wrong usage, bad configuration, refused.
    Refused,
    /// No verdict for the present content, or not in time.
    NoVerdict,
    /// No daemon answers.
    NoDaemon,
    /// The daemon failed inside.
    Internal,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Red => 1,
            Self::Refused => 2,
            Self::NoVerdict => 3,
            Self::NoDaemon => 4,
            Self::Internal => 5,
        }
    }

    /// How bad it is, from the best up: of several the worst counts. What has failed is known, whatever is not.
    #[must_use]
    pub fn badness(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NoVerdict => 1,
            Self::Refused => 2,
            Self::NoDaemon => 3,
            Self::Internal => 4,
            Self::Red => 5,
        }
    }

    /// How a command ends that asked for a verdict; `green` decides where the verdict leaves it open.
    #[must_use]
    pub fn of_verdict(verdict: Verdict, green: Option<bool>) -> Self {
        match verdict {
            Verdict::Pass => Self::Done,
            Verdict::Flaky if green != Some(false) => Self::Done,
            Verdict::Flaky | Verdict::Fail | Verdict::Unstable => Self::Red,
            Verdict::Unknown | Verdict::Error => Self::NoVerdict,
        }
    }

    /// How a command ends that failed.
    #[must_use]
    pub fn of_failure(failure: &Failure) -> Self {
        match failure {
            failure if failure.is_broken_pipe() => Self::Done,
            Failure::NoDaemon { .. }
            | Failure::Lost { .. }
            | Failure::Silent { .. }
            | Failure::Spawn { .. }
            | Failure::GaveUp { .. } => Self::NoDaemon,
            Failure::Output(_)
            | Failure::Gibberish { .. }
            | Failure::Host(_)
            | Failure::Log { .. }
            | Failure::Wait(_) => Self::Internal,
            Failure::Interrupted | Failure::Late { .. } | Failure::Checkout { .. } => {
                Self::NoVerdict
            }
            Failure::Revision(error) => Self::of_revision(error),
            Failure::Paper(error) if error.is_finding() => Self::Red,
            Failure::Push { .. }
            | Failure::Place(_)
            | Failure::Root(_)
            | Failure::Places(_)
            | Failure::Task(_)
            | Failure::NoWorkspace { .. }
            | Failure::NoProject { .. }
            | Failure::TwoProjects { .. }
            | Failure::NoRun
            | Failure::NoLog { .. }
            | Failure::OwnRun { .. }
            | Failure::NotAllowed { .. }
            | Failure::Exists { .. }
            | Failure::Configured { .. }
            | Failure::Broken { .. }
            | Failure::File { .. }
            | Failure::Outside { .. }
            | Failure::NoTask { .. }
            | Failure::Paper(_) => Self::Refused,
            Failure::Refused(refusal) => match refusal.kind {
                ErrorKind::UnknownWorkspace
                | ErrorKind::UnknownProject
                | ErrorKind::UnknownRun
                | ErrorKind::Untrusted
                | ErrorKind::InvalidConfig
                | ErrorKind::TooLarge
                | ErrorKind::Unsupported => Self::Refused,
                ErrorKind::Busy | ErrorKind::Unsynced => Self::NoVerdict,
                ErrorKind::ShuttingDown => Self::NoDaemon,
                ErrorKind::Internal => Self::Internal,
            },
        }
    }

    /// How a gate ends that does not know what to judge.
    fn of_revision(error: &RevisionError) -> Self {
        match error {
            RevisionError::NoRepository { .. }
            | RevisionError::Unknown { .. }
            | RevisionError::NoCommit { .. }
            | RevisionError::NoIndex { .. }
            | RevisionError::Obstructed { .. }
            | RevisionError::Absent { .. } => Self::Refused,
            RevisionError::Conflicts { .. }
            | RevisionError::Submodules { .. }
            | RevisionError::Copy { .. }
            | RevisionError::Git(_) => Self::NoVerdict,
        }
    }
}

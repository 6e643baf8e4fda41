//! Why a command of the paper side did not do what was asked.
//!
//! One enum for all of them, because they end in the same place; each variant is the error of the part that failed. What
//! is found wrong is no failure, but where it stands in the way of what was asked.

use crate::disk::chain::ChainError;
use crate::documents::approvals::give::ApproveError;
use crate::documents::drift::AgainstError;
use crate::documents::flipping::FlipError;
use crate::documents::integrity::IntegrityError;
use crate::documents::integrity::statement::StatementError;
use crate::documents::onboarding::OnboardError;
use crate::documents::projects::ProjectsError;
use crate::documents::reporting::out::OutError;
use crate::documents::rewrite::RewriteError;
use crate::documents::shelf::ShelfError;
use crate::documents::spec_guard::SpecGuardError;
use crate::documents::task_index::TaskIndexError;

/// Why a command of the paper side did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// Something of the workspace cannot be read.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The list of tasks cannot be read.
    #[error(transparent)]
    Index(#[from] TaskIndexError),
    /// Documents could not be changed.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// An item was left as it is.
    #[error(transparent)]
    Flip(#[from] FlipError),
    /// There is nothing to hold pipelines against.
    #[error(transparent)]
    Against(#[from] AgainstError),
    /// The spec guard could not look.
    #[error(transparent)]
    SpecGuard(#[from] SpecGuardError),
    /// The projects are not known.
    #[error(transparent)]
    Projects(#[from] ProjectsError),
    /// A report was not written.
    #[error(transparent)]
    Report(#[from] OutError),
    /// A project was not taken in.
    #[error(transparent)]
    Onboard(#[from] OnboardError),
    /// Nothing was approved.
    #[error(transparent)]
    Approve(#[from] ApproveError),
    /// Evidence could not be held against its chain.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// There is no statement about a run.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

impl PaperError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Shelf(ShelfError::Configuration(_))
            | Self::Projects(ProjectsError::Configuration(_)) => {
                Some("correct it: `orchctl status` says the same")
            }
            Self::Index(TaskIndexError::Parse(_))
            | Self::Projects(ProjectsError::Index(TaskIndexError::Parse(_))) => {
                Some("correct it: it is `{\"items\": [...], \"specs\": [...]}`")
            }
            Self::Flip(error) => match error {
                FlipError::NoItem { .. } => Some("see them with `orchctl checklist show`"),
                FlipError::Items { .. } => Some("name it as FILE:LINE, or narrow with --task"),
                FlipError::NoTask { .. } => Some(
                    "name its file `<task-id>-<slug>.md`, or list the task in tasks/index.json",
                ),
                FlipError::NoRuns { .. } => Some("start one with `orchctl run`"),
                FlipError::NoRun { .. } | FlipError::Runs { .. } => {
                    Some("see them with `orchctl runs --task TASK`")
                }
                FlipError::Unproven { .. } => Some("make it green first: `orchctl gate`"),
                FlipError::Ticked { .. } => Some("open it first: `orchctl checklist unflip`"),
                FlipError::Read(_) => None,
            },
            Self::Against(AgainstError::NoTemplate) => Some(
                "write one, in the shape of a [[pipeline]], or name a project with --against TASK",
            ),
            Self::Against(AgainstError::Unknown { .. }) => Some(
                "templates are the [[template]]s of orchd.toml; see projects with `orchctl status`",
            ),
            Self::SpecGuard(SpecGuardError::NoRepository(_)) => Some(
                "make the workspace a repository (`git init`), or take the stage out of the pipeline",
            ),
            Self::SpecGuard(SpecGuardError::Base { .. }) => {
                Some("name a commit, a branch or a tag: --base REV, or BASE_SHA")
            }
            Self::Report(OutError::Directory { .. }) => {
                Some("name a file in it: --out DIR/report.html")
            }
            Self::Report(OutError::Link { .. }) => Some("name the file that it leads to"),
            Self::Report(OutError::Irregular { .. }) => {
                Some("without --out it goes to stdout, and from there anywhere")
            }
            Self::Report(OutError::Write(_)) => {
                Some("its directory has to be there: --out never makes one")
            }
            Self::Onboard(error) => error.hint(),
            Self::Approve(error) => error.hint(),
            Self::Integrity(IntegrityError::Chain(ChainError::Held { .. })) => {
                Some("ask again in a moment: whoever has it is appending to it")
            }
            Self::Statement(StatementError::NoRun { .. } | StatementError::Runs { .. }) => {
                Some("see them with `orchctl runs`")
            }
            Self::Statement(StatementError::Unproven { .. }) => {
                Some("make a run that proves something: `orchctl run --force`, or `orchctl gate`")
            }
            Self::Statement(StatementError::Tampered { .. }) => {
                Some("see all of it with `orchctl evidence verify`")
            }
            Self::Shelf(_)
            | Self::Index(_)
            | Self::Rewrite(_)
            | Self::Report(OutError::Look { .. })
            | Self::SpecGuard(_)
            | Self::Projects(_)
            | Self::Integrity(_)
            | Self::Statement(_) => None,
        }
    }

    /// Whether what was asked for is not proven, and nothing is wrong with the question.
    #[must_use]
    pub fn is_finding(&self) -> bool {
        matches!(
            self,
            Self::Flip(FlipError::Unproven { .. })
                | Self::Statement(
                    StatementError::Unproven { .. } | StatementError::Tampered { .. }
                )
        )
    }
}

//! What `review` takes.
//!
//! Only what was typed; what is read and judged is in `documents::review`.

use crate::model::id::TaskId;
use clap::Subcommand;

/// What reviewers need.
#[derive(Debug, clap::Args)]
pub struct Review {
    /// What to do.
    #[command(subcommand)]
    pub act: ReviewAct,
}

/// What reviewers need.
#[derive(Debug, Subcommand)]
pub enum ReviewAct {
    /// Go through all that has to be so before a review; exit 1 where something is not
    ///
    /// A passing manifest, pages that lead to one, guardrails, drift, mirrors, checklists, projects, approvals, evidence. Each
    /// that is not so comes with what to do, or with the command that tells the rest.
    #[command(after_help = "Example:\n  orchctl review ready --task 0101-web")]
    Ready(Ready),
}

/// Flags of `review ready`.
#[derive(Debug, clap::Args)]
pub struct Ready {
    /// Only of this project
    #[arg(long, value_name = "TASK", value_parser = crate::client::args::task)]
    pub task: Option<TaskId>,
}

//! What the commands about approvals take: `approve`, `approvals`.
//!
//! Only what was typed; what is read, judged and written is in `documents`.

use crate::model::id::{IdError, StageId, TaskId};
use crate::model::time::{Day, DayError};
use clap::Subcommand;

/// Flags of `approve`.
#[derive(Debug, clap::Args)]
pub struct Approve {
    /// The run: any part of its id that names no other
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Why its failure is accepted
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who accepts it [default: git's user.name here, else the name of the user]
    #[arg(long = "as", value_name = "NAME")]
    pub actor: Option<String>,
    /// Accept only what became of this stage; may be given more than once [default: the whole run]
    #[arg(long, value_name = "stage=ID", value_parser = scope)]
    pub scope: Vec<StageId>,
    /// The last day on which gates honour it, in UTC, as 2026-11-22 [default: for good]
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub until: Option<Day>,
}

/// What to do with approvals.
#[derive(Debug, clap::Args)]
pub struct Approvals {
    /// What to do.
    #[command(subcommand)]
    pub act: ApprovalsAct,
}

/// What to do with approvals.
#[derive(Debug, Subcommand)]
pub enum ApprovalsAct {
    /// List what was approved of the workspace's runs, newest first, and whether it is still in force
    #[command(after_help = "Example:\n  orchctl approvals list --task 0101-web")]
    List(List),
}

/// Flags of `approvals list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only of runs of this task
    #[arg(long, value_name = "TASK", value_parser = crate::client::args::task)]
    pub task: Option<TaskId>,
}

/// Why a text names no part of a run.
#[derive(Debug, thiserror::Error)]
enum ScopeError {
    /// It is of no kind that is known.
    #[error("write it as stage=ID, with the id of a stage")]
    Kind,
    /// It is no id.
    #[error(transparent)]
    Id(#[from] IdError),
}

fn scope(text: &str) -> Result<StageId, ScopeError> {
    let id = text.strip_prefix("stage=").ok_or(ScopeError::Kind)?;
    Ok(StageId::parse(id)?)
}

fn day(text: &str) -> Result<Day, DayError> {
    Day::parse(text)
}

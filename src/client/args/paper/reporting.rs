//! What `report` takes.
//!
//! Only what was typed; what is read is in `documents`.

use crate::model::id::TaskId;
use clap::ValueHint;
use std::path::PathBuf;

/// Flags of `report`.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// Write to this file, whole or not at all, instead of to stdout
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Print Markdown for a pull request's comment or a job's summary, instead of HTML
    #[arg(long, conflicts_with = "json")]
    pub md: bool,
    /// Only of this project
    #[arg(long, value_name = "TASK", value_parser = crate::client::args::task)]
    pub task: Option<TaskId>,
}

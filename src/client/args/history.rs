//! Flags of the commands about runs that were, and about what happens.
//!
//! Only what was typed; which run is meant is the daemon's to say, because only it knows the ids.

use crate::client::args::value;
use crate::model::id::{StageId, TaskId};
use clap::ValueHint;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// A run that has to be named.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The run: any part of its id that names no other
    #[arg(value_name = "RUN")]
    pub run: String,
}

/// Flags of `runs`.
#[derive(Debug, clap::Args)]
pub struct Runs {
    /// Only the project with this task id
    #[arg(long, value_name = "TASK", value_parser = super::task)]
    pub task: Option<TaskId>,
    /// At most this many
    #[arg(long, short = 'n', value_name = "N", value_parser = value::count, default_value = "20")]
    pub limit: NonZeroU32,
    /// Only runs with a flaky stage: one that has passed on content on which it has failed, too
    ///
    /// For each such stage its key, and the runs in which it has failed on it and passed.
    #[arg(long)]
    pub flaky: bool,
}

/// Flags of `logs`.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// The run: any part of its id that names no other; default: the newest
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// The stage; default: the first that failed, else all
    #[arg(value_name = "STAGE", value_parser = StageId::parse)]
    pub stage: Option<StageId>,
    /// Go on until the run ends
    #[arg(long, short)]
    pub follow: bool,
    /// Print the log's own JSON lines, as they are on disk
    #[arg(long)]
    pub raw: bool,
}

/// Flags of `events`.
#[derive(Debug, clap::Args)]
pub struct Events {
    /// The last number that was seen; a snapshot comes first all the same, and shows what was missed
    #[arg(long, value_name = "SEQ")]
    pub since: Option<u64>,
}

/// Flags of `explain`.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// The path; it need not exist
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
}

//! What the commands about evidence take: `evidence verify`, `evidence export`.
//!
//! Only what was typed; what is read and judged is in `documents`.

use crate::model::id::TaskId;
use clap::{Subcommand, ValueHint};
use std::path::PathBuf;

/// What to do with evidence.
#[derive(Debug, clap::Args)]
pub struct Evidence {
    /// What to do.
    #[command(subcommand)]
    pub act: EvidenceAct,
}

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub enum EvidenceAct {
    /// Hold the files of all runs against what was recorded when they ended; exit 1 on findings
    ///
    /// Runs under way are no finding.
    /// It prints the digest of each chain's newest link: kept elsewhere, it shows later that nothing was cut off.
    #[command(after_help = "Example:\n  orchctl evidence verify --task 0101-web")]
    Verify(Verify),
    /// Print a run as an in-toto statement with the predicate test-result
    ///
    /// It is not signed. A run that proves nothing is refused, and one whose files are not what was recorded.
    #[command(after_help = "Example:\n  orchctl evidence export 3d0103be --out run.intoto.json")]
    Export(Export),
}

/// Flags of `evidence verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// Only the runs of this task
    #[arg(long, value_name = "TASK", value_parser = crate::client::args::task)]
    pub task: Option<TaskId>,
    /// Take what changed, is gone or has no link as it is now, and begin a new chain where one is broken
    #[arg(long)]
    pub adopt: bool,
}

/// Flags of `evidence export`.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The run: any part of its id that names no other
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Write it into this file instead
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
}

//! What the commands about guardrails take: `coverage`, `drift`, `spec-guard`.
//!
//! Only what was typed; what is read and judged is in `documents`.

use crate::client::args::value;
use crate::limits::documents::WINDOW_DEFAULT;
use crate::model::id::TaskId;
use std::time::Duration;

/// Flags of `coverage`.
#[derive(Debug, clap::Args)]
pub struct Coverage {
    /// Count the runs that ended within this time before now [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = value::duration, hide_default_value = true, default_value = "7d")]
    pub window: Duration,
    /// Exit 1 where a project has every guardrail green in less than this many of a hundred runs, or has had none
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub fail_under: Option<u8>,
    /// Only of this project
    #[arg(long, value_name = "TASK", value_parser = crate::client::args::task)]
    pub task: Option<TaskId>,
}

const _: () = assert!(WINDOW_DEFAULT.as_secs() == 7 * 86_400);

/// Flags of `drift`.
#[derive(Debug, clap::Args)]
pub struct Drift {
    /// What to hold pipelines against: a template, or a project by its task; the first template where none is named
    #[arg(long, value_name = "TEMPLATE|TASK")]
    pub against: Option<String>,
    /// Only of this project
    #[arg(long, value_name = "TASK", value_parser = crate::client::args::task)]
    pub task: Option<TaskId>,
}

/// Flags of `spec-guard`.
#[derive(Debug, clap::Args)]
pub struct SpecGuard {
    /// Print what is found and exit 0
    #[arg(long)]
    pub dry_run: bool,
    /// Count changes from where this branch left REV, instead of from where it left the main one [env: BASE_SHA]
    #[arg(long, value_name = "REV")]
    pub base: Option<String>,
}

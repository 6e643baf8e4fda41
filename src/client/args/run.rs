//! Flags of the commands that run something, or wait for what runs.
//!
//! Only what was typed: a flag is a word here and gets its meaning in `commands`.

use super::value;
use crate::model::id::{PipelineId, TaskId};
use clap::ValueEnum;
use std::time::Duration;

/// How a result is printed; the published orchestrator's spelling of `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Words.
    Text,
    /// One JSON document.
    Json,
}

/// Flags of `run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The pipeline; default: the project's own
    #[arg(value_name = "PIPELINE", value_parser = PipelineId::parse)]
    pub pipeline: Option<PipelineId>,
    /// The project's task id
    #[arg(long, value_name = "TASK", value_parser = super::task)]
    pub task: Option<TaskId>,
    /// Do it in this process, without a daemon
    #[arg(long, conflicts_with = "detach")]
    pub no_daemon: bool,
    /// Return once the run has begun or is queued; it is run although nobody waits for it
    #[arg(long)]
    pub detach: bool,
    /// Execute every stage, whatever is proven, in a run of its own
    #[arg(long)]
    pub force: bool,
    /// The run that this one is a child of
    #[arg(long, value_name = "RUN")]
    pub parent_run: Option<String>,
    /// The approval policy that the manifest records
    #[arg(long, value_name = "POLICY")]
    pub approval_policy: Option<String>,
    /// `--format json` is `--json`
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
}

/// Flags of `plan`.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The pipeline; default: the project's own
    #[arg(value_name = "PIPELINE", value_parser = PipelineId::parse)]
    pub pipeline: Option<PipelineId>,
    /// The project's task id
    #[arg(long, value_name = "TASK", value_parser = super::task)]
    pub task: Option<TaskId>,
    /// Do it in this process, without a daemon
    #[arg(long)]
    pub no_daemon: bool,
    /// `--format json` is `--json`
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
}

/// Flags of `resume`.
#[derive(Debug, clap::Args)]
pub struct Resume {
    /// The run: any part of its id that names no other
    #[arg(long, value_name = "ID")]
    pub run: String,
    /// The run's resume token; checked when it is given
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Who resumes it, for the record
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// `--format json` is `--json`
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
}

/// Flags of `sync`.
#[derive(Debug, clap::Args)]
pub struct Sync {
    /// How long to wait
    #[arg(long, value_name = "TIME", value_parser = value::duration, default_value = "10s")]
    pub timeout: Duration,
}

/// Flags of `wait`.
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// Only the project with this task id
    #[arg(long, value_name = "TASK", value_parser = super::task)]
    pub task: Option<TaskId>,
    /// How long to wait
    #[arg(long, value_name = "TIME", value_parser = value::duration, default_value = "60s")]
    pub timeout: Duration,
}

/// Flags of `gate`.
#[derive(Debug, clap::Args)]
pub struct Gate {
    /// Only the project with this task id; may be given more than once
    #[arg(long, value_name = "TASK", value_parser = super::task)]
    pub task: Vec<TaskId>,
    /// Do it in this process, without a daemon
    #[arg(long)]
    pub no_daemon: bool,
    /// Answer at once: start nothing and join nothing
    #[arg(long)]
    pub no_wait: bool,
    /// Judge what the index would commit instead of what lies there, as a pre-commit hook does
    #[arg(long, conflicts_with = "commit")]
    pub index: bool,
    /// Judge this commit instead of what lies there; `-` takes those that git's pre-push hook names on stdin
    #[arg(long, value_name = "REV")]
    pub commit: Option<String>,
}

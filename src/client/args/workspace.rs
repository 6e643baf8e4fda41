//! Flags of the commands about workspaces.
//!
//! Only what was typed; paths are made absolute where the working directory is known, in `place`.

use crate::model::id::TaskId;
use clap::ValueHint;
use std::path::PathBuf;

/// Flags of `watch`.
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// The directory; default: the workspace around the current directory
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Allow the commands without asking
    #[arg(long, short)]
    pub yes: bool,
}

/// Flags of `add`.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// The directory; default: the workspace around the current directory
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Allow its commands too
    #[arg(long)]
    pub allow: bool,
}

/// A directory that has to be named.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// The directory
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

/// A directory that may be named.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The directory; default: the workspace around the current directory
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

/// Flags of `init`.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The directory; default: the current directory
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// Show what would be written; write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Flags of `status`.
#[derive(Debug, clap::Args)]
pub struct Task {
    /// Only the project with this task id
    #[arg(long, value_name = "TASK", value_parser = super::task)]
    pub task: Option<TaskId>,
}

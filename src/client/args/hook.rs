//! What `hook` takes: to install or to uninstall, and which of git's hooks.
//!
//! Only what was typed; what a hook does is in `client::hooks`.

use clap::{Subcommand, ValueEnum};

/// What to do with git's hooks.
#[derive(Debug, clap::Args)]
pub struct Hook {
    /// To install or to uninstall.
    #[command(subcommand)]
    pub act: Act,
}

/// To install or to uninstall.
#[derive(Debug, Subcommand)]
pub enum Act {
    /// Write the hooks where git looks for them; both where none is named
    ///
    /// A hook that is there is kept, and so is what another tool manages: then the lines to add are printed (exit 2).
    #[command(after_help = "Example:\n  orchctl hook install pre-push")]
    Install(Named),
    /// Remove the hooks that install has written; both where none is named
    #[command(after_help = "Example:\n  orchctl hook uninstall")]
    Uninstall(Named),
}

/// One of git's hooks, or both.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// The hook
    #[arg(value_enum, value_name = "HOOK")]
    pub hook: Option<GitHook>,
}

/// A hook of git's that can ask for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GitHook {
    /// Before a commit: of what is to be committed.
    PreCommit,
    /// Before a push: of each commit that is pushed.
    PrePush,
}

impl GitHook {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::PreCommit, Self::PrePush];

    /// Its name, which is that of its file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreCommit => "pre-commit",
            Self::PrePush => "pre-push",
        }
    }
}

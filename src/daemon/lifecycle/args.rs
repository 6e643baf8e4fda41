//! The command line of `orchd`, for the program itself and for its manual page.
//!
//! It is read before anything else happens, because `--detach` forks before any thread lives.

use clap::{CommandFactory as _, Parser};
use std::path::PathBuf;

/// Watches the registered workspaces and runs their guardrails when files change.
///
/// Stays in the foreground and logs to stderr; `orchctl` talks to it. ORCHD_LOG sets the level (info).
#[derive(Debug, Parser)]
#[command(name = "orchd", version)]
pub struct Args {
    /// Fork away; return once the socket answers.
    #[arg(long)]
    pub detach: bool,
    /// What a process that has forked away runs instead of itself; see `detach`.
    #[cfg(target_os = "macos")]
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub detached: bool,
    /// The socket to serve [default: $ORCHD_SOCKET, else $XDG_RUNTIME_DIR/orchd/orchd.sock].
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// The command line as clap knows it.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
}

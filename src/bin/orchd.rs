//! `orchd`: arguments, places, fork, and then the library.
//!
//! The fork of `--detach` comes before anything that has a thread. What goes wrong is one sentence on stderr and exit
//! code 1; a daemon that has forked away says it through its parent.

use clap::Parser;
use orch::daemon::lifecycle::detach::{Forked, Ready, detach};
use orch::daemon::lifecycle::{chain, host};
use orch::model::places::{Places, PlacesError, Platform, Surroundings};
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Watches the registered workspaces and runs their guardrails when files change.
///
/// Stays in the foreground and logs to stderr; `orchctl` talks to it. ORCHD_LOG sets the level (info).
#[derive(Debug, Parser)]
#[command(name = "orchd", version)]
struct Args {
    /// Fork away; return once the socket answers.
    #[arg(long)]
    detach: bool,
    /// The socket to serve [default: $ORCHD_SOCKET, else $XDG_RUNTIME_DIR/orchd/orchd.sock].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let places = match places(&args) {
        Ok(places) => places,
        Err(error) => return complain(&error),
    };
    let ready = if args.detach {
        match detach(&places.logs()) {
            Ok(Forked::Parent) => return ExitCode::SUCCESS,
            Ok(Forked::Daemon(ready)) => ready,
            Err(error) => return complain(&error),
        }
    } else {
        Ready::foreground()
    };
    match host(places, ready, orch::daemon::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Some(error)) => complain(&error),
        Err(None) => ExitCode::FAILURE,
    }
}

fn places(args: &Args) -> Result<Places, PlacesError> {
    // Without a working directory only a relative path would be wrong, and that is said when it is used.
    let directory = std::path::absolute(".").unwrap_or_else(|_| Path::new("/").to_path_buf());
    Places::resolve(&Surroundings {
        platform: Platform::here(),
        variable: &|name| std::env::var_os(name),
        directory: &directory,
        socket: args.socket.as_deref(),
    })
}

fn complain(error: &dyn Error) -> ExitCode {
    // A closed stderr is no reason for another exit code.
    drop(writeln!(std::io::stderr(), "orchd: {}", chain(error)));
    ExitCode::FAILURE
}

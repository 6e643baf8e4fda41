//! `orchd`: arguments, places, fork, and then the library.
//!
//! The fork of `--detach` comes before anything that has a thread; on macOS the program then starts over. What goes wrong
//! is one sentence on stderr and exit code 1; a daemon that has forked away says it through its parent.

use clap::Parser as _;
use orch::daemon::chain::chain;
use orch::daemon::lifecycle::args::Args;
use orch::daemon::lifecycle::detach::{DetachError, Forked, Ready, detach};
use orch::daemon::lifecycle::host;
use orch::model::places::{Places, PlacesError, Platform, Surroundings};
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    let places = match places(&args) {
        Ok(places) => places,
        Err(error) => return complain(&error),
    };
    let ready = match become_one(&args, &places) {
        Ok(Forked::Parent) => return ExitCode::SUCCESS,
        Ok(Forked::Daemon(ready)) => ready,
        Err(error) => return complain(&error),
    };
    match host(places, ready, orch::daemon::run) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        // It has been told, by the log and to whoever waits.
        Ok(Err(error)) => complain(&error),
        Err(Some(error)) => complain(&error),
        Err(None) => ExitCode::FAILURE,
    }
}

fn become_one(args: &Args, places: &Places) -> Result<Forked, DetachError> {
    #[cfg(target_os = "macos")]
    if args.detached {
        return Ready::inherited().map(Forked::Daemon);
    }
    if args.detach {
        detach(&places.logs())
    } else {
        Ok(Forked::Daemon(Ready::foreground()))
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

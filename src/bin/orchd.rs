//! `orchd`: arguments, places, fork, and then the library.
//!
//! The fork of `--detach` comes before anything that has a thread. What goes wrong is one sentence on stderr and exit
//! code 1; a daemon that has forked away says it through its parent.

use clap::Parser as _;
use orch::daemon::lifecycle::args::Args;
use orch::daemon::lifecycle::detach::{Forked, Ready, detach};
use orch::daemon::lifecycle::{chain, host};
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
        Ok(Ok(())) => ExitCode::SUCCESS,
        // It has been told, by the log and to whoever waits.
        Ok(Err(error)) => complain(&error),
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

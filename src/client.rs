//! `orchctl`: what a person or a script sees.
//!
//! Reads what was typed (`args`), finds the workspace (`place`), asks the daemon over one blocking stream (`connect`),
//! and prints the answer (`render`, `output`); `exit` has every exit code. It decides nothing about runs, keeps no state
//! and knows neither the engine nor the daemon: with `--no-daemon` it speaks to a daemon that its caller hosts in this
//! process, over the same protocol.

pub mod args;
pub mod autostart;
pub mod clock;
mod commands;
pub mod connect;
pub mod exit;
pub mod failure;
pub mod hooks;
pub mod interrupt;
pub mod output;
pub mod place;
pub mod render;
pub mod session;
mod spinner;

use crate::client::args::Args;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::output::Output;
use crate::client::session::{Seams, Session};
use clap::Parser as _;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::process::ExitCode;

/// Does what `arguments` say, and returns what the shell is told.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>, seams: Seams) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match Args::try_parse_from(&arguments) {
        Ok(args) => {
            let mut output = Output::stdio(args.json());
            let done = Session::new(&args.global, &mut output, seams)
                .and_then(|mut session| commands::run(&mut session, args.command));
            let exit = done.unwrap_or_else(|failure| tell(&failure, &mut output));
            ExitCode::from(exit.code())
        }
        Err(error) => ExitCode::from(usage(&error, &arguments).code()),
    }
}

/// Says why a command failed: words for people, and where JSON was asked for one document for programs.
fn tell(failure: &Failure, output: &mut Output) -> Exit {
    let exit = Exit::of_failure(failure);
    if failure.is_broken_pipe() {
        return exit;
    }
    let (message, hint) = (failure.message(), failure.hint());
    let words = render::daemon::error(&message, hint.as_deref(), &output.err_look());
    // Where nobody can be told, the exit code has to do.
    let told = output.words(&words);
    drop(told.and_then(|()| output.error_document(failure.kind(), &message, hint.as_deref())));
    exit
}

/// Prints help, the version or what is wrong with the arguments, as clap words it.
fn usage(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let wanted = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let mut typed = arguments.iter().take_while(|word| *word != "--");
    let json = typed.any(|word| word == "--json");
    let mut output = Output::stdio(json);
    let text = error.render().ansi().to_string();
    if wanted {
        return match output.text(&text) {
            Ok(()) => Exit::Done,
            Err(error) => Exit::of_failure(&error.into()),
        };
    }
    let told = output.words(&text);
    let plain = error.render().to_string();
    // What is missing stands in lines of its own.
    let lines = plain.lines().map(str::trim);
    let first: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let first = first.join(" ");
    let message = first.strip_prefix("error: ").unwrap_or(&first);
    // Where nobody can be told, the exit code has to do.
    drop(told.and_then(|()| output.error_document("usage", message, Some("see orchctl --help"))));
    Exit::Refused
}

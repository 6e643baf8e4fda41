//! Starts a daemon, for `watch` only, and never behind anybody's back: it says so.
//!
//! `orchd --detach` returns once its socket answers, so nothing is guessed and nothing sleeps. What it has to say on a
//! failure it says itself, on our stderr.

use crate::client::failure::Failure;
use crate::client::output::Output;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Whether the user forbids it.
#[must_use]
pub fn is_forbidden() -> bool {
    std::env::var_os("ORCHD_NO_AUTOSTART").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Starts a daemon at `socket`, and returns once it answers.
///
/// # Errors
/// When there is no program, or it gives up.
pub fn start(socket: &Path, output: &mut Output) -> Result<(), Failure> {
    let program = program();
    output.words(&format!(
        "No daemon answers: starting {} --detach\n",
        program.display()
    ))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the one process that the client starts is the daemon, which arranges its own surroundings"
    )]
    let mut command = std::process::Command::new(&program);
    command.arg("--detach").arg("--socket").arg(socket);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::GaveUp { program }),
        Err(source) => Err(Failure::Spawn { program, source }),
    }
}

/// `orchd` beside this program, because the two are installed together; else whatever PATH finds.
fn program() -> PathBuf {
    let name = format!("orchd{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|own| {
        let beside = own.canonicalize().unwrap_or(own).parent()?.join(&name);
        beside.is_file().then_some(beside)
    });
    beside.unwrap_or_else(|| PathBuf::from(name))
}

//! A leash for git: where the process that asked it is killed, git ends as well, and changes no file any more.
//!
//! The kernel tells a process of its parent's end only where the process itself has asked for that, which git does not. So
//! our own program is started in git's place, asks for it, and becomes git. Only Linux offers that: elsewhere git is
//! started as it is, and goes on to its end.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// The first argument of a process that is to become git.
const WORD: &str = "--become-git-on-a-leash";
/// How a process ends that could not become git, as a shell says it.
const NO_GIT: u8 = 127;

/// How git is started so that it does not outlive this process.
#[derive(Clone, Debug)]
pub struct Leash {
    program: PathBuf,
}

impl Leash {
    /// One of a program that calls [`hold`] before anything else; none where the system offers nothing of the kind.
    #[must_use]
    pub fn of_this_program() -> Option<Self> {
        // As it is executed now, whatever lies at its path by then.
        cfg!(target_os = "linux").then(|| Self {
            program: PathBuf::from("/proc/self/exe"),
        })
    }

    /// What is started instead of git.
    pub(super) fn program(&self) -> PathBuf {
        self.program.clone()
    }

    /// Its first arguments; those of git follow.
    pub(super) fn words() -> [OsString; 2] {
        [WORD.into(), std::process::id().to_string().into()]
    }
}

/// Becomes git where this process was started for that: it returns only where that fails, with how to end. Of any other
/// process there is nothing to be said.
#[must_use]
pub fn hold(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let _program = arguments.next();
    arguments.next().filter(|word| word == WORD)?;
    let parent = arguments.next();
    become_git(&parent.unwrap_or_default(), arguments);
    Some(ExitCode::from(NO_GIT))
}

/// Says why where it comes back.
#[cfg(target_os = "linux")]
#[expect(
    clippy::disallowed_methods,
    reason = "it starts nothing: this process becomes git"
)]
fn become_git(parent: &OsString, arguments: impl Iterator<Item = OsString>) {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    use std::io::Write as _;
    use std::os::unix::process::CommandExt as _;

    let told = set_parent_process_death_signal(Some(Signal::TERM));
    // Who has asked may have ended before the kernel was told to tell of it.
    let is_held = getppid()
        .is_some_and(|pid| parent.to_str() == Some(pid.as_raw_nonzero().to_string().as_str()));
    let error = match told {
        Ok(()) if is_held => std::process::Command::new("git").args(arguments).exec(),
        Ok(()) => std::io::Error::other("whoever asked for it has ended"),
        Err(error) => error.into(),
    };
    // Where nobody hears of it, the exit code has to do.
    drop(writeln!(
        std::io::stderr(),
        "git could not be started: {error}"
    ));
}

#[cfg(not(target_os = "linux"))]
fn become_git(_parent: &OsString, _arguments: impl Iterator<Item = OsString>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_started_for_something_else_becomes_nothing() {
        for words in [&["orchctl"][..], &["orchctl", "gate", WORD], &[]] {
            let words = words.iter().map(OsString::from);
            assert!(hold(words).is_none());
        }
    }
}

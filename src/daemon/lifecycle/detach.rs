//! `orchd --detach`: the daemon forks away, and its parent learns whether it became one.
//!
//! A pipe is all that parent and daemon share: the daemon writes `ready`, or why it could not; a daemon that dies closes
//! it without a word. This runs before any thread, log writer or runtime, because only the thread that forks survives.
//!
//! The frameworks of macOS, FSEvents among them, are not safe in a process that forked and executed nothing. There the
//! process that forked away runs this program once more, in its own place, with the pipe as its standard output.

use crate::limits::DETACH_TIME_MAX;
use daemonize::{Daemonize, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

const READY: &str = "ready";
/// Where the process that forked away goes first.
const WORKING_DIRECTORY: &str = if cfg!(target_os = "macos") { "." } else { "/" };

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    /// No pipe to it could be made.
    #[error("failed to make a pipe")]
    Pipe {
        /// What the system said.
        source: io::Error,
    },
    /// It could not fork away.
    #[error("failed to detach")]
    Fork {
        /// What the system said.
        source: daemonize::Error,
    },
    /// It forked away, and could not become a process of its own.
    #[cfg(target_os = "macos")]
    #[error("failed to start over after the fork")]
    StartOver {
        /// What the system said.
        source: io::Error,
    },
    /// It said why.
    #[error("{reason}")]
    Refused {
        /// In its own words.
        reason: String,
    },
    /// It said nothing.
    #[error("the daemon ended before its socket answered: its log is in `{logs}`")]
    Died {
        /// Where its log is.
        logs: String,
    },
    /// It says nothing.
    #[error("the daemon's socket did not answer within {seconds} s: its log is in `{logs}`")]
    Late {
        /// How long it was waited for.
        seconds: u64,
        /// Where its log is.
        logs: String,
    },
}

/// Which process this is after the fork.
#[derive(Debug)]
pub enum Forked {
    /// The one that was started; the daemon's socket answers.
    Parent,
    /// The daemon.
    Daemon(Ready),
}

/// Where the daemon says that it is ready.
#[derive(Debug)]
pub struct Ready {
    pipe: Option<PipeWriter>,
}

impl Ready {
    /// Nobody waits: the daemon stays in the foreground.
    #[must_use]
    pub fn foreground() -> Self {
        Self { pipe: None }
    }

    /// Whether the daemon has left its terminal.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.pipe.is_some()
    }

    /// The socket answers.
    pub fn ready(self) {
        self.say(READY);
    }

    /// The daemon cannot become one; false when nobody waits for that word.
    #[must_use]
    pub fn failed(self, reason: &str) -> bool {
        let heard = self.is_detached();
        self.say(reason);
        heard
    }

    fn say(self, word: &str) {
        if let Some(mut pipe) = self.pipe {
            // A parent that has gone does not need to know.
            drop(pipe.write_all(word.as_bytes()));
        }
    }
}

/// Forks away; in the parent, waits until the daemon is ready.
///
/// # Errors
/// When the daemon cannot fork away, or says why it cannot be one, or dies.
pub fn detach(logs: &Path) -> Result<Forked, DetachError> {
    let (reader, writer) = io::pipe().map_err(|source| DetachError::Pipe { source })?;
    // Stages inherit the umask: it stays what the user's shell has. The directory is `/` in the end, so that none is kept
    // busy; every path is absolute by then, and every stage gets a directory of its own.
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(umask);
    let daemonize = Daemonize::new()
        .umask(mask(umask.bits()))
        .working_directory(WORKING_DIRECTORY);
    match daemonize.execute() {
        Outcome::Parent(Ok(_)) => {
            drop(writer);
            await_ready(reader, logs, DETACH_TIME_MAX).map(|()| Forked::Parent)
        }
        #[cfg(not(target_os = "macos"))]
        Outcome::Child(Ok(_)) => Ok(Forked::Daemon(Ready { pipe: Some(writer) })),
        #[cfg(target_os = "macos")]
        Outcome::Child(Ok(_)) => Err(start_over(writer)),
        Outcome::Parent(Err(source)) => Err(DetachError::Fork { source }),
        Outcome::Child(Err(source)) => {
            let error = DetachError::Fork { source };
            let ready = Ready { pipe: Some(writer) };
            ready.say(&crate::daemon::chain::chain(&error));
            Err(error)
        }
    }
}

#[cfg(target_os = "macos")]
fn start_over(writer: PipeWriter) -> DetachError {
    let source = match start_over_with(&writer) {
        Ok(never) => match never {},
        Err(source) => source,
    };
    let error = DetachError::StartOver { source };
    let ready = Ready { pipe: Some(writer) };
    ready.say(&crate::daemon::chain::chain(&error));
    error
}

/// Every argument stands as it was typed, and so does the directory that it may be relative to.
#[cfg(target_os = "macos")]
fn start_over_with(writer: &PipeWriter) -> io::Result<std::convert::Infallible> {
    use std::os::unix::process::CommandExt as _;
    let typed = std::env::args_os().skip(1);
    #[expect(
        clippy::disallowed_methods,
        reason = "it is this program itself, and no stage"
    )]
    let mut again = std::process::Command::new(std::env::current_exe()?);
    again
        .arg("--detached")
        .args(typed.filter(|argument| argument != "--detach"))
        .stdout(writer.try_clone()?);
    Err(again.exec())
}

#[cfg(target_os = "macos")]
impl Ready {
    /// What `detach` left to the process that it started over: its standard output leads to whoever waits. It becomes
    /// what that of any daemon is, and the directory too.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn inherited() -> Result<Self, DetachError> {
        use std::os::fd::AsFd as _;
        let take = || {
            let pipe = io::stdout().as_fd().try_clone_to_owned()?;
            let null = std::fs::File::options().write(true).open("/dev/null")?;
            rustix::stdio::dup2_stdout(&null)?;
            std::env::set_current_dir("/")?;
            Ok(PipeWriter::from(pipe))
        };
        let pipe = take().map_err(|source| DetachError::StartOver { source })?;
        Ok(Self { pipe: Some(pipe) })
    }
}

/// The bits have 16 on macOS and 32 on Linux.
fn mask(bits: impl Into<u32>) -> u32 {
    bits.into()
}

fn await_ready(mut pipe: PipeReader, logs: &Path, time: Duration) -> Result<(), DetachError> {
    let logs = logs.display().to_string();
    let timeout = Timespec::try_from(time).ok();
    let waited = loop {
        let mut fds = [PollFd::new(&pipe, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Err(Errno::INTR) => {}
            other => break other,
        }
    };
    if waited == Ok(0) {
        return Err(DetachError::Late {
            seconds: time.as_secs(),
            logs,
        });
    }
    let mut word = String::new();
    match pipe.read_to_string(&mut word) {
        Ok(_) if word == READY => Ok(()),
        Ok(_) if !word.is_empty() => Err(DetachError::Refused { reason: word }),
        Ok(_) | Err(_) => Err(DetachError::Died { logs }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(say: impl FnOnce(Ready), time: Duration) -> Result<(), DetachError> {
        let (reader, writer) = io::pipe().unwrap();
        say(Ready { pipe: Some(writer) });
        await_ready(reader, Path::new("/logs"), time)
    }

    #[test]
    fn the_parent_hears_what_became_of_the_daemon() {
        told(Ready::ready, DETACH_TIME_MAX).unwrap();
        let refused = told(|ready| assert!(ready.failed("no room")), DETACH_TIME_MAX);
        assert_eq!(refused.unwrap_err().to_string(), "no room");
        let died = told(drop, DETACH_TIME_MAX).unwrap_err().to_string();
        assert!(
            died.contains("ended before its socket answered") && died.contains("/logs"),
            "{died}"
        );
        let (reader, writer) = io::pipe().unwrap();
        let late = await_ready(reader, Path::new("/logs"), Duration::ZERO).unwrap_err();
        assert!(matches!(late, DetachError::Late { .. }));
        drop(writer);
    }
}

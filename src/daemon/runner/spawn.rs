//! Starts a command: its own process group, no input, both outputs in pipes, and a notice of its exit.
//!
//! The notice is a file descriptor that becomes readable while the command is still unreaped, so that its process group
//! cannot be anybody else's when it is signalled. `std` resets SIGPIPE for the child; the signal mask is inherited, and
//! nothing in the daemon blocks a signal.

use super::Attempt;
use crate::daemon::log::LogError;
use crate::daemon::mutexes::Hold;
use crate::daemon::mutexes::lock::Guard;
use crate::daemon::process::chase::{RUN_VARIABLE, STAGE_VARIABLE, Stop, signal_group};
use crate::git::{HOOK_VARIABLES, REPOSITORY_VARIABLES};
use crate::model::config::CommandLine;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock};

/// Variables by which a service manager speaks to the daemon itself; a stage that had them could speak in its name.
const DAEMON_VARIABLES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    #[error("the pipes to the command could not be made")]
    Plumbing(#[source] io::Error),
    #[error("its mutex cannot be taken: {0}")]
    Mutex(String),
    #[error("its result could not be recorded")]
    Log(#[source] LogError),
    #[error("its directory `{}` does not exist", .0.display())]
    NoDirectory(PathBuf),
    #[error("program `{0}` was not found; does the daemon's PATH hold it?")]
    NoProgram(String),
    #[error("`{program}` could not be started")]
    Refused { program: String, source: io::Error },
}

/// A command that was started.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) child: Child,
    /// Its pid, which is its group's id.
    pub(super) leader: Pid,
    /// Readable once it has exited.
    pub(super) exited: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Spawned {
    pub(super) fn new(attempt: &Attempt) -> Result<Self, SpawnError> {
        let mut env = attempt.env.clone();
        env.insert(RUN_VARIABLE.into(), attempt.run.as_str().into());
        env.insert(STAGE_VARIABLE.into(), attempt.stage.as_str().into());
        let guard = match &attempt.mutex {
            Hold::Needless => None,
            Hold::Held(guard) => Some(guard),
            Hold::Refused(why) => return Err(SpawnError::Mutex(why.clone())),
        };
        Self::start(&attempt.line, &attempt.cwd, &env, guard)
    }

    /// Starts a command with these variables on top of the daemon's own; it inherits the guard of a mutex.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where commands are spawned"
    )]
    pub(super) fn start(
        line: &CommandLine,
        cwd: &Path,
        env: &BTreeMap<OsString, OsString>,
        guard: Option<&Guard>,
    ) -> Result<Self, SpawnError> {
        let (program, arguments): (&str, &[String]) = match line {
            CommandLine::Shell(line) => ("/bin/sh", &["-c".to_owned(), line.clone()]),
            CommandLine::Argv(argv) => match argv.split_first() {
                Some((program, arguments)) => (program, arguments),
                None => ("", &[]),
            },
        };
        let mut command = Command::new(program);
        // A stage that declares one keeps it.
        for name in REPOSITORY_VARIABLES.iter().chain(&HOOK_VARIABLES) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(cwd)
            .env("PWD", cwd)
            .envs(env)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in DAEMON_VARIABLES {
            command.env_remove(name);
        }
        let spawned = match guard {
            Some(guard) => spawn_under(&mut command, guard),
            None => {
                let _alone = SPAWNING.read().unwrap_or_else(PoisonError::into_inner);
                command.spawn()
            }
        };
        let child = spawned.map_err(|source| {
            if source.kind() != io::ErrorKind::NotFound {
                let program = program.to_owned();
                return SpawnError::Refused { program, source };
            }
            if cwd.is_dir() {
                SpawnError::NoProgram(program.to_owned())
            } else {
                SpawnError::NoDirectory(cwd.to_path_buf())
            }
        })?;
        Self::watch(child)
    }

    fn watch(mut child: Child) -> Result<Self, SpawnError> {
        let leader = Pid::from_child(&child);
        let pipes = (child.stdout.take(), child.stderr.take());
        let (Some(stdout), Some(stderr)) = pipes else {
            return Err(abandon(child, leader, io::ErrorKind::BrokenPipe.into()));
        };
        let (stdout, stderr) = (OwnedFd::from(stdout), OwnedFd::from(stderr));
        let ready = rustix::io::ioctl_fionbio(&stdout, true)
            .and_then(|()| rustix::io::ioctl_fionbio(&stderr, true))
            .map_err(io::Error::from)
            .and_then(|()| exit_notice(leader));
        match ready {
            Ok(exited) => Ok(Self {
                child,
                leader,
                exited,
                stdout,
                stderr,
            }),
            Err(error) => Err(abandon(child, leader, error)),
        }
    }
}

/// Nobody else is started while a guard may be inherited: it would stay with him.
static SPAWNING: RwLock<()> = RwLock::new(());

/// Starts a command that inherits the guard of a mutex. It has executed when this returns.
fn spawn_under(command: &mut Command, guard: &Guard) -> io::Result<Child> {
    let _alone = SPAWNING.write().unwrap_or_else(PoisonError::into_inner);
    fcntl_setfd(guard.file(), FdFlags::empty())?;
    let spawned = command.spawn();
    fcntl_setfd(guard.file(), FdFlags::CLOEXEC)?;
    spawned
}

/// Ends a command that runs but cannot be watched.
fn abandon(mut child: Child, leader: Pid, source: io::Error) -> SpawnError {
    signal_group(leader, Stop::Kill);
    match child.wait() {
        Ok(_) => SpawnError::Plumbing(source),
        Err(lost) => SpawnError::Plumbing(lost),
    }
}

#[cfg(target_os = "linux")]
fn exit_notice(leader: Pid) -> io::Result<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    pidfd_open(leader, PidfdFlags::empty()).or_else(|_| waiter(leader))
}

#[cfg(not(target_os = "linux"))]
fn exit_notice(leader: Pid) -> io::Result<OwnedFd> {
    waiter(leader)
}

/// Where a process has no descriptor of its own: a thread waits for it, without reaping it, and closes a pipe.
fn waiter(leader: Pid) -> io::Result<OwnedFd> {
    let (reader, writer) = io::pipe()?;
    let wait = move || {
        let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(
            waitid(WaitId::Pid(leader), exited),
            Err(rustix::io::Errno::INTR)
        ) {}
        drop(writer);
    };
    std::thread::Builder::new()
        .name("orchd-waiter".to_owned())
        .spawn(wait)?;
    Ok(reader.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    /// The way without a pidfd tells of the exit just as well, and leaves the command to be reaped.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test needs a process of its own"
    )]
    fn a_waiter_tells_of_an_exit_without_reaping() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let notice = waiter(Pid::from_child(&child)).unwrap();
        let ready = |seconds| {
            let timeout = Timespec {
                tv_sec: seconds,
                tv_nsec: 0,
            };
            poll(&mut [PollFd::new(&notice, PollFlags::IN)], Some(&timeout)).unwrap()
        };
        assert_eq!(ready(0), 0);
        drop(child.stdin.take());
        assert_eq!(ready(10), 1);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

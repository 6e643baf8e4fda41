//! Runs one attempt of one stage: a command in a process group of its own, its output in the logs.
//!
//! Each attempt has one thread of the blocking pool from spawn to end, so that neither a command that writes a gibibyte
//! a second nor a disk that hangs holds up the loop; a slow disk slows the command only. The runner never decides: no
//! deadline, no retry; it obeys [`Stop`].
//!
//! ```text
//! spawned ──▶ running ──leader exits──▶ lingering ──outputs closed, or time──▶ clearing ──nobody left──▶ ended
//!                │  ▲ Stop: signal to the group                                   │ TERM, after grace KILL
//! ```
//!
//! Invariants: a group is signalled by its id only while its leader is not reaped, so that the id cannot be somebody
//! else's. When the ending is told, nobody of the group is left. A process that left the group, the session and both
//! outputs is looked for only when the attempt was stopped or was not clean otherwise: a look over all processes costs
//! milliseconds, and what detaches that carefully is a build server whose end would slow every later run.

mod excerpt;
pub mod probe;
mod pump;
mod spawn;

use crate::daemon::chain::chain;
use crate::daemon::clock::Clock;
use crate::daemon::log::{LogPlan, StageLogs};
use crate::daemon::mutexes::Hold;
use crate::model::config::CommandLine;
use crate::model::id::{RunId, StageId};
use crate::model::log::LogEnd;
use crate::model::run::{Ending, Exit};
use crate::model::summary::{failure_excerpt, signal_name};
use pump::{Finished, Pump};
use spawn::{SpawnError, Spawned};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinHandle;

pub use crate::daemon::process::chase::Stop;

/// One attempt of one stage.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What is executed.
    pub line: CommandLine,
    /// Where, as an absolute path.
    pub cwd: PathBuf,
    /// What is added to the daemon's environment; `ORCHD_RUN_ID` and `ORCHD_STAGE` are set in any case, because
    /// processes are found by them.
    pub env: BTreeMap<OsString, OsString>,
    /// The run.
    pub run: RunId,
    /// The stage.
    pub stage: StageId,
    /// From TERM to KILL for what outlives the command.
    pub grace: Duration,
    /// Where its output goes.
    pub log: LogPlan,
    /// What earlier attempts of the stage in this run wrote.
    pub earlier: Written,
    /// The mutex under which it runs.
    pub mutex: Hold,
}

/// What attempts of a stage wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of output.
    pub bytes: u64,
    /// Whether any of it is missing from the log.
    pub truncated: bool,
}

/// Tells an attempt to stop; dropping it tells nothing.
#[derive(Debug)]
pub struct Stopper(Option<PipeWriter>);

impl Stopper {
    /// Asks for a signal to the attempt's processes; without effect once it has ended.
    pub fn stop(&self, stop: Stop) {
        let message: &[u8] = match stop {
            Stop::Term => b"T",
            Stop::Kill => b"K",
        };
        // Fails when the attempt has ended, and when thousands of requests lie unread: both need no further one.
        if let Some(mut pipe) = self.0.as_ref() {
            pipe.write_all(message).ok();
        }
    }
}

/// An attempt under way; dropping it leaves the attempt running, and its ending untold.
#[derive(Debug)]
pub struct Running {
    /// Stops it.
    pub stopper: Stopper,
    ending: JoinHandle<Ending>,
}

impl Running {
    /// Waits for its end and parts from its stopper, which may be used meanwhile.
    pub fn split(self) -> (Stopper, impl Future<Output = Ending>) {
        (self.stopper, ending(self.ending))
    }
}

async fn ending(thread: JoinHandle<Ending>) -> Ending {
    match thread.await {
        Ok(ending) => ending,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => unspawnable("the daemon is shutting down".to_owned(), Written::default()),
    }
}

/// Starts an attempt; must be called within a tokio runtime.
#[must_use]
pub fn start(attempt: Attempt, clock: Clock) -> Running {
    let (stops, stopper) = match stop_pipe() {
        Ok((stops, stopper)) => (Ok(stops), Stopper(Some(stopper))),
        Err(error) => (Err(error), Stopper(None)),
    };
    let ending = tokio::task::spawn_blocking(move || match stops {
        Ok(stops) => run(&attempt, stops, clock),
        Err(error) => unspawnable(chain(&SpawnError::Plumbing(error)), attempt.earlier),
    });
    Running { stopper, ending }
}

fn stop_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    Ok((reader, writer))
}

fn run(attempt: &Attempt, stops: PipeReader, clock: Clock) -> Ending {
    let mut logs = match StageLogs::open(attempt.log.clone(), clock) {
        Ok(logs) => logs,
        // A command whose result cannot be recorded proves nothing, so it is not run for nothing.
        Err(error) => {
            let unrecorded = Some(chain(&error));
            let refused = unspawnable(chain(&SpawnError::Log(error)), attempt.earlier);
            return Ending {
                unrecorded,
                ..refused
            };
        }
    };
    logs.start(&attempt.line.text());
    match Spawned::new(attempt) {
        Ok(spawned) => {
            let finished = Pump::new(spawned, stops, logs, clock).run(attempt);
            conclude(attempt.earlier, finished)
        }
        Err(error) => {
            let reason = chain(&error);
            let end = LogEnd {
                error: Some(reason.clone()),
                ..LogEnd::default()
            };
            let outcome = logs.finish(end);
            Ending {
                unrecorded: outcome.failure.as_ref().map(|failure| chain(failure)),
                ..unspawnable(reason, attempt.earlier)
            }
        }
    }
}

/// Closes the logs and says how the attempt ended.
fn conclude(earlier: Written, finished: Finished) -> Ending {
    let Finished {
        status,
        duration,
        stdout,
        stderr,
        logs,
    } = finished;
    let exit = match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        // Only a stopped or continued process has neither, and those are not waited for.
        (None, None) => Exit::Code(status.into_raw()),
    };
    let excerpt = match exit {
        Exit::Code(0) => None,
        Exit::Code(_) | Exit::Signal(_) | Exit::Unspawnable(_) => {
            failure_excerpt(&stdout.text(), &stderr.text())
        }
    };
    let outcome = logs.finish(LogEnd {
        exit_code: exit.code(),
        signal: status.signal().map(signal_name),
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        excerpt: excerpt.clone(),
        ..LogEnd::default()
    });
    Ending {
        exit,
        duration,
        stdout: stdout.beginning(),
        stderr: stderr.end(),
        log_bytes: earlier.bytes + stdout.bytes() + stderr.bytes(),
        truncated: earlier.truncated || outcome.truncated,
        excerpt,
        unrecorded: outcome.failure.as_ref().map(|failure| chain(failure)),
    }
}

fn unspawnable(reason: String, earlier: Written) -> Ending {
    Ending {
        log_bytes: earlier.bytes,
        truncated: earlier.truncated,
        ..Ending::silent(Exit::Unspawnable(reason))
    }
}

#[cfg(test)]
mod tests;

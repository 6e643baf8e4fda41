//! From a start to a daemon and to its end: signals, lock, log, runtime, socket, and the word that it is ready.
//!
//! The order is the point. `--detach` forks before anything else lives; signals are heard before a thread could take one;
//! the lock is held before the log or the socket is touched. At the end everything goes in the opposite order, so that
//! the lock, which means alive, is the last to go.

pub mod args;
pub mod claim;
pub mod detach;
pub mod logging;
pub mod signals;

use crate::daemon::chain::chain;
use crate::daemon::lifecycle::claim::{Claim, ClaimError};
use crate::daemon::lifecycle::detach::Ready;
use crate::daemon::lifecycle::logging::{LogError, Logs};
use crate::daemon::lifecycle::signals::{SignalError, Signals};
use crate::daemon::server::{About, ListenError, Listener};
use crate::limits::{BLOCKED_END_MAX, FILES_MAX, POOL_THREADS_MAX};
use crate::model::places::Places;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::sync::Arc;

/// A daemon that has its socket, and whose main loop is to begin.
#[derive(Debug)]
pub struct Started {
    /// Where it lives.
    pub places: Places,
    /// Its socket; nobody is answered before it is served.
    pub listener: Listener,
    /// The signals that it gets.
    pub signals: Signals,
    /// Where it says that its socket answers.
    pub ready: Ready,
    /// What it is; shared with every connection.
    pub about: Arc<About>,
    /// Its log; dropped last.
    pub logs: Logs,
}

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Signals are not heard.
    #[error(transparent)]
    Signals(#[from] SignalError),
    /// The socket is not ours.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Nothing is logged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Nothing listens.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no randomness.
    #[error("failed to draw a random number")]
    Random {
        /// What the system said.
        source: getrandom::Error,
    },
    /// There is no runtime.
    #[error("failed to start the runtime")]
    Runtime {
        /// What the system said.
        source: io::Error,
    },
}

/// Becomes a daemon and runs `main` until it returns; says so to whoever waits if it cannot.
///
/// # Errors
/// When there is no daemon, in a sentence; `None` when whoever waits has been told already.
pub fn host<F, R>(places: Places, ready: Ready, main: F) -> Result<R, Option<StartError>>
where
    F: AsyncFnOnce(Started) -> R,
{
    let prepared = match prepare(&places, &ready) {
        Ok(prepared) => prepared,
        Err(error) => return Err(tell(ready, error)),
    };
    let Prepared {
        runtime,
        signals,
        claim,
        logs,
        instance_id,
    } = prepared;
    let hosted = runtime.block_on(async move {
        let listener = match Listener::bind(claim) {
            Ok(listener) => listener,
            Err(error) => return Err(tell(ready, error.into())),
        };
        let about = Arc::new(About::new(instance_id));
        tracing::info!(socket = %places.socket.display(), pid = about.pid, version = env!("CARGO_PKG_VERSION"), "started");
        Ok(main(Started { places, listener, signals, ready, about, logs }).await)
    });
    // Signals are no longer heard: a read that never comes back must not keep the process.
    runtime.shutdown_timeout(BLOCKED_END_MAX);
    hosted
}

struct Prepared {
    runtime: tokio::runtime::Runtime,
    signals: Signals,
    claim: Claim,
    logs: Logs,
    instance_id: String,
}

fn prepare(places: &Places, ready: &Ready) -> Result<Prepared, StartError> {
    let signals = Signals::listen()?;
    let claim = Claim::take(places)?;
    let filter = std::env::var_os("ORCHD_LOG");
    let filter = filter.as_deref().map(std::ffi::OsStr::to_string_lossy);
    let logs = Logs::begin(&places.logs(), filter.as_deref(), !ready.is_detached())?;
    raise_files();
    let mut name = [0_u8; 8];
    getrandom::fill(&mut name).map_err(|source| StartError::Random { source })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(POOL_THREADS_MAX)
        .build()
        .map_err(|source| StartError::Runtime { source })?;
    let instance_id = base16ct::lower::encode_string(&name);
    Ok(Prepared {
        runtime,
        signals,
        claim,
        logs,
        instance_id,
    })
}

fn tell(ready: Ready, error: StartError) -> Option<StartError> {
    tracing::error!(error = %chain(&error), "failed to start");
    if ready.failed(&chain(&error)) {
        None
    } else {
        Some(error)
    }
}

/// The soft limit is often 1,024 files, which the connections alone would use up.
fn raise_files() {
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(FILES_MAX, |hard| hard.min(FILES_MAX));
    if now.current.is_some_and(|soft| soft < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: now.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, wanted, "failed to raise the limit of open files");
        }
    }
}

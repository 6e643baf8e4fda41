//! The shell: everything that touches the disk, the clock, processes and sockets around the pure engine.
//!
//! [`run`] is the daemon's loop, [`hosted`] the same loop for one request of its own process. Neither decides anything
//! about runs or verdicts. Trees, desks and runners are plain structs with one owner each; there are no locks around
//! state. Read `shell` first, then `effects` (out) and `arrivals` (in).

mod alarm;
mod approving;
mod arrivals;
mod auditing;
mod calls;
pub mod chain;
pub mod checkout;
pub mod clock;
mod detail;
mod doctor;
mod effects;
mod errands;
pub mod evidence;
mod exhibits;
pub mod hosted;
pub mod index;
mod keeping;
pub mod leftovers;
mod lend;
pub mod lifecycle;
pub mod log;
mod looking;
mod lookup;
mod message;
pub mod mutexes;
pub mod outputs;
mod pace;
mod parking;
mod permission;
pub mod planning;
pub mod process;
mod projection;
mod reasons;
pub mod registry;
pub mod retention;
mod revival;
pub mod runner;
pub mod server;
mod setup;
mod shell;
mod site;
mod sites;
mod spots;
mod stage;
mod store;
mod ticking;
#[cfg(target_os = "linux")]
mod timerfd;
mod toolchain;
pub mod tree;
pub mod trust;
mod unwritten;
mod waiting;
pub mod watcher;
mod weighing;

use crate::daemon::chain::chain;
use crate::daemon::clock::Clock;
use crate::daemon::lifecycle::Started;
use crate::daemon::mutexes::lock::shelf_of_user;
use crate::daemon::registry::Registry;
use crate::daemon::server::{About, Hub};
use crate::daemon::shell::{Parts, Shell, Tenancy};
use crate::daemon::trust::TrustStore;
use crate::daemon::watcher::{WatchError, Watcher};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub use store::{Aside, Condition, StoreError};

/// Why the daemon cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Nothing can be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// What was allowed or registered cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no randomness.
    #[error("failed to draw a random number")]
    Random(#[source] getrandom::Error),
}

/// Serves the registered workspaces until somebody ends it.
///
/// # Errors
/// When it cannot begin; whoever waits for it has been told.
pub async fn run(started: Started) -> Result<(), ServeError> {
    let Started {
        places,
        listener,
        mut signals,
        ready,
        about,
        logs,
    } = started;
    let parts = match parts(&places.state, Arc::clone(&about), Tenancy::Daemon) {
        Ok(parts) => parts,
        Err(error) => {
            tracing::error!(error = %chain(&error), "failed to start");
            // Whoever waits has been told; nobody else needs to know that there was somebody.
            let _told = ready.failed(&chain(&error));
            return Err(error);
        }
    };
    let mut shell = Shell::new(parts);
    shell.log = Some(logs.counter());
    let (hub, mut incoming) = Hub::new(about);
    let mut server = JoinSet::new();
    server.spawn(listener.serve(hub));
    // Ended when it is dropped.
    let mut tellers = JoinSet::new();
    tellers.spawn(watcher::tell_mounts(shell.watcher.clone()));
    tellers.spawn(watcher::tell_resume(shell.watcher.clone()));
    let known: Vec<_> = shell.registry.workspaces().to_vec();
    let places = known.iter().map(|workspace| {
        spots::Spots::of(&workspace.root, &shell.state)
            .evidence()
            .runs(&workspace.root)
    });
    index::sweep(&shell.state.join("index"), places);
    let roots = known.iter().map(|workspace| &workspace.root);
    tree::sweep_stat_caches(&keeping::stat_caches(&shell.state), roots);
    for workspace in known {
        shell.open_site(workspace.root, workspace.task);
    }
    ready.ready();
    shell
        .run(&mut incoming, async || signals.next().await)
        .await;
    drop((shell, incoming));
    server.join_all().await;
    if let Some(lines) = logs.counter().losses().lines() {
        tracing::warn!(lines, "lines of this log were dropped");
    }
    tracing::info!("ended");
    drop(logs);
    Ok(())
}

/// What a shell is made of, below a state directory.
fn parts(state: &Path, about: Arc<About>, tenancy: Tenancy) -> Result<Parts, ServeError> {
    let clock = Clock::start();
    let wake = Arc::new(Notify::new());
    let cookies = state.join("cookies").join(&about.instance_id);
    let mut seed = [0_u8; 8];
    getrandom::fill(&mut seed).map_err(ServeError::Random)?;
    let registry = Registry::open(state, clock.wall())?;
    let trust = TrustStore::open(state, clock.wall())?;
    sweep_cookies(state, &about.instance_id, tenancy);
    Ok(Parts {
        state: state.to_path_buf(),
        about,
        watcher: match tenancy {
            Tenancy::Daemon => Watcher::start(&cookies, Arc::clone(&wake))?,
            Tenancy::Hosted => Watcher::resting(&cookies, Arc::clone(&wake))?,
        },
        wake,
        registry,
        trust,
        clock,
        seed: u64::from_le_bytes(seed),
        tenancy,
        mutexes: shelf_of_user(),
    })
}

/// Removes what daemons that are gone have left; only the holder of the lock knows that they are gone.
fn sweep_cookies(state: &Path, own: &str, tenancy: Tenancy) {
    if tenancy == Tenancy::Hosted {
        return;
    }
    let Ok(left) = std::fs::read_dir(state.join("cookies")) else {
        return;
    };
    for entry in left.flatten().filter(|entry| entry.file_name() != *own) {
        if let Err(error) = std::fs::remove_dir_all(entry.path()) {
            tracing::warn!(%error, path = %entry.path().display(), "failed to sweep");
        }
    }
}

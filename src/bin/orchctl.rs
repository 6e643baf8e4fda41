//! `orchctl`: the client. Here alone client and daemon meet in one process, for `--no-daemon`.
//!
//! It decides nothing: what was typed goes to `client`, and what `client` may not know (how a daemon is hosted, what `orchd` takes) it
//! brings along. It ends only after a daemon that it hosted has recorded everything.

use interprocess::local_socket::Stream;
use interprocess::os::unix::uds_local_socket::Stream as UnixStream;
use orch::client::session::Seams;
use orch::daemon::hosted::{self, Hosted, Urge, host as host_daemon};
use orch::git::leash::{self, Leash};
use orch::git::revision::Revision;
use orch::model::places::Places;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// The daemons that this process hosted; it ends after they have recorded everything.
static HOSTED: Mutex<Vec<(JoinHandle<()>, Urge)>> = Mutex::new(Vec::new());

fn main() -> ExitCode {
    if let Some(exit) = leash::hold(std::env::args_os()) {
        return exit;
    }
    let orchd = orch::daemon::lifecycle::args::command;
    let seams = Seams {
        host,
        host_revision,
        urge,
        orchd,
    };
    let exit = orch::client::main(std::env::args_os(), seams);
    wait_out();
    exit
}

/// Waits until those that were hosted have recorded everything.
fn wait_out() {
    let hosted = std::mem::take(&mut *HOSTED.lock().unwrap_or_else(PoisonError::into_inner));
    for (thread, _urge) in hosted {
        // Its panic was told when it happened.
        drop(thread.join());
    }
}

fn host(places: &Places, root: &Path) -> io::Result<Stream> {
    Ok(keep(host_daemon(places, root)?))
}

fn host_revision(
    places: &Places,
    root: &Path,
    revision: &Revision,
    waits: &mut dyn FnMut(),
) -> io::Result<Stream> {
    // One before may still have what this one is to check out into.
    wait_out();
    let leash = Leash::of_this_program();
    let hosted = hosted::host_revision(places, root, (revision, leash), waits)?;
    Ok(keep(hosted))
}

fn keep(hosted: Hosted) -> Stream {
    HOSTED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((hosted.thread, hosted.urge));
    UnixStream::from(hosted.stream).into()
}

fn urge() -> io::Result<()> {
    let hosted = HOSTED.lock().unwrap_or_else(PoisonError::into_inner);
    hosted.iter().try_for_each(|(_, urge)| urge.by_signals())
}

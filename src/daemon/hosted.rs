//! The daemon inside another process, for one request: `--no-daemon`.
//!
//! The same engine and the same shell as the daemon's, connected to the caller by a pair of sockets instead of a name.
//! It serves one workspace, trusts what the trust store trusts, registers nothing, and nothing runs by itself. It ends
//! when its caller hangs up; runs are cancelled and recorded first, as `daemon-stopped` where the
//! caller did not cancel them itself.

use crate::daemon::chain::chain;
use crate::daemon::checkout::Checkout;
use crate::daemon::clock::Clock;
use crate::daemon::evidence::{Desk, Owner};
use crate::daemon::lifecycle::claim::prepare_state;
use crate::daemon::lifecycle::signals::Signal;
use crate::daemon::server::connection::serve_connection;
use crate::daemon::server::{About, Hub, Incoming, Peer};
use crate::daemon::shell::{Shell, Tenancy};
use crate::daemon::site::end_lost;
use crate::daemon::spots::Spots;
use crate::daemon::trust::{Trust, TrustStore};
use crate::daemon::watcher::{Panicked, panicked};
use crate::git::leash::Leash;
use crate::git::revision::Revision;
use crate::limits::{BLOCKED_END_MAX, POOL_THREADS_MAX};
use crate::model::digest::{CommandSet, Digest};
use crate::model::path::RootPath;
use crate::model::places::Places;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use tokio::io::AsyncReadExt as _;

/// What the shell is told of a panic: that the daemon failed inside.
const FAILED_INSIDE: i32 = 5;

/// A daemon inside this process.
#[derive(Debug)]
pub struct Hosted {
    /// The caller's end; closing it ends the daemon.
    pub stream: UnixStream,
    /// Ends when everything has been recorded.
    pub thread: JoinHandle<()>,
    /// Takes the grace from its stages.
    pub urge: Urge,
}

/// The way to tell a daemon in this process that nobody wants to wait for the grace of its stages.
#[derive(Debug)]
pub struct Urge(UnixStream);

impl Urge {
    /// Has the next INT or TERM end its stages at once, and the one after that this process: the second and the third
    /// signal of a daemon, whose first one was the caller's here.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn by_signals(&self) -> io::Result<()> {
        let urged = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: what the first one sets is looked at by the second.
            flag::register_conditional_default(signal, Arc::clone(&urged))?;
            flag::register(signal, Arc::clone(&urged))?;
            pipe::register(signal, self.0.try_clone()?)?;
        }
        Ok(())
    }
}

/// Hosts a daemon for the workspace at `root`.
///
/// # Errors
/// When the workspace is not there, the state directory cannot be used, or the system refuses.
pub fn host(places: &Places, root: &Path) -> io::Result<Hosted> {
    let root = real_root(root)?;
    prepare_state(&places.state).map_err(io::Error::other)?;
    let spots = Spots::of(&root, &places.state);
    serve(&places.state, root, spots, None)
}

/// Hosts a daemon for the workspace at `root` that judges `revision` instead of what lies there: it is checked out first, by
/// a git on this leash, when nothing of a gate that was killed runs there any more. Where another gate judges something there, `waits` is
/// told before that is waited for. Blocks meanwhile.
///
/// # Errors
/// As [`host`], and when the revision cannot be checked out.
pub fn host_revision(
    places: &Places,
    root: &Path,
    (revision, leash): (&Revision, Option<Leash>),
    waits: &mut dyn FnMut(),
) -> io::Result<Hosted> {
    let root = real_root(root)?;
    let state = &places.state;
    prepare_state(state).map_err(io::Error::other)?;
    let spots = Spots::of(&root, state);
    let trust = TrustStore::open(state, Clock::start().wall()).map_err(io::Error::other)?;
    let nothing = CommandSet(Digest::of(b""));
    if trust.check(&root, nothing, &[]) == Trust::Never {
        // To check out runs the filters of the repository: it is refused as it lies there.
        drop(trust);
        return serve(state, root, spots, None);
    }
    drop(trust);
    let checkout = Checkout::take(state, &root, leash, waits).map_err(io::Error::other)?;
    let mut desk = Desk::open(root.clone(), spots.evidence(), Owner::current(""));
    drop(end_lost(&mut desk, Clock::start()));
    let place = checkout.stand(revision).map_err(io::Error::other)?;
    let below = revision.repository.below.clone();
    let spots = spots.in_checkout(place, (revision.judged.clone(), below));
    serve(state, root, spots, Some(checkout))
}

fn real_root(root: &Path) -> io::Result<RootPath> {
    RootPath::new(&std::fs::canonicalize(root)?).map_err(io::Error::other)
}

/// Serves one workspace whose files lie where `spots` says; what it is checked out in is let go of at the very end.
fn serve(
    state: &Path,
    root: RootPath,
    spots: Spots,
    checkout: Option<Checkout>,
) -> io::Result<Hosted> {
    let (stream, ours) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let (urge, urged) = UnixStream::pair()?;
    urged.set_nonblocking(true)?;
    let mut name = [0_u8; 8];
    getrandom::fill(&mut name).map_err(io::Error::other)?;
    let about = Arc::new(About::new(base16ct::lower::encode_string(&name)));
    let parts = crate::daemon::parts(state, Arc::clone(&about), Tenancy::Hosted)
        .map_err(|error| io::Error::other(chain(&error)))?;
    end_at_panics();
    let cookies = state.join("cookies").join(&about.instance_id);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(POOL_THREADS_MAX)
        .build()?;
    let thread = std::thread::Builder::new()
        .name("hosted".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let (hub, mut incoming) = Hub::new(about);
                let Ok(stream) = tokio::net::UnixStream::from_std(ours) else {
                    return;
                };
                let Ok(mut urged) = tokio::net::UnixStream::from_std(urged) else {
                    return;
                };
                let (reader, writer) = stream.into_split();
                let mut shell = Shell::new(parts);
                shell.open_site_at(root, None, spots);
                let peer = Peer {
                    uid: rustix::process::geteuid().as_raw(),
                };
                let served = async {
                    // The hub goes with the connection: without it the loop hears that nobody is left, and ends.
                    serve_connection(reader, writer, peer, &hub).await;
                    drop(hub);
                };
                let looped = async {
                    shell
                        .run(&mut incoming, async || match urged.read_u8().await {
                            Ok(_) => Some(Signal::Urge),
                            Err(_) => std::future::pending().await,
                        })
                        .await;
                    // Dropped so that the connection ends too, if it is the loop that ended first.
                    drop::<tokio::sync::mpsc::Receiver<Incoming>>(incoming);
                    drop(shell);
                };
                tokio::join!(served, looped);
            });
            // Everything is recorded: a read that never comes back must not keep the process.
            runtime.shutdown_timeout(BLOCKED_END_MAX);
            // Nobody else knows the directory; what is left of it would be swept by the next daemon.
            drop(std::fs::remove_dir_all(cookies));
            // Whoever waits for it has it from here on.
            drop(checkout);
        })?;
    Ok(Hosted {
        stream,
        thread,
        urge: Urge(urge),
    })
}

/// A panic ends the whole process, as in a daemon: nobody brings back what the thread that panicked had been lent. The
/// next start records what it left.
fn end_at_panics() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panicked() != Panicked::Bug {
            return;
        }
        told(panic);
        signal_hook::low_level::exit(FAILED_INSIDE);
    }));
}

//! The socket: who may connect, and what the main loop hears of it.
//!
//! Only the owner of the daemon and root are answered: the directory is 0700, the socket 0600, and the peer's user id is
//! checked at accept. Each connection is one task (`connection`), its requests reach the main loop through one bounded
//! queue as [`Incoming`], and events leave it through [`feed::Feed`]. The server decides nothing and sees only `wire`
//! types; `ping` and `initialize` it answers itself from [`About`].

pub mod connection;
pub mod feed;
mod pending;

use crate::daemon::alarm::Alarm;
use crate::daemon::clock::Clock;
use crate::daemon::lifecycle::claim::Claim;
use crate::daemon::server::connection::serve_connection;
use crate::daemon::server::feed::Subscriber;
use crate::limits::{ACCEPT_PAUSE, CLOSING_TIME_MAX, CONNECTIONS_MAX, INPUTS_MAX, SOCKET_CHECK};
use crate::model::id::{RequestId, Seq};
use crate::model::report::PingAnswer;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::handshake::{PROTOCOL, Party, Welcome, WireLimits};
use crate::wire::message::write_refusal;
use crate::wire::refusal::{ErrorKind, Refusal};
use interprocess::local_socket::tokio::{Listener as LocalListener, Stream};
use interprocess::local_socket::traits::StreamCommon as _;
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName as _};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// What the main loop hears from the socket.
#[derive(Debug)]
pub enum Incoming {
    /// Somebody asks.
    Asked(Asked),
    /// Nobody waits for this answer any more; a run that it waits for goes on.
    Gone(RequestId),
    /// Socket or lock are not ours any more: another daemon may serve soon, so this one has to end.
    Evicted,
}

/// A question and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// Its name within the daemon's life.
    pub request: RequestId,
    /// Who asks.
    pub peer: Peer,
    /// What is asked; never `ping` or `events.unsubscribe`.
    pub call: Call,
    /// Where the answer goes; closed once nobody waits. Dropping it answers `internal`.
    pub answer: oneshot::Sender<Result<Answer, Refusal>>,
    /// For `events.subscribe`: hand it to [`feed::Feed::subscribe`], and answer [`Answer::Subscribe`].
    pub subscriber: Option<Subscriber>,
    /// For what stays wanted only as long as the connection lives, although it was answered: closed once that has ended.
    /// Drop it when it does not matter any more.
    pub hold: Option<Hold>,
}

/// That somebody who was answered is still there.
pub type Hold = oneshot::Sender<()>;

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The user.
    pub uid: u32,
}

/// What the daemon is, for whoever asks before anything else.
#[derive(Debug)]
pub struct About {
    /// Its process.
    pub pid: u32,
    /// Its name, new at each start.
    pub instance_id: String,
    started: Instant,
    seq: AtomicU64,
}

impl About {
    /// Describes this process; its uptime begins here.
    #[must_use]
    pub fn new(instance_id: String) -> Self {
        Self {
            pid: std::process::id(),
            instance_id,
            started: Instant::now(),
            seq: AtomicU64::new(0),
        }
    }

    /// How long it has been up.
    #[must_use]
    pub fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The number of the latest visible change.
    #[must_use]
    pub fn seq(&self) -> Seq {
        Seq(self.seq.load(Ordering::Relaxed))
    }

    /// Notes the number of the latest visible change; only the main loop does.
    pub fn note_seq(&self, seq: Seq) {
        self.seq.store(seq.0, Ordering::Relaxed);
    }

    fn welcome(&self) -> Welcome {
        Welcome {
            protocol: PROTOCOL,
            server: Party {
                name: "orchd".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            instance_id: self.instance_id.clone(),
            capabilities: Vec::new(),
            seq: self.seq(),
            limits: WireLimits::here(),
        }
    }

    fn pong(&self) -> PingAnswer {
        PingAnswer {
            pid: self.pid,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance_id: self.instance_id.clone(),
            uptime_ms: self.uptime_ms(),
            seq: self.seq(),
        }
    }
}

/// What every connection needs: the way to the main loop, and what the daemon is.
#[derive(Clone, Debug)]
pub struct Hub {
    incoming: mpsc::Sender<Incoming>,
    about: Arc<About>,
    requests: Arc<AtomicU64>,
}

impl Hub {
    /// Opens the queue to the main loop, which gets the receiver.
    #[must_use]
    pub fn new(about: Arc<About>) -> (Self, mpsc::Receiver<Incoming>) {
        let (incoming, receiver) = mpsc::channel(INPUTS_MAX);
        let hub = Self {
            incoming,
            about,
            requests: Arc::new(AtomicU64::new(1)),
        };
        (hub, receiver)
    }

    fn about(&self) -> &About {
        &self.about
    }

    fn incoming(&self) -> &mpsc::Sender<Incoming> {
        &self.incoming
    }

    fn next_request(&self) -> RequestId {
        RequestId(self.requests.fetch_add(1, Ordering::Relaxed))
    }
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system refused.
    #[error("failed to listen on `{}`", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The daemon's socket, bound and owned.
#[derive(Debug)]
pub struct Listener {
    local: LocalListener,
    claim: Claim,
    uid: u32,
}

impl Listener {
    /// Binds the socket whose lock is held; needs a running runtime.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bind(mut claim: Claim) -> Result<Self, ListenError> {
        let path = claim.socket().to_path_buf();
        let bind = || {
            let name = path.as_path().to_fs_name::<GenericFilePath>()?;
            // The name is removed by the claim, which knows whether it is still ours.
            let options = ListenerOptions::new().name(name).reclaim_name(false);
            with_mode(options).create_tokio()
        };
        let local = bind().and_then(|local| claim.note_bound().map(|()| local));
        match local {
            Ok(local) => Ok(Self {
                local,
                claim,
                uid: rustix::process::geteuid().as_raw(),
            }),
            Err(source) => Err(ListenError::Bind { path, source }),
        }
    }

    /// Serves connections until the main loop drops its receiver; then the socket goes, and answers that were given are
    /// still sent.
    ///
    /// The socket goes first, because a daemon that starts meanwhile takes a socket that answers for a living daemon's,
    /// and a reader who is slow to take its last answer would keep it up.
    pub async fn serve(mut self, hub: Hub) {
        let mut connections = JoinSet::new();
        // The kernel's timer, because one of the runtime's wakes an idle process more than once for each look.
        let (clock, mut check) = (Clock::start(), Alarm::new());
        let mut due = clock.tick().after(SOCKET_CHECK);
        loop {
            tokio::select! {
                accepted = self.local.accept() => match accepted {
                    Ok(stream) => self.welcome(stream, &hub, &mut connections).await,
                    Err(error) => {
                        tracing::warn!(%error, "failed to accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = connections.join_next() => if let Err(error) = ended {
                    tracing::error!(%error, "a connection was lost");
                },
                () = hub.incoming.closed() => break,
                () = check.ring(clock, due) => {
                    due = clock.tick().after(SOCKET_CHECK);
                    if self.is_evicted(&hub) {
                        hub.incoming.closed().await;
                    }
                }
            }
        }
        self.claim.leave();
        drop(self.local);
        let ended = async { while connections.join_next().await.is_some() {} };
        // Whoever takes longer to read its last answer loses it.
        drop(timeout(CLOSING_TIME_MAX, ended).await);
    }

    /// Whether socket or lock are no longer ours, and the loop was told so; a full queue delays it to the next look.
    fn is_evicted(&self, hub: &Hub) -> bool {
        if self.claim.is_ours() {
            return false;
        }
        tracing::error!(socket = %self.claim.socket().display(), "the socket or its lock was taken away");
        hub.incoming.try_send(Incoming::Evicted).is_ok()
    }

    async fn welcome(&self, stream: Stream, hub: &Hub, connections: &mut JoinSet<()>) {
        let Some(peer) = self.admit(&stream) else {
            return;
        };
        if connections.len() >= CONNECTIONS_MAX {
            return turn_away(stream).await;
        }
        let (reader, writer) = tokio::io::split(stream);
        let hub = hub.clone();
        connections.spawn(async move { serve_connection(reader, writer, peer, &hub).await });
    }

    fn admit(&self, stream: &Stream) -> Option<Peer> {
        let uid = match stream.peer_creds() {
            Ok(creds) => creds.euid(),
            Err(error) => {
                tracing::warn!(%error, "failed to learn who connected");
                None
            }
        };
        let uid = uid.filter(|uid| *uid == self.uid || *uid == 0);
        if uid.is_none() {
            tracing::warn!("refused a connection of another user");
        }
        uid.map(|uid| Peer { uid })
    }
}

async fn turn_away(mut stream: Stream) {
    let message = format!("more than {CONNECTIONS_MAX} connections");
    let refusal = Refusal::new(ErrorKind::Busy, message).hint("close some, then try again");
    if let Ok(line) = write_refusal(None, &refusal) {
        // Whoever does not take it has been turned away all the same.
        drop(timeout(CLOSING_TIME_MAX, stream.write_all(line.as_bytes())).await);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn with_mode(options: ListenerOptions<'_>) -> ListenerOptions<'_> {
    use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
    options.mode(0o600)
}

/// Elsewhere a socket cannot be given its mode before it is bound; its directory is 0700 all the same.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn with_mode(options: ListenerOptions<'_>) -> ListenerOptions<'_> {
    options
}

#[cfg(test)]
mod tests;

//! The requests of one connection that wait for the main loop, each with its deadline and its cancellation.
//!
//! Whoever stops waiting tells the main loop (`Incoming::Gone`); that is a hint which may be lost under load, the truth
//! is that the answer's channel is closed.

use crate::daemon::server::feed::Subscriber;
use crate::daemon::server::{Asked, Hub, Incoming, Peer};
use crate::model::id::RequestId;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::message::Id;
use crate::wire::refusal::{Code, ErrorKind, Refusal};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// A request that waits no more.
pub(super) struct Settled {
    /// What the client calls it; none for a request of the connection itself.
    pub(super) id: Option<Id>,
    /// Whether it was for events.
    pub(super) subscribes: bool,
    /// What came of it.
    pub(super) result: Result<Answer, Refusal>,
}

/// What has ended of a request.
enum Ended {
    /// It waits no more; what it asked for may still be wanted only as long as the connection lives.
    Settled(Settled, Option<(RequestId, oneshot::Receiver<()>)>),
    /// And does not depend on the connection any more.
    Released(RequestId),
}

/// The requests of one connection that wait, or whose effect ends with it.
pub(super) struct Pending {
    hub: Hub,
    tasks: JoinSet<Ended>,
    /// Dropping an entry frees its waiter.
    waiters: BTreeMap<Id, oneshot::Sender<()>>,
    /// The same for a request of the connection itself, of which there is one at most.
    own: Option<oneshot::Sender<()>>,
    /// The same for a request that was answered, and whose effect ends with the connection.
    attended: BTreeMap<RequestId, oneshot::Sender<()>>,
    is_leaving: bool,
}

impl Pending {
    pub(super) fn new(hub: Hub) -> Self {
        Self {
            hub,
            tasks: JoinSet::new(),
            waiters: BTreeMap::new(),
            own: None,
            attended: BTreeMap::new(),
            is_leaving: false,
        }
    }

    pub(super) fn has(&self, id: &Id) -> bool {
        self.waiters.contains_key(id)
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len().saturating_add(self.attended.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Asks the main loop; the request is with it when this returns, unless its queue is full.
    pub(super) fn ask(
        &mut self,
        id: Option<Id>,
        call: Call,
        (peer, subscriber): (Peer, Option<Subscriber>),
        deadline: Option<Duration>,
    ) {
        let (answer, answered) = oneshot::channel();
        let (waiter, freed) = oneshot::channel();
        let (hold, held) = oneshot::channel();
        let held = call.is_attended().then_some(held);
        let request = self.hub.next_request();
        let late = late(&call, deadline);
        let subscribes = subscriber.is_some();
        let asked = Asked {
            request,
            peer,
            call,
            answer,
            subscriber,
            hold: held.is_some().then_some(hold),
        };
        let incoming = self.hub.incoming().clone();
        let unsent = match incoming.try_send(Incoming::Asked(asked)) {
            Ok(()) => None,
            Err(TrySendError::Full(asked) | TrySendError::Closed(asked)) => Some(asked),
        };
        // What was there before is freed by being dropped.
        drop(match &id {
            Some(id) => self.waiters.insert(id.clone(), waiter),
            None => self.own.replace(waiter),
        });
        self.tasks.spawn(async move {
            let result = tokio::select! {
                result = ask(&incoming, unsent, answered) => result,
                _ = freed => Err(give_up(&incoming, request, cancelled())),
                () = sleep(deadline) => Err(give_up(&incoming, request, late)),
            };
            let held = held.filter(|_| result.is_ok());
            let settled = Settled {
                id,
                subscribes,
                result,
            };
            Ended::Settled(settled, held.map(|held| (request, held)))
        });
    }

    /// The next request that waits no more; none while nothing waits.
    pub(super) async fn next(&mut self) -> Option<Settled> {
        while let Some(joined) = self.tasks.join_next().await {
            match joined {
                Ok(Ended::Released(request)) => {
                    self.attended.remove(&request);
                }
                Ok(Ended::Settled(settled, held)) => {
                    if let Some((request, held)) = held {
                        self.attend(request, held);
                    }
                    if let Some(id) = &settled.id {
                        self.waiters.remove(id);
                    }
                    return Some(settled);
                }
                Err(error) => tracing::error!(%error, "a waiting request was lost"),
            }
        }
        None
    }

    /// Tells the main loop when the connection ends, unless that does not matter any more by then.
    fn attend(&mut self, request: RequestId, held: oneshot::Receiver<()>) {
        let (attendance, freed) = oneshot::channel::<()>();
        if !self.is_leaving {
            self.attended.insert(request, attendance);
        }
        let incoming = self.hub.incoming().clone();
        self.tasks.spawn(async move {
            tokio::select! {
                _ = held => {}
                // As for one who waits: a full queue loses this hint, the closed channel says the same.
                _ = freed => drop(incoming.try_send(Incoming::Gone(request))),
            }
            Ended::Released(request)
        });
    }

    /// Frees one waiter; a run that it waits for and that has begun goes on.
    pub(super) fn cancel(&mut self, id: &Id) {
        if let Some(waiter) = self.waiters.get_mut(id) {
            let (freed, _) = oneshot::channel();
            drop(std::mem::replace(waiter, freed));
        }
    }

    /// Nobody is there any more who was answered and had to stay, be it that he is answered only now; those who wait for
    /// an answer may still be.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.attended.clear();
    }

    /// Frees every waiter, and returns once the main loop has been told.
    pub(super) async fn free_all(mut self) {
        self.waiters.clear();
        self.own = None;
        self.leave();
        while self.next().await.is_some() {}
    }
}

async fn ask(
    incoming: &mpsc::Sender<Incoming>,
    unsent: Option<Incoming>,
    answered: oneshot::Receiver<Result<Answer, Refusal>>,
) -> Result<Answer, Refusal> {
    if let Some(asked) = unsent
        && incoming.send(asked).await.is_err()
    {
        return Err(ending());
    }
    answered.await.unwrap_or_else(|_| {
        Err(if incoming.is_closed() {
            ending()
        } else {
            Refusal::new(ErrorKind::Internal, "the daemon lost the request").hint("see its log")
        })
    })
}

fn give_up(incoming: &mpsc::Sender<Incoming>, request: RequestId, refusal: Refusal) -> Refusal {
    // A full queue loses this hint; the closed channel of the answer says the same.
    drop(incoming.try_send(Incoming::Gone(request)));
    refusal
}

async fn sleep(deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline).await,
        None => std::future::pending().await,
    }
}

fn ending() -> Refusal {
    Refusal::new(ErrorKind::ShuttingDown, "the daemon is ending")
}

fn cancelled() -> Refusal {
    Refusal::coded(
        Code::CANCELLED,
        ErrorKind::Unsynced,
        "the request was cancelled",
    )
}

fn late(call: &Call, deadline: Option<Duration>) -> Refusal {
    let kind = if call.waits() {
        ErrorKind::Unsynced
    } else {
        ErrorKind::Busy
    };
    let milliseconds = deadline.unwrap_or_default().as_millis();
    Refusal::new(
        kind,
        format!("no answer to `{}` within {milliseconds} ms", call.method()),
    )
}

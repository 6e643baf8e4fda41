//! Events to subscribers: each event becomes text once, whoever listens.
//!
//! Publishing never waits. A subscriber whose queue is full loses its seat; its connection notices once the queue has
//! run dry, asks for a new one, and hears `resync` and a fresh snapshot there. So a reader that is stuck costs one queue
//! of shared lines, and a gap is always told.

use crate::limits::SUBSCRIBER_EVENTS_MAX;
use crate::model::id::Seq;
use crate::model::report::event::{Event, Happening};
use crate::model::time::Timestamp;
use crate::wire::message::write_event;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where a connection wants its events.
#[derive(Debug)]
pub struct Subscriber {
    lines: mpsc::Sender<Arc<str>>,
    origin: Origin,
}

/// Why a seat is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The client asked for it.
    Asked,
    /// The seat before it was lost.
    Lagged,
}

impl Subscriber {
    pub(super) fn new(origin: Origin) -> (Self, mpsc::Receiver<Arc<str>>) {
        let (lines, receiver) = mpsc::channel(SUBSCRIBER_EVENTS_MAX);
        (Self { lines, origin }, receiver)
    }
}

/// Everybody who listens.
#[derive(Debug, Default)]
pub struct Feed {
    seats: Vec<mpsc::Sender<Arc<str>>>,
    /// The latest snapshot as text: many that lag at once share it.
    snapshot: Option<Snapshot>,
}

#[derive(Debug)]
struct Snapshot {
    seq: Seq,
    at: Timestamp,
    line: Arc<str>,
}

impl Feed {
    /// Nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many listen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether nobody listens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Gives a seat: the snapshot comes first, and every event that is published from here on.
    ///
    /// `seq` is the number of the latest event; `snapshot` is asked for only where the last one is older.
    pub fn subscribe(
        &mut self,
        subscriber: Subscriber,
        seq: Seq,
        snapshot: impl FnOnce() -> Event,
    ) {
        if self.snapshot.as_ref().is_none_or(|last| last.seq != seq) {
            let event = snapshot();
            let (seq, at) = (event.seq, event.at);
            self.snapshot = text(&event).map(|line| Snapshot { seq, at, line });
        }
        let Some(last) = &self.snapshot else { return };
        let resync = Event {
            seq: last.seq,
            at: last.at,
            what: Happening::Resync,
        };
        let lagged = subscriber.origin == Origin::Lagged;
        let first = lagged.then(|| text(&resync)).flatten();
        let mut lines = first.into_iter().chain([Arc::clone(&last.line)]);
        // A new queue has room for two; one that is closed already is nobody's loss.
        if lines.all(|line| subscriber.lines.try_send(line).is_ok()) {
            self.seats.push(subscriber.lines);
        }
    }

    /// Tells everybody.
    pub fn publish(&mut self, event: &Event) {
        if self.seats.is_empty() {
            return;
        }
        if let Some(line) = text(event) {
            self.seats
                .retain(|seat| seat.try_send(Arc::clone(&line)).is_ok());
        }
    }
}

fn text(event: &Event) -> Option<Arc<str>> {
    match write_event(event) {
        Ok(line) => Some(Arc::from(line)),
        Err(error) => {
            tracing::error!(%error, seq = %event.seq, "failed to write an event");
            None
        }
    }
}

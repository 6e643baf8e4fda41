//! Events to subscribers: each event becomes text once, whoever listens.
//!
//! Publishing never waits. A subscriber whose queue is full loses its seat; its connection notices once the queue has
//! run dry, asks for a new one, and hears `resync` and a fresh snapshot there. So a reader that is stuck costs one queue
//! of shared lines, and a gap is always told.

use crate::limits::SUBSCRIBER_EVENTS_MAX;
use crate::model::id::Seq;
use crate::model::report::event::{Event, Happening};
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
    snapshot: Option<(Seq, Arc<str>)>,
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
        let (resync, line) = match &self.snapshot {
            Some((at, line)) if *at == seq && subscriber.origin == Origin::Asked => {
                (None, Arc::clone(line))
            }
            _ => {
                let event = snapshot();
                let resync = Event {
                    seq: event.seq,
                    at: event.at,
                    what: Happening::Resync,
                };
                let Some(line) = text(&event) else { return };
                self.snapshot = Some((event.seq, Arc::clone(&line)));
                let lagged = subscriber.origin == Origin::Lagged;
                (lagged.then_some(resync), line)
            }
        };
        // A queue that is new has room for two; one that is closed already is nobody's loss.
        let first = resync.as_ref().and_then(text).into_iter();
        if first
            .chain([line])
            .all(|line| subscriber.lines.try_send(line).is_ok())
        {
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

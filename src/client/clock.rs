//! The client's one look at the clocks.
//!
//! The daemon decides by ticks of its own; here a clock only says how old something is and how long to wait.

use crate::model::time::Timestamp;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The present moment on the wall clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the client's home of the wall clock: ages are shown relative to it"
)]
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A moment to be done by; never, when it was made of `None`.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// The moment that lies `wait` from now.
    #[must_use]
    pub fn after(wait: Duration) -> Self {
        Self(monotonic().checked_add(wait))
    }

    /// No deadline.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// The time that is left; `None` is for ever, zero is too late.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        self.0
            .map(|moment| moment.saturating_duration_since(monotonic()))
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// The sooner of this and `wait` from now.
    #[must_use]
    pub fn or_after(self, wait: Duration) -> Self {
        let soon = Self::after(wait);
        match (self.0, soon.0) {
            (Some(own), Some(other)) => Self(Some(own.min(other))),
            (Some(_), None) => self,
            (None, _) => soon,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the client's home of the monotonic clock: how long to wait for an answer"
)]
fn monotonic() -> Instant {
    Instant::now()
}

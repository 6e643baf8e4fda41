//! The only reader of the machine's clocks.
//!
//! A [`Clock`] is made once, at the start, and copied to whoever has to stamp something; logic gets its values.

use crate::model::time::{Now, Tick, Timestamp};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads the monotonic and the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts the monotonic clock at zero.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clocks"
    )]
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// This moment on the monotonic clock.
    #[must_use]
    pub fn tick(&self) -> Tick {
        Tick::new(self.start.elapsed())
    }

    /// The moment that a tick stands for, as a timer takes it.
    #[must_use]
    pub fn at(&self, tick: Tick) -> Instant {
        self.start + tick.since_start()
    }

    /// This moment on the wall clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clocks"
    )]
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_unix_ms(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX))
    }

    /// This moment on both.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            tick: self.tick(),
            wall: self.wall(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_for_a_tick_rings_at_that_tick() {
        let clock = Clock::start();
        let before = clock.tick();
        let since = clock.at(before).elapsed();
        let after = clock.tick();
        assert!(since <= after.since(before), "{since:?} is late");
        assert_eq!(clock.at(after) - clock.at(before), after.since(before));
    }
}

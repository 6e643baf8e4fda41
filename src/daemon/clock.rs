//! The only reader of the machine's clocks.
//!
//! A [`Clock`] is made once, at the start, and copied to whoever has to stamp something; logic gets its values.

use crate::limits::SLEEP_MIN;
use crate::model::time::{Now, Tick, Timestamp};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

    /// By how many nanoseconds the clock that goes on while the machine sleeps is ahead of the one that stands still:
    /// since its boot, and in a time namespace of any sign. Whatever comes between the two readings makes it less, never
    /// more.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn ahead_ns(&self) -> i64 {
        use rustix::time::{ClockId, Timespec, clock_gettime};
        let ns = |time: Timespec| {
            let whole = time.tv_sec.saturating_mul(1_000_000_000);
            whole.saturating_add(time.tv_nsec)
        };
        let through = ns(clock_gettime(ClockId::Boottime));
        through.saturating_sub(ns(clock_gettime(ClockId::Monotonic)))
    }

    /// By how many nanoseconds the clock that goes on while the machine sleeps is ahead: here nobody says.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn ahead_ns(&self) -> i64 {
        0
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

/// Tells from [`Clock::ahead_ns`] that the machine has slept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sleep {
    most_ns: Option<i64>,
}

impl Sleep {
    /// How long the machine has slept since the last call, if it has.
    pub fn note(&mut self, ahead_ns: i64) -> Option<Duration> {
        let before = self.most_ns.unwrap_or(ahead_ns);
        self.most_ns = Some(before.max(ahead_ns));
        let grown = u64::try_from(ahead_ns.saturating_sub(before)).unwrap_or(0);
        Some(Duration::from_nanos(grown)).filter(|slept| *slept >= SLEEP_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gap_that_grows_is_sleep_and_is_told_once() {
        const S: i64 = 1_000_000_000;
        let mut sleep = Sleep::default();
        let told = [
            -7 * S,
            -7 * S - 900,
            -7 * S + 900,
            -6 * S,
            -6 * S - 2 * S,
            -6 * S,
            3 * S,
        ]
        .map(|ahead| sleep.note(ahead).map(|slept| slept.as_secs_f64().round()));
        assert_eq!(told, [None, None, None, Some(1.0), None, None, Some(9.0)]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn while_nobody_sleeps_the_clocks_go_alike() {
        let (clock, mut sleep) = (Clock::start(), Sleep::default());
        // The first reading may be too small by as long as it was interrupted.
        let most = (0..100).map(|_| clock.ahead_ns()).max().unwrap();
        sleep.note(most);
        assert!((0..10_000).all(|_| sleep.note(clock.ahead_ns()).is_none()));
    }

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

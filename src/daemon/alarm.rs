//! The alarm: wakes the loop at a moment, to the fraction of a millisecond.
//!
//! The timers of tokio count whole milliseconds, twice rounded up, which is a tenth of the time for which things settle.
//! On Linux the kernel's own timer is set; elsewhere, and where the kernel grants none, tokio's will do. It may ring
//! early, never late by more than the machine is: whoever is woken looks at the clock.

use crate::daemon::clock::Clock;
use crate::model::time::Tick;
use tokio::time::{Instant, sleep_until};

/// One alarm, set again and again.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    exact: Option<exact::Timer>,
}

impl Alarm {
    /// An alarm; within a runtime.
    pub(super) fn new() -> Self {
        Self {
            exact: exact::Timer::new(),
        }
    }

    /// Returns at `due` or, where it was set for an earlier moment, then. May be dropped before and called again.
    pub(super) async fn ring(&mut self, clock: Clock, due: Tick) {
        if let Some(timer) = &mut self.exact
            && timer.ring(clock, due).await.is_ok()
        {
            return;
        }
        // A timer that fails once is not asked again.
        self.exact = None;
        sleep_until(Instant::from_std(clock.at(due))).await;
    }
}

#[cfg(target_os = "linux")]
mod exact {
    use crate::daemon::clock::Clock;
    use crate::daemon::timerfd::Timerfd;
    use crate::model::time::Tick;
    use rustix::time::{TimerfdClockId, TimerfdTimerFlags, Timespec};
    use std::io;
    use std::time::Duration;

    /// A timer of the kernel.
    #[derive(Debug)]
    pub(super) struct Timer {
        timer: Timerfd,
        set_for: Option<Tick>,
    }

    impl Timer {
        pub(super) fn new() -> Option<Self> {
            let timer = Timerfd::new(TimerfdClockId::Monotonic).ok()?;
            Some(Self {
                timer,
                set_for: None,
            })
        }

        pub(super) async fn ring(&mut self, clock: Clock, due: Tick) -> io::Result<()> {
            // One that is set for an earlier moment rings then, and is set anew: most are overtaken, and each costs a call.
            if self.set_for.is_none_or(|set_for| due < set_for) {
                self.set(due.since(clock.tick()))?;
                self.set_for = Some(due);
            }
            let rang = self.timer.ring().await;
            self.set_for = None;
            rang.map(drop)
        }

        fn set(&self, pause: Duration) -> io::Result<()> {
            // A timer that is set for zero is off.
            let pause = pause.max(Duration::from_nanos(1));
            let when = Timespec {
                tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: pause.subsec_nanos().into(),
            };
            self.timer.set(TimerfdTimerFlags::empty(), when)
        }
    }
}

/// There is no such timer.
#[cfg(not(target_os = "linux"))]
mod exact {
    use crate::daemon::clock::Clock;
    use crate::model::time::Tick;
    use std::convert::Infallible;
    use std::io;

    /// None can be had.
    #[derive(Debug)]
    pub(super) struct Timer(Infallible);

    impl Timer {
        pub(super) fn new() -> Option<Self> {
            None
        }

        #[expect(clippy::unused_async, reason = "as the one that waits")]
        pub(super) async fn ring(&mut self, _clock: Clock, _due: Tick) -> io::Result<()> {
            match self.0 {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn it_rings_when_it_is_due_and_an_earlier_moment_overtakes_a_later_one() {
        let clock = Clock::start();
        for mut alarm in [Alarm::new(), Alarm::default()] {
            let soon = clock.tick().after(Duration::from_millis(3));
            let never = soon.after(Duration::from_secs(3600));
            tokio::select! {
                biased;
                () = alarm.ring(clock, never) => panic!("it rang an hour early"),
                () = std::future::ready(()) => {}
            }
            alarm.ring(clock, soon).await;
            assert!(clock.tick() >= soon);
            alarm.ring(clock, soon).await;
            let later = clock.tick().after(Duration::from_micros(200));
            alarm.ring(clock, later).await;
            assert!(clock.tick() >= later);
        }
    }
}

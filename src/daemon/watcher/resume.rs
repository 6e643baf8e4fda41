//! Resuming: the loop is woken when the machine wakes up, so that it sees at once that it has slept.
//!
//! Its timers stand still while the machine sleeps, and nothing else needs to happen after it. The kernel rings a timer on
//! the wall clock when that clock jumps, which it does over a sleep; whether it was one, the loop finds out by itself.
//! Elsewhere than on Linux the loop finds out when it is next woken by something else.

#[cfg(target_os = "linux")]
pub use linux::tell_resume;

/// Tells that the machine has woken up, as long as it is polled: here nobody says.
#[cfg(not(target_os = "linux"))]
pub async fn tell_resume(_watcher: super::Watcher) {}

#[cfg(target_os = "linux")]
mod linux {
    use crate::daemon::timerfd::{Rang, Timerfd};
    use crate::daemon::watcher::Watcher;
    use rustix::time::{TimerfdClockId, TimerfdTimerFlags, Timespec};
    use std::io;

    /// Further away than anybody's clock goes, in seconds since 1970: the year 9999.
    const NEVER: i64 = 253_370_764_800;

    /// Wakes the loop as long as it is polled, and for ever where the kernel has such a timer.
    pub async fn tell_resume(watcher: Watcher) {
        if let Err(error) = tell(|| watcher.ring()).await {
            tracing::warn!(%error, "that the machine was asleep is seen later");
        }
    }

    /// The timer never expires, and is cancelled, but not unset, when the wall clock jumps.
    async fn tell(mut ring: impl FnMut()) -> io::Result<()> {
        let timer = Timerfd::new(TimerfdClockId::Realtime)?;
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let when = Timespec {
            tv_sec: NEVER,
            tv_nsec: 0,
        };
        timer.set(flags, when)?;
        loop {
            match timer.ring().await? {
                Rang::Due | Rang::Cancelled => ring(),
            }
        }
    }
}

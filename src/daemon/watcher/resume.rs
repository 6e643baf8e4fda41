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
    use crate::daemon::watcher::Watcher;
    use rustix::io::Errno;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::io;
    use std::os::fd::OwnedFd;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// Further away than anybody's clock goes, in seconds since 1970: the year 9999.
    const NEVER: i64 = 253_370_764_800;

    /// Wakes the loop as long as it is polled, and for ever where the kernel has such a timer.
    pub async fn tell_resume(watcher: Watcher) {
        if let Err(error) = tell(|| watcher.ring()).await {
            tracing::warn!(%error, "that the machine was asleep is seen later");
        }
    }

    async fn tell(mut ring: impl FnMut()) -> io::Result<()> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that are no owners of their descriptor; this one is"
        )]
        let timer = AsyncFd::with_interest(timer()?, Interest::READABLE)?;
        loop {
            let mut ready = timer.readable().await?;
            match rustix::io::read(timer.get_ref(), &mut [0; 8]) {
                Err(Errno::CANCELED) | Ok(_) => ring(),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A timer that never expires, and is cancelled when the wall clock jumps.
    fn timer() -> rustix::io::Result<OwnedFd> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        let at = |tv_sec| Timespec { tv_sec, tv_nsec: 0 };
        let when = Itimerspec {
            it_interval: at(0),
            it_value: at(NEVER),
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&timer, flags, &when)?;
        Ok(timer)
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::os::fd::AsRawFd as _;

        #[test]
        fn the_kernel_keeps_a_timer_that_a_jump_of_the_clock_cancels() {
            let timer = timer().unwrap();
            let path = format!("/proc/self/fdinfo/{}", timer.as_raw_fd());
            let info = std::fs::read_to_string(path).unwrap();
            assert!(info.contains("clockid: 0\n"), "{info}");
            assert!(info.contains("settime flags: 03\n"), "{info}");
            let read = rustix::io::read(&timer, &mut [0; 8]);
            assert_eq!(read, Err(Errno::WOULDBLOCK), "it does not ring by itself");
        }
    }
}

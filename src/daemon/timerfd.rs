//! A timer of the kernel, as a descriptor that the runtime waits for.
//!
//! It rings once after it was set, or is cancelled where it was asked to be when the wall clock jumps. Whoever waits may
//! stop waiting at any time and wait again.

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One timer, which is not set yet.
#[derive(Debug)]
pub(super) struct Timerfd {
    timer: AsyncFd<OwnedFd>,
}

/// How a timer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rang {
    /// Its time has come.
    Due,
    /// The wall clock has jumped.
    Cancelled,
}

impl Timerfd {
    /// A timer on this clock; within a runtime.
    pub(super) fn new(clock: TimerfdClockId) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(clock, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that are no owners of their descriptor; this is one"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self { timer })
    }

    /// Sets it, once; what it was set for before is forgotten.
    pub(super) fn set(&self, flags: TimerfdTimerFlags, when: Timespec) -> io::Result<()> {
        let never = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let value = Itimerspec {
            it_interval: never,
            it_value: when,
        };
        timerfd_settime(self.timer.get_ref(), flags, &value)?;
        Ok(())
    }

    /// Waits for its end.
    pub(super) async fn ring(&self) -> io::Result<Rang> {
        loop {
            let mut ready = self.timer.readable().await?;
            match rustix::io::read(self.timer.get_ref(), &mut [0; 8]) {
                Ok(_) => return Ok(Rang::Due),
                Err(Errno::CANCELED) => return Ok(Rang::Cancelled),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;

    #[tokio::test]
    async fn the_kernel_keeps_a_timer_that_a_jump_of_the_clock_cancels() {
        let timer = Timerfd::new(TimerfdClockId::Realtime).unwrap();
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let far = Timespec {
            tv_sec: 253_370_764_800,
            tv_nsec: 0,
        };
        timer.set(flags, far).unwrap();
        let path = format!("/proc/self/fdinfo/{}", timer.timer.as_raw_fd());
        let info = std::fs::read_to_string(path).unwrap();
        assert!(info.contains("clockid: 0\n"), "{info}");
        assert!(info.contains("settime flags: 03\n"), "{info}");
        tokio::select! {
            biased;
            rang = timer.ring() => panic!("it rang by itself: {rang:?}"),
            () = std::future::ready(()) => {}
        }
    }
}

//! Ends the processes of a run, wherever they went: TERM, then KILL, until a look finds none.
//!
//! On Linux a process is known by what it was started with: `ORCHD_RUN_ID` and `ORCHD_STAGE` in its environment, or its
//! process group. That finds those who left the group with `setsid`. Each is signalled through a pidfd that is opened
//! first and checked afterwards, so that a pid that somebody else got meanwhile is never hit. Elsewhere only the process
//! groups are ended. This process and its ancestors are never touched.

use crate::model::id::{RunId, StageId};
use rustix::process::{Pid, Signal};
use std::collections::BTreeSet;

/// The name of the variable that every process of a run has.
pub const RUN_VARIABLE: &str = "ORCHD_RUN_ID";
/// The name of the variable that every process of a stage has.
pub const STAGE_VARIABLE: &str = "ORCHD_STAGE";

/// What is to be ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Processes of these runs.
    pub runs: BTreeSet<RunId>,
    /// Of those only the processes of this stage; of every stage where there is none.
    pub stage: Option<StageId>,
    /// Members of these process groups; the caller knows that they are its own.
    pub groups: BTreeSet<i32>,
}

/// How a process is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// It is asked, and may tidy up.
    Term,
    /// It is ended.
    Kill,
}

/// A process that was told to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its pid.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

/// Signals a process group; an error means that there is nobody in it whom we may signal.
pub(in crate::daemon) fn signal_group(group: Pid, stop: Stop) {
    // A stopped process takes TERM only once it goes on. Failures mean that nobody is left.
    let signals: &[Signal] = match stop {
        Stop::Term => &[Signal::TERM, Signal::CONT],
        Stop::Kill => &[Signal::KILL],
    };
    for signal in signals {
        if rustix::process::kill_process_group(group, *signal).is_err() {
            return;
        }
    }
}

#[cfg(target_os = "linux")]
pub use linux::Chase;
#[cfg(not(target_os = "linux"))]
pub use portable::Chase;

#[cfg(target_os = "linux")]
mod linux {
    use super::{Ended, RUN_VARIABLE, STAGE_VARIABLE, Stop, Wanted};
    use crate::daemon::process::procfs::{self, Stat};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    #[derive(Debug)]
    struct Quarry {
        handle: OwnedFd,
        who: Ended,
    }

    /// An attempt to end what is wanted.
    #[derive(Debug)]
    pub struct Chase {
        wanted: Wanted,
        kin: Vec<u32>,
        stop: Stop,
        quarry: Vec<Quarry>,
        told: Vec<Ended>,
    }

    impl Chase {
        /// Begins with TERM; nothing is signalled yet.
        #[must_use]
        pub fn new(wanted: Wanted) -> Self {
            Self {
                wanted,
                kin: procfs::ancestors(),
                stop: Stop::Term,
                quarry: Vec::new(),
                told: Vec::new(),
            }
        }

        /// Tells everybody who is found to end, each once per kind of `stop`; whether nobody is left.
        pub fn advance(&mut self, stop: Stop) -> bool {
            if stop > self.stop {
                self.stop = stop;
                self.quarry.iter().for_each(|one| one.signal(stop));
            }
            self.quarry.retain(|one| !one.has_ended());
            if !self.quarry.is_empty() {
                return false;
            }
            // One that ended may have left a child that the look before could not see.
            self.quarry = self.look();
            for one in &self.quarry {
                one.signal(self.stop);
                self.told.push(one.who.clone());
            }
            self.quarry.is_empty()
        }

        /// Waits until one of those who were told has ended, at most so long.
        pub fn wait(&self, time_max: Duration) {
            let mut handles: Vec<PollFd<'_>> = self
                .quarry
                .iter()
                .map(|one| PollFd::new(&one.handle, PollFlags::IN))
                .collect();
            let timeout = Timespec::try_from(time_max).ok();
            // Interrupted or not, the caller looks again.
            poll(&mut handles, timeout.as_ref()).ok();
        }

        /// Everybody who was told to end.
        #[must_use]
        pub fn told(self) -> Vec<Ended> {
            self.told
        }

        fn look(&self) -> Vec<Quarry> {
            let candidates = procfs::pids().into_iter();
            candidates
                .filter(|pid| !self.kin.contains(pid) && self.is_wanted(*pid))
                .filter_map(|pid| {
                    let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
                    let handle = pidfd_open(raw, PidfdFlags::empty()).ok()?;
                    let command = procfs::command(pid);
                    let who = Ended { pid, command };
                    // What was seen before the handle was open may have been somebody else.
                    self.is_wanted(pid).then_some(Quarry { handle, who })
                })
                .collect()
        }

        fn is_wanted(&self, pid: u32) -> bool {
            let Some(stat) = Stat::read(pid).filter(|stat| !stat.has_exited()) else {
                return false;
            };
            let in_group = i32::try_from(stat.group).is_ok_and(|g| self.wanted.groups.contains(&g));
            in_group || procfs::environment(pid).is_some_and(|found| self.is_marked(&found))
        }

        fn is_marked(&self, environment: &[u8]) -> bool {
            let run = procfs::variable(environment, RUN_VARIABLE);
            let of_run = run.is_some_and(|run| {
                let mut runs = self.wanted.runs.iter();
                runs.any(|wanted| wanted.as_str().as_bytes() == run)
            });
            let of_stage = |stage: &crate::model::id::StageId| {
                procfs::variable(environment, STAGE_VARIABLE) == Some(stage.as_str().as_bytes())
            };
            of_run && self.wanted.stage.as_ref().is_none_or(of_stage)
        }
    }

    impl Quarry {
        fn signal(&self, stop: Stop) {
            let signals: &[Signal] = match stop {
                Stop::Term => &[Signal::TERM, Signal::CONT],
                Stop::Kill => &[Signal::KILL],
            };
            for signal in signals {
                // Refused when it has ended, or is no longer ours to end: `has_ended` or the deadline tells.
                pidfd_send_signal(&self.handle, *signal).ok();
            }
        }

        fn has_ended(&self) -> bool {
            let mut handle = [PollFd::new(&self.handle, PollFlags::IN)];
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            poll(&mut handle, Some(&now)).is_ok_and(|ready| ready > 0)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use super::{Ended, Stop, Wanted, signal_group};
    use rustix::process::{Pid, test_kill_process_group};
    use std::collections::BTreeSet;
    use std::time::Duration;

    /// An attempt to end what is wanted.
    #[derive(Debug)]
    pub struct Chase {
        groups: BTreeSet<i32>,
        signalled: Option<Stop>,
        told: Vec<Ended>,
    }

    impl Chase {
        /// Begins with TERM; nothing is signalled yet.
        #[must_use]
        pub fn new(wanted: Wanted) -> Self {
            Self {
                groups: wanted.groups,
                signalled: None,
                told: Vec::new(),
            }
        }

        /// Tells everybody who is found to end, each once per kind of `stop`; whether nobody is left.
        pub fn advance(&mut self, stop: Stop) -> bool {
            self.groups.retain(|group| {
                Pid::from_raw(*group).is_some_and(|group| test_kill_process_group(group).is_ok())
            });
            if self.signalled < Some(stop) {
                for group in self.groups.iter().filter_map(|group| Pid::from_raw(*group)) {
                    signal_group(group, stop);
                    if self.signalled.is_none() {
                        self.told.push(Ended {
                            pid: group.as_raw_nonzero().get().unsigned_abs(),
                            command: String::new(),
                        });
                    }
                }
                self.signalled = Some(stop);
            }
            self.groups.is_empty()
        }

        /// Waits so long.
        pub fn wait(&self, time_max: Duration) {
            std::thread::sleep(time_max);
        }

        /// The leaders of the groups that were told to end.
        #[must_use]
        pub fn told(self) -> Vec<Ended> {
            self.told
        }
    }
}

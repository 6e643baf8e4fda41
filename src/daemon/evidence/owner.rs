//! Who a run belongs to while it is under way: a process, told from a later one with the same number.
//!
//! Where the system tells no start times the heartbeat has to decide, and that is said as `Unsure`.

use crate::daemon::process::{boot_id, is_alive, start_ticks};
use serde::{Deserialize, Serialize};

/// The process that carries a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// When it was started, in ticks since the system's start; 0 where the system does not say.
    pub start_time: u64,
    /// Which start of the system that was; empty where the system does not say.
    pub boot_id: String,
    /// Which daemon it is.
    pub instance_id: String,
}

/// What is known of an owner's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// The very process is there.
    Alive,
    /// It is gone, or its number is another's now.
    Dead,
    /// The system does not say; the heartbeat has to.
    Unsure,
}

impl Owner {
    /// This process.
    #[must_use]
    pub fn current(instance_id: &str) -> Self {
        let pid = std::process::id();
        Self {
            pid,
            start_time: start_ticks(pid).unwrap_or(0),
            boot_id: boot_id().unwrap_or_default(),
            instance_id: instance_id.to_owned(),
        }
    }

    /// Whether the system has started anew since, as it does after a power cut.
    pub(super) fn is_of_an_earlier_start(&self) -> bool {
        !self.boot_id.is_empty() && boot_id().is_some_and(|boot| boot != self.boot_id)
    }

    pub(super) fn life(&self) -> Life {
        let Some(boot) = boot_id().filter(|_| !self.boot_id.is_empty()) else {
            return Life::Unsure;
        };
        if self.boot_id == boot && is_alive(self.pid, self.start_time) {
            Life::Alive
        } else {
            Life::Dead
        }
    }
}

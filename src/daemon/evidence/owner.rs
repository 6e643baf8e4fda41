//! Who a run belongs to while it is under way: a process, told from a later one with the same number.
//!
//! Where the system tells no start times the heartbeat has to decide, and that is said as `Unsure`.

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
            start_time: start_time(pid).unwrap_or(0),
            boot_id: boot_id(),
            instance_id: instance_id.to_owned(),
        }
    }

    pub(super) fn life(&self) -> Life {
        let boot = boot_id();
        if boot.is_empty() || self.boot_id.is_empty() {
            return Life::Unsure;
        }
        if self.boot_id == boot && start_time(self.pid) == Some(self.start_time) {
            Life::Alive
        } else {
            Life::Dead
        }
    }
}

/// Whether a process with this number is there; `None` where the system does not say.
pub(super) fn process_exists(pid: u32) -> Option<bool> {
    (!boot_id().is_empty()).then(|| start_time(pid).is_some())
}

#[cfg(target_os = "linux")]
fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    text.unwrap_or_default().trim().to_owned()
}

#[cfg(target_os = "linux")]
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the start time is the 20th field behind it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let zombie = fields.next()? == "Z";
    let started = fields.nth(18)?.parse().ok();
    started.filter(|_| !zombie)
}

#[cfg(not(target_os = "linux"))]
fn boot_id() -> String {
    String::new()
}

#[cfg(not(target_os = "linux"))]
fn start_time(_: u32) -> Option<u64> {
    None
}

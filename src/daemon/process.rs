//! Which process is which: a pid alone names nobody, because the system gives it to somebody else later.
//!
//! A process is a pid together with its start time, on one boot. Helpers here only look; `chase` ends. Linux tells in
//! `/proc`; elsewhere nothing is asked, and whoever wants to know has to go by something else.

use std::io::Read as _;

pub mod chase;

#[cfg(target_os = "linux")]
mod procfs;

/// Memory that this process holds; `None` where the system does not say.
#[must_use]
pub fn rss_bytes() -> Option<u64> {
    // Room for all of it at once: a file of `/proc` does not say how long it is.
    let mut status = String::with_capacity(PROC_STATUS_BYTES);
    let mut file = std::fs::File::open("/proc/self/status").ok()?;
    file.read_to_string(&mut status).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// What `/proc/self/status` takes, generously.
const PROC_STATUS_BYTES: usize = 4096;

/// When the process with this pid started, in ticks since the system's start; none when there is none, when it has
/// exited and waits for its parent, or when the system does not say.
#[must_use]
pub fn start_ticks(pid: u32) -> Option<u64> {
    #[cfg(target_os = "linux")]
    return procfs::Stat::read(pid)
        .filter(|stat| !stat.has_exited())
        .map(|stat| stat.start_ticks);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        None
    }
}

/// Whether the process that had this pid and started then still runs.
#[must_use]
pub fn is_alive(pid: u32, started: u64) -> bool {
    start_ticks(pid) == Some(started)
}

/// Whether a process with this pid runs; none where the system does not say.
#[must_use]
pub fn exists(pid: u32) -> Option<bool> {
    boot_id().map(|_| start_ticks(pid).is_some())
}

/// Names the time since the machine was started: pids and start times of another boot mean nothing. None where start
/// times are not told either.
#[must_use]
pub fn boot_id() -> Option<String> {
    #[cfg(target_os = "linux")]
    return std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .map(|id| id.trim().to_owned());
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test needs a process of its own"
    )]
    fn a_process_is_its_pid_and_its_start() {
        let mine = start_ticks(std::process::id()).unwrap();
        assert!(is_alive(std::process::id(), mine));
        assert!(!is_alive(std::process::id(), 1));

        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let started = start_ticks(child.id()).unwrap();
        assert!(is_alive(child.id(), started));
        assert!(!is_alive(child.id(), mine) || started == mine);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(child.id(), started));
        assert_eq!(exists(child.id()), Some(false));
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}

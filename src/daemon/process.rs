//! Which process is which: a pid alone names nobody, because the system gives it to somebody else later.
//!
//! A process is a pid together with its start time, on one boot. Helpers here only look; `chase` ends. Linux tells in
//! `/proc`; elsewhere `ps` and `sysctl` tell, to the second.

pub mod chase;

#[cfg(target_os = "linux")]
mod procfs;

use serde::{Deserialize, Serialize};

/// Memory that this process holds; `None` where the system does not say.
#[must_use]
pub fn rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// When a process started, in a unit that only means something when compared on the same machine and boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StartTime(String);

/// When the process with this pid started; none when there is none.
#[must_use]
pub fn process_start_time(pid: u32) -> Option<StartTime> {
    #[cfg(target_os = "linux")]
    let found = procfs::Stat::read(pid).map(|stat| stat.start_ticks.to_string());
    #[cfg(not(target_os = "linux"))]
    let found = elsewhere::ask("ps", &["-o", "lstart=", "-p", &pid.to_string()]);
    found.map(StartTime)
}

/// Whether the process that had this pid and started then still runs; one that has exited and waits for its parent does
/// not.
#[must_use]
pub fn is_alive(pid: u32, started: &StartTime) -> bool {
    #[cfg(target_os = "linux")]
    let gone = procfs::Stat::read(pid).is_none_or(|stat| stat.has_exited());
    #[cfg(not(target_os = "linux"))]
    let gone = elsewhere::ask("ps", &["-o", "stat=", "-p", &pid.to_string()])
        .is_none_or(|state| state.starts_with('Z'));
    !gone && process_start_time(pid).as_ref() == Some(started)
}

/// Names the time since the machine was started: pids and start times of another boot mean nothing.
#[must_use]
pub fn boot_id() -> Option<String> {
    #[cfg(target_os = "linux")]
    let found = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    #[cfg(not(target_os = "linux"))]
    let found = elsewhere::ask("sysctl", &["-n", elsewhere::BOOT]);
    found.map(|id| id.trim().to_owned())
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    /// The time of the start moves when the clock is set, so where there is a name for it that is taken.
    pub(super) const BOOT: &str = if cfg!(target_os = "macos") {
        "kern.bootsessionuuid"
    } else {
        "kern.boottime"
    };

    /// The trimmed output of a system tool; none when it fails or says nothing.
    #[expect(
        clippy::disallowed_methods,
        reason = "the system's own tool, not a stage"
    )]
    pub(super) fn ask(tool: &str, arguments: &[&str]) -> Option<String> {
        // The start of a process has to be spelt alike by two daemons, whatever their users speak and wherever they are.
        let output = std::process::Command::new(tool)
            .envs([("LC_ALL", "C"), ("TZ", "UTC0")])
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    }
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
        let mine = process_start_time(std::process::id()).unwrap();
        assert!(is_alive(std::process::id(), &mine));
        assert!(!is_alive(std::process::id(), &StartTime("1".to_owned())));

        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let started = process_start_time(child.id()).unwrap();
        assert!(is_alive(child.id(), &started));
        assert!(!is_alive(child.id(), &mine) || started == mine);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(child.id(), &started));
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}

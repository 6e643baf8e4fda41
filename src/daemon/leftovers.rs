//! Ends what interrupted runs left behind, before anything new is started.
//!
//! On Linux a leftover is known by the `ORCHD_RUN_ID` that it was started with, which survives the death of the daemon,
//! `setsid` and a double fork; elsewhere nothing tells of one, and what is left stays. Processes of other users are not
//! seen and not touched. A process that empties its environment before it hides gets away.

use crate::daemon::clock::Clock;
use crate::daemon::process::chase::{Chase, Ended, Stop, Wanted};
use crate::limits::{ENDING_POLL, KILL_WAIT_MAX, LEFTOVER_GRACE};
use crate::model::id::RunId;
use std::collections::BTreeSet;
use std::time::Duration;

/// Ends every process of these runs: TERM, then KILL once `grace` has passed. Blocks until none is left, or the kernel
/// does not end one that was killed. Tells whom it ended.
#[must_use]
pub fn end_leftovers(runs: BTreeSet<RunId>, grace: Duration, clock: Clock) -> Vec<Ended> {
    let mut chase = Chase::new(Wanted {
        runs,
        ..Wanted::default()
    });
    let begun = clock.tick();
    let mut pause = ENDING_POLL.0;
    loop {
        let elapsed = clock.tick().since(begun);
        let stop = if elapsed < grace {
            Stop::Term
        } else {
            Stop::Kill
        };
        if chase.advance(stop) {
            break;
        }
        if elapsed > grace.saturating_add(KILL_WAIT_MAX) {
            tracing::warn!("a process of an interrupted run does not end although it was killed");
            break;
        }
        chase.wait(pause);
        pause = (pause * 2).min(ENDING_POLL.1);
    }
    chase.told()
}

/// As [`end_leftovers`], with the usual grace; logs whom it ended.
pub fn end_all(runs: BTreeSet<RunId>, clock: Clock) {
    if runs.is_empty() {
        return;
    }
    for ended in end_leftovers(runs, LEFTOVER_GRACE, clock) {
        tracing::warn!(pid = ended.pid, command = %ended.command, "ended a process of an interrupted run");
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests need processes that no runner started"
)]
mod tests {
    use super::*;
    use crate::daemon::process::{is_alive, start_ticks};
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    /// Ends a test's process also when the test fails.
    struct Ours(Child);

    impl Drop for Ours {
        fn drop(&mut self) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    /// Runs a script as a stage of `run` would, and waits for the pid that it prints.
    fn stage(run: &str, script: &str) -> (Ours, u32, u64) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .env("ORCHD_RUN_ID", run)
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let pid = line.trim().parse().unwrap();
        (Ours(child), pid, start_ticks(pid).unwrap())
    }

    fn unique(name: &str) -> RunId {
        RunId::parse(&format!("leftovers-{name}-{}", std::process::id())).unwrap()
    }

    #[test]
    fn whoever_is_left_of_a_run_is_ended_and_nobody_else() {
        let (lost, kept) = (unique("lost"), unique("kept"));
        let (_plain, plain_pid, plain_start) = stage(lost.as_str(), "echo $$; exec sleep 1000");
        let stubborn = "trap '' TERM; echo $$; while :; do sleep 1; done";
        let (_stubborn, stubborn_pid, stubborn_start) = stage(lost.as_str(), stubborn);
        let daemon = "(setsid sh -c 'echo $$; exec sleep 1001' &)";
        let (mut parent, daemon_pid, daemon_start) = stage(lost.as_str(), daemon);
        let (_innocent, innocent_pid, innocent_start) =
            stage(kept.as_str(), "echo $$; exec sleep 1000");
        assert!(parent.0.wait().unwrap().success());

        let runs = BTreeSet::from([lost]);
        let ended = end_leftovers(runs.clone(), Duration::from_millis(200), Clock::start());

        assert!(!is_alive(plain_pid, plain_start));
        assert!(!is_alive(stubborn_pid, stubborn_start));
        assert!(!is_alive(daemon_pid, daemon_start));
        assert!(is_alive(innocent_pid, innocent_start));
        let named = |pid| {
            ended
                .iter()
                .find(|one| one.pid == pid)
                .map(|one| one.command.as_str())
        };
        // The shell may not have become its `sleep` yet.
        assert!(named(plain_pid).unwrap().contains("sleep 1000"));
        assert!(named(daemon_pid).unwrap().contains("sleep 1001"));
        assert!(named(stubborn_pid).unwrap().starts_with("sh -c trap"));
        assert_eq!(named(innocent_pid), None);
        assert!(end_leftovers(runs, Duration::ZERO, Clock::start()).is_empty());
    }
}

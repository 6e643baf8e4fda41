//! Asks a program something: one line for the shell, bounded in time and in what it may say, with no log.
//!
//! It is started as a stage is, in a process group of its own and with the same variables taken away; whatever of the
//! group is left when it has answered, or when its time is over, is ended.

use super::spawn::Spawned;
use crate::daemon::chain::chain;
use crate::daemon::clock::Clock;
use crate::daemon::process::chase::{Stop, signal_group};
use crate::limits::{PROBE_BYTES_MAX, PROBE_TIME_MAX};
use crate::model::config::CommandLine;
use crate::model::time::Tick;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What a program answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its standard output, the first [`PROBE_BYTES_MAX`] bytes.
    pub stdout: Vec<u8>,
    /// Its standard error, as much.
    pub stderr: Vec<u8>,
    /// How it ended: its exit code, or in words why it has none.
    pub end: Result<i32, String>,
}

/// One of its outputs while it is read.
struct Output {
    from: Option<OwnedFd>,
    text: Vec<u8>,
}

/// Runs a line and waits for its end; blocks.
#[must_use]
pub fn ask(line: &str, cwd: &Path, env: &BTreeMap<OsString, OsString>) -> Said {
    let clock = Clock::start();
    let line = CommandLine::Shell(line.to_owned());
    let mut spawned = match Spawned::start(&line, cwd, env, None) {
        Ok(spawned) => spawned,
        Err(error) => {
            return Said {
                stdout: Vec::new(),
                stderr: Vec::new(),
                end: Err(chain(&error)),
            };
        }
    };
    let mut outputs = [Output::new(spawned.stdout), Output::new(spawned.stderr)];
    let in_time = hear(&mut outputs, &spawned.exited, clock);
    // While its leader is not reaped, its group is nobody else's.
    signal_group(spawned.leader, Stop::Kill);
    // What it wrote before is in the pipes.
    outputs.iter_mut().for_each(Output::read);
    let status = spawned.child.wait();
    let end = match status {
        _ if !in_time => Err(format!(
            "it did not end within {} s",
            PROBE_TIME_MAX.as_secs()
        )),
        Ok(status) => status.code().ok_or_else(|| status.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let [stdout, stderr] = outputs.map(|output| output.text);
    Said {
        stdout,
        stderr,
        end,
    }
}

/// Reads both outputs until the program has exited; false if that takes too long.
fn hear(outputs: &mut [Output; 2], exited: &OwnedFd, clock: Clock) -> bool {
    let deadline: Tick = clock.tick().after(PROBE_TIME_MAX);
    loop {
        let left = deadline.since(clock.tick());
        if left.is_zero() {
            return false;
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut polled: Vec<PollFd<'_>> = outputs
            .iter()
            .filter_map(|output| output.from.as_ref())
            .map(|from| PollFd::new(from, PollFlags::IN))
            .collect();
        polled.push(PollFd::new(exited, PollFlags::IN));
        match poll(&mut polled, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return false,
            Ok(_) => {}
        }
        let has_exited = polled.last().is_some_and(|it| !it.revents().is_empty());
        drop(polled);
        if has_exited {
            return true;
        }
        outputs.iter_mut().for_each(Output::read);
    }
}

impl Output {
    fn new(from: OwnedFd) -> Self {
        Self {
            from: Some(from),
            text: Vec::new(),
        }
    }

    /// Takes what is there, as much as a pipe holds; what is beyond the bound is read and dropped, so that the program goes
    /// on. One that never stops writing does not keep us from looking at the time.
    fn read(&mut self) {
        let mut chunk = [0; 4096];
        for _ in 0..PROBE_BYTES_MAX / chunk.len() {
            let Some(from) = &self.from else { return };
            match rustix::io::read(from, &mut chunk) {
                Ok(0) => self.from = None,
                Ok(length) => {
                    let room = PROBE_BYTES_MAX.saturating_sub(self.text.len());
                    let taken = chunk.get(..length.min(room)).unwrap_or_default();
                    self.text.extend_from_slice(taken);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => self.from = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn said(line: &str) -> Said {
        ask(line, Path::new("/"), &BTreeMap::new())
    }

    #[test]
    fn it_says_what_it_prints_and_how_it_ends() {
        let both = said("echo out; echo err >&2; exit 3");
        assert_eq!(both.stdout, b"out\n");
        assert_eq!(both.stderr, b"err\n");
        assert_eq!(both.end, Ok(3));
        assert!(said("kill -9 $$").end.unwrap_err().contains("signal: 9"));
        let nowhere = ask("true", Path::new("/no/such/place"), &BTreeMap::new());
        let why = nowhere.end.unwrap_err();
        assert!(why.contains("/no/such/place"), "{why}");
    }

    #[test]
    fn whoever_it_leaves_behind_is_not_waited_for_and_ended() {
        let said = said("sleep 600 & echo $!");
        assert_eq!(said.end, Ok(0));
        let pid: i32 = String::from_utf8(said.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            // One that nobody has reaped yet is as good as gone.
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        let (clock, deadline) = (Clock::start(), Duration::from_secs(60));
        let late = clock.tick().after(deadline);
        while !gone() {
            assert!(clock.tick() < late, "{pid} lives");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_it_says_is_bounded_and_nobody_waits_on_a_full_pipe() {
        let said = said("head -c 1000000 /dev/zero");
        assert_eq!(said.stdout.len(), PROBE_BYTES_MAX);
        assert_eq!(said.end, Ok(0));
    }
}

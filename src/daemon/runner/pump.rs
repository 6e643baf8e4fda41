//! Carries a command's output to the logs and signals to the command, until nothing of it is left.
//!
//! One thread, one `poll`: both outputs, the notice of the exit and the requests to stop. Memory is one chunk and the
//! excerpts, whatever the command writes; a log that is slow makes the command wait, nobody else.

use super::Attempt;
use super::excerpt::Excerpt;
use super::spawn::Spawned;
use crate::daemon::clock::Clock;
use crate::daemon::log::StageLogs;
use crate::daemon::process::chase::{Chase, Stop, Wanted, signal_group};
use crate::limits::{
    DRAIN_BYTES_MAX, ENDING_POLL, KILL_WAIT_MAX, OUTPUT_CHUNK_BYTES, OUTPUT_LINGER,
};
use crate::model::log::{Stream, whole_characters};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::test_kill_process_group;
use std::collections::BTreeSet;
use std::io::{self, PipeReader, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// What is known when nothing of an attempt is left.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) duration: Duration,
    pub(super) stdout: Excerpt,
    pub(super) stderr: Excerpt,
    pub(super) logs: StageLogs,
}

/// One of the two outputs.
#[derive(Debug)]
struct Output {
    stream: Stream,
    /// None once it is closed.
    pipe: Option<OwnedFd>,
    /// The beginning of a character whose end has not come yet: at most three bytes.
    partial: usize,
    buffer: Vec<u8>,
    excerpt: Excerpt,
}

/// What one look at everything brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    exited: bool,
    stop: Option<Stop>,
}

/// An attempt whose command has been started.
#[derive(Debug)]
pub(super) struct Pump {
    child: Child,
    leader: rustix::process::Pid,
    exited: OwnedFd,
    stops: Option<PipeReader>,
    outputs: [Output; 2],
    logs: StageLogs,
    clock: Clock,
    /// The strongest request to stop so far.
    asked: Option<Stop>,
}

impl Pump {
    pub(super) fn new(spawned: Spawned, stops: PipeReader, logs: StageLogs, clock: Clock) -> Self {
        Self {
            child: spawned.child,
            leader: spawned.leader,
            exited: spawned.exited,
            stops: Some(stops),
            outputs: [
                Output::new(Stream::Stdout, spawned.stdout),
                Output::new(Stream::Stderr, spawned.stderr),
            ],
            logs,
            clock,
            asked: None,
        }
    }

    /// Runs the attempt to its end.
    pub(super) fn run(mut self, attempt: &Attempt) -> Finished {
        let begun = self.clock.tick();
        loop {
            let seen = self.look(None);
            if let Some(stop) = seen.stop {
                signal_group(self.leader, stop);
            }
            if seen.exited {
                break;
            }
        }
        let duration = self.clock.tick().since(begun);
        self.linger();
        let status = self.clear(attempt);
        self.drain();
        let [stdout, stderr] = self.outputs;
        let mut logs = self.logs;
        let stdout = stdout.close(&mut logs);
        let stderr = stderr.close(&mut logs);
        Finished {
            status,
            duration,
            stdout,
            stderr,
            logs,
        }
    }

    /// Takes what a process that is about to end still writes; not after a request to stop, and never for long.
    fn linger(&mut self) {
        let begun = self.clock.tick();
        while self.asked.is_none() && self.is_open() {
            let left = OUTPUT_LINGER.saturating_sub(self.clock.tick().since(begun));
            if left.is_zero() {
                break;
            }
            self.look(Some(left));
        }
        self.drain();
    }

    /// Ends what is left of the group, and what left the group where there is reason to look; reaps the command.
    fn clear(&mut self, attempt: &Attempt) -> ExitStatus {
        let was_open = self.is_open();
        // The command is not reaped yet, so the group's id is still its own: this is the last moment for it.
        signal_group(self.leader, self.asked.unwrap_or(Stop::Term));
        let status = self.reap();
        let emptied = test_kill_process_group(self.leader) == Err(Errno::SRCH);
        if emptied && !was_open && self.asked.is_none() {
            return status;
        }
        let group = (!emptied).then(|| self.leader.as_raw_nonzero().get());
        let mut chase = Chase::new(Wanted {
            runs: BTreeSet::from([attempt.run.clone()]),
            stage: Some(attempt.stage.clone()),
            groups: group.into_iter().collect(),
        });
        let begun = self.clock.tick();
        let mut pause = ENDING_POLL.0;
        loop {
            let elapsed = self.clock.tick().since(begun);
            let stop = if elapsed < attempt.grace {
                self.asked.unwrap_or(Stop::Term)
            } else {
                Stop::Kill
            };
            if chase.advance(stop) {
                return status;
            }
            if elapsed > attempt.grace.saturating_add(KILL_WAIT_MAX) {
                tracing::warn!(run = %attempt.run, stage = %attempt.stage, "a process does not end although it was killed");
                return status;
            }
            // What is told to end may have much to say before it does.
            self.look(Some(pause));
            pause = (pause * 2).min(ENDING_POLL.1);
        }
    }

    fn reap(&mut self) -> ExitStatus {
        // The notice came, so this does not wait. Only a foreign `waitpid` in this process could have taken the status.
        self.child.wait().unwrap_or_else(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a command's exit status is lost"
            );
            ExitStatus::from_raw(0xff00)
        })
    }

    fn is_open(&self) -> bool {
        self.outputs.iter().any(|output| output.pipe.is_some())
    }

    /// Waits until something happens, at most so long, and takes it.
    fn look(&mut self, time_max: Option<Duration>) -> Seen {
        let timeout = time_max.and_then(|time| Timespec::try_from(time).ok());
        let [stdout, stderr] = &self.outputs;
        let sources = [
            stdout.pipe.as_ref().map(OwnedFd::as_fd),
            stderr.pipe.as_ref().map(OwnedFd::as_fd),
            // Once it has told, the notice would end every wait at once; only the endless wait is for it.
            time_max.is_none().then(|| self.exited.as_fd()),
            self.stops.as_ref().map(|stops| stops.as_fd()),
        ];
        let mut polled: Vec<PollFd<'_>> = sources
            .iter()
            .flatten()
            .map(|source| PollFd::from_borrowed_fd(*source, PollFlags::IN))
            .collect();
        if poll(&mut polled, timeout.as_ref()).is_err() {
            return Seen::default();
        }
        let mut events = polled.iter().map(|fd| !fd.revents().is_empty());
        let ready = sources.map(|source| source.is_some() && events.next().unwrap_or(false));
        let [out_ready, err_ready, exited, stop_ready] = ready;
        for (output, ready) in self.outputs.iter_mut().zip([out_ready, err_ready]) {
            if ready {
                output.take(&mut self.logs);
            }
        }
        let stop = if stop_ready { self.take_stop() } else { None };
        Seen { exited, stop }
    }

    fn take_stop(&mut self) -> Option<Stop> {
        let mut requests = [0; 64];
        let read = self.stops.as_mut()?.read(&mut requests);
        match read {
            Ok(0) => self.stops = None,
            Err(error) if is_transient(&error) => {}
            Err(_) => self.stops = None,
            Ok(count) => {
                let requests = requests.get(..count).unwrap_or_default();
                let stop = if requests.contains(&b'K') {
                    Stop::Kill
                } else {
                    Stop::Term
                };
                self.asked = self.asked.max(Some(stop));
                return Some(stop);
            }
        }
        None
    }

    /// Takes what lies in the pipes, without waiting, up to what a pipe can hold.
    fn drain(&mut self) {
        for output in &mut self.outputs {
            let mut taken = 0;
            while taken < DRAIN_BYTES_MAX {
                match output.take(&mut self.logs) {
                    0 => break,
                    count => taken += count,
                }
            }
        }
    }
}

impl Output {
    fn new(stream: Stream, pipe: OwnedFd) -> Self {
        Self {
            stream,
            pipe: Some(pipe),
            partial: 0,
            buffer: vec![0; OUTPUT_CHUNK_BYTES],
            excerpt: Excerpt::default(),
        }
    }

    /// Takes one chunk, if there is one; how long it was.
    fn take(&mut self, logs: &mut StageLogs) -> usize {
        let Some(pipe) = &self.pipe else {
            return 0;
        };
        let room = self.buffer.get_mut(self.partial..).unwrap_or_default();
        match rustix::io::read(pipe, room) {
            Ok(0) => {
                self.pipe = None;
                0
            }
            Ok(count) => {
                self.pass_on(count, logs);
                count
            }
            Err(error) if is_transient(&error.into()) => 0,
            Err(_) => {
                self.pipe = None;
                0
            }
        }
    }

    fn pass_on(&mut self, count: usize, logs: &mut StageLogs) {
        let have = self.partial + count;
        let bytes = self.buffer.get(..have).unwrap_or_default();
        let (whole, partial) = bytes.split_at(whole_characters(bytes));
        logs.output(self.stream, whole);
        self.excerpt.note(whole);
        self.partial = partial.len();
        let kept = have - self.partial;
        self.buffer.copy_within(kept..have, 0);
    }

    /// Passes on what no further byte will complete.
    fn close(self, logs: &mut StageLogs) -> Excerpt {
        let rest = self.buffer.get(..self.partial).unwrap_or_default();
        logs.output(self.stream, rest);
        let mut excerpt = self.excerpt;
        excerpt.note(rest);
        excerpt
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

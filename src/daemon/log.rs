//! The logs of one attempt of a stage: the stage's own file and the run's, with identical lines.
//!
//! Lines are only ever appended, each batch with one write, so that stages that run side by side never tear each
//! other's lines. An attempt has a budget of log bytes. The first half of it goes straight to the files; what follows is
//! kept in two unnamed spill files that take turns, and its end is appended when the attempt ends: the disk is bounded
//! while the command runs, and memory always. After a failed write nothing more is written and the first failure is
//! kept: the command goes on, and its ending says that it is unrecorded.

pub mod read;
mod spill;

use crate::daemon::clock::Clock;
use crate::limits::{ATTEMPT_LOG_BYTES_MIN, LOG_READ_BYTES_MAX, STAGE_LOG_BYTES_MAX};
use crate::model::log::{LogEnd, LogEvent, LogLine, LogLineError, Stream};
use spill::Tail;
use std::borrow::Cow;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Where the lines of a stage go and how many there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPlan {
    /// The stage's own file, `commands/NN-<slug>.ndjson`.
    pub stage: PathBuf,
    /// The run's file, `runner.ndjson`.
    pub run: PathBuf,
    /// The stage's place in its pipeline, from 1.
    pub index: u32,
    /// Which attempt of the stage this is, from 1.
    pub attempt: u32,
    /// How many attempts the stage may have in all: the stage's log bytes are shared among those that remain.
    pub attempts_max: u32,
}

/// Which action on a log failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogAct {
    /// Opening or creating it.
    Open,
    /// Appending to it.
    Write,
    /// Keeping the end of the output beside it.
    Spill,
}

impl LogAct {
    fn words(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Write => "write",
            Self::Spill => "keep the end of",
        }
    }
}

/// Why a log is not whole.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system refused.
    #[error("failed to {} log `{}`", act.words(), path.display())]
    File {
        /// What was tried.
        act: LogAct,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line could not be made.
    #[error("failed to encode a line of a log")]
    Line(#[from] LogLineError),
}

/// What became of the logs of an attempt.
#[derive(Debug, Default)]
pub struct LogOutcome {
    /// Whether output is missing from the middle.
    pub truncated: bool,
    /// Why the log is not whole; none when it is.
    pub failure: Option<LogError>,
}

/// The open logs of one attempt.
#[derive(Debug)]
pub struct StageLogs {
    plan: LogPlan,
    clock: Clock,
    files: Vec<(File, PathBuf)>,
    head_left: u64,
    tail: Tail,
    line: Vec<u8>,
    failure: Option<LogError>,
}

impl StageLogs {
    /// Opens both files, creates them where they are missing, and closes a line that an earlier writer left torn.
    ///
    /// # Errors
    /// When either cannot be opened.
    pub fn open(plan: LogPlan, clock: Clock) -> Result<Self, LogError> {
        let stage = open_append(&plan.stage)?;
        let run = open_append(&plan.run)?;
        let used = match stage.metadata() {
            Ok(metadata) => metadata.len(),
            Err(source) => return Err(failed(LogAct::Open, &plan.stage, source)),
        };
        let remaining = plan
            .attempts_max
            .saturating_sub(plan.attempt)
            .saturating_add(1);
        let share = STAGE_LOG_BYTES_MAX.saturating_sub(used) / u64::from(remaining);
        let budget = share.max(ATTEMPT_LOG_BYTES_MIN);
        Ok(Self {
            files: vec![(stage, plan.stage.clone()), (run, plan.run.clone())],
            head_left: budget / 2,
            tail: Tail::new(budget / 2),
            line: Vec::new(),
            failure: None,
            plan,
            clock,
        })
    }

    /// Tells that the attempt begins.
    pub fn start(&mut self, command: &str) {
        let attempt = self.plan.attempt;
        self.mark(LogEvent::Start {
            command: Cow::Borrowed(command),
            attempt,
        });
    }

    /// Keeps what came out; in several lines where one would be more than is read at once.
    pub fn output(&mut self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() || self.failure.is_some() {
            return;
        }
        let event = LogEvent::Output {
            stream,
            bytes: Cow::Borrowed(bytes),
        };
        let encoded = self.encode(event);
        if self.line.len() as u64 > LOG_READ_BYTES_MAX && encoded.is_ok() {
            let (first, second) = halves(bytes);
            self.output(stream, first);
            return self.output(stream, second);
        }
        let kept = encoded.and_then(|()| {
            let length = self.line.len() as u64;
            if self.tail.is_empty() && length <= self.head_left {
                self.head_left -= length;
                self.append()
            } else {
                let kept = self
                    .tail
                    .keep(&self.plan.stage, &self.line, bytes.len() as u64);
                kept.map_err(|source| failed(LogAct::Spill, &self.plan.stage, source))
            }
        });
        self.note(kept);
    }

    /// Appends the end of the output where the middle was dropped, tells how the attempt ended, and closes both files.
    pub fn finish(mut self, end: LogEnd) -> LogOutcome {
        let dropped_bytes = self.tail.dropped_bytes();
        if dropped_bytes > 0 {
            self.mark(LogEvent::Truncated { dropped_bytes });
        }
        let returned = self.return_tail();
        self.note(returned);
        let attempt = self.plan.attempt;
        self.mark(LogEvent::End(LogEnd { attempt, ..end }));
        LogOutcome {
            truncated: dropped_bytes > 0,
            failure: self.failure,
        }
    }

    fn return_tail(&mut self) -> Result<(), LogError> {
        if self.failure.is_some() {
            return Ok(());
        }
        let mut tail = std::mem::replace(&mut self.tail, Tail::new(0));
        let place = self.plan.stage.clone();
        let spilled = |source| failed(LogAct::Spill, &place, source);
        while let Some(mut batch) = tail.next_batch().map_err(spilled)? {
            std::mem::swap(&mut self.line, &mut batch);
            self.append()?;
        }
        Ok(())
    }

    fn mark(&mut self, event: LogEvent<'_>) {
        if self.failure.is_none() {
            let kept = self.encode(event).and_then(|()| self.append());
            self.note(kept);
        }
    }

    fn encode(&mut self, event: LogEvent<'_>) -> Result<(), LogError> {
        self.line.clear();
        let line = LogLine {
            event,
            timestamp: self.clock.wall(),
            index: self.plan.index,
        };
        Ok(line.encode(&mut self.line)?)
    }

    fn append(&mut self) -> Result<(), LogError> {
        for (file, path) in &mut self.files {
            file.write_all(&self.line)
                .map_err(|source| failed(LogAct::Write, path, source))?;
        }
        Ok(())
    }

    fn note(&mut self, kept: Result<(), LogError>) {
        if let Err(error) = kept {
            self.failure.get_or_insert(error);
        }
    }
}

/// Two parts of a text, cut between characters; of bytes that are none, cut anywhere.
fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let middle = bytes.len() / 2;
    let text = std::str::from_utf8(bytes);
    let cut = text.ok().and_then(|text| {
        let mut places = middle..bytes.len();
        places.find(|place| text.is_char_boundary(*place))
    });
    let cut = bytes.split_at_checked(cut.unwrap_or(middle));
    cut.unwrap_or((bytes, &[]))
}

fn failed(act: LogAct, path: &Path, source: io::Error) -> LogError {
    LogError::File {
        act,
        path: path.to_path_buf(),
        source,
    }
}

fn open_append(path: &Path) -> Result<File, LogError> {
    let open = || {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    };
    let opened = match (open(), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            let mut builder = DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(parent).and_then(|()| open())
        }
        (opened, _) => opened,
    };
    let closed = opened.and_then(|mut file| close_torn_line(&mut file).map(|()| file));
    closed.map_err(|source| failed(LogAct::Open, path, source))
}

/// A line that was cut by a full disk or a power cut would swallow the next one.
fn close_torn_line(file: &mut File) -> io::Result<()> {
    if !file.metadata()?.is_file() || file.metadata()?.len() == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

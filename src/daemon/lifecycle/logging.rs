//! The daemon's log: files in `<state>/logs`, one a day, and stderr in the foreground.
//!
//! Logging never blocks the daemon: lines wait in bounded queues, and what does not fit there, beyond the day's bytes or
//! on the disk is dropped and counted ([`Losses`]). So nothing that matters may live in the log only. A panic is written
//! at once, past the queues, and ends the process.

use crate::daemon::lifecycle::claim::{ClaimError, prepare_private};
use crate::daemon::watcher::{Panicked, panicked};
use crate::limits::{LOG_DAY_BYTES_MAX, LOG_DAYS_MAX, LOG_LINES_WAITING_MAX};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

const PREFIX: &str = "orchd";
const SUFFIX: &str = "log";

/// Why nothing is logged.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The directory is not ours alone.
    #[error(transparent)]
    Directory(#[from] ClaimError),
    /// The file could not be made.
    #[error("failed to open a log file in `{}`", directory.display())]
    File {
        /// The directory.
        directory: PathBuf,
        /// What was said.
        source: InitError,
    },
    /// ORCHD_LOG is no filter.
    #[error("ORCHD_LOG is `{text}`, which is no level (error, warn, info, debug, trace) or filter")]
    Level {
        /// What it is.
        text: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else logs already.
    #[error("failed to begin logging")]
    Begin {
        /// What was said.
        source: TryInitError,
    },
}

/// What logging has lost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Lines that found the queue full.
    pub queue_lines: u64,
    /// Lines beyond the day's bytes.
    pub day_lines: u64,
    /// Lines that the disk refused.
    pub disk_lines: u64,
}

impl Losses {
    /// All of them; none where nothing was lost.
    #[must_use]
    pub fn lines(self) -> Option<u64> {
        let lines = self.queue_lines + self.day_lines + self.disk_lines;
        (lines > 0).then_some(lines)
    }
}

/// Tells what logging has lost, wherever it is.
#[derive(Clone, Debug)]
pub struct LossCounter {
    queues: Vec<ErrorCounter>,
    file: Arc<FileLosses>,
}

/// The log, for as long as it lives: dropping it writes what waits.
#[derive(Debug)]
pub struct Logs {
    counter: LossCounter,
    _guards: Vec<WorkerGuard>,
}

/// What is logged unless ORCHD_LOG says otherwise. A watch on a directory that was removed is gone before anybody takes
/// it away, and `notify` has a line for each.
const FILTER_DEFAULT: &str = "info,notify=error";

impl Logs {
    /// Begins to log: to files always, to stderr in the foreground. `filter` is the value of ORCHD_LOG.
    ///
    /// # Errors
    /// When the directory is not safe, the file cannot be made, or the filter is none.
    pub fn begin(
        directory: &Path,
        filter: Option<&str>,
        foreground: bool,
    ) -> Result<Self, LogError> {
        let text = filter
            .filter(|text| !text.is_empty())
            .unwrap_or(FILTER_DEFAULT);
        let filter = EnvFilter::try_new(text).map_err(|source| LogError::Level {
            text: text.to_owned(),
            source,
        })?;
        prepare_private(directory)?;
        let appender = DayAppender::open(directory)?;
        let file = Arc::clone(&appender.losses);
        let (to_file, file_guard) = queue(appender);
        let mut logs = Self {
            counter: LossCounter {
                queues: vec![to_file.error_counter()],
                file,
            },
            _guards: vec![file_guard],
        };
        let files = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(to_file);
        let stderr = foreground.then(|| {
            let (to_stderr, guard) = queue(io::stderr());
            logs.counter.queues.push(to_stderr.error_counter());
            logs._guards.push(guard);
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            tracing_subscriber::fmt::layer()
                .with_ansi(colours)
                .with_writer(to_stderr)
        });
        tracing_subscriber::registry()
            .with(filter)
            .with(files)
            .with(stderr)
            .try_init()
            .map_err(|source| LogError::Begin { source })?;
        catch_panics(directory.join("panic.txt"));
        Ok(logs)
    }

    /// Who tells what is lost.
    #[must_use]
    pub fn counter(&self) -> LossCounter {
        self.counter.clone()
    }
}

impl LossCounter {
    /// What was lost so far.
    #[must_use]
    pub fn losses(&self) -> Losses {
        let queued: usize = self.queues.iter().map(ErrorCounter::dropped_lines).sum();
        Losses {
            queue_lines: u64::try_from(queued).unwrap_or(u64::MAX),
            day_lines: self.file.day.load(Ordering::Relaxed),
            disk_lines: self.file.disk.load(Ordering::Relaxed),
        }
    }
}

fn queue<W: Write + Send + 'static>(writer: W) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LOG_LINES_WAITING_MAX)
        .thread_name("log")
        .finish(writer)
}

#[derive(Debug, Default)]
struct FileLosses {
    day: AtomicU64,
    disk: AtomicU64,
}

/// One file a day, and so many bytes a day; the appender itself knows no size.
#[derive(Debug)]
struct DayAppender<W> {
    inner: W,
    day: i64,
    bytes: u64,
    bytes_max: u64,
    losses: Arc<FileLosses>,
}

impl DayAppender<RollingFileAppender> {
    fn open(directory: &Path) -> Result<Self, LogError> {
        let inner = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(PREFIX)
            .filename_suffix(SUFFIX)
            .max_log_files(LOG_DAYS_MAX)
            .build(directory)
            .map_err(|source| LogError::File {
                directory: directory.to_path_buf(),
                source,
            })?;
        let now = jiff::Timestamp::now();
        let date = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let today = directory.join(format!("{PREFIX}.{date}.{SUFFIX}"));
        Ok(Self {
            inner,
            day: day_of(now),
            bytes: std::fs::metadata(today).map_or(0, |meta| meta.len()),
            bytes_max: LOG_DAY_BYTES_MAX,
            losses: Arc::default(),
        })
    }
}

impl<W: Write> DayAppender<W> {
    fn append(&mut self, line: &[u8], day: i64) -> io::Result<()> {
        if day != self.day {
            (self.day, self.bytes) = (day, 0);
        }
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let before = self.bytes;
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > self.bytes_max {
            self.losses.day.fetch_add(1, Ordering::Relaxed);
            if before <= self.bytes_max {
                return self
                    .inner
                    .write_all(b"the day's log is full: further lines are dropped and counted\n");
            }
            return Ok(());
        }
        self.inner.write_all(line).inspect_err(|_| {
            self.losses.disk.fetch_add(1, Ordering::Relaxed);
        })
    }
}

impl<W: Write> Write for DayAppender<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line, day_of(jiff::Timestamp::now()))
            .map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The appender turns to a new file at midnight UTC.
fn day_of(now: jiff::Timestamp) -> i64 {
    now.as_second().div_euclid(24 * 60 * 60)
}

fn catch_panics(note: PathBuf) {
    std::panic::set_hook(Box::new(move |panic| {
        let trace = std::backtrace::Backtrace::force_capture();
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let text = format!(
            "orchd {} panicked in thread {name}: {panic}\n{trace}",
            env!("CARGO_PKG_VERSION")
        );
        match panicked() {
            Panicked::Bug => {}
            Panicked::Watcher => return tracing::error!(panic = %text, "the watcher has failed"),
            Panicked::Asked => return,
        }
        // Nothing is left that could be done about a failure here.
        drop(writeln!(io::stderr(), "{text}"));
        drop(File::create(&note).and_then(|mut file| file.write_all(text.as_bytes())));
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_days_bytes_lines_are_counted_until_the_next_day() {
        let mut appender = DayAppender {
            inner: Vec::new(),
            day: 1,
            bytes: 0,
            bytes_max: 10,
            losses: Arc::default(),
        };
        for _ in 0..4 {
            appender.append(b"12345", 1).unwrap();
        }
        appender.append(b"new", 2).unwrap();
        let text = String::from_utf8(appender.inner).unwrap();
        assert_eq!(text.matches("12345").count(), 2);
        assert_eq!(text.matches("is full").count(), 1);
        assert!(text.ends_with("new"));
        assert_eq!(appender.losses.day.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_disk_that_refuses_is_counted() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let losses = Arc::default();
        let mut appender = DayAppender {
            inner: Full,
            day: 0,
            bytes: 0,
            bytes_max: 10,
            losses,
        };
        assert!(
            appender
                .append(b"x", 0)
                .is_err_and(|e| e.kind() == io::ErrorKind::StorageFull)
        );
        assert_eq!(appender.losses.disk.load(Ordering::Relaxed), 1);
    }
}

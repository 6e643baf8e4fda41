//! Real processes for every rule of the runner. Whatever a script leaves behind is named by pid through a FIFO, so that
//! its end can be proved.
//!
//! Scripts may sleep; the tests wait for ends with a deadline.

use super::*;
use crate::daemon::leftovers::end_leftovers;
use crate::daemon::process::{is_alive, start_ticks};
use crate::model::log::{LogEvent, Stream, decode};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

mod ends;
mod output;

/// Longer than any of these may take on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(60);

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    #[expect(
        clippy::disallowed_methods,
        reason = "the system's own tool makes FIFOs everywhere"
    )]
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("said");
        let made = std::process::Command::new("mkfifo").arg(fifo).status();
        assert!(made.unwrap().success());
        Self { dir }
    }

    fn run(&self) -> RunId {
        // Unique per test: the runner looks for processes by it.
        let name = self.dir.path().file_name().unwrap().to_str().unwrap();
        RunId::parse(name.trim_start_matches('.')).unwrap()
    }

    fn touch(&self, name: &str) {
        fs::File::create(self.path(name)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An attempt in the bench's directory; scripts find the FIFO there as `said`.
    fn attempt(&self, line: CommandLine) -> Attempt {
        Attempt {
            line,
            cwd: self.dir.path().to_path_buf(),
            env: BTreeMap::from([("GREETING".into(), "moin".into())]),
            run: self.run(),
            stage: StageId::parse("test").unwrap(),
            grace: Duration::from_millis(300),
            log: LogPlan {
                stage: self.path("run/commands/01-test.ndjson"),
                run: self.path("run/runner.ndjson"),
                index: 1,
                attempt: 1,
                attempts_max: 1,
            },
            earlier: Written::default(),
            mutex: Hold::Needless,
        }
    }

    fn shell(&self, script: &str) -> Attempt {
        self.attempt(CommandLine::Shell(script.to_owned()))
    }

    /// Waits for one line on the FIFO.
    async fn said(&self) -> String {
        let fifo = self.path("said");
        let read = tokio::task::spawn_blocking(move || fs::read_to_string(fifo).unwrap());
        let text = tokio::time::timeout(DEADLINE, read).await.unwrap().unwrap();
        text.trim().to_owned()
    }

    /// Waits for a process that the script names on the FIFO.
    async fn named(&self) -> Named {
        let pid = self.said().await.parse().unwrap();
        // It may have been ended already.
        let started = start_ticks(pid);
        Named { pid, started }
    }

    fn events(&self) -> Vec<LogEvent<'static>> {
        let stage = fs::read_to_string(self.path("run/commands/01-test.ndjson")).unwrap();
        let run = fs::read_to_string(self.path("run/runner.ndjson")).unwrap();
        assert_eq!(stage, run);
        stage
            .lines()
            .map(|line| decode(line).unwrap().event)
            .collect()
    }

    fn logged(&self, wanted: Stream) -> Vec<u8> {
        let mut all = Vec::new();
        for event in self.events() {
            if let LogEvent::Output { stream, bytes } = event
                && stream == wanted
            {
                all.extend_from_slice(&bytes);
            }
        }
        all
    }
}

/// A test that fails leaves nothing behind.
impl Drop for Bench {
    fn drop(&mut self) {
        let runs = BTreeSet::from([self.run()]);
        let grace = Duration::from_millis(100);
        drop(end_leftovers(runs, grace, Clock::start()));
    }
}

struct Named {
    pid: u32,
    started: Option<u64>,
}

impl Named {
    fn lives(&self) -> bool {
        self.started
            .is_some_and(|started| is_alive(self.pid, started))
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.unwrap()
}

async fn end_of(running: Running) -> Ending {
    let (_stopper, ending) = running.split();
    within(ending).await
}

async fn ended(attempt: Attempt) -> Ending {
    end_of(start(attempt, Clock::start())).await
}

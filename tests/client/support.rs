//! A daemon that says what a test wants, on a real socket; and the real `orchctl` beside it.

use crate::deadline::within;
use orch::model::id::Seq;
use orch::model::report::event::{Event, Happening};
use orch::model::time::Timestamp;
use orch::wire::call::Call;
use orch::wire::handshake::{Party, Welcome, WireLimits};
use orch::wire::message::{Id, Inbound, read, write_answer, write_event, write_refusal};
use orch::wire::refusal::Refusal;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

/// What the daemon does about one question.
pub(crate) enum Say {
    /// Answers with this document.
    Answer(Value),
    /// Answers, then tells these events.
    AnswerAnd(Value, Vec<Event>),
    /// Tells these events, then answers.
    EventsFirst(Vec<Event>, Value),
    /// Refuses.
    Refuse(Refusal),
    /// Answers, then closes the connection.
    AnswerAndLeave(Value),
    /// Sends this line instead of an answer.
    Line(&'static str),
}

/// A place with a socket, a directory to work in, and perhaps a daemon.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) work: PathBuf,
    threads: Vec<JoinHandle<()>>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().canonicalize().unwrap().join("work");
        std::fs::create_dir(&work).unwrap();
        Self {
            dir,
            work,
            threads: Vec::new(),
        }
    }

    /// A place where a daemon of this version answers as `script` says.
    pub(crate) fn with_daemon(script: impl Fn(&Call) -> Say + Send + Sync + 'static) -> Self {
        Self::with_daemon_of(env!("CARGO_PKG_VERSION"), script)
    }

    pub(crate) fn with_daemon_of(
        version: &'static str,
        script: impl Fn(&Call) -> Say + Send + Sync + 'static,
    ) -> Self {
        let mut place = Self::new();
        let listener = UnixListener::bind(place.socket()).unwrap();
        place.threads.push(std::thread::spawn(move || {
            // As a real daemon does: whoever asks beside another waits for nobody.
            std::thread::scope(|scope| {
                while let Ok((stream, _)) = listener.accept() {
                    scope.spawn(|| {
                        let stream = stream;
                        serve(&stream, version, &script);
                    });
                }
            });
        }));
        place
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("s.sock")
    }

    /// `orchctl` in the directory `work`, with surroundings that know nothing of this machine.
    pub(crate) fn orchctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchctl"));
        command.args(arguments).current_dir(&self.work).env_clear();
        command.env("ORCHD_SOCKET", self.socket());
        command.env("ORCHD_NO_AUTOSTART", "1");
        command.env("HOME", self.dir.path());
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        Done::of(output(self.orchctl(arguments)))
    }

    /// The same with a terminal for its words, as for somebody who watches.
    pub(crate) fn run_watched(&self, arguments: &[&str]) -> Done {
        let (mut watcher, terminal) = terminal();
        let mut command = self.orchctl(arguments);
        command.stderr(terminal);
        let words = std::thread::spawn(move || {
            let mut words = Vec::new();
            // It ends in an error once nobody has the terminal any more.
            drop(watcher.read_to_end(&mut words));
            words
        });
        let mut done = Done::of(output(command));
        done.err = String::from_utf8(words.join().unwrap()).unwrap();
        done
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let mut file = File::create(self.work.join(path)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn work_str(&self) -> &str {
        self.work.to_str().unwrap()
    }
}

/// A terminal, and what whoever sits at it sees.
pub(crate) fn terminal() -> (File, OwnedFd) {
    let watcher = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&watcher).unwrap();
    unlockpt(&watcher).unwrap();
    let name = ptsname(&watcher, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    (File::from(watcher), terminal)
}

/// What `orchctl` did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Done {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// The one JSON document on stdout; anything before or after it fails.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// What a command wrote, once it has ended.
pub(crate) fn output(command: Command) -> Output {
    let name = format!("{command:?}");
    let mut command = command;
    within(&name, move || command.output().unwrap())
}

/// The same of one that was started before.
pub(crate) fn end(child: Child) -> Output {
    within("the end of orchctl", || child.wait_with_output().unwrap())
}

fn serve(stream: &UnixStream, version: &str, script: &dyn Fn(&Call) -> Say) {
    let lines = BufReader::new(stream).lines();
    for line in lines.map_while(Result::ok) {
        match read(&line) {
            Ok(Inbound::Initialize { id, .. }) => {
                if send(stream, &write_answer(&id, &welcome(version)).unwrap()).is_err() {
                    return;
                }
            }
            Ok(Inbound::Request { id, call, .. }) => {
                if !answer(stream, &id, script(&call)) {
                    return;
                }
            }
            Ok(Inbound::Cancel { .. }) => {}
            other => panic!("orchctl sent {line}: {other:?}"),
        }
    }
}

/// Whether the connection goes on.
fn answer(stream: &UnixStream, id: &Id, say: Say) -> bool {
    let tell = |events: Vec<Event>| {
        let mut lines = events.iter().map(|event| write_event(event).unwrap());
        lines.all(|line| send(stream, &line).is_ok())
    };
    let result = |value: &Value| send(stream, &write_answer(id, value).unwrap()).is_ok();
    match say {
        Say::Answer(value) => result(&value),
        Say::AnswerAnd(value, events) => result(&value) && tell(events),
        Say::EventsFirst(events, value) => tell(events) && result(&value),
        Say::Refuse(refusal) => send(stream, &write_refusal(Some(id), &refusal).unwrap()).is_ok(),
        Say::AnswerAndLeave(value) => {
            result(&value);
            false
        }
        Say::Line(line) => send(stream, &format!("{line}\n")).is_ok(),
    }
}

fn send(mut stream: &UnixStream, line: &str) -> std::io::Result<()> {
    stream.write_all(line.as_bytes())
}

fn welcome(version: &str) -> Welcome {
    Welcome {
        protocol: 1,
        server: Party {
            name: "orchd".to_owned(),
            version: version.to_owned(),
        },
        instance_id: "test".to_owned(),
        capabilities: Vec::new(),
        seq: Seq(0),
        limits: WireLimits::here(),
    }
}

pub(crate) fn event(seq: u64, what: Happening) -> Event {
    Event {
        seq: Seq(seq),
        at: Timestamp::from_unix_ms(0),
        what,
    }
}

pub(crate) fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap()
}

/// The names of an object's fields, in their order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}

/// `path` as text.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

//! `orchd` as a process: started, doubled, killed, detached, signalled, and the socket that it serves.
//!
//! Every daemon here has a directory of its own for its socket and its state. Nothing sleeps: a test waits for a line, an
//! exit or the end of a stream.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test starts processes itself and fails by panicking"
)]

#[path = "../deadline/within.rs"]
mod deadline;
mod single;
mod socket;
mod start;

use deadline::{DEADLINE, within};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::Instant;

/// A place for one daemon at a time.
struct Room {
    directory: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.path("run/orchd.sock")
    }

    /// A command that sees nothing of the surroundings but this room.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("ORCHD_SOCKET", self.socket())
            .env("ORCHD_STATE_DIR", self.path("state"))
            .stdin(Stdio::null());
        command
    }

    fn orchd(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_orchd"))
    }

    fn log(&self) -> String {
        let files = std::fs::read_dir(self.path("state/logs")).unwrap();
        files
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect()
    }
}

/// A daemon in the foreground; it is killed at the end if it still lives.
struct Daemon {
    child: Child,
    /// The lines of its stderr, up to its end.
    lines: mpsc::Receiver<String>,
    /// What it has said so far.
    said: String,
}

impl Daemon {
    fn spawn(room: &Room) -> Self {
        Self::spawn_as(&mut room.orchd())
    }

    fn spawn_as(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = stderr.lines().map_while(Result::ok);
            lines.all(|line| send.send(line).is_ok())
        });
        Self {
            child,
            lines,
            said: String::new(),
        }
    }

    /// Returns once it listens.
    fn start(room: &Room) -> Self {
        let mut daemon = Self::spawn(room);
        assert!(daemon.listens(), "the daemon ended");
        daemon
    }

    /// Waits until it listens or has ended; says which.
    fn listens(&mut self) -> bool {
        self.says(" started ")
    }

    /// Waits until it has said this or has ended; says which.
    fn says(&mut self, text: &str) -> bool {
        while !self.said.contains(text) {
            if !self.hears() {
                return false;
            }
        }
        true
    }

    /// Waits for one line more; says whether there is one.
    fn hears(&mut self) -> bool {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => {
                self.said.push_str(&line);
                self.said.push('\n');
                true
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => false,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing came after: {}", self.said),
        }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        signal_to(self.pid(), signal);
    }

    /// Waits for its end, and returns what it said.
    fn end(&mut self) -> (ExitStatus, &str) {
        while self.hears() {}
        let late = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < late, "it lives on: {}", self.said);
            std::thread::yield_now();
        };
        (status, &self.said)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn signal_to(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// One connection of a client.
struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    fn send(&mut self, line: &str) {
        let text = format!("{line}\n");
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next line as JSON; none at the end.
    fn line(&mut self) -> Option<serde_json::Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            // The other side closed while something of ours was unread.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn ask(&mut self, method: &str) -> serde_json::Value {
        self.send(&format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#
        ));
        self.line().unwrap()
    }

    fn introduce(&mut self) {
        self.send(
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"client":{"name":"test","version":"0"},"protocol":[1]}}"#,
        );
        assert_eq!(self.line().unwrap()["result"]["protocol"], 1);
    }
}

/// The process that answers on the socket.
fn pid_of(socket: &Path) -> u32 {
    let answer = Client::connect(socket).ask("ping");
    u32::try_from(answer["result"]["pid"].as_u64().unwrap()).unwrap()
}

fn shut_down(socket: &Path) {
    let mut client = Client::connect(socket);
    client.introduce();
    assert!(client.ask("shutdown")["result"]["pid"].is_u64());
    assert_eq!(client.line(), None);
}

/// What a command says, once it has ended.
fn output(command: &mut Command) -> Output {
    let name = format!("the end of {command:?}");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    within(&name, || child.wait_with_output().unwrap())
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

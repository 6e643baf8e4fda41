//! A place with one daemon and its workspaces; everything in it is killed when it is dropped.

use crate::deadline::{DEADLINE, within};
use crate::events::Events;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;

/// A place for one daemon at a time.
pub(crate) struct World {
    directory: tempfile::TempDir,
    daemon: Option<Child>,
    environment: Vec<(String, String)>,
    /// What the daemon is started by, if not by itself.
    wrapper: Vec<String>,
}

impl World {
    /// A place without a daemon.
    pub(crate) fn empty() -> Self {
        Self {
            directory: tempfile::Builder::new()
                .prefix("o-")
                .tempdir_in("/tmp")
                .unwrap(),
            daemon: None,
            environment: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    /// A place with a daemon that answers.
    pub(crate) fn new() -> Self {
        let mut world = Self::empty();
        world.start();
        world
    }

    /// Gives everything that is started from now on this variable.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("r/orchd/orchd.sock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// A command that sees nothing of the surroundings but this place.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("r"))
            .env("ORCHD_STATE_DIR", self.state())
            .env("ORCHD_CONFIG", self.path("config.toml"))
            .env("ORCHD_SOCKET", self.socket())
            .env("ORCHD_NO_AUTOSTART", "1")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "a")
            .env("GIT_AUTHOR_EMAIL", "a@example.org")
            .env("GIT_COMMITTER_NAME", "a")
            .env("GIT_COMMITTER_EMAIL", "a@example.org")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.path(""))
            .stdin(Stdio::null());
        command
    }

    /// Starts the daemon from now on with this program, whose last argument it is.
    pub(crate) fn wrap(&mut self, program: &[&str]) {
        self.wrapper = program.iter().map(|word| (*word).to_owned()).collect();
    }

    pub(crate) fn orchd(&self) -> Command {
        let orchd = env!("CARGO_BIN_EXE_orchd");
        let Some((program, arguments)) = self.wrapper.split_first() else {
            return self.command(orchd);
        };
        let mut command = self.command(program);
        command.args(arguments).arg(orchd);
        command
    }

    /// Starts the daemon, and returns once it answers.
    pub(crate) fn start(&mut self) {
        self.spawn();
        let pinged = self.ctl(&["ping", "--wait", "30s"]);
        assert_eq!(pinged.code, Some(0), "{pinged:?}");
    }

    /// Starts the daemon, and does not wait for it.
    pub(crate) fn spawn(&mut self) {
        std::fs::create_dir_all(self.path("home")).unwrap();
        let runtime = self.path("r");
        std::fs::create_dir_all(&runtime).unwrap();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let mut command = self.orchd();
        command.stderr(log).stdout(Stdio::null());
        self.daemon = Some(command.spawn().unwrap());
    }

    /// Starts another daemon before the one that was told to end is gone.
    pub(crate) fn start_over(&mut self) {
        let old = self.daemon.take();
        self.start();
        if let Some(mut old) = old {
            old.wait().unwrap();
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal_to(self.pid(), signal);
    }

    /// Waits for the daemon's end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.daemon.take().unwrap();
        let pid = child.id();
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || send.send(child.wait()));
        let Ok(status) = receive.recv_timeout(DEADLINE) else {
            signal_to(pid, Signal::KILL);
            panic!("the daemon did not end");
        };
        status.unwrap()
    }

    /// Kills the daemon without a word.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended();
    }

    /// Makes a directory that the daemon does not know yet.
    pub(crate) fn directory(&self, name: &str) -> Workspace<'_> {
        let root = self.path(name);
        std::fs::create_dir_all(&root).unwrap();
        Workspace { world: self, root }
    }

    /// Makes a workspace with this configuration, adds and allows it; what it runs at first has ended.
    pub(crate) fn watched(&self, name: &str, toml: &str) -> Workspace<'_> {
        let workspace = self.directory(name);
        workspace.write("orchd.toml", toml);
        workspace.done(&["add", "--allow"]);
        workspace.wait();
        workspace
    }

    pub(crate) fn events(&self) -> Events {
        Events::subscribe(&self.socket())
    }

    /// `orchctl` outside of any workspace.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Done {
        let mut command = self.command(env!("CARGO_BIN_EXE_orchctl"));
        command.args(arguments).current_dir(self.path(""));
        finish(command)
    }

    pub(crate) fn status(&self) -> Value {
        self.ctl(&["status", "--json"]).json()
    }

    /// The processes that stages of this place's workspaces have started and that still live.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mark = format!(
            "CODEX_ORCHESTRATOR_ROOT={}",
            self.directory.path().display()
        );
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let own = std::process::id();
        pids.filter(|pid| {
            *pid != own
                && std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|all| {
                    all.split(|b| *b == 0)
                        .any(|e| e.starts_with(mark.as_bytes()))
                })
        })
        .collect()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Makes a pipe that a stage can wait at.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success(), "mkfifo failed");
        path
    }

    /// What somebody says into a pipe, once somebody does.
    pub(crate) fn heard(&self, pipe: &Path) -> String {
        let pipe = pipe.to_path_buf();
        let what = format!("nobody wrote into {}", pipe.display());
        within(&what, || std::fs::read_to_string(pipe).unwrap())
    }

    /// Says this into a pipe, once somebody reads there.
    pub(crate) fn say(&self, pipe: &Path, text: &'static str) {
        let pipe = pipe.to_path_buf();
        let what = format!("nobody read from {}", pipe.display());
        within(&what, move || std::fs::write(pipe, text).unwrap());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
        for pid in self.processes() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                kill_process(pid, Signal::KILL).unwrap_or_default();
            }
        }
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}---", self.log());
        }
    }
}

/// A directory with files, and `orchctl` in it.
pub(crate) struct Workspace<'a> {
    pub(crate) world: &'a World,
    pub(crate) root: PathBuf,
}

impl Workspace<'_> {
    /// Saves a file whole: it comes into its place by a rename. A file that is written where it stands is empty first,
    /// and a pause there that is longer than `settle_ms` makes the empty file content of its own, with a run of its own.
    pub(crate) fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = tempfile::NamedTempFile::new_in(self.world.path("")).unwrap();
        file.write_all(text.as_ref()).unwrap();
        let as_before = path.metadata().map(|old| old.permissions());
        let mode = as_before.unwrap_or_else(|_| Permissions::from_mode(0o644));
        file.as_file().set_permissions(mode).unwrap();
        file.persist(path).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.root.join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.read(path)).unwrap()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.root.join(path).symlink_metadata().is_ok()
    }

    pub(crate) fn root(&self) -> &str {
        self.root.to_str().unwrap()
    }

    /// Runs a shell line in it; it must succeed.
    pub(crate) fn sh(&self, line: &str) {
        let done = self.running(line).end();
        assert_eq!(done.code, Some(0), "{line}: {done:?}");
    }

    /// Starts a shell line in it.
    pub(crate) fn running(&self, line: &str) -> Running {
        let mut command = self.world.command("/bin/sh");
        command.args(["-ec", line]).current_dir(&self.root);
        Running::of(command)
    }

    pub(crate) fn orchctl(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(env!("CARGO_BIN_EXE_orchctl"));
        command.args(arguments).current_dir(&self.root);
        command
    }

    pub(crate) fn ctl(&self, arguments: &[&str]) -> Done {
        finish(self.orchctl(arguments))
    }

    /// `orchctl` that must succeed.
    pub(crate) fn done(&self, arguments: &[&str]) -> Done {
        let done = self.ctl(arguments);
        assert_eq!(done.code, Some(0), "{arguments:?}: {done:?}");
        done
    }

    /// The verdict for what is there now, once there is one.
    pub(crate) fn wait(&self) -> Value {
        self.ctl(&["wait", "--json", "--timeout", "30s"]).json()
    }

    /// What `status` says of this workspace.
    pub(crate) fn status(&self) -> Value {
        let all = self.done(&["status", "--json"]).json();
        let found = all["workspaces"].as_array().unwrap().iter();
        let mut found = found.filter(|workspace| workspace["root"] == self.root());
        found.next().unwrap().clone()
    }

    /// What `runs` lists, newest first.
    pub(crate) fn runs(&self) -> Vec<Value> {
        let runs = self.done(&["runs", "--json"]).json();
        runs["runs"].as_array().unwrap().clone()
    }

    /// What happened up to now, with the present content looked at.
    pub(crate) fn settle(&self, events: &mut Events) -> Vec<Value> {
        self.ctl(&["gate", "--no-wait"]);
        let synced = self.done(&["sync", "--json"]).json();
        events.through(synced["seq"].as_u64().unwrap())
    }
}

/// What `orchctl` did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// The one JSON document on stdout; anything before or after it fails.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Waits for a command's end, within the deadline.
pub(crate) fn finish(mut command: Command) -> Done {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::of(command).end()
}

/// A command that has been started.
pub(crate) struct Running {
    pid: u32,
    output: mpsc::Receiver<std::io::Result<Output>>,
    name: String,
}

impl Running {
    pub(crate) fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = format!("{command:?}");
        let child = command.spawn().unwrap();
        let (send, output) = mpsc::channel();
        let pid = child.id();
        std::thread::spawn(move || send.send(child.wait_with_output()));
        Self { pid, output, name }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal_to(self.pid, signal);
    }

    /// What it wrote, to the byte.
    pub(crate) fn output(self) -> Output {
        let Ok(output) = self.output.recv_timeout(DEADLINE) else {
            self.signal(Signal::KILL);
            panic!("{} did not end", self.name);
        };
        output.unwrap()
    }

    pub(crate) fn end(self) -> Done {
        let output = self.output();
        Done {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Whether a tool does here what a test needs. Where it does not the test shows nothing, and that is said past whoever
/// keeps what a test that passes has to say.
pub(crate) fn works(tool: &[&str], otherwise: &str) -> bool {
    let mut tried = Command::new(tool[0]);
    tried.args(&tool[1..]);
    let works = tried.status().is_ok_and(|status| status.success());
    if !works {
        let tool = tool.join(" ");
        let said = format!("SKIP: `{tool}` does not work here: {otherwise}\n");
        std::io::stderr().write_all(said.as_bytes()).unwrap();
    }
    works
}

/// The same of a tool that `.ci/run` installs: under `CI=true` a test without it fails.
pub(crate) fn is_had(tool: &[&str], otherwise: &str) -> bool {
    let works = works(tool, otherwise);
    let has_all = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(works || !has_all, "`{}` does not work in CI", tool[0]);
    works
}

pub(crate) fn signal_to(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// A configuration of one project `t` with these stages, each an id and the rest of its table.
pub(crate) fn pipeline(stages: &[(&str, &str)]) -> String {
    let head = "[[project]]\ntask = \"t\"\n[[pipeline]]\nid = \"diagnostics\"\n".to_owned();
    let tables = stages
        .iter()
        .map(|(id, rest)| format!("[[pipeline.stage]]\nid = \"{id}\"\n{rest}\n"));
    std::iter::once(head).chain(tables).collect()
}

/// A configuration of one project `t` with one stage `check`.
pub(crate) fn check(command: &str) -> String {
    pipeline(&[("check", &format!("command = '''{command}'''"))])
}

/// The lines of a file; none where there is no file.
pub(crate) fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// The raw names in a directory.
pub(crate) fn names(path: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(path).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().as_bytes().to_vec())
        .collect();
    names.sort();
    names
}

//! A place of its own with one daemon and one workspace, and what the daemon says over its socket.

use crate::deadline::DEADLINE;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The one stage writes down what it reads: it is the witness of what was run. It passes whatever it
/// meets, and waits for no pipe that has taken the place of a file meanwhile.
const WITNESS: &str = "find . -name .git -prune -o -path ./.runs -prune -o -path ./out -prune -o -type f \
     -exec timeout 10 sha256sum -z {} + > ../seen/$ORCHD_RUN_ID 2> /dev/null || true";

/// One daemon, and one workspace that it watches.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Place {
    /// A place whose workspace holds a repository with branches to switch between.
    pub(crate) fn new(settle_ms: u32, poll: &str) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("c-")
            .tempdir_in("/tmp")
            .unwrap();
        let mut place = Self {
            directory,
            daemon: None,
        };
        for name in ["home", "w", "outside", "seen", "source/x/y", "source/d e"] {
            std::fs::create_dir_all(place.path(name)).unwrap();
        }
        place.run("outside", &["sh", "-ec", SOURCE]);
        let settings = format!(
            "[workspace]\npoll = \"{poll}\"\nsettle_ms = {settle_ms}\nsettle_max_ms = {}\n[[project]]\ntask = \"t\"\n\
             [[pipeline]]\nid = \"diagnostics\"\n[[pipeline.stage]]\nid = \"witness\"\ncommand = '''{WITNESS}'''\n\
             [[pipeline.stage]]\nid = \"declares\"\ncommand = \"true\"\ninputs = [\"keep.log\", \"gen/**\"]\n",
            settle_ms * 4
        );
        std::fs::write(place.root().join("orchd.toml"), settings).unwrap();
        place.run("w", &["sh", "-ec", BRANCHES]);
        place.start();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("w")
    }

    /// A command that sees nothing of the surroundings but this place.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("ORCHD_STATE_DIR", self.path("state"))
            .env("ORCHD_CONFIG", self.path("config.toml"))
            .env("ORCHD_SOCKET", self.path("r/orchd.sock"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "a")
            .env("GIT_AUTHOR_EMAIL", "a@example.org")
            .env("GIT_COMMITTER_NAME", "a")
            .env("GIT_COMMITTER_EMAIL", "a@example.org")
            .current_dir(self.path(""))
            .stdin(Stdio::null());
        command
    }

    /// Runs a program in a directory of this place; it must succeed.
    fn run(&self, directory: &str, line: &[&str]) {
        let mut command = self.command(line[0]);
        command.args(&line[1..]).current_dir(self.path(directory));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{line:?}: {output:?}");
    }

    fn start(&mut self) {
        let mut command = self.command(env!("CARGO_BIN_EXE_orchd"));
        std::fs::create_dir_all(self.path("r")).unwrap();
        let log = std::fs::File::create(self.path("log")).unwrap();
        command.stderr(log).stdout(Stdio::null());
        self.daemon = Some(command.spawn().unwrap());
        let orchctl = env!("CARGO_BIN_EXE_orchctl");
        self.run("w", &[orchctl, "ping", "--wait", "30s"]);
        self.run("w", &[orchctl, "add", "--allow"]);
    }

    /// A connection that has said who it is.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.path("r/orchd.sock"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.daemon.as_ref().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            eprintln!("--- the daemon's log\n{log}---");
        }
    }
}

/// What is copied and unpacked; the names are such that no rule ever ignores them.
const SOURCE: &str = "cd ../source
    for d in a b x x/y 'd e'; do mkdir -p \"$d\"; for f in 1 2 3; do echo \"$d$f\" > \"$d/$f\"; done; done
    chmod +x a/1; ln -s ../a b/link; mkdir -p x/gen; echo made > x/gen/x.log; tar cf ../source.tar .";

/// Three branches, of which two have rules of their own. What is tracked is never ignored.
const BRANCHES: &str = "git init -q -b b0; git config gc.auto 0
    printf '/.runs/\\n/out/\\n' >> .git/info/exclude; mkdir -p h
    for d in a b c; do mkdir -p t/$d/in; for f in 1 2 3 4; do echo $d$f > t/$d/$f; echo $d$f > t/$d/in/$f; done; done
    git add t; git commit -qm 0
    git checkout -qb b1; echo '*.log' > t/.gitignore; git rm -qr t/a; for f in 1 2 3 4; do echo one > t/b/$f; done
    mkdir -p t/new/deep; echo one > t/new/deep/f; git add t; git commit -qm 1
    git checkout -q b0; git checkout -qb b2; printf 'gen/\\ncache\\n' > t/.gitignore; git rm -qr t/b
    echo file > t/b; echo two > t/c/in/1; chmod +x t/c/in/2; git add t; git commit -qm 2; git checkout -q b0";

/// One connection to the daemon.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    /// The number of the last event.
    seq: u64,
}

impl Client {
    fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut client = Self {
            stream: BufReader::new(stream),
            seq: 0,
        };
        let party = json!({"client": {"name": "convergence", "version": "0"}, "protocol": [1]});
        let welcome = client.ask("initialize", &party);
        assert_eq!(welcome["protocol"], 1, "{welcome}");
        client
    }

    /// The result of a request; an error fails the test.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let answer = self.exchange(method, params);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    fn exchange(&mut self, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let line = format!("{message}\n");
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
        self.line()
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        let read = read.unwrap_or_else(|error| panic!("the daemon says nothing: {error}"));
        assert!(read > 0, "the daemon closed the connection");
        serde_json::from_str(&line).unwrap()
    }

    /// Makes a subscriber of it.
    pub(crate) fn subscribed(mut self) -> Self {
        self.ask("events.subscribe", &json!({}));
        self.seq = self.line()["params"]["seq"].as_u64().unwrap();
        self
    }

    /// The events up to this number that were not heard before.
    pub(crate) fn through(&mut self, seq: u64) -> Vec<Value> {
        let mut events = Vec::new();
        while self.seq < seq {
            let event = self.line()["params"].clone();
            self.seq = event["seq"].as_u64().unwrap();
            events.push(event);
        }
        events
    }
}

"""The watchers, each with what makes it do the same: ignore node_modules, settle for 20 ms, run one program.

A tool is started on a tree and ended as a session. What has to be told to a tool once it runs (its client adds the tree)
is told from a thread, while the tree is already being written to.
"""

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import bench

from . import processes, trees

SETTLE_MS = 20
ANSWER_S = 300


class Failed(Exception):
    """A tool did not do what was asked; its row says so, and the others go on."""


@dataclasses.dataclass
class Place:
    """What every tool is given: where it may write, and what it runs."""

    scratch: Path
    sockets: Path
    floor: Path
    orchd: Path
    orchctl: Path
    peers: list
    count: int = 0

    def fresh(self, name):
        self.count += 1
        made = self.scratch / f"{self.count:03}-{name}"
        made.mkdir()
        return made

    def find(self, name):
        return shutil.which(name, path=os.pathsep.join([*map(str, self.peers), os.environ["PATH"]]))

    def environment(self, folder, **more):
        (folder / "home").mkdir(exist_ok=True)
        own = {"XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "data"}
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NO_COLOR": "1", "HOME": str(folder / "home"),
                "TMPDIR": str(folder), **{name: str(folder / value) for name, value in own.items()}, **more}

    def command(self, stamps):
        return [str(self.floor), "stamp", str(stamps.path)]


class Session:
    """One tool at work on one tree."""

    def __init__(self, place, name, tree, stamps=None):
        self.place, self.tree = place, tree
        self.folder = place.fresh(name)
        self.stamps = stamps or trees.Stamps(self.folder / "stamps")
        self.env = place.environment(self.folder)
        self.log = open(self.folder / "log", "wb")
        self.child = self.began = self.teller = self.refused = None
        self.added = None  # when it said that all is watched, where it says so

    def start(self, argv, cwd, tell=None):
        self.began = trees.now_ns()
        self.child = processes.start(argv, cwd, self.env, self.log)
        if tell:
            self.teller = threading.Thread(target=self.told, args=(tell,), daemon=True)
            self.teller.start()
        return self

    def told(self, tell):
        try:
            tell()
        except (Failed, OSError, ValueError, subprocess.SubprocessError) as error:
            self.refused = error

    def check(self):
        if self.refused is not None:
            raise Failed(str(self.refused))
        if self.child.poll() is not None:
            raise Failed(f"it ended by itself with {self.child.returncode}: {self.last_words()}")

    def last_words(self):
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no word"

    def stop(self):
        processes.stop(self.child)
        if self.teller:
            self.teller.join()
        self.stamps.close()
        self.log.close()


def client(argv, env, cwd=None, limit_s=ANSWER_S):
    done = subprocess.run(argv, env=env, cwd=cwd, capture_output=True, text=True, timeout=limit_s, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(map(str, argv))}` exited {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class Tool:
    """`at_start`: how many times its program runs before anything has changed."""

    name, at_start, new_directories = "", 0, True

    def __init__(self, place):
        self.place = place
        self.program = place.find(self.name)

    def session(self, tree):
        session = Session(self.place, self.name, tree)
        return session.start(self.argv(tree, session.place.command(session.stamps)), tree.root)

    def version(self):
        told = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        words = (told.stdout or told.stderr).strip().splitlines()[0].split()
        return next((word for word in words if word[0].isdigit()), "")


class Floor(Tool):
    name = "floor"

    def __init__(self, place):
        super().__init__(place)
        self.program = str(place.floor)

    def version(self):
        return ""

    def argv(self, tree, command):
        return [self.program, "watch", tree.root, str(SETTLE_MS), *command]


class Watchexec(Tool):
    name = "watchexec"

    def argv(self, tree, command):
        return [self.program, "--quiet", "--postpone", "--shell=none", f"--debounce={SETTLE_MS}ms",
                "--on-busy-update=queue", "--watch", ".", "--", *command]


class Watchman(Tool):
    name = "watchman"
    at_start = 1

    def session(self, tree):
        settings = {"settle": SETTLE_MS, "ignore_dirs": [trees.IGNORED]}
        (tree.root / ".watchmanconfig").write_text(json.dumps(settings))
        session = Session(self.place, self.name, tree)
        socket_path = self.place.sockets / f"w{self.place.count}"
        where = ["-U", socket_path, "-o", session.folder / "watchman.log", "--pidfile", session.folder / "pid", "-n"]
        ask = [self.program, "-U", socket_path, "--no-spawn", "--no-local", "-j"]
        trigger = {"name": "bench", "expression": ["true"], "append_files": False, "stdin": "/dev/null",
                   "command": self.place.command(session.stamps)}

        def tell():
            wait_for_socket(socket_path)
            for request in (["watch", str(tree.root)], ["trigger", str(tree.root), trigger]):
                done = subprocess.run(ask, env=session.env, input=json.dumps(request), capture_output=True, text=True,
                                      timeout=ANSWER_S, check=False)
                if done.returncode != 0 or "error" in json.loads(done.stdout):
                    raise Failed(f"watchman {request[0]}: {(done.stdout + done.stderr).strip()}")

        return session.start([self.program, "-f", *where], tree.root, tell)


class Entr(Tool):
    """Watches the files that it is given, and ends when a directory that it was given gets another."""

    name, new_directories = "entr", False

    def argv(self, _, command):
        listed = f"find . -name .git -prune -o -name {trees.IGNORED} -prune -o -type f -print"
        return ["sh", "-c", f'{listed} | exec "$@"', "sh", self.program, "-n", "-p", *command]

    def version(self):
        told = subprocess.run([self.program], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        return next((line.split()[-1] for line in told.stderr.splitlines() if line.startswith("release")), "")


class Nodemon(Tool):
    name, at_start = "nodemon", 1

    def argv(self, _, command):
        return [self.program, "--quiet", "--no-update-notifier", "--no-stdin", "--watch", ".", "--ext", "txt",
                "--delay", f"{SETTLE_MS}ms", "--exec", " ".join(command)]


class Onchange(Tool):
    """Starts its program at the first event, and with `-k` ends it and starts it anew at the next."""

    name = "onchange"

    def argv(self, _, command):
        return [self.program, "-k", "**/*", "--", *command]

    def version(self):
        package = Path(self.program).resolve().parent.parent / "package.json"
        return json.loads(package.read_text())["version"]


def wait_for_socket(path, limit_s=30):
    limit = time.monotonic() + limit_s
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
            return
        except OSError:
            if time.monotonic() > limit:
                raise Failed(f"nobody listens on {path}") from None
            time.sleep(0.005)


class Ours(Tool):
    name = "ours"

    def __init__(self, place):
        super().__init__(place)
        self.program = str(place.orchd)

    def configure(self, root, command, task="bench"):
        (root / "orchd.toml").write_text(bench.config(task, "stamp", command, on_start="false", settle_ms=SETTLE_MS))

    def session(self, tree, roots=None):
        """A daemon that is told of the tree, or of the workspaces in it, once it listens."""
        session = Session(self.place, self.name, tree)
        session.socket = self.place.sockets / f"o{self.place.count}"
        session.env |= {"ORCHD_STATE_DIR": str(session.folder / "daemon"), "ORCHD_SOCKET": str(session.socket),
                        "ORCHD_CONFIG": str(session.folder / "config.toml"), "ORCHD_NO_AUTOSTART": "1"}
        (session.folder / "config.toml").write_text("")
        roots = roots or [tree.root]
        for number, root in enumerate(roots):
            self.configure(root, self.place.command(session.stamps), f"bench-{number}")

        def tell():
            wait_for_socket(session.socket)
            with Connection(session.socket) as connection:
                for root in roots:
                    connection.send("workspace.add", path=str(root), allow=True)
                    connection.receive()
            session.added = trees.now_ns()

        return session.start([self.program], session.folder, tell)

def forget(root):
    """Takes away what a daemon left in a tree that others watch after it."""
    for folder in (".runs", "out"):
        shutil.rmtree(root / folder, ignore_errors=True)


class Connection:
    """JSON-RPC, one message a line, on the daemon's socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_S)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rb")
        self.id = 0
        self.send("initialize", client={"name": "bench", "version": "1"}, protocol=[1])
        self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def request(self, method, **params):
        self.id += 1
        return json.dumps({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}).encode() + b"\n"

    def send(self, method, **params):
        self.socket.sendall(self.request(method, **params))

    def receive(self):
        line = self.lines.readline()
        if not line:
            raise Failed("the daemon closed the connection")
        message = json.loads(line)
        if "error" in message:
            raise Failed(f"the daemon refused: {message['error']['message']}")
        return message.get("result", message)

    def ask(self, method, **params):
        self.send(method, **params)
        return self.receive()


ALL = (Floor, Ours, Watchexec, Watchman, Entr, Nodemon, Onchange)

"""What the scripts beside it share: binaries, a daemon of their own, timing, the machine, and the block in the docs.

Nothing here measures by itself, and nothing is asserted about figures. Python 3.11, standard library only.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs/benchmarks.md"
TASK = "bench"
COMMAND_S_MAX = 60


def say(message):
    print(f"{Path(sys.argv[0]).stem}: {message}", file=sys.stderr, flush=True)


def fail(message):
    say(message)
    sys.exit(2)


def binary(variable, name):
    path = Path(os.environ.get(variable, REPOSITORY / "target/debug" / name)).absolute()
    if not os.access(path, os.X_OK):
        fail(f"{path} is not there: build it (`cargo build --release` for figures that mean something), or name it in {variable}")
    return path


def file_system(path):
    """The type of the file system that holds `path`, from the longest mount point above it."""
    best = ("", "unknown")
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return best[1]
    for line in mounts:
        left, right = line.split(" - ", 1)
        point = left.split()[4].encode().decode("unicode_escape")
        inside = path == Path(point) or Path(point) in path.parents
        if inside and len(point) >= len(best[0]):
            best = (point, right.split()[0])
    return best[1]


def processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine(place, orchd):
    """One sentence on where the figures come from."""
    version = subprocess.run([orchd, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    load = ", ".join(f"{x:.2f}" for x in os.getloadavg())
    return (f"Machine: {os.cpu_count()} cores ({processor()}), {platform.system()} {platform.release()}, "
            f"{file_system(place)}, load {load}; {version}; {time.strftime('%Y-%m-%d', time.gmtime())}.")


def environment(scratch, **more):
    (scratch / "home").mkdir(exist_ok=True)
    base = {
        "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NO_COLOR": "1", "HOME": str(scratch / "home"),
        "MCP_RUNNER_TASK_ID": TASK,
    }
    return base | more


def config(task, stage, command, **workspace):
    """An orchd.toml of one project with one stage; the values of `workspace` are TOML."""
    lines = ["[workspace]", *(f"{key} = {value}" for key, value in workspace.items()), ""]
    lines += ["[[project]]", f"task = {json.dumps(task)}", 'pipeline = "diagnostics"', ""]
    lines += ["[[pipeline]]", 'id = "diagnostics"', "", "[[pipeline.stage]]", f"id = {json.dumps(stage)}", f"command = {json.dumps(command)}", ""]
    return "\n".join(lines)


def timed(argv, cwd, env):
    """Wall time in ms from before the process is made until it has ended."""
    before = time.perf_counter_ns()
    done = subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, timeout=COMMAND_S_MAX, check=False)
    took = (time.perf_counter_ns() - before) / 1e6
    if done.returncode != 0:
        fail(f"`{' '.join(map(str, argv))}` exited {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    return took


class Daemon:
    """One orchd in the foreground with state, socket and configuration of its own."""

    def __init__(self, scratch, socket_dir, orchd, orchctl):
        self.env = environment(scratch, ORCHD_STATE_DIR=str(scratch / "state"), ORCHD_CONFIG=str(scratch / "config.toml"),
                               ORCHD_SOCKET=str(socket_dir / "s"))
        (scratch / "config.toml").write_text("")
        self.orchctl = orchctl
        self.log = open(scratch / "orchd.log", "wb")
        self.child = subprocess.Popen([orchd], cwd=scratch, env=self.env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def ctl(self, *args, cwd=None):
        done = subprocess.run([self.orchctl, *args], cwd=cwd, env=self.env, capture_output=True, text=True,
                              timeout=COMMAND_S_MAX, check=False)
        if done.returncode != 0:
            fail(f"`orchctl {' '.join(args)}` exited {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.log.close()


def write_block(page, lines, title, markers):
    begin, end = markers
    text = page.read_text() if page.exists() else "# Benchmarks\n"
    body = "\n".join([begin, *lines, end])
    if begin in text and end in text:
        head, rest = text.split(begin, 1)
        text = head + body + rest.split(end, 1)[1]
    else:
        text = text.rstrip("\n") + f"\n\n## {title}\n\n" + body + "\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text)

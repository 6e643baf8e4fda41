#!/usr/bin/env python3
"""Times a run of four `true` stages, several ways, in turns on one machine.

    daemon    `orchctl run --force`, the whole client process, evidence on disk when it returns
    starts    the processes that such a run cannot do without, and nothing else: a client that only says its version,
              then four times `sh -c true`, one after the other
    shell     `sh -c 'true;true;true;true'`
    upstream  `codex-orchestrator start` of the published package in tests/interop/node_modules

The turns let load fall on all alike, and each turn begins with another, so that none always finds the caches as the same
other left them. Nothing is asserted about the figures.
Binaries: ORCHD_BIN and ORCHCTL_BIN, default target/debug/. Python 3.11, standard library only. Builds nothing.
"""

import argparse
import json
import math
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
UPSTREAM = REPOSITORY / "tests/interop/node_modules/@kbediako/codex-orchestrator"
TASK = "bench"
COMMAND_S_MAX = 60
BEGIN, END = "<!-- bench:four-stages:begin -->", "<!-- bench:four-stages:end -->"


def fail(message):
    print(f"four-stages: {message}", file=sys.stderr)
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


def make_workspace(root):
    stages = [{"kind": "command", "id": f"s{i}", "title": f"S{i}", "command": "true"} for i in range(1, 5)]
    config = {"defaultPipeline": "diagnostics", "pipelines": [{"id": "diagnostics", "title": "Four", "stages": stages}]}
    root.mkdir(parents=True)
    (root / "codex.orchestrator.json").write_text(json.dumps(config, indent=2) + "\n")
    return root


def environment(scratch, **more):
    (scratch / "home").mkdir(exist_ok=True)
    base = {
        "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NO_COLOR": "1", "HOME": str(scratch / "home"),
        "MCP_RUNNER_TASK_ID": TASK,
    }
    return base | more


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


def succeeded_runs(root):
    """How many runs of the workspace have a manifest on disk that says `succeeded`."""
    manifests = root.glob(f".runs/{TASK}/cli/*/manifest.json")
    return sum(json.loads(m.read_text())["status"] == "succeeded" for m in manifests)


def measure(ways, rounds):
    times = {name: [] for name in ways}
    for turn in range(rounds + 1):
        order = list(ways.items())
        first = turn % len(order)
        for name, (argv, cwd, env) in order[first:] + order[:first]:
            took = timed(argv, cwd, env)
            if turn > 0:  # the first turn only warms the caches
                times[name].append(took)
    return times


def percentile(values, share):
    """Nearest rank."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def table(times):
    base = statistics.median(times["daemon"])
    rows = ["| way | median ms | p95 ms | min ms | median / daemon's |", "|---|---:|---:|---:|---:|"]
    for name, values in times.items():
        median = statistics.median(values)
        rows.append(f"| {LABELS[name]} | {median:.2f} | {percentile(values, 0.95):.2f} | {min(values):.2f} | {median / base:.3g} |")
    return rows


LABELS = {
    "daemon": "`orchctl run --force` through `orchd`",
    "starts": "starting its five processes: `orchctl --version`, 4 × `sh -c true`",
    "shell": "`sh -c 'true;true;true;true'`",
    "upstream": "`codex-orchestrator start` 0.2.1",
}


def block(times, rounds, place, orchctl, orchd):
    name = orchctl.parent.name if orchctl.parent.name in ("debug", "release") else "unknown"
    lines = [f"Four `true` stages, {rounds} rounds in turns, whole processes, {name} build.", ""]
    lines += table(times)
    ratios = {k: statistics.median(v) / statistics.median(times["daemon"]) for k, v in times.items()}
    told = f"The daemon takes {1 / ratios['shell']:.1f} times as long as the shell, {1 / ratios['starts']:.1f} times as long as the starts alone"
    if "upstream" in ratios:
        told += f"; the published CLI takes {ratios['upstream']:.1f} times as long as the daemon"
    lines += ["", told + ".", ""]
    lines.append(machine(place, orchd))
    return lines


def machine(place, orchd):
    """One sentence on where the figures come from."""
    version = subprocess.run([orchd, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    load = ", ".join(f"{x:.2f}" for x in os.getloadavg())
    return (f"Machine: {os.cpu_count()} cores ({processor()}), {platform.system()} {platform.release()}, "
            f"{file_system(place)}, load {load}; {version}; {time.strftime('%Y-%m-%d', time.gmtime())}.")


def write_block(page, lines, title="Four stages", markers=(BEGIN, END)):
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


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="rounds that count, after one that warms up (default 20)")
    parser.add_argument("--quick", action="store_true", help="3 rounds: does it work at all")
    parser.add_argument("--dir", type=Path, default=REPOSITORY / "target", help="where the workspaces go; a real disk, as evidence is fsynced")
    parser.add_argument("--without-upstream", action="store_true", help="leave the published CLI out")
    parser.add_argument("--write", action="store_true", help="put the block into docs/benchmarks.md, between its markers")
    parser.add_argument("--page", type=Path, default=REPOSITORY / "docs/benchmarks.md", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    args = arguments()
    rounds = 3 if args.quick else args.rounds
    orchd, orchctl = binary("ORCHD_BIN", "orchd"), binary("ORCHCTL_BIN", "orchctl")
    if not args.without_upstream and not (UPSTREAM / "bin").is_dir():
        fail("the published CLI is not installed: (cd tests/interop && npm ci --ignore-scripts), or --without-upstream")
    args.dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="bench-four-stages-", dir=args.dir.resolve()))
    socket_dir = Path(tempfile.mkdtemp(prefix="orchd-bench-"))  # a socket's path must be short
    if file_system(scratch) in ("tmpfs", "ramfs"):
        print(f"four-stages: {scratch} is in memory, where fsync costs nothing: name a disk with --dir", file=sys.stderr)
    daemon = None
    try:
        ours = make_workspace(scratch / "ours")
        theirs = make_workspace(scratch / "theirs")
        daemon = Daemon(scratch, socket_dir, orchd, orchctl)
        daemon.ctl("ping", "--wait", "10s")
        daemon.ctl("add", "--allow", str(ours))
        daemon.ctl("wait", "--timeout", "30s", cwd=ours)
        before = succeeded_runs(ours)
        ways = {
            "daemon": ([orchctl, "run", "diagnostics", "--force"], ours, daemon.env),
            "starts": (["sh", "-c", f"'{orchctl}' --version; sh -c true; sh -c true; sh -c true; sh -c true; exit 0"], ours, daemon.env),
            "shell": (["sh", "-c", "true;true;true;true"], ours, daemon.env),
        }
        if not args.without_upstream:
            env = environment(scratch, CODEX_HOME=str(scratch / "codex"), CODEX_ORCHESTRATOR_RUNTIME_MODE="cli")
            start = ["node", UPSTREAM / "bin/codex-orchestrator.js", "start", "diagnostics", "--format", "json", "--no-interactive"]
            ways["upstream"] = (start, theirs, env)
        times = measure(ways, rounds)
        wrote = succeeded_runs(ours) - before
        if wrote != rounds + 1:
            fail(f"{rounds + 1} runs were asked of the daemon, {wrote} left a succeeded manifest: the figures would be of something else")
        lines = block(times, rounds, scratch, orchctl, orchd)
        print("\n".join(lines))
        if args.write:
            write_block(args.page, lines)
    finally:
        if daemon is not None:
            daemon.stop()
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(socket_dir, ignore_errors=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How soon a gate answers where the content is proven, with a daemon and without, and what a first look costs.

    gate      `orchctl gate` on a proven tree of 10,000 files (1,000 directories) and of 100,000 (10,000), daemon up: the whole
              client process in turns with `/bin/true`, and the daemon's own part, from the socket
    digest    10,000 files of 10 KiB: until a daemon that never saw them has answered `gate` with their digest, in turns
              with `cat` of the same files to /dev/null, in the order of a walk; then the same question after one edit, in
              turns with the question alone
    hosted    `orchctl gate --no-daemon` on a proven tree of 10,000 files with a stat cache, in turns with `git status`
    diamond   eight stages of `sleep`, one, three times two and one, two at once: `orchctl run --force` against the sleeps of
              the longest way through them

What is compared is run in turns, each turn beginning with another, and ratios are of the medians of the same turns. That
the answers are green, and that nothing ran for them, is checked; nothing is asserted about the figures.
Binaries: --bin, default target/release/. Linux, git, Python 3.11, standard library only.
"""

import argparse
import dataclasses
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
import bench  # noqa: E402
from watching import alone, tools, trees  # noqa: E402

BEGIN, END = "<!-- bench:gate:begin -->", "<!-- bench:gate:end -->"
ROWS = ("gate", "digest", "hosted", "diamond")
FILES = 10  # in each directory
# Nobody's change starts a run while it is measured.
CALM = {"settle_ms": 60_000, "settle_max_ms": 60_000, "on_start": "false"}


@dataclasses.dataclass
class Size:
    """How much of everything."""

    directories: tuple = (1_000, 10_000)
    bytes_each: int = 10 * 1024
    rounds: int = 40
    few_rounds: int = 7
    asked: int = 200
    sleep_s: float = 0.2


QUICK = Size(directories=(20, 60), rounds=3, few_rounds=2, asked=5, sleep_s=0.05)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=bench.REPOSITORY / "target/release", help="where orchd and orchctl are")
    parser.add_argument("--only", default=",".join(ROWS), metavar="ROW,…", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, help="rounds that count, after one that warms up (default 40; 7 of a first digest)")
    parser.add_argument("--quick", action="store_true", help="small trees, few rounds: does it work at all")
    parser.add_argument("--dir", type=Path, default=bench.REPOSITORY / "target", help="where the trees go; a real disk")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, not only their middle")
    parser.add_argument("--write", action="store_true", help="put the block into docs/benchmarks.md, between its markers")
    parser.add_argument("--page", type=Path, default=bench.PAGE, help=argparse.SUPPRESS)
    return parser.parse_args()


class Bench:
    """Where everything lies, and what is run."""

    def __init__(self, scratch, sockets, orchd, orchctl, size):
        self.scratch, self.sockets, self.orchd, self.orchctl, self.size = scratch, sockets, orchd, orchctl, size
        self.count = 0

    def place(self, name):
        self.count += 1
        made = self.scratch / f"{self.count}-{name}"
        made.mkdir()
        return made

    def tree(self, directories, bytes_each=0, pipeline=None):
        """A git repository in which everything is committed, with an orchd.toml."""
        tree = trees.build(self.place("tree"), directories, FILES)
        for number, file in enumerate(tree.files if bytes_each else []):
            # No two alike, and nothing that a disk could make smaller.
            (tree.root / file).write_bytes(number.to_bytes(8, "little") + os.urandom(bytes_each - 8))
        (tree.root / "orchd.toml").write_text(pipeline or bench.config(bench.TASK, "only", "true", **CALM))
        (tree.root / ".gitignore").write_text("/.runs/\n/out/\n")
        git = ["git", "-C", tree.root, "-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "all"], check=True)
        time.sleep(0.1)  # what was read right after it was written would be read again
        return tree

    def daemon(self):
        folder, sockets = self.place("daemon"), self.sockets / str(self.count)
        sockets.mkdir()
        daemon = bench.Daemon(folder, sockets, self.orchd, self.orchctl)
        daemon.ctl("ping", "--wait", "30s")
        return daemon


def in_turns(ways, rounds):
    """Milliseconds of each way, which tells them itself; the first round only warms the caches."""
    times = {name: [] for name in ways}
    for turn in range(rounds + 1):
        order = list(ways)
        first = turn % len(order)
        for name in order[first:] + order[:first]:
            took = ways[name]()
            if turn > 0:
                times[name].append(took)
    return times


def process(argv, env, cwd):
    return lambda: alone.started([str(word) for word in argv], env, cwd)


def asked(connection, root, green=True, **more):
    """Milliseconds until the daemon has answered a gate that starts nothing; who asked reads no more than one line."""
    request = connection.request("gate", workspace=str(root), wait=False, **more)
    before = time.perf_counter_ns()
    connection.socket.sendall(request)
    line = connection.lines.readline()
    took = (time.perf_counter_ns() - before) / 1e6
    answer = json.loads(line)
    told = answer.get("result", {})
    if told.get("projects", [{}])[0].get("input_digest") is None or (told["verdict"] == "pass") != green:
        bench.fail(f"the gate answered {line.decode().strip()}")
    return took


def runs(daemon, root):
    return len(json.loads(daemon.ctl("runs", "--json", cwd=root))["runs"])


def gates(at):
    """A proven tree of each size under one daemon, asked in turns."""
    daemon = at.daemon()
    try:
        found = [at.tree(directories) for directories in at.size.directories]
        for tree in found:
            daemon.ctl("add", "--allow", str(tree.root))
            daemon.ctl("gate", cwd=tree.root)
        ways = {"`/bin/true`": process(["/bin/true"], daemon.env, found[0].root)}
        for tree in found:
            ways[f"{len(tree.files):,} files, whole process"] = process([at.orchctl, "gate"], daemon.env, tree.root)
        told = in_turns(ways, at.size.rounds)
        with tools.Connection(daemon.env["ORCHD_SOCKET"]) as connection:
            ways = {f"{len(tree.files):,} files, the daemon's part": (lambda root=tree.root: asked(connection, root)) for tree in found}
            told |= in_turns(ways, at.size.asked)
        if [runs(daemon, tree.root) for tree in found] != [1] * len(found):
            bench.fail("something ran while it was measured")
        return told
    finally:
        daemon.stop()


def digests(at):
    """What a daemon takes that never saw the tree, and after one edit."""
    tree = at.tree(at.size.directories[0], at.size.bytes_each)
    names = "\0".join(tree.files).encode()
    daemon = at.daemon()

    def cat():
        before = time.perf_counter_ns()
        subprocess.run(["xargs", "-0", "cat"], input=names, stdout=subprocess.DEVNULL, cwd=tree.root, check=True)
        return (time.perf_counter_ns() - before) / 1e6

    def first():
        with tools.Connection(daemon.env["ORCHD_SOCKET"]) as connection:
            before = time.perf_counter_ns()
            connection.ask("workspace.add", path=str(tree.root), allow=True)
            asked(connection, tree.root, green=False)
            took = (time.perf_counter_ns() - before) / 1e6
            connection.ask("workspace.remove", path=str(tree.root))
        while list((Path(daemon.env["ORCHD_STATE_DIR"]) / "stat-cache").glob("*.stat")):
            time.sleep(0.01)  # it goes after the answer; with it the next look would not be a first one
        return took

    try:
        told = in_turns({"`cat` of all files": cat, "first digest": first}, at.size.few_rounds)
        daemon.ctl("add", "--allow", str(tree.root))
        daemon.ctl("gate", cwd=tree.root)
        with tools.Connection(daemon.env["ORCHD_SOCKET"]) as connection:
            told |= in_turns({"question": lambda: asked(connection, tree.root), "after one edit": lambda: edited(connection, tree)}, at.size.rounds)
        return told
    finally:
        daemon.stop()


def edited(connection, tree):
    """A file is saved, its digest is asked for at once; then it is put back."""
    path = tree.root / tree.files[len(tree.files) // 2]
    before = path.read_bytes()
    path.write_bytes(os.urandom(len(before)))
    took = asked(connection, tree.root, green=False)
    path.write_bytes(before)
    asked(connection, tree.root)
    return took


def hosted(at):
    """The gate that brings its daemon along, against the command that everybody knows the pace of."""
    tree = at.tree(at.size.directories[0])
    folder = at.place("hosted")
    env = bench.environment(folder, ORCHD_STATE_DIR=str(folder / "state"), ORCHD_CONFIG=str(folder / "config.toml"), ORCHD_SOCKET=str(folder / "s"))
    gate = [at.orchctl, "gate", "--no-daemon"]
    process([at.orchctl, "allow"], env, tree.root)()
    for _ in range(2):
        process(gate, env, tree.root)()
    count = len(list(tree.root.glob(f".runs/{bench.TASK}/cli/*")))
    git = process([shutil.which("git"), "status", "--porcelain"], env, tree.root)
    told = in_turns({"`git status`": git, "`orchctl gate --no-daemon`": process(gate, env, tree.root)}, at.size.rounds)
    if len(list(tree.root.glob(f".runs/{bench.TASK}/cli/*"))) != count:
        bench.fail("something ran while it was measured")
    return told


def diamond(at):
    """One stage, three pairs one after the other, one stage: the longest way is five sleeps."""
    sleep_s = at.size.sleep_s
    needs = {"s1": [], "s2": ["s1"], "s3": ["s1"], "s4": ["s2", "s3"], "s5": ["s2", "s3"], "s6": ["s4", "s5"], "s7": ["s4", "s5"], "s8": ["s6", "s7"]}
    lines = ["[workspace]", "jobs = 2", *(f"{key} = {value}" for key, value in CALM.items()), "", "[[project]]",
             f"task = {json.dumps(bench.TASK)}", "", "[[pipeline]]", 'id = "diagnostics"', ""]
    for stage, after in needs.items():
        lines += ["[[pipeline.stage]]", f"id = {json.dumps(stage)}", f"command = {json.dumps(f'sleep {sleep_s}')}", f"needs = {json.dumps(after)}", ""]
    tree = at.tree(1, pipeline="\n".join(lines))
    daemon = at.daemon()
    try:
        daemon.ctl("add", "--allow", str(tree.root))
        run = process([at.orchctl, "run", "--force"], daemon.env, tree.root)
        told = in_turns({"eight stages": run}, at.size.few_rounds)
        return told | {"critical path": [5 * sleep_s * 1e3]}
    finally:
        daemon.stop()


def row(name, values, beside=None, must=""):
    middle = statistics.median(values)
    ratio = f"{middle / statistics.median(beside):.2f}" if beside else ""
    return f"| {name} | {middle:.2f} | {min(values):.2f} | {ratio} | {must} |"


def table(told):
    lines = ["| what | median ms | min ms | ratio | must be |", "|---|---:|---:|---:|---|"]
    if gate := told.get("gate"):
        for kind, most in (("whole process", "≤ 10 ms"), ("the daemon's part", "≤ 3 ms")):
            small, large = [values for name, values in gate.items() if name.endswith(kind)]
            names = [name for name in gate if name.endswith(kind)]
            lines += [row(f"gate, {names[0]}", small, None, most), row(f"gate, {names[1]}", large, small, "ratio ≤ 2")]
        lines.append(row("… beside it `/bin/true`", gate["`/bin/true`"]))
    if digest := told.get("digest"):
        cat, question = digest["`cat` of all files"], digest["question"]
        lines += [row("first digest, from `workspace.add` on", digest["first digest"], cat, "ratio ≤ 1.5"), row("… beside it `cat` of the same files", cat),
                  row("digest after one edit", digest["after one edit"], question, "≤ 1 ms more than the next"), row("… beside it the question alone", question)]
    if alone_ := told.get("hosted"):
        git = alone_["`git status`"]
        lines += [row("`orchctl gate --no-daemon`, stat cache warm", alone_["`orchctl gate --no-daemon`"], git, "ratio ≤ 1.5"), row("… beside it `git status`", git)]
    if graph := told.get("diamond"):
        path = graph["critical path"]
        lines += [row("eight stages in a diamond", graph["eight stages"], path, "ratio ≤ 1.1"), row("… its critical path", path)]
    return lines


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    size = QUICK if args.quick else Size()
    if args.rounds:
        size.rounds = size.few_rounds = args.rounds
    only = [word for word in args.only.split(",") if word]
    if unknown := [word for word in only if word not in ROWS]:
        bench.fail(f"--only: {', '.join(unknown)}: known are {', '.join(ROWS)}")
    binaries = [args.bin.absolute() / name for name in ("orchd", "orchctl")]
    if not all(os.access(path, os.X_OK) for path in binaries):
        bench.fail(f"{args.bin} has no orchd and orchctl: build them (`cargo build --release`), or name the directory with --bin")
    args.dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="bench-gate-", dir=args.dir.resolve()))
    sockets = Path(tempfile.mkdtemp(prefix="orchd-bench-"))  # a socket's path must be short
    try:
        at = Bench(scratch, sockets, *binaries, size)
        told = {}
        for name, work in (("gate", gates), ("digest", digests), ("hosted", hosted), ("diamond", diamond)):
            if name in only:
                bench.say(name)
                told[name] = work(at)
        small, large = (directories * FILES for directories in size.directories)
        lines = [f"Trees of {small:,} and {large:,} files, {FILES} in each directory; for the digests {small:,} files of {size.bytes_each:,} bytes. "
                 f"{size.rounds} rounds in turns ({size.few_rounds} of a first digest and of the diamond, {size.asked} of the daemon's part), "
                 f"{binaries[0].parent.name} build. A ratio is to the row that stands beside it; of a gate, to the smaller tree.", "", *table(told), "",
                 bench.machine(scratch, binaries[0])]
        print("\n".join(lines))
        if args.json:
            args.json.write_text(json.dumps(told, indent=1) + "\n")
        if args.write:
            bench.write_block(args.page, lines, "Gates", (BEGIN, END))
    except tools.Failed as error:
        bench.fail(str(error))
    finally:
        os.chdir("/")
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)


if __name__ == "__main__":
    main()

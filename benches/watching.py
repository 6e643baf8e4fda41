#!/usr/bin/env python3
"""Never lose a change, at any size, for next to nothing: ours beside other watchers, in turns on one machine.

    save        a file is written in place until the program starts: 100 directories, 1,000 files
    ready       from the start of the process until saves are answered everywhere: 10,000 directories, 100,000 files and
                10,000 ignored directories, all in the page cache; for ours, the daemon starts and is then told to add them
    memory      then: proportional set size of the tool's processes
    idle        for 10 s, 12 s after that: CPU ticks, voluntary context switches of all threads
    storm       20,000 files written in 1,000 new directories: runs, how late the last one starts, CPU without the runs' own
    remove      `rm -rf` of 10,000 watched directories, then five saves elsewhere
    growth      ready, memory and save of ours and the floor for 10,000, 50,000 and 200,000 directories of two files
    workspaces  100 of 1,000 directories, and one of all of them
    status      `orchctl status` as a whole process, in turns with `/bin/true`
    requests    `status` requests on one connection, 60 outstanding
    events      from an event's `at` until a subscriber has read it

Every tool runs the same program, which appends CLOCK_MONOTONIC to a file outside of the tree: benches/watching/floor.rs,
which is also the floor, bare inotify and posix_spawn. Tools that can wait for quiet wait for 20 ms; entr and onchange
cannot. Nothing is asserted about the figures. Peers that are not installed are left out.
Binaries: --bin, default target/release/. Linux, Python 3.11, standard library only, `rustc` for the floor.
"""

import argparse
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
import bench  # noqa: E402
from watching import alone, rows, table, tools, trees  # noqa: E402

BEGIN, END = "<!-- bench:watching:begin -->", "<!-- bench:watching:end -->"
ROWS = ("save", "ready", "memory", "idle", "storm", "remove", "growth", "workspaces", "status", "requests", "events")
IN_TURNS = {"save", "ready", "memory", "idle", "storm", "remove"}
SMALL_TREE = {"status", "requests", "events"}


@dataclasses.dataclass
class Size:
    """How much of everything; directories come before files."""

    small: tuple = (100, 10)
    saves: int = 100
    few_saves: int = 20
    calm_s: float = 1
    large: tuple = (10_000, 10, 10_000)
    storm: tuple = (1_000, 20_000)
    removed: int = 10_000
    idle_s: int = 10
    growth: tuple = (10_000, 50_000, 200_000)
    workspaces: tuple = (100, 1_000)
    pairs: int = 100
    requests_s: int = 5


QUICK = Size(saves=5, few_saves=3, calm_s=0.3, large=(300, 3, 300), storm=(50, 500), removed=300, idle_s=1, growth=(100,), workspaces=(5, 20),
             pairs=10, requests_s=1)


def some_of(known):
    def parse(text):
        words = [word for word in text.split(",") if word]
        unknown = [word for word in words if word not in known]
        if unknown or not words:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown) or 'nothing'}: known are {', '.join(known)}")
        return words
    return parse


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [tool.name for tool in tools.ALL]
    parser.add_argument("--bin", type=Path, default=HERE.parent / "target/release", help="where orchd and orchctl are")
    parser.add_argument("--peers", type=Path, help="where peers are: there, in bin/ or in npm/node_modules/.bin/; else on PATH")
    parser.add_argument("--only", type=some_of(ROWS), default=list(ROWS), metavar="ROW,…")
    parser.add_argument("--tools", type=some_of(names), default=names, metavar="TOOL,…", help=", ".join(names))
    parser.add_argument("--rounds", type=int, default=3, help="how often each tool does its work (default 3)")
    parser.add_argument("--quick", action="store_true", help="small trees, one round: does it work at all")
    parser.add_argument("--dir", type=Path, help="where trees go, on a disk (default: a temporary directory)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, not only their middle")
    parser.add_argument("--write", action="store_true", help="put the block into docs/benchmarks.md, between its markers")
    return parser.parse_args()


def compile_floor(scratch):
    floor = scratch / "floor"
    if shutil.which("rustc") is None:
        bench.fail("there is no rustc on PATH, which the floor is compiled with")
    subprocess.run(["rustc", "-O", "--edition", "2024", "-o", floor, HERE / "watching/floor.rs"], check=True)
    return floor


def choose(place, names):
    chosen = [kind(place) for kind in tools.ALL if kind.name in names]
    missing = [tool.name for tool in chosen if tool.program is None]
    if missing:
        bench.say(f"not installed, so left out: {', '.join(missing)}")
    return [tool for tool in chosen if tool.program is not None]


def in_turns(place, chosen, size, only, rounds):
    turns = rows.Turns(place, chosen, size, only, bench.say)
    large = None
    if only & {"ready", "memory", "idle"}:
        bench.say("building the large tree")
        large = trees.build(place.fresh("tree"), *size.large)
    for number in range(rounds):
        turns.round(number, large)
    return turns.results


def of_the_daemon(place, ours, size, only):
    told = {}
    session = ours.session(trees.build(place.fresh("tree"), *size.small))
    try:
        rows.ready(session, 0, session.tree.spread(rows.PLACES))
        for row, work in (("status", lambda: alone.status_process(session, size.pairs)),
                          ("requests", lambda: alone.requests(session, size.requests_s)),
                          ("events", lambda: alone.events(session, size.saves))):
            if row in only:
                bench.say(row)
                told[row] = work()
    except tools.Failed as error:
        bench.say(str(error))
    finally:
        session.stop()
    return told


def measure(place, chosen, size, only, rounds):
    told = {}
    ours = next((tool for tool in chosen if isinstance(tool, tools.Ours)), None)
    if only & IN_TURNS:
        told["tools"] = in_turns(place, chosen, size, only, rounds)
    if "growth" in only:
        bare = [tool for tool in chosen if isinstance(tool, (tools.Ours, tools.Floor))]
        told["growth"] = alone.growth(place, bare, size.growth, size.few_saves, bench.say)
    if ours and "workspaces" in only:
        told["workspaces"] = alone.workspaces(place, ours, size, bench.say)
    if ours and only & SMALL_TREE:
        told |= of_the_daemon(place, ours, size, only)
    return told


def block(told, chosen, size, only, rounds):
    small, large = size.small, size.large
    lines = [f"Small tree: {small[0]:,} directories of {small[1]} files, {size.saves} saves a round. Large tree: {large[0]:,} directories of "
             f"{large[1]} files, {large[2]:,} ignored directories. Storm: {size.storm[1]:,} files in {size.storm[0]:,} new directories. "
             f"Rounds: {rounds}; the middle one is told.", ""]
    if "tools" in told:
        lines += [*table.tools_table(chosen, told["tools"], only), ""]
    if "growth" in told:
        lines += [*table.growth(told["growth"], alone.watch_limit()), ""]
    if "workspaces" in told:
        lines += [*table.workspaces(told["workspaces"]), ""]
    if SMALL_TREE & set(told):
        lines += [*table.daemon(told), ""]
    return lines


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    size, rounds, only = (QUICK, 1, set(args.only)) if args.quick else (Size(), args.rounds, set(args.only))
    peers = [args.peers, args.peers / "bin", args.peers / "npm/node_modules/.bin"] if args.peers else []
    binaries = [args.bin.absolute() / name for name in ("orchd", "orchctl")]
    if "ours" in args.tools and not all(os.access(path, os.X_OK) for path in binaries):
        bench.fail(f"{args.bin} has no orchd and orchctl: build them (`cargo build --release`), or name the directory with --bin")
    if args.dir:
        args.dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="bench-watching-", dir=args.dir)).resolve()
    sockets = Path(tempfile.mkdtemp(prefix="orchd-bench-"))  # a socket's path must be short
    try:
        if bench.file_system(scratch) in ("tmpfs", "ramfs"):
            bench.say(f"{scratch} is in memory, where fsync costs nothing: name a disk with --dir")
        place = tools.Place(scratch, sockets, compile_floor(scratch), *binaries, [path.absolute() for path in peers])
        chosen = choose(place, args.tools)
        told = measure(place, chosen, size, only, rounds)
        lines = block(told, chosen, size, only, rounds)
        lines.append(bench.machine(scratch, binaries[0] if "ours" in args.tools else "true"))
        print("\n".join(lines))
        if args.json:
            args.json.write_text(json.dumps(told, indent=1) + "\n")
        if args.write:
            bench.write_block(bench.PAGE, lines, "Watching", (BEGIN, END))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)


if __name__ == "__main__":
    main()

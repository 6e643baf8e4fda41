#!/usr/bin/env python3
"""Times `orchctl runs` and `orchctl show` through a real daemon over a history of many runs.

    benches/many-runs.py [RUNS] [--dir DIR] [--write]       default 10,000 runs

One run is made by the daemon; its directory is copied under other ids, one second apart into the past. Told are the
daemon's start over that history without an index and with one (until it answers and knows its workspace), and whole
client processes, median of some. Nothing is asserted about the figures, but the answers are: all runs are listed, and
the oldest one is shown. Binaries: ORCHD_BIN and ORCHCTL_BIN, default target/debug/. Python 3.11, standard library only.
"""

import argparse
import datetime
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
import bench  # noqa: E402

BEGIN, END = "<!-- bench:many-runs:begin -->", "<!-- bench:many-runs:end -->"
TIMES = 15


def copy_runs(root, task, count):
    """Copies the newest run under `count - 1` other ids; returns the oldest id."""
    base = root / ".runs" / task / "cli"
    model = sorted(base.iterdir())[-1]
    files = {p.relative_to(model): p.read_text() for p in model.rglob("*") if p.is_file()}
    folders = [p.relative_to(model) for p in model.rglob("*") if p.is_dir()]
    ended = datetime.datetime.fromisoformat(json.loads(files[Path("manifest.json")])["started_at"])
    stamp = "%Y-%m-%dT%H:%M:%S"
    for number in range(1, count):
        began = ended - datetime.timedelta(seconds=number)
        run = began.strftime("%Y-%m-%dT%H-%M-%S-000Z-") + f"{number:08x}"
        there = base / run
        there.mkdir()
        for folder in folders:
            (there / folder).mkdir()
        for name, text in files.items():
            if name == Path("manifest.json"):
                manifest = json.loads(text.replace(model.name, run))
                manifest["started_at"] = began.strftime(stamp) + ".000Z"
                text = json.dumps(manifest, indent=2) + "\n"
            (there / name).write_text(text.replace(model.name, run))
    return run


def started(scratch, socket_dir, root):
    """A daemon, and how long it took until it had read its workspace."""
    before = time.perf_counter()
    daemon = bench.Daemon(scratch, socket_dir, *binaries())
    daemon.ctl("ping", "--wait", "30s")
    daemon.ctl("runs", "--json", "--limit", "1", cwd=root)
    return daemon, (time.perf_counter() - before) * 1e3


def binaries():
    return bench.binary("ORCHD_BIN", "orchd"), bench.binary("ORCHCTL_BIN", "orchctl")


def median_of(daemon, root, *args):
    argv = [daemon.orchctl, *args]
    return statistics.median(bench.timed(argv, root, daemon.env) for _ in range(TIMES))


def measure(scratch, socket_dir, count):
    root = scratch / "ours"
    root.mkdir()
    # Kept, as otherwise there would not be as many any more.
    kept = f"{{ runs = {count + 100}, days = 36500 }}"
    (root / "orchd.toml").write_text(bench.config(bench.TASK, "only", "true", retain=kept))
    daemon = bench.Daemon(scratch, socket_dir, *binaries())
    daemon.ctl("ping", "--wait", "10s")
    daemon.ctl("add", "--allow", str(root))
    daemon.ctl("wait", "--timeout", "30s", cwd=root)
    daemon.stop()
    oldest = copy_runs(root, bench.TASK, count)
    rows = {}
    daemon, rows["start, no index"] = started(scratch, socket_dir, root)
    daemon.stop()
    daemon, rows["start, with index"] = started(scratch, socket_dir, root)
    try:
        listed = json.loads(daemon.ctl("runs", "--json", "--limit", str(count), cwd=root))["runs"]
        if len(listed) != count or listed[-1]["run_id"] != oldest:
            bench.fail(f"{count} runs are on disk, {len(listed)} were listed, down to {listed[-1]['run_id']}")
        rows["`orchctl runs`"] = median_of(daemon, root, "runs")
        rows[f"`orchctl runs --limit {count} --json`"] = median_of(daemon, root, "runs", "--limit", str(count), "--json")
        rows["`orchctl show` of the oldest, by a part of its id"] = median_of(daemon, root, "show", oldest[-8:])
        rows["`orchctl run --force`, one `true`"] = median_of(daemon, root, "run", "--force")
        rss = json.loads(daemon.ctl("status", "--json", cwd=root))["daemon"]["rss_bytes"]
    finally:
        daemon.stop()
    return rows, rss


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="?", type=int, default=10_000)
    parser.add_argument("--dir", type=Path, default=bench.REPOSITORY / "target", help="where the workspace goes; a real disk")
    parser.add_argument("--write", action="store_true", help="put the block into docs/benchmarks.md, between its markers")
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="bench-many-runs-", dir=args.dir.resolve()))
    socket_dir = Path(tempfile.mkdtemp(prefix="orchd-bench-"))  # a socket's path must be short
    try:
        rows, rss = measure(scratch, socket_dir, args.runs)
        orchd, orchctl = binaries()
        lines = [f"{args.runs:,} runs of one project, {orchctl.parent.name} build, whole client processes, median of {TIMES}; "
                 "a start is measured once, until the daemon has answered `runs`.", "", "| what | ms |", "|---|---:|"]
        lines += [f"| {name} | {ms:.1f} |" for name, ms in rows.items()]
        lines += ["", f"The daemon then holds {rss / 2**20:.0f} MiB.", "", bench.machine(scratch, orchd)]
        print("\n".join(lines))
        if args.write:
            bench.write_block(bench.PAGE, lines, "Many runs", (BEGIN, END))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(socket_dir, ignore_errors=True)


if __name__ == "__main__":
    main()

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
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import bench  # noqa: E402

UPSTREAM = bench.REPOSITORY / "tests/interop/node_modules/@kbediako/codex-orchestrator"
BEGIN, END = "<!-- bench:four-stages:begin -->", "<!-- bench:four-stages:end -->"


def make_workspace(root):
    stages = [{"kind": "command", "id": f"s{i}", "title": f"S{i}", "command": "true"} for i in range(1, 5)]
    config = {"defaultPipeline": "diagnostics", "pipelines": [{"id": "diagnostics", "title": "Four", "stages": stages}]}
    root.mkdir(parents=True)
    (root / "codex.orchestrator.json").write_text(json.dumps(config, indent=2) + "\n")
    return root


def succeeded_runs(root):
    """How many runs of the workspace have a manifest on disk that says `succeeded`."""
    manifests = root.glob(f".runs/{bench.TASK}/cli/*/manifest.json")
    return sum(json.loads(m.read_text())["status"] == "succeeded" for m in manifests)


def measure(ways, rounds):
    times = {name: [] for name in ways}
    for turn in range(rounds + 1):
        order = list(ways.items())
        first = turn % len(order)
        for name, (argv, cwd, env) in order[first:] + order[:first]:
            took = bench.timed(argv, cwd, env)
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
    lines.append(bench.machine(place, orchd))
    return lines


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="rounds that count, after one that warms up (default 20)")
    parser.add_argument("--quick", action="store_true", help="3 rounds: does it work at all")
    parser.add_argument("--dir", type=Path, default=bench.REPOSITORY / "target", help="where the workspaces go; a real disk, as evidence is fsynced")
    parser.add_argument("--without-upstream", action="store_true", help="leave the published CLI out")
    parser.add_argument("--write", action="store_true", help="put the block into docs/benchmarks.md, between its markers")
    parser.add_argument("--page", type=Path, default=bench.PAGE, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    args = arguments()
    rounds = 3 if args.quick else args.rounds
    orchd, orchctl = bench.binary("ORCHD_BIN", "orchd"), bench.binary("ORCHCTL_BIN", "orchctl")
    if not args.without_upstream and not (UPSTREAM / "bin").is_dir():
        bench.fail("the published CLI is not installed: (cd tests/interop && npm ci --ignore-scripts), or --without-upstream")
    args.dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="bench-four-stages-", dir=args.dir.resolve()))
    socket_dir = Path(tempfile.mkdtemp(prefix="orchd-bench-"))  # a socket's path must be short
    if bench.file_system(scratch) in ("tmpfs", "ramfs"):
        bench.say(f"{scratch} is in memory, where fsync costs nothing: name a disk with --dir")
    daemon = None
    try:
        ours = make_workspace(scratch / "ours")
        theirs = make_workspace(scratch / "theirs")
        daemon = bench.Daemon(scratch, socket_dir, orchd, orchctl)
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
            env = bench.environment(scratch, CODEX_HOME=str(scratch / "codex"), CODEX_ORCHESTRATOR_RUNTIME_MODE="cli")
            start = ["node", UPSTREAM / "bin/codex-orchestrator.js", "start", "diagnostics", "--format", "json", "--no-interactive"]
            ways["upstream"] = (start, theirs, env)
        times = measure(ways, rounds)
        wrote = succeeded_runs(ours) - before
        if wrote != rounds + 1:
            bench.fail(f"{rounds + 1} runs were asked of the daemon, {wrote} left a succeeded manifest: the figures would be of something else")
        lines = block(times, rounds, scratch, orchctl, orchd)
        print("\n".join(lines))
        if args.write:
            bench.write_block(args.page, lines, "Four stages", (BEGIN, END))
    finally:
        if daemon is not None:
            daemon.stop()
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(socket_dir, ignore_errors=True)


if __name__ == "__main__":
    main()

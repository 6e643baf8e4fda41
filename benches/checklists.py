#!/usr/bin/env python3
"""How long `orchctl checklist check` takes where there is much to read: 17,000 items in 400 files, 1,000 runs cited.

    check     `orchctl checklist check`, the whole process, in turns with `cat` of the same checklists and cited manifests to
              /dev/null and with `grep -c` of their items
    cpu       what the same processes cost in user and system time together, which a busy machine changes less

The workspace has 199 tasks with a source in tasks/ and a mirror in .agent/task/ each, docs/TASKS.md with a row for each section,
and a page of one task more. Two items of three are ticked, each by one of the runs of its task, whose manifests are those of a
real run under other names. That there is no finding is checked; nothing is asserted about the figures.
Binaries: --bin, default target/release/. Linux, Python 3.11, standard library only.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
import bench  # noqa: E402

BEGIN, END = "<!-- bench:checklists:begin -->", "<!-- bench:checklists:end -->"
TASKS, RUNS, ITEMS = 199, 1_000, 17_000
SECTIONS = 4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=bench.REPOSITORY / "target/release", help="where orchctl is")
    parser.add_argument("--rounds", type=int, default=20, help="rounds that count, after one that warms up")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, few rounds: does it work at all")
    parser.add_argument("--dir", type=Path, default=bench.REPOSITORY / "target", help="where the workspace goes; a real disk")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, not only their middle")
    parser.add_argument("--write", action="store_true", help="put the block into docs/benchmarks.md, between its markers")
    parser.add_argument("--page", type=Path, default=bench.PAGE, help=argparse.SUPPRESS)
    return parser.parse_args()


def source(task, items, runs):
    """A checklist with some sections, and the same as a mirror and as rows."""
    text, mirror, rows = [f"# {task}", "", "## Checklist"], [f"# {task}"], [f"## {task}", ""]
    for section in range(SECTIONS):
        own = range(section, items, SECTIONS)
        text += ["", f"### Part {section} of {task}", ""]
        mirror += ["", f"## Part {section} of {task}", ""]
        for item in own:
            ticked = item % 3 != 0
            title = f"Have the {item}th thing of `{task}` done, and say **why** it was"
            proof = f"; Evidence: `.runs/{task}/cli/{runs[item % len(runs)]}/manifest.json`" if ticked else ""
            mark = "x" if ticked else " "
            text += [f"- [{mark}] {title}; Acceptance: somebody has seen it{proof}", f"  - Files: `src/part{section}/{item}.rs`"]
            mirror.append(f"* [{mark}] {title.lower()}.{proof.replace('; ', ' ', 1)}")
        rows.append(f"- Part {section} of {task} — `[ ]` all of it")
    return ["\n".join([*lines, ""]) for lines in (text, mirror, rows)]


def build(root, manifest, size):
    """The workspace; the files that a check has to read."""
    tasks, runs, items = TASKS // size, RUNS // size, ITEMS // size
    names = [f"{1000 + number}-task" for number in range(tasks)]
    of = {task: [f"2026-11-22T10-{n // 60:02}-{n % 60:02}-592Z-{n:08x}" for n in range(at, runs, tasks)] for at, task in enumerate(names)}
    project = [f'[[project]]\ntask = "{task}"\npath = "packages/{task}"\n' for task in names]
    (root / "orchd.toml").write_text("".join(project) + '[[pipeline]]\nid = "diagnostics"\n[[pipeline.stage]]\nid = "check"\ncommand = "true"\n')
    read = []

    def write(path, text):
        path = root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        read.append(path)

    # A row for each section is an item, too.
    each = (items - tasks * SECTIONS) // (2 * tasks)
    all_tasks = ["# Tasks\n"]
    for task in names:
        (root / "packages" / task).mkdir(parents=True)
        text, mirror, rows = source(task, each, of[task])
        write(f"tasks/tasks-{task}-slug.md", text)
        write(f".agent/task/{task}-slug.md", mirror)
        all_tasks.append(rows)
        for run in of[task]:
            write(f".runs/{task}/cli/{run}/manifest.json", json.dumps({**manifest, "task_id": task, "run_id": run}, indent=2))
    write("docs/TASKS.md", "\n".join(all_tasks))
    # What is missing to the number: in a page of its own.
    rest = items - tasks * (2 * each + SECTIONS)
    write("tasks/more.md", "".join(f"- [ ] One more, the {number}th\n" for number in range(rest)))
    return read


def real_manifest(root, orchctl, env):
    """The manifest of a run of the workspace at `root`."""
    (root / "orchd.toml").write_text(bench.config("t", "check", "true"))
    for args in (["allow"], ["run", "--no-daemon"]):
        bench.timed([orchctl, *args], root, env)
    return json.loads(next((root / ".runs/t/cli").glob("*/manifest.json")).read_text())


def process(argv, cwd, env):
    """Milliseconds of a whole process, and of its user and system time."""
    nothing = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    os.chdir(cwd)
    before = time.perf_counter_ns()
    pid = os.posix_spawn(argv[0], argv, env, file_actions=nothing)
    _, status, usage = os.wait4(pid, 0)
    took = (time.perf_counter_ns() - before) / 1e6
    if status:
        bench.fail(f"`{argv[0]} {argv[1]} …` exited {os.waitstatus_to_exitcode(status)}")
    return took, (usage.ru_utime + usage.ru_stime) * 1e3


def main():
    args = arguments()
    orchctl = args.bin.absolute() / "orchctl"
    if not os.access(orchctl, os.X_OK):
        bench.fail(f"{args.bin} has no orchctl: build it (`cargo build --release`), or name the directory with --bin")
    size, rounds = (10, 2) if args.quick else (1, args.rounds)
    args.dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="bench-checklists-", dir=args.dir.resolve()))
    try:
        for name in ("state", "first", "w"):
            (scratch / name).mkdir()
        (scratch / "config.toml").write_text("")
        env = bench.environment(scratch, ORCHD_STATE_DIR=str(scratch / "state"), ORCHD_CONFIG=str(scratch / "config.toml"),
                                ORCHD_SOCKET=str(scratch / "none"))
        manifest = real_manifest(scratch / "first", orchctl, env)
        root = scratch / "w"
        read = build(root, manifest, size)
        pages = [str(path) for path in read if path.suffix == ".md"]
        done = subprocess.run([orchctl, "checklist", "check", "--json"], cwd=root, env=env, capture_output=True, check=False)
        told = json.loads(done.stdout)
        if told["findings"]:
            bench.fail(f"{len(told['findings'])} findings, such as {told['findings'][0]}")
        ways = {
            "check": [str(orchctl), "checklist", "check"],
            "cat": ["/bin/cat", *map(str, read)],
            "grep": ["/bin/grep", "-c", r"\[[ x]\]", *pages],
        }
        times = {name: ([], []) for name in ways}
        for turn in range(rounds + 1):
            order = list(ways)
            first = turn % len(order)
            for name in order[first:] + order[:first]:
                for kept, took in zip(times[name], process(ways[name], root, env)):
                    if turn > 0:  # the first round only warms the caches
                        kept.append(took)
        bytes_read = sum(path.stat().st_size for path in read)
        cited = sum(path.suffix == ".json" for path in read)
        middle = {name: [statistics.median(of) for of in both] for name, both in times.items()}
        ratio = statistics.median(mine / other for mine, other in zip(times["check"][0], times["cat"][0]))
        lines = [f"{told['items']:,} items in {told['files']:,} files, of which two of three are ticked by one of {cited:,} runs: {bytes_read / 1e6:.1f} MB in all. "
                 f"{rounds} rounds in turns, {orchctl.parent.name} build, pages in the cache.", "",
                 "| what | median | most | user and system time |", "|---|---|---|---|"]
        words = {"check": "`orchctl checklist check`", "cat": "`cat` of the same files", "grep": "`grep -c` of the items"}
        lines += [f"| {words[name]} | {middle[name][0]:.1f} ms | {max(times[name][0]):.1f} ms | {middle[name][1]:.1f} ms |" for name in ways]
        lines += ["", f"A check takes {ratio:.1f} times as long as `cat` in the same round.", "", bench.machine(scratch, orchctl.parent / "orchd")]
        print("\n".join(lines))
        if args.json:
            args.json.write_text(json.dumps(times, indent=1) + "\n")
        if args.write:
            bench.write_block(args.page, lines, "Checklists", (BEGIN, END))
    finally:
        os.chdir("/")
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()

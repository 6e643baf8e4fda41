"""What the processes of a tool cost, from /proc, and their end. Only what this script started is looked at or ended."""

import os
import signal
import subprocess
import time
from pathlib import Path

END_S = 10


def stat(pid):
    """Parent, start and CPU ticks (own, without those of children that have ended); None once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), int(fields[19]), int(fields[11]) + int(fields[12])


def tree(pid):
    """The process and all below it, each with its start, so that another process with its number is not taken for it."""
    known = {int(name): stat(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    known = {number: row for number, row in known.items() if row is not None}
    found, left = {}, [pid]
    while left:
        here = left.pop()
        if here in known and here not in found:
            found[here] = known[here][1]
            left.extend(number for number, row in known.items() if row[0] == here)
    return found


def pss_bytes(pid):
    """Proportional set size of the process and all below it."""
    total = 0
    for here in tree(pid):
        try:
            text = Path(f"/proc/{here}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
    return total


def cpu_ticks(pid):
    """By process, so that a run's own program does not count: it is gone before or after."""
    rows = {here: stat(here) for here in tree(pid)}
    return {here: row[2] for here, row in rows.items() if row is not None}


def ticks_between(before, after):
    return sum(ticks - before.get(here, 0) for here, ticks in after.items())


def switches(pid):
    """Voluntary and involuntary context switches of each thread."""
    told = {}
    for here in tree(pid):
        for status in Path(f"/proc/{here}/task").glob("*/status"):
            try:
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            except OSError:
                continue
            told[status.parent.name] = int(fields["voluntary_ctxt_switches"]), int(fields["nonvoluntary_ctxt_switches"])
    return told


def switches_between(before, after):
    """Of the threads that are there at both ends, and one for each that has ended: it had to wake for that."""
    both = [(before.get(thread, (0, 0)), now) for thread, now in after.items()]
    ended = len(before.keys() - after.keys())
    return sum(now[0] - then[0] for then, now in both) + ended, sum(now[1] - then[1] for then, now in both)


def start(argv, cwd, env, log):
    return subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def stop(child):
    """TERM to the process, KILL to what is left of it and below it."""
    members = tree(child.pid)
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for pid, begun in members.items():
        row = stat(pid)
        if pid != child.pid and row is not None and row[1] == begun:
            end(pid, begun)


def end(pid, begun):
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        limit = time.monotonic() + 1
        while time.monotonic() < limit:
            row = stat(pid)
            if row is None or row[1] != begun:
                return
            time.sleep(0.01)

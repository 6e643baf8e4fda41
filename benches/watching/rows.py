"""What is measured of every tool. Each function works on a session that it is given and returns plain numbers."""

import os
import random
import subprocess
import time

from . import processes, tools, trees

SAVE_LIMIT_S = 30
SAVES_LIMIT_S = 60
READY_LIMIT_S = 300
PROBE_PAUSE_S = 0.05
SEEN_AT_ONCE_S = 1
PLACES = 5
BETWEEN_SAVES_S = 0.15
IDLE_CALMS = 12  # longer than idle threads are kept by any of them
STORM_CALMS = 3
STORM_LIMIT_S = 180
SAVES_AFTER_REMOVAL = 5
TICKS = os.sysconf("SC_CLK_TCK")


def ready(session, at_start, files, calm=1):
    """Seconds from the start of the process until a save is answered, wherever it is made.

    A file is saved again every 50 ms until the tool's program starts; a start that no save has called for does not count.
    Then one save in each of some other places must be answered within a second; else it is ready only when that is.
    """
    moment = earliest = None
    for place in files:
        first = session.tree.save(place)
        limit = time.monotonic() + READY_LIMIT_S
        skip = at_start if moment is None else 0
        while True:
            seen = session.stamps.after(first, PROBE_PAUSE_S, skip)
            if seen is not None:
                break
            session.check()
            if time.monotonic() > limit:
                raise tools.Failed(f"no save was answered within {READY_LIMIT_S} s")
            if moment is None or trees.now_ns() - first > SEEN_AT_ONCE_S * 1e9:
                session.tree.save(place)
        if moment is None or seen - first > SEEN_AT_ONCE_S * 1e9:
            moment = seen
        earliest = earliest or moment
        session.stamps.quiet(0.3 * calm)
    told = {"s": (moment - session.began) / 1e9, "first_s": (earliest - session.began) / 1e9}
    return told | ({"watched_s": (session.added - session.began) / 1e9} if session.added else {})


def saves(session, count, seed):
    """Milliseconds from before a file is written until the program runs; how many saves were never answered.

    Where each takes seconds, as in a tree that is polled, fewer have to do.
    """
    chance, limit = random.Random(seed), time.monotonic() + SAVES_LIMIT_S
    times, lost = [], 0
    for _ in range(count):
        if time.monotonic() > limit:
            break
        session.stamps.quiet(BETWEEN_SAVES_S)
        time.sleep(chance.random() * 0.02)
        before = session.tree.save(chance.choice(session.tree.files))
        seen = session.stamps.after(before, SAVE_LIMIT_S)
        session.check()
        if seen is None:
            lost += 1
        else:
            times.append((seen - before) / 1e6)
    return {"ms": times, "lost": lost}


def idle(session, seconds, calm):
    """Looked at every second, so that little is lost of a thread that ends."""
    session.stamps.quiet(IDLE_CALMS * calm)
    pid = session.child.pid
    ticks, before = processes.cpu_ticks(pid), processes.switches(pid)
    voluntary = involuntary = 0
    for _ in range(seconds):
        time.sleep(1)
        now = processes.switches(pid)
        more = processes.switches_between(before, now)
        voluntary, involuntary, before = voluntary + more[0], involuntary + more[1], now
    return {"seconds": seconds, "ticks": processes.ticks_between(ticks, processes.cpu_ticks(pid)),
            "wakeups_per_s": voluntary / seconds, "preempted": involuntary}


def storm(session, directories, files, calm):
    session.stamps.quiet(calm)
    pid, known = session.child.pid, len(session.stamps.read())
    ticks, before = processes.cpu_ticks(pid), processes.switches(pid)
    began, ended = trees.storm(session.tree.root, directories, files)
    session.stamps.after(ended, SAVE_LIMIT_S)
    settled = session.stamps.quiet(STORM_CALMS * calm, STORM_LIMIT_S)
    session.check()
    spent = processes.ticks_between(ticks, processes.cpu_ticks(pid)) / TICKS
    woken, _ = processes.switches_between(before, processes.switches(pid))
    runs = session.stamps.read()[known:]
    return {"writing_s": (ended - began) / 1e9, "runs": len(runs), "settled": settled, "cpu_s": spent, "wakeups": woken,
            "cpu_us_per_file": spent * 1e6 / files, "last_ms": (max(runs) - ended) / 1e6 if runs else None}


def removal(session, folder, calm):
    """Milliseconds to the next start of the program after a save, for some saves from when `rm -rf` has returned.

    The removal may have called for the start that answers the first of them; a watcher that is still busy with it is late
    for one of the others, so the worst counts.
    """
    session.stamps.quiet(calm)
    began = trees.now_ns()
    subprocess.run(["rm", "-rf", session.tree.root / folder], check=True)
    took = (trees.now_ns() - began) / 1e9
    left = [file for file in session.tree.files if not file.startswith(f"{folder}/")]
    times = []
    for file in left[:SAVES_AFTER_REMOVAL]:
        before = session.tree.save(file)
        seen = session.stamps.after(before, SAVE_LIMIT_S)
        session.check()
        if seen is None:
            raise tools.Failed(f"a save after the removal was not answered within {SAVE_LIMIT_S} s")
        times.append((seen - before) / 1e6)
        time.sleep(0.3)
    return {"removing_s": took, "ms": times}


class Turns:
    """Every tool on the same work, one after the other; each round begins with another."""

    def __init__(self, place, chosen, size, only, say):
        self.place, self.tools, self.size, self.only, self.say = place, chosen, size, only, say
        self.results = {tool.name: {} for tool in chosen}

    def round(self, number, large):
        first = number % len(self.tools)
        for tool in self.tools[first:] + self.tools[:first]:
            self.phase(tool, {"save", "storm"}, self.small, number)
        for tool in self.tools[first:] + self.tools[:first]:
            self.phase(tool, {"ready", "memory", "idle"}, self.on_large, (number, large))
        for tool in self.tools[first:] + self.tools[:first]:
            if tool.new_directories:
                self.phase(tool, {"remove"}, self.on_removal, number)

    def phase(self, tool, rows, work, argument):
        wanted = rows & self.only
        if not wanted:
            return
        self.say(f"{tool.name}: {', '.join(sorted(wanted))}")
        # Whoever syncs a file of his own would wait for what the phases before have written.
        os.sync()
        try:
            work(tool, argument, wanted)
        except tools.Failed as error:
            self.say(f"{tool.name}: {error}")
            self.keep(tool, "failed", f"{'/'.join(sorted(wanted))}: {error}")

    def keep(self, tool, row, value):
        self.results[tool.name].setdefault(row, []).append(value)

    def small(self, tool, number, wanted):
        tree = trees.build(self.place.fresh("tree"), *self.size.small)
        session = tool.session(tree)
        try:
            ready(session, tool.at_start, tree.spread(PLACES), self.size.calm_s)
            if "save" in wanted:
                self.keep(tool, "save", saves(session, self.size.saves, number))
            if "storm" in wanted and tool.new_directories:
                self.keep(tool, "storm", storm(session, *self.size.storm, self.size.calm_s))
        finally:
            session.stop()

    def on_large(self, tool, argument, wanted):
        number, tree = argument
        session = tool.session(tree)
        try:
            self.keep(tool, "ready", ready(session, tool.at_start, tree.spread(PLACES), self.size.calm_s))
            session.stamps.quiet(2 * self.size.calm_s)
            self.keep(tool, "memory", processes.pss_bytes(session.child.pid))
            if "idle" in wanted:
                self.keep(tool, "idle", idle(session, self.size.idle_s, self.size.calm_s))
            self.keep(tool, "save_large", saves(session, self.size.few_saves, number))
        finally:
            session.stop()
            tools.forget(tree.root)

    def on_removal(self, tool, _, wanted):
        root = self.place.fresh("tree")
        tree = trees.build(root, 10, 1)
        gone = trees.build(root, self.size.removed, 0, above="gone")
        trees.write(f"{root}/{gone.directories[-1]}/f.txt", "there\n")
        tree.files.append(f"{gone.directories[-1]}/f.txt")
        session = tool.session(tree)
        try:
            ready(session, tool.at_start, [tree.files[-1], *tree.files[:2]], self.size.calm_s)
            self.keep(tool, "remove", removal(session, "gone", self.size.calm_s))
        finally:
            session.stop()

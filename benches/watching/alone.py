"""What is measured of the daemon alone: growth, many workspaces, the client's start, requests, events."""

import datetime
import json
import os
import threading
import time
from pathlib import Path

from . import processes, rows, tools, trees

LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")
OUTSTANDING = 60  # of the 64 requests that one connection may have under way
TICKS = rows.TICKS


def watch_limit():
    return int(LIMIT.read_text())


def growth(place, chosen, sizes, saves, say):
    """One tree that becomes larger; at each size every tool is started on it anew."""
    told, tree = [], None
    for size in sizes:
        have = len(tree.directories) if tree else 0
        more = trees.build(tree.root if tree else place.fresh("tree"), size - have - (1 if have else 0), 2, above=f"from{have}" if have else "")
        if tree:
            more.directories, more.files = tree.directories + [f"from{have}"] + more.directories, tree.files + more.files
        tree = more
        for tool in chosen:
            say(f"growth: {tool.name}, {size:,} directories")
            told.append({"tool": tool.name, "directories": size, **grown(tool, tree, saves)})
    return told


def grown(tool, tree, saves):
    session = tool.session(tree)
    try:
        row = {"ready": rows.ready(session, tool.at_start, tree.spread(rows.PLACES))}
        session.stamps.quiet(2)
        row["cpu_s"] = sum(processes.cpu_ticks(session.child.pid).values()) / TICKS
        row["pss_bytes"] = processes.pss_bytes(session.child.pid)
        if isinstance(tool, tools.Ours):
            with tools.Connection(session.socket) as connection:
                status = connection.ask("status")
            row |= {"state": status["workspaces"][0]["state"], "watches": status["daemon"]["watches"]}
        row["save_ms"] = rows.saves(session, saves, 1)["ms"]
        return row
    except tools.Failed as error:
        return {"failed": str(error)}
    finally:
        session.stop()
        tools.forget(tree.root)


def workspaces(place, ours, size, say):
    """So many workspaces, and then one of all their directories: until `sync` has answered for all."""
    count, directories = size.workspaces
    root = place.fresh("tree")
    parts = [trees.build(root / f"w{number:03}", directories, 2) for number in range(count)]
    whole = trees.Tree(root, [], [f"{part.root.name}/{file}" for part in parts for file in part.files])
    told = []
    for name, roots in (("many", [part.root for part in parts]), ("one", None)):
        say(f"workspaces: {name}")
        for part in parts:
            tools.forget(part.root)
            (part.root / "orchd.toml").unlink(missing_ok=True)
        told.append({"workspaces": len(roots or [root]), "directories": directories, **settled(ours, whole, roots, size.few_saves)})
    return told


def settled(ours, tree, roots, saves):
    session = ours.session(tree, roots)
    try:
        session.teller.join(rows.READY_LIMIT_S)
        session.check()
        with tools.Connection(session.socket) as connection:
            answer = connection.ask("sync", timeout_ms=rows.READY_LIMIT_S * 1000)
            took = (trees.now_ns() - session.began) / 1e9
            if not answer["synced"]:
                raise tools.Failed("sync was not answered in time")
            status = connection.ask("status")
        states = sorted({workspace["state"] for workspace in status["workspaces"]})
        time.sleep(2)
        return {"ready_s": took, "states": states, "watches": status["daemon"]["watches"],
                "cpu_s": sum(processes.cpu_ticks(session.child.pid).values()) / TICKS,
                "pss_bytes": processes.pss_bytes(session.child.pid), "save_ms": rows.saves(session, saves, 1)["ms"]}
    except tools.Failed as error:
        return {"failed": str(error)}
    finally:
        session.stop()


def started(argv, env, cwd):
    """Milliseconds of a whole process."""
    nothing = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    os.chdir(cwd)
    before = time.perf_counter_ns()
    pid = os.posix_spawn(argv[0], argv, env, file_actions=nothing)
    _, status = os.waitpid(pid, 0)
    took = (time.perf_counter_ns() - before) / 1e6
    if status:
        raise tools.Failed(f"`{' '.join(argv)}` exited {os.waitstatus_to_exitcode(status)}")
    return took


def status_process(session, pairs):
    ways = {"true": ["/bin/true"], "status": [str(session.place.orchctl), "status"]}
    times = {name: [] for name in ways}
    for turn in range(pairs + 1):
        for name in sorted(ways, reverse=turn % 2 == 1):
            took = started(ways[name], session.env, session.tree.root)
            if turn > 0:  # the first turn only warms the caches
                times[name].append(took)
    os.chdir("/")
    return times


def requests(session, seconds):
    """Status requests on one connection, so many outstanding; the client's own part is told beside the daemon's."""
    pid = session.child.pid
    with tools.Connection(session.socket) as connection:
        answered, ticks, own, began = 0, processes.cpu_ticks(pid), time.process_time(), time.monotonic()
        size = 0
        while time.monotonic() - began < seconds:
            connection.socket.sendall(b"".join(connection.request("status") for _ in range(OUTSTANDING)))
            for _ in range(OUTSTANDING):
                size = len(connection.lines.readline())
                answered += 1
        took = time.monotonic() - began
    spent = processes.ticks_between(ticks, processes.cpu_ticks(pid)) / TICKS
    return {"per_s": answered / took, "daemon_us": spent * 1e6 / answered, "client_us": (time.process_time() - own) * 1e6 / answered,
            "answer_bytes": size}


def events(session, saves):
    """Milliseconds from an event's `at`, which is cut to milliseconds, until a subscriber has read it."""
    late = {}
    connection = tools.Connection(session.socket)
    connection.ask("events.subscribe")

    def listen():
        try:
            for line in connection.lines:
                arrived = time.time_ns()
                event = json.loads(line).get("params", {})
                at = datetime.datetime.fromisoformat(event["at"])
                late.setdefault(event["type"], []).append(arrived / 1e6 - round(at.timestamp() * 1000))
        except (OSError, ValueError):
            return  # the end of the connection

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    rows.saves(session, saves, 3)
    session.stamps.quiet(1)
    connection.socket.shutdown(2)
    listener.join()
    connection.__exit__()
    late.pop("snapshot", None)
    return late

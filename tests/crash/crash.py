#!/usr/bin/env python3
"""Kills the daemon with SIGKILL at random moments, again and again, and looks at what is left.

    tests/crash/crash.py [KILLS] [--seed N] [--keep]       default 100 kills

A round: a run is under way, the daemon dies, a file is edited, the daemon comes back. Then every promise is checked:
every JSON file is whole (also before the restart), every line of metrics and logs parses (but for a log's torn last one),
every run directory has a manifest, no run is left queued or in progress and the interrupted ones are
`cancelled`/`daemon-lost`, no process of a run is left, the edited content has reached a verdict in a run that read it,
no temp file is left, and `orchctl evidence verify` finds nothing. A seed fixes the moments that are asked for; the scheduler adds its own.
Binaries: ORCHD_BIN and ORCHCTL_BIN, default target/debug/. Linux, Python 3.11, standard library only. Builds nothing.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
TASK = "0001-crash"
TERMINAL = {"succeeded", "failed", "cancelled"}
SPARES = ".orchd-spare"  # what is there has no name, and is no evidence (docs/formats.md)
COMMAND_S_MAX = 90
DEADLINE_S = 30
FINDINGS_MAX = 20  # more say nothing new, and each costs its deadline
RUN_MS_ABOUT = 400  # what a run of the pipeline takes; a random moment falls into it
MOMENTS = ["run"] * 5 + ["write"] * 3 + ["stage"] + ["start"] * 3

# `keeper` leaves an orphan behind when its shell dies before it: an interrupted run's processes are more than its stages.
CONFIG = """\
[workspace]
settle_ms = 20

[[project]]
task = "{task}"
pipeline = "diagnostics"

[[pipeline]]
id = "diagnostics"
title = "Diagnostics"

[[pipeline.stage]]
id = "build"
command = "mkdir -p dist && cp input.txt dist/out.txt"
inputs = ["input.txt"]
outputs = ["dist/**"]

[[pipeline.stage]]
id = "keeper"
command = "sleep 300 & keeper=$!; i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo line $i; sleep 0.01; done; kill $keeper"
inputs = ["input.txt"]

[[pipeline.stage]]
id = "see"
command = "cp input.txt '{seen}'/$ORCHD_RUN_ID"
inputs = ["input.txt"]
"""


def binary(variable, name):
    path = Path(os.environ.get(variable, REPOSITORY / "target/debug" / name)).absolute()
    if not os.access(path, os.X_OK):
        print(f"crash: {path} is not there: run `cargo build` first, or name the binary in {variable}", file=sys.stderr)
        sys.exit(2)
    return path


class Broken(Exception):
    """The daemon cannot be used any more: there is no point in a further round."""


class Site:
    """The scratch directory: one workspace, one daemon's state, and the daemon while it lives."""

    def __init__(self, seed):
        self.orchd, self.orchctl = binary("ORCHD_BIN", "orchd"), binary("ORCHCTL_BIN", "orchctl")
        self.rng = random.Random(seed)
        self.scratch = Path(tempfile.mkdtemp(prefix="orchd-crash-")).resolve()
        self.root, self.seen = self.scratch / "repo", self.scratch / "seen"
        for path in (self.root, self.seen, self.scratch / "home"):
            path.mkdir()
        (self.root / "orchd.toml").write_text(CONFIG.format(task=TASK, seen=self.seen))
        (self.root / "input.txt").write_text("first\n")
        (self.scratch / "config.toml").write_text("")
        self.env = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NO_COLOR": "1", "HOME": str(self.scratch / "home"),
            "ORCHD_SOCKET": str(self.scratch / "s"), "ORCHD_STATE_DIR": str(self.scratch / "state"),
            "ORCHD_CONFIG": str(self.scratch / "config.toml"),
        }
        self.log = open(self.scratch / "orchd.log", "ab")
        self.child = None
        self.torn_logs = set()

    def start(self):
        self.child = subprocess.Popen([self.orchd], cwd=self.scratch, env=self.env, stdin=subprocess.DEVNULL,
                                      stdout=self.log, stderr=self.log)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def ctl(self, *args):
        return subprocess.run([self.orchctl, *args], cwd=self.root, env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=COMMAND_S_MAX, check=False)

    def must(self, *args):
        done = self.ctl(*args)
        if done.returncode != 0:
            raise Broken(f"`orchctl {' '.join(args)}` exited {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def run_dirs(self):
        base = self.root / ".runs" / TASK / "cli"
        return sorted(p for p in base.iterdir() if p.is_dir()) if base.is_dir() else []

    def evidence(self):
        """Every file under .runs and out; one that goes away meanwhile is no concern."""
        for top in (self.root / ".runs", self.root / "out"):
            for directory, _, names in os.walk(top):
                yield from (Path(directory) / name for name in names)

    def manifests(self):
        """Run id to manifest, of those that can be read; `torn` tells of the others."""
        found = {}
        for path in self.run_dirs():
            try:
                found[path.name] = json.loads((path / "manifest.json").read_text())
            except (OSError, ValueError):
                continue
        return found

    def processes(self):
        """Pids whose environment says that they belong to a run of this workspace."""
        root, own = f"CODEX_ORCHESTRATOR_ROOT={self.root}".encode(), []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                variables = Path("/proc", entry, "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if root in variables and any(v.startswith(b"ORCHD_RUN_ID=") for v in variables):
                own.append(int(entry))
        return own

    def close(self, keep):
        if self.child is not None and self.child.poll() is None:
            self.kill()
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.log.close()
        if keep:
            print(f"crash: kept {self.scratch}", file=sys.stderr)
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)


def until(probe, seconds=DEADLINE_S):
    """The first truthy answer of `probe`, or its last answer at the deadline. Each probe does work of its own."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer or time.monotonic() > deadline:
            return answer


def torn(site, metrics_too):
    """JSON files that do not parse. The last line of metrics.json may be torn until the daemon has come back."""
    bad = []
    for path in site.evidence():
        if path.suffix != ".json" or ".tmp-" in path.name or SPARES in path.parts:
            continue
        try:
            text = path.read_text()
            if path.name == "metrics.json":
                for line in text.splitlines() if metrics_too else text.splitlines()[:-1]:
                    json.loads(line)
            else:
                json.loads(text)
        except FileNotFoundError:
            continue
        except ValueError as error:
            bad.append(f"{path.relative_to(site.root)}: {error}")
    return bad


def temp_files(site):
    """Those of runs, and what was prepared for one by a daemon that is dead."""
    own = f".tmp-{site.child.pid}-"
    left = [p for p in site.evidence() if ".tmp-" in p.name and SPARES not in p.parts]
    left += [p for p in (site.root / ".runs" / SPARES).glob("*") if own not in p.name]
    return [str(p.relative_to(site.root)) for p in left]


def await_moment(site, moment):
    """Waits for the moment to strike; says whether it was really met."""
    if moment == "write":
        return bool(until(lambda: temp_files_near(site), 2))
    if moment == "stage":
        return bool(until(site.processes, 2))
    time.sleep(site.rng.uniform(0, RUN_MS_ABOUT) / 1000)  # the moment itself is what is random
    return True


def is_judged(site):
    """Whether the newest run has ended; cheap, so that the moment is caught."""
    try:
        return json.loads((site.run_dirs()[-1] / "manifest.json").read_text())["status"] in TERMINAL
    except (OSError, ValueError, IndexError):
        return False


def temp_files_near(site):
    """Temp files where a run in progress writes; cheap, so that a write is caught while it lasts."""
    dirs = [site.root / "out" / TASK, site.root / ".runs" / TASK, *site.run_dirs()[-1:]]
    for path in dirs:
        try:
            if any(".tmp-" in name for name in os.listdir(path)):
                return True
        except OSError:
            continue
    return False


def crash(site, number, counts):
    """Brings a run about and kills the daemon in it; for `start`, once more while it recovers."""
    moment = site.rng.choice(MOMENTS)
    if site.rng.random() < 0.5:
        (site.root / "input.txt").write_text(f"before kill {number}\n")
    else:
        site.must("run", "--detach", "--force")
    met = await_moment(site, "run" if moment == "start" else moment)
    site.kill()
    if moment == "start":
        site.start()
        if site.rng.random() < 0.5:
            until(lambda: is_judged(site), 1)  # the moment after the interrupted run was judged
        else:
            time.sleep(site.rng.uniform(0, 100) / 1000)  # the moment itself is what is random
        site.kill()
    counts[f"at {moment}"] += met


def check_round(site, number, counts):
    """One round; yields (kind, text) for each promise that is broken."""
    crash(site, number, counts)
    for text in torn(site, metrics_too=False):
        yield "torn before restart", text
    interrupted = [run for run, manifest in site.manifests().items() if manifest["status"] not in TERMINAL]
    orphans = set(site.processes())
    counts["interrupted"] += len(interrupted)
    counts["orphans"] += len(orphans)
    counts["temp seen"] += bool(temp_files(site))

    content = f"edited while away {number} {site.rng.getrandbits(64):x}\n"
    (site.root / "input.txt").write_text(content)
    site.start()
    site.must("ping", "--wait", "15s")
    waited = site.ctl("wait", "--timeout", f"{DEADLINE_S}s")
    if waited.returncode != 0:
        yield "no verdict", f"`orchctl wait` exited {waited.returncode}: {waited.stderr.strip()}"
    yield from check_content(site, content)
    yield from check_left(site, interrupted, orphans)


def check_content(site, content):
    """The verdict is fresh, green, and of a run that read the new content."""
    try:
        status = json.loads(site.must("status", "--json"))
        project = next(p for w in status["workspaces"] for p in w["projects"] if p["task_id"] == TASK)
        run = project["last_run"]["run_id"]
    except (StopIteration, KeyError, TypeError, ValueError) as error:
        yield "edit unseen", f"no last run in status: {error!r}"
        return
    try:
        saw = (site.seen / run).read_text()
    except OSError:
        saw = None
    told = {"verdict": project["verdict"], "fresh": project["fresh"], "saw": saw}
    if told != {"verdict": "pass", "fresh": True, "saw": content}:
        yield "edit unseen", f"{run}: {told}, wanted a fresh pass on {content!r}"


def check_left(site, interrupted, orphans):
    """Nothing is left behind: no open run, no process, no temp file, no torn file."""
    def quiet():
        site.must("status")  # asks the daemon, so that a daemon that died meanwhile is noticed
        return all(m["status"] in TERMINAL for m in site.manifests().values())
    if not until(quiet):
        for run, manifest in site.manifests().items():
            if manifest["status"] not in TERMINAL:
                yield "left in progress", f"{run} is {manifest['status']}"
    manifests = site.manifests()
    for run in interrupted:
        manifest = manifests.get(run, {})
        found = (manifest.get("status"), manifest.get("status_detail"))
        if found != ("cancelled", "daemon-lost"):
            yield "not daemon-lost", f"{run} is {found}"
    gone = until(lambda: not orphans & set(site.processes()))
    if not gone:
        yield "process left", f"pids {sorted(orphans & set(site.processes()))}"
    if not until(lambda: not temp_files(site), 5):
        yield "temp file left", ", ".join(temp_files(site))
    for text in torn(site, metrics_too=True):
        yield "torn", text
    yield from check_runs(site)
    yield from check_chain(site)


def check_chain(site):
    """What runs have left is what the chain says. A power cut may take lines of logs along, which are not synced, and the
    manifest of a run whose end nobody was told of: made again, it is told until somebody has looked."""
    told = json.loads(site.ctl("evidence", "verify", "--json").stdout)
    lost = {run for run, manifest in site.manifests().items() if manifest.get("status_detail") == "daemon-lost"}
    for found in told["findings"]:
        is_made_again = found["run_id"] in lost and "made again" in found["message"]
        if not (getattr(site, "cut", False) and (found["path"].endswith(".ndjson") or is_made_again)):
            yield "chain", f"{found['kind']} {found['path']}: {found['message']}"


def check_runs(site):
    """Every run directory has its manifest, and every log line parses but for a last one that was torn."""
    for path in site.run_dirs():
        # One that was only just made is left alone for a while, as somebody may be at it.
        if not until((path / "manifest.json").is_file, 70) and path.exists():
            yield "no manifest", path.name
        for log in [path / "runner.ndjson", *path.glob("commands/*.ndjson")]:
            try:
                *whole, last = log.read_bytes().split(b"\n")
            except FileNotFoundError:
                continue  # no stage began
            for number, line in enumerate(whole, 1):
                try:
                    json.loads(line)
                except ValueError as error:
                    yield "torn log line", f"{log.relative_to(site.root)}:{number}: {error}"
            site.torn_logs.update([str(log)] if last else [])


def metrics_twice(site):
    """Runs with more than one metrics line: allowed by the format, told because it should be rare."""
    lines = (site.root / ".runs" / TASK / "metrics.json").read_text().splitlines()
    return sum(n > 1 for n in Counter(json.loads(line)["run_id"] for line in lines).values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", nargs="?", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the scratch directory, as after a failure")
    args = parser.parse_args()

    site, counts, failures, began, done = Site(args.seed), Counter(), Counter(), time.monotonic(), 0
    try:
        site.start()
        site.must("ping", "--wait", "15s")
        site.must("add", "--allow", str(site.root))
        site.must("wait", "--timeout", f"{DEADLINE_S}s")
        for number in range(1, args.kills + 1):
            for kind, text in check_round(site, number, counts):
                failures[kind] += 1
                print(f"crash: kill {number}, seed {args.seed}: {kind}: {text}", file=sys.stderr)
            done = number
            if failures.total() >= FINDINGS_MAX:
                raise Broken(f"{failures.total()} findings are enough")
        counts["metrics twice"] = metrics_twice(site)
        counts["torn logs"] = len(site.torn_logs)
        if not counts["orphans"]:
            raise Broken("no kill left a process behind: nothing was shown about leftovers")
    except (Broken, subprocess.TimeoutExpired) as error:
        failures["broken"] += 1
        print(f"crash: after {done} kills, seed {args.seed}: {error}", file=sys.stderr)
    finally:
        runs = len(site.run_dirs())
        site.close(args.keep or bool(failures))
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
    broken = ", ".join(f"{n} {kind}" for kind, n in sorted(failures.items())) or "nothing broken"
    print(f"crash: {done}/{args.kills} kills, {runs} runs ({told}); {broken}; {time.monotonic() - began:.0f} s, seed {args.seed}")
    sys.exit(1 if failures or done < args.kills else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Cuts the power under the daemon: what it has told of must be whole on the disk afterwards.

    tests/crash/powercut.py [CUTS] [--seed N] [--keep]       default 20 cuts

The workspace lies on an ext4 file system in a file; the cut is ext4's own shutdown without a flush of its journal, so
that whatever was not synced is gone. A cut falls either after `orchctl run` has told the end of a run, or after
`orchctl run --detach` has told that one began: the first must be there, of the second what is there must be whole. The file system is mounted anew (its journal is replayed) and looked at
before and after the next start of the daemon. A file that nobody synced must be lost in each cut: else nothing was shown.
Needs root, a loop device and mkfs.ext4; where they are not to be had, it says so loudly and exits 77.
Binaries: ORCHD_BIN and ORCHCTL_BIN, default target/debug/. Linux, Python 3.11, standard library only. Builds nothing.
"""

import argparse
import array
import fcntl
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2  # EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
IMAGE_MIB = 64
SKIPPED = 77


def crash_module():
    spec = importlib.util.spec_from_file_location("crash", HERE / "crash.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


crash = crash_module()


def skip(why):
    print(f"powercut: SKIPPED, NOTHING SHOWN: {why}", file=sys.stderr)
    sys.exit(SKIPPED)


class Disk:
    """An ext4 file system in a file, mounted at `point`."""

    def __init__(self, image, point):
        self.image, self.point, self.mounted = image, point, False

    def make(self):
        with open(self.image, "wb") as file:
            file.truncate(IMAGE_MIB << 20)
        self.must("mkfs.ext4", "-q", "-O", "has_journal", self.image)

    def must(self, *argv):
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            skip(f"{argv[0]} is not installed")
        if done.returncode != 0:
            raise OSError(f"{argv[0]}: {done.stderr.strip()}")

    def mount(self):
        self.must("mount", "-o", "loop", self.image, self.point)
        self.mounted = True

    def unmount(self):
        if self.mounted:
            self.must("umount", self.point)
            self.mounted = False

    def cut(self):
        handle = os.open(self.point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, array.array("I", [NO_LOG_FLUSH]))
        finally:
            os.close(handle)


def whole(site, run, ended):
    """What is wrong with the evidence of a run that was told of, as (kind, text)."""
    base = site.root / ".runs" / crash.TASK
    try:
        manifest = json.loads((base / "cli" / run / "manifest.json").read_text())
        for path in (base / "mcp" / run, site.root / ".runs/local-mcp" / run):
            json.loads((path / "manifest.json").read_text())
        json.loads((base / "cli" / run / "orchd.json").read_text())
        if not ended:
            if manifest["status"] != "in_progress":
                yield "acknowledged", f"{run} is {manifest['status']}"
            return
        told = (manifest["status"], manifest["metrics_recorded"])
        if told != ("succeeded", True):
            yield "ended", f"{run}: status and metrics_recorded are {told}"
        json.loads((site.root / manifest["run_summary_path"]).read_text())
        lines = [json.loads(line)["run_id"] for line in (base / "metrics.json").read_text().splitlines()]
        if lines.count(run) != 1:
            yield "ended", f"{run} has {lines.count(run)} metrics lines"
        for name in ("runs.json", "state.json"):
            entries = json.loads((site.root / "out" / crash.TASK / name).read_text())["runs"]
            if run not in [entry["runId"] for entry in entries]:
                yield "ended", f"{name} lacks {run}"
    except FileNotFoundError as error:
        # The names of a begun run are synced while its first stage runs (docs/formats.md): a cut before that may take
        # names along, and what is there is whole. Of a run that has ended nothing may be missing.
        if ended:
            yield "ended", f"{run}: {error!r}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield ("ended" if ended else "acknowledged"), f"{run}: {error!r}"


def settle(site):
    """Ends what the cut left running, so that the file system can be unmounted."""
    site.kill()
    for pid in site.processes():
        try:
            os.kill(pid, crash.signal.SIGKILL)
        except ProcessLookupError:
            pass
    crash.until(lambda: not site.processes())


def reboot(site):
    """What wrote the runs was started by another start of the system, as after any power cut."""
    for path in (site.root / ".runs").glob("*/cli/*/.orchd-owner.json"):
        owner = json.loads(path.read_text())
        owner["boot_id"] = "00000000-0000-4000-8000-000000000000"
        path.write_text(json.dumps(owner))


def check_cut(site, disk, number, counts):
    """One cut; yields (kind, text) for each promise that is broken."""
    ended = site.rng.random() < 0.5
    args = ["run", "--force", "--json"] + ([] if ended else ["--detach"])
    # The control: synced by nobody, and old enough to be there if the cut lost nothing.
    (site.root / "unsynced").write_text("x" * 100)
    run = json.loads(site.must(*args))["run_id"]
    disk.cut()
    counts["after an end" if ended else "after a begin"] += 1
    settle(site)
    crash.until(lambda: unmounted(disk))
    disk.mount()
    control = site.root / "unsynced"
    counts["control lost"] += not control.exists() or control.read_text() != "x" * 100
    control.unlink(missing_ok=True)
    site.cut = True
    reboot(site)
    yield from whole(site, run, ended)
    for text in crash.torn(site, metrics_too=False):
        yield "torn", text
    site.start()
    site.must("ping", "--wait", "15s")
    site.must("wait", "--timeout", f"{crash.DEADLINE_S}s")
    interrupted = [] if ended else [run]
    yield from crash.check_left(site, interrupted, set())


def unmounted(disk):
    try:
        disk.unmount()
    except OSError:
        time.sleep(0.05)  # whoever was killed may still hold it
    return not disk.mounted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cuts", nargs="?", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the scratch directory and its disk image, as after a failure")
    args = parser.parse_args()
    if os.geteuid() != 0:
        skip("only root can mount")
    site, counts, failures, done = crash.Site(args.seed), Counter(), Counter(), 0
    disk = Disk(site.scratch / "disk", site.root)
    try:
        config = (site.root / "orchd.toml").read_text()
        try:
            disk.make()
            disk.mount()
        except OSError as error:
            skip(error)
        (site.root / "orchd.toml").write_text(config)
        (site.root / "input.txt").write_text("first\n")
        os.sync()
        site.start()
        site.must("ping", "--wait", "15s")
        site.must("add", "--allow", str(site.root))
        site.must("wait", "--timeout", f"{crash.DEADLINE_S}s")
        for number in range(1, args.cuts + 1):
            try:
                for kind, text in check_cut(site, disk, number, counts):
                    failures[kind] += 1
                    print(f"powercut: cut {number}, seed {args.seed}: {kind}: {text}", file=sys.stderr)
            except OSError as error:
                if number == 1 and error.errno is not None:
                    skip(f"this kernel does not cut: {error}")
                raise
            done = number
        if counts["control lost"] == 0:
            skip("a file that nobody synced survived each cut")
    except (crash.Broken, subprocess.TimeoutExpired) as error:
        failures["broken"] += 1
        print(f"powercut: after {done} cuts, seed {args.seed}: {error}", file=sys.stderr)
    finally:
        if site.child is not None and site.child.poll() is None:
            settle(site)
        crash.until(lambda: unmounted(disk))
        site.close(args.keep or bool(failures))
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
    broken = ", ".join(f"{n} {kind}" for kind, n in sorted(failures.items())) or "nothing broken"
    print(f"powercut: {done}/{args.cuts} cuts ({told}); {broken}; seed {args.seed}")
    sys.exit(1 if failures or done < args.cuts else 0)


if __name__ == "__main__":
    main()

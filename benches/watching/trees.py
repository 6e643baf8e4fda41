"""The trees that are watched, the saves and storms in them, and the stamps that the program of every tool leaves."""

import dataclasses
import os
import random
import subprocess
import time
from pathlib import Path

GROUP, MIDDLE, LEAVES = 100, 9, 10  # a group: 1 directory, 9 in it, 10 in each of those
IGNORED = "node_modules"
PAUSE_S = 0.001


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@dataclasses.dataclass
class Tree:
    root: Path
    directories: list
    files: list
    saves: int = 0

    def save(self, file):
        """Writes a file in place, with content that it never had; tells the moment before."""
        self.saves += 1
        content = f"{self.saves} {now_ns()}\n".encode()
        path = self.root / file
        before = now_ns()
        handle = os.open(path, os.O_WRONLY | os.O_TRUNC)
        os.write(handle, content)
        os.close(handle)
        return before

    def spread(self, count):
        """Files far from each other: the first, the last and some between, in an order that no walk has."""
        step = max(1, (len(self.files) - 1) // max(1, count - 1))
        chosen = sorted({*self.files[::step][:count - 1], self.files[-1]})
        random.Random(count).shuffle(chosen)
        return chosen


def names(count, above=""):
    """Relative paths of `count` directories, each after the one that holds it."""
    made = []
    for group in range((count + GROUP - 1) // GROUP):
        top = f"{above}g{group:04}"
        made.append(top)
        for middle in range(MIDDLE):
            made.append(f"{top}/m{middle}")
            made.extend(f"{top}/m{middle}/l{leaf}" for leaf in range(LEAVES))
    return made[:count]


def build(root, directories, files_per_directory, ignored=0, above=""):
    """A git repository, new or made larger, with so many directories more; the ignored ones hold one file each."""
    root.mkdir(parents=True, exist_ok=True)
    if not (root / ".git").exists():
        subprocess.run(["git", "init", "-q", root], check=True, stdin=subprocess.DEVNULL)
        (root / ".gitignore").write_text(f"{IGNORED}/\n")
    if above:
        (root / above).mkdir()
    made = names(directories, f"{above}/" if above else "")
    files = []
    for directory in made:
        path = f"{root}/{directory}"
        os.mkdir(path)
        for number in range(files_per_directory):
            write(f"{path}/f{number}.txt", f"{directory} {number}\n")
            files.append(f"{directory}/f{number}.txt")
    if ignored:
        (root / IGNORED).mkdir()
        for directory in names(ignored - 1, f"{IGNORED}/"):
            os.mkdir(f"{root}/{directory}")
            write(f"{root}/{directory}/index.txt", directory)
    return Tree(root, made, files)


def write(path, text):
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(handle, text.encode())
    os.close(handle)


def storm(root, directories, files):
    """Writes `files` files in `directories` new directories as fast as it goes; tells the moments around it."""
    each = files // directories
    (root / "storm").mkdir()
    before = now_ns()
    for directory in range(directories):
        path = f"{root}/storm/d{directory:05}"
        os.mkdir(path)
        for number in range(each):
            write(f"{path}/f{number}.txt", f"{directory} {number}\n")
    return before, now_ns()


class Stamps:
    """The file that the program of every tool appends the moment of its start to, outside of the trees."""

    def __init__(self, path):
        self.path, self.rest, self.all = path, b"", []
        path.write_bytes(b"")
        self.file = open(path, "rb")

    def close(self):
        self.file.close()

    def read(self):
        *lines, self.rest = (self.rest + self.file.read()).split(b"\n")
        self.all.extend(int(line) for line in lines)
        return self.all

    def after(self, moment, limit_s, skip=0):
        """The first stamp after that moment, but for the first `skip` of all; None if there is none in time."""
        limit = time.monotonic() + limit_s
        while True:
            found = [stamp for stamp in self.read()[skip:] if stamp > moment]
            if found:
                return min(found)
            if time.monotonic() > limit:
                return None
            time.sleep(PAUSE_S)

    def quiet(self, seconds, limit_s=120):
        """Waits until no program has started for so long; whether that came to be in time."""
        limit = time.monotonic() + limit_s
        count, since = len(self.read()), time.monotonic()
        while time.monotonic() < limit:
            if time.monotonic() - since >= seconds:
                return True
            time.sleep(min(seconds / 10, 0.05))
            if len(self.read()) != count:
                count, since = len(self.all), time.monotonic()
        return False

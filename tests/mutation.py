"""What the scripts share that break the sources on purpose: a copy to break, and the test that has to notice.

An oracle that has never noticed anything proves nothing. Each mutant is applied to a copy of the sources in a temporary
directory, never to the sources themselves; what cargo builds of it is kept, in a directory of its own.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Unfit(Exception):
    """The text that a mutant replaces does not stand exactly once in its file."""


@contextlib.contextmanager
def copied_sources():
    """A directory with a copy of all that the tests are built from."""
    with tempfile.TemporaryDirectory(prefix="orchd-mutants-") as directory:
        at = Path(directory)
        for name in ["Cargo.toml", "Cargo.lock", "clippy.toml"]:
            shutil.copy(ROOT / name, at / name)
        for name in ["src", "templates", "tests", "benches"]:
            ignored = shutil.ignore_patterns("node_modules", "__pycache__")
            # With fresh times, or cargo takes what it built of the last mutant before for what stands here.
            shutil.copytree(ROOT / name, at / name, ignore=ignored, copy_function=shutil.copy)
        yield at


def swapped(path: Path, swaps: list[tuple[str, str]]) -> str:
    """What the file says with the second text of each pair in the place of the first."""
    text = other = path.read_text()
    for old, new in swaps:
        if text.count(old) != 1:
            raise Unfit(f"its text stands {text.count(old)} times in {path.name}")
        other = other.replace(old, new)
    return other


def check(mutants: list[tuple[str, Path, list[tuple[str, str]]]]) -> int:
    """Whether each mutant, by its name, file and swaps, still has something to break; builds and runs nothing."""
    unfit = 0
    for name, path, swaps in mutants:
        try:
            swapped(path, swaps)
        except (Unfit, OSError) as error:
            unfit += 1
            print(f"{name:40} {error}")
    print(f"{len(mutants) - unfit} of {len(mutants)} mutants stand in the sources")
    return 1 if unfit else 0


@contextlib.contextmanager
def broken(path: Path, swaps: list[tuple[str, str]]):
    """The file with the second text of each pair in the place of the first."""
    text = path.read_text()
    path.write_text(swapped(path, swaps))
    try:
        yield
    finally:
        path.write_text(text)


def run_test(at: Path, test: str, env: dict[str, str], *arguments: str, timeout: float | None = None) -> tuple[int, str]:
    """Builds and runs one of the tests in a copy of the sources; its exit code and what it printed."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "mutants"
    quiet = {"CARGO_TARGET_DIR": str(target), "RUST_BACKTRACE": "0", "RUSTFLAGS": "-Awarnings"}
    done = subprocess.run(
        ["cargo", "test", "--quiet", "--test", test, *arguments],
        cwd=at,
        env=os.environ | quiet | env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
    )
    return done.returncode, done.stdout

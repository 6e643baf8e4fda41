#!/usr/bin/env python3
"""Breaks the engine on purpose, one promise at a time, and demands that the simulation notices.

The simulation runs on a copy of the sources (`tests/mutation.py`) with a fixed seed, and has to fail with one of the
findings, or in one of the scenes, that the table names.
Exit 1: a mutant survived, was noticed for another reason, or its text no longer stands in the engine.

    tests/simulation/mutants.py [PART-OF-A-NAME ...]      CASES=2000 SEED=1 by default
    tests/simulation/mutants.py --check                   only whether each still has a text to break; milliseconds
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutation import ROOT, Unfit, broken, check, copied_sources, run_test
from mutations import MUTANTS
from mutations.mutant import Mutant

CASES = os.environ.get("CASES", "2000")
SEED = os.environ.get("SEED", "1")
# A mutant that makes a step endless is ended, and counts as noticed by the clock alone if the table says so.
SECONDS_MAX = 300


def place(mutant: Mutant, at: Path) -> tuple[Path, list[tuple[str, str]]]:
    """Its file, and what it puts in the place of what."""
    return at / "src" / "engine" / mutant.file, [(mutant.old, mutant.new)]


def simulate(at: Path) -> tuple[int, str]:
    env = {"SIMULATION_CASES": CASES, "PROPTEST_RNG_SEED": SEED, "PROPTEST_MAX_SHRINK_ITERS": "0"}
    try:
        return run_test(at, "simulation", env, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return 1, "the simulation does not end"


def findings(output: str) -> list[tuple[str, str]]:
    """Which test said what: the first line of each panic."""
    found = re.findall(r"thread '([^']*)'[^\n]* panicked at [^\n]*\n([^\n]*)", output)
    return [(test, said) for test, said in found if not said.startswith("Test failed")]


def judge(mutant: Mutant, at: Path) -> str | None:
    """Why the mutant is not noticed as the table says; nothing if it is."""
    began = time.monotonic()
    try:
        with broken(*place(mutant, at)):
            code, output = simulate(at)
    except Unfit as unfit:
        return str(unfit)
    took = time.monotonic() - began
    if code == 0:
        return "survived"
    if "could not compile" in output:
        return "does not compile:\n" + output[-2000:]
    said = findings(output) or [("?", output.strip()[-300:])]
    world = [text for test, text in said if "every_promise" in test]
    scenes = sorted({test.rsplit("::", 1)[-1] for test, _ in said if "every_promise" not in test})
    first = world[0] if world else "-"
    print(f"{mutant.name:34} {took:4.0f} s  {first[:110]}", flush=True)
    if scenes:
        print(f"{'':34}         also: {', '.join(scenes)}")
    heard = [first] + [f"scene {scene}" for scene in scenes]
    if not any(part in text for part in mutant.noticed for text in heard):
        return f"noticed for another reason than {mutant.noticed}: {said}"
    return None


def main() -> int:
    parts = sys.argv[1:]
    if parts == ["--check"]:
        return check([(mutant.name, *place(mutant, ROOT)) for mutant in MUTANTS])
    chosen = [m for m in MUTANTS if not parts or any(part in m.name for part in parts)]
    problems = []
    with copied_sources() as at:
        code, output = simulate(at)
        if code != 0:
            print(f"the simulation fails without any mutant:\n{output[-3000:]}")
            return 1
        for mutant in chosen:
            problem = judge(mutant, at)
            if problem:
                problems.append(f"{mutant.name} ({mutant.breaks}): {problem}")
                print(f"{mutant.name:34} {problem}", flush=True)
    print(f"{len(chosen) - len(problems)} of {len(chosen)} mutants were noticed ({CASES} scripts, seed {SEED})")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

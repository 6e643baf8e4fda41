#!/usr/bin/env python3
"""Breaks the watch engine on purpose, one promise at a time, and demands that the convergence test notices.

The convergence test runs on a copy of the sources (`tests/mutation.py`) for as long as in `.ci/run`. Without a mutant it
has to pass, and with each it has to fail by one of its own findings.
Exit 1: it fails without one, or a mutant survived, was noticed for another reason, or its text no longer stands in the
sources.

    tests/convergence/mutants.py [PART-OF-A-NAME ...]      SECONDS=60 SEED=1 by default
    tests/convergence/mutants.py --check                   only whether each still has a text to break; milliseconds
"""

import os
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutation import ROOT, Unfit, broken, check, copied_sources, run_test

SECONDS = os.environ.get("SECONDS", "60")
SEED = os.environ.get("SEED", "1")
# What the test itself says; anything else is no finding.
FINDINGS = ("the daemon has another content", "told by no change", "proves what has not been run")


class Mutant(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    breaks: str
    also: tuple[str, str] | None = None


MUTANTS = [
    Mutant(
        "one-event-in-a-thousand",
        "watcher.rs",
        "            let noise = path\n",
        "            static SEEN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);\n"
        "            if SEEN.fetch_add(1, Ordering::Relaxed) % 1000 == 999 {\n                continue;\n            }\n"
        "            let noise = path\n",
        "an event is lost",
    ),
    Mutant(
        "overflow-passed-over",
        "watcher.rs",
        "                let wake = self.with(Board::note_everything);",
        "                let wake = Wake::Spared;",
        "the kernel's queue has overflowed",
    ),
    Mutant(
        "list-before-watch",
        "tree/walk.rs",
        "            match self.hook(id, &directory, step.renew, look)? {\n",
        "            let fresh = self.snapshot.dir(id).listed != Listed::Done;\n"
        "            let hooked = match fresh {\n                true => Hooked::Yes,\n"
        "                false => self.hook(id, &directory, step.renew, look)?,\n            };\n"
        "            match hooked {\n",
        "what comes between the listing and the watch is an event",
        (
            "        let changed = self.hold_rules(id, survey.rules);\n",
            "        drop(self.hook(id, &site.directory, Renew::No, look)?);\n"
            "        let changed = self.hold_rules(id, survey.rules);\n",
        ),
    ),
    Mutant(
        "moved-in-is-not-entered",
        "tree/settle.rs",
        "            self.digests.forget(id);\n            return Some(Step::new(id, Reach::Below, Renew::No));",
        "            self.digests.forget(id);\n            if found.doubt == Some(Doubt::Hook) {\n                return None;\n"
        "            }\n            return Some(Step::new(id, Reach::Below, Renew::No));",
        "what a directory brings along is content",
    ),
    Mutant(
        "declared-is-hidden",
        "tree/survey.rs",
        "        } else if wanted.is_some_and(|wanted| wanted.holds(name, is_directory)) {",
        "        } else if wanted.is_some_and(|wanted| is_directory && wanted.holds(name, is_directory)) {",
        "what a stage declares counts though it is ignored",
    ),
    Mutant(
        "deep-is-not-watched",
        "tree/walk.rs",
        "            return Ok(Hooked::Yes);\n        }\n        if renew",
        "            return Ok(Hooked::Yes);\n        }\n"
        "        if directory.components().count() > 8 {\n            return Ok(Hooked::Yes);\n        }\n        if renew",
        "what is below a new directory is watched",
    ),
    Mutant(
        "renamed-keeps-its-watch",
        "tree/settle.rs",
        "            _ if found.doubt == Some(Doubt::Hook) => Some(Step::new(id, Reach::Below, Renew::Yes)),\n",
        "            _ if found.doubt == Some(Doubt::Hook) => None,\n",
        "a directory that went and came back is watched again",
    ),
    Mutant(
        "let-go-of-under-its-new-name",
        "tree/walk.rs",
        "            if !let_go.is_empty() {\n",
        "            if let_go.len() > 1000 {\n",
        "two names of one directory are one watch",
    ),
    Mutant(
        "rules-only-here",
        "tree/examine.rs",
        "            return vec![Step::new(id, Reach::Below, Renew::No)];\n",
        "            return vec![Step::new(id, Reach::Only, Renew::No)];\n",
        "other rules are a walk of all that they are about",
    ),
    Mutant(
        "other-names-are-not-sought",
        "tree/settle.rs",
        "self.links == Links::Sought && print.is_linked()",
        "self.links == Links::Sought && print.is_linked() && self.met.len() > 1000",
        "a write through one name is a change of the others",
    ),
    Mutant(
        "what-a-lost-directory-held-is-not-told",
        "tree/settle.rs",
        "            for at in 0..self.snapshot.dir(*id).entries().len() {\n",
        "            for at in 1..self.snapshot.dir(*id).entries().len() {\n",
        "every path that goes is told",
    ),
    Mutant(
        "same-size-is-same-content",
        "tree/settle.rs",
        "        let same_print = old.print == new.print;\n",
        "        let same_print = old.print == new.print || (old.print.size == new.print.size && new.print.size > 1);\n",
        "content is what the bytes are",
    ),
    Mutant(
        "unread-is-digested",
        "tree/fold.rs",
        "                keep = Keep::No;\n                if let Some(unread)",
        "                if let Some(unread)",
        "a digest of what nobody has read is none",
    ),
    Mutant(
        "another-index-is-passed-over",
        "tree/tracked.rs",
        "            if !self.tracked.outdated && stamps == self.tracked.stamps {\n",
        "            if !self.tracked.outdated {\n",
        "what git tracks is content though it is ignored",
    ),
    Mutant(
        "backups-are-not-looked-at",
        "tree/examine.rs",
        "            let matters = is_known || matches!(named.what, What::Nothing);\n",
        "            let matters = is_known && matches!(named.what, What::Nothing) && names.len() > 1000;\n",
        "whether a name is a backup depends on the file beside it",
    ),
]


def place(mutant: Mutant, at: Path) -> tuple[Path, list[tuple[str, str]]]:
    """Its file, and what it puts in the place of what."""
    return at / "src" / "daemon" / mutant.file, [(mutant.old, mutant.new), *([mutant.also] if mutant.also else [])]


def converge(at: Path, *arguments: str) -> tuple[int, str]:
    env = {"CONVERGENCE_SECONDS": SECONDS, "CONVERGENCE_SEED": SEED}
    return run_test(at, "convergence", env, *arguments)


def judge(mutant: Mutant, at: Path) -> str | None:
    """Why the mutant is not noticed; nothing if it is."""
    try:
        with broken(*place(mutant, at)):
            code, output = converge(at, "--no-run")
            if code != 0:
                return "does not compile:\n" + output[-2000:]
            began = time.monotonic()
            code, output = converge(at)
    except Unfit as unfit:
        return str(unfit)
    took = time.monotonic() - began
    if code == 0:
        return "survived"
    said = [line for line in output.splitlines() if any(finding in line for finding in FINDINGS)]
    if not said:
        return "noticed for another reason:\n" + output[-2000:]
    found = re.search(r"CONVERGENCE_SEED=(\d+).* round (\d+)", output)
    where = f"session {found[1]}, round {found[2]}" if found else "?"
    print(f"{mutant.name:40} {took:4.0f} s  {where}: {said[0][:60]}", flush=True)
    return None


def main() -> int:
    parts = sys.argv[1:]
    if parts == ["--check"]:
        return check([(mutant.name, *place(mutant, ROOT)) for mutant in MUTANTS])
    chosen = [m for m in MUTANTS if not parts or any(part in m.name for part in parts)]
    problems = 0
    with copied_sources() as at:
        code, output = converge(at)
        if code != 0:
            print(f"the convergence test fails without any mutant:\n{output[-3000:]}")
            return 1
        for mutant in chosen:
            problem = judge(mutant, at)
            if problem:
                problems += 1
                print(f"{mutant.name:40} ({mutant.breaks}): {problem}", flush=True)
    print(f"{len(chosen) - problems} of {len(chosen)} mutants were noticed within {SECONDS} s (seed {SEED})")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

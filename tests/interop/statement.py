#!/usr/bin/env python3
"""Reads a statement of `orchctl evidence export` with in-toto's own library (PyPI: in-toto-attestation).

    tests/interop/statement.py

A workspace is run green and red, and each run exported; the library has to read the statement and its predicate, with
no field that it does not know, and find it valid. The library is installed into an environment below target/ that lives
as long as that; where it cannot be had, it says so loudly and exits 77.
Binary: ORCHCTL_BIN, default target/debug/orchctl. Builds nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "target/in-toto"
PACKAGE = "in-toto-attestation==0.9.3"
TOML = """[[pipeline]]
id = "diagnostics"
[[pipeline.stage]]
id = "check"
command = "test ! -e broken"
[[pipeline.stage]]
id = "lint"
command = "false"
allow_failure = true
"""


def skip(why):
    print(f"statement: SKIPPED, NOTHING SHOWN: {why}", file=sys.stderr)
    sys.exit(77)


def with_library():
    """Goes on in an environment that has the library."""
    python = HOME / "bin/python"
    if not python.exists():
        try:
            venv.create(HOME, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            skip(f"no environment can be made: {error}")
    probe = [python, "-c", "import in_toto_attestation"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pip = [python, "-m", "pip", "install", "--quiet", PACKAGE]
        if subprocess.run(pip, check=False).returncode != 0:
            skip(f"{PACKAGE} cannot be installed")
    os.execv(python, [str(python), __file__])


def read(text):
    """What the library makes of a statement; fails on a field that it does not know."""
    from google.protobuf import json_format
    from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
    from in_toto_attestation.v1 import statement, statement_pb2
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor

    told = json_format.Parse(text, statement_pb2.Statement())
    statement.Statement.copy_from_pb(told).validate()
    assert told.predicate_type == "https://in-toto.io/attestation/test-result/v0.1"
    predicate = json_format.MessageToJson(told.predicate)
    result = json_format.Parse(predicate, test_result_pb2.TestResult())
    for resource in [*told.subject, *result.configuration]:
        ResourceDescriptor.copy_from_pb(resource).validate()
    return result


def main():
    try:
        import in_toto_attestation  # noqa: F401
    except ImportError:
        with_library()
    orchctl = os.environ.get("ORCHCTL_BIN", str(ROOT / "target/debug/orchctl"))
    with tempfile.TemporaryDirectory() as base:
        work = Path(base) / "w"
        work.mkdir()
        (work / "orchd.toml").write_text(TOML)
        env = {"PATH": os.environ["PATH"], "HOME": base, "ORCHD_STATE_DIR": f"{base}/state",
               "ORCHD_SOCKET": f"{base}/s", "ORCHD_CONFIG": f"{base}/config.toml"}

        def ctl(*args, codes=(0,)):
            done = subprocess.run([orchctl, *args], cwd=work, env=env, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, check=False)
            if done.returncode not in codes:
                sys.exit(f"`orchctl {' '.join(args)}` exited {done.returncode}: {done.stderr}{done.stdout}")
            return done.stdout

        ctl("allow")
        for broken, wanted in [(False, "WARNED"), (True, "FAILED")]:
            if broken:
                (work / "broken").write_text("")
            run = json.loads(ctl("run", "--no-daemon", "--json", codes=(0, 1)))["run_id"]
            result = read(ctl("evidence", "export", run))
            lists = (list(result.passed_tests), list(result.warned_tests), list(result.failed_tests))
            print(f"statement: {result.result}, passed, warned, failed: {lists}")
            assert str(result.result) == wanted, result.result
            ctl("evidence", "verify")


if __name__ == "__main__":
    main()

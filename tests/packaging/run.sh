#!/usr/bin/env bash
# Checks of what is packaged beside the binaries: the systemd unit, the launchd agent, scripts/spec-guard.sh.
# Exit 0: all held. 1: something did not. 77: what could be checked held, but a tool is missing here.
# What it cannot show: that launchd accepts the agent (that needs a Mac).
set -u
cd "$(dirname "$0")/../.." || exit 1

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0 skipped=0
ok() { printf 'ok    %s\n' "$1"; }
fail() { failed=1; printf 'FAIL  %s\n' "$1"; [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/      /'; }
skip() { skipped=1; printf 'SKIP  %s\n' "$1"; }

# systemd-analyze exits 0 on a bad value and only prints, so any output is a failure. It insists on the
# user's runtime directory and on a binary at ExecStart: a home of our own gives it both, and the unit is
# read as it is shipped.
home=$scratch/home
mkdir -p "$home/.cargo/bin" "$scratch/run/systemd"
printf '#!/bin/sh\n' >"$home/.cargo/bin/orchd" && chmod 755 "$home/.cargo/bin/orchd"
verify() { env -i PATH="$PATH" HOME="$home" XDG_RUNTIME_DIR="$scratch/run" systemd-analyze --user verify "$1" 2>&1; }

unit=systemd/orchd.service
if ! command -v systemd-analyze >/dev/null; then
  skip "$unit: no systemd-analyze here (Debian: apt-get install systemd)"
elif [ ! -x /bin/kill ]; then
  skip "$unit: no /bin/kill here, which ExecReload names (Debian: apt-get install procps)"
else
  said=$(verify "$PWD/$unit") && [ -z "$said" ] && ok "$unit: systemd-analyze has nothing to say" ||
    fail "$unit: systemd-analyze says" "$said"
  # The check itself is checked: a planted typo must not pass.
  mkdir -p "$scratch/bad"
  sed 's/^Type=exec$/Type=execute/' "$unit" >"$scratch/bad/orchd.service"
  [ -n "$(verify "$scratch/bad/orchd.service")" ] && ok "$unit: a planted bad value is noticed" ||
    fail "$unit: a planted bad value went unnoticed"
fi

python3 - "$unit" <<'PY' && ok "$unit: the settings that keep builds and daemon alive" || fail "$unit: see above"
import configparser, sys
unit = configparser.RawConfigParser(strict=True)
unit.optionxform = str
unit.read(sys.argv[1], encoding="utf-8")
service = dict(unit["Service"])
want = {
    "Type": "exec", "ExecStart": "%h/.cargo/bin/orchd", "ExecReload": "/bin/kill -HUP $MAINPID",
    "Restart": "on-failure", "RestartPreventExitStatus": "2", "KillMode": "mixed", "OOMPolicy": "continue",
}
wrong = [f"{k}={service.get(k)!r}, expected {v!r}" for k, v in want.items() if service.get(k) != v]
harmful = ("Protect", "Private", "Restrict", "SystemCall", "LockPersonality", "NoNewPrivileges",
           "MemoryDenyWriteExecute", "UMask", "RuntimeDirectory", "StateDirectory", "DynamicUser")
wrong += [f"{k}= is set, and breaks builds or the socket" for k in service if k.startswith(harmful)]
if unit["Install"].get("WantedBy") != "default.target":
    wrong.append("a user unit is wanted by default.target")
print("\n".join("      " + line for line in wrong), end="\n" if wrong else "")
sys.exit(bool(wrong))
PY

agent=launchd/dev.orchd.agent.plist
python3 - "$agent" <<'PY' && ok "$agent: parses, with the keys it needs" || fail "$agent: see above"
import pathlib, plistlib, sys
path = pathlib.Path(sys.argv[1])
with path.open("rb") as file:
    agent = plistlib.load(file)
want = {
    "Label": path.stem, "RunAtLoad": True, "KeepAlive": {"SuccessfulExit": False}, "ThrottleInterval": 10,
    "ProcessType": "Standard", "ExitTimeOut": 20, "SoftResourceLimits": {"NumberOfFiles": 8192},
}
wrong = [f"{k}: {agent.get(k)!r}, expected {v!r}" for k, v in want.items() if agent.get(k) != v]
wrong += [f"{k}: not a key this agent uses" for k in set(agent) - set(want) - {"ProgramArguments"}]
if agent["ProgramArguments"][:2] != ["/bin/sh", "-c"] or len(agent["ProgramArguments"]) != 3:
    wrong.append("ProgramArguments: not `/bin/sh -c SCRIPT`")
print("\n".join("      " + line for line in wrong), end="\n" if wrong else "")
sys.exit(bool(wrong))
PY

# The agent's own shell line, run with a home whose orchd reports what it was given.
started() { HOME=$home /bin/sh -c "$(python3 -c 'import plistlib, sys; print(plistlib.load(open(sys.argv[1], "rb"))["ProgramArguments"][2])' "$agent")"; }
mkdir -p "$home/Library/Logs"
printf '#!/bin/sh\necho "started with $# arguments in $PWD" >&2\n' >"$home/.cargo/bin/orchd"
started && started
logs=$home/Library/Logs/orchd
[ "$(cat "$logs/launchd.err.log" "$logs/launchd.err.log.1" 2>&1)" = "$(printf 'started with 0 arguments in /\n%.0s' 1 2)" ] &&
  ok "$agent: starts orchd in /, keeps this and the last one's stderr" ||
  fail "$agent: the start line does not work" "$(ls "$logs" 2>&1)"

bash tests/packaging/spec_guard.sh || failed=1

[ $failed = 0 ] || exit 1
[ $skipped = 0 ] || exit 77

#!/bin/sh
# Runs the interop checks against the published CLI. Builds nothing.
#   ORCHD_BIN, ORCHCTL_BIN   the binaries, default <repository>/target/debug/{orchd,orchctl}
#   INTEROP_SELF=1           only the upstream half: the published CLI checked on runs that it wrote itself,
#                            and every check shown to be able to fail
# Further arguments go to `node --test`, e.g. --test-name-pattern=A7
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

for tool in node npm git; do
  command -v "$tool" >/dev/null 2>&1 || { echo "interop: $tool is not installed; node 20 or newer, npm and git are needed" >&2; exit 2; }
done

# npm leaves this file in node_modules; older than the lock file means another set of packages.
if [ ! -e "$here/node_modules/.package-lock.json" ] || [ "$here/package-lock.json" -nt "$here/node_modules/.package-lock.json" ]; then
  (cd "$here" && npm ci --ignore-scripts --no-audit --no-fund >&2)
  touch "$here/node_modules/.package-lock.json"
fi

exec node --test --test-reporter=spec "$@" "$here/interop.test.mjs"

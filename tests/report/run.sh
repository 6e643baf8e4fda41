#!/bin/sh
# Looks at the kept report in headless Chromium: valid HTML, axe-core, no request, no script, nothing out of its place.
#   CHROMIUM       the browser, default chromium
#   SHOTS          where pictures of it go, default <repository>/target/report
# `cargo test` holds the kept report against what `orchctl report` makes. Exit: 0 all held, 1 something did not, 2 a tool
# is missing.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
CHROMIUM=${CHROMIUM:-chromium}
SHOTS=${SHOTS:-$here/../../target/report}
export CHROMIUM SHOTS

for tool in node npm "$CHROMIUM"; do
  command -v "$tool" >/dev/null 2>&1 || { echo "report: $tool is not installed; node 18.19 or newer, npm and chromium are needed" >&2; exit 2; }
done

# npm leaves this file in node_modules; older than the lock file means another set of packages.
if [ ! -e "$here/node_modules/.package-lock.json" ] || [ "$here/package-lock.json" -nt "$here/node_modules/.package-lock.json" ]; then
  (cd "$here" && npm ci --ignore-scripts --no-audit --no-fund >&2)
  touch "$here/node_modules/.package-lock.json"
fi
mkdir -p "$SHOTS"
exec node "$here/browser.mjs" "$@"

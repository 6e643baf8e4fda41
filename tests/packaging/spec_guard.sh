#!/usr/bin/env bash
# What scripts/spec-guard.sh finds, and what it must not find, in throw-away repositories with real git.
# Called by run.sh; exit 1 when a case does not hold.
set -u
guard=$(cd "$(dirname "$0")/../.." && pwd)/scripts/spec-guard.sh
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b.invalid
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b.invalid
# A git hook that runs this has these set, and its repository is not to be touched.
unset BASE_SHA $(git rev-parse --local-env-vars)
failed=0 count=0

day() { python3 -c 'import datetime, sys; now = datetime.datetime.now(datetime.timezone.utc); print((now + datetime.timedelta(days=int(sys.argv[1]))).date())' "$1"; }
put() { mkdir -p "$(dirname "$1")" && printf '%s\n' "$2" >"$1"; }
spec() { put "tasks/specs/$1.md" "last_review: $2"; }
commit() { git add -A && git commit -qm "$1"; }
# A repository on main with one covered commit.
fresh() {
  count=$((count + 1))
  mkdir "$scratch/$count" && cd "$scratch/$count" || exit 1
  git init -q -b main . && spec one "$(day 0)" && put src/lib.rs one && commit first
}
# expect WHAT EXIT PATTERN [ARG...]: the guard's exit code, and a pattern in what it prints.
expect() {
  local what=$1 code=$2 pattern=$3 said rc
  shift 3
  said=$(bash "$guard" "$@" 2>&1)
  rc=$?
  if [ "$rc" = "$code" ] && grep -q -- "$pattern" <<<"$said"; then
    printf 'ok    spec-guard: %s\n' "$what"
  else
    failed=1
    printf 'FAIL  spec-guard: %s (exit %s, expected %s and /%s/)\n' "$what" "$rc" "$code" "$pattern"
    printf '%s\n' "$said" | sed 's/^/      /'
  fi
}

fresh; expect "a first commit with a spec passes" 0 nothing
fresh; git rm -q --cached tasks/specs/one.md && git commit -q --amend -m bare && rm tasks/specs/one.md
expect "a first commit without one does not" 1 'src/lib.rs'
fresh; git checkout -q -b work; put src/lib.rs two
expect "an uncommitted edit is seen" 1 'src/lib.rs'
expect "a dry run reports, and passes" 0 '^ - code changed' --dry-run
mkdir deep && cd deep || exit 1
expect "from a subdirectory too" 1 'src/lib.rs'
fresh; git checkout -q -b work; put src/new.rs one
expect "an untracked file is seen" 1 'src/new.rs'
fresh; git checkout -q -b work; put packages/web/src/a.ts one; commit code
expect "a project below packages/ is guarded" 1 'packages/web/src/a.ts'
put tasks/index.json '{"items": [], "specs": []}'
expect "tasks/index.json covers a change" 0 nothing
fresh; git checkout -q -b work; git mv src/lib.rs lib.rs && commit move
expect "a file that moved out of src is seen" 1 'src/lib.rs'
fresh; spec two "$(day 0)"; commit two; git checkout -q -b work; put src/lib.rs two; rm tasks/specs/two.md; commit code
expect "a deleted spec covers nothing" 1 'src/lib.rs'
fresh; git tag v1; put src/lib.rs two; commit code
expect "on main, all since the newest tag counts" 1 'src/lib.rs'
fresh; git checkout -q -b work; put docs/a.md one; commit docs
expect "documents need no spec" 0 nothing
fresh; put src/lib.rs two; commit two; git update-ref refs/remotes/origin/main HEAD
expect "level with origin/main, the last commit counts" 1 'src/lib.rs'
fresh; git checkout -q -b work; put "src/a
b.rs" one; commit code
expect "a newline in a name neither hides nor splits it" 1 'src/a'
fresh; BASE_SHA=nonsense expect "a BASE_SHA that names nothing is refused" 2 'BASE_SHA'

fresh; spec old "$(day -31)"; expect "a review 31 days old is stale" 1 'old.md was last reviewed 31 days ago'
fresh; spec old "$(day -30)"; expect "one 30 days old is not" 0 nothing
fresh; spec far "$(day 2)"; expect "a review in the future is none" 1 'far.md.*future'
fresh; spec odd 2026-02-30; expect "nor is one on a day that does not exist" 1 'odd.md: no such day'
fresh; put tasks/specs/none.md text; expect "a spec without a review is found" 1 'none.md has no line'
fresh; put tasks/specs/in.md "  last_review: $(day 0)"; expect "an indented one does not count" 1 'in.md has no line'

fresh; expect "an unknown argument is refused" 2 'usage: ' --dryrun
cd "$scratch" && expect "so is a place without git" 2 'not inside a git work tree'
exit $failed

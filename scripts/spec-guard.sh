#!/usr/bin/env bash
# Spec guard: code moves together with its specs, and no spec goes unread for long. It changes nothing.
#
#   1. A change below src, app, server or a migrations directory (at the root, or in a project below
#      packages/) comes with a change in tasks/specs/ or of tasks/index.json.
#   2. Each tasks/specs/*.md says `last_review: YYYY-MM-DD`, at most 30 days ago and not in the future.
#
# The change is everything since the base: commits, index, working tree, untracked files. The base is
#   $BASE_SHA, else where this branch left origin/main, else (on a branch) where it left main,
#   else the newest tag, else the empty tree. With nothing changed since the base: the last commit.
#
# Exit: 0 fine, or findings with --dry-run; 1 findings; 2 wrong usage, or it could not look.
set -u

spec_age_days_max=30
usage() { echo "usage: bash scripts/spec-guard.sh [--dry-run]"; }
refuse() { printf 'spec-guard: %s\n' "$1" >&2; exit 2; }

dry_run=
for arg in "$@"; do
  case $arg in
    --dry-run) dry_run=1 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; refuse "unknown argument \`$arg\`" ;;
  esac
done

command -v git >/dev/null || refuse "git is not installed, so the change cannot be seen"
top=$(git rev-parse --show-toplevel 2>/dev/null) || refuse "not inside a git work tree"
cd "$top" || refuse "cannot enter $top"

findings=()

resolve() { git rev-parse --verify --quiet --end-of-options "$1^{commit}"; }
empty_tree=$(git hash-object -t tree /dev/null)
head=$(resolve HEAD) || head=
# A shallow clone may hold a branch but not the commit where it was left: then the branch itself is the base.
fork_point() { git merge-base HEAD "$1" 2>/dev/null || printf '%s\n' "$1"; }

if [ -n "${BASE_SHA:-}" ]; then
  base=$(resolve "$BASE_SHA") || refuse "BASE_SHA names no commit here: \`$BASE_SHA\`"
  base=$(fork_point "$base")
elif [ -z "$head" ]; then
  base=$empty_tree
elif main=$(resolve refs/remotes/origin/main); then
  base=$(fork_point "$main")
elif main=$(resolve refs/heads/main) && [ "$(git symbolic-ref --quiet HEAD)" != refs/heads/main ]; then
  base=$(fork_point "$main")
elif tag=$(git describe --tags --abbrev=0 2>/dev/null); then
  base=$(resolve "$tag")
else
  base=$empty_tree
fi

# NUL-separated paths of the change; a rename is told as both its paths. $1: further flags for git diff.
changed() {
  git diff --name-only -z --no-renames $1 "$base" -- &&
    git ls-files -z --others --exclude-standard
}
changed "" >/dev/null || refuse "git cannot tell what changed since $base"
if [ -n "$head" ] && [ -z "$(changed "" | tr '\0' '\n')" ]; then
  base=$(resolve 'HEAD^1') || base=$empty_tree
fi

touched=
while IFS= read -r -d '' path; do
  inner=$path
  case $path in packages/*/*) inner=${path#packages/*/} ;; esac
  case $inner in
    src/* | app/* | server/* | migrations/* | db/migrations/* | prisma/migrations/*)
      touched=${touched:-$path} ;;
  esac
done < <(changed "")
covered=
while IFS= read -r -d '' path; do
  # A deleted spec covers nothing.
  case $path in tasks/specs/* | tasks/index.json) covered=1 ;; esac
done < <(changed --diff-filter=d)
if [ -n "$touched" ] && [ -z "$covered" ]; then
  findings+=("code changed ($(printf %q "$touched")), but neither tasks/specs/ nor tasks/index.json did")
fi

# Days since 1970-01-01 of a civil date; nothing for a date that does not exist. Integers only, because
# the `date` of macOS and that of GNU read no common format.
days() {
  local y=$((10#$1)) m=$((10#$2)) d=$((10#$3)) length=31 era
  case $m in
    4 | 6 | 9 | 11) length=30 ;;
    2) length=28; if ((y % 4 == 0 && (y % 100 != 0 || y % 400 == 0))); then length=29; fi ;;
  esac
  ((y >= 1970 && m >= 1 && m <= 12 && d >= 1 && d <= length)) || return 1
  if ((m <= 2)); then y=$((y - 1)) m=$((m + 12)); fi
  era=$((y * 365 + y / 4 - y / 100 + y / 400))
  echo $((era + (153 * (m - 3) + 2) / 5 + d - 1 - 719468))
}
today=$(($(date -u +%s) / 86400))
review_line='^last_review:[[:space:]]*["'\'']?([0-9]{4})-([0-9]{2})-([0-9]{2})["'\'']?[[:space:]]*$'

for spec in tasks/specs/*.md; do
  [ -e "$spec" ] || continue
  line=$(grep -m 1 '^last_review:' -- "$spec" | tr -d '\r')
  if ! [[ $line =~ $review_line ]]; then
    findings+=("$spec has no line \`last_review: YYYY-MM-DD\`")
  elif ! reviewed=$(days "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}"); then
    findings+=("$spec: no such day, \`$line\`")
  elif ((today - reviewed > spec_age_days_max)); then
    findings+=("$spec was last reviewed $((today - reviewed)) days ago (at most $spec_age_days_max)")
  elif ((reviewed > today + 1)); then # A day ahead is only a time zone ahead.
    findings+=("$spec: the review lies in the future, \`$line\`")
  fi
done

if [ ${#findings[@]} = 0 ]; then
  echo "✅ Spec guard: nothing to object"
  exit 0
fi
echo "❌ Spec guard: ${#findings[@]} to mend"
printf ' - %s\n' "${findings[@]}"
[ -n "$dry_run" ] || exit 1
echo "(dry run: reported only)"

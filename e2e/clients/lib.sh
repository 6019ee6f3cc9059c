# Shared by the clients that are shell programs; sourced, never run.
# A check is a function check_NAME that prints words and returns 0, or says `fail WHY` or `not_offered WHY`.
set -euo pipefail
scratch=$(mktemp -d "${TMPDIR:-/tmp}/millrace-client-XXXXXX")
trap 'jobs -p | xargs -r kill -9 2>/dev/null || true; rm -rf "$scratch"' EXIT
fail() { echo "$*" >"$scratch/why"; exit 1; }
not_offered() { echo "$*" >"$scratch/absent"; exit 1; }
expect() { [ "$2" = "$3" ] || fail "$1: expected [$2], got [$3]"; }
same_file() { cmp -s "$2" "$3" || fail "$1: differ: $(diff "$2" "$3" | head -n 4 | cut -c1-200 | tr '\n' ' ')"; }
pause() { read -rt 0.1 <> <(:) || true; }
# until_true SECONDS COMMAND...: tries again until it succeeds.
until_true() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "not in time: $*"
    pause
  done
}
name_count=0
fresh() { name_count=$((name_count + 1)); echo "$1-$BASHPID-$name_count-$RANDOM"; }

run_checks() {
  local check words result began
  for check in $CHECKS; do
    declare -F "check_${check//-/_}" >/dev/null || continue
    rm -f "$scratch/why" "$scratch/absent"; began=$SECONDS; words=
    if words=$(trap 'jobs -p | xargs -r kill -9 2>/dev/null || true' EXIT; "check_${check//-/_}" 2>"$scratch/err"); then result=ok
    elif [ -f "$scratch/absent" ]; then result=n/a words=$(cat "$scratch/absent")
    elif [ -f "$scratch/why" ]; then result=FAILED words=$(cat "$scratch/why")
    else result=FAILED words="ended without a word: $(tail -n 3 "$scratch/err")"
    fi
    [ $result != ok ] || words="$words ($((SECONDS - began)) s)"
    printf '%s\t%s\t%s\n' "$result" "$check" "$(tr '\n' ' ' <<<"$words")"
  done
}

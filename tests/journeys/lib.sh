# Shared by the journeys; sourced, never run.
set -euo pipefail
broker=$1
command -v kcat >/dev/null || { echo "kcat is not installed (make deps brings it)"; exit 77; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/millrace-journey-XXXXXX")
declare -A pids=()
finish() {
  local status=$? pid
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  if [ "$status" != 0 ] && [ "$status" != 77 ]; then tail -n 30 "$dir"/*.log >&2 || true; fi
  rm -rf "$dir"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
expect() { [ "$2" = "$3" ] || fail "$1: expected [$2], got [$3]"; }

# A pause without a process of its own: a read that nothing answers.
pause() { read -rt 0.1 <> <(:) || true; }
# until_true SECONDS COMMAND...: tries again until it succeeds.
until_true() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "in time: $*"
    pause
  done
}
# Ports that nobody listens on right now.
free_ports() { python3 "$(dirname "${BASH_SOURCE[0]}")/free_ports.py" "$1"; }
# start NAME SETTING...
start() {
  local name=$1; shift
  local args=() setting
  for setting in "$@"; do args+=(--set "$setting"); done
  "$broker" "${args[@]}" >>"$dir/$name.log" 2>&1 &
  pids[$name]=$!
}
stop() { kill "${pids[$1]}"; wait "${pids[$1]}"; unset "pids[$1]"; }
kill_hard() { kill -9 "${pids[$1]}"; wait "${pids[$1]}" 2>/dev/null || true; unset "pids[$1]"; }
answers() { timeout 3 kcat -b "$1" -L -t "${2:-}" ; }

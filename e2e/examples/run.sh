#!/usr/bin/env bash
# Runs every example against a broker of its own on loopback: run.sh [--only replay,cqrs] [--port P]
# An example holds itself against what it must show; any that does not end well is a failure here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
only=${ONLY:-} port=22600
while [ $# -gt 0 ]; do
  case $1 in
    --only) only=$2; shift ;;
    --port) port=$2; shift ;;
    *) sed -n '2,3s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
for program in "${MILLRACE_BROKER:-}" "$root/build/release/bin/millrace-broker" "$root/build/debug/bin/millrace-broker"; do
  if [ -n "$program" ] && [ -x "$program" ]; then export MILLRACE_BROKER=$program; break; fi
done
export MILLRACE_E2E_CACHE=${MILLRACE_E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/clients}
mkdir -p "$MILLRACE_E2E_CACHE"
"$here/../clients/python/program.sh" - prepare
state=$(mktemp -d "${TMPDIR:-/tmp}/millrace-examples-XXXXXX")
export MILLRACE_E2E_STATE=$state/brokers
control=$here/../clients/broker.sh
trap 'status=$?; [ ! -f "$MILLRACE_E2E_STATE/port" ] || "$control" down || true; rm -rf "$state"; exit $status' EXIT
"$control" up "$port" 1 group.initial.rebalance.delay.ms=0
names=${only//,/ }
[ -n "$names" ] || names=$(cd "$here" && ls ./*.py | sed 's#^./##; s#\.py$##' | grep -vx pattern | tr '\n' ' ')
passed=0 failed=0
for name in $names; do
  if words=$(timeout 120 "$MILLRACE_E2E_CACHE/python/bin/python" "$here/$name.py" "127.0.0.1:$port" 2>"$state/err"); then
    printf '%-16s ok     %s\n' "$name" "$words"; passed=$((passed + 1))
  else
    printf '%-16s FAILED %s\n' "$name" "$(grep -v '^%' "$state/err" | tail -n 2 | tr '\n' ' ')"; failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

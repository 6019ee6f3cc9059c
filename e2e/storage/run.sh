#!/usr/bin/env bash
# One broker's storage on real file systems: damage.sh, disk_error.sh, power_cut.sh, many.sh (each says in its head what it shows).
#   run.sh [--short]     short: 2 cuts and 300 partitions, else 10 cuts and 1,000 and 4,000 partitions
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export MILLRACE_BROKER=${MILLRACE_BROKER:-$here/../../build/debug/bin/millrace-broker}
run() { # a machine that lacks something says so with 77
  echo "== $*"
  local status=0
  timeout 900 "$here/$1.sh" "${@:2}" || status=$?
  [ $status = 0 ] || [ $status = 77 ] || exit $status
}
run damage
run disk_error
if [ "${1:-}" = --short ]; then
  run power_cut 2
  run many 300
else
  run power_cut 10
  run many 1000
  READY_MOST_MS=3000 STOP_MOST_MS=15000 run many 4000
fi

#!/usr/bin/env bash
# run_regressions.sh SIM_RUNNER FILE: runs each plan of FILE; fails if one of them does.
set -uo pipefail
runner=$1
failed=0
while IFS= read -r line; do
  [[ $line =~ ^([a-z0-9_]+):\ (.*)$ ]] || continue
  if ! eval "$runner ${BASH_REMATCH[2]}" >/tmp/sim_regression.$$ 2>&1; then
    echo "${BASH_REMATCH[1]}: $(cat /tmp/sim_regression.$$)"
    failed=1
  fi
done <"$2"
rm -f /tmp/sim_regression.$$
exit $failed

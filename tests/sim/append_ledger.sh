#!/usr/bin/env bash
# append_ledger.sh SIM_RUNNER LEDGER.md ARGUMENTS...: simulates and adds a dated row a scenario.
set -euo pipefail
runner=$1
ledger=$2
shift 2
out=$(mktemp)
trap 'rm -f "$out"' EXIT
status=0
"$runner" --ledger "$@" | tee "$out" || status=$?
if ! grep -q '^## Simulations' "$ledger" 2>/dev/null; then
  {
    [ -s "$ledger" ] && echo
    printf '## Simulations\n\n'
    printf '| date | commit | scenario | seeds | simulated hours | operations | faults | violations |\n'
    printf '|---|---|---|---|---|---|---|---|\n'
  } >>"$ledger"
fi
prefix="| $(date -u +%F) | $(git -C "$(dirname "$0")" rev-parse --short HEAD) "
rows=$(grep '^| ' "$out" | sed "s#^#$prefix#" || true)
if [ -n "$rows" ]; then  # on top of that table, wherever it stands
  ROWS=$rows awk '{print} /^## /{here = /^## Simulations/} here && /^[|]---/ {print ENVIRON["ROWS"]}' "$ledger" >"$out"
  cat "$out" >"$ledger"
fi
exit $status

#!/usr/bin/env bash
# mixture.sh SIM_RUNNER [PROCESSES]: 1,800 seeds over all scenarios, their rows for LEDGER.md,
# and in the last line how fast it went. The first failing seed of a scenario is made small. MIX="cluster:450 ..." chooses;
# "cluster:450:twice" runs each seed two times and compares the traces.
set -uo pipefail
runner=$1
processes=${2:-$(nproc)}
begun=$(date +%s%N)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0
for part in ${MIX:-echo:100 register:400 mirror:200 cluster:400 moved:300 wiped:300 links:100}; do
  IFS=: read -r scenario seeds twice <<<"$part"
  "$runner" --scenario "$scenario" --seeds "$seeds" ${twice:+--twice} --processes "$processes" --ledger --shrink |
    tee -a "$out" || failed=1
done
awk -v seconds="$(((($(date +%s%N) - begun)) / 1000000000))" '
  / seeds from / {
    for (i = 1; i < NF; i++) {
      if ($(i + 1) == "seeds") seeds += $i
      if ($(i + 1) == "simulated") hours += $i
      if ($(i + 1) ~ /^violations/) violations += $i
    }
  }
  END {
    printf "%d seeds, %.2f simulated hours in %d s (%.1f hours a minute), %d violations\n", seeds, hours, seconds,
      hours * 60 / (seconds ? seconds : 1), violations
  }' "$out"
[ $failed = 0 ] || echo "at commit $(git -C "$(dirname "$0")" describe --always --dirty)"
exit $failed

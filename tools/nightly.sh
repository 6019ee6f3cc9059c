#!/usr/bin/env bash
# nightly.sh: the long runs, in slices of at most an hour. A slice that is done is not run again for the same commit, so
# a run that was cut short goes on where it was: `make nightly` again. Each adds its figures to LEDGER.md.
#   nightly.sh [SLICE...]   those only      nightly.sh --list
set -uo pipefail
cd "$(dirname "$0")/.."
jobs=$(nproc)
commit=$(git rev-parse --short HEAD)
state=build/nightly/$commit
names=(gcc asan tsan simulator hunt fuzz admin clients cluster-tools ecosystem files parity chaos mirror bench kube)

ledger() { printf '| %s | %s | %s | %s | %s |\n' "$(date -u +%F)" "$commit" "$1" "$2" "$3" >>LEDGER.md; }

sanitized() {  # every test program under a sanitizer
  cmake --preset "$1" >/dev/null && ninja -C "build/$1" -j "$jobs" || return 1
  (cd "build/$1" && timeout 3000 ctest -j "$jobs" --output-on-failure) | tee "$state/$1.ctest" || return 1
  ledger "$1" "$(grep -c Passed "$state/$1.ctest") test programs" "0 reports"
}
run_gcc() {  # everything built and tested with the second compiler
  cmake --preset gcc >/dev/null && ninja -C build/gcc -j "$jobs" || return 1
  (cd build/gcc && timeout 3000 ctest -j "$jobs" --output-on-failure) | tee "$state/gcc.ctest" || return 1
  ledger g++ "$(grep -c Passed "$state/gcc.ctest") test programs" "0 failed"
}
run_asan() { sanitized asan; }
run_tsan() { sanitized tsan; }
run_simulator() {
  cmake --preset release >/dev/null && ninja -C build/release -j "$jobs" sim_runner || return 1
  tests/sim/append_ledger.sh build/release/bin/sim_runner LEDGER.md --seeds "${SEEDS:-20000}" --processes "$jobs" --shrink
}
run_hunt() {
  ninja -C build/release -j "$jobs" sim_runner test_raft_sim && \
    build/release/bin/sim_runner --scenario echo --hunt 500 && build/release/bin/sim_runner --scenario register --hunt 500 || return 1
  local bug scenario missed=0
  while read -r bug scenario; do
    build/release/bin/sim_runner --scenario "$scenario" --bug "$bug" --hunt 500 --processes "$jobs" || missed=$((missed + 1))
  done < <(awk -F' *[|] *' '$4 ~ /^[0-9]+$/ {print $2, $3}' tests/sim/README.md)
  ledger hunt "planted bugs, 500 seeds at most each" "$missed not found"
  [ $missed = 0 ]
}
run_fuzz() {
  tests/fuzz/run.sh "${SECONDS_EACH:-300}" | tee "$state/fuzz.out" || return 1
  ledger fuzz "$(awk '{for (i = 1; i < NF; i++) if ($i == "runs") n += $(i + 1)} END {print n}' "$state/fuzz.out") runs" \
    "$(grep -c ^FAILED "$state/fuzz.out") findings"
}
run_bench() {
  e2e/bench/run.sh --out "$state/bench.md" || return 1
  { printf "\n## Beside Apache Kafka, %s, %s\n\n" "$(date -u +%F)" "$commit"; cat "$state/bench.md"; } >>LEDGER.md
}
suite() {
  e2e/run.sh "$1" | tee "$state/$1.out" || return 1
  ledger "$1" "$(grep -c '^ok' "$state/$1.out") checks" "$(grep -c '^FAILED' "$state/$1.out") failed"
}
for name in admin clients cluster-tools ecosystem files parity chaos mirror kube; do eval "run_$name() { suite $name; }"; done

[ "${1:-}" != --list ] || { printf '%s\n' "${names[@]}"; exit 0; }
[ $# -eq 0 ] || names=("$@")
mkdir -p "$state"
failed=0
for name in "${names[@]}"; do
  declare -F "run_$name" >/dev/null || { echo "nightly: no slice $name; --list shows them" >&2; exit 2; }
  [ ! -e "$state/$name.done" ] || { echo "== $name: done for $commit"; continue; }
  case $name in admin | clients | cluster-tools | ecosystem | files | parity | chaos | mirror | kube)
    [ -x "e2e/$name/run.sh" ] || { echo "== $name: not there yet"; continue; } ;;
  esac
  echo "== $name"
  if "run_$name"; then touch "$state/$name.done"; else echo "FAILED  $name"; failed=1; fi
done
exit $failed

#!/usr/bin/env bash
# nightly.sh: the long runs, in slices of at most an hour. A slice that is done is not run again for the same commit, so
# a run that was cut short goes on where it was: `make nightly` again. Each adds its figures to LEDGER.md.
#   nightly.sh [SLICE...]   those only      nightly.sh --list
set -uo pipefail
cd "$(dirname "$0")/.."
jobs=$(nproc)
commit=$(git rev-parse --short HEAD)
state=build/nightly/$commit
suites=(admin clients cluster-tools ecosystem files parity storage scale examples chaos mirror tls kube)
names=(gcc asan tsan simulator hunt fuzz changed budgets bench "${suites[@]}")
export MILLRACE_BROKER=$PWD/build/release/bin/millrace-broker

# ledger SLICE DONE FOUND: a row on top of the ledger's first table.
ledger() {
  ROW="| $(date -u +%F) | $commit | $1 | $2 | $3 |" awk '{print} /^[|]---/ && !added {print ENVIRON["ROW"]; added = 1}' LEDGER.md >"$state/ledger" &&
    cat "$state/ledger" >LEDGER.md
}

programs() { cmake --preset release >/dev/null && ninja -C build/release -j "$jobs"; }  # and what suites use beside them
# Tests whose verdict is a process's memory or processor time, which a sanitizer multiplies.
figures='^(journey_(bad_input|budgets)|operator_figures)$'  # at_rest and its like are of the release build alone
sanitized() {  # every other test program under a sanitizer
  cmake --preset "$1" >/dev/null && ninja -C "build/$1" -j "$jobs" || return 1
  (cd "build/$1" && timeout 3000 ctest -j "$jobs" --output-on-failure -E "$figures") | tee "$state/$1.ctest" || return 1
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
run_changed() {  # a changed file in each room, until its tests have run again
  cmake --preset release >/dev/null && ninja -C build/release -j "$jobs" || return 1
  local missed=0
  SECONDS_MOST=30 tools/changed_file.sh | tee "$state/changed.out" || missed=1
  ledger "changed file" "$(grep -c ' s$' "$state/changed.out") files changed, tests run again after $(
    awk '/ s$/ {print $(NF - 1)}' "$state/changed.out" | sort -n | awk '{all[NR] = $1} END {print all[int((NR + 1) / 2)] " s (median), " all[NR] " s (longest)"}')" \
    "$(awk '/ s$/ && $(NF - 1) > 30' "$state/changed.out" | wc -l) over 30 s"
  [ $missed = 0 ]
}
run_budgets() {  # 20,000 files, 13,000 partitions, 2,000 clients, and a container of 2 GiB where one can be made
  programs || return 1
  FILES=20000 PARTITIONS=6500 timeout 3000 bash tests/journeys/budgets.sh "$MILLRACE_BROKER" | tee "$state/budgets.out" || return
  ledger budgets "$(tail -n 1 "$state/budgets.out")" "within"
}
run_fuzz() {
  tests/fuzz/run.sh "${SECONDS_EACH:-300}" | tee "$state/fuzz.out" || return 1
  ledger fuzz "$(awk '{for (i = 1; i < NF; i++) if ($i == "runs") n += $(i + 1)} END {print n}' "$state/fuzz.out") runs" \
    "$(grep -c ^FAILED "$state/fuzz.out") findings"
}
run_bench() {
  programs || return 1
  e2e/bench/run.sh --out "$state/bench.md" || return 1
  { printf "\n## Beside Apache Kafka, %s, %s\n\n" "$(date -u +%F)" "$commit"; cat "$state/bench.md"; } >>LEDGER.md
}
suite() {
  programs || return 1
  e2e/run.sh "$@" | tee "$state/$1.out" || return  # 77: something that it needs is not here
  # Most say "ok" a check, some sum up at their end.
  ledger "$1" "$(grep -cw ok "$state/$1.out") checks; $(tail -n 1 "$state/$1.out" | tr '|' '/')" "0 failed"
}
for name in "${suites[@]}"; do eval "run_$name() { suite $name; }"; done
run_tls() { suite tls "$MILLRACE_BROKER"; }

[ "${1:-}" != --list ] || { printf '%s\n' "${names[@]}"; exit 0; }
[ $# -eq 0 ] || names=("$@")
mkdir -p "$state"
failed=0
for name in "${names[@]}"; do
  declare -F "run_$name" >/dev/null || { echo "nightly: no slice $name; --list shows them" >&2; exit 2; }
  [ ! -e "$state/$name.done" ] || { echo "== $name: done for $commit"; continue; }
  echo "== $name"
  code=0
  "run_$name" || code=$?
  case $code in
    0) touch "$state/$name.done" ;;
    77) echo "== $name: left out, something that it needs is not here" ;;
    *) echo "FAILED  $name"; failed=1 ;;
  esac
done
exit $failed

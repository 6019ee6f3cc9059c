#!/usr/bin/env bash
# run.sh SECONDS [TARGET...]: builds every fuzz target (or those named) and runs each for that long,
# starting from its seeds and what earlier runs found. A finding is left in
# build/fuzz/findings/, and the exit code is 1.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/build/fuzz
seconds=${1:?usage: run.sh SECONDS [TARGET...]}
shift
[ -f "$build/build.ninja" ] || cmake --preset fuzz -S "$root" >/dev/null
targets=("$@")
[ $# -gt 0 ] || targets=(fuzz_targets)
ninja -C "$build" "${targets[@]}" >"$build/build.log" 2>&1 || { tail -30 "$build/build.log"; exit 2; }
mkdir -p "$build/findings"

# fuzz TARGET SEEDS MAX_LENGTH: one line when nothing was found, else the log's end and exit code 1.
fuzz() {
    local target=$1 seeds=$2 max_length=$3 corpus=$build/corpus/$1 log=$build/findings/$1.log runs cover
    if [ ! -d "$corpus" ]; then
        rm -rf "$corpus.new"
        mkdir -p "$corpus.new"
        [ "$seeds" = - ] || "$seeds" "$target" "$corpus.new" || { echo "FAILED  $target  no seeds: $seeds"; return 1; }
        mv "$corpus.new" "$corpus"
    fi
    if "$build/bin/$target" "$corpus" -max_total_time="$seconds" -max_len="$max_length" \
        -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$build/findings/$target-" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        cover=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
        echo "ok      $target  runs ${runs:-0}  ${cover:-}"
    else
        printf '%s\n' "FAILED  $target  see $log" "$(tail -25 "$log")"
        return 1
    fi
}
export -f fuzz
export build seconds
# A core each: exit code 123 of xargs says that one of them found something.
awk -v named=" $* " 'named == "  " || index(named, " " $1 " ")' "$build/fuzz_targets.txt" |
    xargs -r -L 1 -P "$(nproc)" bash -euc 'fuzz "$@"' _

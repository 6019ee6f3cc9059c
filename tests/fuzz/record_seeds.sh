#!/usr/bin/env bash
# record_seeds.sh TARGET DIR: what Kafka and librdkafka wrote, as first inputs: whole batches for
# fuzz_record_batch; for fuzz_record_decompress their records, with the codec in the first byte.
set -euo pipefail
vectors=$(cd "$(dirname "${BASH_SOURCE[0]}")/../vectors/records" && pwd)
target=$1
seeds=$2
n=0
{ awk '$1 == "batch" { print $3 }' "$vectors"/{batches,librdkafka}.txt; awk '{ print $7 }' "$vectors/verdicts.txt"; } |
while read -r bytes; do
    n=$((n + 1))
    base64 -d <<< "$bytes" > "$seeds/$n"
    if [ "$target" = fuzz_record_decompress ]; then
        batch=$(mktemp)
        mv "$seeds/$n" "$batch"
        head -c 23 "$batch" | tail -c 1 > "$seeds/$n" # the low byte of the attributes
        tail -c +62 "$batch" >> "$seeds/$n"
        rm "$batch"
    fi
done

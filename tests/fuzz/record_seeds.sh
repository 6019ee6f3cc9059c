#!/usr/bin/env bash
# record_seeds.sh DIR: what Kafka and librdkafka wrote, as seeds for fuzz_record_batch in DIR/batch and, codec
# in the first byte, for fuzz_record_decompress in DIR/decompress.
set -euo pipefail
vectors=$(cd "$(dirname "${BASH_SOURCE[0]}")/../vectors/records" && pwd)
mkdir -p "$1/batch" "$1/decompress"
n=0
{ awk '$1 == "batch" { print $3 }' "$vectors"/{batches,librdkafka}.txt; awk '{ print $7 }' "$vectors/verdicts.txt"; } |
while read -r bytes; do
  n=$((n + 1))
  base64 -d <<< "$bytes" > "$1/batch/$n"
  tail -c +23 "$1/batch/$n" | head -c 1 > "$1/decompress/$n"   # the low byte of the attributes
  tail -c +62 "$1/batch/$n" >> "$1/decompress/$n"
done

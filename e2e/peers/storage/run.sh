#!/usr/bin/env bash
# Holds the files of broker/storage against Apache Kafka, both ways:
#   1. what we write is read by kafka-dump-log and by Kafka's own log loader, which finds the same
#      records, epochs, producers and aborted transactions, and rebuilds the same index bytes;
#   2. Kafka's cleaner and ours turn the same log into the same bytes, round after round;
#   3. what a real broker wrote, stopped in order and killed, is read by us to the same result.
#
#   run.sh STORAGE_FILES     the program built from tests/peers
#
# KAFKA_PEER: the script that runs Kafka's tools (kafka-peer.sh with `cli` and `java`).
set -euo pipefail
tool=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
peer=${KAFKA_PEER:?the script that runs Kafka\'s tools}
work=$(mktemp -d /tmp/storage-peers-XXXXXX)
trap 'rm -rf "$work"' EXIT

fail() { echo "FAILED: $*" >&2; exit 1; }

# Both loaders open copies of a directory.
compare() { # name directory modes...
    local mode file
    for mode in "${@:3}"; do
        rm -rf "$work/kafka" "$work/ours"
        cp -a "$2" "$work/kafka"
        cp -a "$2" "$work/ours"
        "$peer" java "$here/ReadLogs.java" "$mode" "$work/kafka" > "$work/kafka.txt"
        "$tool" "$([ $mode = clean ] && echo read-clean || echo read)" "$work/ours" > "$work/ours.txt"
        diff "$work/kafka.txt" "$work/ours.txt" || fail "$1, $mode: Kafka (<) and we (>) differ"
        echo "ok $1, $mode: $(wc -l < "$work/ours.txt") logs alike"
        while read -r file; do
            cmp "$work/kafka/$file" "$work/ours/$file" || fail "$1, $mode: $file differs"
        done < <(cd "$work/ours" && find . \( -name '*.index' -o -name '*.timeindex' -o -name '*.txnindex' \
                     -o -name '*.log' -o -name leader-epoch-checkpoint -o -name partition.metadata \) \
                     -not -path './__cluster_metadata*')
        echo "ok $1, $mode: files alike"
    done
}

dump() { # directory
    local file kinds=0
    for file in "$1"/*/*.log "$1"/*/*.index "$1"/*/*.timeindex "$1"/*/*.txnindex "$1"/*/*.snapshot; do
        local options=(--files "$file")
        case $file in
            *.log) options+=(--deep-iteration --print-data-log) ;;
            *.index) options+=(--index-sanity-check) ;;
        esac
        "$peer" cli dump-log "${options[@]}" > "$work/dump.txt" 2>&1 || fail "dump-log $file: $(tail -3 "$work/dump.txt")"
        if grep -qiE 'mismatch|corrupt|invalid|exception|error|isvalid: false|out of order' "$work/dump.txt"; then
            grep -iE 'mismatch|corrupt|invalid|exception|error|isvalid: false' "$work/dump.txt" | head -3 >&2
            fail "dump-log $file"
        fi
        kinds=$((kinds + 1))
    done
    echo "ok kafka-dump-log reads $kinds files"
}

"$tool" write "$work/written"
compare "what we wrote" "$work/written" clean crashed
dump "$work/written"

for seed in 1 2; do
    rm -rf "$work/kafka" "$work/ours"
    "$tool" write-keyed "$work/ours" $seed
    cp -a "$work/ours" "$work/kafka"
    # Soon, again, past the horizon of tombstones and markers, and twice more.
    for after in 1000 2000 3700000 3701000 9000000; do
        "$tool" compact "$work/ours" $after > /dev/null
        "$peer" java "$here/CompactLogs.java" "$work/kafka" $after > /dev/null
        diff <(cd "$work/kafka" && find . -name '0*' | sort) <(cd "$work/ours" && find . -name '0*' | sort) ||
            fail "compaction, seed $seed, $after ms: other files in Kafka's (<) than in ours (>)"
        while read -r file; do
            cmp "$work/kafka/$file" "$work/ours/$file" || fail "compaction, seed $seed, $after ms"
        done < <(cd "$work/ours" && find . -name '*.log' -o -name '*index')
    done
    echo "ok compaction, seed $seed: 10 logs alike after each of 5 rounds"
done

for kind in "clean clean crashed" "crashed crashed"; do
    read -r kind modes <<< "$kind"
    mkdir "$work/$kind"
    tar -C "$work/$kind" --zstd -xf "$here/../../../tests/vectors/storage/kafka-$kind.tar.zst"
    # shellcheck disable=SC2086
    compare "what Kafka wrote, $kind" "$work/$kind" $modes
done
echo "PASSED"

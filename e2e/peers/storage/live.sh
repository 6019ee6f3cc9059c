#!/usr/bin/env bash
# A running broker's directories against Apache Kafka:
#   1. topics made and changed by Kafka's tools are rolled, deleted and compacted by our broker with settings changed while it runs,
#      and kafka-dump-log reads every file that is left;
#   2. kafka-log-dirs and kafka-reassign-partitions see and move replicas between two log directories;
#   3. what a real broker wrote is served by ours from the same directory, and then by Kafka again.
#
#   live.sh MILLRACE_BROKER
#
# KAFKA_PEER: the script that runs Kafka's tools (e2e/peers/kafka/kafka-peer.sh). LIVE_PORT: the first of five free ports (21100).
set -euo pipefail
broker=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
peer=${KAFKA_PEER:-$here/../kafka/kafka-peer.sh}
port=${LIVE_PORT:-21100}
at=127.0.0.1:$port
work=$(mktemp -d /tmp/storage-live-XXXXXX)
pid=
export KAFKA_PEER_HOME=${KAFKA_PEER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/kafka-peer} KAFKA_PEER_NAME=storage-live-$$ \
    KAFKA_PEER_PORT=$((port + 2)) KAFKA_PEER_HEAP=512m KAFKA_PEER_TOOL_HEAP=256m
finish() {
    local status=$?
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    "$peer" wipe >/dev/null 2>&1 || true
    [ $status = 0 ] || tail -n 20 "$work/broker.log" >&2
    rm -rf "$work"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
tool() { "$peer" cli "$@"; }
pause() { read -rt 0.2 <> <(:) || true; }
until_true() {
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || fail "in time: $*"; pause; done
}
start() {
    local args=() setting
    for setting in "$@"; do args+=(--set "$setting"); done
    "$broker" "${args[@]}" --set millrace.metrics.listener= --set millrace.admin.listener= >>"$work/broker.log" 2>&1 &
    pid=$!
    until_true 60 timeout 3 kcat -b "$at" -L
}
stop() { kill "$pid"; wait "$pid" || fail "the broker ended with $?"; pid=; }
lines() { seq -f "${1}%0400g" "$2" "$3"; }
produce() { timeout 120 kcat -b "$at" -P -t "$@"; }
dump() { # FOLDERS...: every file is read by Kafka's tool
    local file count=0 files=()
    for file in $(find "$@" \( -name '*.log' -o -name '*.index' -o -name '*.timeindex' -o -name '*.txnindex' -o -name '*.snapshot' \) | sort); do
        files+=("$file")
        count=$((count + 1))
    done
    # One JVM for all of them; an index is checked against its log.
    tool dump-log --deep-iteration --files "$(IFS=,; echo "${files[*]}")" >"$work/dump.txt" 2>&1 || fail "dump-log: $(tail -3 "$work/dump.txt")"
    if grep -qiE 'mismatch|corrupt|exception|isvalid: false|out of order|indexed offset' "$work/dump.txt"; then
        grep -iE 'mismatch|corrupt|exception|isvalid: false|out of order|indexed offset' "$work/dump.txt" | head -3 >&2
        fail "dump-log finds fault"
    fi
    echo "ok kafka-dump-log reads $count files"
}

settings=(node.id=1 "log.dirs=$work/a,$work/b" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER
    offsets.topic.replication.factor=1 offsets.topic.num.partitions=2 log.initial.task.delay.ms=100
    log.retention.check.interval.ms=300 log.cleaner.backoff.ms=300 log.flush.offset.checkpoint.interval.ms=300)
start "${settings[@]}"
for topic in "deleted --config segment.bytes=1048576 --config file.delete.delay.ms=500" \
    "compacted --config segment.bytes=1048576 --config cleanup.policy=compact --config file.delete.delay.ms=500" \
    "both --config segment.bytes=1048576 --config cleanup.policy=compact,delete --config file.delete.delay.ms=500"; do
    # shellcheck disable=SC2086
    tool topics --bootstrap-server "$at" --create --partitions 1 --topic $topic >/dev/null
done
lines "" 1 10000 | produce deleted -p 0
for topic in compacted both; do lines "" 1 10000 | awk '{ print "key-" NR % 20 ":" $0 }' | produce $topic -p 0 -K:; done
segments() { ls -d "$work"/[ab]/"$1"-0/*.log | wc -l; }
less_than() { [ "$(segments "$1")" -lt "$2" ]; }
[ "$(segments deleted)" -ge 4 ] || fail "segments roll by size: $(segments deleted)"
bytes() { cat "$work"/[ab]/"$1"-0/*.log | wc -c; }
smaller() { [ "$(bytes "$1")" -lt 1200000 ]; }
until_true 60 smaller compacted
until_true 60 smaller both
echo "ok compaction runs by itself: $(bytes compacted) and $(bytes both) bytes left of 4 MB each"
tool configs --bootstrap-server "$at" --alter --entity-type topics --entity-name deleted --add-config retention.bytes=1048576 >/dev/null
until_true 30 less_than deleted 4
tool configs --bootstrap-server "$at" --alter --entity-type topics --entity-name both --add-config retention.ms=1000 >/dev/null
until_true 30 less_than both 2
echo "ok retention follows settings changed while the broker runs: $(segments deleted) and $(segments both) segments left"
keys=$(timeout 60 kcat -b "$at" -C -t compacted -o beginning -e -q -f '%k\n' | sort -u | wc -l)
[ "$keys" = 20 ] || fail "compaction kept $keys of 20 keys"
until_true 20 grep -q '^compacted 0 ' "$work/a/cleaner-offset-checkpoint" "$work/b/cleaner-offset-checkpoint"

tool log-dirs --bootstrap-server "$at" --describe --topic-list deleted,compacted,both 2>/dev/null | grep '^{' >"$work/dirs.json"
from=$(python3 - "$work/dirs.json" <<'PY'
import json, sys
dirs = json.load(open(sys.argv[1]))["brokers"][0]["logDirs"]
print(*[d["logDir"] for d in dirs for p in d["partitions"] if p["partition"] == "compacted-0"])
PY
)
[ "$from" = "$work/a" ] && to=$work/b || to=$work/a
echo "{\"version\":1,\"partitions\":[{\"topic\":\"compacted\",\"partition\":0,\"replicas\":[1],\"log_dirs\":[\"$to\"]}]}" >"$work/move.json"
tool reassign-partitions --bootstrap-server "$at" --execute --reassignment-json-file "$work/move.json" >"$work/move.txt" 2>&1 ||
    fail "reassign: $(cat "$work/move.txt")"
until_true 30 test -e "$to/compacted-0"
until_true 30 test ! -e "$from/compacted-0"
tool reassign-partitions --bootstrap-server "$at" --verify --reassignment-json-file "$work/move.json" >"$work/move.txt" 2>&1
grep -q 'completed successfully' "$work/move.txt" || fail "reassign --verify: $(cat "$work/move.txt")"
keys=$(timeout 60 kcat -b "$at" -C -t compacted -o beginning -e -q -f '%k\n' | sort -u | wc -l)
[ "$keys" = 20 ] || fail "the move kept $keys of 20 keys"
echo "ok kafka-reassign-partitions moves a replica from $(basename "$from") to $(basename "$to"), kafka-log-dirs shows it"
stop
dump "$work/a" "$work/b"

# A broker of Kafka's, its directory under ours, and back.
"$peer" start log.segment.bytes=1048576 >/dev/null
kafka_at=127.0.0.1:$KAFKA_PEER_PORT
lines k 1 5000 | timeout 60 kcat -b "$kafka_at" -P -t moved -z zstd -X enable.idempotence=true
"$peer" stop
data=$KAFKA_PEER_HOME/run/$KAFKA_PEER_NAME/node1.data
at=$kafka_at
start "log.dirs=$data" node.id=1 process.roles=broker,controller "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:$((port + 3))" \
    "controller.quorum.voters=1@127.0.0.1:$((port + 3))" controller.listener.names=CONTROLLER
count() { timeout 60 kcat -b "$at" -C -t moved -o beginning -e -q | wc -l; }
[ "$(count)" = 5000 ] || fail "of Kafka's 5000 records we serve $(count)"
lines m 1 500 | produce moved
stop
echo "ok we serve what Kafka wrote, from its directory"
"$peer" start log.segment.bytes=1048576 >/dev/null
[ "$(count)" = 5500 ] || fail "of 5500 records Kafka serves $(count)"
"$peer" stop
echo "ok Kafka serves what both wrote"
dump "$data"/moved-0
echo "PASSED"

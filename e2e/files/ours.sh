#!/usr/bin/env bash
# Kafka's tools on what we write: topics made and changed by Kafka's tools are rolled, deleted, compacted and cut while the broker runs, a
# replica moves between two log directories, and kafka-dump-log reads every file, after a clean stop and after kill -9.
source "$(dirname "$0")/lib.sh"
lines() { seq -f "${1}%0400g" "$2" "$3"; }
produce() { timeout 120 kcat -b "$at" -P -t "$@"; }
consume() { timeout 60 kcat -b "$at" -C -t "$1" -o beginning -e -q "${@:2}"; }
segments() { ls -d "$work"/[ab]/"$1"-0/*.log | wc -l; }
bytes() { cat "$work"/[ab]/"$1"-0/*.log | wc -c; }
less_than() { [ "$(segments "$1")" -lt "$2" ]; }
smaller() { [ "$(bytes "$1")" -lt 1200000 ]; }
keys() { consume "$1" -f '%k\n' | sort -u | wc -l; }

settings=(node.id=1 "log.dirs=$work/a,$work/b" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:$controller_port"
  controller.listener.names=CONTROLLER offsets.topic.replication.factor=1 offsets.topic.num.partitions=2 log.initial.task.delay.ms=100
  log.retention.check.interval.ms=300 log.cleaner.backoff.ms=300 log.flush.offset.checkpoint.interval.ms=300)
start "${settings[@]}"
for topic in "deleted" "compacted --config cleanup.policy=compact" "both --config cleanup.policy=compact,delete" "cut" "idempotent"; do
  # shellcheck disable=SC2086
  tool topics --bootstrap-server "$at" --create --partitions 1 --config segment.bytes=1048576 --config file.delete.delay.ms=500 --topic $topic >/dev/null
done
lines "" 1 10000 | produce deleted -p 0
for topic in compacted both; do lines "" 1 10000 | awk '{ print "key-" NR % 20 ":" $0 }' | produce $topic -p 0 -K:; done
for codec in none gzip snappy lz4 zstd; do lines $codec 1 1500 | produce idempotent -p 0 -z $codec -X enable.idempotence=true; done
lines "" 1 5000 | produce cut -p 0
[ "$(segments deleted)" -ge 4 ] || fail "segments roll by size: $(segments deleted)"
timeout 60 kcat -b "$at" -G readers -X auto.offset.reset=earliest -e -q idempotent >"$work/read.txt" 2>"$work/group.txt"
[ "$(wc -l <"$work/read.txt")" = 7500 ] || fail "a group reads $(wc -l <"$work/read.txt") of 7500 records"

until_true 60 smaller compacted
until_true 60 smaller both
echo "ok compaction runs by itself: $(bytes compacted) and $(bytes both) bytes left of 4 MB each"
[ "$(keys compacted)" = 20 ] || fail "compaction kept $(keys compacted) of 20 keys"
tool configs --bootstrap-server "$at" --alter --entity-type topics --entity-name deleted --add-config retention.bytes=1048576 >/dev/null
until_true 30 less_than deleted 4
tool configs --bootstrap-server "$at" --alter --entity-type topics --entity-name both --add-config retention.ms=1000 >/dev/null
until_true 30 less_than both 2
echo "ok retention follows settings changed while the broker runs: $(segments deleted) and $(segments both) segments left"
echo '{"version":1,"partitions":[{"topic":"cut","partition":0,"offset":3333}]}' >"$work/cut.json"
tool delete-records --bootstrap-server "$at" --offset-json-file "$work/cut.json" >"$work/cut.txt" 2>&1
grep -q 'low_watermark: 3333' "$work/cut.txt" || fail "kafka-delete-records: $(cat "$work/cut.txt")"
[ "$(consume cut | wc -l)" = 1667 ] || fail "after kafka-delete-records $(consume cut | wc -l) records"
until_true 20 grep -q '^compacted 0 ' "$work/a/cleaner-offset-checkpoint" "$work/b/cleaner-offset-checkpoint"

tool log-dirs --bootstrap-server "$at" --describe --topic-list deleted,compacted,both 2>/dev/null | grep '^{' >"$work/dirs.json"
from=$(python3 - "$work/dirs.json" <<'PY'
import json, sys
dirs = json.load(open(sys.argv[1]))["brokers"][0]["logDirs"]
print(*[d["logDir"] for d in dirs for p in d["partitions"] if p["partition"] == "compacted-0"])
PY
)
to=$work/b
[ "$from" = "$work/a" ] || to=$work/a
echo "{\"version\":1,\"partitions\":[{\"topic\":\"compacted\",\"partition\":0,\"replicas\":[1],\"log_dirs\":[\"$to\"]}]}" >"$work/move.json"
reassign() { tool reassign-partitions --bootstrap-server "$at" --reassignment-json-file "$work/move.json" "$@" >"$work/move.txt" 2>&1 || fail "reassign: $(cat "$work/move.txt")"; }
reassign --execute
until_true 30 test -e "$to/compacted-0"
until_true 30 test ! -e "$from/compacted-0"
reassign --verify
grep -q 'completed successfully' "$work/move.txt" || fail "reassign --verify: $(cat "$work/move.txt")"
[ "$(keys compacted)" = 20 ] || fail "the move kept $(keys compacted) of 20 keys"
echo "ok kafka-reassign-partitions moves a replica from $(basename "$from") to $(basename "$to"), kafka-log-dirs shows it"

stop
dump "after a clean stop" "$work/a" "$work/b"
tool dump-log --offsets-decoder --files "$(ls "$work"/[ab]/__consumer_offsets-*/*.log | paste -sd,)" >"$work/offsets.txt"
grep -q '"group":"readers","topic":"idempotent","partition":0' "$work/offsets.txt" || fail "the group's offsets: $(tail -2 "$work/offsets.txt")"
tool dump-log --cluster-metadata-decoder --files "$(ls "$work"/a/__cluster_metadata-0/*.log | paste -sd,)" >"$work/metadata.txt"
[ "$(grep -c '"type":"TOPIC_RECORD"' "$work/metadata.txt")" -ge 5 ] || fail "the metadata: $(tail -2 "$work/metadata.txt")"
echo "ok kafka-dump-log decodes the group's offsets and $(grep -c '"type":' "$work/metadata.txt") metadata records"
start "${settings[@]}"
before=$(bytes idempotent)
lines again 1 400000 | produce idempotent -p 0 -X enable.idempotence=true -X message.timeout.ms=3000 >"$work/writer.txt" 2>&1 &
writer=$!
grown() { [ "$(bytes idempotent)" -gt $((before + 3000000)) ]; }
until_true 30 grown
kill_hard
wait $writer && fail "the writer ended before its broker did"
start "${settings[@]}"
[ "$(consume cut | wc -l)" = 1667 ] || fail "after kill -9 kafka-delete-records is forgotten: $(consume cut | wc -l) records"
there=$(consume idempotent | wc -l)
[ "$there" -ge 7500 ] || fail "after kill -9 $there of 7500 records"
kill_hard
dump "after kill -9 twice" "$work/a" "$work/b"
echo "PASSED"

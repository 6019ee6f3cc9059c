#!/usr/bin/env bash
# A directory that Apache Kafka wrote, under ours, and back: every codec, a compacted topic, deleted records, idempotent and transactional
# producers, leader epochs, a group's offsets, settings, quotas and credentials in the metadata. Ours starts on a copy of Kafka's log.dirs
# with Kafka's server.properties, after a clean stop and after kill -9, and shows every record, offset and producer as Kafka did.
# Then Kafka goes on from what ours has added.
source "$(dirname "$0")/lib.sh"
topics="codec-none codec-gzip codec-snappy codec-lz4 codec-zstd transactions compacted deleted-records recent"
data=$KAFKA_PEER_HOME/run/kafka/node1.data

records() { # ADDRESS ISOLATION: a line for each record of each topic
  local topic
  for topic in $topics; do
    timeout 60 kcat -b "$1" -C -t "$topic" -X "isolation.level=$2" -o beginning -e -q -f '%t %p %o %T %k %S %s %h\n' ||
      fail "$1: reading $topic"
  done
}
look() { # ADDRESS NAME: what clients and tools see
  records "$1" read_uncommitted >"$work/$2.all"
  records "$1" read_committed >"$work/$2.committed"
  tool get-offsets --bootstrap-server "$1" --topic-partitions "$(for t in $topics; do printf '%s:0,' "$t"; done | sed 's/,$//')" --time latest >"$work/$2.offsets"
  tool get-offsets --bootstrap-server "$1" --topic-partitions "$(for t in $topics; do printf '%s:0,' "$t"; done | sed 's/,$//')" --time earliest >>"$work/$2.offsets"
  tool get-offsets --bootstrap-server "$1" --topic-partitions "$(for t in $topics; do printf '%s:0,' "$t"; done | sed 's/,$//')" --time max-timestamp >>"$work/$2.offsets"
  for topic in transactions recent; do
    tool transactions --bootstrap-server "$1" describe-producers --topic "$topic" --partition 0 | awk '{ print $1, $2, $4, $5, $6 }' | sort >>"$work/$2.producers"
  done
  # The columns behind the member's are of live members.
  tool consumer-groups --bootstrap-server "$1" --describe --group readers 2>/dev/null | awk 'NF > 4 { print $1, $2, $3, $4, $5, $6 }' | sort >"$work/$2.group"
  tool configs --bootstrap-server "$1" --describe --entity-type topics --entity-name compacted | grep -o 'cleanup.policy=[a-z]*' | head -1 >"$work/$2.config"
  tool topics --bootstrap-server "$1" --describe --topic compacted | grep -o 'TopicId: [^ ]*' >>"$work/$2.config"
}
alike() { # ONE OTHER WHAT
  local kind
  for kind in all committed offsets producers group config; do
    diff "$work/$1.$kind" "$work/$2.$kind" >"$work/diff.txt" || fail "$3: $kind: Kafka (<) and ours (>) differ: $(head -5 "$work/diff.txt")"
  done
  [ -s "$work/$1.producers" ] && [ -s "$work/$1.group" ] && [ -s "$work/$1.config" ] || fail "$3: the tools say nothing"
  echo "ok $3: $(wc -l <"$work/$1.all") records, offsets, producers, a group and settings as Kafka shows them"
}
serve() { # FOLDER: ours with Kafka's own properties, other ports
  sed -e "s|^log.dirs=.*|log.dirs=$1|" -e "s|$kafka_port|$port|g" -e "s|$((kafka_port + 1))|$controller_port|g" \
    "$KAFKA_PEER_HOME/run/kafka/node1.properties" >"$work/server.properties"
  launch_ours "$work/server.properties"
}
launch_ours() {
  "$broker" --config "$1" --set millrace.metrics.listener= --set millrace.admin.listener= >>"$work/ours.log" 2>&1 &
  pid=$!
  until_true 60 timeout 3 kcat -b "$at" -L
}

mkdir "$work/kafka"
"$peer" start log.cleaner.backoff.ms=300 log.segment.bytes=1048576 log.flush.start.offset.checkpoint.interval.ms=500 >/dev/null
timeout 120 "$peer" java "$here/../peers/storage/WriteTopics.java" "$kafka_at" >"$work/write.txt" 2>&1 || [ "$(tail -1 "$work/write.txt")" = "left open" ] ||
  fail "WriteTopics: $(tail -3 "$work/write.txt")"
# The times above are of long ago: a restart forgets such producers, Kafka's too.
seq -f 'recent-%g' 1 100 | timeout 60 kcat -b "$kafka_at" -P -t recent -X enable.idempotence=true
echo '{"version":1,"partitions":[{"topic":"deleted-records","partition":0,"offset":77}]}' >"$work/cut.json"
tool delete-records --bootstrap-server "$kafka_at" --offset-json-file "$work/cut.json" >/dev/null
timeout 60 kcat -b "$kafka_at" -G readers -X auto.offset.reset=earliest -X isolation.level=read_uncommitted -e -q codec-gzip compacted >/dev/null 2>&1
tool configs --bootstrap-server "$kafka_at" --alter --entity-type users --entity-name alice --add-config producer_byte_rate=1000000 >/dev/null
tool configs --bootstrap-server "$kafka_at" --alter --entity-type users --entity-name alice --add-config 'SCRAM-SHA-256=[password=a-secret]' >/dev/null
look "$kafka_at" kafka
# Before that a killed Kafka itself has the deleted records again.
until_true 90 grep -q '^deleted-records 0 77$' "$data/log-start-offset-checkpoint"
# Kafka writes where a log starts 30 s after its own start at the earliest: killed before that, it has the deleted records again itself.
until_true 90 grep -q '^deleted-records 0 77$' "$data/log-start-offset-checkpoint"
cp -a "$data" "$work/killed" # as it lies while Kafka runs: what a kill -9 leaves
"$peer" stop
cp -a "$data" "$work/stopped"

serve "$work/stopped"
look "$at" stopped
alike kafka stopped "after a clean stop of Kafka"
seq -f 'ours-%g' 1 500 | timeout 60 kcat -b "$at" -P -t codec-zstd -z zstd -X enable.idempotence=true
tool topics --bootstrap-server "$at" --create --topic ours --partitions 3 --replication-factor 1 >/dev/null
seq 1 300 | timeout 60 kcat -b "$at" -P -t ours
topics="$topics ours"
records "$at" read_uncommitted | sort >"$work/ours.all"
stop
serve "$work/killed"
topics=${topics% ours}
look "$at" killed
alike kafka killed "after kill -9 of Kafka"
kill_hard

rm -rf "$data"
mv "$work/stopped" "$data"
"$peer" start log.cleaner.backoff.ms=300 log.segment.bytes=1048576 log.flush.start.offset.checkpoint.interval.ms=500 >/dev/null
topics="$topics ours"
records "$kafka_at" read_uncommitted | sort >"$work/back.all"
diff "$work/ours.all" "$work/back.all" >"$work/diff.txt" || fail "back under Kafka: ours (<) and Kafka (>) differ: $(head -5 "$work/diff.txt")"
echo "ok back under Kafka: $(wc -l <"$work/back.all") records, $(grep -c '^ours' "$work/back.all") of a topic that ours made"
tool configs --bootstrap-server "$kafka_at" --describe --entity-type users --entity-name alice | grep -q 'producer_byte_rate=1000000' || fail "back under Kafka the quota is gone"
"$peer" stop
dump "what both wrote" "$data"

# The same with a quorum whose voters are in its log (kafka-storage format --standalone), on Kafka's own ports.
"$peer" wipe
export KAFKA_PEER_FORMAT_ARGS=--standalone
dynamic=(controller.quorum.voters= "controller.quorum.bootstrap.servers=127.0.0.1:$((kafka_port + 1))")
"$peer" start "${dynamic[@]}" >/dev/null
seq 1 500 | timeout 60 kcat -b "$kafka_at" -P -t dynamic
"$peer" stop
at=$kafka_at
count() { timeout 60 kcat -b "$at" -C -t dynamic -o beginning -e -q | wc -l; }
launch_ours "$KAFKA_PEER_HOME/run/kafka/node1.properties"
[ "$(count)" = 500 ] || fail "of a standalone Kafka's 500 records we serve $(count)"
seq 1 100 | timeout 60 kcat -b "$at" -P -t dynamic
tool metadata-quorum --bootstrap-server "$at" describe --status >"$work/quorum.txt"
grep -q '^LeaderId: *1$' "$work/quorum.txt" || fail "kafka-metadata-quorum: $(cat "$work/quorum.txt")"
stop
"$peer" start "${dynamic[@]}" >/dev/null
[ "$(count)" = 600 ] || fail "of 600 records a standalone Kafka serves $(count)"
"$peer" stop
echo "ok a directory of kafka-storage format --standalone, there and back"
echo "PASSED"

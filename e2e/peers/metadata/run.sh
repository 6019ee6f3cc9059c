#!/usr/bin/env bash
# Holds the records of broker/metadata against Apache Kafka, both ways:
#   1. what our controller writes (random histories, as a log and as a snapshot) is replayed by
#      Kafka's own classes to the same image, and read by kafka-dump-log and kafka-metadata-shell;
#   2. the metadata log and snapshot of a real cluster that went through creations, configs, quotas,
#      credentials, ACLs, kills and reassignments is replayed by us to the image that Kafka's classes find.
#
#   run.sh METADATA_RECORDS [seeds]     the program built from tests/peers; default 8 seeds
#
# KAFKA_PEER: the script that runs Kafka and its tools (kafka-peer.sh).
set -euo pipefail
tool=$(realpath "$1")
seeds=${2:-8}
here=$(cd "$(dirname "$0")" && pwd)
peer=${KAFKA_PEER:?the script that runs Kafka and its tools}
level=30 # the newest metadata.version that the released tools know: 4.3-IV0
work=$(mktemp -d /tmp/metadata-peers-XXXXXX)
cluster=metadata-$$
trap 'KAFKA_PEER_NAME=$cluster "$peer" wipe > /dev/null 2>&1; rm -rf "$work"' EXIT

fail() { echo "FAILED: $*" >&2; exit 1; }

same() { # name ours kafkas
    sort "$2" > "$2.sorted"
    sort "$3" > "$3.sorted"
    diff "$2.sorted" "$3.sorted" || fail "$1: we (<) and Kafka (>) differ"
    echo "ok $1: $(wc -l < "$2") lines alike"
}

for seed in $(seq 1 "$seeds"); do
    dir=$work/history-$seed
    "$tool" write "$seed" $level "$dir" > "$work/ours.txt"
    "$peer" java "$here/PrintImage.java" "$dir/00000000000000000000.log" > "$work/kafka.txt"
    same "history $seed, its log" "$work/ours.txt" "$work/kafka.txt"
    "$peer" java "$here/PrintImage.java" "$dir"/*.checkpoint > "$work/kafka.txt"
    same "history $seed, its snapshot" "$work/ours.txt" "$work/kafka.txt"
done

dir=$work/history-1
for file in "$dir/00000000000000000000.log" "$dir"/*.checkpoint; do
    "$peer" cli dump-log --cluster-metadata-decoder --files "$file" > "$work/dump.txt" 2>&1 ||
        fail "dump-log $file: $(tail -3 "$work/dump.txt")"
    if grep -qiE 'exception|error|isvalid: false|unable to' "$work/dump.txt"; then
        fail "dump-log $file: $(grep -iE 'exception|error|isvalid: false|unable to' "$work/dump.txt" | head -3)"
    fi
    echo "ok kafka-dump-log reads $(grep -c '"type":' "$work/dump.txt") records of $(basename "$file")"
done
# The shell shows an empty image until its loader has caught up, so it is asked until it has.
touch "$work/shell.txt"
(for _ in $(seq 1 60); do
    echo 'find /image/topics/byName'
    sleep 0.5
    grep -q '/image/topics/byName/' "$work/shell.txt" && break
done; echo exit) | "$peer" cli metadata-shell --snapshot "$dir"/*.checkpoint > "$work/shell.txt" 2>&1 ||
    fail "metadata-shell: $(tail -3 "$work/shell.txt")"
"$tool" read "$dir"/*.checkpoint | awk '/^partition /{print $2 "/" $3}' | while read -r partition; do
    grep -q "/image/topics/byName/$partition" "$work/shell.txt" || fail "metadata-shell doesn't show $partition"
done
echo "ok kafka-metadata-shell shows every partition"

# A real cluster.
export KAFKA_PEER_NAME=$cluster KAFKA_PEER_NODES=3 KAFKA_PEER_HEAP=400m KAFKA_PEER_PORT=${KAFKA_PEER_PORT:-23190}
server=127.0.0.1:$KAFKA_PEER_PORT
"$peer" start min.insync.replicas=2 broker.session.timeout.ms=3000 broker.heartbeat.interval.ms=500 \
    metadata.log.max.record.bytes.between.snapshots=20000 1:broker.rack=a 2:broker.rack=b 3:broker.rack=c \
    authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer \
    super.users=User:ANONYMOUS > /dev/null
"$peer" java "$here/Exercise.java" "$server"
home=${KAFKA_PEER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/kafka-peer}/run/$cluster
kill -9 "$(cat "$home/node3.pid")"
"$peer" java "$here/Exercise.java" "$server" fenced 3
"$peer" stop > /dev/null
log=$home/node1.data/__cluster_metadata-0
mkdir "$work/kafka"
cp "$log"/*.log "$log"/*.checkpoint "$work/kafka/" 2> /dev/null || true
"$tool" read "$work/kafka"/00000000000000000000.log > "$work/ours.txt"
"$peer" java "$here/PrintImage.java" "$work/kafka"/00000000000000000000.log > "$work/kafka.txt"
same "what Kafka's controller logged" "$work/ours.txt" "$work/kafka.txt"
newest=$(ls "$work/kafka"/*-*.checkpoint | grep -v bootstrap | tail -1)
"$tool" read "$newest" > "$work/ours.txt"
"$peer" java "$here/PrintImage.java" "$newest" > "$work/kafka.txt"
same "Kafka's own snapshot" "$work/ours.txt" "$work/kafka.txt"
grep -q '^scram' "$work/ours.txt" && grep -q '^acl' "$work/ours.txt" && grep -q '^quota' "$work/ours.txt" ||
    fail "the cluster's snapshot lacks what was set"
echo "PASSED"

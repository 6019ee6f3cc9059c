#!/usr/bin/env bash
# One broker: every codec goes in and comes out, a group keeps its place, and all of it outlives a clean stop and a kill -9.
source "$(dirname "$0")/lib.sh"
read -r port < <(free_ports 1)
at=127.0.0.1:$port
settings=("log.dirs=$dir/data" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER
  offsets.topic.replication.factor=1 offsets.topic.num.partitions=2 group.initial.rebalance.delay.ms=0
  millrace.metrics.listener= millrace.admin.listener=)
start one "${settings[@]}"
until_true 20 answers "$at"

sent=()
for codec in none gzip snappy lz4 zstd; do
  seq -f "$codec-%g" 1 200 | timeout 20 kcat -b "$at" -t words -P -z "$codec" -X enable.idempotence=true
done
read_all() { timeout 30 kcat -b "$at" -t words -C -o beginning -e -q; }
expect "records after producing" 1000 "$(read_all | sort -u | wc -l)"

timeout 30 kcat -b "$at" -G readers words -X auto.offset.reset=earliest -c 400 -q >"$dir/first"
expect "records of the group's first round" 400 "$(wc -l <"$dir/first")"

stop one
start one "${settings[@]}"
until_true 20 answers "$at"
expect "records after a clean stop" 1000 "$(read_all | sort -u | wc -l)"
timeout 30 kcat -b "$at" -G readers words -X auto.offset.reset=earliest -c 600 -q >"$dir/second"
expect "both rounds together, each record once" 1000 "$(sort -u "$dir/first" "$dir/second" | wc -l)"

seq -f "late-%g" 1 500 | timeout 20 kcat -b "$at" -t words -P -X acks=all
kill_hard one
start one "${settings[@]}"
until_true 20 answers "$at"
expect "acknowledged records after kill -9" 1500 "$(read_all | sort -u | wc -l)"

# A second process on the same data is refused, and the first goes on.
if timeout 10 "$broker" --set "log.dirs=$dir/data" --set "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0" \
    --set controller.listener.names=CONTROLLER >"$dir/second-process.log" 2>&1; then
  fail "a second process took a locked directory"
fi
expect "records with a rival refused" 1500 "$(read_all | wc -l)"
stop one

# By default one broker is enough for the offsets topic, as above. How many replicas somebody has asked for is waited for.
read -r port2 control2 < <(free_ports 2)
start two "log.dirs=$dir/two" "listeners=PLAINTEXT://127.0.0.1:$port2,CONTROLLER://127.0.0.1:$control2" controller.listener.names=CONTROLLER \
  offsets.topic.replication.factor=2 millrace.metrics.listener= millrace.admin.listener=
until_true 20 answers "127.0.0.1:$port2"
asked_for() { timeout 2 kcat -b "127.0.0.1:$port2" -G early words >/dev/null 2>&1 || true; grep -q 'handlers.topic_not_created topic=__consumer_offsets' "$dir/two.log"; }
until_true 20 asked_for
if timeout 3 kcat -b "127.0.0.1:$port2" -L | grep -q __consumer_offsets; then fail "the offsets topic was made with one replica of two"; fi
stop two

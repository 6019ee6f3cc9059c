#!/usr/bin/env bash
# What a broker does for its logs by itself: old segments go by size, their files follow, checkpoints outlive a kill -9; a compacted
# topic keeps the last record of each key; settings change without a restart of anything but the broker's patience.
source "$(dirname "$0")/lib.sh"
read -r port < <(free_ports 1)
at=127.0.0.1:$port
settings=("log.dirs=$dir/data" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER
  offsets.topic.replication.factor=1 offsets.topic.num.partitions=1 millrace.metrics.listener= millrace.admin.listener=
  log.segment.bytes=1048576 log.retention.bytes=2097152 log.retention.check.interval.ms=200 log.initial.task.delay.ms=100
  log.segment.delete.delay.ms=200 log.flush.offset.checkpoint.interval.ms=200 log.flush.start.offset.checkpoint.interval.ms=200
  replica.high.watermark.checkpoint.interval.ms=200 log.cleaner.backoff.ms=200)
start one "${settings[@]}"
until_true 20 answers "$at"

lines() { awk -v from="$1" -v to="$2" -v key="$3" 'BEGIN { for (i = from; i <= to; ++i) {
  if (key) printf "key-%d:", i % 10; printf "%d-%0990d\n", i, 0 } }'; }
first_offset() { timeout 10 kcat -b "$at" -Q -t "$1:0:-2" | sed 's/.*offset //'; }
segments() { ls "$dir/data/$1-0" | grep -c '\.log$' || true; }
at_most() { [ "$(segments "$1")" -le "$2" ]; }
no_leftovers() { ! ls "$dir/data/$1-0" | grep -q '\.deleted$\|\.cleaned$\|\.swap$'; }
recorded() { grep -qx "$1 0 $2" "$dir/data/$3"; }

lines 1 6000 "" | timeout 30 kcat -b "$at" -t events -P
until_true 20 at_most events 4
until_true 20 no_leftovers events
first=$(first_offset events)
[ "$first" -gt 0 ] || fail "nothing was deleted"
expect "records kept" $((6000 - first)) "$(timeout 30 kcat -b "$at" -t events -C -o beginning -e -q | wc -l)"
expect "the last record" 6000 "$(timeout 30 kcat -b "$at" -t events -C -o beginning -e -q | tail -1 | cut -d- -f1)"
until_true 20 recorded events 6000 recovery-point-offset-checkpoint
until_true 20 recorded events 6000 replication-offset-checkpoint

kill_hard one
[ ! -e "$dir/data/.kafka_cleanshutdown" ] || fail "a killed broker left the mark of a clean shutdown"
start one "${settings[@]}"
until_true 20 answers "$at"
expect "the start after kill -9" "$first" "$(first_offset events)"
stop one
[ -e "$dir/data/.kafka_cleanshutdown" ] || fail "no mark of the clean shutdown"
recorded events 6000 recovery-point-offset-checkpoint || fail "the recovery point after a clean shutdown"

start one "${settings[@]}" log.cleanup.policy=compact log.retention.bytes=-1
until_true 20 answers "$at"
lines 1 5000 key | timeout 30 kcat -b "$at" -t state -P -K :
smaller() { [ "$(du -sk --apparent-size "$dir/data/state-0" | cut -f1)" -lt 1500 ]; }
until_true 30 smaller
until_true 20 no_leftovers state
expect "keys after compaction" 10 "$(timeout 30 kcat -b "$at" -t state -C -o beginning -e -q -K : | cut -d: -f1 | sort -u | wc -l)"
expect "the last of each key" "$(seq 4991 5000 | sort)" \
  "$(timeout 30 kcat -b "$at" -t state -C -o beginning -e -q -K : | awk -F'[:-]' '{ last[$2] = $3 } END { for (k in last) print last[k] }' | sort)"
until_true 20 grep -q "^state 0 " "$dir/data/cleaner-offset-checkpoint"
stop one

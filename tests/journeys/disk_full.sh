#!/usr/bin/env bash
# A disk that fills up: records are refused, first before a reserve is touched and then when the kernel says so; reads, committed
# offsets and retention go on; when there is room again, so do records. On a small file system of its own, so it needs root.
source "$(dirname "$0")/lib.sh"
mkdir "$dir/disk"
mount -t tmpfs -o size=32m tmpfs "$dir/disk" 2>/dev/null || { echo "no right to mount"; exit 77; }
trap 'status=$?; for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  umount "$dir/disk"; (exit $status); finish' EXIT
read -r port < <(free_ports 1)
at=127.0.0.1:$port
settings=("log.dirs=$dir/disk/data" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER
  offsets.topic.replication.factor=1 offsets.topic.num.partitions=1 group.initial.rebalance.delay.ms=0
  millrace.metrics.listener= millrace.admin.listener= log.segment.bytes=1048576 log.retention.check.interval.ms=300
  log.initial.task.delay.ms=100 log.segment.delete.delay.ms=100)
start one "${settings[@]}" millrace.disk.reserve.bytes=8388608 log.retention.ms=15000
until_true 20 answers "$at"

produce() { seq -f "%0500g" "$1" "$2" | timeout 20 kcat -b "$at" -t events -P -X message.timeout.ms="${3:-15000}" >/dev/null 2>&1; }
refused() { ! produce 1 1 1000; }
fill_but() { # BYTES: takes all the room but this
  local free; free=$(df -B1 --output=avail "$dir/disk" | tail -1)
  [ "$free" -le "$1" ] || head -c $((free - $1)) /dev/zero >>"$dir/disk/filler"
}
first_offset() { timeout 10 kcat -b "$at" -Q -t events:0:-2 | sed 's/.*offset //'; }
count() { timeout 20 kcat -b "$at" -t events -C -o beginning -e -q | wc -l; }

produce 1 5000 || fail "with room, records are taken"
fill_but 6000000
until_true 20 refused
[ "$(count)" -ge 5000 ] || fail "reads on a full disk"
timeout 20 kcat -b "$at" -G readers events -X auto.offset.reset=earliest -c 100 -q >/dev/null || fail "a group on a full disk"
moved() { [ "$(first_offset)" -gt 0 ]; }
until_true 40 moved
rm "$dir/disk/filler"
until_true 20 produce 1 10
stop one

# No reserve: the kernel refuses, in the middle of a write.
start one "${settings[@]}" millrace.disk.reserve.bytes=0
until_true 20 answers "$at"
before=$(count)
fill_but 30000
many_refused() { ! produce 1 1000 2000; }
until_true 20 many_refused
stored=$(count)
[ "$stored" -ge "$before" ] || fail "records were lost when the disk was full"
rm "$dir/disk/filler"
until_true 20 produce 1 100
kill_hard one
start one "${settings[@]}" millrace.disk.reserve.bytes=0
until_true 20 answers "$at"
[ "$(count)" -ge $((stored + 100)) ] || fail "records were lost by a kill -9 after the disk was full"
stop one

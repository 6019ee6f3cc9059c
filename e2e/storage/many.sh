#!/usr/bin/env bash
# Many partitions on one broker: creates them, writes to all, kills it, starts it again, stops it in order; says what each took and holds
# it to the limits below. The broker may have 20,000 files open.     many.sh [PARTITIONS]
# (One topic has at most 9,999 partitions at its birth, as in Kafka: 10,000 records of metadata are the most that one request may take.)
source "$(dirname "$0")/lib.sh"
count=${1:-1000}
ready_most=${READY_MOST_MS:-1500} stop_most=${STOP_MOST_MS:-5000} memory_most=${MEMORY_MOST_MIB:-2048}
ulimit -n 20000
memory() { awk '/VmRSS/{ printf "%d", $2 / 1024 }' "/proc/$pid/status"; }
files() { ls "/proc/$pid/fd" | wc -l; }
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
ready() { # says how long the start took
  local from=$1 known=$2
  until tail -n +$((known + 1)) "$work/ours.log" | grep -q 'event=broker.ready'; do
    kill -0 "$pid" 2>/dev/null || fail "the broker ended"
    pause 0.01
  done
  took=$(($(milliseconds) - from))
}
begin() { local known from; known=$(wc -l <"$work/ours.log"); from=$(milliseconds); launch "${settings[@]}"; ready "$from" "$known"; }
settings=("num.partitions=$count" auto.create.topics.enable=true log.flush.offset.checkpoint.interval.ms=2000 offsets.topic.num.partitions=1)
: >"$work/ours.log"
begin
from=$(milliseconds)
timeout 60 kcat -b "$at" -L -t many >/dev/null || true
has_all() { [ "$(timeout 20 kcat -b "$at" -L -t many | grep -c ' leader [0-9]')" -ge "$count" ]; }
until_true 120 has_all
echo "created $count partitions in $(($(milliseconds) - from)) ms: $(memory) MiB, $(files) files"
from=$(milliseconds)
python3 - "$at" "$count" <<'PY'
# One record to each partition, three times over.
import subprocess, sys
at, count = sys.argv[1], int(sys.argv[2])
lines = "".join(f"{turn * count + p}\n" for turn in range(12) for p in range(count))
subprocess.run(["kcat", "-b", at, "-P", "-t", "many", "-X", "partitioner=random", "-X", "sticky.partitioning.linger.ms=0",
                "-X", "queue.buffering.max.messages=1000000"], input=lines.encode(), check=True, timeout=300)
PY
folders=$(ls "$data" | grep -c '^many-')
echo "wrote to $folders partitions in $(($(milliseconds) - from)) ms: $(memory) MiB, $(files) files"
[ "$folders" -gt $((count * 99 / 100)) ] || fail "records went to $folders of $count partitions"
[ "$(memory)" -le "$memory_most" ] || fail "$(memory) MiB"
recorded() { [ "$(grep -c '^many ' "$data/recovery-point-offset-checkpoint")" -ge "$folders" ]; }
until_true 60 recorded
kill_hard
begin
echo "ready $took ms after kill -9: $(memory) MiB, $(files) files"
[ "$took" -le "$ready_most" ] || fail "more than $ready_most ms"
total=$(timeout 300 kcat -b "$at" -C -t many -o beginning -e -q | sort -n | uniq | wc -l)
[ "$total" = $((count * 12)) ] || fail "$total of $((count * 12)) records are there"
from=$(milliseconds)
stop
took=$(($(milliseconds) - from))
echo "stopped in order in $took ms"
[ "$took" -le "$stop_most" ] || fail "more than $stop_most ms"
begin
echo "ready $took ms after that: $(memory) MiB, $(files) files"
until_true 60 serves
seq 1 100 | timeout 60 kcat -b "$at" -P -t many
from=$(milliseconds)
stop
echo "stopped again in $(($(milliseconds) - from)) ms, of which hardly any log had changed"
echo "PASSED"

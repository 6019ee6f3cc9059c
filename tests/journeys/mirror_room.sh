#!/usr/bin/env bash
# A source that is larger than the disk here: what fits is mirrored, what does not is not begun at all and told with its size, and once
# there is room it goes on by itself. The mirror's disk is a small file system of its own, so it needs root.
source "$(dirname "$0")/lib.sh"
admin_call=$2
mkdir "$dir/disk"
mount -t tmpfs -o size=64m tmpfs "$dir/disk" 2>/dev/null || { echo "no right to mount"; exit 77; }
trap 'status=$?; for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  umount "$dir/disk"; (exit $status); finish' EXIT
read -r east west east_admin west_admin < <(free_ports 4)
at_east=127.0.0.1:$east at_west=127.0.0.1:$west
common=(controller.listener.names=CONTROLLER offsets.topic.replication.factor=1 offsets.topic.num.partitions=1
  millrace.metrics.listener= num.partitions=1 log.segment.bytes=4194304)
start east "log.dirs=$dir/east" "listeners=PLAINTEXT://$at_east,CONTROLLER://127.0.0.1:0" "millrace.admin.listener=127.0.0.1:$east_admin" "${common[@]}"
start west "log.dirs=$dir/disk/west" "listeners=PLAINTEXT://$at_west,CONTROLLER://127.0.0.1:0" "millrace.admin.listener=127.0.0.1:$west_admin" \
  "${common[@]}" auto.create.topics.enable=false
until_true 20 answers "$at_east"
until_true 20 answers "$at_west"
call() { timeout 30 "$admin_call" "127.0.0.1:$1" "${@:2}"; }
state_has() { call "$west_admin" GetLink '{"name":"all"}' >"$dir/state" && grep -q "$1" "$dir/state"; }
write() { head -c "$2" /dev/urandom | base64 -w 900 | timeout 60 kcat -b "$at_east" -t "$1" -P -X acks=all; }
count() { timeout 30 kcat -b "$1" -t "$2" -C -o beginning -e -q 2>/dev/null | wc -l; }
same() { [ "$(count "$at_east" "$1")" -gt 0 ] && [ "$(count "$at_east" "$1")" = "$(count "$at_west" "$1")" ]; }
topics() { timeout 5 kcat -b "$at_west" -L -J | grep -o '"topic":"[a-z]*"' | sort | tr '\n' ' '; }

write large 90000000
write small 2000000
call "$west_admin" ApplyLink '{"link":{"name":"all","source":{"bootstrap_servers":["'"$at_east"'"]},"topics":{"include":["*"]}}}' >/dev/null
until_true 60 same small
until_true 20 state_has '"NoRoom"'
grep -q '"topics_total": *"1"' "$dir/state" || fail "how many topics is not told: $(cat "$dir/state")"
needed=$(sed -n 's/.*"needed_bytes": *"\([0-9]*\)".*/\1/p' "$dir/state")
left=$(sed -n 's/.*"left_bytes": *"\([0-9]*\)".*/\1/p' "$dir/state")
[ "$needed" -gt 100000000 ] || fail "needed: $needed"
[ "$left" -lt 64000000 ] || fail "left: $left"
grep -q '"message": *"no room for large' "$dir/state" || fail "the message does not say so: $(cat "$dir/state")"
expect "topics here, nothing half begun" '"topic":"small" ' "$(topics)"

mount -o remount,size=400m "$dir/disk"
until_true 60 same large
until_true 20 state_has '"MIRROR_TOPIC_STATE_MIRRORING"'
expect "topics without room" 0 "$(grep -c NoRoom "$dir/state" || true)"
stop west; stop east

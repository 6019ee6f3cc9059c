#!/usr/bin/env bash
# Cuts the power under a broker while it is written to: its log directory lies on an ext4 image, which is shut down without a flush
# of its journal (what fsync has not covered is gone), mounted again and recovered. Whatever kcat was told is stored must be there,
# with the same bytes. Needs root and a loop device.
#
#   power_cut.sh MILLRACE_BROKER [ROUNDS]
set -euo pipefail
broker=$(realpath "$1")
rounds=${2:-5}
work=$(mktemp -d /tmp/power-cut-XXXXXX)
mkdir "$work/disk"
pid=
finish() {
    local status=$?
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    wait 2>/dev/null || true
    umount "$work/disk" 2>/dev/null || true
    [ $status = 0 ] || tail -n 30 "$work/broker.log" >&2
    rm -rf "$work"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

truncate -s 512M "$work/image"
mkfs.ext4 -q -F "$work/image"
mount_disk() { mount -o loop "$work/image" "$work/disk"; }
mount_disk
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
at=127.0.0.1:$port
start() {
    "$broker" --set "log.dirs=$work/disk/data" --set "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:0" \
        --set controller.listener.names=CONTROLLER --set num.partitions=4 --set millrace.metrics.listener= \
        --set millrace.admin.listener= --set log.segment.bytes=1048576 \
        --set log.flush.offset.checkpoint.interval.ms=300 >>"$work/broker.log" 2>&1 &
    pid=$!
    local end=$((SECONDS + 30))
    until timeout 3 kcat -b "$at" -L >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "the broker is not up in time"
    done
}
# EXT4_IOC_SHUTDOWN without a flush of the log: from here on nothing reaches the device.
cut_power() {
    python3 - "$work/disk" <<'PY'
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))
PY
    kill -9 "$pid" && wait "$pid" 2>/dev/null || true
    pid=
    umount "$work/disk"
}

total=0
start
for round in $(seq "$rounds"); do
    # kcat -vvv says which partition and offset every stored record got; one partition at a time keeps line and offset together.
    for partition in 0 1 2 3; do
        (seq -f "$round-$partition-%0200g" 1 20000 |
            timeout 60 kcat -b "$at" -t "round-$round" -p $partition -P -X acks=all -X linger.ms=1 -X message.timeout.ms=3000 \
                -vvv >"$work/acked-$partition" 2>&1 || true) &
        producers[$partition]=$!
    done
    until [ "$(grep -h -c 'Message delivered' "$work"/acked-0 2>/dev/null || echo 0)" -gt $((RANDOM % 3000 + 200)) ]; do :; done
    cut_power
    wait "${producers[@]}"
    mount_disk
    start
    for partition in 0 1 2 3; do
        acked=$(grep -c 'Message delivered' "$work/acked-$partition" || true)
        timeout 60 kcat -b "$at" -t "round-$round" -p $partition -C -o beginning -e -q >"$work/read" || fail "reading round $round"
        [ "$(wc -l <"$work/read")" -ge "$acked" ] ||
            fail "round $round, partition $partition: $acked acknowledged, $(wc -l <"$work/read") there"
        cmp <(head -n "$acked" "$work/read") <(seq -f "$round-$partition-%0200g" 1 "$acked") ||
            fail "round $round, partition $partition: other bytes than were sent"
        total=$((total + acked))
    done
    echo "ok round $round: every acknowledged record is there ($total so far)"
done
kill "$pid" && wait "$pid"
pid=
echo "PASSED: $rounds power cuts, $total acknowledged records, none lost"

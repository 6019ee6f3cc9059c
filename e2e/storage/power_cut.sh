#!/usr/bin/env bash
# Cuts the power under a broker while it is written to: its log directory lies on an ext4 image that is shut down without a flush of its
# journal (what no sync has covered is gone), mounted again and recovered. Whatever kcat was told is stored must be there, with the same
# bytes. Needs root and a loop device.      power_cut.sh [ROUNDS]
source "$(dirname "$0")/lib.sh"
rounds=${1:-5}
data=$work/disk/data
mkdir "$work/disk"
truncate -s 2G "$work/image"
mkfs.ext4 -q -F "$work/image"
mount_disk() { mount -o loop "$work/image" "$work/disk"; }
mount_disk 2>/dev/null || { echo "no right to mount, or no loop device" >&2; exit 77; }
settings=(num.partitions=4 log.segment.bytes=1048576 log.flush.offset.checkpoint.interval.ms=300)
# EXT4_IOC_SHUTDOWN without a flush of the log: from here on nothing reaches the device.
cut_power() {
  python3 - "$work/disk" <<'PY'
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))
PY
  kill_hard
  umount -l "$work/disk"
  # The same bytes on another device: another mount namespace of this machine may keep the dead one.
  cp --sparse=always "$work/image" "$work/image.after"
  mv "$work/image.after" "$work/image"
}
acked() { grep -c 'Message delivered' "$work/acked-$1" || true; }
enough() { [ "$(acked 0)" -gt "$1" ]; }

total=0
open=0
start "${settings[@]}"
for round in $(seq "$rounds"); do
  producers=()
  for partition in 0 1 2 3; do
    : >"$work/acked-$partition"
    # Far more than there is time for: the cut comes in the middle. -vvv says of each record when it is stored.
    (seq -f "$round-$partition-%0200g" 1 2000000 |
      timeout 60 kcat -b "$at" -t "round-$round" -p $partition -P -X acks=all -X linger.ms=1 -X message.timeout.ms=3000 \
        -X batch.num.messages=$((RANDOM % 200 + 1)) -X queue.buffering.max.messages=5000 -vvv >"$work/acked-$partition" 2>&1 || true) &
    producers+=($!)
  done
  until_true 60 enough $((RANDOM % 6000 + 50))
  cut_power
  wait "${producers[@]}"
  mount_disk
  start "${settings[@]}"
  for partition in 0 1 2 3; do
    stored=$(acked $partition)
    timeout 60 kcat -b "$at" -t "round-$round" -p $partition -C -o beginning -e -q >"$work/read" || fail "reading round $round"
    there=$(wc -l <"$work/read")
    [ "$there" -ge "$stored" ] || fail "round $round, partition $partition: $stored acknowledged, $there there"
    cmp "$work/read" <(seq -f "$round-$partition-%0200g" 1 "$there") || fail "round $round, partition $partition: other bytes than were sent"
    total=$((total + stored)) open=$((open + there - stored))
  done
  for earlier in $(seq $((round - 1))); do
    [ "$(timeout 60 kcat -b "$at" -Q -t "round-$earlier:0:-1" | sed 's/.*offset //')" = "${ends[$earlier]}" ] || fail "round $earlier has another end after cut $round"
  done
  ends[$round]=$(timeout 60 kcat -b "$at" -Q -t "round-$round:0:-1" | sed 's/.*offset //')
  echo "ok cut $round: every acknowledged record is there ($total so far, and $open that were under way)"
done
stop
echo "PASSED: $rounds power cuts, $total acknowledged records, none lost"

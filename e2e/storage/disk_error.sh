#!/usr/bin/env bash
# A disk that begins to answer with I/O errors under a running broker. With another directory left, its logs alone go offline and the rest goes
# on; the last directory's failure ends the broker, with its reason and without another acknowledgement. Needs root and a loop device.
source "$(dirname "$0")/lib.sh"
mkdir "$work/disk"
truncate -s 300M "$work/image"
mkfs.ext4 -q -F "$work/image"
mount_disk() { mount -o loop "$work/image" "$work/disk"; }
mount_disk 2>/dev/null || { echo "no right to mount, or no loop device" >&2; exit 77; }
# EXT4_IOC_SHUTDOWN without a flush: reads, writes and syncs fail from here on.
break_disk() {
  python3 - "$work/disk" <<'PY'
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))
PY
}
write() { seq 1 20 | timeout 20 kcat -b "$at" -P -t events -p "$1" -X acks=all -X message.timeout.ms=3000; }
count() { timeout 20 kcat -b "$at" -C -t events -p "$1" -o beginning -e -q | wc -l; }

data=$work/data,$work/disk/data
settings=(num.partitions=4)
start "${settings[@]}"
timeout 5 kcat -b "$at" -L -t events >/dev/null || true
has_leaders() { [ "$(timeout 5 kcat -b "$at" -L -t events | grep -c ' leader 0')" = 4 ]; }
until_true 20 has_leaders
for partition in 0 1 2 3; do write $partition; done
good=() bad=()
for partition in 0 1 2 3; do if [ -d "$work/data/events-$partition" ]; then good+=($partition); else bad+=($partition); fi; done
[ ${#good[@]} = 2 ] && [ ${#bad[@]} = 2 ] || fail "two partitions in each directory: ${good[*]} and ${bad[*]}"
break_disk
! write "${bad[0]}" 2>/dev/null || fail "a record was acknowledged by a broken disk"
for partition in "${good[@]}"; do
  write "$partition" || fail "partition $partition lies elsewhere"
  [ "$(count "$partition")" = 40 ] || fail "partition $partition: $(count "$partition") of 40 records"
done
! write "${bad[1]}" 2>/dev/null || fail "a record was acknowledged by a broken disk"
kill -0 "$pid" || fail "the broker ended although a directory is left"
stop
umount "$work/disk"
mount_disk
start "${settings[@]}"
for partition in "${bad[@]}"; do
  until_true 20 write "$partition"
  [ "$(count "$partition")" -ge 40 ] || fail "partition $partition: $(count "$partition") of 40 records after the disk came back"
done
stop
echo "ok a broken disk takes its own logs offline and no others; they are back with it"

data=$work/disk/alone
start num.partitions=1
write 0
break_disk
! write 0 2>/dev/null || fail "a record was acknowledged by a broken disk"
gone() { ! kill -0 "$pid"; }
until_true 30 gone
! wait "$pid" || fail "a broker without a directory ended as if in order"
pid=
grep -q 'event=broker.halted reason="every log directory has failed"' "$work/ours.log" || fail "the log does not say why it ended"
umount "$work/disk"
mount_disk
start num.partitions=1
[ "$(count 0)" -ge 20 ] || fail "$(count 0) of 20 acknowledged records after the disk came back"
stop
echo "ok the last directory's failure ends the broker; what was acknowledged is there when the disk is"
echo "PASSED"

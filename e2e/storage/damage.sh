#!/usr/bin/env bash
# Files that went bad while the broker was down: a flipped bit in the middle is answered with CORRUPT_MESSAGE and never as data; a torn,
# zero-filled or foreign tail is cut at the start, whatever it is; kill -9 at any moment loses nothing that was acknowledged.
source "$(dirname "$0")/lib.sh"
settings=(num.partitions=1 log.flush.offset.checkpoint.interval.ms=200)
records=2000
sent() { seq -f "$1-%0200g" 1 $records; }
read_all() { timeout 20 kcat -b "$at" -t "$1" -C -o beginning -e -q 2>"$work/why"; }
log_of() { echo "$data/$1-0/00000000000000000000.log"; }
start "${settings[@]}"
for topic in flipped torn zeroed foreign healthy; do
  sent $topic | timeout 30 kcat -b "$at" -t $topic -P -X batch.num.messages=50
done
stop

python3 - "$(log_of flipped)" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(0, 2); middle = f.tell() // 2
    f.seek(middle); byte = f.read(1)[0]
    f.seek(middle); f.write(bytes([byte ^ 0x10]))
PY
start "${settings[@]}"
cmp <(read_all healthy) <(sent healthy) || fail "damage elsewhere concerns only its own log"
timeout 20 kcat -b "$at" -t flipped -C -o beginning -e -q -X check.crcs=false >"$work/read" 2>"$work/why" || true
got=$(wc -l <"$work/read")
[ "$got" -gt 0 ] && [ "$got" -lt $records ] || fail "of $records records with a flipped bit in the middle $got were served"
cmp "$work/read" <(sent flipped | head -n "$got") || fail "wrong data was served"
python3 - "$port" <<'PY' || fail "a read at the flipped bit is not answered with CORRUPT_MESSAGE"
# Fetch 4, by hand: no client shows the code as it came.
import socket, struct, sys
def fetch(offset):
    text = lambda s: struct.pack(">h", len(s)) + s
    body = struct.pack(">iiiib", -1, 100, 1, 1 << 20, 0) + struct.pack(">i", 1) + text(b"flipped") + struct.pack(">iiqi", 1, 0, offset, 1 << 20)
    head = struct.pack(">hhi", 1, 4, 7) + text(b"damage")
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
        s.sendall(struct.pack(">i", len(head + body)) + head + body)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + struct.unpack(">i", answer[:4])[0]:
            answer += s.recv(65536)
    at = 4 + 4 + 4 + 4 + 2 + len("flipped") + 4 + 4
    error, = struct.unpack_from(">h", answer, at)
    aborted_at = at + 2 + 8 + 8
    size, = struct.unpack_from(">i", answer, aborted_at + 4)
    return error, size
codes = {fetch(offset) for offset in range(0, 2000, 10)}
print("fetch answers:", sorted({code for code, _ in codes}))
sys.exit(0 if any(code == 2 and size <= 0 for code, size in codes) and {code for code, _ in codes} <= {0, 2} else 1)
PY
echo "ok a flipped bit: $got records before it are served, then CORRUPT_MESSAGE"
kill_hard

# What a crash can leave behind the last whole batch: the recovery point lies below it, so it is looked at.
rm -f "$data"/recovery-point-offset-checkpoint
size=$(stat -c %s "$(log_of torn)")
truncate -s $((size - 77)) "$(log_of torn)"
truncate -s +1000000 "$(log_of zeroed)"
head -c 300000 /dev/urandom >>"$(log_of foreign)"
start "${settings[@]}"
for topic in zeroed foreign healthy; do cmp <(read_all $topic) <(sent $topic) || fail "$topic: what was whole must stay"; done
read_all torn >"$work/read" || fail "torn: $(cat "$work/why")"
there=$(wc -l <"$work/read")
[ "$there" -lt $records ] && [ "$there" -ge $((records - 50)) ] || fail "torn: $there of $records records"
cmp "$work/read" <(sent torn | head -n "$there") || fail "torn: wrong data"
for topic in torn zeroed foreign; do
  echo more | timeout 20 kcat -b "$at" -t $topic -P
  [ "$(read_all $topic | tail -1)" = more ] || fail "$topic does not go on"
done
echo "ok torn, zero-filled and foreign tails are cut, and the logs go on"
stop

start "${settings[@]}"
total=0
for round in 1 2 3 4 5 6; do
  : >"$work/acked"
  (seq -f "$round-%0200g" 1 2000000 | timeout 60 kcat -b "$at" -t "killed-$round" -P -X acks=all -X linger.ms=1 -X message.timeout.ms=3000 \
    -X queue.buffering.max.messages=5000 -vvv >"$work/acked" 2>&1 || true) &
  producer=$!
  some=$((RANDOM % 4000 + 1))
  enough() { [ "$(grep -c 'Message delivered' "$work/acked" || true)" -gt $some ]; }
  until_true 60 enough
  kill_hard
  wait $producer
  stored=$(grep -c 'Message delivered' "$work/acked" || true)
  # And once more while it recovers.
  launch "${settings[@]}"
  pause 0.0$((RANDOM % 9 + 1))
  kill_hard
  start "${settings[@]}"
  read_all "killed-$round" >"$work/read" || fail "killed-$round: $(cat "$work/why")"
  there=$(wc -l <"$work/read")
  [ "$there" -ge "$stored" ] || fail "kill $round: $stored acknowledged, $there there"
  cmp "$work/read" <(seq -f "$round-%0200g" 1 "$there") || fail "kill $round: wrong data"
  total=$((total + stored))
done
stop
echo "ok kill -9 six times, and again during each recovery: $total acknowledged records, none lost"
echo "PASSED"

#!/usr/bin/env bash
# A real Apache Kafka as the source of a mirror link: the same batches, byte for byte, of every kind that Kafka writes.
#
#   run.sh BROKER ADMIN_CALL      millrace-broker and tests/journeys' admin_call
#
# KAFKA_PEER: the script that runs Kafka (default: e2e/peers/kafka/kafka-peer.sh). PORT: first of four ports (25500).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
broker=$(realpath "$1") admin_call=$(realpath "$2")
peer=${KAFKA_PEER:-$here/../peers/kafka/kafka-peer.sh}
port=${PORT:-25500}
export KAFKA_PEER_PORT=$port KAFKA_PEER_NAME=mirror-source KAFKA_PEER_HEAP=512m KAFKA_PEER_TOOL_HEAP=256m
kafka=127.0.0.1:$port ours=127.0.0.1:$((port + 2)) admin=127.0.0.1:$((port + 3))
work=$(mktemp -d /tmp/mirror-e2e-XXXXXX)
pid=
finish() {
  local status=$?
  [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
  "$peer" wipe >/dev/null 2>&1 || true
  [ "$status" = 0 ] || tail -20 "$work/broker.log" >&2 || true
  rm -rf "$work"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
pause() { read -rt 0.2 <> <(:) || true; }
until_true() { local end=$((SECONDS + $1)); shift; until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || fail "in time: $*"; pause; done; }
start_ours() {
  "$broker" --set "log.dirs=$work/data" --set "listeners=PLAINTEXT://$ours,CONTROLLER://127.0.0.1:0" \
    --set controller.listener.names=CONTROLLER --set "millrace.admin.listener=$admin" --set millrace.metrics.listener= \
    --set offsets.topic.replication.factor=1 --set log.cleaner.backoff.ms=3600000 >>"$work/broker.log" 2>&1 &
  pid=$!
  until_true 30 timeout 3 kcat -b "$ours" -L
}
same() { # topic partitions
  timeout 60 python3 "$here/batches.py" "$kafka" "$1" "$2" >"$work/theirs" && timeout 60 python3 "$here/batches.py" "$ours" "$1" "$2" >"$work/ours" &&
    [ "$(wc -l <"$work/theirs")" -gt "$2" ] && cmp -s "$work/theirs" "$work/ours"
}
check() { until_true 60 same "$1" "$2"; echo "ok $3: $(($(wc -l <"$work/ours") - $2)) batches, the same bytes"; }
keyed() { awk -v w="$1" -v n="$2" 'BEGIN { for (i = 1; i <= n; ++i) print "k" i ":" w "-" i }'; } # WORD COUNT
topic() { "$peer" cli topics --bootstrap-server "$kafka" --create --topic "$@" >/dev/null; }

"$peer" wipe >/dev/null 2>&1 || true
"$peer" start log.cleaner.backoff.ms=500 log.retention.check.interval.ms=1000 >/dev/null
topic codecs --partitions 2
topic compacted --partitions 1 --config cleanup.policy=compact --config segment.ms=1000 --config min.cleanable.dirty.ratio=0.01 \
  --config max.compaction.lag.ms=1000
topic appendtime --partitions 1 --config message.timestamp.type=LogAppendTime
topic headers --partitions 1
topic big --partitions 1 --config max.message.bytes=4000000
topic transactions --partitions 2

for codec in none gzip snappy lz4 zstd; do
  keyed "$codec" 500 | timeout 30 kcat -b "$kafka" -t codecs -P -K : -z "$codec" -X enable.idempotence=true
  keyed "plain-$codec" 100 | timeout 30 kcat -b "$kafka" -t codecs -P -K : -z "$codec"
done
seq 1 100 | timeout 30 kcat -b "$kafka" -t appendtime -P
seq 1 200 | timeout 30 kcat -b "$kafka" -t headers -P $(seq 1 40 | sed 's/.*/-H name-&=value-&/')
for i in 1 2 3; do head -c 2000000 /dev/urandom | base64 -w 0; echo; done | timeout 60 kcat -b "$kafka" -t big -P -X message.max.bytes=4000000
timeout 120 "$peer" java "$here/Transactions.java" "$kafka" transactions
for round in 1 2 3; do
  # One key in fifty stays for good: most batches lose all they hold, and leave holes.
  awk -v r=$round 'BEGIN { for (i = 1; i <= 300; ++i) print (i % 50 ? "k" i % 20 : "u" r "-" i) ":" r "-" i }' |
    timeout 30 kcat -b "$kafka" -t compacted -P -K : -X batch.num.messages=10
  end=$((SECONDS + 2)); while [ $SECONDS -lt $end ]; do pause; done
  echo "k0:roll-$round" | timeout 30 kcat -b "$kafka" -t compacted -P -K :
done

start_ours
timeout 30 "$admin_call" "$admin" ApplyLink '{"link":{"name":"kafka","source":{"bootstrap_servers":["'"$kafka"'"]},
  "topics":{"include":["*"]},"groups":{"include":["*"],"interval_ms":500}}}' >/dev/null
check codecs 2 "every codec, idempotent and not"
check appendtime 1 "timestamps of the broker"
check headers 1 "many headers"
check big 1 "batches of megabytes"
check transactions 2 "transactions, committed, aborted and open"
check compacted 1 "a compacted topic"
python3 - "$work/ours" <<'PY' || fail "the compacted topic has no holes: nothing was shown"
import sys
end = None
holes = 0
for line in open(sys.argv[1]):
    parts = line.split()
    if parts[1] == "from":
        continue
    holes += end is not None and int(parts[1]) > end
    end = int(parts[2]) + 1
sys.exit(0 if holes else 1)
PY

# A read_committed consumer sees the same on both sides.
committed() { timeout 30 kcat -b "$1" -t transactions -C -o beginning -e -q -X isolation.level=read_committed -f '%p %o %s\n' | sort; }
committed "$kafka" >"$work/theirs"; committed "$ours" >"$work/ours"
cmp "$work/theirs" "$work/ours" || fail "read_committed differs"
echo "ok read_committed: $(wc -l <"$work/ours") records on both sides"

# A group moves over without a gap.
timeout 30 kcat -b "$kafka" -G movers codecs -X auto.offset.reset=earliest -c 1000 -q >/dev/null
position() { timeout 30 "$peer" cli consumer-groups --bootstrap-server "$1" --describe --group movers 2>/dev/null | awk '$2=="codecs" {print $3, $4}' | sort; }
moved() { position "$kafka" >"$work/theirs"; position "$ours" >"$work/ours"; [ -s "$work/theirs" ] && cmp -s "$work/theirs" "$work/ours"; }
until_true 60 moved
echo "ok group offsets: $(tr '\n' ';' <"$work/ours")"

# Killed, and the source goes on meanwhile.
kill -9 "$pid"; wait "$pid" 2>/dev/null || true
keyed later 2000 | timeout 30 kcat -b "$kafka" -t codecs -P -K : -z zstd -X enable.idempotence=true
start_ours
check codecs 2 "after kill -9"

# A second mirror of the same topic, that is cut at what was decided when it is promoted.
cut_link() {
  timeout 30 "$admin_call" "$admin" ApplyLink '{"link":{"name":"cut","source":{"bootstrap_servers":["'"$kafka"'"]},"naming":"LINK_NAMING_PREFIX",
    "alias":"cut","topics":{"include":["transactions"]},"policy":{"open_transactions":"OPEN_TRANSACTIONS_TRUNCATE_TO_LAST_STABLE"}'"$1"'}}' >/dev/null
}
cut_link ''
copied() { [ "$(timeout 30 kcat -b "$ours" -t cut.transactions -C -o beginning -e -q | wc -l)" = "$(timeout 30 kcat -b "$ours" -t transactions -C -o beginning -e -q | wc -l)" ]; }
until_true 60 copied

# The source dies; promoted by force, the mirror takes writes and ends what was open.
"$peer" stop >/dev/null
timeout 30 "$admin_call" "$admin" ApplyLink '{"link":{"name":"kafka","source":{"bootstrap_servers":["'"$kafka"'"]},
  "topics":{"include":["*"]},"state":"LINK_DESIRED_PROMOTED","promotion":"LINK_PROMOTION_FORCED"}}' >/dev/null
writes() { echo "after" | timeout 10 kcat -b "$ours" -t transactions -p 0 -P -X message.timeout.ms=4000; }
until_true 60 writes
committed "$ours" >"$work/after"
grep -q " after$" "$work/after" || fail "what was written after the promotion is held back by an open transaction"
if grep -q "never decided" "$work/after"; then fail "an undecided record is shown to committed readers"; fi
echo "ok forced promotion: writable, and the open transaction is aborted"

# The other one gives up what comes after the first open transaction, tells so, and keeps it aside.
timeout 30 kcat -b "$ours" -t cut.transactions -C -o beginning -e -q -X isolation.level=read_committed -f '%p %o %s\n' | sort >"$work/before"
cut_link ',"state":"LINK_DESIRED_PROMOTED","promotion":"LINK_PROMOTION_FORCED"'
writes_cut() { echo "after" | timeout 10 kcat -b "$ours" -t cut.transactions -p 0 -P -X message.timeout.ms=4000; }
until_true 60 writes_cut
timeout 30 kcat -b "$ours" -t cut.transactions -C -o beginning -e -q -f '%p %o %s\n' | sort >"$work/after"
if grep -q "never decided" "$work/after"; then fail "an undecided record is still there after the cut"; fi
grep -v ' after$' "$work/after" >"$work/kept" || true
[ "$(comm -23 "$work/before" "$work/kept" | wc -l)" = 0 ] || fail "a committed record below the first open transaction was cut"
timeout 30 "$admin_call" "$admin" GetLink '{"name":"cut"}' >"$work/state"
[ "$(grep -c '"truncated": *true' "$work/state")" -gt 0 ] || fail "the cut is not told"
[ "$(find "$work/data" -name '*.diverged.quarantined' | wc -l)" -gt 0 ] || fail "what was cut is not kept"
echo "ok forced promotion with a cut: $(grep -c . "$work/kept") records stay, the rest is told and kept aside"

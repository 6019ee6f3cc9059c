#!/usr/bin/env bash
# A mirror link between two brokers: same records at the same offsets, through kill -9 of the destination, until promoted.
source "$(dirname "$0")/lib.sh"
admin_call=$2
read -r east west west_admin < <(free_ports 3)
at_east=127.0.0.1:$east at_west=127.0.0.1:$west
common=(controller.listener.names=CONTROLLER offsets.topic.replication.factor=1 offsets.topic.num.partitions=2
  group.initial.rebalance.delay.ms=0 millrace.metrics.listener=)
start_east() {
  start east "log.dirs=$dir/east" "listeners=PLAINTEXT://$at_east,CONTROLLER://127.0.0.1:0" millrace.admin.listener= \
    num.partitions=2 "${common[@]}"
}
start_west() {
  start west "log.dirs=$dir/west" "listeners=PLAINTEXT://$at_west,CONTROLLER://127.0.0.1:0" \
    "millrace.admin.listener=127.0.0.1:$west_admin" auto.create.topics.enable=false "${common[@]}"
}
call() { timeout 30 "$admin_call" "127.0.0.1:$west_admin" "$@"; }
link() {  # link STATE PROMOTION
  call ApplyLink '{"link":{"name":"east-to-west","source":{"bootstrap_servers":["'"$at_east"'"]},
    "topics":{"include":["orders*"]},"groups":{"include":["*"],"interval_ms":500},
    "state":"LINK_DESIRED_'"$1"'","promotion":"LINK_PROMOTION_'"$2"'"}}'
}
# Offsets, partitions, keys, timestamps, headers and values of a topic, as any consumer sees them.
dump() { timeout 30 kcat -b "$1" -t "$2" -C -o beginning -e -q -f '%p %o %T %k %h %s\n' | sort -k1,1n -k2,2n; }
same() { dump "$at_east" "$1" >"$dir/a" && dump "$at_west" "$1" >"$dir/b" && [ -s "$dir/a" ] && cmp -s "$dir/a" "$dir/b"; }
# keyed WORD COUNT: "k1:WORD-1" and so on.
keyed() { awk -v w="$1" -v n="$2" 'BEGIN { for (i = 1; i <= n; ++i) print "k" i ":" w "-" i }'; }
produce() { timeout 20 kcat -b "$1" -t orders -P -K : -z "${3:-none}" -H trace=7 -X enable.idempotence=true <"$2"; }

start_east; start_west
until_true 20 answers "$at_east"
until_true 20 answers "$at_west"
for codec in none gzip snappy lz4 zstd; do
  keyed "$codec" 200 >"$dir/in"; produce "$at_east" "$dir/in" $codec
done
link MIRRORING PLANNED >/dev/null
until_true 30 same orders
expect "records mirrored" 1000 "$(wc -l <"$dir/b")"

# The mirror takes no writes from clients.
if echo "k:v" | timeout 10 kcat -b "$at_west" -t orders -P -X message.timeout.ms=3000 2>"$dir/refusal"; then
  fail "a mirror took a record from a client"
fi
expect "records after a refused write" 1000 "$(dump "$at_west" orders | wc -l)"

# Killed while it copies, twice: nothing is lost, nothing comes twice.
for round in 1 2; do
  keyed "round-$round" 20000 >"$dir/in"; produce "$at_east" "$dir/in" lz4 &
  producer=$!
  pause; kill_hard west
  start_west; until_true 20 answers "$at_west"
  wait "$producer"
  until_true 40 same orders
done
expect "records after two kills" 41000 "$(wc -l <"$dir/b")"

# A topic made later and partitions added later are mirrored, too.
echo "a:1" | timeout 20 kcat -b "$at_east" -t orders.late -P -K :
until_true 30 same orders.late

# A planned promotion: the source is fenced, what it has arrives, then the mirror takes writes.
link PROMOTED PLANNED >/dev/null
writes() { echo "k:after" | timeout 10 kcat -b "$at_west" -t orders -P -K : -X message.timeout.ms=4000; }
until_true 60 writes
if echo "k:late" | timeout 10 kcat -b "$at_east" -t orders -P -K : -X message.timeout.ms=3000 2>>"$dir/refusal"; then
  fail "the fenced source took a record"
fi
dump "$at_east" orders >"$dir/a"; dump "$at_west" orders >"$dir/b"
expect "records that the source has and the promoted mirror lacks" 0 "$(comm -23 <(sort "$dir/a") <(sort "$dir/b") | wc -l)"
stop west; start_west; until_true 20 answers "$at_west"
writes || fail "a promoted mirror took no writes after a restart"
stop west; stop east

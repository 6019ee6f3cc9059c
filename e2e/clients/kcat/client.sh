#!/usr/bin/env bash
# kcat from Debian (librdkafka 2.0.2): a client that is a command line.
set -euo pipefail
if [ "$1" = prepare ]; then
  command -v kcat >/dev/null || { echo "kcat is not installed: make deps" >&2; exit 1; }
  exit 0
fi
source "$(dirname "$0")/../lib.sh"
at=(-b "$BOOTSTRAP")
put() { timeout 60 kcat "${at[@]}" -P "$@" 2>>"$scratch/put.err" || fail "produce: $(tail -n 1 "$scratch/put.err")"; }
get() { timeout 60 kcat "${at[@]}" -C -q -e "$@" 2>>"$scratch/get.err" || fail "consume: $(tail -n 1 "$scratch/get.err")"; }
# kcat has no administration: topics come from auto creation, with num.partitions=4.
new_topic() { local topic; topic=$(fresh "$1"); until_true 20 has_leaders "$topic"; echo "$topic"; }
has_leaders() { [ "$(timeout 3 kcat "${at[@]}" -L -t "$1" -X allow.auto.create.topics=true | grep -c 'leader [0-9]')" = 4 ]; }

check_codecs() {
  local topic codec p
  topic=$(new_topic codecs)
  for codec in none gzip snappy lz4 zstd; do
    for p in 0 1 2 3; do
      seq -f "key-$codec-%g:value $codec %g of $p, and something that compresses compresses compresses" 1 "$RECORDS" >"$scratch/sent.$codec.$p"
      echo "gone-$codec:" >>"$scratch/sent.$codec.$p" # -Z: an empty value is a tombstone
      put -t "$topic" -p $p -z $codec -K: -Z -H "codec=$codec" -H "twice=1" -H "twice=2" <"$scratch/sent.$codec.$p"
    done
  done
  for p in 0 1 2 3; do
    cat "$scratch"/sent.{none,gzip,snappy,lz4,zstd}.$p | awk -F: '{split($1, k, "-"); print $1 ":" ($2 == "" ? "NULL" : $2) ":codec=" k[2] ",twice=1,twice=2"}' >"$scratch/want"
    get -t "$topic" -p $p -o beginning -Z -f '%k:%s:%h\n' >"$scratch/got"
    same_file "partition $p" "$scratch/want" "$scratch/got"
  done
  echo "$((4 * 5 * (RECORDS + 1))) records in 5 codecs"
}

# member NAME GROUP TOPIC [OPTIONS]: a consumer in the background; what it reads goes to NAME.out, what happens to NAME.err.
member() {
  local who=$1 group=$2 topic=$3; shift 3
  kcat "${at[@]}" -G "$group" "$topic" -f '%s\n' -u -X auto.offset.reset=earliest -X session.timeout.ms=6000 \
    -X heartbeat.interval.ms=300 -X auto.commit.interval.ms=200 -X partition.assignment.strategy=range "$@" \
    >>"$scratch/$who.out" 2>>"$scratch/$who.err" &
  eval "pid_$who=$!"
}
# How many partitions a member owns by its own words: "rebalanced (..): assigned: t [0], t [1]" says all of them,
# "incremental assignment of 2 partition(s) .." and "incremental revoke of 2 .." what changed.
owned() {
  awk '/rebalanced/ { words = $0; parts = gsub(/\[[0-9]+\]/, "", words) }
    /incremental assignment/ { own += parts; next } /incremental revoke/ { own -= parts; next }
    /assigned:/ { own = parts } /revoked:/ { own = 0 } END { print own + 0 }' "$scratch/$1.err"
}
owns() { [ "$(owned "$1")" = "$2" ]; }
leave() { local pid="pid_$1"; kill "${!pid}"; wait "${!pid}" || true; }
read_are() { [ "$(cat "$scratch"/"$1".out "$scratch"/"$2".out 2>/dev/null | sort -u | wc -l)" = "$3" ]; }
round() { local p; for p in 0 1 2 3; do seq -f "$2-$p-%g" 1 "$RECORDS" | put -t "$1" -p $p; done; }

check_groups_join_leave() {
  local topic group; topic=$(new_topic group); group=$(fresh g)
  round "$topic" one
  member a "$group" "$topic"; until_true 20 owns a 4
  member b "$group" "$topic"; until_true 30 owns b 2; until_true 10 owns a 2
  round "$topic" two
  until_true 30 read_are a b $((8 * RECORDS))
  leave a; until_true 20 owns b 4
  round "$topic" three
  until_true 30 read_are a b $((12 * RECORDS))
  leave b
  round "$topic" four
  member c "$group" "$topic"; until_true 30 read_are c c $((4 * RECORDS))
  leave c
  expect "records that a later member read" $((4 * RECORDS)) "$(wc -l <"$scratch/c.out")"
  echo "$((12 * RECORDS)) records over joins and leaves, $(($(cat "$scratch"/{a,b}.out | wc -l) - 12 * RECORDS)) read again"
}

check_groups_crash() {
  local topic group began; topic=$(new_topic crash); group=$(fresh g)
  member stays "$group" "$topic"; until_true 20 owns stays 4
  member dies "$group" "$topic"; until_true 30 owns dies 2; until_true 10 owns stays 2
  kill -9 "$pid_dies"; began=$SECONDS
  round "$topic" after
  until_true 30 owns stays 4
  [ $((SECONDS - began)) -ge 3 ] || fail "a session of 6 s ended after $((SECONDS - began))"
  until_true 20 read_are stays stays $((4 * RECORDS))
  leave stays
  echo "partitions moved $((SECONDS - began)) s after the kill"
}

check_groups_static() {
  local topic group rebalances before; topic=$(new_topic static); group=$(fresh g)
  member x "$group" "$topic" -X group.instance.id=x; until_true 20 owns x 4
  member y "$group" "$topic" -X group.instance.id=y; until_true 30 owns y 2; until_true 10 owns x 2
  rebalances=$(grep -c rebalanced "$scratch/y.err")
  before=$(grep rebalanced "$scratch/x.err" | tail -n 1 | sed 's/.*assigned: //')
  leave x
  member x2 "$group" "$topic" -X group.instance.id=x; until_true 20 owns x2 2
  expect "partitions of the restarted member" "$before" "$(grep rebalanced "$scratch/x2.err" | tail -n 1 | sed 's/.*assigned: //')"
  expect "rebalances that the other saw meanwhile" "$rebalances" "$(grep -c rebalanced "$scratch/y.err")"
  leave x2; leave y
  echo "kept over a restart: $before"
}

check_groups_cooperative() {
  local topic group; topic=$(new_topic coop); group=$(fresh g)
  member a "$group" "$topic" -X partition.assignment.strategy=cooperative-sticky; until_true 20 owns a 4
  member b "$group" "$topic" -X partition.assignment.strategy=cooperative-sticky; until_true 30 owns b 2; until_true 10 owns a 2
  expect "partitions taken from the first member" 2 "$(grep -a 'incremental revoke' "$scratch/a.err" | grep -oa '\[[0-9]*\]' | wc -l)"
  leave b; leave a
  echo "two of four moved, two stayed"
}

check_broker_killed() {
  local topic p each=$((RECORDS * 5)); topic=$(new_topic killed)
  mkfifo "$scratch/feed"
  timeout 110 kcat "${at[@]}" -P -t "$topic" -K: -X enable.idempotence=true -X message.timeout.ms=90000 -X linger.ms=5 \
    -E -X reconnect.backoff.max.ms=500 -X topic.partitioner=consistent <"$scratch/feed" 2>"$scratch/producer.err" &
  local producer=$!
  exec 9>"$scratch/feed"
  seq -f "a:%06g" 1 "$each" | sed p | sed 'n;s/^a/b/' >&9
  "$MILLRACE_CTL" crash 1 9>&-
  seq -f "a:%06g" $((each + 1)) $((each * 2)) | sed p | sed 'n;s/^a/b/' >&9
  "$MILLRACE_CTL" crash "$NODES" 9>&-
  seq -f "a:%06g" $((each * 2 + 1)) $((each * 3)) | sed p | sed 'n;s/^a/b/' >&9
  exec 9>&-
  wait $producer || fail "the producer gave up: $(tail -n 1 "$scratch/producer.err")"
  get -t "$topic" -o beginning -f '%k:%s\n' >"$scratch/got"
  for key in a b; do
    seq -f "$key:%06g" 1 $((each * 3)) >"$scratch/want"; grep "^$key:" "$scratch/got" >"$scratch/of.$key" || true
    same_file "records of key $key" "$scratch/want" "$scratch/of.$key"
  done
  expect "records" $((each * 6)) "$(wc -l <"$scratch/got")"
  echo "$((each * 6)) records through two kills"
}

check_offsets_by_time() {
  local topic before between after; topic=$(new_topic time)
  seq -f "early-%g" 1 50 | put -t "$topic" -p 0
  pause; between=$(date +%s%3N); pause
  seq -f "late-%g" 1 50 | put -t "$topic" -p 0
  expect "first offset after the first half" "$topic [0] offset 50" "$(timeout 10 kcat "${at[@]}" -Q -t "$topic:0:$between")"
  expect "end" "$topic [0] offset 100" "$(timeout 10 kcat "${at[@]}" -Q -t "$topic:0:-1")"
  expect "beginning" "$topic [0] offset 0" "$(timeout 10 kcat "${at[@]}" -Q -t "$topic:0:-2")"
  seq -f "late-%g" 1 50 >"$scratch/want"
  get -t "$topic" -p 0 -o "s@$between" >"$scratch/got"
  same_file "records from a time on" "$scratch/want" "$scratch/got"
  echo "100 records, a time in their middle"
}

check_small_fetch() {
  local topic; topic=$(new_topic small)
  seq -f "record number %g with some words in it" 1 "$RECORDS" >"$scratch/want"
  put -t "$topic" -p 0 -X batch.num.messages=20 <"$scratch/want"
  get -t "$topic" -p 0 -o beginning -X fetch.message.max.bytes=100 -X fetch.max.bytes=1000 -X message.max.bytes=1000 -X receive.message.max.bytes=20000 >"$scratch/got"
  same_file records "$scratch/want" "$scratch/got"
  echo "$RECORDS records in fetches of 1000 bytes"
}

check_large_message() {
  local topic; topic=$(new_topic large)
  head -c 900000 /dev/urandom | base64 -w0 | head -c 900000 >"$scratch/big"
  put -t "$topic" -p 0 "$scratch/big"
  get -t "$topic" -p 0 -o beginning -X fetch.message.max.bytes=1000 -f '%s' >"$scratch/got"
  same_file "900 kB" "$scratch/big" "$scratch/got"
  head -c 3000000 /dev/urandom >"$scratch/big"
  if timeout 30 kcat "${at[@]}" -P -t "$topic" -p 0 -X message.max.bytes=5000000 "$scratch/big" 2>"$scratch/refused"; then fail "3 MB past the limit was accepted"; fi
  grep -qi 'too large' "$scratch/refused" || fail "refused with: $(cat "$scratch/refused")"
  echo "900 kB there and back, 3 MB refused by the default limit (kcat can't raise it)"
}

check_auto_create() {
  local topic; topic=$(fresh auto)
  seq 1 10 | put -t "$topic"
  expect records 10 "$(get -t "$topic" -o beginning | wc -l)"
  expect partitions 4 "$(timeout 5 kcat "${at[@]}" -L -t "$topic" | grep -c 'partition [0-9]')"
  echo "4 partitions as num.partitions says"
}

check_unknown_topic() {
  if timeout 20 kcat "${at[@]}" -C -t "$(fresh nowhere)" -e -q -X allow.auto.create.topics=false 2>"$scratch/refused"; then fail "consuming from nowhere succeeded"; fi
  grep -qi 'unknown topic' "$scratch/refused" || fail "refused with: $(cat "$scratch/refused")"
  echo "refused: unknown topic"
}

no_admin="kcat has no administration"
check_topics() { not_offered "$no_admin"; }
check_configs() { not_offered "$no_admin"; }
check_delete_records() { not_offered "$no_admin"; }
check_groups_admin() { not_offered "$no_admin"; }
check_groups_kip848() { not_offered "librdkafka 2.0.2 is older than KIP-848"; }
run_checks

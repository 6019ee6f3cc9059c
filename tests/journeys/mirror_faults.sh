#!/usr/bin/env bash
# What goes wrong with the source of a mirror link, between real brokers: a link to itself, loops, a topic made anew, records
# dropped too early, a source that is away, another cluster behind its address, a link deleted and made again.
source "$(dirname "$0")/lib.sh"
admin_call=$2
read -r east west east_admin west_admin < <(free_ports 4)
at_east=127.0.0.1:$east at_west=127.0.0.1:$west
common=(controller.listener.names=CONTROLLER offsets.topic.replication.factor=1 offsets.topic.num.partitions=2
  group.initial.rebalance.delay.ms=0 millrace.metrics.listener= num.partitions=1)
start_east() {  # DATA
  start east log.retention.check.interval.ms=300 "log.dirs=$dir/$1" "listeners=PLAINTEXT://$at_east,CONTROLLER://127.0.0.1:0" "millrace.admin.listener=127.0.0.1:$east_admin" \
    "${common[@]}"
  until_true 20 answers "$at_east"
}
start_east east
start west "log.dirs=$dir/west" "listeners=PLAINTEXT://$at_west,CONTROLLER://127.0.0.1:0" "millrace.admin.listener=127.0.0.1:$west_admin" \
  "${common[@]}" auto.create.topics.enable=false millrace.links.delete.grace.ms=2000
until_true 20 answers "$at_west"
call() { timeout 30 "$admin_call" "127.0.0.1:$1" "${@:2}"; }
# link ADMIN NAME SOURCE TOPICS [MORE]
link() { call "$1" ApplyLink '{"link":{"name":"'"$2"'","source":{"bootstrap_servers":["'"$3"'"]},"topics":{"include":["'"$4"'"]}'"${5:-}"'}}' >"$dir/applied"; }
state_has() { call "$1" GetLink '{"name":"'"$2"'"}' >"$dir/state" && grep -q "$3" "$dir/state"; }
dump() { timeout 30 kcat -b "$1" -t "$2" -C -o beginning -e -q -f '%p %o %T %k %s\n' 2>/dev/null; }
same() { dump "$at_east" "$1" >"$dir/a" && dump "$at_west" "$1" >"$dir/b" && [ -s "$dir/a" ] && cmp -s "$dir/a" "$dir/b"; }
write() { seq -f "$3-%g" 1 "$4" | timeout 20 kcat -b "$1" -t "$2" -P -X acks=all -X message.timeout.ms=8000; }
count() { dump "$1" "$2" | wc -l; }

# A link to itself is refused where it is seen, and touches nothing.
write "$at_east" orders first 100
link "$west_admin" itself "$at_west" '*'
until_true 20 state_has "$west_admin" itself SelfLink
call "$west_admin" DeleteLink '{"name":"itself","topics":"TOPICS_KEEP_READ_ONLY"}' >/dev/null

link "$west_admin" orders "$at_east" 'orders*'
until_true 30 same orders

# The other way round at the same time: what came from here is not mirrored back, and nothing is cut.
link "$east_admin" back "$at_west" 'orders*' ',"truncate_existing":true'
until_true 20 state_has "$east_admin" back ProvenanceLoop
expect "records at the source of a loop" 100 "$(count "$at_east" orders)"
call "$east_admin" DeleteLink '{"name":"back","topics":"TOPICS_KEEP_READ_ONLY"}' >/dev/null

# The source is away: the mirror is read as before, and follows once it is back.
stop east
until_true 40 state_has "$west_admin" orders '"reason": *"SourceUnavailable"'
expect "records while the source is away" 100 "$(count "$at_west" orders)"

# Another cluster answers at its address: the link stops, and nothing of it is taken.
start_east impostor
write "$at_east" orders impostor 300
until_true 60 state_has "$west_admin" orders ClusterIdMismatch
expect "records of an impostor" 0 "$(dump "$at_west" orders | grep -c impostor || true)"
stop east
start_east east
link "$west_admin" orders "$at_east" 'orders*' ',"groups":{"interval_ms":700}'
write "$at_east" orders second 50
until_true 60 same orders
expect "records once the source is itself again" 150 "$(wc -l <"$dir/b")"

# Records that are deleted at the source before they were copied: the range is told, the rest is taken.
link "$west_admin" orders "$at_east" 'orders*' ',"state":"LINK_DESIRED_PAUSED"'
until_true 20 state_has "$west_admin" orders '"state": *"MIRROR_TOPIC_STATE_PAUSED"'
write "$at_east" orders third 50
retain() {  # OP VALUE
  call "$east_admin" AlterConfigs '{"resources":[{"resource":{"type":"CONFIG_RESOURCE_TYPE_TOPIC","name":"orders"},
    "alterations":[{"key":"retention.ms","op":"'"$1"'","value":"'"$2"'"}]}]}' >/dev/null
}
retain OP_SET 1
emptied() { [ "$(count "$at_east" orders)" = 0 ]; }
until_true 30 emptied
retain OP_DELETE ''
write "$at_east" orders later 30
link "$west_admin" orders "$at_east" 'orders*'
until_true 60 state_has "$west_admin" orders '"from": *"150"'
grep -q '"to": *"200"' "$dir/state" || fail "the gap is not told as it is: $(cat "$dir/state")"
follows() { [ "$(dump "$at_west" orders | tail -1 | awk '{ print $NF }')" = later-30 ]; }
until_true 30 follows
until_true 30 same orders
expect "last record" "later-30" "$(tail -1 "$dir/b" | awk '{ print $NF }')"

# The link goes and comes again: its topics are taken on where they stand.
call "$west_admin" DeleteLink '{"name":"orders","topics":"TOPICS_KEEP_READ_ONLY"}' >/dev/null
write "$at_east" orders fourth 20
if write "$at_west" orders local 1 2>/dev/null; then fail "a mirror of nobody took a record"; fi
link "$west_admin" again "$at_east" 'orders*'
until_true 30 same orders
expect "last record after the link was made again" "fourth-20" "$(tail -1 "$dir/b" | awk '{ print $NF }')"

# The topic is made anew at the source: two incarnations never mix in one log.
before=$(count "$at_west" orders)
call "$east_admin" DeleteTopics '{"topics":[{"name":"orders"}]}' >/dev/null
until_true 20 write "$at_east" orders anew 500
until_true 60 state_has "$west_admin" again TopicRecreated
expect "records of the first incarnation" "$before" "$(count "$at_west" orders)"
expect "records of the second" 0 "$(dump "$at_west" orders | grep -c anew || true)"

# Told to archive it: what the first incarnation left is kept under another name, and the new one is mirrored from its start.
dump "$at_west" orders >"$dir/first"
link "$west_admin" again "$at_east" 'orders*' ',"policy":{"on_source_topic_recreated":"REACTION_ARCHIVE_AND_RESTART"}'
until_true 60 same orders
expect "records of the second incarnation" 500 "$(wc -l <"$dir/b")"
dump "$at_west" orders.archived.1 >"$dir/b"
cmp -s "$dir/first" "$dir/b" || fail "the archive is not what the mirror was"
if write "$at_west" orders.archived.1 local 1 2>/dev/null; then fail "an archive took a record"; fi

# One topic of many is deleted at the source: where the policy is to delete, its mirror goes after the grace, and no other.
for i in 1 2 3 4 5; do until_true 20 write "$at_east" "orders.$i" one 5; until_true 30 same "orders.$i"; done
link "$west_admin" again "$at_east" 'orders*' ',"policy":{"on_source_topic_deleted":"REACTION_DELETE"}'
call "$east_admin" DeleteTopics '{"topics":[{"name":"orders.3"}]}' >/dev/null
gone() { ! timeout 5 kcat -b "$at_west" -L -J | grep -c '"orders.3"'; }
until_true 60 gone
for i in 1 2 4 5; do expect "records of orders.$i" 5 "$(count "$at_west" "orders.$i")"; done

# A compacted topic that was behind for longer than its source keeps tombstones: told, and right again once its mirror is deleted here.
call "$east_admin" CreateTopics '{"topics":[{"name":"profiles","partitions":1,"configs":{"cleanup.policy":"compact","delete.retention.ms":"15000"}}]}' >/dev/null
keyed() { awk -v w="$1" 'BEGIN { for (i = 1; i <= 20; ++i) print "key-" i ":" w "-" i }' | timeout 20 kcat -b "$at_east" -t profiles -P -K : -X acks=all -X message.timeout.ms=8000; }
keyed one
link "$west_admin" profiles "$at_east" profiles
until_true 30 same profiles
until_true 20 state_has "$west_admin" profiles '"state": *"MIRROR_TOPIC_STATE_MIRRORING"'
expect "a horizon that was not passed" 0 "$(grep -c TombstoneHorizonExceeded "$dir/state" || true)"
link "$west_admin" profiles "$at_east" profiles ',"state":"LINK_DESIRED_PAUSED"'
until_true 20 state_has "$west_admin" profiles '"state": *"MIRROR_TOPIC_STATE_PAUSED"'
keyed two
end=$((SECONDS + 17)); while [ $SECONDS -lt $end ]; do pause; done  # longer than tombstones stay, which is what is tested
link "$west_admin" profiles "$at_east" profiles
until_true 30 state_has "$west_admin" profiles TombstoneHorizonExceeded
call "$west_admin" DeleteTopics '{"topics":[{"name":"profiles"}]}' >/dev/null
told_no_more() { call "$west_admin" GetLink '{"name":"profiles"}' >"$dir/state" && [ "$(grep -c TombstoneHorizonExceeded "$dir/state")" = 0 ] && [ "$(grep -c '"MIRROR_TOPIC_STATE_MIRRORING"' "$dir/state")" -gt 0 ]; }
until_true 40 told_no_more
until_true 30 same profiles

# A password is nowhere in plain text: not in an answer, not in the log, not on the disk.
call "$west_admin" ApplyLink '{"link":{"name":"secret","source":{"bootstrap_servers":["127.0.0.1:1"],"sasl":{"mechanism":"PLAIN",
  "username":"mirror","password":"correct-horse-battery"}},"topics":{"include":["nothing"]}}}' >"$dir/answer"
call "$west_admin" GetLink '{"name":"secret"}' >>"$dir/answer"
grep -q '"username": *"mirror"' "$dir/answer" || fail "the login was not taken"
# Either as it is, or in the base64 that entries are written in, wherever in three bytes it begins.
plain=(-e correct-horse -e cmVjdC1ob3JzZS1i -e cnJlY3QtaG9yc2Ut -e b3JyZWN0LWhvcnNl)
expect "files with the password" "" "$(grep -rla "${plain[@]}" "$dir/west" "$dir/west.log" "$dir/answer" || true)"
stop west; stop east

#!/usr/bin/env bash
# A disaster and the way back: promoted by force, what the dead side had alone is reported and cut when it follows, then roles swap.
source "$(dirname "$0")/lib.sh"
admin_call=$2
read -r east west east_admin west_admin < <(free_ports 4)
at_east=127.0.0.1:$east at_west=127.0.0.1:$west
common=(controller.listener.names=CONTROLLER offsets.topic.replication.factor=1 offsets.topic.num.partitions=2
  group.initial.rebalance.delay.ms=0 millrace.metrics.listener= num.partitions=1)
start east "log.dirs=$dir/east" "listeners=PLAINTEXT://$at_east,CONTROLLER://127.0.0.1:0" "millrace.admin.listener=127.0.0.1:$east_admin" \
  "${common[@]}"
start west "log.dirs=$dir/west" "listeners=PLAINTEXT://$at_west,CONTROLLER://127.0.0.1:0" "millrace.admin.listener=127.0.0.1:$west_admin" \
  "${common[@]}" auto.create.topics.enable=false
call() { timeout 30 "$admin_call" "127.0.0.1:$1" "${@:2}"; }
# link ADMIN NAME SOURCE STATE PROMOTION TRUNCATE [MORE]
link() {
  call "$1" ApplyLink '{"link":{"name":"'"$2"'","source":{"bootstrap_servers":["'"$3"'"]},"topics":{"include":["orders","parcels"]},
    "state":"LINK_DESIRED_'"$4"'","promotion":"LINK_PROMOTION_'"$5"'","truncate_existing":'"$6${7:-}"'}}' >/dev/null
}
dump() { timeout 30 kcat -b "$1" -t "$2" -C -o beginning -e -q -f '%p %o %T %k %s\n'; }
same_parcels() { dump "$at_east" parcels >"$dir/c" && dump "$at_west" parcels >"$dir/d" && [ -s "$dir/c" ] && cmp -s "$dir/c" "$dir/d"; }
same() { dump "$at_east" orders >"$dir/a" && dump "$at_west" orders >"$dir/b" && [ -s "$dir/a" ] && cmp -s "$dir/a" "$dir/b"; }
write() { seq -f "$2-%g" 1 "$3" | timeout 20 kcat -b "$1" -t "${4:-orders}" -P -X acks=all -X message.timeout.ms=5000; }
state_has() { call "$1" GetLink '{"name":"'"$2"'"}' >"$dir/state" && grep -q "$3" "$dir/state"; }

until_true 20 answers "$at_east"
until_true 20 answers "$at_west"
write "$at_east" first 300
call "$east_admin" CreateTopics '{"topics":[{"name":"parcels","partitions":1,"replication_factor":1}]}' >/dev/null
link "$west_admin" east-to-west "$at_east" MIRRORING PLANNED false
until_true 30 same
until_true 30 state_has "$west_admin" east-to-west '"parcels"'

# The link is cut off; the old side takes records that the new one will never have.
link "$west_admin" east-to-west "$at_east" PAUSED PLANNED false
until_true 20 state_has "$west_admin" east-to-west '"state": *"MIRROR_TOPIC_STATE_PAUSED"'
write "$at_east" lost 50
write "$at_east" lost 20 parcels
link "$west_admin" east-to-west "$at_east" PROMOTED FORCED false
until_true 40 write "$at_west" second 1
write "$at_west" second 99
write "$at_west" second 7 parcels

# The old side is never taken without being told to cut.
link "$east_admin" west-to-east "$at_west" MIRRORING PLANNED false
until_true 20 state_has "$east_admin" west-to-east NameConflict
expect "records of the old side, untouched" 350 "$(dump "$at_east" orders | wc -l)"

# Told so, it keeps the common part, reports the rest, and follows.
link "$east_admin" west-to-east "$at_west" MIRRORING PLANNED true
until_true 40 same
until_true 20 same_parcels
expect "records of the topic that was empty at the promotion" 7 "$(grep -c second "$dir/c")"
expect "what was cut of it, kept aside" 20 "$(grep -ao 'lost-[0-9]*' "$dir"/east/parcels-0/*.diverged.quarantined | sort -u | wc -l)"
expect "records that only the old side had" 0 "$(grep -c lost "$dir/a" || true)"
until_true 20 state_has "$east_admin" west-to-east '"from": *"300"'
grep -q '"to": *"350"' "$dir/state" || fail "what was cut is not reported as it was"
expect "records that were cut, kept aside" 50 "$(grep -ao 'lost-[0-9]*' "$dir"/east/orders-0/*.diverged.quarantined | sort -u | wc -l)"
if echo x | timeout 10 kcat -b "$at_east" -t orders -P -X message.timeout.ms=3000 2>/dev/null; then fail "the old side took a record"; fi

# And the roles swap back without a loss, though the edits come in the wrong order: as long as the other side copies from here, this
# one stays as it is, takes records, and says what it waits for.
link "$east_admin" west-to-east "$at_west" PAUSED PLANNED true
until_true 20 state_has "$east_admin" west-to-east '"state": *"MIRROR_TOPIC_STATE_PAUSED"'
write "$at_west" third 99
link "$west_admin" east-to-west "$at_east" MIRRORING PLANNED true
until_true 20 state_has "$west_admin" east-to-west SourceNotPromoted
grep -q '"message": *"orders stays promoted' "$dir/state" || fail "it does not say what to do: $(cat "$dir/state")"
write "$at_west" third 1
expect "records here, none cut" 100 "$(dump "$at_west" orders | grep -c third)"
link "$east_admin" west-to-east "$at_west" PROMOTED PLANNED true
until_true 60 write "$at_east" fourth 1
expect "records after the swap" 1 "$(dump "$at_east" orders | grep -c fourth)"
expect "records of the other side that arrived" 100 "$(dump "$at_east" orders | grep -c third)"
until_true 40 same
until_true 20 state_has "$west_admin" east-to-west '"state": *"MIRROR_TOPIC_STATE_MIRRORING"'
write "$at_east" fifth 10
until_true 30 same

# A second link, with a prefix: its mirrors stand beside the others.
link "$west_admin" beside "$at_east" MIRRORING PLANNED 'false,"naming":"LINK_NAMING_PREFIX","alias":"dc"'
prefixed() { dump "$at_west" dc.orders >"$dir/b" && dump "$at_east" orders >"$dir/a" && [ -s "$dir/a" ] && cmp -s "$dir/a" "$dir/b"; }
until_true 30 prefixed
stop west; stop east

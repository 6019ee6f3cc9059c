#!/usr/bin/env bash
# Plans of moves on running brokers, under a producer: a fourth broker gets its share, no replica more than is needed is copied;
# paused, resumed, carried on by another controller, repaired after a loss, cancelled; the broker is emptied again and leaves.
# Nothing acknowledged is lost.
source "$(dirname "$0")/lib.sh"
admin_call=$2
read -r -a kafka < <(free_ports 4); read -r -a admin < <(free_ports 4); read -r -a quorum < <(free_ports 3)
all=127.0.0.1:${kafka[0]},127.0.0.1:${kafka[1]},127.0.0.1:${kafka[2]}
run() {  # run NUMBER ROLES LISTENERS
  start "b$1" "node.id=$1" "process.roles=$2" "log.dirs=$dir/b$1" "listeners=PLAINTEXT://127.0.0.1:${kafka[$(($1 - 1))]}$3" \
    controller.listener.names=CONTROLLER cluster.id=JourneyOfThePlans00001 \
    "controller.quorum.voters=1@127.0.0.1:${quorum[0]},2@127.0.0.1:${quorum[1]},3@127.0.0.1:${quorum[2]}" \
    default.replication.factor=3 min.insync.replicas=2 offsets.topic.num.partitions=1 offsets.topic.replication.factor=3 \
    millrace.metrics.listener= "millrace.admin.listener=127.0.0.1:${admin[$(($1 - 1))]}"
}
# A broker must not hold the producer's feed open.
node() { if [ "$1" = 4 ]; then run 4 broker ""; else run "$1" broker,controller ",CONTROLLER://127.0.0.1:${quorum[$(($1 - 1))]}"; fi; } 9>&-
asked=1  # Whom we ask.
call() { timeout 30 "$admin_call" "127.0.0.1:${admin[$((asked - 1))]}" "$@"; }
# value PATH <JSON: of the field at a.b.0.c
value() { python3 -c '
import json, sys
found = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    found = found[int(key)] if key.isdigit() else found[key]
print(found)' "$1"; }
progress() { call GetPlan | value "progress.$1"; }
is() { [ "$("${@:2}")" = "$1" ]; }
refused() {  # refused WORDS CALL JSON
  if call "$2" "$3" >"$dir/answer" 2>&1; then fail "$2 $3 was not refused"; fi
  grep -q "$1" "$dir/answer" || fail "$2: expected a refusal with [$1], got [$(cat "$dir/answer")]"
}
replicas_of() { call PlacementView | python3 -c '
import json, sys
print(next((b["replicas"] for b in json.load(sys.stdin)["brokers"] if b["id"] == int(sys.argv[1])), "none"))' "$1"; }
moving() { call Health | value partitions.reassigning; }
under_replicated() { call Health | value partitions.under_replicated; }
running() { call Health | python3 -c '
import json, sys
print(sum(b["state"] == "BROKER_STATE_RUNNING" for b in json.load(sys.stdin)["brokers"]))'; }

voters_with_all() { call Health | python3 -c '
import json, sys
print(sum(v["directory_id"] != "A" * 22 and len(v["endpoints"]) == 1 for v in json.load(sys.stdin)["quorum"]["voters"]))'; }

begun_back() { [ "$(replicas_of 4)" -lt $share ]; }
under_way() { [ "$(moving)" -ge 1 ]; }
cancelled_plan() { call CancelPlan '{"hash":"'"$hash"'"}'; }

for n in 1 2 3; do node $n; done
until_true 40 is 3 running
until_true 20 is 3 voters_with_all
call CreateTopics '{"topics":[{"name":"orders","partitions":24,"replication_factor":3}]}' >/dev/null
until_true 20 is 0 under_replicated
mkfifo "$dir/feed"
timeout 200 kcat -b "$all" -t orders -P -K : -X acks=all -X enable.idempotence=true -X message.timeout.ms=120000 \
  -X reconnect.backoff.max.ms=1000 <"$dir/feed" 2>"$dir/producer.log" &
producer=$!
exec 9>"$dir/feed"
produced=0
produce() { awk -v a=$produced 'BEGIN { for (i = 1; i <= 2000; ++i) print "k" i % 97 ":" a + i }' >&9; produced=$((produced + 2000)); }
produce
node 4
until_true 40 is 4 running

# What makes no sense is refused, with the numbers or the name.
refused "orders can't have 5 replicas: 4 brokers" PlanRebalance '{"mode":"PLAN_MODE_REPAIR","replication_factors":{"orders":5}}'
refused "no topic nonsense" PlanRebalance '{"mode":"PLAN_MODE_REPAIR","replication_factors":{"nonsense":2}}'
refused "broker 9 is not registered" PlanRebalance '{"mode":"PLAN_MODE_DRAIN","drain":[9]}'
refused "max_moves_per_broker of -3" PlanRebalance '{"mode":"PLAN_MODE_FULL","limits":{"max_moves_per_broker":-3}}'
refused "no name of a plan" ApplyPlan '{"hash":"nonsense"}'

plan_of() { call PlanRebalance "$1" >"$dir/plan"; value plan.hash <"$dir/plan"; }
slowly='"limits":{"max_moves_per_broker":1}'
hash=$(plan_of '{"mode":"PLAN_MODE_SCALE_OUT","show_moves":100,'"$slowly"'}')
copies() { python3 -c '
import json, sys
print(sum(len(set(m["to"]) - set(m["from"])) for m in json.load(sys.stdin)["plan"]["moves"]))'; }
share=18  # A quarter of them all.
expect "replicas to be copied" $share "$(copies <"$dir/plan")"
expect "the least that is needed" $share "$(value plan.lower_bound_moves <"$dir/plan")"

# Begun through another broker; then the new one dies with a move on its way, and the plan is paused.
asked=2
call ApplyPlan '{"hash":"'"$hash"'"}' >/dev/null
begun() { [ "$(moving)" -ge 1 ] || [ "$(replicas_of 4)" -ge 1 ]; }
until_true 10 begun
kill_hard b4
call PausePlan '{"hash":"'"$hash"'"}' >/dev/null
asked=1
until_true 10 is PLAN_STATE_PAUSED progress state
other=$(tr 0-9a-f 1-9a-f0 <<<"${hash%%/*}")/${hash#*/}
refused "one at a time" ApplyPlan '{"hash":"'"$other"'"}'
node 4
until_true 40 is 4 running
until_true 30 is 0 moving
produce
arrived=$(replicas_of 4)
[ "$arrived" -ge 1 ] && [ "$arrived" -lt $share ] || fail "a paused plan has moved $arrived of $share replicas"

# Resumed, it outlives the controller that carried it out.
leader=$(call Health | value controller_id)
asked=$((leader % 3 + 1))
call ResumePlan '{"hash":"'"$hash"'"}' >/dev/null
kill_hard "b$leader"
produce
node "$leader"
until_true 60 is PLAN_STATE_DONE progress state
# Planned anew in the middle, one less counts as even.
arrived=$(replicas_of 4)
[ "$arrived" = $share ] || [ "$arrived" = $((share - 1)) ] || fail "the new broker has $arrived of $share replicas"
until_true 30 is 0 under_replicated

# The new broker is lost: what it had is made anew from the others. Back again with nothing of use, it gets its share again.
kill_hard b4
until_true 30 is 3 running
apply() { call ApplyPlan '{"hash":"'"$(plan_of "$1")"'"}' >/dev/null; }
apply '{"mode":"PLAN_MODE_REPAIR","lost":[4]}'
produce
until_true 60 is PLAN_STATE_DONE progress state
expect "replicas on the lost broker" 0 "$(replicas_of 4)"
until_true 20 is 0 under_replicated
node 4
until_true 40 is 4 running
apply '{"mode":"PLAN_MODE_SCALE_OUT"}'
until_true 60 is PLAN_STATE_DONE progress state
expect "replicas on the broker that is back" $share "$(replicas_of 4)"

# Taken back, everything is where it was; and the share comes again. Meanwhile another controller goes on with what one began.
placement() { call PlacementView '{"with_partitions":true}' | python3 -c '
import json, sys
for p in sorted(json.load(sys.stdin)["partitions"], key=lambda p: (p["partition"]["topic"], p["partition"].get("partition", 0))):
    print(p["partition"]["topic"], p["partition"].get("partition", 0), p["replicas"])'; }
apply '{"mode":"PLAN_MODE_DRAIN","drain":[4]}'
until_true 60 is PLAN_STATE_DONE progress state
before=$(placement)
apply '{"mode":"PLAN_MODE_SCALE_OUT","limits":{"max_moves_per_broker":2,"throttle_bytes_per_second":20000}}'
refused "under way" RollbackPlan '{}'
expect "bytes a second that were asked for" 20000 "$(progress throttle_bytes_per_second)"
until_true 60 is PLAN_STATE_DONE progress state
expect "replicas on the broker" $share "$(replicas_of 4)"
call RollbackPlan '{}' >/dev/null
until_true 10 begun_back
# What goes back to the broker that was killed waits for it.
leader=$(call Health | value controller_id)
asked=$((leader % 3 + 1))
kill_hard "b$leader"
produce
carried_on() { [ "$(cat "$dir"/b[123].log | grep -c plan.rollback_begun)" -ge 2 ]; }
until_true 20 carried_on
until_true 20 is 3 running
node "$leader"
until_true 90 is PLAN_STATE_ROLLED_BACK progress state
until_true 30 is 4 running
expect "the placement after the rollback" "$before" "$(placement)"
apply '{"mode":"PLAN_MODE_SCALE_OUT"}'
until_true 60 is PLAN_STATE_DONE progress state

# Cancelled by a controller that has not begun it, a plan takes back its own moves.
hash=$(plan_of '{"mode":"PLAN_MODE_DRAIN","drain":[4],"limits":{"throttle_bytes_per_second":1}}')
call ApplyPlan '{"hash":"'"$hash"'"}' >/dev/null
until_true 10 under_way
leader=$(call Health | value controller_id)
asked=$((leader % 3 + 1))
kill_hard "b$leader"
until_true 20 cancelled_plan
node "$leader"
until_true 30 is PLAN_STATE_CANCELLED progress state
until_true 20 is 0 moving
until_true 30 is 4 running
[ "$(replicas_of 4)" -gt 0 ] || fail "a cancelled plan went on"

# A plan that is cancelled takes back what is under way.
hash=$(plan_of '{"mode":"PLAN_MODE_DRAIN","drain":[4],'"$slowly"'}')
call ApplyPlan '{"hash":"'"$hash"'"}' >/dev/null
call CancelPlan '{"hash":"'"$hash"'"}' >/dev/null
until_true 20 is PLAN_STATE_CANCELLED progress state
expect "partitions being moved" 0 "$(moving)"
[ "$(replicas_of 4)" -gt 0 ] || fail "a cancelled plan went on"

# The broker is emptied, and leaves.
refused "4 can't leave\|partitions can't leave" ApplyPlan '{"hash":"'"$(plan_of '{"mode":"PLAN_MODE_DRAIN","drain":[3,4]}')"'"}'
call Cordon '{"broker_ids":[4]}' >/dev/null
apply '{"mode":"PLAN_MODE_DRAIN","drain":[4]}'
produce
until_true 60 is PLAN_STATE_DONE progress state
expect "replicas on the leaving broker" 0 "$(replicas_of 4)"
stop b4
call UnregisterBroker '{"broker_id":4}' >/dev/null
until_true 10 is none replicas_of 4

produce
exec 9>&-
wait $producer || fail "the producer gave up"
timeout 30 kcat -b "$all" -t orders -C -o beginning -e -q -f '%k:%s\n' >"$dir/read"
expect "records read" "$produced" "$(wc -l <"$dir/read")"
expect "different records" "$produced" "$(sort -u "$dir/read" | wc -l)"

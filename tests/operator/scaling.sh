#!/usr/bin/env bash
# Editing `replicas` moves the data, under a producer: a fourth broker gets its share, first only once a person has seen the plan; a
# topic gets another replication factor; the broker leaves again, emptied, without a record lost. What can't be is refused with the numbers.
source "$(dirname "$0")/lib.sh"
cat >"$dir/cluster.yaml" <<'YAML'
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: main}
spec:
  replicas: 3
  storage: {size: 1Gi, class: local}  # Named: the claim of who leaves keeps it.
  balance: {mode: Manual}
  config: {offsets.topic.num.partitions: "1", offsets.topic.replication.factor: "3"}
---
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: orders}
spec: {clusterRef: {name: main}, partitions: 12, replicas: 3}
YAML
start_operator --manifest "$dir/cluster.yaml"
until_ready
until_true 20 kubectl wait --timeout=1s --for=condition=Ready topic/orders
mkfifo "$dir/feed"
timeout 250 kcat -b "$(bootstrap)" -t orders -P -K : -X acks=all -X enable.idempotence=true -X message.timeout.ms=200000 \
  <"$dir/feed" 2>"$dir/producer.log" &
producer=$!
exec 9>"$dir/feed"
produced=0
produce() { awk -v a=$produced 'BEGIN { for (i = 1; i <= 5000; ++i) print "k" i % 97 ":" a + i }' >&9; produced=$((produced + 5000)); }
is() { [ "$("${@:2}")" = "$1" ]; }
condition() { field ".status.conditions[?(@.type==\"$1\")].status"; }
broker_field() { field ".status.brokers[?(@.id==$1)].$2"; }
# Partitions of a topic with a replica on a broker.
held_by() { timeout 10 kcat -b "$(bootstrap)" -L -t "${2:-orders}" | sed -n 's/.*replicas: \([0-9,]*\), isrs.*/,\1,/p' | grep -c ",$1," || true; }
produce
until_true 20 is "true true true" field '.status.brokers[*].balanced'

# A plan waits for its approval, and shows what it would do.
k scale cluster main --replicas=4 >/dev/null
until_true 60 is AwaitingApproval field .status.rebalance.state
expect "why it would move" "broker 3 is new" "$(field .status.rebalance.trigger)"
bound=$(field .status.rebalance.lowerBound)
[ "$bound" -gt 0 ] && [ "$(field .status.rebalance.moves.total)" -ge "$bound" ] || fail "no plan: $(field .status.rebalance)"
expect "moved without approval" 0 "$(held_by 3)"
produce
# Approved is what is shown, and nothing else.
plugin="$(dirname "$operator")/kubectl-millrace"
"$plugin" plan main --approve deadbeef 2>"$dir/said" && fail "a plan that nobody has was approved"
grep "the plan now is $(field .status.rebalance.planHash) (broker 3 is new)" "$dir/said" >/dev/null || fail "no remedy: $(cat "$dir/said")"
"$plugin" plan main --approve >/dev/null
until_true 60 is true broker_field 3 balanced
until_true 20 is True condition Balanced
expect "replicas on the new broker, the least that is needed" "$bound" "$(held_by 3)"
k patch cluster main --type=merge -p '{"spec":{"balance":{"mode":"OnScale"}}}' >/dev/null

# Another replication factor, and back.
replicas_of() { timeout 10 kcat -b "$(bootstrap)" -L -t orders | sed -n 's/.*replicas: \([0-9,]*\), isrs.*/\1/p' | awk -F, '{ print NF }' | sort -u | tr '\n' ' '; }
for factor in 2 3; do
  k patch topic orders --type=merge -p '{"spec":{"replicas":'$factor'}}' >/dev/null
  until_true 40 is "$factor " replicas_of
  produce
done
until_true 20 kubectl wait --timeout=1s --for=condition=Ready topic/orders

# Three brokers can't carry four replicas: refused up front, with the topic's name and the numbers; once three are wanted, it goes on.
k apply -f - >/dev/null <<'YAML'
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: wide}
spec: {clusterRef: {name: main}, partitions: 2, replicas: 4}
YAML
until_true 20 kubectl wait --timeout=1s --for=condition=Ready topic/wide
k scale cluster main --replicas=3 >/dev/null
until_true 20 is Blocked field .status.rebalance.state
field .status.message | grep "wide-[01] can't leave broker 3: it has 4 replicas, and 3 brokers are left to take them (and 1 more)" >/dev/null ||
  fail "no reason: $(field .status.message)"
expect "events about a cordon" 0 "$(k get events -o 'jsonpath={range .items[*]}{.reason}{"\n"}{end}' | grep -c BrokersCordoned || true)"
k patch topic wide --type=merge -p '{"spec":{"replicas":3}}' >/dev/null

# The broker leaves: emptied, unregistered, its pod gone, its disk kept.
produce
left() { [ "$(k get pods -l millrace.dev/cluster=main -o name | wc -l)" = 3 ] && ready; }
until_true 90 left
until_true 10 is "" broker_field 3 id
expect "replicas on the broker that left" 0 "$(held_by 3)"
expect "disks" 4 "$(k get pvc -o name | wc -l)"
until_true 20 is True condition Balanced

produce
exec 9>&-
wait $producer || fail "the producer gave up"
timeout 30 kcat -b "$(bootstrap)" -t orders -C -o beginning -e -q -f '%k:%s\n' >"$dir/read"
expect "records read" "$produced" "$(wc -l <"$dir/read")"
expect "different records" "$produced" "$(sort -u "$dir/read" | wc -l)"
told() { k get events -o 'jsonpath={range .items[*]}{.reason}{"\n"}{end}' >"$dir/events" && grep -qx "$1" "$dir/events"; }
for reason in RebalanceStarted BrokersCordoned BrokerRemoved BrokerUnregistered; do
  until_true 10 told $reason
done

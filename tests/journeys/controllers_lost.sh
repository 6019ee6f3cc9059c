#!/usr/bin/env bash
# Most controllers are lost: nothing new is decided, and what is led goes on being written and read for as long as it takes, well
# past the time after which a broker without heartbeats would be fenced. One of the lost comes back and decisions are made again.
source "$(dirname "$0")/lib.sh"
admin_call=$2
read -r -a quorum < <(free_ports 3); read -r -a kafka < <(free_ports 2); read -r admin < <(free_ports 1)
all=127.0.0.1:${kafka[0]},127.0.0.1:${kafka[1]}
common=(cluster.id=JourneyOfTheControlle "controller.quorum.voters=1@127.0.0.1:${quorum[0]},2@127.0.0.1:${quorum[1]},3@127.0.0.1:${quorum[2]}"
  controller.listener.names=CONTROLLER millrace.metrics.listener=)
controller() {
  start "c$1" "node.id=$1" process.roles=controller "log.dirs=$dir/c$1" "listeners=CONTROLLER://127.0.0.1:${quorum[$(($1 - 1))]}" \
    millrace.admin.listener= "${common[@]}"
}
session=3000
broker_node() {
  start "b$1" "node.id=$1" process.roles=broker "log.dirs=$dir/b$1" "listeners=PLAINTEXT://127.0.0.1:${kafka[$(($1 - 4))]}" \
    "millrace.admin.listener=$2" default.replication.factor=2 min.insync.replicas=2 "broker.session.timeout.ms=$session" \
    offsets.topic.num.partitions=1 offsets.topic.replication.factor=2 "${common[@]}"
}
for n in 1 2 3; do controller $n; done
broker_node 4 "127.0.0.1:$admin"; broker_node 5 ""
call() { timeout 20 "$admin_call" "127.0.0.1:$admin" "$@"; }
create() { call CreateTopics '{"topics":[{"name":"'"$1"'","partitions":4,"replication_factor":2}]}'; }
until_true 40 create orders
produced=0
produce() {
  awk -v a=$produced 'BEGIN { for (i = 1; i <= 500; ++i) print a + i }' |
    timeout 20 kcat -b "$all" -t orders -P -X acks=all -X message.timeout.ms=15000 || fail "not acknowledged after $produced records"
  produced=$((produced + 500))
}
until_true 20 answers "$all" orders
produce
kill_hard c1; kill_hard c2
end=$((SECONDS + 4 * session / 1000))
while [ $SECONDS -lt $end ]; do produce; done
timeout 20 kcat -b "$all" -t orders -C -o beginning -e -q >"$dir/read"
expect "records read without a quorum" "$produced" "$(sort -un "$dir/read" | wc -l)"
if create undecided >"$dir/answer" 2>&1; then fail "a topic was created without a quorum: $(cat "$dir/answer")"; fi

controller 1
until_true 30 create decided
produce
timeout 20 kcat -b "$all" -t orders -C -o beginning -e -q >"$dir/read"
expect "records read in the end" "$produced" "$(sort -un "$dir/read" | wc -l)"

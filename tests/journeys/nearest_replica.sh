#!/usr/bin/env bash
# Three brokers in three racks: a consumer that names its rack reads from the replica there and not from the leader, also what
# is committed while it waits, and one without a rack reads from the leader.
source "$(dirname "$0")/lib.sh"
read -r p1 p2 p3 c1 c2 c3 m1 m2 m3 < <(free_ports 9)
ports=("" "$p1" "$p2" "$p3"); quorum=("" "$c1" "$c2" "$c3"); metrics=("" "$m1" "$m2" "$m3")
all=127.0.0.1:$p1,127.0.0.1:$p2,127.0.0.1:$p3
for n in 1 2 3; do
  start "b$n" "node.id=$n" process.roles=broker,controller "log.dirs=$dir/b$n" "broker.rack=rack-$n" \
    "listeners=PLAINTEXT://127.0.0.1:${ports[$n]},CONTROLLER://127.0.0.1:${quorum[$n]}" controller.listener.names=CONTROLLER \
    "controller.quorum.voters=1@127.0.0.1:$c1,2@127.0.0.1:$c2,3@127.0.0.1:$c3" cluster.id=JourneyOfThreeRacks0001 \
    replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector num.partitions=1 \
    default.replication.factor=3 min.insync.replicas=2 "millrace.metrics.listener=127.0.0.1:${metrics[$n]}" millrace.admin.listener=
done
brokers_seen() { [ "$(timeout 3 kcat -b "$all" -L | grep -c '^  broker ')" = 3 ]; }
until_true 40 brokers_seen
seq 1 2000 | timeout 20 kcat -b "$all" -t near -P -X acks=all
of_partition() { timeout 5 kcat -b "$all" -L -t near | sed -n "s/.*partition 0, $1 \([0-9,-]*\).*/\1/p"; }
in_sync() { [ "$(of_partition '.*isrs:' | tr -cd ,)" = ,, ]; }
until_true 20 in_sync
leader=$(of_partition leader | tr -cd 0-9)
follower=$((leader % 3 + 1))

sent_by() { timeout 10 python3 - "${metrics[$1]}" <<'PY'
import re, sys, urllib.request
text = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=5).read().decode()
found = re.search(r'^millrace_fetched_bytes_total\{topic="near"\} ([0-9.e+]+)$', text, re.M)
print(int(float(found[1])) if found else 0)
PY
}
read_in() { timeout 40 kcat -u -b "$all" -t near -p 0 -C -o beginning -c "$1" -q -X topic.metadata.refresh.interval.ms=1000 ${2:+-X "client.rack=$2"}; }
expect "records read in the follower's rack" 2000 "$(read_in 2000 "rack-$follower" | sort -u | wc -l)"
at_follower=$(sent_by "$follower")
[ "$at_follower" -gt 5000 ] || fail "the follower in the rack sent only $at_follower bytes"
expect "bytes sent by the leader" 0 "$(sent_by "$leader")"

# One that waits at the follower hears of what is committed meanwhile.
read_in 2500 "rack-$follower" >"$dir/read" &
pids[reader]=$!
read_so_far() { [ "$(wc -l <"$dir/read")" -ge 2000 ]; }
until_true 20 read_so_far
seq 2001 2500 | timeout 20 kcat -b "$all" -t near -P -X acks=all
wait "${pids[reader]}" || fail "the reader gave up"
unset "pids[reader]"
expect "records read while they came" 2500 "$(sort -u "$dir/read" | wc -l)"
expect "bytes sent by the leader" 0 "$(sent_by "$leader")"

expect "records read without a rack" 2500 "$(read_in 2500 | sort -u | wc -l)"
[ "$(sent_by "$leader")" -gt 5000 ] || fail "the leader sent nothing to a reader without a rack"

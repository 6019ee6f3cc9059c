#!/usr/bin/env bash
# Who is where, when a person errs or changes it: a first start names whom it waits for; all addresses change in all files at once
# and the cluster comes up with its records; an old file started again does no harm; a second process with the node.id of the active
# controller says who it is taken for, and the cluster goes on.
source "$(dirname "$0")/lib.sh"
voters() { echo "1@127.0.0.1:$1,2@127.0.0.1:$2,3@127.0.0.1:$3"; }
# run NAME ID BROKER_PORT CONTROLLER_PORT VOTERS
run() {
  start "$1" "node.id=$2" process.roles=broker,controller "log.dirs=$dir/$1" listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT \
    "listeners=PLAINTEXT://127.0.0.1:$3,CONTROLLER://127.0.0.1:$4" controller.listener.names=CONTROLLER "controller.quorum.voters=$5" \
    cluster.id=JourneyOfTheAddresses1 default.replication.factor=3 min.insync.replicas=2 millrace.metrics.listener= millrace.admin.listener=
}
read -r p1 p2 p3 c1 c2 c3 q1 q2 q3 d1 d2 d3 t1 t2 t3 < <(free_ports 15)
said() { grep -q "$2" "$dir/$1.log"; }

# The third one's port is mistyped where it listens.
list=$(voters "$c1" "$c2" "$c3")
run b1 1 "$p1" "$c1" "$list"; run b2 2 "$p2" "$c2" "$list"; run b3 3 "$p3" "$t3" "$list"
until_true 20 said b1 "raft.waiting_to_form.*missing: 3@127.0.0.1:$c3 (no answer)"
until_true 20 said b2 "raft.waiting_to_form.*node 1 at 127.0.0.1:$c1 forms the cluster"
kill_hard b3
run b3 3 "$p3" "$c3" "$list"
brokers_seen() { [ "$(timeout 3 kcat -b "127.0.0.1:$1" -L | grep -c '^  broker ')" = 3 ]; }
until_true 40 brokers_seen "$p1"
seq 1 500 | timeout 30 kcat -b "127.0.0.1:$p1" -t kept -P -X acks=all

stop_all() { local n; for n in b1 b2 b3; do kill "${pids[$n]}"; done; for n in b1 b2 b3; do wait "${pids[$n]}" || fail "$n did not stop in order"; unset "pids[$n]"; done; }
stop_all
list=$(voters "$q1" "$q2" "$q3")
run b1 1 "$d1" "$q1" "$list"; run b2 2 "$d2" "$q2" "$list"; run b3 3 "$d3" "$q3" "$list"
until_true 40 brokers_seen "$d1"
kept() { timeout 20 kcat -b "127.0.0.1:$1" -t kept -C -o beginning -e -q | sort -n | cmp - <(seq 1 500); }
until_true 20 kept "$d1"
said b1 "raft.address_differs.*configured=\"\?127.0.0.1:$q2" || fail "nothing is said of changed addresses"

# One starts from its old file while another is down: the two find each other all the same.
kill_hard b3; kill_hard b1
run b3 3 "$d3" "$t3" "$(voters "$q1" "$q2" "$t3")"
two_up() { timeout 3 kcat -b "127.0.0.1:$d3" -L -t kept | grep -q 'leader [23]'; }
until_true 40 two_up
kill_hard b3; kill_hard b2
run b1 1 "$d1" "$q1" "$list"; run b2 2 "$d2" "$q2" "$list"; run b3 3 "$d3" "$q3" "$list"
until_true 40 brokers_seen "$d1"

active() { timeout 3 kcat -b "127.0.0.1:$d1" -L | sed -n 's/^  broker \([0-9]\) .*(controller)/\1/p'; }
until_true 20 eval '[ -n "$(active)" ]'
leader=$(tac "$dir/b1.log" | sed -n 's/.*raft.leader_changed.* leader=\([0-9]\).*/\1/p' | sed -n 1p)
run twin "$leader" "$t1" "$t2" "$list"
until_true 30 said twin "raft.followed_elsewhere.*the voters follow node $leader at 127.0.0.1"
seq 501 600 | timeout 30 kcat -b "127.0.0.1:$d2" -t kept -P -X acks=all
expect "records in the end" 600 "$(timeout 20 kcat -b "127.0.0.1:$d2" -t kept -C -o beginning -e -q | sort -un | wc -l)"

#!/usr/bin/env bash
# A cluster.id that was mistyped in one of three files: that node ends with exit code 2 and says which ids there are and what to write,
# and with the id put right all three form their cluster, without a hand on its directory. So it is with a mistake in the file of the node that
# the others wait for, and with a broker that comes later.
source "$(dirname "$0")/lib.sh"
read -r p1 p2 p3 p4 c1 c2 c3 < <(free_ports 7)
ports=("" "$p1" "$p2" "$p3" "$p4"); quorum=("" "$c1" "$c2" "$c3")
all=127.0.0.1:$p1,127.0.0.1:$p2,127.0.0.1:$p3
right=TheClusterThatIsMeant0 wrong=TheClusterThatIsMeantO
run() { # NODE CLUSTER
  local roles=broker listeners=PLAINTEXT://127.0.0.1:${ports[$1]}
  if [ "$1" -lt 4 ]; then roles=broker,controller listeners+=,CONTROLLER://127.0.0.1:${quorum[$1]}; fi
  start "b$1" "node.id=$1" "process.roles=$roles" "log.dirs=$dir/b$1" "listeners=$listeners" controller.listener.names=CONTROLLER \
    "controller.quorum.voters=1@127.0.0.1:$c1,2@127.0.0.1:$c2,3@127.0.0.1:$c3" "cluster.id=$2" offsets.topic.num.partitions=1 \
    millrace.metrics.listener= millrace.admin.listener=
}
has_ended() { ! kill -0 "${pids[$1]}"; }
ends_as_of_another_cluster() { # NODE
  local status=0
  until_true 20 has_ended "b$1"
  wait "${pids[b$1]}" || status=$?
  unset "pids[b$1]"
  expect "exit code of node $1" 2 "$status"
  grep -qE "^millrace-broker: command line: cluster\.id=$wrong: 127\.0\.0\.1:[0-9]+ is of cluster $right.*; set cluster\.id=$right here.* holds nothing yet" \
    "$dir/b$1.log" || fail "node $1 doesn't say what is wrong"
}
brokers_seen() { [ "$(timeout 3 kcat -b "$1" -L | grep -c '^  broker ')" = "$2" ]; }

for lost in 3 1; do
  for n in 1 2 3; do if [ $n = $lost ]; then run $n $wrong; else run $n $right; fi; done
  ends_as_of_another_cluster $lost
  run $lost $right
  until_true 40 brokers_seen "$all" 3
  if [ $lost = 3 ]; then
    for n in 1 2 3; do kill_hard b$n; done
    rm -r "$dir"/b[123]
  fi
done
run 4 $wrong
ends_as_of_another_cluster 4
run 4 $right
until_true 40 brokers_seen "$all" 4

# What holds something is never moved to another cluster.
stop b4
run 4 $wrong
status=0; wait "${pids[b4]}" || status=$?
unset "pids[b4]"
expect "exit code with data of another cluster" 2 "$status"
grep -E "cluster\.id is $wrong, but the data in $dir/b4 belongs to cluster $right" "$dir/b4.log" >/dev/null || fail "the data's cluster isn't named"

# A controller that its settings make a broker alone is a voter still, and says so.
stop b3
start b3 node.id=3 process.roles=broker "log.dirs=$dir/b3" "listeners=PLAINTEXT://127.0.0.1:$p3" controller.listener.names=CONTROLLER \
  "controller.quorum.voters=1@127.0.0.1:$c1,2@127.0.0.1:$c2" "cluster.id=$right" millrace.metrics.listener= millrace.admin.listener=
until_true 30 grep -E 'event=broker\.still_a_voter voter=3:[^ ]+ remedy=.*remove-controller --controller-id 3' "$dir/b3.log"

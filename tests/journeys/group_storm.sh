#!/usr/bin/env bash
# Many members of one group: all join at once, a tenth goes while as many come, and nobody is thrown out who sends its heartbeats.
#   group_storm.sh BROKER [MEMBERS]
source "$(dirname "$0")/lib.sh"
members=${2:-300}
ulimit -n $((members * 4 + 2000)) 2>/dev/null || ulimit -n "$(ulimit -Hn)"
read -r port < <(free_ports 1)
at=127.0.0.1:$port
start one "log.dirs=$dir/data" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER \
  offsets.topic.replication.factor=1 offsets.topic.num.partitions=1 num.partitions=100 millrace.metrics.listener= millrace.admin.listener= \
  group.consumer.max.size=20000
until_true 20 answers "$at" storm
cost() { awk -v hz="$(getconf CLK_TCK)" '{ printf "%.1f CPU seconds", ($14 + $15) / hz }' "/proc/${pids[one]}/stat"; awk '/VmRSS/ { printf ", %d MiB\n", $2 / 1024 }' "/proc/${pids[one]}/status"; }
for protocol in classic consumer; do
  timeout 400 python3 "$(dirname "$0")/group_storm.py" "$port" "$members" $protocol 5 || fail "$protocol"
  echo "$protocol: $(cost)"
done
stop one
echo "PASSED"

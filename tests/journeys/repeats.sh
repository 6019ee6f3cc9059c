#!/usr/bin/env bash
# A request that names the same thing a hundred thousand times, for each list that a request has: others are served, memory stays within
# its limit, and the broker ends as it should.
source "$(dirname "$0")/lib.sh"
# asks MEMORY MOST REQUEST: a broker with MEMORY MiB, which may take MOST of them, and requests of REQUEST MiB.
asks() {
  local at port control
  read -r port control < <(free_ports 2)
  at=127.0.0.1:$port
  rm -rf "$dir/data"
  start one node.id=1 "log.dirs=$dir/data" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:$control" controller.listener.names=CONTROLLER \
    millrace.metrics.listener= millrace.admin.listener= millrace.memory.limit=$(($1 << 20)) socket.request.max.bytes=$(($3 << 20))
  until_true 20 answers "$at" here
  timeout 400 python3 "$(dirname "$0")/repeats.py" "$port" "${pids[one]}" $(($3 << 20)) "$2" || fail "see above"
  ! grep -qE 'level=(error|fatal)' "$dir/one.log" || fail "a question is no error of ours: $(grep -m1 -E 'level=(error|fatal)' "$dir/one.log")"
  stop one
}
asks 256 256 2
# Here memory turns none of them away, and the handlers have to be quick and thrifty themselves.
asks 4096 512 1

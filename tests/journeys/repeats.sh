#!/usr/bin/env bash
# A request that names the same thing a hundred thousand times, for each list that a request has: others are served, memory stays within
# its limit, and the broker ends as it should.
source "$(dirname "$0")/lib.sh"
read -r port control < <(free_ports 2)
at=127.0.0.1:$port
start one node.id=1 "log.dirs=$dir/data" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:$control" controller.listener.names=CONTROLLER \
  millrace.metrics.listener= millrace.admin.listener= millrace.memory.limit=$((256 << 20)) socket.request.max.bytes=$((2 << 20))
until_true 20 answers "$at" here
timeout 400 python3 "$(dirname "$0")/repeats.py" "$port" "${pids[one]}" $((2 << 20)) 256 || fail "see above"
! grep -qE 'level=(error|fatal)' "$dir/one.log" || fail "a question is no error of ours: $(grep -m1 -E 'level=(error|fatal)' "$dir/one.log")"
stop one

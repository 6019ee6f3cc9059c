#!/usr/bin/env bash
# Crowds that hold more than the memory for requests: the broker stays within its limit, others notice nothing, and the crowd goes.
source "$(dirname "$0")/lib.sh"
read -r port control < <(free_ports 2)
at=127.0.0.1:$port
start one "log.dirs=$dir/data" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:$control" controller.listener.names=CONTROLLER \
  millrace.metrics.listener= millrace.admin.listener= millrace.memory.limit=$((256 << 20)) socket.request.max.bytes=$((4 << 20))
until_true 20 answers "$at" here
timeout 200 python3 "$(dirname "$0")/bad_crowds.py" "$port" "$control" "${pids[one]}" $((4 << 20)) 256 || fail "see above"
grep -q 'memory is short' "$dir/one.log" || fail "the log does not say why the crowd was sent away"
! grep -qE 'level=(error|fatal)' "$dir/one.log" || fail "a crowd is no error of ours: $(grep -m1 -E 'level=(error|fatal)' "$dir/one.log")"
stop one

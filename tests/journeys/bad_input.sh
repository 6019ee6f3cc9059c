#!/usr/bin/env bash
# What no client should send: garbage, frames that are too large, cut or endless, counts that lie, thousands of connections.
# The broker says why it closed, keeps its memory, and others notice nothing.
source "$(dirname "$0")/lib.sh"
read -r port < <(free_ports 1)
at=127.0.0.1:$port
start one "log.dirs=$dir/data" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER \
  offsets.topic.replication.factor=1 offsets.topic.num.partitions=2 millrace.metrics.listener= millrace.admin.listener= \
  millrace.connection.first.request.timeout.ms=2000 millrace.connection.stalled.request.timeout.ms=2000 \
  socket.request.max.bytes=1048576 message.max.bytes=1000000
until_true 20 answers "$at"
echo first | timeout 20 kcat -b "$at" -t calm -P
timeout 100 python3 "$(dirname "$0")/bad_input.py" "$port" "${pids[one]}" "$dir/one.log" || fail "see above"
expect "the topic is whole" "$(printf 'first\nduring\n')" "$(timeout 20 kcat -b "$at" -t calm -C -o beginning -e -q)"
for reason in 'handlers.request_not_decodable' 'net.connection_closed'; do
  grep -q "$reason" "$dir/one.log" || fail "the log does not say $reason"
done
! grep -qE 'level=(error|fatal)' "$dir/one.log" || fail "bad input is the peer's error, not ours: $(grep -m1 -E 'level=(error|fatal)' "$dir/one.log")"
stop one

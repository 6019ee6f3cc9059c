#!/usr/bin/env bash
# Under a supervisor a broker that was stopped with SIGSTOP is ended and told by exit code 75, or started anew; signals and exit
# codes pass through; a supervisor that is killed takes its broker along; no process is left behind.
source "$(dirname "$0")/lib.sh"
read -r port quorum < <(free_ports 2)
at=127.0.0.1:$port
run() {
  start one "log.dirs=$dir/data" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:$quorum" controller.listener.names=CONTROLLER \
    "millrace.supervisor=$1" num.partitions=1 millrace.metrics.listener= millrace.admin.listener=
  until_true 30 answers "$at"
  child=$(cat "/proc/${pids[one]}/task/${pids[one]}/children" | tr -d ' ')
}
ends_with() { local status=0; wait "${pids[one]}" || status=$?; unset "pids[one]"; expect "exit code" "$1" "$status"; }
is_gone() { [ ! -e "/proc/$1" ]; }

run exit
grep -E '^time=[^ ]* level=info event=supervisor\.watches process=' "$dir/one.log" >/dev/null || fail "not a line as all others: $(head -n 3 "$dir/one.log")"
echo first | timeout 20 kcat -b "$at" -t kept -P -X acks=all
kill -TERM "${pids[one]}"
ends_with 0
until_true 5 is_gone "$child"

run exit
echo second | timeout 20 kcat -b "$at" -t kept -P -X acks=all
kill -STOP "$child"
ends_with 75
until_true 5 is_gone "$child"

run restart
expect "records after a broker was ended" "first second" "$(timeout 20 kcat -b "$at" -t kept -C -o beginning -e -q | tr '\n' ' ' | sed 's/ $//')"
before=$child
kill -STOP "$child"
until_true 20 is_gone "$before"
until_true 30 answers "$at"
child=$(tr -d ' ' <"/proc/${pids[one]}/task/${pids[one]}/children")
[ "$child" != "$before" ] || fail "the broker was not started anew"
kill_hard one
until_true 5 is_gone "$child"

run exit
kill -KILL "$child"
ends_with 137
"$broker" --set millrace.supervisor=exit --set node.id=x >/dev/null 2>&1 && fail "bad settings were taken" || expect "exit code of bad settings" 2 $?

#!/usr/bin/env bash
# How quick the operator is, in local mode: printed, and held to bounds that a loaded machine keeps too (the promised ones are in
# brackets). Times are those of the operator's own log.
source "$(dirname "$0")/lib.sh"
cat >"$dir/cluster.yaml" <<'YAML'
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: main}
spec: {replicas: 3, storage: {size: 1Gi}}
YAML
now() { date +%s%3N; }
# A moment in the log as milliseconds: the time of the first line after line $1 that matches $2.
logged() { date -d "$(tail -n +"$(($1 + 1))" "$dir/log" | grep -m 1 "$2" | cut -d' ' -f1)" +%s%3N; }
within() { echo "$1: $2 ms ($3 promised)"; [ "$2" -le "$4" ] || fail "$1 took $2 ms"; }

begin=$(now)
start_operator --manifest "$dir/cluster.yaml"
until_true 60 grep -q '^Ready: Cluster main' "$dir/out"
within "from nothing to Ready" $(($(now) - begin)) 3000 20000

lines=$(wc -l <"$dir/log")
begin=$(now)
k patch cluster main --type=merge -p '{"spec":{"config":{"log.retention.ms":"70000"}}}' >/dev/null
until_true 10 grep -q 'alter 1 settings' "$dir/log"
within "from an edit (kubectl's own time included) to the first action" $(($(logged "$lines" operator.acted) - begin)) 200 3000

until_ready 20
lines=$(wc -l <"$dir/log")
kill_operator
begin=$(now)
start_operator
acts_again() { tail -n +"$((lines + 1))" "$dir/log" | grep -q operator.acted; }
until_true 30 acts_again
within "killed and started again, it acts" $(($(logged "$lines" operator.acted) - begin)) 1000 15000
until_ready 40
grep VmRSS "/proc/$pid/status"

#!/usr/bin/env bash
# A stranger's first hour in local mode: ten lines become a cluster, records go through, a setting rolls brokers one at a time,
# the operator is killed and comes back to running brokers, and a settled cluster is left alone.
source "$(dirname "$0")/lib.sh"
cat >"$dir/cluster.yaml" <<'YAML'
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: main}
spec: {replicas: 3, storage: {size: 1Gi}}
---
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: hello}
spec: {clusterRef: {name: main}, partitions: 3, replicas: 3, config: {retention.ms: "3600000"}}
YAML
start_operator --manifest "$dir/cluster.yaml"
until_ready
until_true 10 grep -q '^Ready: Cluster main' "$dir/out"
expect "racks" "a,b,c" "$(field .status.summary.racks)"
until_true 10 kubectl wait --timeout=1s --for=condition=Ready topic/hello
synced() { [ "$(k get topic hello -o 'jsonpath={.status.conditions[?(@.type=="Synced")].status}')" = True ]; }
until_true 10 synced
seq -f 'before-%g' 100 | timeout 20 kcat -b "$(bootstrap)" -t hello -P -X acks=all
expect "records" 100 "$(timeout 20 kcat -b "$(bootstrap)" -t hello -C -o beginning -e -q | wc -l)"

# A setting that needs a restart: every broker once, never two at a time.
before=$(pod_uids)
k patch cluster main --type=merge -p '{"spec":{"config":{"auto.create.topics.enable":"false"}}}' >/dev/null
rolled() { ready && [ "$(comm -12 <(echo "$before") <(pod_uids) | wc -l)" = 0 ] && [ "$(pod_uids | wc -l)" = 3 ]; }
until_true 60 rolled
expect "restarts" 3 "$(grep -c 'delete Pod' "$dir/log")"
expect "records after the roll" 100 "$(timeout 20 kcat -b "$(bootstrap)" -t hello -C -o beginning -e -q | wc -l)"

# Nothing is left to do, and nothing is done.
acts=$(acted)
version=$(k get clusters -o 'jsonpath={.metadata.resourceVersion}')
for _ in $(seq 30); do pause; done
expect "acts while settled" "$acts" "$(acted)"
expect "writes while settled" "$version" "$(k get clusters -o 'jsonpath={.metadata.resourceVersion}')"

# Killed, it comes back to the same cluster; the data is there.
kill_operator
start_operator
until_ready
expect "records after the kill" 100 "$(timeout 20 kcat -b "$(bootstrap)" -t hello -C -o beginning -e -q | wc -l)"
kill "$pid"; wait "$pid" || fail "it didn't end cleanly"; pid=

#!/usr/bin/env bash
# The operator is killed again and again while it makes a cluster, rolls it and makes it larger: every start goes on from what is
# there, brokers are restarted once each, and what was acknowledged stays readable.
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
spec: {clusterRef: {name: main}, partitions: 3, replicas: 3}
YAML
# acts COUNT: this many actions more than when `base` was noted.
acts() { [ "$(acted)" -ge $((base + $1)) ] || ready; }
start_operator --manifest "$dir/cluster.yaml"
for death in 2 3 4; do
  base=$(acted)
  until_true 20 acts $death
  kill_operator
  start_operator --manifest "$dir/cluster.yaml"
done
until_ready 60
until_true 20 kubectl wait --timeout=1s --for=condition=Ready topic/hello
seq 50 | timeout 20 kcat -b "$(bootstrap)" -t hello -P -X acks=all

k patch cluster main --type=merge -p '{"spec":{"config":{"auto.create.topics.enable":"false"}}}' >/dev/null
base=$(acted)
until_true 30 acts 2
kill_operator
start_operator
until_ready 90
expect "brokers" 3 "$(pod_uids | wc -l)"
expect "restarts by the operator" 3 "$(grep -c 'delete Pod' "$dir/log")"
expect "records" 50 "$(timeout 20 kcat -b "$(bootstrap)" -t hello -C -o beginning -e -q | wc -l)"

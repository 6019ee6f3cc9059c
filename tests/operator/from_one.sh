#!/usr/bin/env bash
# A cluster that begins as one broker: topics that don't say get one replica there and three later, groups' offsets follow the cluster
# out and in again, and what a group committed is known all along.
source "$(dirname "$0")/lib.sh"
cat >"$dir/cluster.yaml" <<'YAML'
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: main}
spec:
  replicas: 1
  storage: {size: 1Gi}
  config: {offsets.topic.num.partitions: "5"}
---
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: early}
spec: {clusterRef: {name: main}, partitions: 2}
YAML
start_operator --manifest "$dir/cluster.yaml"
until_ready
until_true 20 kubectl wait --timeout=1s --for=condition=Ready topic/early
is() { [ "$("${@:2}")" = "$1" ]; }
# How many replicas the partitions of a topic have: "3 " if all have three.
replicas_of() { timeout 10 kcat -b "$(bootstrap)" -L -t "$1" | sed -n 's/.*replicas: \([0-9,]*\), isrs.*/\1/p' | awk -F, '{ print NF }' | sort -u | tr '\n' ' '; }
read_some() { timeout 30 kcat -b "$(bootstrap)" -G "$1" -c "$2" -X auto.offset.reset=earliest early 2>/dev/null; }
expect "replicas at one broker" "1 " "$(replicas_of early)"
seq 1 20 | timeout 20 kcat -b "$(bootstrap)" -P -t early -X acks=all
expect "read at first" 8 "$(read_some readers 8 | wc -l)"
expect "replicas of the offsets at one broker" "1 " "$(replicas_of __consumer_offsets)"

k scale cluster main --replicas=3 >/dev/null
until_ready 60
until_true 60 is "3 " replicas_of __consumer_offsets
until_true 60 kubectl wait --timeout=1s --for=condition=Balanced cluster/main
k apply -f - >/dev/null <<'YAML'
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: late}
spec: {clusterRef: {name: main}, partitions: 2}
YAML
until_true 20 kubectl wait --timeout=1s --for=condition=Ready topic/late
expect "replicas at three brokers" "3 " "$(replicas_of late)"
echo x | timeout 20 kcat -b "$(bootstrap)" -P -t by-a-client -X acks=all
expect "replicas of a client's topic" "3 " "$(replicas_of by-a-client)"

# Back to one: what says three, or was made with three, is asked for first.
k delete topic late >/dev/null
k scale cluster main --replicas=1 >/dev/null
until_true 30 bash -c "kubectl get cluster main -o 'jsonpath={.status.message}' | grep -E '(late|by-a-client)-[01] can.t leave'"
k scale cluster main --replicas=3 >/dev/null
until_ready 60
expect "read in the end" 12 "$(read_some readers 12 | wc -l)"

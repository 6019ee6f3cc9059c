#!/usr/bin/env bash
# A thousand Topic objects at once: all of them are there and Ready within ten seconds after the last was created.
source "$(dirname "$0")/lib.sh"
topics=${TOPICS:-1000}
cat >"$dir/cluster.yaml" <<'YAML'
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: main}
spec: {replicas: 3, storage: {size: 1Gi}}
YAML
start_operator --manifest "$dir/cluster.yaml"
until_ready
for n in $(seq -w "$topics"); do
  printf 'apiVersion: millrace.dev/v1\nkind: Topic\nmetadata: {name: t%s}\nspec: {clusterRef: {name: main}, partitions: 1, replicas: 3}\n---\n' "$n"
done >"$dir/topics.yaml"
timeout 120 kubectl create -f "$dir/topics.yaml" >/dev/null
begin=$SECONDS
all_ready() { [ "$(timeout 20 kubectl get topics -o 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' | grep -c True)" = "$topics" ]; }
until_true "${WITHIN:-60}" all_ready
echo "$topics topics Ready $((SECONDS - begin)) s after the last was created"
expect "topics in the cluster" "$topics" "$(timeout 20 kcat -b "$(bootstrap)" -L | grep -c '^  topic "t')"
grep VmRSS "/proc/$pid/status"

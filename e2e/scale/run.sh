#!/usr/bin/env bash
# The broker set changes under load, with the operator in local mode, real brokers, stock kubectl and kcat:
#   run.sh [--short] [STEP...]
# A producer with acks=all writes through every step; afterwards each record that it was told of is read back. See README.md.
#   MILLRACE_BROKER   the programs' directory is this one's (build/release/bin, else build/debug/bin)
#   DATA_MB           what the topic holds before anything moves (600, short 40)
#   KEEP              a directory for the latencies, the brokers' logs and the metadata log, to see why
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
short= only=()
for argument in "$@"; do
  case $argument in
    --short) short=1 ;;
    -*) sed -n '2,6s/^# \?//p' "$0" >&2; exit 2 ;;
    *) only+=("$argument") ;;
  esac
done
bin=
for candidate in "${MILLRACE_BROKER:+$(dirname "$MILLRACE_BROKER")}" "$top/build/release/bin" "$top/build/debug/bin"; do
  if [ -n "$candidate" ] && [ -x "$candidate/millrace-operator" ]; then bin=$candidate; break; fi
done
[ -n "$bin" ] || { echo "no millrace-operator: make build" >&2; exit 2; }
source "$top/tests/operator/lib.sh" "$bin/millrace-operator" "$bin/millrace-broker"
export PATH=$bin:$PATH
step=start began=$SECONDS
partitions=24 size=16384 rate=200
data_mb=${DATA_MB:-$([ -n "$short" ] && echo 40 || echo 600)}
calm=$([ -n "$short" ] && echo 8 || echo 15)
fail() { echo "FAILED in step $step: $*" >&2; exit 1; }
source "$here/steps.sh"

cat >"$dir/cluster.yaml" <<YAML
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: main}
spec:
  replicas: 3
  storage: {size: 1Gi}
  balance: {deadBrokerTimeout: 8s}
  config: {offsets.topic.num.partitions: "3", offsets.topic.replication.factor: "3"}
---
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: orders}
spec: {clusterRef: {name: main}, partitions: $partitions, replicas: 3, config: {min.insync.replicas: "2"}}
YAML
start_operator --manifest "$dir/cluster.yaml"
until_ready
until_true 20 kubectl wait --timeout=1s --for=condition=Ready topic/orders
bootstrap=$(bootstrap)

run() {
  step=$1 said=
  "step_${1//-/_}"
  printf 'ok  %4d s  %-10s %s\n' $((SECONDS - began)) "$1" "$said"
}
todo=(fill out in)
[ -n "$short" ] || todo=(fill out in back named pools unpool lost disk volumes refused)
[ ${#only[@]} = 0 ] || todo=(fill "${only[@]}")
# The brokers' own directories go with the run.
keep() {
  mkdir -p "$KEEP"
  cp -r "$dir"/load-* "$dir/data/logs" "$KEEP"/
  cp -r "$(find "$dir/data" -type d -name __cluster_metadata-0 | head -n 1)" "$KEEP"/
}
[ -z "${KEEP:-}" ] || trap 'kept=$?; set +e; keep; (exit "$kept"); finish' EXIT
for one in "${todo[@]}"; do run "$one"; done
echo "${#todo[@]} steps in $((SECONDS - began)) s"

#!/usr/bin/env bash
# The operator on a real Kubernetes, by stock helm, kubectl and kcat: run.sh [--short] [--keep]
# Three nodes in three zones, the chart, a cluster in a namespace of restricted Pod Security: records go through, a fourth broker,
# a rolling restart under a producer, upgrade and uninstall of the chart that restart no broker. Without --short also a node's
# power cut, a drained node and a rack that comes back. Exit 77: build.sh was not run on this machine.
#   MILLRACE_BROKER   the programs' directory is this one's (build/release/bin, else build/debug/bin)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
short= keep=
for argument in "$@"; do
  case $argument in
    --short) short=1 ;;
    --keep) keep=1 ;;
    *) sed -n '2,7s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
done
built=$HOME/.cache/millrace-kube/bin
[ -x "$built/kubelet" ] || { echo "left out: e2e/kube/build.sh was not run on this machine"; exit 77; }
command -v kcat >/dev/null || { echo "left out: kcat is not installed"; exit 77; }
bin=
for candidate in "${MILLRACE_BROKER:+$(dirname "$MILLRACE_BROKER")}" "$top/build/release/bin" "$top/build/debug/bin"; do
  if [ -n "$candidate" ] && [ -x "$candidate/millrace-operator" ]; then bin=$candidate; break; fi
done
[ -n "$bin" ] || { echo "no millrace-operator: make build" >&2; exit 2; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/millrace-e2e-kube-XXXXXX")
export MILLRACE_KUBE=$dir/kube MILLRACE_KUBE_PORT=${MILLRACE_KUBE_PORT:-16445}
mkdir -p "$MILLRACE_KUBE/images"; ln -s "$built" "$MILLRACE_KUBE/bin"
export KUBECONFIG=$MILLRACE_KUBE/run/pki/outside.kubeconfig PATH=$built:$PATH
producer=
finish() {
  local status=$?
  [ -z "$producer" ] || kill "$producer" 2>/dev/null || true
  if [ $status != 0 ]; then
    { timeout 20 kubectl -n millrace get mrc,mrt,pods -o wide
      timeout 20 kubectl -n millrace get mrc main -o 'jsonpath={range .status.conditions[*]}{.type}={.status} {.message}{"\n"}{end}'
      timeout 20 kubectl -n millrace logs deploy/millrace-operator --tail=30; } >&2 || true
  fi
  if [ -n "$keep" ]; then echo "kept: export MILLRACE_KUBE=$MILLRACE_KUBE KUBECONFIG=$KUBECONFIG PATH=$built:\$PATH; $here/down.sh"
  else timeout 120 "$here/down.sh" --purge >/dev/null 2>&1 || true; rm -rf "$dir"; fi
  exit $status
}
trap finish EXIT
began=$SECONDS
fail() { echo "FAILED: $*" >&2; exit 1; }
shown() { printf 'ok  %4d s  %s\n' $((SECONDS - began)) "$*"; }
expect() { [ "$2" = "$3" ] || fail "$1: expected [$2], got [$3]"; }
pause() { read -rt 0.2 <> <(:) || true; }
until_true() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || fail "in time: $*"; pause; done
}
k() { timeout 90 kubectl -n millrace "$@"; }
field() { k get mrc main -o "jsonpath={$1}"; }
in_network() { timeout 240 "$here/in.sh" "$@"; }
wait_ready() { k wait --for=condition=Ready cluster/main --timeout="${1:-80s}" >/dev/null; }
is_ready() { [ "$(field .status.summary.ready)" = "$1" ]; }
broker_uids() { k get pods -l millrace.dev/cluster=main -o 'jsonpath={range .items[*]}{.metadata.uid}{"\n"}{end}' | sort; }
read_all() { in_network kcat -b "$bootstrap" -t orders -C -o beginning -e -q; }

"$here/up.sh" >"$dir/up.log" 2>&1 || { cat "$dir/up.log" >&2; exit 1; }
for program in millrace-broker millrace-operator; do
  llvm-strip-19 --strip-debug -o "$dir/$program" "$bin/$program"
done
"$here/image.sh" build millrace/millrace:0.1.0 -p "$dir/millrace-broker=/usr/bin/millrace-broker" \
  -p "$dir/millrace-operator=/usr/bin/millrace-operator" -u 10001:10001 -- /usr/bin/millrace-broker >/dev/null
kubectl create namespace millrace >/dev/null
kubectl label namespace millrace pod-security.kubernetes.io/enforce=restricted >/dev/null
timeout 90 helm install millrace "$top/helm" -n millrace >/dev/null
k rollout status deploy/millrace-operator --timeout=60s >/dev/null
shown "helm install in a namespace of restricted Pod Security, with a Role alone"

sed 's/100Gi/1Gi/' "$top/deploy/examples/minimal.yaml" | k apply -f - >/dev/null
from=$SECONDS
wait_ready
bootstrap=$(field .status.summary.bootstrap)
expect racks zone-a,zone-b,zone-c "$(field .status.summary.racks)"
shown "three brokers in three zones are Ready after $((SECONDS - from)) s"

sed 's/partitions: 12/partitions: 3/; s/name: orders[.]eu/name: orders/' "$top/deploy/examples/topic.yaml" | k apply -f - >/dev/null
k wait --for=condition=Ready topic/orders-eu --timeout=30s >/dev/null
seq -f 'first-%g' 1000 | in_network kcat -b "$bootstrap" -t orders -P -X acks=all
expect "records" 1000 "$(read_all | wc -l)"
shown "kcat in the cluster's network produces and consumes 1000 records"

k scale mrc main --replicas=4 >/dev/null
until_true 60 is_ready 4/4
wait_ready
expect "brokers for a client" 4 "$(in_network kcat -b "$bootstrap" -L | grep -c '^  broker ')"
shown "kubectl scale brings a fourth broker"

before=$(broker_uids)
mkfifo "$dir/feed"
in_network kcat -b "$bootstrap" -t orders -P -X acks=all -X enable.idempotence=true -X message.timeout.ms=120000 <"$dir/feed" 2>"$dir/producer.log" &
producer=$!
exec 9>"$dir/feed"
"$bin/kubectl-millrace" restart -n millrace main >/dev/null
sent=0
rolled() { [ -z "$(comm -12 <(echo "$before") <(broker_uids))" ] && is_ready 4/4; }
end=$((SECONDS + 180))
until rolled; do
  [ $SECONDS -lt $end ] || fail "the roll took too long: $(field .status.rolling)"
  seq -f "roll-$sent-%g" 20 >&9; sent=$((sent + 20)); pause
done
exec 9>&-
wait "$producer" || fail "the producer lost records: $(cat "$dir/producer.log")"
producer=
read_all >"$dir/read"
expect "records after the roll" $((1000 + sent)) "$(wc -l <"$dir/read")"
expect "different records after the roll" $((1000 + sent)) "$(sort -u "$dir/read" | wc -l)"
wait_ready
shown "every broker restarted once under a producer with acks=all: $sent records, none lost or doubled"

before=$(broker_uids)
timeout 90 helm upgrade millrace "$top/helm" -n millrace --set logLevel=debug >/dev/null
k rollout status deploy/millrace-operator --timeout=60s >/dev/null
wait_ready
timeout 90 helm uninstall millrace -n millrace >/dev/null
k wait --for=delete pod -l app.kubernetes.io/name=millrace-operator --timeout=60s >/dev/null
expect "records without an operator" $((1000 + sent)) "$(read_all | wc -l)"
expect "pods after upgrade and uninstall" "$before" "$(broker_uids)"
kubectl get crd clusters.millrace.dev >/dev/null || fail "the kinds went with the release"
timeout 90 helm install millrace "$top/helm" -n millrace >/dev/null
k rollout status deploy/millrace-operator --timeout=60s >/dev/null
shown "upgrade and uninstall of the chart restart no broker; it is installed again over what stayed"

if [ -z "$short" ]; then
  node=$(k get pod main-1 -o 'jsonpath={.spec.nodeName}')
  "$here/node.sh" stop "${node#node-}" >/dev/null
  healthy_without() { [ "$(in_network kcat -b "$bootstrap" -L -t orders | grep -c 'leader -1')" = 0 ]; }
  until_true 60 healthy_without
  echo without-a-rack | in_network kcat -b "$bootstrap" -t orders -P -X acks=all
  "$here/node.sh" start "${node#node-}" >/dev/null
  until_true 120 is_ready 4/4
  wait_ready 120s
  expect "records after a rack's power cut" $((1001 + sent)) "$(read_all | wc -l)"
  shown "a rack loses its power and comes back: writes went on, nothing is lost"

  node=$(k get pod main-2 -o 'jsonpath={.spec.nodeName}')
  timeout 90 kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=80s >/dev/null 2>&1 || fail "drain of $node"
  kubectl uncordon "$node" >/dev/null
  until_true 120 is_ready 4/4
  shown "kubectl drain of a node, one broker at a time"
fi

k delete mrc main --wait --timeout=60s >/dev/null
no_brokers() { [ -z "$(k get pods -l millrace.dev/cluster=main -o name)" ]; }
until_true 150 no_brokers
[ -n "$(k get pvc -o name)" ] || fail "the disks went with the cluster"
shown "kubectl delete takes the brokers away and keeps their disks"

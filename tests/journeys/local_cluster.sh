#!/usr/bin/env bash
# A stranger's first minutes, by what `make run` prints: produce, consume, a fourth broker; Ctrl-C and back with
# the data and the edit; deleting the cluster takes the brokers away. local_cluster.sh BROKER OPERATOR
source "$(dirname "$0")/lib.sh"
operator=$2
command -v kubectl >/dev/null || { echo "kubectl is not installed (make deps brings it)"; exit 77; }
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir "$dir/bin"
ln -s "$broker" "$dir/bin/millrace-broker"
ln -s "$operator" "$dir/bin/millrace-operator"
export MILLRACE_RUN_DIR=$dir/run MILLRACE_RUN_BIN=$dir/bin HOME=$dir KUBECONFIG=$dir/run/kubeconfig
k() { timeout 60 kubectl "$@"; }

# Killing run.sh would leave its operator behind: it gets the signal that a person sends, then lib.sh's finish() does the rest.
end_run() {
  local status=$?
  if [ -n "${pids[run]:-}" ]; then
    [ $status = 0 ] || { k get mrc,mrt,pods -o wide; tail -n 30 "$dir/run/operator.log"; } >&2 || true
    kill -TERM "${pids[run]}" 2>/dev/null && wait "${pids[run]}" || true
    unset "pids[run]"
  fi
  return $status
}
trap 'end_run; finish' EXIT

make_run() {
  : >"$dir/said"
  "$top/tools/run.sh" >"$dir/said" 2>"$dir/run.log" &
  pids[run]=$!
  until_true 60 grep -q '^Ctrl-C stops' "$dir/said"
}
ctrl_c() {  # As a terminal does it: everyone in the foreground gets the signal; run.sh has to cope with it alone.
  kill -TERM "${pids[run]}"
  wait "${pids[run]}" || fail "run.sh ended with $?: $(cat "$dir/run.log")"
  unset "pids[run]"
  [ -z "$(pgrep -f "$dir/run/" || true)" ] || fail "processes stay: $(pgrep -af "$dir/run/")"
}
printed() { sed -n "s/^ *$1 *//p" "$dir/said"; }
brokers() { timeout 5 kcat -b "$1" -L | grep -c '^  broker '; }
has_brokers() { [ "$(brokers "$1")" = "$2" ]; }
is_ready() { [ "$(k get mrc main -o 'jsonpath={.status.summary.ready}')" = "$1" ]; }

make_run
bootstrap=$(sed -n 's/^Ready: .* bootstrap \(.*\)$/\1/p' "$dir/said")
[ -n "$bootstrap" ] || fail "no bootstrap address in: $(cat "$dir/said")"
has_brokers "$bootstrap" 3 || fail "three brokers expected"
expect "racks" "a,b,c" "$(k get mrc main -o 'jsonpath={.status.summary.racks}')"
timeout 30 bash -c "$(printed produce)"
expect "what was produced" "hello" "$(timeout 30 bash -c "$(printed consume)" 2>/dev/null)"

timeout 60 bash -c "$(printed scale)" >/dev/null
until_true 40 has_brokers "$bootstrap" 4
until_true 20 is_ready 4/4

# However it ended: the greeting is no memory of what was, and of the cluster that was asked for.
k apply -f - >/dev/null <<YAML
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: another}
spec: {replicas: 1, storage: {size: 1Gi}}
YAML
k wait --for=condition=Ready cluster/another --timeout=30s >/dev/null
kill -9 "$(pgrep -f "^$dir/bin/millrace-operator --local $dir/run ")"
wait "${pids[run]}" 2>/dev/null || true
unset "pids[run]"
make_run
expect "ready at the greeting" 4/4 "$(k get mrc main -o 'jsonpath={.status.summary.ready}')"
expect "pods at the greeting" "True True True True" "$(k get pods -l millrace.dev/cluster=main \
  -o 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}')"
grep -q '^Ready: Cluster main with 4 brokers' "$dir/said" || fail "greeted with $(cat "$dir/said")"
k delete mrc another --wait --timeout=60s >/dev/null
ctrl_c
make_run
until_true 40 is_ready 4/4
expect "after the restart" "hello" "$(timeout 30 bash -c "$(printed consume)" 2>/dev/null)"

k delete mrc main --wait --timeout=60s >/dev/null
no_pods() { [ -z "$(k get pods -o name)" ]; }
until_true 40 no_pods
[ -n "$(k get pvc -o name)" ] || fail "the disks went with the cluster"
ctrl_c

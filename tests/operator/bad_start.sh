#!/usr/bin/env bash
# A start that can't succeed ends at once, in one line for a person and leaving nothing behind: a manifest with a mistake before
# anything runs, a later failure with everything stopped again, a second start beside the one that runs.
source "$(dirname "$0")/lib.sh"
cluster='apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: main}
spec: {replicas: 1, storage: {size: 1Gi}}'
# refused STATUS PATTERN ARGUMENT...: ends by itself with that, having said one line that fits.
refused() {
  local wanted=$1 pattern=$2 status=0; shift 2
  timeout -s KILL 30 "$operator" --broker "$broker" "$@" >"$dir/said" 2>"$dir/refusal" || status=$?
  expect "status of: $*" "$wanted" "$status"
  [ "$(grep -vc ' info operator\| info kube\| warn kube' "$dir/refusal")" = 1 ] || fail "one line is enough: $(cat "$dir/refusal")"
  grep -qE -- "$pattern" "$dir/refusal" || fail "[$pattern] expected in: $(cat "$dir/refusal")"
}
nothing_runs() { [ -z "$(pgrep -f "$dir/data" || true)" ] || fail "processes stay: $(pgrep -af "$dir/data")"; }

# Mistakes in a manifest: nothing was begun.
echo "${cluster/storage/storge}" >"$dir/typo.yaml"
printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n' >"$dir/kind.yaml"
echo "${cluster/replicas: 1/replicas: 1, replicas: 2}" >"$dir/twice.yaml"
printf '%s\n---\napiVersion: millrace.dev/v1\nkind: Topic\nmetadata: {name: t}\nspec: {clusterRef: {name: main}, replicas: 1, minInSyncReplicas: 2}\n' \
  "$cluster" >"$dir/rule.yaml"
: >"$dir/empty.yaml"
refused 2 'unknown field "spec\.storge"; did you mean storage\?' --local "$dir/data" --manifest "$dir/typo.yaml"
refused 2 'Deployment web .*use kubectl' --local "$dir/data" --manifest "$dir/kind.yaml"
refused 2 'line 4: replicas is there twice' --local "$dir/data" --manifest "$dir/twice.yaml"
refused 2 "minInSyncReplicas can't be more than replicas" --local "$dir/data" --manifest "$dir/rule.yaml"
refused 2 'there is no object in it' --local "$dir/data" --manifest "$dir/empty.yaml"
refused 2 'nowhere\.yaml: there is no such file' --local "$dir/data" --manifest "$dir/nowhere.yaml"
[ ! -e "$dir/data" ] || fail "something was begun"

# Failures while it starts, when threads run: it ends all the same, each time.
echo "$cluster" >"$dir/cluster.yaml"
for _ in 1 2 3 4; do
  refused 1 'metrics-listener' --local "$dir/data" --manifest "$dir/cluster.yaml" --metrics-listener 256.256.256.256:1
  nothing_runs
done
refused 1 'Not a directory' --local "$dir/cluster.yaml/data" --manifest "$dir/cluster.yaml"

# A second one: who runs there is named, and its log left alone.
"$operator" --local "$dir/data" --broker "$broker" --manifest "$dir/cluster.yaml" --log-file "$dir/data/own.log" >>"$dir/out" 2>>"$dir/log" &
pid=$!
until_ready
before=$(grep -c operator.starts "$dir/data/own.log")
refused 1 "already, pid $pid; .*MILLRACE_RUN_DIR" --local "$dir/data" --log-file "$dir/data/own.log"
expect "starts in its log" "$before" "$(grep -c operator.starts "$dir/data/own.log")"
cp -r "$dir/data" "$dir/copy"
refused 1 "in $dir/data \(pid $pid\)" --local "$dir/copy"
expect "what else was said to the terminal" "" "$(cat "$dir/log")"

# What it began with is known to kubectl as what was applied.
expect "applied again" "cluster.millrace.dev/main unchanged" "$(k apply -f "$dir/cluster.yaml" 2>&1)"

# What can't be read is one line, and nobody else's trouble.
status="$(dirname "$operator")/kubectl-millrace"
if [ -x "$status" ]; then
  k apply -f - >/dev/null <<'YAML'
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: wrong}
spec: {clusterRef: {name: main}, replicas: 1, config: {min.insync.replicas: 2}}
YAML
  told() { k get topic wrong -o 'jsonpath={.status.message}' | grep "can't be more than replicas"; }
  until_true 10 told
  "$status" status >"$dir/status"
  grep -q '^Cluster default/main' "$dir/status" || fail "no cluster in: $(cat "$dir/status")"
  expect "lines about it" 1 "$(grep -c 'Topic default/wrong' "$dir/status")"
fi

# A shell without job control started it, with SIGINT ignored: it ends in order all the same.
kill -INT "$pid"; wait "$pid" || fail "it didn't end cleanly"; pid=
grep -q '^Stopping' "$dir/out" || fail "it says nothing of stopping"
nothing_runs

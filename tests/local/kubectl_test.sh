#!/usr/bin/env bash
# Stock kubectl's journeys against local mode: kubectl_test.sh MILLRACE_LOCAL FAKE_BROKER [KUBECTL]
set -euo pipefail
program=$1 broker=$2 kubectl=${3:-${KUBECTL:-kubectl}}
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d /tmp/millrace-local-XXXXXX)
failures=0
server=

start() {
    [ -p "$dir/ready" ] || mkfifo "$dir/ready"
    "$program" --dir "$dir/data" --crds "$here/crds" --broker "$broker" >"$dir/ready" 2>>"$dir/log" &
    server=$!
    local line
    read -r -t 30 line <"$dir/ready"  # It says one line, once it serves.
}
stop() { kill "$server"; wait "$server" || true; }
trap '[ -z "$server" ] || stop; rm -rf "$dir"' EXIT

start
export KUBECONFIG=$dir/data/kubeconfig HOME=$dir KUBE_EDITOR=
k() { timeout 60 "$kubectl" "$@" 2>&1; }

# check NAME PATTERN COMMAND...: the command's output has a line that matches.
check() {
    local name=$1 pattern=$2 output; shift 2
    output=$("$@") || true
    if grep -Eq -- "$pattern" <<<"$output"; then
        echo "ok    $name"
    else
        echo "FAIL  $name: no line matches '$pattern' in:"; sed 's/^/      /' <<<"$output"
        failures=$((failures + 1))
    fi
}
apply() { k apply -f - ; }
cluster() { printf 'apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: %s}\nspec: {%s}\n' "$1" "$2"; }

check "apply creates" 'cluster.millrace.dev/main created' apply < <(cluster main 'storage: {size: 1Gi}')
check "apply again changes nothing" 'main unchanged' apply < <(cluster main 'storage: {size: 1Gi}')
check "columns of the kind" '^NAME +REPLICAS +PHASE +READY +AGE' k get mrc
check "defaults are filled in" '^main +3 ' k get clusters
check "wide columns" 'MESSAGE' k get mrc -o wide
check "one object as YAML" 'mode: Safe' k get mrc main -o yaml
check "one object as JSON" '"kind": "Cluster"' k get mrc main -o json
check "describe" 'Replicas: +3' k describe mrc main
check "explain a custom kind" 'How many brokers' k explain clusters.spec.replicas
check "explain a built-in kind" 'At least one' k explain pods.spec.containers
check "an unknown field is refused" 'unknown field "?(spec.storage.)?foo' apply < <(cluster bad 'storage: {size: 1Gi, foo: 1}')
check "a number out of range" 'spec.replicas.*should be greater than or equal to 1' apply < <(cluster bad 'replicas: 0, storage: {size: 1Gi}')
check "a word that isn't one of the choices" 'supported values: "Fast", "Safe"' apply < <(cluster bad 'mode: x, storage: {size: 1Gi}')
check "a missing field" 'spec.storage|"storage"' apply < <(cluster bad 'replicas: 1')
check "nothing of it was stored" 'NotFound|not found' k get mrc bad
check "scale" 'scaled' k scale mrc main --replicas=5
check "scale took effect" '^5$' k get mrc main -o 'jsonpath={.spec.replicas}{"\n"}'
check "edit" 'edited' env EDITOR='sed -i s/replicas:.5/replicas:\ 4/' timeout 60 "$kubectl" edit mrc main
check "edit took effect" '^4$' k get mrc main -o 'jsonpath={.spec.replicas}{"\n"}'
check "merge patch" 'patched' k patch mrc main --type=merge -p '{"spec":{"mode":"Fast"}}'
check "JSON patch" 'patched' k patch mrc main --type=json -p '[{"op":"replace","path":"/spec/mode","value":"Safe"}]'
check "server-side apply conflicts with the editor" 'conflict with "kubectl-(edit|patch|replace)".*spec.replicas' \
    k apply --server-side --field-manager=gitops -f <(cluster main 'replicas: 7, storage: {size: 1Gi}')
check "server-side apply by force" 'serverside-applied' \
    k apply --server-side --force-conflicts --field-manager=gitops -f <(cluster main 'replicas: 7, storage: {size: 1Gi}')
check "labels and selectors" 'labeled' k label mrc main team=a
check "a label selector finds it" '^cluster.millrace.dev/main' k get mrc -l 'team in (a,b),!other' -o name
check "a field selector finds it" '^cluster.millrace.dev/main' k get mrc --field-selector metadata.name=main -o name
check "dry run on the server stores nothing" 'dry run' k delete mrc main --dry-run=server
check "can-i" 'yes' k auth can-i create pods
check "nodes have zones" 'zone=b' k get nodes --show-labels
check "configmap" 'created' k create configmap settings --from-literal=a=b
check "secret" 'created' k create secret generic token --from-literal=a=b
check "strategic merge keeps the other keys" 'a: b' k get cm settings -o yaml
check "namespace" 'created' k create namespace other
check "namespaces end" 'deleted' k delete namespace other --wait --timeout=30s

uid=$(k get mrc main -o 'jsonpath={.metadata.uid}')
pods() {
    for id in 0 1 2; do sed "s/OWNER/$uid/g; s/ID/$id/g" "$here/broker_pod.yaml"; echo ---; done
}
check "pods of a cluster" 'main-2 created' apply < <(pods)
check "pods get ready" 'main-2 condition met' k wait --for=condition=Ready pod --all --timeout=30s
check "three racks" '^abc$' k get pods -o 'jsonpath={range .items[*]}{.metadata.labels.topology\.kubernetes\.io/zone}{end}{"\n"}'
check "addresses on loopback" ' 127\.[0-9]+\.1\.[123] ' k get pods -o wide
check "claims are bound" 'data-1 +Bound' k get pvc
check "logs" '^zone b$' k logs main-1
check "mount paths become directories" "^file log.dirs=$dir/data/volumes/pvc-" k logs main-0
check "the end of a log" '^zone c$' k logs main-2 --tail=1
check "events" 'Started +pod/main-0' k get events
check "describe shows events" 'Started container broker' k describe pod main-0
check "endpoints follow readiness" '127\.[0-9.]+:9092,' k get endpoints main
check "a disruption budget counts" ' 1 +[0-9]+s' k get pdb main
check "a service with an address" 'created' apply <"$here/bootstrap_service.yaml"
outside=$(k get svc bootstrap -o 'jsonpath={.spec.clusterIP}:{.spec.ports[0].port}')
node=$(k get node local-b -o 'jsonpath={.status.addresses[0].address}'):$(k get svc bootstrap -o 'jsonpath={.spec.ports[0].nodePort}')
check "leads to a ready pod" '^200$' curl -s --retry 10 --retry-connrefused --retry-all-errors -o /dev/null -w '%{http_code}\n' "http://$outside/"
check "as does its port on a node" '^200$' curl -s -o /dev/null -w '%{http_code}\n' "http://$node/"
address=$(k get pod main-0 -o 'jsonpath={.status.podIP}')
check "a pod ends politely" 'deleted' k delete pod main-0 --timeout=20s
check "a pod without an owner never runs" 'created' k run stray --image=x --restart=Never
check "and says why" 'no such owner' k describe pod stray
check "bad pods say why" 'created' apply < <(sed "s/OWNER/$uid/g; s/ID/9/g; s/zone-only/EXIT_CODE/; s/main-9/broken/" "$here/broker_pod.yaml")
if grep -q -e --for=jsonpath <<<"$(k wait --help)"; then  # 1.20 can only wait for conditions.
    check "a broken pod is restarted" 'condition met' k wait --for=jsonpath='{.status.containerStatuses[0].restartCount}'=1 pod/broken --timeout=20s
fi
check "its last words" 'refusing to start' k logs broken --previous
check "its reason" 'exit code 3|Exit Code: +3' k describe pod broken
check "delete with a force" 'deleted' k delete pod broken stray --force --grace-period=0

kill -KILL "$server"; wait "$server" 2>/dev/null || true
start
check "objects survive a kill" '^main +7 ' k get mrc
check "pods are started again" 'main-1 condition met' k wait --for=condition=Ready pod/main-1 --timeout=30s
check "at the same address" '^same$' bash -c "[ $address = \$('$kubectl' get pod main-0 --ignore-not-found -o 'jsonpath={.status.podIP}' | grep . || echo $address) ] && echo same"
check "deleting the cluster" 'deleted' k delete mrc main
k wait --for=delete pod -l app=main --timeout=30s >/dev/null || true
check "takes its pods with it" 'No resources found' k get pods
check "the data stays" 'data-0 +Bound' k get pvc
ca=$dir/data/pki/ca.crt url=$(awk '/server:/ {print $2}' "$KUBECONFIG")
check "no token, no entry" '^401$' curl -s -o /dev/null -w '%{http_code}\n' --cacert "$ca" "$url/api/v1/pods"
check "another host name is refused" '^403$' curl -s -o /dev/null -w '%{http_code}\n' --cacert "$ca" -H 'Host: evil.example' "$url/api/v1/pods"
check "the kubeconfig is private" '^600$' stat -c %a "$KUBECONFIG"
if grep -E ' (error) ' "$dir/log"; then failures=$((failures + 1)); fi
echo "$failures failed"
[ "$failures" = 0 ]

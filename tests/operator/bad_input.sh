#!/usr/bin/env bash
# What can't work is told within ten seconds in the status, a condition and a Warning event; it stops at one broker, and its
# correction holds at once.
source "$(dirname "$0")/lib.sh"
cat >"$dir/cluster.yaml" <<'YAML'
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: main}
spec: {replicas: 3, storage: {size: 1Gi, class: nowhere}}
YAML
says() { field .status.message | grep -qE -- "$1"; }
warned() { k get events --field-selector type=Warning -o 'jsonpath={range .items[*]}{.involvedObject.kind} {.message}{"\n"}{end}' | grep -E '^Cluster ' | grep -qE -- "$1"; }
touched() { comm -23 <(echo "$1") <(pod_uids) | grep -c . || true; }
patch() { k patch cluster main --type=merge -p "$1" >/dev/null; }

# A storage class that isn't there.
start_operator
k apply -f "$dir/cluster.yaml" >/dev/null
until_true 10 says 'StorageClass nowhere'
until_true 5 warned 'StorageClass nowhere'
patch '{"spec":{"storage":{"class":"local"}}}'
until_ready 30

# A Secret that isn't there: one broker waits for it, the others go on.
before=$(pod_uids)
patch '{"spec":{"template":{"env":[{"name":"WORD","valueFrom":{"secretKeyRef":{"name":"nobodys","key":"word"}}}]}}}'
until_true 10 says 'secret "nobodys" not found'
until_true 5 warned 'secret "nobodys" not found'
expect "brokers touched" 1 "$(touched "$before")"
echo during | timeout 20 kcat -b "$(bootstrap)" -t hello -P -X acks=all
patch '{"spec":{"template":null}}'
until_ready 30
expect "brokers touched after the correction" 1 "$(touched "$before")"

# What no check can foresee, a port that is taken where the brokers run: one broker ends, and says why.
command -v openssl >/dev/null || { echo "openssl is not installed"; exit 77; }
before=$(pod_uids)
squatters=()
for ip in $(k get pods -l millrace.dev/cluster=main -o 'jsonpath={.items[*].status.podIP}'); do
  openssl s_server -accept "$ip:9099" -nocert >/dev/null 2>&1 &
  squatters+=($!)
done
patch '{"spec":{"listeners":[{"name":"plain","port":9092},{"name":"taken","port":9099}]}}'
until_true 10 says 'the broker ends with exit code .*:9099'
until_true 5 warned ':9099'
expect "brokers touched by a port that is taken" 1 "$(touched "$before")"
patch '{"spec":{"listeners":null}}'
until_ready 30
expect "brokers touched after that" 1 "$(touched "$before")"
for one in "${squatters[@]}"; do kill "$one" 2>/dev/null && wait "$one" 2>/dev/null || true; done

# A setting that the broker would refuse: nobody is touched.
before=$(pod_uids)
patch '{"spec":{"config":{"log.segment.bytes":"many"}}}'
until_true 10 says 'spec\.config\[log\.segment\.bytes\]'
expect "SpecValid" False "$(field '.status.conditions[?(@.type=="SpecValid")].status')"
until_true 5 warned 'log\.segment\.bytes'
patch '{"spec":{"config":null}}'
until_ready 20
expect "brokers touched by a refused setting" 0 "$(touched "$before")"

# More replicas than brokers: the topic says so.
k apply -f - >/dev/null <<'YAML'
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: wide}
spec: {clusterRef: {name: main}, partitions: 1, replicas: 5}
YAML
topic_says() { k get topic wide -o 'jsonpath={.status.conditions[*].message}' | grep -qE -- "$1"; }
until_true 10 topic_says '[Rr]eplica'
expect "brokers" 3 "$(pod_uids | wc -l)"

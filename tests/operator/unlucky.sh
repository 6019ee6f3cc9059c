#!/usr/bin/env bash
# What an impatient or unlucky person does: replicas up and down again while brokers restart, one of them killed on top of it; a disk's
# claim deleted under its broker; a topic with two objects; the cluster deleted with its topics and made again.
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
start_operator --manifest "$dir/cluster.yaml"
until_ready
until_true 20 kubectl wait --timeout=1s --for=condition=Ready topic/hello
patch() { k patch cluster main --type=merge -p "$1" >/dev/null; }
condition() { field ".status.conditions[?(@.type==\"$1\")].status"; }
gone() { comm -23 <(echo "$1") <(pod_uids) | wc -l; }
begun() { [ "$(gone "$1")" -ge 1 ]; }
as_wanted() { ready && [ "$(field '.status.brokers[*].id')" = "0 1 2" ] && [ "$(condition UpToDate)" = True ] && [ "$(condition Balanced)" = True ]; }
consume() { timeout 20 kcat -b "$(bootstrap)" -t hello -C -o beginning -e -q | sort -u | wc -l; }
produce() { timeout 60 kcat -b "$(bootstrap)" -t hello -P -X acks=all -X message.timeout.ms=50000; }
seq -f 'first-%g' 100 | produce

# Two edits in a second while a roll runs, and a kill of the pod that came last.
before=$(pod_uids)
patch '{"spec":{"config":{"auto.create.topics.enable":"false"}}}'
until_true 30 begun "$before"
patch '{"spec":{"replicas":5}}'
patch '{"spec":{"replicas":3}}'
k delete pod "$(k get pods --sort-by=.metadata.creationTimestamp -o 'jsonpath={.items[-1:].metadata.name}')" --force --grace-period=0 --ignore-not-found >/dev/null 2>&1
seq -f 'second-%g' 100 | produce
until_true 90 as_wanted
expect "brokers that were there before" 0 "$(comm -12 <(echo "$before") <(pod_uids) | wc -l)"
expect "records" 200 "$(consume)"

# A claim that is deleted: told, and no restart destroys its disk; with its pod it is made anew and filled.
uid=$(k get pod main-1 -o 'jsonpath={.metadata.uid}')
k delete pvc main-1-data-0 --wait=false >/dev/null
patch '{"spec":{"config":null}}'
others_rolled() { [ "$(field .status.updated)" = 2 ] && [ "$(field .status.ready)" = 3 ] && field .status.message | grep 'claim main-1-data-0 was deleted' >/dev/null; }
until_true 60 others_rolled
expect "the pod over that disk" "$uid" "$(k get pod main-1 -o 'jsonpath={.metadata.uid}')"
k delete pod main-1 >/dev/null
filled() { as_wanted && [ "$(field .status.health.underReplicated)" = 0 ] && [ "$(field .status.controllers.voters)" = '[0,1,2]' ]; }
until_true 60 filled
expect "records after a disk was lost" 200 "$(consume)"

# One topic, two objects: the older owns it, then the other.
topic() { printf 'apiVersion: millrace.dev/v1\nkind: Topic\nmetadata: {name: %s}\nspec: {clusterRef: {name: main}, name: shared, partitions: 1, replicas: 3}\n' "$1" | k apply -f - >/dev/null; }
says() { k get topic "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.message}' | grep -E -- "$2" >/dev/null; }
topic one
until_true 20 says one '^True'
topic two
until_true 20 says two '^False .*/one was there first'
k delete topic one >/dev/null
until_true 20 says two '^True'

# Deleted with its topics and made again: the same cluster with the same records.
id=$(field .status.clusterId)
k delete -f "$dir/cluster.yaml" --timeout=30s >/dev/null
no_pods() { [ -z "$(k get pods -o name)" ]; }
until_true 40 no_pods
until_true 10 says two '^False there is no Cluster'
k apply -f "$dir/cluster.yaml" >/dev/null
until_true 60 ready
until_true 20 kubectl wait --timeout=1s --for=condition=Ready topic/hello topic/two
expect "the cluster's id" "$id" "$(field .status.clusterId)"
expect "records of the cluster that was deleted" 200 "$(consume)"

#!/usr/bin/env bash
# Two clusters side by side from one manifest, a MirrorLink between them, and one edit each for: planned switchover under a
# producer, disaster failover, the way back. What every producer had acknowledged is there, once.
source "$(dirname "$0")/lib.sh"
manifest=$(cd "$(dirname "$0")/../.." && pwd)/deploy/examples/mirror-pair.yaml
link() { k get mirrorlink "${2:-east-to-west}" -o "jsonpath={$1}"; }
ready_link() {  # NAME REASON
  [ "$(link '.status.conditions[?(@.type=="Ready")].status}{.status.conditions[?(@.type=="Ready")].reason' "$1")" = "True$2" ] &&
    [ "$(link .status.observedGeneration "$1")" = "$(link .metadata.generation "$1")" ]
}
at() { field .status.summary.bootstrap "$1"; }
write() { seq -f "$2-%g" 1 "$3" | timeout 30 kcat -b "$(at "$1")" -t orders -P -X acks=all -X message.timeout.ms=8000 2>>"$dir/kcat"; }
dump() { timeout 30 kcat -b "$(at "$1")" -t orders -C -o beginning -e -q -f '%p %o %T %s\n' | sort -k1,1n -k2,2n; }
same() { dump east >"$dir/east" && dump west >"$dir/west" && [ -s "$dir/east" ] && cmp -s "$dir/east" "$dir/west"; }
# each_once CLUSTER WORD COUNT: all of these records, and none of them twice.
each_once() {
  dump "$1" | awk -v w="$2-" '$4 ~ "^" w { print $4 }' | sort >"$dir/found"
  expect "records $2 in $1" "$3" "$(wc -l <"$dir/found")"
  expect "records $2 in $1 that came twice" "" "$(uniq -d "$dir/found" | head -3)"
}
patch() { k patch mirrorlink "$1" --type=merge -p "{\"spec\":$2}" >/dev/null; }

sed '/name: west/,/---/s/replicas: 1/replicas: 3/' "$manifest" >"$dir/pair.yaml"
start_operator --manifest "$dir/pair.yaml"
until_true 60 kubectl wait --timeout=1s --for=condition=Ready cluster/east cluster/west

# Each cluster has a key of its own for passwords of links, and its brokers have it.
key() { k get secret "$1-links-key" -o 'jsonpath={.data.key}'; }
[ "$(key east)" != "$(key west)" ] || fail "both clusters have one key"
expect "keys that brokers have" "$( (key east; echo; key west; echo) | sort)" "$(for one in "$dir"/data/pods/*/volumes/links-key/key; do base64 -w0 "$one"; echo; done | sort -u)"
expect "brokers that use it" 4 "$(grep -l '^millrace.links.key.file=.*/links-key/key$' "$dir"/data/pods/*/volumes/config/server.properties | wc -l)"
# The topic is an object of its own, too: what links write into its settings is no drift to be set back.
topic_is() {  # RETENTION
  cat <<YAML | k apply -f - >/dev/null
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: orders}
spec: {clusterRef: {name: east}, partitions: 1, replicas: 1, config: {retention.ms: $1}}
YAML
  k wait --for=condition=Synced --timeout=30s topic/orders >/dev/null
  until_true 20 topic_told
}
topic_told() { [ "$(k get topic orders -o 'jsonpath={.status.observedGeneration}')" = "$(k get topic orders -o 'jsonpath={.metadata.generation}')" ]; }
topic_is 700000000
write east first 300
until_true 40 ready_link east-to-west Mirroring
until_true 30 same
k get mirrorlinks | tee "$dir/columns" | grep -Eq '^east-to-west +east +west +Active +1/1 +<1s +True' || fail "$(cat "$dir/columns")"

# Nothing is left to do, and nothing is written.
nothing_is_written() {
  local version; version=$(link .metadata.resourceVersion)
  for _ in $(seq 70); do pause; done
  [ "$version" = "$(link .metadata.resourceVersion)" ]
}
until_true 40 nothing_is_written

# A broker of the destination goes while records come: another one leads, and goes on at the end of what it has.
seq -f 'moving-%g' 1 20000 | timeout 60 kcat -b "$(at east)" -t orders -P -X acks=all & producer=$!
k delete pod west-1 --wait=false >/dev/null
wait "$producer"
until_true 60 same
each_once west moving 20000

# Planned: the producer at east is refused from the fence on, and what it had acknowledged is in west.
mkfifo "$dir/feed"
kcat -b "$(at east)" -t orders -P -X acks=all -X message.timeout.ms=3000 -X queue.buffering.max.ms=5 \
  <"$dir/feed" 2>>"$dir/kcat" & producer=$!
seq -f 'busy-%g' 1 2000 >"$dir/feed" &
patch east-to-west '{"state":"Promoted"}'
until_true 60 ready_link east-to-west Promoted
wait "$producer" || true
dump east | awk '$4 ~ /^busy-/ { print $4 }' | sort >"$dir/acknowledged"
dump west | awk '$4 ~ /^busy-/ { print $4 }' | sort >"$dir/arrived"
expect "records that east has and west lacks" "" "$(comm -23 "$dir/acknowledged" "$dir/arrived" | head -3)"
expect "records lost by the planned switchover" 0 "$(link .status.failoverReport.lostRecords)"
expect "state" Promoted "$(link .status.state)"
write west second 100
each_once west first 300
topic_is 800000000  # Its operator looks at all of its settings.
if write east late 1; then fail "the fenced source took a record"; fi

# The way back: east follows west, and takes over without a loss.
cat <<'YAML' | k apply -f - >/dev/null
apiVersion: millrace.dev/v1
kind: MirrorLink
metadata: {name: west-to-east}
spec: {clusterRef: {name: east}, source: {clusterRef: {name: west}}, topics: {include: ["orders*"]}, onExistingData: Truncate}
YAML
until_true 60 ready_link west-to-east Mirroring
until_true 30 same
patch west-to-east '{"state":"Promoted"}'
until_true 60 ready_link west-to-east Promoted
if k patch mirrorlink east-to-west --type=merge -p '{"spec":{"state":"Mirroring"}}' 2>"$dir/refusal"; then fail "left Promoted without Truncate"; fi
grep -q 'onExistingData: Truncate in the same edit' "$dir/refusal" || fail "$(cat "$dir/refusal")"
patch east-to-west '{"state":"Mirroring","onExistingData":"Truncate"}'
until_true 60 ready_link east-to-west Mirroring
write east third 100
until_true 30 same
each_once west second 100
each_once west third 100

# A topic that is made anew at the source: every broker of the destination archives what it leads.
parcels() {  # COUNT
  cat <<YAML | k apply -f - >/dev/null
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: parcels}
spec: {clusterRef: {name: east}, partitions: 6, replicas: 1, deletionPolicy: Delete}
YAML
  k wait --for=condition=Ready --timeout=30s topic/parcels >/dev/null
  seq 1 "$1" | sed 's,.*,&:parcel-&,' | timeout 30 kcat -b "$(at east)" -t parcels -P -K: -X acks=all
}
has() { [ "$(timeout 30 kcat -b "$(at west)" -t "$1" -C -o beginning -e -q 2>>"$dir/kcat" | wc -l)" = "$2" ]; }
cat <<'YAML' | k apply -f - >/dev/null
apiVersion: millrace.dev/v1
kind: MirrorLink
metadata: {name: parcels}
spec:
  clusterRef: {name: west}
  source: {clusterRef: {name: east}}
  topics: {include: [parcels]}
  policy: {onSourceTopicRecreated: ArchiveAndRestart}
YAML
parcels 600
until_true 40 has parcels 600
k delete topic.millrace.dev parcels --timeout=30s >/dev/null
parcels 60
until_true 60 has parcels.archived.1 600
until_true 40 has parcels 60
k delete mirrorlink parcels --timeout=30s >/dev/null

# Disaster: east is gone; one edit, and west takes writes with what it has.
k delete cluster east --timeout=60s >/dev/null
patch east-to-west '{"state":"Promoted","promotion":"Forced"}'
until_true 60 ready_link east-to-west Promoted
write west fourth 50
each_once west third 100
each_once west fourth 50
k describe mirrorlink east-to-west | grep 'Promoted' >/dev/null || fail "no event tells of the promotion"

# Deleting the object is no failover: the topics stay as they are, and the link is gone from the brokers.
k delete mirrorlink west-to-east east-to-west --timeout=60s >/dev/null
each_once west fourth 50
kill "$pid"; wait "$pid" || fail "it didn't end cleanly"; pid=

#!/usr/bin/env bash
# What somebody tired does with a link at three in the morning: topics made a moment before a switchover, words that were left over from the last one,
# the wrong side promoted, a standby whose link is gone when its source dies. Nothing is lost in silence, and what says Ready takes writes.
source "$(dirname "$0")/lib.sh"
manifest=$(cd "$(dirname "$0")/../.." && pwd)/deploy/examples/mirror-pair.yaml
link() { k get mirrorlink "${2:-east-to-west}" -o "jsonpath={$1}"; }
ready() {  # NAME STATUS/REASON
  [ "$(link '.status.conditions[?(@.type=="Ready")].status}/{.status.conditions[?(@.type=="Ready")].reason' "$1")" = "$2" ] &&
    [ "$(link .status.observedGeneration "$1")" = "$(link .metadata.generation "$1")" ]
}
says() { [[ "$(link .status.message "$1")" == *"$2"* ]]; }
condition() { [ "$(link ".status.conditions[?(@.type==\"$2\")].status" "$1")" = "$3" ]; }
at() { field .status.summary.bootstrap "$1"; }
write() { seq -f "$3-%g" 1 "$4" | timeout 30 kcat -b "$(at "$1")" -t "$2" -P -X acks=all -X message.timeout.ms=8000 2>>"$dir/kcat"; }
count() { timeout 30 kcat -b "$(at "$1")" -t "$2" -C -o beginning -e -q 2>>"$dir/kcat" | wc -l; }
has() { [ "$(count "$1" "$2")" = "$3" ]; }
patch() { k patch mirrorlink "$1" --type=merge -p "{\"spec\":$2}" >/dev/null; }
refused() {  # NAME EDIT TEXT
  if k patch mirrorlink "$1" --type=merge -p "{\"spec\":$2}" 2>"$dir/refusal"; then fail "$1 took $2"; fi
  grep -q "$3" "$dir/refusal" || fail "$(cat "$dir/refusal")"
}
mirror() {  # NAME FROM TO [MORE]
  k apply -f - >/dev/null <<YAML
apiVersion: millrace.dev/v1
kind: MirrorLink
metadata: {name: $1}
spec: {clusterRef: {name: $3}, source: {clusterRef: {name: $2}}, topics: {include: ["orders*", "greetings"]}${4:-}}
YAML
}

start_operator --manifest "$manifest"
until_true 60 kubectl wait --timeout=1s --for=condition=Ready cluster/east cluster/west
k delete mirrorlink east-to-west --timeout=30s >/dev/null
write east orders first 100

# What looks like a regular expression matches nothing, and says so.
k apply -f - >/dev/null <<'YAML'
apiVersion: millrace.dev/v1
kind: MirrorLink
metadata: {name: regex}
spec: {clusterRef: {name: west}, source: {clusterRef: {name: east}}, topics: {include: ["pay.*"]}}
YAML
until_true 30 says regex 'no topic of the source matches pay.*'
k delete mirrorlink regex --timeout=30s >/dev/null

# A topic that is made right before a planned switchover comes along; one that has a namesake here is told.
mirror east-to-west east west
until_true 40 ready east-to-west True/Mirroring
write west orders.taken local 5
write east orders.taken first 5
until_true 20 ready east-to-west False/TopicHalted
write east orders.fresh first 100
patch east-to-west '{"state":"Promoted"}'
until_true 60 says east-to-west '2 of 3 topics are promoted; orders.taken is halted: NameConflict'
expect "topics that the report leaves out" 1 "$(link .status.failoverReport.leftOutTopics)"
expect "records of the topic that was just made" 100 "$(count west orders.fresh)"
until_true 20 write west orders.fresh second 1
if write east orders.fresh late 1; then fail "it still takes writes at the source"; fi
k patch mirrorlink east-to-west --type=merge -p '{"spec":{"topics":{"exclude":["orders.taken"]}}}' >/dev/null
until_true 30 ready east-to-west True/Promoted

# The wrong side: this one leads already.
k apply -f - >/dev/null <<'YAML'
apiVersion: millrace.dev/v1
kind: MirrorLink
metadata: {name: west-to-east}
spec: {clusterRef: {name: east}, source: {clusterRef: {name: west}}, topics: {include: ["orders*"], exclude: [orders.taken]}, state: Promoted}
YAML
until_true 30 ready west-to-east False/NothingPromoted
k delete mirrorlink west-to-east --timeout=30s >/dev/null

# The way back, then words of before: they are told.
mirror west-to-east west east ', onExistingData: Truncate'
k patch mirrorlink west-to-east --type=merge -p '{"spec":{"topics":{"exclude":["orders.taken"]}}}' >/dev/null
until_true 40 ready west-to-east True/Mirroring
patch west-to-east '{"state":"Promoted"}'
until_true 60 ready west-to-east True/Promoted
write east orders second 10
refused west-to-east '{"state":"Paused"}' 'nothing to pause'
until_true 20 says west-to-east 'Truncate is left over from before'
patch west-to-east '{"onExistingData":"Refuse"}'
refused west-to-east '{"state":"Mirroring"}' 'say onExistingData: Truncate in the same edit'
expect "records here, none cut" 110 "$(count east orders)"
patch east-to-west '{"state":"Mirroring","onExistingData":"Truncate"}'
until_true 60 ready east-to-west True/Mirroring
until_true 30 has west orders 110

# Forced though the source is well: both sides take writes, and that is said. What is left over of it is told.
patch east-to-west '{"state":"Promoted","promotion":"Forced","onExistingData":"Refuse"}'
until_true 40 condition east-to-west SplitBrain True
until_true 20 says east-to-west 'takes writes here and at source east'
patch east-to-west '{"state":"Mirroring","onExistingData":"Truncate"}'
until_true 60 ready east-to-west True/Mirroring
until_true 20 says east-to-west 'Forced is left over from before'
patch east-to-west '{"promotion":"Planned"}'
until_true 20 condition east-to-west SplitBrain False

# A topic that is deleted at the source is named.
write east greetings first 3
until_true 30 has west greetings 3
k apply -f - >/dev/null <<'YAML'
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: greetings}
spec: {clusterRef: {name: east}, deletionPolicy: Delete}
YAML
k wait --for=condition=Ready --timeout=30s topic/greetings >/dev/null
k delete topic.millrace.dev greetings --timeout=30s >/dev/null
until_true 40 says east-to-west 'greetings was deleted at the source'

# The link is gone, then the source dies: another link of the same source takes its mirrors on and promotes them.
k delete mirrorlink east-to-west west-to-east --timeout=30s >/dev/null
k patch cluster east --type=merge -p '{"spec":{"paused":true}}' >/dev/null
k delete pods -l millrace.dev/cluster=east --force >/dev/null 2>&1
mirror east-to-west east west
patch east-to-west '{"state":"Promoted","promotion":"Forced"}'
until_true 60 ready east-to-west True/Promoted
until_true 20 write west orders third 1
until_true 20 write west greetings third 1
expect "records" 111 "$(count west orders)"

# Where there is nothing to promote, it isn't Ready.
k apply -f - >/dev/null <<'YAML'
apiVersion: millrace.dev/v1
kind: MirrorLink
metadata: {name: nothing}
spec: {clusterRef: {name: west}, source: {clusterRef: {name: east}}, topics: {include: [payments]}, state: Promoted, promotion: Forced}
YAML
until_true 30 ready nothing False/NothingPromoted
echo "ok"

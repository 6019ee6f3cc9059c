# What an impatient or unlucky person does to a running cluster; sourced after steps.sh. Each step begins with a settled `main` of any
# size from three on, and leaves one.

# Under the producer until the condition holds: under_load SECONDS COMMAND...
under_load() {
  local end=$((SECONDS + $1)) within=$1; shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "not within $within s: $*; $(field .status.phase): $(field .status.message)"
    feed; pause
  done
}
ids() { field '.status.brokers[*].id'; }
scale_to() { k scale mrc main --replicas="$1" >/dev/null; }
patch_main() { k patch mrc main --type=merge -p "$1" >/dev/null; }
at_size() { [ "$(field .status.replicas)" = "$1" ] && [ "$(ids | wc -w)" = "$1" ] && wanted_state; }
# The spec as it is now, all of it.
wanted_state() { [ "$(field .status.observedGeneration)" = "$(field .metadata.generation)" ] && settled && [ "$(condition Balanced)" = True ]; }
going_on() { [ "$(touched "$1")" -ge "$2" ]; }

# replicas up and down again while a roll runs, a second apart; the pod that is being restarted is killed on top of it.
step_edits_in_roll() {
  local before size count from=$records last
  before=$(broker_uids); count=$(wc -l <<<"$before"); size=$(field .spec.replicas)
  open_producer
  restart_all
  under_load 60 going_on "$before" 1
  scale_to $((size + 2))
  grown() { [ "$(broker_uids | wc -l)" -gt "$size" ]; }
  under_load 30 grown
  scale_to "$size"
  last=$(k get pods -l millrace.dev/cluster=main --sort-by=.metadata.creationTimestamp -o 'jsonpath={.items[-1:].metadata.name}')
  k delete pod "$last" --force --grace-period=0 >/dev/null 2>&1
  rolled() { [ "$(touched "$before")" = "$count" ] && at_size "$size"; }
  under_load 240 rolled
  close_producer
  expect_records "after edits during a roll"
  said="replicas $size, $((size + 2)), $size while a roll runs, its pod killed: all restarted, $((records - from)) records, none lost or doubled"
}

# The operator dies at every change of phase while brokers come and go.
step_killed_in_scale() {
  local size seen=none now kills=0 from=$records target end
  size=$(field .spec.replicas)
  open_producer
  for target in $((size + 1)) "$size"; do
    scale_to "$target"
    seen=none  # At least once each way.
    end=$((SECONDS + 200))
    until at_size "$target"; do
      [ $SECONDS -lt $end ] || fail "not at $target after $kills kills: $(field .status.message)"
      now="$(field .status.phase) $(field .status.rebalance.state) $(field '.status.brokers[*].state')"
      if [ "$now" != "$seen" ] && [ $kills -lt 8 ]; then kill_operator; kills=$((kills + 1)); seen=$now; fi
      feed; pause
    done
  done
  close_producer
  expect_records "after $kills kills"
  said="the operator was killed $kills times while a broker came and went: $((records - from)) records, none lost or doubled"
}

# Deleted under a running broker: told, and no restart destroys it; with its pod it is made anew and filled.
step_disk_deleted() {
  local uid voters
  voters=$(field .status.controllers.voters)
  uid=$(k get pod main-2 -o 'jsonpath={.metadata.uid}')
  k delete pvc main-2-data-0 --wait=false >/dev/null
  until_true 15 message_says 'claim main-2-data-0 was deleted'
  until_true 10 has_event 'claim main-2-data-0 was deleted'
  restart_all
  all_but_it() { [ "$(field .status.updated)" = $(($(field .spec.replicas) - 1)) ] && message_says 'main-2-data-0 was deleted' && [ "$(field .status.ready)" = "$(field .spec.replicas)" ]; }
  until_true 120 all_but_it
  expect "the pod over that disk" "$uid" "$(k get pod main-2 -o 'jsonpath={.metadata.uid}')"
  k delete pod main-2 >/dev/null
  filled() { wanted_state && [ "$(field .status.health.underReplicated)" = 0 ] && [ "$(field .status.controllers.voters)" = "$voters" ]; }
  until_true 120 filled
  expect "the new claim is being deleted" "" "$(k get pvc main-2-data-0 -o 'jsonpath={.metadata.deletionTimestamp}')"
  expect_records "after a disk was lost"
  said="a claim that is deleted is told and not destroyed by a roll; with its pod the broker begins anew and is filled"
}

# An image that isn't there and its correction within a second, twice.
step_image_and_back() {
  local before
  before=$(broker_uids)
  for _ in 1 2; do
    patch_main '{"spec":{"version":"9.9.9"}}'
    k patch mrc main --type=json -p '[{"op":"remove","path":"/spec/version"}]' >/dev/null
  done
  until_true 60 wanted_state
  [ "$(touched "$before")" -le 1 ] || fail "$(touched "$before") brokers were touched"
  expect_records "after that"
  said="a wrong image corrected within a second, twice: $(touched "$before") brokers touched"
}

# What the rest can't carry is refused with the numbers, nobody is touched, and setting it back is enough.
step_refusals() {
  local before size
  before=$(broker_uids); size=$(field .spec.replicas)
  scale_to 2
  until_true 30 message_says "can't leave broker .*: it has 3 replicas, and 2 brokers are left"
  until_true 10 has_event "can't leave broker"
  scale_to "$size"
  until_true 30 wanted_state
  expect "message" "" "$(field .status.message)"
  expect "brokers touched" 0 "$(touched "$before")"
  said="fewer brokers than replicas: refused with the topic and the numbers"
}

topic() { # NAME MORE
  printf 'apiVersion: millrace.dev/v1\nkind: Topic\nmetadata: {name: %s}\nspec: {clusterRef: {name: main}, partitions: 1%s}\n' "$1" "$2" | k apply -f - >/dev/null
}
topic_is() { k get topic "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.message}' | grep -E -- "$2" >/dev/null; }

step_topics() {
  topic wide ', replicas: 9'
  until_true 20 topic_is wide '^False .*[Rr]eplica'
  topic wide ', replicas: 2'
  until_true 20 topic_is wide '^True'
  # Two objects name one topic; the second has it once the first is gone, and its settings win then.
  topic shared-a ', name: shared, replicas: 3, config: {retention.ms: "3600000"}'
  until_true 20 topic_is shared-a '^True'
  topic shared-b ', name: shared, replicas: 3, config: {retention.ms: "7200000"}'
  until_true 20 topic_is shared-b '^False .*shared-a was there first'
  k delete topic shared-a >/dev/null
  until_true 30 topic_is shared-b '^True'
  k wait --for=condition=Synced topic/shared-b --timeout=20s >/dev/null
  # deletionPolicy Delete takes the topic; Retain leaves it.
  k patch topic wide --type=merge -p '{"spec":{"deletionPolicy":"Delete"}}' >/dev/null
  k wait --for='jsonpath={.metadata.finalizers}' topic/wide --timeout=20s >/dev/null
  k delete topic wide shared-b --timeout=60s >/dev/null
  names() { in_network kcat -b "$bootstrap" -L | sed -n 's/^  topic "\([^"]*\)".*/\1/p'; }
  expect "topics left" shared "$(names | grep -E '^(wide|shared)$' | xargs)"
  said="too many replicas are told, a topic with two objects has one owner and then the other, deletion by its policy"
}

# A pool that is removed while it holds replicas is emptied first.
step_pools() {
  pooled() { printf 'apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: pooled}\nspec: {pools: [%s]}\n' "$1" | k apply -f - >/dev/null; }
  pooled '{name: one, replicas: 1, storage: {size: 1Gi}}, {name: two, replicas: 1, storage: {size: 1Gi}}'
  wait_ready 90 pooled
  local at
  at=$(field .status.summary.bootstrap pooled)
  printf 'apiVersion: millrace.dev/v1\nkind: Topic\nmetadata: {name: kept}\nspec: {clusterRef: {name: pooled}, partitions: 4, replicas: 1}\n' | k apply -f - >/dev/null
  k wait --for=condition=Ready topic/kept --timeout=30s >/dev/null
  seq 500 | in_network kcat -b "$at" -t kept -P -X acks=all
  expect "voters" '[0]' "$(field .status.controllers.voters pooled)"
  pooled '{name: two, replicas: 1, storage: {size: 1Gi}}'  # The one that votes goes.
  left() { [ "$(k get pods -l millrace.dev/cluster=pooled -o name | wc -l)" = 1 ] && [ "$(condition Ready pooled)" = True ]; }
  until_true 120 left
  expect "records of the pool that is gone" 500 "$(in_network kcat -b "$at" -t kept -C -o beginning -e -q | sort -u | wc -l)"
  k delete topic kept >/dev/null
  k delete mrc pooled --wait --timeout=60s >/dev/null
  said="a pool that is removed is emptied first, though the metadata quorum was its broker alone"
}

# A second release in another namespace leaves the definitions to the first.
step_second_release() {
  kubectl create namespace beside >/dev/null
  timeout 90 helm install other "$top/helm" -n beside >"$dir/notes"
  grep -q 'were left to it' "$dir/notes" || fail "nothing is said about the kinds: $(cat "$dir/notes")"
  timeout 90 kubectl -n beside rollout status deploy/other-operator --timeout=60s >/dev/null
  sed 's/100Gi/1Gi/; s/replicas: 3/replicas: 1/' "$top/deploy/examples/minimal.yaml" | timeout 30 kubectl -n beside apply -f - >/dev/null
  timeout 90 kubectl -n beside wait --for=condition=Ready cluster/main --timeout=80s >/dev/null
  expect "brokers of the first" "$(field .spec.replicas)" "$(broker_uids | wc -l)"
  timeout 90 helm uninstall other -n beside >/dev/null
  timeout 90 kubectl delete namespace beside --timeout=80s >/dev/null
  kubectl get crd clusters.millrace.dev >/dev/null || fail "the kinds went with the second release"
  wait_ready
  said="a release in another namespace beside the first, each with its clusters; it goes without a trace"
}

# A namespace is deleted with its operator and with what holds the operator's finalizers.
step_namespace_goes() {
  beside() { timeout 90 kubectl -n gone "$@"; }
  kubectl create namespace gone >/dev/null
  timeout 90 helm install other "$top/helm" -n gone >/dev/null
  { side one node-1; side two node-2; } | beside apply -f - >/dev/null
  printf 'apiVersion: millrace.dev/v1\nkind: Topic\nmetadata: {name: mirrored}\nspec: {clusterRef: {name: one}, partitions: 1, replicas: 1, deletionPolicy: Delete}\n' | beside apply -f - >/dev/null
  mirror_link a-link two one '' | beside apply -f - >/dev/null
  beside wait --for=condition=Ready topic/mirrored mirrorlink/a-link --timeout=80s >/dev/null
  expect "finalizers" "millrace.dev/topic millrace.dev/mirror-link" "$(beside get topic/mirrored mirrorlink/a-link -o 'jsonpath={.items[*].metadata.finalizers[*]}')"
  timeout 90 kubectl delete namespace gone --timeout=80s >/dev/null || fail "it stays: $(kubectl get namespace gone -o 'jsonpath={.status.conditions[*].message}')"
  wait_ready
  said="a namespace goes with its operator, clusters, and a topic and a link whose deletion the operator had to see to"
}

# What stock kubectl shows of it.
step_views() {
  k explain cluster.spec.rolling | grep -F maxUnavailablePerRack >/dev/null || fail "kubectl explain"
  k describe mrc main >"$dir/described"
  grep -E 'Observed Generation' "$dir/described" >/dev/null && grep -E '^Events:' "$dir/described" >/dev/null || fail "kubectl describe"
  k events --for cluster/main >"$dir/events"
  grep -E 'Broker(Created|Restarted)' "$dir/events" >/dev/null || fail "kubectl events: $(cat "$dir/events")"
  k wait --for=jsonpath='{.status.phase}'=Running mrc/main --timeout=10s >/dev/null
  expect "columns" "NAME READY VERSION PHASE ROLLING MOVING AGE" "$(k get mrc | sed -n 1p | xargs)"
  k get millrace -o name | grep -F cluster.millrace.dev/main >/dev/null || fail "kubectl get millrace"
  "$bin/kubectl-millrace" status -n millrace main >"$dir/status"
  grep -F zone-a "$dir/status" >/dev/null || fail "kubectl millrace status: $(cat "$dir/status")"
  said="explain, describe, events, wait, columns, the category and the plugin's status"
}

# Disks, plans that wait for a person, brokers that are held back, and Clusters in several namespaces; sourced after steps_nasty.sh.

status_is() { [ "$(field ".status.$1" "${3:-main}")" = "$2" ]; }
# Replicas on a disk, by its directory on the machine: those that are really there.
replicas_on_claim() {
  local volume
  volume=$(k get pvc "$1" -o 'jsonpath={.spec.volumeName}')
  find "$MILLRACE_KUBE"/run/volumes/*/"$volume" -maxdepth 3 -type d -name 'kept-*' ! -name '*-delete' ! -name '*-stray' | wc -l
}
mounted() { k get pod disks-0 -o 'jsonpath={.spec.volumes[*].persistentVolumeClaim.claimName}'; }

# A second disk gets its share. Taken out of the spec again, with the only replicas there are, it stays until nothing is on it: a person
# sees to that where balance.mode is Off, else a plan. Written back it gets its share again.
step_volumes() {
  local uid moved at part
  disks() { printf 'apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: disks}\nspec: {replicas: 1, storage: {%s}, balance: {mode: %s}}\n' "$1" "${2:-OnScale}" | k apply -f - >/dev/null; }
  disks 'size: 1Gi'
  wait_ready 90 disks
  at=$(field .status.summary.bootstrap disks)
  printf 'apiVersion: millrace.dev/v1\nkind: Topic\nmetadata: {name: kept}\nspec: {clusterRef: {name: disks}, partitions: 8, replicas: 1, deletionPolicy: Delete}\n' | k apply -f - >/dev/null
  k wait --for=condition=Ready topic/kept --timeout=30s >/dev/null
  until_true 30 reached "$at"
  for part in 0 1 2 3 4 5 6 7; do  # An empty one has no directory that could be counted.
    seq -f '%050g' $((part * 2500 + 1)) $((part * 2500 + 2500)) | in_network kcat -b "$at" -t kept -p "$part" -P -X acks=all
  done
  disks 'volumes: [{id: 0, size: 1Gi}, {id: 1, size: 1Gi}]'
  spread() { status_is 'brokers[0].volumes' '[0,1]' disks && [ "$(condition Ready disks)" = True ] && [ "$(replicas_on_claim disks-0-data-0)" -lt 8 ]; }
  until_true 90 spread
  moved=$(replicas_on_claim disks-0-data-1)
  [ "$moved" -gt 0 ] || fail "nothing is on the new disk"

  uid=$(k get pod disks-0 -o 'jsonpath={.metadata.uid}')
  if timeout 30 kubectl -n millrace patch mrc disks --type=merge -p '{"spec":{"storage":{"volumes":[{"id":1,"size":"1Gi"}]}}}' >/dev/null 2>"$dir/refused"; then
    fail "the disk with the metadata was let go"
  fi
  grep -F 'has the metadata' "$dir/refused" >/dev/null || fail "$(cat "$dir/refused")"
  disks 'size: 1Gi' "'Off'"
  until_true 20 message_says "keeps volume 1, which the spec has no more: $moved of its replicas" disks
  expect "the pod of that broker" "$uid" "$(k get pod disks-0 -o 'jsonpath={.metadata.uid}')"
  k delete pod disks-0 --force --grace-period=0 >/dev/null 2>&1
  anew() { [ "$(k get pod disks-0 -o 'jsonpath={.metadata.uid}')" != "$uid" ] && [ "$(condition Ready disks)" = True ]; }
  until_true 60 anew
  expect "disks of a pod that was lost meanwhile" "disks-0-data-0 disks-0-data-1" "$(mounted)"
  all_there() { [ "$(in_network kcat -b "$at" -t kept -C -o beginning -e -q | sort -u | wc -l)" = 20000 ]; }
  until_true 30 all_there  # Nodes learn of the new pod's address a moment later.

  disks 'size: 1Gi'
  without() { [ "$(mounted)" = disks-0-data-0 ] && [ "$(condition Ready disks)" = True ] && status_is message "" disks; }
  until_true 120 without
  expect "the disk that is let go" Bound "$(k get pvc disks-0-data-1 -o 'jsonpath={.status.phase}')"
  expect "replicas on the disk that stays" 8 "$(replicas_on_claim disks-0-data-0)"
  until_true 30 all_there
  disks 'volumes: [{id: 0, size: 1Gi}, {id: 1, size: 1Gi}]'
  until_true 90 spread
  until_true 30 all_there
  k delete mrc disks --wait --timeout=60s >/dev/null
  said="a second disk gets $moved of 8 replicas; taken out of the spec it is emptied and goes, and stays until then, also when the pod is lost"
}

plan_hash() { field .status.rebalance.planHash; }
plugin() { "$bin/kubectl-millrace" "$@"; }
awaits() { status_is rebalance.state AwaitingApproval && [ "$(field .status.observedGeneration)" = "$(field .metadata.generation)" ] && [ -n "$(plan_hash)" ] && [ "$(plan_hash)" != "${1:-}" ]; }

# Mode Manual: a plan is shown, runs by its own hash only, and an edit before that makes another.
step_manual() {
  local size first second from=$records
  size=$(field .spec.replicas)
  patch_main '{"spec":{"balance":{"mode":"Manual"}}}'
  scale_to $((size + 1))
  until_true 90 awaits
  first=$(plan_hash)
  until_true 60 message_says "is new: a plan waits for approval.*$first"
  plugin plan -n millrace main >"$dir/plan"
  grep -F "because   broker" "$dir/plan" >/dev/null && grep -F -- "--approve $first" "$dir/plan" >/dev/null || fail "kubectl millrace plan: $(cat "$dir/plan")"
  patch_main '{"spec":{"balance":{"exclude":["nobody-has-this"],"maxMovesPerBroker":2}}}'
  until_true 30 awaits "$first"
  second=$(plan_hash)
  plugin plan -n millrace main --approve "$first" >"$dir/plan" 2>&1 && fail "another plan was approved: $(cat "$dir/plan")"
  grep -F "the plan now is $second" "$dir/plan" >/dev/null || fail "kubectl millrace plan --approve: $(cat "$dir/plan")"
  patch_main '{"spec":{"balance":{"approve":"'"$first"'"}}}'  # Whoever writes the field by hand: no approval of this plan.
  until_true 20 awaits
  expect "what blocks a plan that waits" "" "$(field .status.rebalance.blockedBy)"

  open_producer
  plugin plan -n millrace main --approve "$second" >/dev/null
  under_load 240 at_size $((size + 1))
  # The way back is another plan, and its approval is not the first one's.
  scale_to "$size"
  under_load 60 awaits "$second"
  message_says 'leaves: a plan waits for approval' || fail "message: $(field .status.message)"
  scale_to $((size + 1))  # Reverted before anybody approved.
  back() { [ "$(field '.status.brokers[*].state')" = "$(field '.status.brokers[*].state' | sed 's/[A-Z][a-z]*/Running/g')" ] && [ "$(ids | wc -w)" = $((size + 1)) ]; }
  under_load 60 back
  scale_to "$size"
  under_load 60 awaits
  plugin plan -n millrace main --approve "$(plan_hash)" >/dev/null
  under_load 240 at_size "$size"
  close_producer
  k patch mrc main --type=json -p '[{"op":"remove","path":"/spec/balance"}]' >/dev/null
  wait_ready
  expect_records "after two approved plans"
  said="a plan is shown, refuses another's hash, is made anew by an edit, runs by its own; there and back, $((records - from)) records"
}

# One broker first, by holding the others; the change is taken back while they are held; then a roll is stopped and goes on.
step_canary() {
  local before size one rest
  until_true 60 at_rest
  before=$(broker_uids); size=$(field .spec.replicas)
  one=$(ids | cut -d' ' -f1); rest=$(ids | cut -d' ' -f2- | tr ' ' ,)
  patch_main '{"spec":{"rolling":{"hold":['"$rest"']},"template":{"labels":{"turn":"canary"}}}}'
  held() { status_is rolling.done 1 && message_says "spec.rolling.hold keeps brokers ${rest//,/, }" && status_is ready "$size"; }
  until_true 60 held
  expect "brokers touched" 1 "$(touched "$before")"
  expect "who went first" canary "$(k get pod "main-$one" -o 'jsonpath={.metadata.labels.turn}')"
  patch_main '{"spec":{"template":null}}'
  until_true 60 at_rest
  expect "brokers touched after it was taken back" 1 "$(touched "$before")"
  patch_main '{"spec":{"rolling":null}}'

  before=$(broker_uids)
  restart_all
  until_true 40 going_on "$before" 1
  patch_main '{"spec":{"paused":true}}'
  until_true 20 message_says 'spec.paused is set'
  k wait --for=condition=Ready pod -l millrace.dev/cluster=main --timeout=40s >/dev/null
  size=$(touched "$before")
  for _ in $(seq 30); do pause; done
  expect "brokers touched while it is paused" "$size" "$(touched "$before")"
  patch_main '{"spec":{"paused":false}}'
  rolled() { [ "$(touched "$before")" = "$(wc -l <<<"$before")" ] && at_rest; }
  until_true 180 rolled
  expect_records "after that"
  said="one broker has the change while hold keeps the others, and gives it back; a paused roll goes on where it was"
}

in_a() { timeout 90 kubectl -n team-a "$@"; }
in_b() { timeout 90 kubectl -n team-b "$@"; }
far_link() { in_b get mrl from-a -o "jsonpath={$1}"; }
far_link_is() { [ "$(far_link '.status.conditions[?(@.type=="Ready")].status}{.status.conditions[?(@.type=="Ready")].reason')" = "True$1" ]; }

# One operator for all namespaces. Nothing crosses them but a Topic that the Cluster allows, and a link by addresses and Secrets of its own.
step_all_namespaces() {
  local before version account from to
  before=$(broker_uids); version=$(field .metadata.resourceVersion)
  timeout 90 helm upgrade millrace "$top/helm" -n millrace --set scope=Cluster >/dev/null
  k rollout status deploy/millrace-operator --timeout=60s >/dev/null
  for team in team-a team-b; do
    kubectl create namespace $team >/dev/null
    kubectl label namespace $team pod-security.kubernetes.io/enforce=restricted >/dev/null
    side main node-1 | timeout 30 kubectl -n $team apply -f - >/dev/null
  done
  printf 'apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: source}\nspec: {replicas: 1, storage: {size: 1Gi}, tls: {}, listeners: [{name: tls, port: 9094, tls: true, auth: TLS}]}\n' | in_a apply -f - >/dev/null
  in_b wait --for=condition=Ready mrc/main --timeout=80s >/dev/null
  in_a wait --for=condition=Ready mrc/main mrc/source --timeout=80s >/dev/null
  expect "Clusters that the plugin shows" "millrace/main team-a/main team-a/source team-b/main" "$(plugin status -A | sed -n 's/^Cluster \([^ ]*\) .*/\1/p' | sort | xargs)"

  # Who may not name a Cluster owns nothing of it, however early; a reference to a source elsewhere is no field.
  stranger() { printf 'apiVersion: millrace.dev/v1\nkind: Topic\nmetadata: {name: orders}\nspec: {clusterRef: {name: main, namespace: team-a}, partitions: 1, replicas: 1, deletionPolicy: Delete}\n'; }
  topic_says() { kubectl -n "$1" get topic orders -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.message}' | grep -E -- "$2" >/dev/null; }
  stranger | in_b apply -f - >/dev/null
  until_true 20 topic_says team-b "^False .*doesn't name namespace team-b"
  for _ in $(seq 6); do pause; done  # Older by more than the second that timestamps tell.
  stranger | in_a apply -f - >/dev/null
  until_true 20 topic_says team-a '^True'
  in_b delete topic orders --timeout=30s >/dev/null
  topic_says team-a '^True' || fail "the stranger took the topic along"
  if mirror_link crossing main main '' | sed 's/source: {clusterRef: {name: main}/source: {clusterRef: {name: main, namespace: team-a}/' | in_b apply -f - >/dev/null 2>&1; then fail "a source in another namespace is taken"; fi

  account=system:serviceaccount:millrace:millrace-operator
  for right in "get nodes" "get namespaces" "create serviceaccounts -n team-a" "create roles.rbac.authorization.k8s.io -n team-a" "create clusterrolebindings.rbac.authorization.k8s.io" \
    "create pods --subresource=exec -n team-a" "delete clusters.millrace.dev -n team-a" "create deployments.apps -n team-a" "get leases.coordination.k8s.io -n team-a"; do
    expect "may the operator $right" no "$(kubectl auth can-i $right --as="$account" 2>/dev/null || true)"
  done

  # The link's Secrets are read beside it, not beside the source.
  from=$(in_a get mrc source -o 'jsonpath={.status.summary.bootstrap}'); to=$(in_b get mrc main -o 'jsonpath={.status.summary.bootstrap}')
  in_a get configmap source-ca -o 'jsonpath={.data.ca\.crt}' >"$dir/far.ca"
  in_a get secret source-ca -o 'jsonpath={.data.signer\.crt}' | base64 -d >"$dir/far-signer.crt"
  (umask 077; in_a get secret source-ca -o 'jsonpath={.data.ca\.key}' | base64 -d >"$dir/far-signer.key")
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=linker" -keyout "$dir/far.key" -out "$dir/far.csr" 2>/dev/null
  openssl x509 -req -in "$dir/far.csr" -CA "$dir/far-signer.crt" -CAkey "$dir/far-signer.key" -days 1 -out "$dir/far.crt" 2>/dev/null
  far() { in_network kcat -b "$from" -X security.protocol=ssl -X "ssl.ca.location=$dir/far.ca" -X "ssl.certificate.location=$dir/far.crt" -X "ssl.key.location=$dir/far.key" "$@"; }
  until_true 15 far -L
  seq 500 | far -t goods -P -X acks=all
  in_a create secret generic far-ca "--from-file=ca.crt=$dir/far.ca" >/dev/null
  printf 'apiVersion: millrace.dev/v1\nkind: MirrorLink\nmetadata: {name: from-a}\nspec: {clusterRef: {name: main}, source: {bootstrapServers: ["%s"], tls: {caSecret: far-ca, clientSecret: far-client}}, topics: {include: [goods]}}\n' "$from" | in_b apply -f - >/dev/null
  in_b create secret tls far-client "--cert=$dir/far.crt" "--key=$dir/far.key" >/dev/null
  lacks_secret() { far_link .status.message | grep -F 'there is no Secret far-ca' >/dev/null; }
  until_true 20 lacks_secret
  in_b create secret generic far-ca "--from-file=ca.crt=$dir/far.ca" >/dev/null
  until_true 60 far_link_is Mirroring
  arrived() { [ "$(in_network kcat -b "$to" -t goods -C -o beginning -e -q | sort -u | wc -l)" = 500 ]; }
  until_true 40 arrived
  plugin mirror -n team-b from-a >"$dir/mirror"
  grep -E '^ +goods +mirroring' "$dir/mirror" >/dev/null || fail "kubectl millrace mirror: $(cat "$dir/mirror")"

  # The source's namespace is gone with a disaster, and the Secret too: a failover needs neither.
  in_b delete secret far-ca >/dev/null
  timeout 90 kubectl delete namespace team-a --timeout=80s >/dev/null || fail "team-a stays"
  in_b patch mrl from-a --type=merge -p '{"spec":{"state":"Promoted","promotion":"Forced"}}' >/dev/null
  until_true 60 far_link_is Promoted
  echo more | in_network kcat -b "$to" -t goods -P -X acks=all
  timeout 90 kubectl delete namespace team-b --timeout=80s >/dev/null || fail "team-b stays"

  timeout 90 helm upgrade millrace "$top/helm" -n millrace --reset-values >/dev/null
  k rollout status deploy/millrace-operator --timeout=60s >/dev/null
  until_true 60 at_rest
  expect "brokers of main" "$before" "$(broker_uids)"
  expect "main's version" "$version" "$(field .metadata.resourceVersion)"
  said="Clusters in three namespaces under one operator: strangers' topics own nothing, a link over TLS fails over without its source; main is not written to"
}

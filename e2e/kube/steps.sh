# The steps of run.sh; sourced. Each is a function step_NAME that begins with a settled cluster `main` and leaves one, and sets
# `said` to what it has shown. Waits are bounded; what fails says what was waited for.
short_steps=(install create records scale-out roll operator-restart missing-image missing-class chart delete adopt)
all_steps=(install create leave records scale-out scale roll operator-killed operator-restart edits-in-roll killed-in-scale
  disk-deleted image-and-back refusals topics pools second-release namespace-goes views missing-image first-mistake broken-start quota missing-class
  refused-growth load-balancer node-port tls broker-killed power-cut drain rack-lost controllers volumes manual canary
  all-namespaces mirror figures chart delete adopt)

field() { k get mrc "${2:-main}" -o "jsonpath={$1}"; }
condition() { field ".status.conditions[?(@.type==\"$1\")].status" "${2:-main}"; }
is_ready() { [ "$(field .status.summary.ready "${2:-main}")" = "$1" ]; }
wait_ready() {
  local name=${2:-main}
  seen() { [ "$(field .status.observedGeneration "$name")" = "$(field .metadata.generation "$name")" ] && [ "$(condition Ready "$name")" = True ]; }
  until_true "${1:-80}" seen
}
settled() { [ "$(condition UpToDate)" = True ] && [ "$(condition Ready)" = True ]; }
broker_uids() { k get pods -l "millrace.dev/cluster=${1:-main}" -o 'jsonpath={range .items[*]}{.metadata.uid}{"\n"}{end}' | sort; }
touched() { comm -23 <(echo "$1") <(broker_uids) | grep -c . || true; }  # of these uids, how many are gone
read_all() { in_network kcat -b "$bootstrap" -t orders -C -o beginning -e -q; }
put() { in_network kcat -b "$bootstrap" -t orders -P -X acks=all -X message.timeout.ms=30000; }
message_says() { field .status.message "${2:-main}" | grep -qE -- "$1"; }
has_event() { k get events --field-selector "involvedObject.kind=Cluster,type=Warning" -o 'jsonpath={range .items[*]}{.message}{"\n"}{end}' | grep -qE -- "$1"; }
expect_records() { expect "records $1" "$records" "$(read_all | sort -u | wc -l)"; }
reached() { in_network kcat -b "$1" -L -m 5; }  # Nodes learn of a new service's addresses a moment after it is Ready.
restart_all() { "$bin/kubectl-millrace" restart -n millrace main >/dev/null; }

step_install() {
  timeout 90 helm install millrace "$top/helm" -n millrace >/dev/null
  k rollout status deploy/millrace-operator --timeout=60s >/dev/null
  said="helm install in a namespace of restricted Pod Security, with a Role alone"
}

# Seconds from the start of the last broker's container until the Cluster was Ready.
since_containers() {
  local started ready
  started=$(k get pods -l millrace.dev/cluster=main -o 'jsonpath={range .items[*]}{.status.containerStatuses[0].state.running.startedAt}{"\n"}{end}' | sort | tail -n 1)
  ready=$(field '.status.conditions[?(@.type=="Ready")].lastTransitionTime')
  echo $(($(date -d "$ready" +%s) - $(date -d "$started" +%s)))
}

step_create() {
  local from=$SECONDS
  sed 's/100Gi/1Gi/' "$top/deploy/examples/minimal.yaml" | k apply -f - >/dev/null
  wait_ready
  bootstrap=$(field .status.summary.bootstrap)
  expect racks zone-a,zone-b,zone-c "$(field .status.summary.racks)"
  from=$((SECONDS - from))
  said="three brokers in three zones are Ready after $from s, $(since_containers) s after their containers started"
}

# A voter: it is replaced in the metadata quorum before it goes. Nobody holds data yet. Broker 1 comes back with scale-out.
step_leave() {
  k scale mrc main --replicas=4 >/dev/null
  until_true 60 is_ready 4/4
  k patch mrc main --type=merge -p '{"spec":{"replicas":3,"remove":[1]}}' >/dev/null
  left() { [ "$(k get pods -l millrace.dev/cluster=main -o 'jsonpath={.items[*].metadata.name}')" = "main-0 main-2 main-3" ] && [ "$(field .status.controllers.voters)" = '[0,2,3]' ] && settled; }
  until_true 90 left
  k patch mrc main --type=json -p '[{"op":"remove","path":"/spec/remove"}]' >/dev/null
  wait_ready
  said="broker 1 votes and is told to leave: broker 3 votes in its place, then it goes"
}

step_records() {
  sed 's/partitions: 12/partitions: 3/; s/name: orders[.]eu/name: orders/' "$top/deploy/examples/topic.yaml" | k apply -f - >/dev/null
  k wait --for=condition=Ready topic/orders-eu --timeout=30s >/dev/null
  seq -f 'first-%g' 1000 | put
  records=1000
  expect_records "by kcat"
  said="kcat in the cluster's network produces and consumes $records records"
}

step_scale_out() {
  k scale mrc main --replicas=4 >/dev/null
  until_true 60 is_ready 4/4
  wait_ready
  has_four() { [ "$(in_network kcat -b "$bootstrap" -L | grep -c '^  broker ')" = 4 ]; }
  until_true 20 has_four
  said="kubectl scale brings a fourth broker"
}

# A producer with acks=all and idempotence, fed a batch each time `feed` is called.
open_producer() {
  rm -f "$dir/feed"; mkfifo "$dir/feed"
  in_network kcat -b "$bootstrap" -t orders -P -X acks=all -X enable.idempotence=true -X message.timeout.ms=120000 <"$dir/feed" 2>"$dir/producer.log" &
  producer=$!
  helpers+=("$producer")
  exec 9>"$dir/feed"
}
feed() { seq -f "$step-$records-%g" 20 >&9; records=$((records + 20)); }
close_producer() {
  exec 9>&-
  wait "$producer" || fail "the producer lost records: $(cat "$dir/producer.log")"
}

# Two more and two fewer in one edit each, under the producer; racks hold one replica of each partition throughout.
step_scale() {
  local from=$records ids
  replicas_on() { in_network kcat -b "$bootstrap" -L | sed -n 's/.*replicas: \([0-9,]*\), isrs.*/,\1,/p' | grep -c ",$1," || true; }
  resized() {
    local end=$((SECONDS + 240))
    until [ "$(field '.status.brokers[*].id')" = "$1" ] && settled && [ "$(condition Balanced)" = True ] &&
      [ "$(field '.status.brokers[*].balanced')" = "$(sed 's/[0-9]\+/true/g' <<<"$1")" ]; do
      [ $SECONDS -lt $end ] || fail "not resized to $1: $(field .status.message) $(field .status.rebalance)"
      feed; pause
    done
    expect "partitions with two replicas in a rack" 0 "$(field .status.health.rackViolations)"
  }
  ids=$(field '.status.brokers[*].id')
  open_producer
  k scale mrc main --replicas=6 >/dev/null
  resized "0 1 2 3 4 5"
  for broker in 4 5; do [ "$(replicas_on $broker)" -gt 0 ] || fail "broker $broker got nothing"; done
  k scale mrc main --replicas=4 >/dev/null
  resized "$ids"
  close_producer
  for broker in 4 5; do expect "replicas on broker $broker" 0 "$(replicas_on $broker)"; done
  expect_records "after both"
  said="4 to 6 and back, an edit each, under a producer with acks=all: $((records - from)) records, none lost or doubled"
}

step_roll() {
  local before count end from=$records
  before=$(broker_uids); count=$(wc -l <<<"$before")
  open_producer
  restart_all
  rolled() { [ "$(touched "$before")" = "$count" ] && settled; }
  end=$((SECONDS + 180))
  until rolled; do
    [ $SECONDS -lt $end ] || fail "the roll took too long: $(field .status.rolling)"
    feed; pause
  done
  close_producer
  expect_records "after the roll"
  said="every broker restarted once under a producer with acks=all: $((records - from)) records, none lost or doubled"
}

# Killed, not stopped: its pod goes without a word, its lease stays.
kill_operator() { k delete pod -l app.kubernetes.io/name=millrace-operator --force --grace-period=0 >/dev/null 2>&1; }

step_operator_killed() {
  local kills=0 done_then=none done_now pods added end
  broker_uids >"$dir/before"
  k get pods -l millrace.dev/cluster=main -w --output-watch-events -o 'jsonpath={.type} {.object.metadata.name} {.object.metadata.uid}{"\n"}' >"$dir/watched" 2>/dev/null &
  helpers+=($!)
  restart_all
  end=$((SECONDS + 200))
  rolled() { [ "$(touched "$(cat "$dir/before")")" = "$(wc -l <"$dir/before")" ] && settled; }
  until rolled; do
    [ $SECONDS -lt $end ] || fail "no end after $kills kills: $(field .status.rolling)"
    done_now=$(field .status.rolling.done)$(touched "$(cat "$dir/before")")
    if [ "$done_now" != "$done_then" ]; then kill_operator; kills=$((kills + 1)); done_then=$done_now; fi
    pause
  done
  kill "${helpers[-1]}" 2>/dev/null || true
  pods=$(wc -l <"$dir/before")
  added=$(awk '$1 == "ADDED" {print $3}' "$dir/watched" | sort -u | comm -23 - "$dir/before" | wc -l)
  expect "pods made" "$pods" "$added"
  expect_records "after $kills kills of the operator"
  said="the operator was killed $kills times during a roll: each of $pods brokers restarted once"
}

# Settled as the status says of this very spec, and nobody has written it for five seconds.
at_rest() {
  local version
  [ "$(field .status.observedGeneration)" = "$(field .metadata.generation)" ] && settled || return 1
  version=$(field .metadata.resourceVersion)
  for _ in $(seq 25); do pause; done
  [ "$version" = "$(field .metadata.resourceVersion)" ]
}

leader() { k get lease millrace-operator -o 'jsonpath={.spec.holderIdentity}'; }
another_leads() { [ -n "$(leader)" ] && [ "$(leader)" != "$1" ]; }

step_operator_restart() {
  local before writes held
  until_true 60 at_rest
  before=$(broker_uids)
  writes=$(field .metadata.resourceVersion)
  held=$(leader)
  k rollout restart deploy/millrace-operator >/dev/null
  k rollout status deploy/millrace-operator --timeout=60s >/dev/null
  until_true 40 another_leads "$held"
  for _ in $(seq 40); do pause; done
  expect "brokers after a restart of the operator" "$before" "$(broker_uids)"
  expect "the Cluster's version" "$writes" "$(field .metadata.resourceVersion)"
  said="another operator restarts no broker and writes nothing"
}

step_missing_image() {
  local before from=$SECONDS
  before=$(broker_uids)
  k patch mrc main --type=merge -p '{"spec":{"version":"9.9.9"}}' >/dev/null
  until_true 15 message_says 'image .*:9\.9\.9 can.t be pulled'
  until_true 5 has_event "can't be pulled"
  from=$((SECONDS - from))
  expect "brokers touched" 1 "$(touched "$before")"
  echo "$step-while-one-is-down-$records" | put
  records=$((records + 1))
  k patch mrc main --type=json -p '[{"op":"remove","path":"/spec/version"}]' >/dev/null
  until_true 30 settled
  expect "brokers touched after the correction" 1 "$(touched "$before")"
  expect_records "after the correction"
  said="an image that isn't there is told after $from s, one broker is touched, its correction needs nothing else"
}

# Nobody has started yet who could be asked; what was wrong is corrected all the same.
step_first_mistake() {
  local mistaken='apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: mistaken}\nspec: {replicas: 3, storage: {size: 1Gi}, %s}\n'
  as() { printf "$mistaken" "$1" | k apply -f - >/dev/null; }
  as 'version: 9.9.9'
  until_true 15 message_says 'image .*:9\.9\.9 can.t be pulled' mistaken
  as 'template: {env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: nobody-made-it, key: token}}}]}'
  until_true 20 message_says 'nobody-made-it' mistaken
  as 'listeners: [{name: plain, port: 9092}, {name: outside, port: 9094, type: LoadBalancer}]'
  until_true 20 message_says 'load balancer|address' mistaken
  as 'balance: {mode: OnScale}'
  wait_ready 60 mistaken
  k delete mrc mistaken --wait --timeout=60s >/dev/null
  said="a new cluster with a wrong image, then a Secret that isn't there, then no balancer: each is told, the next edit holds, it serves"
}

step_broken_start() {
  local before from=$SECONDS mounted little
  before=$(broker_uids)
  k patch mrc main --type=merge -p '{"spec":{"template":{"env":[{"name":"WORD","valueFrom":{"secretKeyRef":{"name":"nobodys","key":"word"}}}]}}}' >/dev/null
  until_true 15 message_says 'CreateContainerConfigError: secret .nobodys. not found'
  from=$((SECONDS - from))
  expect "brokers touched" 1 "$(touched "$before")"
  k patch mrc main --type=merge -p '{"spec":{"template":null}}' >/dev/null
  until_true 30 settled
  # A volume that its node waits for.
  before=$(broker_uids) mounted=$SECONDS
  k patch mrc main --type=merge -p '{"spec":{"template":{"volumes":[{"name":"words","mountPath":"/etc/words","configMap":{"name":"nobodys"}}]}}}' >/dev/null
  until_true 20 message_says 'configmap .nobodys. not found; create it'
  mounted=$((SECONDS - mounted))
  expect "brokers touched" 1 "$(touched "$before")"
  k patch mrc main --type=merge -p '{"spec":{"template":null}}' >/dev/null
  until_true 40 settled
  # So little memory that it doesn't start, or that not even its container does.
  for little in 8Mi 1Mi; do
    before=$(broker_uids)
    k patch mrc main --type=merge -p '{"spec":{"resources":{"limits":{"memory":"'$little'"}}}}' >/dev/null
    until_true 30 message_says 'needs more memory than resources.limits has|memory: .* too few'
    expect "brokers touched" 1 "$(touched "$before")"
    k patch mrc main --type=merge -p '{"spec":{"resources":null}}' >/dev/null
    until_true 40 settled
  done
  expect_records "after all corrections"
  said="a Secret that isn't there (told after $from s), a ConfigMap ($mounted s), too little memory: one broker each, and the corrections hold at once"
}

# The old pod's share comes free when it goes: a full quota holds up no roll, and one that is too small costs no broker.
step_quota() {
  local before
  k patch mrc main --type=merge -p '{"spec":{"resources":{"requests":{"memory":"64Mi"}}}}' >/dev/null
  until_true 120 at_rest
  before=$(broker_uids)
  k apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: ResourceQuota
metadata: {name: full}
spec: {hard: {requests.memory: "1Mi"}}
YAML
  has_use() { [ -n "$(k get quota full -o 'jsonpath={.status.used.requests\.memory}')" ]; }
  until_true 20 has_use
  k patch quota full --type=merge -p '{"spec":{"hard":{"requests.memory":"'"$(k get quota full -o 'jsonpath={.status.used.requests\.memory}')"'"}}}' >/dev/null
  k patch mrc main --type=merge -p '{"spec":{"resources":{"requests":{"memory":"65Mi"}}}}' >/dev/null
  until_true 20 message_says 'exceeded quota: full, .*even without the old pod.s share'
  expect "brokers touched by more than the quota" 0 "$(touched "$before")"
  k patch mrc main --type=merge -p '{"spec":{"resources":{"requests":{"memory":"64Mi"}},"template":{"labels":{"turn":"two"}}}}' >/dev/null
  until_true 120 at_rest
  expect "brokers touched within a full quota" "$(wc -l <<<"$before")" "$(touched "$before")"
  k delete quota full >/dev/null
  k patch mrc main --type=merge -p '{"spec":{"resources":null,"template":null}}' >/dev/null
  until_true 120 at_rest
  expect_records "after all of it"
  said="what a quota has no room for costs no broker and is told; a full one holds up no roll"
}

step_missing_class() {
  local from=$SECONDS told
  k apply -f - >/dev/null <<'YAML'
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: second}
spec: {replicas: 1, storage: {size: 1Gi, class: nowhere}}
YAML
  until_true 15 message_says 'StorageClass nowhere' second
  told=$((SECONDS - from)); from=$SECONDS
  k patch mrc second --type=merge -p '{"spec":{"storage":{"class":"local"}}}' >/dev/null
  wait_ready 40 second
  said="a storage class that isn't there is told after $told s; Ready $((SECONDS - from)) s after its correction"
  k delete mrc second --wait --timeout=60s >/dev/null
}

step_refused_growth() {
  local before
  before=$(broker_uids)
  k patch mrc main --type=merge -p '{"spec":{"storage":{"size":"2Gi"}}}' >/dev/null
  until_true 15 message_says 'PersistentVolumeClaim .*(resize|resized)'
  kubectl patch storageclass local -p '{"allowVolumeExpansion":true}' >/dev/null
  in_use='millrace.dev/cluster=main,!millrace.dev/retired'  # Not those that brokers of earlier steps have left.
  asked() { [ "$(k get pvc -l "$in_use" -o 'jsonpath={.items[*].spec.resources.requests.storage}' | tr ' ' '\n' | sort -u)" = 2Gi ]; }
  until_true 45 asked
  for claim in $(k get pvc -l "$in_use" -o name); do  # As the storage system would, which this cluster doesn't have.
    k patch "$claim" --subresource=status --type=merge -p '{"status":{"capacity":{"storage":"2Gi"}}}' >/dev/null
  done
  until_true 20 settled
  expect "brokers after their disks grew" "$before" "$(broker_uids)"
  said="a class that can't grow is told; once it can, the claims grow and no broker restarts"
}

step_load_balancer() {
  local before broker
  before=$(broker_uids)
  k patch mrc main --type=merge -p '{"spec":{"listeners":[{"name":"plain","port":9092,"type":"Internal"},{"name":"outside","port":9094,"type":"LoadBalancer"}]}}' >/dev/null
  until_true 15 message_says 'outside has no address yet'
  expect "brokers touched before there are addresses" 0 "$(touched "$before")"
  for broker in 0 1 2 3; do
    until_true 10 k get service "main-$broker-outside"
    k patch service "main-$broker-outside" --subresource=status --type=merge -p "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10.11.12.$broker\"}]}}}" >/dev/null
  done
  until_true 120 settled
  expect "advertised addresses" "10.11.12.0:9094 10.11.12.1:9094 10.11.12.2:9094 10.11.12.3:9094" \
    "$(in_network kcat -b "$(k get pod main-0 -o 'jsonpath={.status.podIP}'):9094" -L | sed -n 's/^  broker .* at \([^ ]*\).*/\1/p' | sort | xargs)"
  k patch mrc main --type=merge -p '{"spec":{"listeners":null}}' >/dev/null
  until_true 120 settled
  said="load balancers: nobody restarts before there are addresses, then each broker is advertised by its own"
}

# Advertised on nodes' addresses, which the operator reads once it may; racks come from nodes too where pods have no label of their own.
step_node_port() {
  local before node
  k patch mrc main --type=merge -p '{"spec":{"listeners":[{"name":"plain","port":9092,"type":"Internal"},{"name":"nodes","port":9094,"type":"NodePort"}]}}' >/dev/null
  until_true 15 message_says 'rbac.readNodes=true'
  before=$(broker_uids)
  timeout 90 helm upgrade millrace "$top/helm" -n millrace --set rbac.readNodes=true >/dev/null
  k rollout status deploy/millrace-operator --timeout=60s >/dev/null
  until_true 120 settled
  expect "brokers after the listener was added" "$(echo "$before" | wc -l)" "$(touched "$before")"
  node=$(field '.status.listeners[?(@.name=="nodes")].bootstrap')
  expect "brokers seen from a node" "$(broker_uids | wc -l)" "$(in_network kcat -b "$node" -L | grep -c '^  broker .* at 10[.]87[.]0[.]')"
  echo "$step-through-a-node-$records" | in_network kcat -b "$node" -t orders -P -X acks=all
  records=$((records + 1))
  k patch mrc main --type=merge -p '{"spec":{"listeners":null}}' >/dev/null
  until_true 120 settled
  timeout 90 helm upgrade millrace "$top/helm" -n millrace --reset-values >/dev/null
  k rollout status deploy/millrace-operator --timeout=60s >/dev/null
  wait_ready
  expect_records "through nodes"
  said="a NodePort listener says that it wants the nodes read, then clients produce through $node"
}

# Certificates of the operator's for brokers and clients, another authority in place of the first, nobody restarts.
step_tls() {
  local before ca clients uids
  sed 's/100Gi/1Gi/; s/replicas: 3/replicas: 1/' "$top/deploy/examples/tls.yaml" | k apply -f - >/dev/null
  wait_ready 80 secure
  ca() { k get configmap secure-ca -o 'jsonpath={.data.ca\.crt}'; }
  certify() { # NAME
    ca >"$dir/$1.ca"
    k get secret secure-ca -o 'jsonpath={.data.signer\.crt}' | base64 -d >"$dir/signer.crt"
    (umask 077; k get secret secure-ca -o 'jsonpath={.data.ca\.key}' | base64 -d >"$dir/signer.key")
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$dir/$1.key" -out "$dir/$1.csr" 2>/dev/null
    openssl x509 -req -in "$dir/$1.csr" -CA "$dir/signer.crt" -CAkey "$dir/signer.key" -days 1 -out "$dir/$1.crt" 2>/dev/null
  }
  clients=$(field '.status.listeners[?(@.name=="tls")].bootstrap' secure)
  secure() { in_network kcat -b "$clients" -X security.protocol=ssl -X "ssl.ca.location=$dir/$1.ca" -X "ssl.certificate.location=$dir/$1.crt" -X "ssl.key.location=$dir/$1.key" "${@:2}"; }
  certify first
  until_true 15 secure first -L  # The nodes learn of a Service's first broker a moment after everybody else.
  echo "$step" | secure first -t sealed -P -X acks=all
  uids=$(broker_uids secure)
  before=$(ca)
  k annotate mrc secure millrace.dev/renew-authority=now >/dev/null
  renewed() { [ "$(k get mrc secure -o 'jsonpath={.status.conditions[?(@.type=="CertificatesValid")].reason}')" = Issued ] && [ "$(ca)" != "$before" ] && [ "$(ca | grep -c BEGIN)" = 1 ]; }
  until_true 240 renewed
  certify second
  expect "records after another authority took over" "$step" "$(secure second -t sealed -C -o beginning -e -q | sort -u)"
  ! secure first -L >/dev/null 2>&1 || fail "the old authority's certificate is still let in"
  expect "brokers after that" "$uids" "$(broker_uids secure)"
  k delete mrc secure --wait --timeout=60s >/dev/null
  said="clients come with certificates, another authority takes over, no broker restarts"
}

step_broker_killed() {
  local before
  before=$(broker_uids)
  k delete pod main-1 --force --grace-period=0 >/dev/null 2>&1
  back() { [ "$(touched "$before")" = 1 ] && settled; }
  until_true 60 back
  expect_records "after a broker's pod was killed"
  said="a broker's pod that is killed is made anew over its disk"
}

step_power_cut() {
  local node
  node=$(k get pod main-1 -o 'jsonpath={.spec.nodeName}')
  "$here/node.sh" stop "${node#node-}" >/dev/null
  led() { [ "$(in_network kcat -b "$bootstrap" -L -t orders | grep -c 'leader -1')" = 0 ]; }
  until_true 60 led
  echo "$step-without-a-node-$records" | put
  records=$((records + 1))
  "$here/node.sh" start "${node#node-}" >/dev/null
  until_true 120 settled
  expect_records "after a node's power cut"
  said="a node loses its power and comes back: writes went on, nothing is lost"
}

step_drain() {
  local node other
  node=$(k get pod main-2 -o 'jsonpath={.spec.nodeName}')
  other=$(k get pod main-0 -o 'jsonpath={.spec.nodeName}')
  expect "evictions allowed while all is well" 1 "$(k get pdb main-brokers -o 'jsonpath={.status.disruptionsAllowed}')"
  timeout 90 kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=80s >/dev/null 2>&1 || fail "drain of $node"
  # Its broker can't run elsewhere: its disk is there. So nobody else may be evicted.
  none_allowed() { [ "$(k get pdb main-brokers -o 'jsonpath={.status.disruptionsAllowed}')" = 0 ]; }
  until_true 15 none_allowed
  if timeout 30 kubectl drain "$other" --ignore-daemonsets --delete-emptydir-data --timeout=5s >"$dir/drain.log" 2>&1; then
    fail "a second rack was drained while the first one's broker is away"
  fi
  kubectl uncordon "$node" "$other" >/dev/null
  until_true 120 settled
  expect_records "after the drain"
  said="kubectl drain takes one broker; a second rack's is refused until it is back"
}

step_rack_lost() {
  local node
  node=$(k get pod main-1 -o 'jsonpath={.spec.nodeName}')
  "$here/node.sh" stop "${node#node-}" >/dev/null
  evicted() { [ -n "$(k get pod main-1 -o 'jsonpath={.metadata.deletionTimestamp}')" ]; }
  until_true 90 evicted
  until_true 60 message_says "broker 1"  # The operator may have been there too.
  seq -f "$step-$records-%g" 50 | put
  records=$((records + 50))
  "$here/node.sh" start "${node#node-}" >/dev/null
  until_true 150 settled
  expect_records "after a rack was lost for so long that its pods were given up"
  said="a rack is lost until its pods are evicted, and comes back: nobody else was touched, nothing is lost"
}

step_controllers() {
  local size
  size=$(field .spec.replicas)
  has_voters() { [ "$(field .status.controllers.voters)" = "$1" ] && settled; }
  k patch mrc main --type=merge -p '{"spec":{"controllers":{"replicas":3,"storage":{"size":"1Gi"}}}}' >/dev/null
  until_true 200 has_voters '[1000,1001,1002]'
  expect_records "with a quorum of its own"
  k patch mrc main --type=json -p '[{"op":"remove","path":"/spec/controllers"}]' >/dev/null
  back() { has_voters "$(field .status.controllers.voters)" && [ "$(k get pods -l millrace.dev/cluster=main -o name | wc -l)" = "$size" ]; }
  until_true 200 back
  expect_records "with the quorum on brokers again"
  said="dedicated controllers take the quorum from running brokers, and give it back"
}

# How quick the operator is; then ten clusters of a broker each with a hundred topics each: what it takes.
step_figures() {
  local n from bytes quick
  timeout 90 helm upgrade millrace "$top/helm" -n millrace --reset-values --set logLevel=debug >/dev/null
  k rollout status deploy/millrace-operator --timeout=60s >/dev/null
  quick=$(timeout 300 python3 "$here/figures.py" "$built/kubectl" millrace main) || fail "promises not kept"
  timeout 90 helm upgrade millrace "$top/helm" -n millrace --reset-values >/dev/null
  k rollout status deploy/millrace-operator --timeout=60s >/dev/null
  for n in $(seq 10); do
    printf 'apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: f%s}\nspec: {replicas: 1, storage: {size: 1Gi}}\n---\n' "$n"
  done | k apply -f - >/dev/null
  for n in $(seq 10); do until_true 120 is_ready 1/1 "f$n"; done
  for n in $(seq 1000); do
    printf 'apiVersion: millrace.dev/v1\nkind: Topic\nmetadata: {name: f%s-%s}\nspec: {clusterRef: {name: f%s}, partitions: 1, replicas: 1}\n---\n' $((n % 10 + 1)) "$n" $((n % 10 + 1))
  done >"$dir/topics.yaml"
  timeout 300 kubectl -n millrace create -f "$dir/topics.yaml" >/dev/null
  from=$SECONDS
  all_topics() { [ "$(k get topics -o 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' | grep -c True)" = 1001 ]; }
  until_true 240 all_topics
  from=$((SECONDS - from))
  operator_pod=$(k get pods -l app.kubernetes.io/name=millrace-operator --field-selector=status.phase=Running -o 'jsonpath={.items[0].metadata.name}')
  bytes=$(kubectl get --raw "/api/v1/namespaces/millrace/pods/$operator_pod:8080/proxy/metrics" | sed -n 's/^millrace_operator_resident_bytes //p')
  said="$quick; 11 clusters and 1001 topics: Ready $from s after the last was created; the operator's memory $(awk -v b="$bytes" 'BEGIN {printf "%.1f MiB", b / 1048576}')"
  for n in $(seq 10); do printf 'cluster/f%s ' "$n"; done | xargs timeout 90 kubectl -n millrace delete --wait=false >/dev/null
  # At once: one by one, kubectl paces itself to minutes.
  timeout 60 kubectl delete --raw '/apis/millrace.dev/v1/namespaces/millrace/topics?fieldSelector=metadata.name!=orders-eu' >/dev/null
}

step_chart() {
  local before
  before=$(broker_uids)
  timeout 90 helm upgrade millrace "$top/helm" -n millrace --set logLevel=debug >/dev/null
  k rollout status deploy/millrace-operator --timeout=60s >/dev/null
  wait_ready
  timeout 90 helm uninstall millrace -n millrace >/dev/null
  k wait --for=delete pod -l app.kubernetes.io/name=millrace-operator --timeout=60s >/dev/null
  expect_records "without an operator"
  expect "pods after upgrade and uninstall" "$before" "$(broker_uids)"
  kubectl get crd clusters.millrace.dev >/dev/null || fail "the kinds went with the release"
  timeout 90 helm install millrace "$top/helm" -n millrace >/dev/null
  k rollout status deploy/millrace-operator --timeout=60s >/dev/null
  said="upgrade and uninstall of the chart restart no broker; it is installed again over what stayed"
}

step_delete() {
  field .status.clusterId >"$dir/cluster-id"
  k delete mrc main --wait --timeout=60s >/dev/null
  no_brokers() { [ -z "$(k get pods -l millrace.dev/cluster=main -o name)" ]; }
  until_true 150 no_brokers
  [ -n "$(k get pvc -o name)" ] || fail "the disks went with the cluster"
  said="kubectl delete takes the brokers away and keeps their disks"
}

step_adopt() {
  local replicas
  replicas=$(k get pvc -l 'millrace.dev/cluster=main,!millrace.dev/retired' -o name | wc -l)
  sed "s/100Gi/1Gi/; s/replicas: 3/replicas: $replicas/" "$top/deploy/examples/minimal.yaml" | k apply -f - >/dev/null
  wait_ready
  expect "the cluster's id" "$(cat "$dir/cluster-id")" "$(field .status.clusterId)"
  bootstrap=$(field .status.summary.bootstrap)
  expect_records "of the cluster that was deleted"
  said="a Cluster of the same name takes the disks over, with its id and $records records"
}

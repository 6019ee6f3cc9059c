# The steps of run.sh; sourced. Each begins with a settled cluster `main` and leaves one, and sets `said` to what it has shown.
load() { python3 "$here/load.py" "$@"; }
is() { [ "$("${@:2}")" = "$1" ]; }
now() { date +%s.%N; }
condition() { field ".status.conditions[?(@.type==\"$1\")].status"; }
lines() { k get cluster main -o "jsonpath=$1"; }  # With braces of its own.
broker_ids() { field '.status.brokers[*].id'; }
settled() { ready && [ "$(condition Balanced)" = True ] && [ -z "$(field .status.rebalance.state)" ] && [ "$(broker_ids)" = "$1" ] &&
            [ "$(field '.status.brokers[*].balanced')" = "$(sed 's/[0-9]\+/true/g' <<<"$1")" ]; }
until_settled() { until_true "$1" settled "$2"; }
# "ID RACK" of every broker that is known; those in $1 ("3 4 5") are leaving.
note_brokers() {
  lines '{range .status.brokers[*]}{.id} {.rack}{"\n"}{end}' |
    awk -v gone=" ${1:-} " 'NF == 2 { print $0, index(gone, " " $1 " ") ? "leaving" : "" }' >"$dir/brokers.new"
  mv "$dir/brokers.new" "$dir/brokers"
}
event_of() { k get events -o 'jsonpath={range .items[*]}{.lastTimestamp} {.reason} {.message}{"\n"}{end}' | grep " $1 " | sort | tail -n 1; }
replicas_of() { timeout 20 kcat -b "$bootstrap" -L -t "$1" | sed -n 's/.*partition \([0-9]*\), leader \(-\?[0-9]*\), replicas: \([0-9,]*\), isrs.*/\1 \3/p'; }
held_by() { replicas_of "${2:-orders}" | sed 's/^[0-9]* //; s/^/,/; s/$/,/' | grep -c ",$1," || true; }
# Every partition's replicas are in as many racks as there are, up to its replicas.
racks_apart() {
  note_brokers
  replicas_of "${1:-orders}" | awk 'NR == FNR { rack[$1] = $2; all[$2]; next } FNR == 1 { for (r in all) ++racks }
    { n = split($2, ids, ","); delete seen; got = 0; for (i = 1; i <= n; ++i) if (!(rack[ids[i]] in seen)) { seen[rack[ids[i]]]; ++got }
      if (got < (n < racks ? n : racks)) { print $0; bad = 1 } } END { exit bad }' "$dir/brokers" -
}
outs=()
# A producer and a watch over the placement, until end_load.
begin_load() {
  note_brokers "${1:-}"
  load_out=$dir/load-$step
  python3 "$here/load.py" produce "$bootstrap" orders $partitions "$rate" $size "$load_out" >"$load_out.said" 2>&1 & producer=$!
  python3 "$here/load.py" watch "$bootstrap" "$dir/brokers" "$dir/watch-$step" >"$dir/watch-$step.said" 2>&1 & watcher=$!
  helpers+=("$producer" "$watcher")
}
end_load() {
  kill "$watcher"; wait "$watcher" || fail "nobody watched the placement: $(tail -n 3 "$dir/watch-$step.said")"
  kill "$producer"; wait "$producer" || fail "the producer: $(cat "$load_out.said")"
  [ ! -s "$dir/watch-$step" ] || fail "placement: $(head -n 3 "$dir/watch-$step")"
  grep -q ' 0 refused, 0 unanswered' "$load_out.said" || fail "the producer: $(cat "$load_out.said")"
  outs+=("$load_out")
  load check "$bootstrap" orders $partitions "${outs[@]}" >"$dir/checked" || fail "records: $(cat "$dir/checked")"
}
calm_down() { local end=$((SECONDS + ${1:-$calm})); while [ $SECONDS -lt $end ]; do pause; done; }
# The last plan's "N replicas move, at least M must", which must be within 2 % of each other.
moves_are_few() {
  local text moves bound
  text=$(event_of RebalanceStarted)
  read -r moves bound < <(sed -n 's/.*: \([0-9]*\) replicas move, at least \([0-9]*\) must.*/\1 \2/p' <<<"$text")
  [ "${moves:-0}" -gt 0 ] && [ $((moves * 100)) -le $((bound * 102)) ] || fail "moves: $text"
  few="$moves replicas moved, the least is $bound"
}
percentiles() { read -r count p50 p99 most < <(load latency "$load_out" "$1" "$2"); }

# How much the cluster takes, for the rate of a fifth of it (or what the disk holds); and data to move.
step_fill() {
  local seconds=$([ -n "$short" ] && echo 3 || echo 10) mbs
  load produce "$bootstrap" orders $partitions 0 $size "$dir/load-fill" "$seconds" >"$dir/filled" || fail "$(cat "$dir/filled")"
  outs+=("$dir/load-fill")
  mbs=$(sed -n 's/.* \([0-9.]*\) MB.s$/\1/p' "$dir/filled")
  # Half of the disk takes what comes in seven minutes, three times over.
  rate=$(awk -v m="$mbs" -v s=$size -v free="$(df -B1 --output=avail "$dir" | tail -n 1)" \
    'BEGIN { r = m * 1e6 / 5; most = free / 2 / 3 / 420; printf "%d", (r < most ? r : most) / s }')
  local have; have=$(awk -v s=$size 'END { printf "%d", NR * s / 1e6 }' "$dir/load-fill")
  while [ "$have" -lt "$data_mb" ]; do
    load produce "$bootstrap" orders $partitions 0 $size "$dir/load-fill-$have" 3 >"$dir/filled" || fail "$(cat "$dir/filled")"
    outs+=("$dir/load-fill-$have")
    have=$((have + $(awk -v s=$size 'END { printf "%d", NR * s / 1e6 }' "$dir/load-fill-$have")))
  done
  sync  # what comes next is not to wait for what is here
  said="saturation $mbs MB/s with acks=all; $rate records of $size bytes a second from now on; $have MB are there"
}

step_out() {
  local from edit until_ before during after
  begin_load; from=$(now); calm_down; edit=$(now)
  k scale cluster main --replicas=6 >/dev/null
  until_true 60 is "0 1 2 3 4 5" broker_ids
  until_true 60 ready; note_brokers
  until_settled 900 "0 1 2 3 4 5"; until_=$(now)
  printf '%s\n' "$from" "$edit" "$until_" >"$load_out.times"
  moves_are_few
  calm_down; after=$(now)
  end_load
  racks_apart >"$dir/doubled" || fail "racks doubled: $(head -n 3 "$dir/doubled")"
  percentiles "$until_" "$after"; after="p50 $p50 p99 $p99"
  percentiles "$from" "$edit"; before="p50 $p50 p99 $p99"; from=$p99
  percentiles "$edit" "$until_"; during="p50 $p50 p99 $p99"
  for broker in 0 1 2 3 4 5; do expect "replicas on broker $broker" $((partitions * 3 / 6)) "$(held_by $broker)"; done
  said="3 to 6 in $(awk -v a="$edit" -v b="$until_" 'BEGIN { printf "%.1f", b - a }') s, $few; client ms before: $before, with six and no moves: $after, during: $during ($(awk -v a="$from" -v b="$p99" 'BEGIN { printf "%.2f", b / a }') x); $(cat "$dir/checked")"
}

step_in() {
  begin_load "3 4 5"
  k patch cluster main --type=merge -p '{"spec":{"replicas":3}}' >/dev/null
  until_settled 900 "0 1 2"
  moves_are_few
  end_load
  for broker in 3 4 5; do expect "replicas on broker $broker" 0 "$(held_by $broker)"; done
  expect pods "main-0 main-1 main-2" "$(k get pods -l millrace.dev/cluster=main -o 'jsonpath={.items[*].metadata.name}')"
  expect disks 6 "$(k get pvc -o name | wc -l)"
  racks_apart >"$dir/doubled" || fail "racks doubled: $(head -n 3 "$dir/doubled")"
  said="6 to 3 in one edit, $few; nothing is on who left, the disks are kept; $(cat "$dir/checked")"
}

# Reverting the edit while replicas move: out and back, in and back.
moving() { [ "$(field .status.rebalance.state)" = Moving ] && [ "$(field .status.rebalance.moves.inFlight)" -gt 0 ]; }
told() { k get events -o 'jsonpath={range .items[*]}{.reason}{"\n"}{end}' >"$dir/events" && grep -qx "$1" "$dir/events"; }
step_back() {
  k patch cluster main --type=merge -p '{"spec":{"balance":{"maxMovesPerBroker":1}}}' >/dev/null
  begin_load
  k scale cluster main --replicas=6 >/dev/null
  until_true 90 moving; note_brokers
  k scale cluster main --replicas=3 >/dev/null
  until_settled 600 "0 1 2"
  until_true 10 told RebalanceCancelled
  for broker in 3 4 5; do expect "replicas on broker $broker" 0 "$(held_by $broker)"; done
  note_brokers; k scale cluster main --replicas=6 >/dev/null
  until_settled 900 "0 1 2 3 4 5"
  k scale cluster main --replicas=3 >/dev/null
  until_true 90 moving
  k scale cluster main --replicas=6 >/dev/null
  until_settled 900 "0 1 2 3 4 5"
  until_true 10 told BrokersUncordoned
  expect "cordoned brokers" "" "$(field '.status.brokers[?(@.state=="Draining")].id')"
  end_load
  k patch cluster main --type=merge -p '{"spec":{"balance":{"maxMovesPerBroker":null}}}' >/dev/null
  said="an edit is taken back while replicas move, both ways: the moves are cancelled, the brokers go or stay; $(cat "$dir/checked")"
}

# From six: broker 1 by name; then two fewer: those go whose rack has most, so that no rack is emptied.
step_named() {
  [ "$(broker_ids)" = "0 1 2 3 4 5" ] || { k scale cluster main --replicas=6 >/dev/null; until_settled 900 "0 1 2 3 4 5"; }
  begin_load "1"
  k patch cluster main --type=merge -p '{"spec":{"replicas":5,"remove":[1]}}' >/dev/null
  until_settled 900 "0 2 3 4 5"
  k patch cluster main --type=json -p '[{"op":"remove","path":"/spec/remove"}]' >/dev/null
  k scale cluster main --replicas=3 >/dev/null
  stay() { [ "$(broker_ids | wc -w)" = 3 ] && settled "$(broker_ids)"; }
  until_true 900 stay
  expect "racks of those that stay" 3 "$(lines '{range .status.brokers[*]}{.rack}{"\n"}{end}' | sort -u | grep -c .)"
  end_load
  racks_apart >"$dir/doubled" || fail "racks doubled: $(head -n 3 "$dir/doubled")"
  local stayed; stayed=$(broker_ids)
  k scale cluster main --replicas=6 >/dev/null
  six() { [ "$(broker_ids | wc -w)" = 6 ] && settled "$(broker_ids)"; }
  until_true 300 six
  said="broker 1 leaves by its name; of 0 2 3 4 5 then $stayed stay, one a rack; $(cat "$dir/checked")"
}

# Pools: the same brokers under a pool's name, a second pool, another size, and the first pool removed: all that changes the set.
patch_pools() { k patch cluster main --type=merge -p '{"spec":{"replicas":null,"storage":null,"remove":null,"pools":['"$1"']}}' >/dev/null; }
pool_ids() { k get cluster main -o "jsonpath={.status.brokers[?(@.pool==\"$1\")].id}"; }
pools_settled() { [ "$(pool_ids brokers | wc -w)" = "$1" ] && [ "$(pool_ids fast | wc -w)" = "$2" ] && settled "$(broker_ids)"; }
step_pools() {
  local first='{"name":"brokers","replicas":3,"storage":{"size":"1Gi"}}'
  begin_load
  patch_pools "$first,"'{"name":"fast","replicas":3,"storage":{"size":"1Gi"}}'
  until_true 400 pools_settled 3 3
  local fast; fast=$(pool_ids fast)
  for broker in $fast; do [ "$(held_by "$broker")" -gt 0 ] || fail "broker $broker of the new pool holds nothing"; done
  patch_pools "$first,"'{"name":"fast","replicas":4,"storage":{"size":"1Gi"}}'
  until_true 300 pools_settled 3 4
  patch_pools '{"name":"fast","replicas":3,"storage":{"size":"1Gi","retention":{"whenScaled":"Delete"}}}'
  until_true 400 pools_settled 0 3
  end_load
  racks_apart >"$dir/doubled" || fail "racks doubled: $(head -n 3 "$dir/doubled")"
  expect "voters" 3 "$(field '.status.controllers.voters[*]' | wc -w)"
  said="a pool more, a pool larger, a pool gone, an edit each: the data is on $(broker_ids); $(cat "$dir/checked")"
}

# From pools back to replicas: everybody of the pool goes, three others come.
step_unpool() {
  begin_load
  k patch cluster main --type=merge -p '{"spec":{"pools":null,"replicas":3,"storage":{"size":"1Gi"}}}' >/dev/null
  until_true 400 pools_settled 3 0
  end_load
  racks_apart >"$dir/doubled" || fail "racks doubled: $(head -n 3 "$dir/doubled")"
  said="replicas again instead of pools: the data is on $(broker_ids); $(cat "$dir/checked")"
}

broker_field() { lines "{.status.brokers[?(@.id==$1)].$2}"; }
claims_of() { k get pvc -l "millrace.dev/cluster=main,millrace.dev/broker=$1" -o name; }
node_of() { k get pod "main-$1" -o 'jsonpath={.spec.nodeName}'; }
four_brokers() { [ "$(broker_ids | wc -w)" = 4 ] && settled "$(broker_ids)"; }
# A broker whose node is gone: what it held is made anew elsewhere, but for what nobody else had, which is named and left alone.
step_lost() {
  k scale cluster main --replicas=4 >/dev/null
  until_true 300 four_brokers
  # The one that shares its rack: then others of all racks are there.
  local victim rack node fragile
  rack=$(lines '{range .status.brokers[*]}{.rack}{"\n"}{end}' | sort | uniq -d)
  victim=$(lines "{range .status.brokers[?(@.rack==\"$rack\")]}{.id}{\"\n\"}{end}" | tail -n 1)
  k apply -f - >/dev/null <<'YAML'
apiVersion: millrace.dev/v1
kind: Topic
metadata: {name: fragile}
spec: {clusterRef: {name: main}, partitions: 8, replicas: 1}
YAML
  until_true 20 kubectl wait --timeout=1s --for=condition=Ready topic/fragile
  seq 800 | awk '{ print $1 ":" $1 }' | timeout 30 kcat -b "$bootstrap" -t fragile -P -K : -X acks=all
  fragile=$(held_by "$victim" fragile)
  [ "$fragile" -gt 0 ] || fail "broker $victim has no partition of its own"
  node=$(node_of "$victim")
  begin_load
  k cordon "$node" >/dev/null
  k delete pod "main-$victim" --force --grace-period=0 >/dev/null 2>&1
  until_true 60 is "broker $victim is lost" field .status.rebalance.trigger
  emptied() { [ "$(held_by "$victim")" = 0 ] && [ "$(held_by "$victim" __consumer_offsets)" = 0 ] && [ -z "$(field .status.rebalance.state)" ]; }
  until_true 200 emptied
  named() { field .status.message | grep -qE "fragile-[0-7] had all of its 1 replicas on lost brokers"; }
  until_true 40 named
  until_true 20 told ReplicasLost
  field '.status.conditions[?(@.type=="Available")].message' | grep -E "$fragile partitions? ha.* no leader: fragile-[0-7], whose replicas are on $victim" >/dev/null || fail "Available: $(condition Available)"
  expect "of fragile on the lost broker" "$fragile" "$(held_by "$victim" fragile)"
  expect "partitions without all replicas" 0 "$(replicas_of orders | awk '{ if (split($2, a, ",") != 3) ++n } END { print n + 0 }')"
  racks_apart >"$dir/doubled" || fail "racks doubled: $(head -n 3 "$dir/doubled")"
  # The node is back with its disk: so is what nobody else had, and the broker gets its share again.
  k uncordon "$node" >/dev/null
  until_true 300 four_brokers
  expect "records of fragile" 800 "$(timeout 30 kcat -b "$bootstrap" -t fragile -C -o beginning -e -q | sort -u | wc -l)"
  end_load
  said="broker $victim lost: rebuilt on the others, $fragile partitions that only it had are named and left alone, and are there when it is back; $(cat "$dir/checked")"
}

# A disk gone for good: claim and pod deleted. The broker comes back with an empty one and is filled from the others; what only
# that disk had is offline and named, never passed off as empty.
step_disk() {
  local victim fragile
  victim=$(lines '{.status.controllers.voters[0]}')
  fragile=$(held_by "$victim" fragile)
  disks_of() { k get pvc -l "millrace.dev/cluster=main,millrace.dev/broker=$1" -o 'jsonpath={.items[*].spec.volumeName}'; }
  local before; before=$(disks_of "$victim")
  begin_load
  for claim in $(claims_of "$victim"); do k delete "$claim" --wait=false >/dev/null; done
  k delete pod "main-$victim" --force --grace-period=0 >/dev/null 2>&1
  back() { [ "$(broker_field "$victim" state)" = Running ] && [ "$(field .status.health.underReplicated)" -le "$fragile" ] && [ "$(condition Balanced)" = True ] &&
           [ "$(timeout 10 kcat -b "$bootstrap" -L -t orders | grep -c 'isrs: [0-9]*,[0-9]*,[0-9]*$')" = $partitions ]; }
  until_true 200 back
  [ "$(disks_of "$victim")" != "$before" ] || fail "broker $victim has its old disk"
  if [ "$fragile" -gt 0 ]; then
    expect "partitions offline" "$fragile" "$(field .status.health.offlinePartitions)"
    field '.status.conditions[?(@.type=="Available")].message' | grep -E 'fragile-[0-7]' >/dev/null || fail "not named: $(field .status.message)"
  fi
  k delete topic fragile --ignore-not-found >/dev/null
  end_load
  said="the disk of voter $victim is gone for good: filled from the others; $fragile partitions that only it had are offline and named; $(cat "$dir/checked")"
}

# A volume more: brokers are restarted for it one after the other, then each moves its share of its replicas onto it.
on_volume() { # BROKER: partitions of orders on each of its volumes
  local volume
  for volume in $(k get pvc -l "millrace.dev/cluster=main,millrace.dev/broker=$1" -o 'jsonpath={.items[*].spec.volumeName}'); do
    find "$dir/data/volumes/$volume" -type d -name 'orders-[0-9]*' ! -name '*.*' | wc -l
  done
}
step_volumes() {
  local ids broker counts
  begin_load
  k patch cluster main --type=merge -p '{"spec":{"storage":{"size":null,"volumes":[{"id":0,"size":"1Gi"},{"id":1,"size":"1Gi"}]}}}' >/dev/null
  ids=$(broker_ids)
  both() { [ "$(lines '{.status.brokers[*].volumes}')" = "$(sed 's/[0-9]\+/[0,1]/g' <<<"$ids")" ] && settled "$ids"; }
  until_true 400 both
  for broker in $ids; do
    counts=$(on_volume "$broker" | tr '\n' ' ')
    awk '{ exit !(NF == 2 && $1 > 0 && $2 > 0 && $1 - $2 < 6 && $2 - $1 < 6) }' <<<"$counts" || fail "broker $broker has on its volumes: $counts"
  done
  end_load
  said="a second volume gets its share on each broker ($counts on broker $broker); $(cat "$dir/checked")"
}

# What can't be is refused before anything moves, with the numbers and the name.
step_refused() {
  local ids; ids=$(broker_ids)
  k scale cluster main --replicas=2 >/dev/null
  until_true 30 is Blocked field .status.rebalance.state
  field .status.message | grep -E "[a-z_]+-[0-9]+ can't leave broker [0-9]+: it has 3 replicas, and 2 brokers are left to take them" >/dev/null ||
    fail "the reason: $(field .status.message)"
  expect "brokers" "$ids" "$(broker_ids)"
  expect "cordoned brokers in events" 0 "$(k get events -o 'jsonpath={range .items[*]}{.lastTimestamp} {.reason}{"\n"}{end}' | awk -v t="$(date -u -d '-20 seconds' +%FT%TZ)" '$1 > t && $2 == "BrokersCordoned"' | wc -l)"
  k scale cluster main --replicas="$(wc -w <<<"$ids")" >/dev/null
  until_settled 60 "$ids"
  said="two brokers for three replicas are refused: $(event_of ScaleRefused | cut -d' ' -f3-)"
}

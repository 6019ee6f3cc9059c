#!/usr/bin/env bash
# The operator is killed in the middle of switchovers: right after the edit, and a moment later. There and back three times under a
# producer that writes to whoever takes its records; what it was told is there, once and in order.
source "$(dirname "$0")/lib.sh"
manifest=$(cd "$(dirname "$0")/../.." && pwd)/deploy/examples/mirror-pair.yaml
link() { k get mirrorlink "$2" -o "jsonpath={$1}"; }
ready_link() {  # NAME REASON
  [ "$(link '.status.conditions[?(@.type=="Ready")].status}{.status.conditions[?(@.type=="Ready")].reason' "$1")" = "True$2" ] &&
    [ "$(link .status.observedGeneration "$1")" = "$(link .metadata.generation "$1")" ]
}
patch() { k patch mirrorlink "$1" --type=merge -p "{\"spec\":$2}" >/dev/null; }
at() { field .status.summary.bootstrap "$1"; }
dump() { timeout 30 kcat -b "$1" -t orders -C -o beginning -e -q -f '%p %o %s\n' | sort -k1,1n -k2,2n; }
same() { dump "$east" >"$dir/east" && dump "$west" >"$dir/west" && [ -s "$dir/east" ] && cmp -s "$dir/east" "$dir/west"; }
# One record at a time; whoever refuses it is left for the other side. A number is told as written only where the broker said so.
writer() {
  local n=0 side=$east other=$west
  while [ ! -e "$dir/enough" ]; do
    n=$((n + 1))
    if echo "number-$n" | timeout 8 kcat -b "$side" -t orders -p 0 -P -X acks=all -X message.timeout.ms=3000 -X retries=0 2>/dev/null; then
      echo "number-$n" >>"$dir/told"
    else
      read -r side other <<<"$other $side"
    fi
  done
}
told() { [ -e "$dir/told" ] && wc -l <"$dir/told" || echo 0; }
more_told() { [ "$(told)" -ge $((before + 5)) ]; }
wait_for_records() { before=$(told); until_true 60 more_told; }
killed_and_back() { kill_operator; start_operator; }

start_operator --manifest "$manifest"
until_true 60 kubectl wait --timeout=1s --for=condition=Ready cluster/east cluster/west
east=$(at east) west=$(at west)
echo first | kcat -b "$east" -t orders -p 0 -P -X acks=all
until_true 60 same  # else west would make a topic of its own
until_true 60 ready_link east-to-west Mirroring
writer & helpers+=($!); written=$!
wait_for_records
for round in 1 2 3; do
  patch east-to-west '{"state":"Promoted","onExistingData":"Refuse"}'
  for _ in $(seq $((round - 1))); do pause; done
  killed_and_back
  until_true 60 ready_link east-to-west Promoted
  wait_for_records
  cat <<'YAML' | k apply -f - >/dev/null
apiVersion: millrace.dev/v1
kind: MirrorLink
metadata: {name: west-to-east}
spec: {clusterRef: {name: east}, source: {clusterRef: {name: west}}, topics: {include: ["orders*"]}, state: Mirroring, onExistingData: Truncate}
YAML
  until_true 60 ready_link west-to-east Mirroring
  wait_for_records
  patch west-to-east '{"state":"Promoted","onExistingData":"Refuse"}'
  for _ in $(seq $((3 - round))); do pause; done
  killed_and_back
  until_true 60 ready_link west-to-east Promoted
  patch east-to-west '{"state":"Mirroring","onExistingData":"Truncate"}'
  [ "$round" = 2 ] && killed_and_back
  until_true 60 ready_link east-to-west Mirroring
  wait_for_records
done
touch "$dir/enough"
wait "$written" || true
until_true 60 same
awk '$3 ~ /^number-/ { print $3 }' "$dir/west" >"$dir/arrived"
expect "records that were told and are not there, are there twice or in another order" "" "$(diff <(grep -Fxf "$dir/told" "$dir/arrived") "$dir/told" | head -3)"
expect "records that came twice" "" "$(sort "$dir/arrived" | uniq -d | head -3)"
expect "records cut by the switchovers" "" "$(link .status.gaps east-to-west)$(link .status.gaps west-to-east)"
echo "ok: $(told) records told over six switchovers"
kill "$pid"; wait "$pid" || fail "it didn't end cleanly"; pid=

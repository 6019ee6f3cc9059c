# The step `mirror` of run.sh; sourced after steps.sh. Two clusters, each on a node of its own, and a link between them: one side's
# node loses its power, the other side is promoted by one edit, and the way back is the edits of docs/disaster-recovery.md.

link() { k get mirrorlink "$1" -o "jsonpath={$2}"; }
link_is() {  # NAME REASON
  [ "$(link "$1" '.status.conditions[?(@.type=="Ready")].status}{.status.conditions[?(@.type=="Ready")].reason')" = "True$2" ] &&
    [ "$(link "$1" .status.observedGeneration)" = "$(link "$1" .metadata.generation)" ]
}
edit_link() { k patch mirrorlink "$1" --type=merge -p "{\"spec\":$2}" >/dev/null; }
at() { field .status.summary.bootstrap "$1"; }
put_at() { in_network kcat -b "$(at "$1")" -t mirrored -P -X acks=all -X message.timeout.ms=20000; }
dump_at() { in_network kcat -b "$(at "$1")" -t mirrored -C -o beginning -e -q -f '%p %o %T %s\n' | sort -k1,1n -k2,2n; }
same_at_both() { dump_at east >"$dir/east" && dump_at west >"$dir/west" && [ -s "$dir/east" ] && cmp -s "$dir/east" "$dir/west"; }
# all_at CLUSTER WORD COUNT: these records, each once.
all_at() {
  dump_at "$1" | awk -v w="$2-" '$4 ~ "^" w { print $4 }' | sort >"$dir/found"
  expect "records $2 in $1" "$3" "$(sort -u "$dir/found" | wc -l)"
  expect "records $2 in $1 that came twice" 0 "$(uniq -d "$dir/found" | wc -l)"
}
side() {  # NAME NODE
  printf 'apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: %s}\nspec: {replicas: 1, storage: {size: 1Gi}, template: {nodeSelector: {kubernetes.io/hostname: %s}}}\n---\n' "$1" "$2"
}
mirror_link() {  # NAME DESTINATION SOURCE MORE
  printf 'apiVersion: millrace.dev/v1\nkind: MirrorLink\nmetadata: {name: %s}\nspec: {clusterRef: {name: %s}, source: {clusterRef: {name: %s}}, topics: {include: [mirrored]}%s}\n' "$@"
}

step_mirror() {
  local west_node east_node from took
  west_node=$(k get pods -l app.kubernetes.io/name=millrace-operator -o 'jsonpath={.items[0].spec.nodeName}')
  east_node=$(kubectl get nodes -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' | grep -vxF "$west_node" | sed -n 1p)
  { side east "$east_node"; side west "$west_node"; } | k apply -f - >/dev/null
  wait_ready 120 east
  wait_ready 120 west
  until_true 30 reached "$(at east)"
  until_true 30 reached "$(at west)"
  expect "nodes of the two" "$east_node $west_node" "$(k get pod east-0 west-0 -o 'jsonpath={.items[*].spec.nodeName}')"
  seq -f 'first-%g' 2000 | put_at east
  mirror_link east-to-west west east '' | k apply -f - >/dev/null
  until_true 90 link_is east-to-west Mirroring
  until_true 60 same_at_both

  # The power goes while records come; what was acknowledged last may be lost, and is told.
  seq -f 'racing-%g' 200 | put_at east
  "$here/node.sh" stop "${east_node#node-}" >/dev/null
  from=$SECONDS
  edit_link east-to-west '{"state":"Promoted","promotion":"Forced"}'
  until_true 60 link_is east-to-west Promoted
  took=$((SECONDS - from))
  expect "partitions that take writes" 1 "$(link east-to-west .status.failoverReport.topics)"
  seq -f 'second-%g' 500 | put_at west
  all_at west first 2000
  all_at west second 500

  # The old primary is back with its disk, and follows; then the roles are swapped without a loss.
  "$here/node.sh" start "${east_node#node-}" >/dev/null
  wait_ready 200 east
  until_true 200 settled  # brokers of `main` were there, too
  mirror_link west-to-east east west ', onExistingData: Truncate' | k apply -f - >/dev/null
  until_true 120 link_is west-to-east Mirroring
  until_true 60 same_at_both
  edit_link west-to-east '{"state":"Promoted"}'
  until_true 90 link_is west-to-east Promoted
  expect "records lost by the planned switch back" 0 "$(link west-to-east .status.failoverReport.lostRecords)"
  edit_link east-to-west '{"state":"Mirroring","promotion":"Planned","onExistingData":"Truncate"}'
  until_true 90 link_is east-to-west Mirroring
  seq -f 'third-%g' 500 | put_at east
  until_true 60 same_at_both
  for side in east west; do all_at $side first 2000; all_at $side second 500; all_at $side third 500; done
  k delete mirrorlink east-to-west west-to-east --wait --timeout=60s >/dev/null
  k delete mrc east west --wait --timeout=90s >/dev/null
  said="a node loses its power: its cluster's mirror takes writes $took s after one edit; failed back by three, both sides the same"
}

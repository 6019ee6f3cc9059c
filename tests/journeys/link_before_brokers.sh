#!/usr/bin/env bash
# A mirror link that is stored before the first broker of its cluster has registered: the broker comes up all the same, and mirrors.
source "$(dirname "$0")/lib.sh"
admin_call=$2
read -r here first second admin there < <(free_ports 5)
common=(offsets.topic.replication.factor=1 offsets.topic.num.partitions=1 millrace.metrics.listener= controller.listener.names=CONTROLLER num.partitions=1)
start source "log.dirs=$dir/source" "listeners=PLAINTEXT://127.0.0.1:$there,CONTROLLER://127.0.0.1:0" millrace.admin.listener= "${common[@]}"
until_true 20 answers "127.0.0.1:$there"
seq 1 50 | timeout 20 kcat -b "127.0.0.1:$there" -t orders -P -X acks=all

# Half a quorum: what it is asked for waits, and is decided as soon as there is a controller.
quorum=(cluster.id=JourneyOfEarlyLinks1 "controller.quorum.voters=1@127.0.0.1:$first,2@127.0.0.1:$second")
start here node.id=1 process.roles=controller,broker "${quorum[@]}" "log.dirs=$dir/here" \
  "listeners=PLAINTEXT://127.0.0.1:$here,CONTROLLER://127.0.0.1:$first" "millrace.admin.listener=127.0.0.1:$admin" "${common[@]}"
listens() { grep event=edge.listening "$dir/here.log"; }
until_true 20 listens
for name in one two three four; do
  timeout 30 "$admin_call" "127.0.0.1:$admin" ApplyLink \
    '{"link":{"name":"'$name'","source":{"bootstrap_servers":["127.0.0.1:'"$there"'"]},"topics":{"include":["'"${name/one/orders}"'"]}}}' \
    >"$dir/$name.applied" 2>&1 &
  asked+=($!)
done
start other node.id=2 process.roles=controller "${quorum[@]}" "log.dirs=$dir/other" "listeners=CONTROLLER://127.0.0.1:$second" \
  millrace.admin.listener= "${common[@]}"
for one in "${asked[@]}"; do wait "$one" || fail "a link was refused: $(cat "$dir"/*.applied)"; done
until_true 20 answers "127.0.0.1:$here"
mirrored() { [ "$(timeout 10 kcat -b "127.0.0.1:$here" -t orders -C -o beginning -e -q | wc -l)" = 50 ]; }
until_true 30 mirrored

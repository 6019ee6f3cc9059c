#!/usr/bin/env bash
# Holds the metadata quorum of broker/raft against Apache Kafka:
#   1. kafka-dump-log decodes every record of our log and of our snapshots;
#   2. kafka-metadata-quorum describes a quorum of ours;
#   3. Kafka's controller leads, two of ours follow it and are made voters by Kafka's tool; Kafka is
#      killed, one of ours leads at once; Kafka comes back and follows; Kafka's tool removes it;
#   4. an empty Kafka controller joins ours, far behind: it takes our snapshot and goes on from there.
#
#   run.sh QUORUM_NODE     the program built from tests/peers
#
# KAFKA_PEER: the script that runs Kafka's tools (kafka-peer.sh with `cli` and `java`).
# Ports: BASE_PORT (19700) and the nine above it, away from Kafka's own and from the peer brokers'.
set -euo pipefail
tool=$(realpath "$1")
peer=${KAFKA_PEER:?the script that runs Kafka\'s tools}
base=${BASE_PORT:-19700}
cluster=AAAAAAAAAAAAAAAAAAAAAg
work=$(mktemp -d /tmp/quorum-peers-XXXXXX)
declare -A pids
trap 'for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null || true; done; rm -rf "$work"' EXIT

fail() { echo "FAILED: $*" >&2; tail -n 5 "$work"/*.err >&2 || true; exit 1; }
port() { echo $((base + $1)); }

ours() { # id arguments...
    local id=$1
    "$tool" "$id" "$(port "$id")" "$work/d$id" $cluster "${@:2}" > "$work/n$id.out" 2> "$work/n$id.err" &
    pids[$id]=$!
}

# What a person would write for node $1, whoever runs it.
properties() { # id servers
    cat > "$work/c$1.properties" <<CONF
process.roles=controller
node.id=$1
controller.quorum.bootstrap.servers=$2
listeners=CONTROLLER://127.0.0.1:$(port "$1")
advertised.listeners=CONTROLLER://127.0.0.1:$(port "$1")
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT
log.dirs=$work/m$1
CONF
}

kafka() { # id
    KAFKA_PEER_LOG=INFO KAFKA_PEER_TOOL_HEAP=400m "$peer" java kafka.Kafka "$work/c$1.properties" \
        > "$work/k$1.out" 2>&1 &
    pids[$1]=$!
}

quorum() { # id of the node to ask, arguments...; the answer is in $work/tool.txt
    timeout 60 "$peer" cli metadata-quorum --bootstrap-controller "127.0.0.1:$(port "$1")" "${@:2}" \
        > "$work/tool.txt" 2>&1 || true
}
said() { # pattern
    grep -q "$1" "$work/tool.txt"
}

stop() { kill "-${2:-TERM}" "${pids[$1]}" 2>/dev/null || true; wait "${pids[$1]}" 2>/dev/null || true; unset "pids[$1]"; }

await() { # seconds command...
    local end=$((SECONDS + $1))
    until "${@:2}" 2>/dev/null; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}
leads() { [ "$(grep '^leader' "$work/n$1.out" | tail -1 | grep -c '(self)')" = 1 ]; }
one_leads() { leads 2 || leads 3; }
status_of() { # id of the node to ask, id, wanted status
    quorum "$1" describe --replication
    [ "$(awk -v id="$2" '$1 == id {print $NF, $4}' "$work/tool.txt")" = "$3 0" ]
}

# ---- 1, 2: files and the tool ---------------------------------------------------------------------
ours 1 "voters=1@127.0.0.1:$(port 1)" topics=60 snapshot=50
await 10 grep -q "121 records" "$work/n1.out" || fail "a quorum of one does not get going"
quorum 1 describe --status
said '^HighWatermark: *[1-9]' || fail "describe --status"
status_of 1 1 Leader || fail "describe --replication"
echo "ok kafka-metadata-quorum describes our quorum"
folder=$work/d1/__cluster_metadata-0
files=0
for file in "$folder"/*.log "$folder"/*.checkpoint; do
    "$peer" cli dump-log --cluster-metadata-decoder --files "$file" > "$work/dump.txt" 2>&1 || fail "dump-log $file"
    grep -qE 'TOPIC_RECORD' "$work/dump.txt" || fail "dump-log finds no records in $file"
    ! grep -qE 'Exception|isvalid: false|Found .* bytes|could not' "$work/dump.txt" || fail "dump-log $file"
    files=$((files + 1))
done
[ $files -ge 2 ] || fail "there should be a log and a snapshot"
echo "ok kafka-dump-log decodes our log and snapshots ($files files)"
stop 1

# ---- 3: one quorum of both ------------------------------------------------------------------------
properties 9 "127.0.0.1:$(port 9)"
"$peer" java kafka.tools.StorageTool format -t $cluster -c "$work/c9.properties" --standalone > "$work/format.txt" 2>&1 || fail "format"
kafka 9
servers=servers=127.0.0.1:$(port 9),127.0.0.1:$(port 2),127.0.0.1:$(port 3)
ours 2 "$servers"
ours 3 "$servers"
for id in 2 3; do
    await 30 grep -q "leader 9" "$work/n$id.out" || fail "$id does not follow Kafka"
    properties $id "127.0.0.1:$(port 9)"
    mkdir "$work/m$id"
    printf 'version=1\ncluster.id=%s\nnode.id=%s\ndirectory.id=%s\n' $cluster $id "$(cat "$work/d$id/directory.id")" > "$work/m$id/meta.properties"
    quorum 9 --command-config "$work/c$id.properties" add-controller
    said "Added controller $id" || fail "Kafka does not add $id: $(tail -2 "$work/tool.txt")"
done
status_of 9 2 Follower || fail "2 is not a voter of Kafka's"
status_of 9 3 Follower || fail "3 is not a voter of Kafka's"
echo "ok two of ours are voters under Kafka's leader"
stop 9 KILL
await 5 one_leads || fail "none of ours leads after Kafka's death"
kafka 9
await 40 status_of 2 9 Follower || fail "Kafka does not follow ours"
echo "ok one of ours leads after Kafka's death, and Kafka follows it"
directory=$(sed -n 's/^directory.id=//p' "$work/m9/meta.properties")
quorum 2 remove-controller --controller-id 9 --controller-directory-id "$directory"
said "Removed *KRaft controller 9" || fail "Kafka's tool does not remove a voter of ours: $(tail -2 "$work/tool.txt")"
quorum 2 describe --status
said '^CurrentVoters:.*"id": 2' && ! said '^CurrentVoters:.*"id": 9' || fail "9 is still a voter"
echo "ok Kafka's tool removes a voter of ours"
stop 9 KILL
stop 2
stop 3

# ---- 4: Kafka takes our snapshot --------------------------------------------------------------------
ours 4 "voters=4@127.0.0.1:$(port 4)" topics=200 snapshot=100
await 20 grep -q "401 records" "$work/n4.out" || fail "4 does not get going"
properties 8 "127.0.0.1:$(port 4)"
"$peer" java kafka.tools.StorageTool format -t $cluster -c "$work/c8.properties" --no-initial-controllers > "$work/format.txt" 2>&1 || fail "format 8"
kafka 8
await 40 status_of 4 8 Observer || fail "Kafka does not catch up with ours"
ls "$work"/m8/__cluster_metadata-0/*.checkpoint > /dev/null || fail "Kafka did not take our snapshot"
! grep -qE ' (ERROR|FATAL) .*(snapshot|Snapshot|Fetch|corrupt)' "$work/k8.out" || fail "Kafka complains: $(grep -E ' (ERROR|FATAL) ' "$work/k8.out" | head -2)"
echo "ok an empty Kafka controller takes our snapshot and follows"
echo "ok all"

#!/usr/bin/env bash
# Programs that are built on Kafka, unchanged, on three brokers of ours while members and brokers are killed:
#   streams   a Kafka Streams word count, two instances with standby stores
#   connect   Kafka Connect, distributed, file source and sink
#   mirror    MirrorMaker 2 from one topic to another of the same cluster
#   run.sh [BROKER]     ONLY=streams for one of them
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
broker=$(realpath "${1:-${MILLRACE_BROKER:-$here/../../build/release/bin/millrace-broker}}")
peer=$here/../peers/kafka/kafka-peer.sh
libs=${KAFKA_PEER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/kafka-peer}/libs
[ -d "$libs" ] || "$peer" install >/dev/null
source "$here/../../tests/journeys/lib.sh" "$broker"
work=$dir
fail() { echo "FAILED  $*"; exit 1; }
ok() { printf 'ok      %s\n' "$*"; }
read -r -a port < <(free_ports 7)
port=(0 "${port[@]}")
all=127.0.0.1:${port[1]},127.0.0.1:${port[2]},127.0.0.1:${port[3]}
start_broker() {
  start "broker$1" "node.id=$1" process.roles=broker,controller "log.dirs=$work/d$1" "broker.rack=rack-$1" \
    "listeners=PLAINTEXT://127.0.0.1:${port[$1]},CONTROLLER://127.0.0.1:${port[$1 + 3]}" controller.listener.names=CONTROLLER \
    "controller.quorum.voters=1@127.0.0.1:${port[4]},2@127.0.0.1:${port[5]},3@127.0.0.1:${port[6]}" \
    cluster.id=EcosystemClusterId0001 default.replication.factor=3 min.insync.replicas=2 \
    offsets.topic.num.partitions=6 millrace.admin.listener= millrace.metrics.listener=
}
for n in 1 2 3; do start_broker $n; done
three() { [ "$(timeout 3 kcat -b "$all" -L | grep -c '^  broker ')" = 3 ]; }
until_true 40 three
java_run() { # name class args...
  local name=$1; shift
  java -Xmx400m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$work/classes:$libs/*" "$@" >"$work/$name.log" 2>&1 &
  pids[$name]=$!
}
create() { timeout 60 "$peer" cli topics --bootstrap-server "$all" --create --topic "$1" --partitions "$2" --replication-factor 3 >"$work/create.log" 2>&1 || fail "create $1"; }
kill_and_return() { kill_hard "broker$1"; start_broker "$1"; until_true 40 three; }

streams() {
  mkdir -p "$work/classes"
  javac -cp "$libs/*" -d "$work/classes" "$here/WordCount.java" 2>"$work/javac.log" || fail "WordCount.java does not compile"
  create lines 4
  create counts 4
  feed() { for i in $(seq "$1" "$2"); do echo "$i:the quick brown fox $((i % 10))"; done | timeout 60 kcat -P -b "$all" -t lines -K: -X acks=all; }
  counted() { timeout 20 kcat -C -e -q -b "$all" -t counts -o beginning -s value=q -f '%k %s\n' | awk '$2 > most[$1] {most[$1] = $2} END {for (word in most) print word, most[word]}' | sort; }
  has_counted() { [ "$(counted | awk -v least="$1" '$2 >= least && /^[a-z]/' | wc -l)" = 4 ]; }
  java_run streams-a WordCount "$all" "$work/a" a
  feed 1 500
  until_true 90 has_counted 500
  [ "$(counted | tr '\n' ' ')" = "0 50 1 50 2 50 3 50 4 50 5 50 6 50 7 50 8 50 9 50 brown 500 fox 500 quick 500 the 500 " ] || fail "streams: wrong counts: $(counted | tr '\n' ' ')"
  java_run streams-b WordCount "$all" "$work/b" b
  until_true 60 grep -q 'state RUNNING' "$work/streams-b.log"
  feed 501 1000
  kill_hard streams-a
  kill_and_return 2
  feed 1001 1500
  until_true 120 has_counted 1500
  # At least once: what the killed instance had not committed may count twice, nothing may be missing.
  counted | awk '$2 < (/^[a-z]/ ? 1500 : 150) || $2 > (/^[a-z]/ ? 2000 : 200) {bad = 1; print} END {exit bad}' || fail "streams: counts after a kill"
  kill_hard streams-b
  ok "streams: counts are right through the death of an instance and of a broker"
}

connect() {
  mkdir -p "$work/plugins"
  cp "$libs"/connect-file-*.jar "$work/plugins/"
  rest=http://127.0.0.1:${port[7]}
  cat >"$work/connect.properties" <<CONF
bootstrap.servers=$all
group.id=connect-cluster
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.storage.topic=connect-offsets
offset.storage.replication.factor=3
config.storage.topic=connect-configs
config.storage.replication.factor=3
status.storage.topic=connect-status
status.storage.replication.factor=3
offset.flush.interval.ms=500
listeners=HTTP://127.0.0.1:${port[7]}
plugin.path=$work/plugins
CONF
  worker() { java_run "$1" org.apache.kafka.connect.cli.ConnectDistributed "$work/connect.properties"; until_true 90 curl -sf "$rest/connectors"; }
  worker connect-a
  seq 1 1000 >"$work/in.txt"
  put() { curl -sf -X POST -H 'content-type: application/json' "$rest/connectors" -d "$1" >"$work/rest.log" || fail "connect: $(cat "$work/rest.log")"; }
  put "{\"name\":\"source\",\"config\":{\"connector.class\":\"FileStreamSource\",\"file\":\"$work/in.txt\",\"topic\":\"files\",\"tasks.max\":\"1\"}}"
  put "{\"name\":\"sink\",\"config\":{\"connector.class\":\"FileStreamSink\",\"file\":\"$work/out.txt\",\"topics\":\"files\",\"tasks.max\":\"1\"}}"
  lines_out() { [ "$(sort -un "$work/out.txt" | wc -l)" = "$1" ]; }
  until_true 90 lines_out 1000
  cmp -s "$work/in.txt" "$work/out.txt" || fail "connect: the sink's file is another"
  kill "${pids[connect-a]}"; wait "${pids[connect-a]}" || true; unset "pids[connect-a]"
  kill_and_return 3
  seq 1001 2000 >>"$work/in.txt"
  worker connect-b
  until_true 120 lines_out 2000
  cmp -s "$work/in.txt" "$work/out.txt" || fail "connect: after a clean restart the sink's file is another"
  kill_hard connect-b
  ok "connect: source and sink go on where they were after a restart of the worker and the death of a broker"
}

mirror() {
  cat >"$work/mm2.properties" <<CONF
clusters=a,b
a.bootstrap.servers=$all
b.bootstrap.servers=$all
a->b.enabled=true
a->b.topics=origin
b->a.enabled=false
replication.factor=3
checkpoints.topic.replication.factor=3
heartbeats.topic.replication.factor=3
offset-syncs.topic.replication.factor=3
offset.storage.replication.factor=3
status.storage.replication.factor=3
config.storage.replication.factor=3
refresh.topics.interval.seconds=3
CONF
  create origin 3
  seq 1 3000 | timeout 60 kcat -P -b "$all" -t origin -X acks=all
  java_run mm2 org.apache.kafka.connect.mirror.MirrorMaker "$work/mm2.properties"
  arrived() { [ "$(timeout 20 kcat -C -e -q -b "$all" -t a.origin -o beginning | sort -un | wc -l)" = "$1" ]; }
  until_true 120 arrived 3000
  kill_and_return 1
  seq 3001 5000 | timeout 60 kcat -P -b "$all" -t origin -X acks=all
  until_true 120 arrived 5000
  kill_hard mm2
  ok "mirror: MirrorMaker 2 copies everything, through the death of a broker"
}

for part in ${ONLY:-streams connect mirror}; do $part; done

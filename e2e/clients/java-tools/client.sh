#!/usr/bin/env bash
# The command line tools of Kafka 4.3.1: what people script against.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "$1" = prepare ]; then exec "$here/../java/packages.sh" tools; fi
source "$here/../lib.sh"
declare -A classes=(
  [topics]=TopicCommand [configs]=kafka.admin.ConfigCommand [console-producer]=ConsoleProducer [console-consumer]=consumer.ConsoleConsumer
  [consumer-groups]=consumer.group.ConsumerGroupCommand [get-offsets]=GetOffsetShell [delete-records]=DeleteRecordsCommand
  [log-dirs]=LogDirsCommand [dump-log]=DumpLogSegments [verifiable-producer]=VerifiableProducer [verifiable-consumer]=VerifiableConsumer
  [producer-perf]=ProducerPerformance [consumer-perf]=ConsumerPerformance [cluster]=ClusterTool [metadata-quorum]=MetadataQuorumCommand
  [broker-api-versions]=BrokerApiVersionsCommand [reassign]=reassign.ReassignPartitionsCommand [leader-election]=LeaderElectionCommand
  [groups]=GroupsCommand
)
# tool NAME ARGS...
tool() {
  local class=${classes[$1]}; shift
  case $class in kafka.*) ;; *) class=org.apache.kafka.tools.$class ;; esac
  timeout 60 java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$MILLRACE_E2E_CACHE/java/tools/libs/*" "$class" "$@"
}
# talk NAME ARGS...: a tool that speaks to the cluster; its words go to $scratch/out, a bad end is a failure.
talk() {
  local name=$1; shift
  tool "$name" --bootstrap-server "$BOOTSTRAP" "$@" >"$scratch/out" 2>"$scratch/err" || fail "$name $*: $(tail -n 3 "$scratch/err" "$scratch/out" | tr '\n' ' ')"
}
says() { grep -qE -- "$1" "$scratch/out" || fail "nothing like /$1/ in: $(head -c 400 "$scratch/out" | tr '\n' ' ')"; }
# refuses PATTERN NAME ARGS...
refuses() {
  local pattern=$1 name=$2; shift 2
  # Some tools report a refusal with status 0, as they do of Kafka: the words decide.
  tool "$name" --bootstrap-server "$BOOTSTRAP" "$@" >"$scratch/out" 2>&1 || true
  says "$pattern"
}
copies=$((NODES < 3 ? 1 : 3))
new_topic() { local topic; topic=$(fresh tools); talk topics --create --topic "$topic" --partitions "${1:-4}" --replication-factor $copies; echo "$topic"; }
fill() { seq -f "${3:-line}-%g" 1 "$2" | tool console-producer --bootstrap-server "$BOOTSTRAP" --topic "$1" >"$scratch/out" 2>&1 || fail "console-producer: $(tail -n 2 "$scratch/out")"; }

check_topics() {
  local topic; topic=$(new_topic 3)
  talk topics --list; says "^$topic\$"
  talk topics --describe --topic "$topic"; says "PartitionCount: 3.*ReplicationFactor: $copies"; says "Partition: 2.*Leader: [1-3]"
  refuses "already exists" topics --create --topic "$topic" --partitions 3 --replication-factor $copies
  talk topics --create --if-not-exists --topic "$topic" --partitions 3 --replication-factor $copies
  refuses "9 replicas|[Rr]eplication factor" topics --create --topic "$(fresh x)" --partitions 1 --replication-factor 9
  talk topics --alter --topic "$topic" --partitions 5
  talk topics --describe --topic "$topic"; says "PartitionCount: 5"
  refuses "would not be (an increase|more)|InvalidPartitions" topics --alter --topic "$topic" --partitions 2
  talk topics --describe --under-replicated-partitions; expect "under-replicated" "" "$(cat "$scratch/out")"
  talk topics --delete --topic "$topic"
  talk topics --list; if grep -q "^$topic\$" "$scratch/out"; then fail "still listed after its deletion"; fi
  refuses "does not exist" topics --describe --topic "$topic"
  echo "create, list, describe, alter, delete"
}
check_configs() {
  local topic; topic=$(new_topic 1)
  talk configs --alter --entity-type topics --entity-name "$topic" --add-config retention.ms=1234567,cleanup.policy=[delete,compact]
  talk configs --describe --entity-type topics --entity-name "$topic"; says "retention.ms=1234567"; says "cleanup.policy=delete,compact"
  talk topics --describe --topic "$topic"; says "Configs:.*retention.ms=1234567"
  refuses "InvalidConfig|Invalid value soon" configs --alter --entity-type topics --entity-name "$topic" --add-config retention.ms=soon
  talk configs --alter --entity-type topics --entity-name "$topic" --delete-config retention.ms
  talk configs --describe --entity-type topics --entity-name "$topic"; if grep -q retention.ms "$scratch/out"; then fail "retention.ms is still set"; fi
  talk configs --describe --all --entity-type topics --entity-name "$topic"; says "retention.ms=604800000"
  talk configs --alter --entity-type brokers --entity-default --add-config log.retention.ms=777777777
  talk configs --describe --entity-type brokers --entity-default; says "log.retention.ms=777777777"
  talk configs --describe --all --entity-type topics --entity-name "$topic"; says "retention.ms=777777777.*DYNAMIC_DEFAULT_BROKER_CONFIG"
  talk configs --alter --entity-type brokers --entity-default --delete-config log.retention.ms
  talk configs --alter --entity-type groups --entity-name g --add-config consumer.session.timeout.ms=50000
  talk configs --describe --entity-type groups --entity-name g; says "consumer.session.timeout.ms=50000"
  talk configs --describe --all --entity-type brokers --entity-name 1; says "log.dirs=.*STATIC_BROKER_CONFIG"
  echo "topics, brokers, groups"
}
check_console() {
  local topic; topic=$(new_topic 1)
  for i in $(seq 200); do printf 'h1:%d,h2:x\tkey-%d\tvalue number %d\n' "$i" "$i" "$i"; done >"$scratch/want"
  tool console-producer --bootstrap-server "$BOOTSTRAP" --topic "$topic" \
    --reader-property parse.key=true --reader-property parse.headers=true --command-property acks=all <"$scratch/want" >"$scratch/out" 2>&1 || fail "$(tail -n 2 "$scratch/out")"
  talk console-consumer --topic "$topic" --from-beginning --max-messages 200 --formatter-property print.key=true --formatter-property print.headers=true
  same_file "what came back" "$scratch/want" "$scratch/out"
  talk console-consumer --topic "$topic" --partition 0 --offset 150 --max-messages 50
  expect "the first from offset 150" "value number 151" "$(head -n 1 "$scratch/out")"
  talk console-consumer --topic __consumer_offsets --from-beginning --max-messages 1 --formatter org.apache.kafka.tools.consumer.OffsetsMessageFormatter --timeout-ms 4000
  echo "200 records with keys and headers"
}
check_consumer_groups() {
  local topic group; topic=$(new_topic 1); group=$(fresh g)
  fill "$topic" 100
  talk console-consumer --topic "$topic" --group "$group" --from-beginning --max-messages 100
  talk consumer-groups --list; says "^$group\$"
  talk consumer-groups --describe --group "$group"; says "$group +$topic +0 +100 +100 +0 "
  talk consumer-groups --describe --group "$group" --state; says "$group .*Empty +0"
  talk consumer-groups --reset-offsets --group "$group" --topic "$topic" --to-earliest --execute; says "$group +$topic +0 +0"
  talk consumer-groups --describe --group "$group" --offsets; says "$group +$topic +0 +0 +100 +100 "
  talk consumer-groups --reset-offsets --group "$group" --topic "$topic:0" --shift-by 3 --execute; says "$group +$topic +0 +3"
  talk consumer-groups --reset-offsets --group "$group" --all-topics --to-datetime 2099-01-01T00:00:00.000 --dry-run
  talk console-consumer --topic "$topic" --group "$group" --max-messages 97
  talk consumer-groups --delete-offsets --group "$group" --topic "$topic"; says "Successful"
  talk consumer-groups --delete --group "$group"; says "Deletion of requested consumer groups.*was successful"
  refuses "not.*(found|exist)|GroupIdNotFound" consumer-groups --delete --group "$group"
  echo "list, describe, state, reset three ways, delete"
}
check_groups() {
  local topic group; topic=$(new_topic 2); group=$(fresh new)
  fill "$topic" 20
  talk console-consumer --topic "$topic" --group "$group" --from-beginning --max-messages 20 --command-property group.protocol=consumer
  talk groups --list; says "$group +Consumer +consumer"
  talk consumer-groups --describe --group "$group" --members --verbose
  talk consumer-groups --describe --group "$group" --state; says "$group .*Empty"
  talk consumer-groups --delete --group "$group"
  echo "a group of the consumer protocol"
}
check_get_offsets() {
  local topic; topic=$(new_topic 1); fill "$topic" 30
  talk get-offsets --topic "$topic"; says "^$topic:0:30\$"
  talk get-offsets --topic "$topic" --time earliest; says "^$topic:0:0\$"
  talk get-offsets --topic "$topic" --time max-timestamp; says "^$topic:0:[0-9]+\$"
  talk get-offsets --topic "$topic" --time 4000000000000; expect "offsets after the year 2096" "" "$(cat "$scratch/out")"
  talk get-offsets --topic-partitions "$topic:0" --time 0; says "^$topic:0:0\$"
  echo "latest, earliest, by time"
}
check_delete_records() {
  local topic; topic=$(new_topic 1); fill "$topic" 50
  echo "{\"partitions\":[{\"topic\":\"$topic\",\"partition\":0,\"offset\":20}],\"version\":1}" >"$scratch/delete.json"
  talk delete-records --offset-json-file "$scratch/delete.json"; says "low_watermark: 20"
  talk get-offsets --topic "$topic" --time earliest; says "^$topic:0:20\$"
  echo "20 of 50 records"
}
check_log_dirs() {
  local topic; topic=$(new_topic 2); fill "$topic" 100
  talk log-dirs --describe --topic-list "$topic"
  tail -n 1 "$scratch/out" | python3 -c '
import json, sys
brokers = json.load(sys.stdin)["brokers"]
assert len(brokers) == int(sys.argv[1]), brokers
for broker in brokers:
    for directory in broker["logDirs"]:
        assert directory["error"] is None, directory
        assert sum(p["size"] for p in directory["partitions"]) > 0 and len(directory["partitions"]) == 2, directory
' "$NODES" 2>"$scratch/py" || fail "$(tail -n 1 "$scratch/py")"
  echo "sizes of each partition on each broker"
}
check_dump_log() {
  local topic log; topic=$(new_topic 1)
  for codec in none gzip snappy lz4 zstd; do
    seq -f "$codec-%g" 1 20 | tool console-producer --bootstrap-server "$BOOTSTRAP" --topic "$topic" --compression-codec $codec >/dev/null 2>"$scratch/err" || fail "$(tail -n 1 "$scratch/err")"
  done
  log=$(ls "$MILLRACE_E2E_STATE"/node1.data/"$topic"-0/*.log)
  tool dump-log --files "$log" --print-data-log --deep-iteration >"$scratch/out" 2>&1 || fail "$(tail -n 2 "$scratch/out")"
  expect "records dumped" 100 "$(grep -c '| offset:' "$scratch/out")"
  if grep -q 'isvalid: false' "$scratch/out"; then fail "an invalid batch"; fi
  for codec in none gzip snappy lz4 zstd; do says "compresscodec: $codec"; done
  # Indexes of a segment that is complete: the active one's are written when it rolls.
  talk configs --alter --entity-type topics --entity-name "$topic" --add-config segment.bytes=1048576
  talk producer-perf --topic "$topic" --num-records 30000 --record-size 100 --throughput -1 --command-property acks=all
  ls "${log%/*}"/*.log | head -n -1 | sed 's/log$/index/' >"$scratch/indexes"
  [ -s "$scratch/indexes" ] || fail "no segment rolled: $(ls "${log%/*}")"
  sed 'p;s/index$/timeindex/' "$scratch/indexes" | paste -sd, >"$scratch/files"
  tool dump-log --files "$(cat "$scratch/files")" --index-sanity-check >"$scratch/out" 2>&1 || fail "indexes: $(grep -v '^.at' "$scratch/out" | tail -n 2)"
  expect "sane indexes" "$(($(wc -l <"$scratch/indexes") * 2))" "$(grep -c 'passed sanity check' "$scratch/out")"
  tool dump-log --cluster-metadata-decoder --files "$(ls "$MILLRACE_E2E_STATE"/node1.data/__cluster_metadata-0/*.log | tail -n 1)" >"$scratch/out" 2>&1 || fail "metadata: $(tail -n 2 "$scratch/out")"
  says '"type":"(TOPIC|PARTITION)_RECORD"'
  tool dump-log --offsets-decoder --files "$(ls "$MILLRACE_E2E_STATE"/node1.data/__consumer_offsets-0/*.log | tail -n 1)" >"$scratch/out" 2>&1 || fail "offsets: $(tail -n 2 "$scratch/out")"
  echo "records of 5 codecs, indexes, metadata, offsets"
}
# The counts of each poll: {"timestamp":..,"name":"records_consumed","count":500,"partitions":[..]}
consumed() {
  python3 -c 'import json, sys
for line in sys.stdin:
    event = json.loads(line)
    if event["name"] == "records_consumed": print(event["count"])' <"$scratch/out"
}
check_verifiable() {
  local topic group; topic=$(new_topic 4); group=$(fresh v)
  talk verifiable-producer --topic "$topic" --max-messages 2000 --acks -1 --throughput -1; says '"name":"tool_data".*"sent":2000.*"acked":2000|"acked":2000.*"sent":2000'
  talk verifiable-consumer --topic "$topic" --group-id "$group" --max-messages 2000 --reset-policy earliest
  expect "records consumed" 2000 "$(consumed | paste -sd+ | bc)"
  says '"success":true'
  talk verifiable-consumer --topic "$topic" --group-id "$(fresh v)" --max-messages 2000 --reset-policy earliest --group-protocol consumer
  expect "records consumed by the new protocol" 2000 "$(consumed | paste -sd+ | bc)"
  echo "2000 acknowledged, 2000 consumed, twice"
}
check_producer_perf() {
  local topic; topic=$(new_topic 4)
  talk producer-perf --topic "$topic" --num-records 50000 --record-size 100 --throughput -1 --command-property acks=all compression.type=lz4; says '^50000 records sent'
  talk get-offsets --topic "$topic"
  expect "records in the log" 50000 "$(cut -d: -f3 "$scratch/out" | paste -sd+ | bc)"
  echo "50000 records"
}
check_consumer_perf() {
  local topic; topic=$(new_topic 4)
  talk producer-perf --topic "$topic" --num-records 20000 --record-size 100 --throughput -1 --command-property acks=1
  talk consumer-perf --topic "$topic" --num-records 20000 --timeout 20000
  expect "records read" 20000 "$(tail -n 1 "$scratch/out" | cut -d, -f5 | tr -d ' ')"
  echo "20000 records"
}
check_cluster() {
  tool cluster cluster-id --bootstrap-server "$BOOTSTRAP" >"$scratch/out" 2>&1 || fail "$(tail -n 1 "$scratch/out")"; says "Cluster ID: ClientsEndToEnd000001"
  tool cluster list-endpoints --bootstrap-server "$BOOTSTRAP" >"$scratch/out" 2>&1 || fail "$(tail -n 1 "$scratch/out")"; says "^1 .*${BOOTSTRAP%%:*}"
  echo "cluster-id, list-endpoints"
}
check_broker_api_versions() {
  talk broker-api-versions; says "Produce\(0\): .*\[usable: "; says "ConsumerGroupHeartbeat\(68\)"
  echo "$(grep -c 'usable' "$scratch/out") APIs usable, $(grep -c UNSUPPORTED "$scratch/out" || true) not served"
}
check_metadata_quorum() {
  talk metadata-quorum describe --status; says "LeaderId: +[1-3]"; says "CurrentVoters: .*\"id\": 1"
  talk metadata-quorum describe --replication; says "^1 .*(Leader|Follower)"
  echo "status, replication"
}
check_reassign() {
  local topic targets; topic=$(new_topic 1)
  targets=$([ "$NODES" = 3 ] && echo 3,1,2 || echo 1)
  echo "{\"version\":1,\"partitions\":[{\"topic\":\"$topic\",\"partition\":0,\"replicas\":[$targets]}]}" >"$scratch/move.json"
  talk reassign --reassignment-json-file "$scratch/move.json" --execute; says "Successfully started partition reassignment"
  talk reassign --reassignment-json-file "$scratch/move.json" --verify; says "is complete|is completed"
  talk reassign --list; says "No partition reassignments found"
  echo "execute, verify, list"
}
check_leader_election() {
  local topic; topic=$(new_topic 1)
  talk leader-election --election-type preferred --topic "$topic" --partition 0; says "Valid replica already elected|Successfully completed"
  echo "preferred"
}
run_checks

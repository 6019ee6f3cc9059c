#!/usr/bin/env bash
# Kafka's own cluster tools (4.3.1) run a cluster of ours from its first broker on: one broker grows to three voters
# without a reformat, is described, reassigned, re-elected and shrunk, asked at a broker and at a controller.
#   run.sh [BROKER]     prints a line for each step; the first that fails ends it
set -euo pipefail
cd "$(dirname "$0")/../.."
broker=$(realpath "${1:-${MILLRACE_BROKER:-build/release/bin/millrace-broker}}")
cache=${MILLRACE_E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/e2e}
export MILLRACE_E2E_CACHE=$cache
e2e/clients/java/packages.sh tools
source tests/journeys/lib.sh "$broker"
work=$dir
fail() { echo "FAILED  $*"; exit 1; }
ok() { printf 'ok      %s\n' "$*"; }
read -r -a port < <(free_ports 11)
port=(0 "${port[@]}")
at() { echo "127.0.0.1:${port[$1]}"; }               # broker N
controller_at() { echo "127.0.0.1:${port[$1 + 4]}"; } # controller N
properties() { # node rest...
  local n=$1; shift
  cat >"$work/$n.properties" <<CONF
node.id=$n
process.roles=broker,controller
listeners=PLAINTEXT://$(at "$n"),CONTROLLER://$(controller_at "$n")
advertised.listeners=PLAINTEXT://$(at "$n"),CONTROLLER://$(controller_at "$n")
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
broker.rack=rack-$n
log.dirs=$work/d$n
cluster.id=ClusterToolsClusterId1
offsets.topic.replication.factor=1
quota.window.num=3
controller.quota.window.num=3
millrace.admin.listener=
millrace.metrics.listener=127.0.0.1:${port[$((n + 8))]}
CONF
  printf '%s\n' "$@" >>"$work/$n.properties"
}
start_node() { "$broker" --config "$work/$1.properties" >>"$work/$1.log" 2>&1 & pids[$1]=$!; }
declare -A classes=(
  [quorum]=org.apache.kafka.tools.MetadataQuorumCommand [features]=org.apache.kafka.tools.FeatureCommand [cluster]=org.apache.kafka.tools.ClusterTool
  [topics]=org.apache.kafka.tools.TopicCommand [configs]=kafka.admin.ConfigCommand [acls]=org.apache.kafka.tools.AclCommand
  [reassign]=org.apache.kafka.tools.reassign.ReassignPartitionsCommand [election]=org.apache.kafka.tools.LeaderElectionCommand
  [produce]=org.apache.kafka.tools.ProducerPerformance [consume]=org.apache.kafka.tools.ConsumerPerformance
  [dump]=org.apache.kafka.tools.DumpLogSegments [shell]=org.apache.kafka.shell.MetadataShell
)
tool() {
  local class=${classes[$1]}; shift
  timeout 60 java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$cache/java/tools/libs/*" "$class" "$@" >"$work/out" 2>&1
}
said() { grep -qE -- "$1" "$work/out"; }
says() { said "$1" || fail "$step: nothing like /$1/ in: $(grep -v SLF4J "$work/out" | head -c 600)"; }
must() { step="$*"; tool "$@" || fail "$step: $(grep -v SLF4J "$work/out" | tail -n 3)"; }
# until_says SECONDS PATTERN TOOL...: a tool takes a second to start, which is pause enough.
until_says() {
  local end=$((SECONDS + $1)) pattern=$2; shift 2
  until tool "$@" && said "$pattern"; do [ $SECONDS -lt "$end" ] || fail "$*: never said /$pattern/: $(tail -n 3 "$work/out")"; done
}

properties 1
start_node 1
until_says 30 '^LeaderId: +1$' quorum --bootstrap-server "$(at 1)" describe --status
for n in 2 3; do properties $n "controller.quorum.bootstrap.servers=$(controller_at 1)"; start_node $n; done
until_says 30 '^3 .*Observer' quorum --bootstrap-controller "$(controller_at 1)" describe --replication
# Controllers register where they listen (KIP-919), with or without a vote.
for n in 1 2 3; do until_says 30 "^$n .*${port[$n + 4]} .*controller" cluster list-endpoints --bootstrap-controller "$(controller_at 1)"; done
for n in 2 3; do
  must quorum --command-config "$work/$n.properties" --bootstrap-controller "$(controller_at 1)" add-controller
  says "Added controller $n"
done
must quorum --bootstrap-server "$(at 2)" describe --replication
[ "$(grep -cE '(Leader|Follower)' "$work/out")" = 3 ] || fail "not three voters: $(cat "$work/out")"
ok "one broker grows to three voters without a reformat (kafka-metadata-quorum add-controller)"

must cluster list-endpoints --bootstrap-controller "$(controller_at 2)"
for n in 1 2 3; do says "^$n .*${port[$n + 4]} .*controller"; done
must cluster list-endpoints --bootstrap-server "$(at 2)"
for n in 1 2 3; do says "^$n .*${port[$n]} .*rack-$n.* broker"; done
must cluster cluster-id --bootstrap-controller "$(controller_at 3)"; says ClusterToolsClusterId1
must features --bootstrap-controller "$(controller_at 1)" describe; says 'kraft.version.*FinalizedVersionLevel: 1'
must features --bootstrap-server "$(at 1)" describe; says 'metadata.version.*FinalizedVersionLevel'
must configs --bootstrap-controller "$(controller_at 1)" --alter --entity-type brokers --entity-name 2 --add-config log.cleaner.threads=2
must configs --bootstrap-controller "$(controller_at 2)" --describe --entity-type brokers --entity-name 2; says 'log.cleaner.threads=2'
ok "brokers and controllers are listed, features and settings read and set at either"
tool acls --bootstrap-server "$(at 1)" --list || true; step="acls --list"; says SecurityDisabled
ok "access rules: refused as Kafka without an authorizer does"

must topics --bootstrap-server "$(at 1)" --create --topic moved --replica-assignment 1:2,2:3,3:1
seq 1 2000 | timeout 20 kcat -P -b "$(at 1)" -t moved -X acks=all
echo '{"version":1,"partitions":[{"topic":"moved","partition":0,"replicas":[3,2]},{"topic":"moved","partition":1,"replicas":[1,2,3]}]}' >"$work/move.json"
must reassign --bootstrap-server "$(at 1)" --reassignment-json-file "$work/move.json" --execute --throttle 50000000
says 'Successfully started partition reassignments for moved-0,moved-1'
until_says 40 'Reassignment of partition moved-1 is completed' reassign --bootstrap-server "$(at 2)" --reassignment-json-file "$work/move.json" --verify
until_says 40 'Reassignment of partition moved-0 is completed' reassign --bootstrap-server "$(at 2)" --reassignment-json-file "$work/move.json" --verify
must topics --bootstrap-server "$(at 3)" --describe --topic moved
says 'Partition: 0.*Replicas: 3,2'; says 'Partition: 1.*Replicas: 1,2,3'
must configs --bootstrap-server "$(at 1)" --describe --entity-type topics --entity-name moved
! said 'throttled.replicas' || fail "--verify left a throttle behind"
[ "$(timeout 20 kcat -C -e -q -b "$(at 3)" -t moved -o beginning | sort -un | wc -l)" = 2000 ] || fail "records were lost by the move"
ok "kafka-reassign-partitions moves replicas, and takes its throttle away"
must election --bootstrap-server "$(at 1)" --election-type preferred --all-topic-partitions
must topics --bootstrap-server "$(at 1)" --describe --topic moved
says 'Partition: 0.*Leader: 3'; says 'Partition: 1.*Leader: 1'
ok "kafka-leader-election makes the preferred replicas lead"

# 16 MB to a third replica at 2 MB/s; the two in sync must not feel it, nor the producer that waits for them.
rate=2000000
must topics --bootstrap-server "$(at 1)" --create --topic slow --replica-assignment 1:3
head -c 12000000 /dev/urandom | base64 -w 1000 | timeout 30 kcat -P -b "$(at 1)" -t slow -X acks=all
echo '{"version":1,"partitions":[{"topic":"slow","partition":0,"replicas":[1,3,2]}]}' >"$work/slow.json"
python3 e2e/cluster-tools/rate.py "${port[10]}" 16000000 >"$work/rate" 2>&1 & watch=$!
must reassign --bootstrap-server "$(at 1)" --reassignment-json-file "$work/slow.json" --execute --throttle $rate
head -c 3000000 /dev/urandom | base64 -w 1000 | timeout 30 kcat -P -b "$(at 1)" -t slow -X acks=all
kill -0 $watch 2>/dev/null || fail "the copy was over before 4 MB were produced beside it: $(cat "$work/rate")"
must reassign --bootstrap-server "$(at 1)" --list; says 'slow-0: .*adding: 2'
wait $watch || fail "the throttled move: $(cat "$work/rate")"
read -r bytes reached <"$work/rate"
[ "$reached" -gt $((rate * 8 / 10)) ] && [ "$reached" -lt $((rate * 12 / 10)) ] || fail "$rate bytes a second were asked for, $reached came"
until_says 40 'Reassignment of partition slow-0 is completed' reassign --bootstrap-server "$(at 2)" --reassignment-json-file "$work/slow.json" --verify
must configs --bootstrap-server "$(at 1)" --describe --entity-type brokers --entity-name 1
! said 'replication.throttled.rate' || fail "--verify left a throttle behind"
ok "--throttle $rate: $bytes bytes came at $reached a second, while a producer with acks=all went on"

# Quotas of clients: who has one is slowed down to it, who has none isn't, and the broker says whom it told to wait.
quota() { must configs --bootstrap-server "$(at 1)" --alter "$@"; }
throttled() { # KIND at broker 1
  python3 -c 'import re, sys, urllib.request
text = urllib.request.urlopen("http://127.0.0.1:" + sys.argv[1] + "/metrics", timeout=5).read().decode()
found = re.search(r"^millrace_throttled_requests_total\{kind=\"%s\"\} (\S+)" % sys.argv[2], text, re.M)
print(int(float(found[1])) if found else 0)' "${port[9]}" "$1"
}
must topics --bootstrap-server "$(at 1)" --create --topic metered --replica-assignment 1
quota --entity-type clients --entity-name slow --add-config producer_byte_rate=1000000
quota --entity-type users --entity-default --entity-type clients --entity-name reader --add-config consumer_byte_rate=3000000
must configs --bootstrap-server "$(at 1)" --describe --entity-type clients; says "client-id 'slow' are producer_byte_rate=1000000.0"
must configs --bootstrap-server "$(at 1)" --describe --entity-type users --entity-default --entity-type clients --entity-name reader
says 'consumer_byte_rate=3000000.0'
perf() { # CLIENT_ID RECORDS: bytes a second
  must produce --topic metered --num-records "$2" --record-size 1000 --throughput -1 \
    --producer-props "bootstrap.servers=$(at 1)" "client.id=$1" batch.size=16000 acks=1
  sed -n 's/^[0-9]* records sent, \([0-9]*\)[0-9.]* records\/sec.*ms 99.9th.*/\1/p' "$work/out" | awk '{ print $1 * 1000 }'
}
expect "requests throttled before there was a reason" 0 "$(throttled produce)"
slow=$(perf slow 20000)
[ "$slow" -gt 700000 ] && [ "$slow" -lt 1300000 ] || fail "1000000 bytes a second were allowed, the producer had $slow: $(tail -n 2 "$work/out")"
told=$(throttled produce)
[ "$told" -gt 0 ] || fail "the producer was told nothing"
fast=$(perf fast 12000)
[ "$fast" -gt $((slow * 2)) ] || fail "another client was slowed down too: $fast"
expect "requests throttled of another client" "$told" "$(throttled produce)"
begin=$SECONDS
[ "$(timeout 60 kcat -C -e -q -b "$(at 1)" -t metered -o beginning -X client.id=reader | wc -l)" = 32000 ] || fail "the reader did not get all"
# The first window and the last answer are not waited for.
[ $((SECONDS - begin)) -ge 4 ] || fail "32 MB at 3 MB a second took $((SECONDS - begin)) seconds"
told=$(throttled fetch)
[ "$told" -gt 0 ] || fail "the reader was told nothing"
# The Java client begins its fetch session anew when the first answer of one is empty for that reason.
echo client.id=reader >"$work/reader.properties"
must consume --bootstrap-server "$(at 1)" --topic metered --group metered --messages 12000 --timeout 30000 --command-config "$work/reader.properties"
awk -F', *' 'END { exit !($5 >= 12000 && $9 < 4) }' "$work/out" || fail "the Java reader: $(tail -n 1 "$work/out")"
[ "$(throttled fetch)" -gt "$told" ] || fail "the Java reader was told nothing"
# What brokers ask of each other is nobody's use of a quota, whatever client id they go by.
for name in replica millrace; do quota --entity-type clients --entity-name $name --add-config request_percentage=0.001,consumer_byte_rate=1000; done
must topics --bootstrap-server "$(at 1)" --create --topic copied --replica-assignment 1:2:3
told=$(($(throttled fetch) + $(throttled request)))
must produce --topic copied --num-records 5000 --record-size 1000 --throughput -1 --producer-props "bootstrap.servers=$(at 1)" client.id=fast acks=all
expect "requests of brokers throttled" "$told" "$(($(throttled fetch) + $(throttled request)))"
for name in replica millrace; do quota --entity-type clients --entity-name $name --delete-config request_percentage,consumer_byte_rate; done
quota --entity-type clients --entity-name slow --delete-config producer_byte_rate
quota --entity-type users --entity-default --entity-type clients --entity-name reader --delete-config consumer_byte_rate
must configs --bootstrap-server "$(at 1)" --describe --entity-type clients; ! said 'producer_byte_rate' || fail "the quota is still there"
ok "kafka-configs bounds a client to $slow bytes a second (allowed: 1000000), others go at $fast"

quota --entity-type users --entity-default --add-config controller_mutation_rate=5
must topics --bootstrap-server "$(at 1)" --create --topic many --partitions 25 --replication-factor 1
# kafka-topics doesn't wait as other admin clients do: it says so and stops.
! tool topics --bootstrap-server "$(at 1)" --create --topic one-more --partitions 1 --replication-factor 1 || fail "25 partitions at 5 a second were not slowed down"
says 'throttling quota has been exceeded'
until_says 30 'Created topic one-more' topics --bootstrap-server "$(at 1)" --create --topic one-more --partitions 1 --replication-factor 1
[ $(($(throttled mutation))) -gt 0 ] || fail "nobody was told to wait"
quota --entity-type users --entity-default --delete-config controller_mutation_rate
tool configs --bootstrap-server "$(at 1)" --alter --entity-type clients --entity-name slow --add-config producer_byte_rate=-1 || true
step="a quota below zero"; says 'InvalidRequestException|must be'
ok "controller_mutation_rate refuses what comes too soon, and a senseless quota is refused"

leader=1
kill_hard $leader
until_says 30 "^LeaderId: +[23]$" quorum --bootstrap-controller "$(controller_at 2)" describe --status
directory=$(sed -n 's/^directory.id=//p' "$work/d1/meta.properties")
rm -rf "$work/d1"
properties 1 "controller.quorum.bootstrap.servers=$(controller_at 2),$(controller_at 3)"
start_node 1
until_says 30 '^1 .*Observer' quorum --bootstrap-controller "$(controller_at 2)" describe --replication
must quorum --bootstrap-controller "$(controller_at 2)" remove-controller --controller-id 1 --controller-directory-id "$directory"
must quorum --command-config "$work/1.properties" --bootstrap-controller "$(controller_at 2)" add-controller
until_says 30 '^1 .*Follower' quorum --bootstrap-controller "$(controller_at 2)" describe --replication
ok "an emptied disk is another voter: removed by its directory id, added again"

must topics --bootstrap-server "$(at 2)" --delete --topic moved
kill_hard 3
must cluster unregister --bootstrap-server "$(at 2)" --id 3
until_says 20 '^2 .*broker' cluster list-endpoints --bootstrap-server "$(at 2)" --include-fenced-brokers
! said "^3 " || fail "broker 3 is still listed"
ok "kafka-cluster unregister takes a dead broker off the list"
tool cluster unregister --bootstrap-server "$(at 2)" --id 3 || true
step="a second unregister"; says BrokerIdNotRegistered

kill -TERM "${pids[2]}"; wait "${pids[2]}" || fail "broker 2 did not stop cleanly"
for file in "$work"/d2/__cluster_metadata-0/*.log; do
  must dump --cluster-metadata-decoder --files "$file"; says 'REGISTER_BROKER_RECORD'; says 'REGISTER_CONTROLLER_RECORD'
  ! said 'isvalid: false|Exception' || fail "kafka-dump-log: $(grep -E 'isvalid: false|Exception' "$work/out" | head -2)"
done
ok "kafka-dump-log decodes the metadata log that all this left behind"

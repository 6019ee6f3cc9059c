#!/usr/bin/env bash
# Three brokers that demand certificates on every listener, used by Kafka's own tools (PEM settings, encrypted keys), franz-go and kcat;
# a certificate changed through kafka-configs, and one that can't be used refused by it.
#
#   run.sh [BROKER]     else $MILLRACE_BROKER
#
# PORT: first of six ports (24200). MILLRACE_E2E_CACHE: where clients/ has put its packages.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source "$here/../../tests/journeys/lib.sh" "$(realpath "${1:-${MILLRACE_BROKER:-$here/../../build/release/bin/millrace-broker}}")"
source "$here/../../tests/journeys/pki.sh"
export MILLRACE_E2E_CACHE=${MILLRACE_E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/clients}
"$here/../clients/java/packages.sh" tools
"$here/../clients/go/program.sh" secure prepare
port=${PORT:-24200}
clients() { echo "127.0.0.1:$((port + $1))"; }
quorum() { echo "127.0.0.1:$((port + 3 + $1))"; }
all=$(clients 0),$(clients 1),$(clients 2)
authority ours
authority stranger
voters=
for n in 0 1 2; do
  certificate "b$n" ours "/O=Brokers/CN=broker $n" IP:127.0.0.1
  voters=${voters:+$voters,}$n@$(quorum $n)
done
certificate admin ours "/O=Tools/CN=admin"
certificate mallory stranger /CN=mallory
# Java 17 reads no newer encryption in PEM.
openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -in "$pki/admin.key" -passout pass:sesame -out "$pki/admin.encrypted"
cat "$pki/admin.encrypted" "$pki/admin.crt" >"$pki/admin.store"
run() { # N
  start "b$1" "node.id=$1" process.roles=broker,controller "log.dirs=$dir/b$1" "listeners=CLIENTS://$(clients "$1"),QUORUM://$(quorum "$1")" \
    controller.listener.names=QUORUM inter.broker.listener.name=CLIENTS listener.security.protocol.map=CLIENTS:SSL,QUORUM:SSL \
    "controller.quorum.voters=$voters" cluster.id=SecuredClusterOfThree0 default.replication.factor=3 min.insync.replicas=2 \
    ssl.keystore.type=PEM "ssl.keystore.location=$pki/b$1.pem" ssl.truststore.type=PEM "ssl.truststore.location=$pki/ours.pem" \
    ssl.client.auth=required offsets.topic.num.partitions=2 offsets.topic.replication.factor=3 group.initial.rebalance.delay.ms=0 \
    millrace.metrics.listener= millrace.admin.listener=
}
properties() { # STORE PASSWORD AUTHORITY
  printf '%s\n' security.protocol=SSL ssl.keystore.type=PEM "ssl.keystore.location=$pki/$1" ssl.truststore.type=PEM \
    "ssl.truststore.location=$pki/$3.pem" ${2:+"ssl.key.password=$2"}
}
properties admin.store sesame ours >"$dir/admin.properties"
properties mallory.pem "" ours >"$dir/mallory.properties"
client_settings admin ours >"$dir/kcat.conf"
export KCAT_CONFIG=$dir/kcat.conf
tool() { # CLASS ARGS...
  local class=$1; shift
  timeout 60 java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$MILLRACE_E2E_CACHE/java/tools/libs/*" "$class" "$@"
}
kafka() { tool "org.apache.kafka.tools.$1" "${@:2}"; }
as_admin() { kafka "$1" --bootstrap-server "$all" --command-config "$dir/admin.properties" "${@:2}"; }
says() { grep -qE -- "$1" "$dir/out" || { cat "$dir/out" >&2; fail "nothing like /$1/"; }; }
ok() { echo "ok $*"; }

for n in 0 1 2; do run $n; done
brokers_seen() { [ "$(timeout 3 kcat -b "$all" -L | grep -c '^  broker ')" = "$1" ]; }
until_true 60 brokers_seen 3
ok "three brokers found each other"

as_admin TopicCommand --create --topic words --partitions 3 --replication-factor 3 >"$dir/out" 2>&1 || { cat "$dir/out"; fail topics; }
seq -f "java-%g" 1 2000 | kafka ConsoleProducer --bootstrap-server "$all" --topic words --producer.config "$dir/admin.properties" \
  --producer-property acks=all >"$dir/out" 2>&1 || { cat "$dir/out"; fail "console-producer"; }
kafka consumer.ConsoleConsumer --bootstrap-server "$all" --topic words --consumer.config "$dir/admin.properties" --group java \
  --from-beginning --max-messages 2000 >"$dir/read" 2>"$dir/out" || { cat "$dir/out"; fail "console-consumer"; }
expect "records that Java read" 2000 "$(grep "^java-" "$dir/read" | sort -u | wc -l)"
as_admin consumer.group.ConsumerGroupCommand --describe --group java >"$dir/out" 2>&1; says "java +words"
ok "Kafka's producer, consumer and admin client, with an encrypted key"

as_admin MetadataQuorumCommand describe --status >"$dir/out" 2>&1 || { tail -5 "$dir/out"; fail "metadata-quorum"; }
says "CurrentVoters:.*0.*1.*2"
ok "the quorum's listener"

expect "records of franz-go" 100 "$(timeout 60 "$MILLRACE_E2E_CACHE/go/secure" "$all" gophers "$pki/ours.pem" "$pki/admin.crt" "$pki/admin.key")"
ok "franz-go"

if kafka TopicCommand --bootstrap-server "$(clients 0)" --command-config "$dir/mallory.properties" --list >"$dir/out" 2>&1; then
  fail "a stranger was let in"
fi
says "SslAuthenticationException|SSL handshake failed|unknown_ca|Failed to process post-handshake messages"
# Java shows no certificate at all where the broker names no authority that has signed it.
# The broker's alert may be there before its line.
until_true 10 grep -E "of CN=mallory is refused|peer did not return a certificate" "$dir/b0.log"
ok "a stranger is refused, hears why, and is logged"

serial() { openssl s_client -connect "$1" -cert "$pki/admin.crt" -key "$pki/admin.key" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
before=$(serial "$(clients 1)")
certificate renewed ours "/O=Brokers/CN=broker 1" IP:127.0.0.1
configs() { tool kafka.admin.ConfigCommand --bootstrap-server "$all" --command-config "$dir/admin.properties" --entity-type brokers --entity-name 1 \
  --alter --add-config "$1"; }
configs "listener.name.clients.ssl.keystore.location=$pki/renewed.pem" >"$dir/out" 2>&1 || { cat "$dir/out"; fail "kafka-configs"; }
changed() { [ "$(serial "$(clients 1)")" = "serial=$(openssl x509 -in "$pki/renewed.crt" -noout -serial | cut -d= -f2)" ]; }
until_true 10 changed
[ "$before" != "$(serial "$(clients 1)")" ] || fail "the certificate is the old one"
ok "a certificate changed with kafka-configs"
configs "listener.name.clients.ssl.keystore.location=/nowhere.pem" >"$dir/out" 2>&1 || true
says "ssl.keystore.location=/nowhere.pem.*name a file"
changed || fail "a refused change has changed something"
ok "kafka-configs is told of a certificate that can't be used"

seq -f "late-%g" 1 500 | timeout 20 kcat -b "$all" -t words -p 0 -P -X acks=all
leader=$(timeout 5 kcat -b "$all" -L -t words | sed -n 's/.*partition 0, leader \([0-9]\),.*/\1/p')
kill_hard "b$leader"
left=$(for n in 0 1 2; do [ $n = "$leader" ] || clients $n; done | paste -sd, -)
count() { timeout 20 kcat -b "$left" -t words -C -o beginning -e -q | sort -u | wc -l; }
has_all() { [ "$(count)" = 2500 ]; }
until_true 20 has_all
run "$leader"
whole() { ! timeout 5 kcat -b "$all" -L -t words | grep -o 'isrs: .*' | grep -vq ',.*,'; }
until_true 40 whole
ok "nothing lost when a leader was killed, and it came back"
operator=$(dirname "$broker")/millrace-operator
if [ -x "$operator" ]; then
  "$here/operator.sh" "$operator" "$broker"
else
  echo "left out: no millrace-operator beside the broker, so no Cluster with TLS"
fi

#!/usr/bin/env bash
# A Cluster with a TLS listener, made by the operator in local mode, used by Kafka's console tools with the CA from its Secret.
#
#   operator.sh OPERATOR BROKER
#
# MILLRACE_E2E_CACHE: where clients/ has put its packages.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export MILLRACE_E2E_CACHE=${MILLRACE_E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/clients}
"$here/../clients/java/packages.sh" tools
source "$here/../../tests/operator/lib.sh"
cat >"$dir/cluster.yaml" <<'YAML'
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: main}
spec:
  replicas: 3
  storage: {size: 1Gi}
  tls: {}
  listeners:
  - {name: tls, port: 9094, tls: true, auth: TLS}
YAML
start_operator --manifest "$dir/cluster.yaml"
until_ready 60
client console
cat "$dir/console.key" "$dir/console.crt" >"$dir/client.pem"
properties() { # AUTHORITY [STORE]
  printf '%s\n' security.protocol=SSL ssl.truststore.type=PEM "ssl.truststore.location=$1" request.timeout.ms=8000 default.api.timeout.ms=10000
  [ -z "${2:-}" ] || printf '%s\n' ssl.keystore.type=PEM "ssl.keystore.location=$2"
}
properties "$dir/console.ca" "$dir/client.pem" >"$dir/client.properties"
properties "$dir/console.ca" >"$dir/nameless.properties"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -keyout "$dir/stranger.key" -out "$dir/stranger.crt" -subj /CN=stranger 2>/dev/null
properties "$dir/stranger.crt" "$dir/client.pem" >"$dir/stranger.properties"
tool() { # CLASS ARGUMENT...
  timeout 60 java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$MILLRACE_E2E_CACHE/java/tools/libs/*" "org.apache.kafka.tools.$@"
}
topics() { tool TopicCommand --bootstrap-server "$(bootstrap)" --command-config "$dir/$1.properties" "${@:2}"; }
topics client --create --topic console --partitions 3 --replication-factor 3 >/dev/null
seq -f 'record-%g' 100 | tool ConsoleProducer --bootstrap-server "$(bootstrap)" --topic console --producer.config "$dir/client.properties" >/dev/null
expect "records of the console consumer" 100 "$(tool consumer.ConsoleConsumer --bootstrap-server "$(bootstrap)" --topic console --from-beginning \
  --max-messages 100 --timeout-ms 30000 --consumer.config "$dir/client.properties" 2>/dev/null | grep '^record-' | sort -u | wc -l)"
echo "ok Kafka's console tools produce and consume with the CA from the Secret"
! topics nameless --list >"$dir/said" 2>&1 || fail "who shows no certificate is let in"
! topics stranger --list >"$dir/said" 2>&1 || fail "a client that trusts a stranger is satisfied"
echo "ok who shows no certificate is refused, and a tool that trusts somebody else refuses the brokers"

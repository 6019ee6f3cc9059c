#!/usr/bin/env bash
# Three brokers from their settings alone: an idempotent producer with acks=all goes on while the leader of its partition is killed,
# nothing acknowledged is lost or doubled, the killed broker comes back into the ISR, and the metrics tell of it. With "tls" as second argument everybody shows
# a certificate to everybody, on every listener.
source "$(dirname "$0")/lib.sh"
security=("listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT")
if [ "${2:-}" = tls ]; then
  source "$(dirname "$0")/pki.sh"
  authority ours
  for n in 1 2 3; do certificate "b$n" ours "/CN=broker $n" IP:127.0.0.1; done
  certificate client ours /CN=client
  client_settings client ours >"$dir/kcat.conf"
  export KCAT_CONFIG=$dir/kcat.conf
  security=("listener.security.protocol.map=PLAINTEXT:SSL,CONTROLLER:SSL" inter.broker.listener.name=PLAINTEXT ssl.client.auth=required
    ssl.keystore.type=PEM ssl.truststore.type=PEM "ssl.truststore.location=$pki/ours.pem")
fi
read -r p1 p2 p3 c1 c2 c3 m1 m2 m3 < <(free_ports 9)
ports=("" "$p1" "$p2" "$p3"); quorum=("" "$c1" "$c2" "$c3"); metrics=("" "$m1" "$m2" "$m3")
all=127.0.0.1:$p1,127.0.0.1:$p2,127.0.0.1:$p3
run() {
  start "b$1" "node.id=$1" process.roles=broker,controller "log.dirs=$dir/b$1" "broker.rack=rack-$1" \
    "listeners=PLAINTEXT://127.0.0.1:${ports[$1]},CONTROLLER://127.0.0.1:${quorum[$1]}" controller.listener.names=CONTROLLER \
    "controller.quorum.voters=1@127.0.0.1:$c1,2@127.0.0.1:$c2,3@127.0.0.1:$c3" cluster.id=JourneyOfThreeBrokers01 \
    default.replication.factor=3 min.insync.replicas=2 offsets.topic.num.partitions=2 \
    "millrace.metrics.listener=127.0.0.1:${metrics[$1]}" millrace.admin.listener= "${security[@]}" ${pki:+"ssl.keystore.location=$pki/b$1.pem"}
}
for n in 1 2 3; do run $n; done
brokers_seen() { [ "$(timeout 3 kcat -b "$1" -L | grep -c '^  broker ')" = "$2" ]; }
until_true 40 brokers_seen "$all" 3

echo first | timeout 20 kcat -b "$all" -t safe -p 0 -P -X acks=all
leader_of() { timeout 5 kcat -b "$1" -L -t safe | sed -n 's/.*partition 0, leader \([0-9-]*\),.*/\1/p'; }
isr_of() { timeout 5 kcat -b "$1" -L -t safe | sed -n 's/.*partition 0, .*isrs: \(.*\)/\1/p' | tr -cd '0-9,' | tr ',' '\n' | sort | tr '\n' ' '; }
has_isr() { [ "$(isr_of "$1")" = "$2" ]; }
until_true 20 has_isr "$all" "1 2 3 "
leader=$(leader_of "$all")

mkfifo "$dir/feed"
timeout 90 kcat -b "$all" -t safe -p 0 -P -X acks=all -X enable.idempotence=true -X message.timeout.ms=60000 <"$dir/feed" 2>"$dir/producer.log" &
producer=$!
exec 9>"$dir/feed"
seq -f "before-%g" 1 1000 >&9
kill_hard "b$leader"
seq -f "after-%g" 1 1000 >&9
exec 9>&-
wait $producer || fail "the producer gave up"

alive=
for n in 1 2 3; do [ $n = "$leader" ] || alive=${alive:+$alive,}127.0.0.1:${ports[$n]}; done
timeout 30 kcat -b "$alive" -t safe -p 0 -C -o beginning -e -q >"$dir/read"
expect "records read" 2001 "$(wc -l <"$dir/read")"
expect "different records" 2001 "$(sort -u "$dir/read" | wc -l)"
[ "$(leader_of "$alive")" != "$leader" ] || fail "the killed broker still leads"

run "$leader"
until_true 40 has_isr "$all" "1 2 3 "
timeout 30 kcat -b "$all" -t safe -p 0 -C -o beginning -e -q | cmp - "$dir/read" || fail "records changed after the broker's return"

# All brokers' figures together: a leader was chosen, from those in sync; one replica left the in-sync set and came back.
scrape() {
  timeout 20 python3 - "$m1" "$m2" "$m3" <<'PY' >"$dir/scrape"
import sys, urllib.request
for port in sys.argv[1:]:
    sys.stdout.write(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode())
PY
}
total() { awk -v of="millrace_$1" '$1 == of { sum += $2 } END { printf "%d\n", sum }' "$dir/scrape"; }
told() { scrape && [ "$(total leader_elections_total)" -gt 0 ] && [ "$(total isr_shrinks_total)" -gt 0 ] && [ "$(total isr_expands_total)" -gt 0 ]; }
until_true 20 told
[ "$(total replication_in_bytes_total)" -gt 0 ] || fail "no follower counted what it fetched"
expect "unclean elections" 0 "$(total unclean_elections_total)"

#!/usr/bin/env bash
# A broker that demands certificates, seen from the outside: its admin endpoint reads certificates anew, its metrics tell of handshakes
# and of the certificate's end, and a mirror link of another cluster reads from it.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/pki.sh"
admin_call=$2
read -r port admin metrics west west_admin behind < <(free_ports 6)
at=127.0.0.1:$port
authority ours
authority stranger
certificate broker ours /CN=broker IP:127.0.0.1
certificate link ours /CN=link
certificate mallory stranger /CN=mallory
python3 "$(dirname "$0")/cut_wire.py" "$port" "$behind" &
pids[wire]=$!
start east "log.dirs=$dir/east" "listeners=CLIENTS://127.0.0.1:$behind,CONTROLLER://127.0.0.1:0" "advertised.listeners=CLIENTS://$at" controller.listener.names=CONTROLLER \
  listener.security.protocol.map=CLIENTS:SSL,CONTROLLER:PLAINTEXT inter.broker.listener.name=CLIENTS \
  ssl.keystore.type=PEM "ssl.keystore.location=$pki/broker.pem" ssl.truststore.type=PEM "ssl.truststore.location=$pki/ours.pem" \
  ssl.client.auth=required millrace.tls.reload.interval.ms=86400000 offsets.topic.replication.factor=1 \
  "millrace.metrics.listener=127.0.0.1:$metrics" "millrace.admin.listener=127.0.0.1:$admin"
start_west() {
  start west "log.dirs=$dir/west" "listeners=PLAINTEXT://127.0.0.1:$west,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER \
    "millrace.admin.listener=127.0.0.1:$west_admin" millrace.metrics.listener= offsets.topic.replication.factor=1
}
start_west
client_settings link ours >"$dir/link.conf"
secure() { timeout 10 kcat -F "$dir/link.conf" -b "$at" "$@"; }
plain() { timeout 10 kcat -b "127.0.0.1:$west" "$@"; }
call() { timeout 30 "$admin_call" "$@"; }
until_true 20 secure -L
until_true 20 plain -L
seq -f "word-%g" 1 1000 | secure -t words -P -X enable.idempotence=true

# Nobody looks at the files within a day, unless asked to.
certificate broker ours /CN=broker IP:127.0.0.1
serial=$(openssl x509 -in "$pki/broker.crt" -noout -serial | cut -d= -f2)
call "127.0.0.1:$admin" ReloadCertificates '{}' >"$dir/reloaded"
grep -q "$serial" "$dir/reloaded" || fail "ReloadCertificates did not read the new one: $(cat "$dir/reloaded")"
shown() { openssl s_client -connect "$at" -cert "$pki/link.crt" -key "$pki/link.key" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
expect "serial number of the certificate shown" "serial=$serial" "$(shown)"
client_settings mallory ours >"$dir/mallory.conf"
if timeout 3 kcat -F "$dir/mallory.conf" -b "$at" -L >/dev/null 2>&1; then fail "a stranger was served"; fi
counted() { timeout 5 curl -s "127.0.0.1:$metrics/metrics" >"$dir/metrics" && grep -qE "^millrace_tls_$1\{.*listener=\"CLIENTS\".*\} [1-9]" "$dir/metrics"; }
for name in handshakes_total handshake_failures_total certificate_expiry_timestamp_seconds; do until_true 5 counted $name; done

link() { # KEY [AUTHORITIES]
  python3 - "$at" "${2:-$pki/ours.pem}" "$pki/link.crt" "$1" >"$dir/link.json" <<'PY'
import json, sys
at, ca, certificate, key = sys.argv[1], *(open(name).read() for name in sys.argv[2:])
tls = {"enabled": True, "ca_pem": ca, "certificate_pem": certificate, "key_pem": key}
print(json.dumps({"link": {"name": "secure", "source": {"bootstrap_servers": [at], "tls": tls}, "topics": {"include": ["words"]},
                           "state": "LINK_DESIRED_MIRRORING", "promotion": "LINK_PROMOTION_PLANNED"}}))
PY
  call "127.0.0.1:$west_admin" ApplyLink "$(cat "$dir/link.json")"
}
if link "$pki/mallory.key" >"$dir/out" 2>&1; then fail "a link with the key of another certificate was taken"; fi
grep -q "belongs to another certificate" "$dir/out" || fail "not told why: $(cat "$dir/out")"
link "$pki/link.key" >/dev/null
mirrored() { [ "$(plain -t words -C -o beginning -e -q | sort -u | wc -l)" = "$1" ]; }
until_true 30 mirrored 1000

# The source moves to another authority: the link trusts both before, and neither side misses a record.
authority next
cat "$pki/ours.pem" "$pki/next.pem" >"$pki/both.pem"
link "$pki/link.key" "$pki/both.pem" >/dev/null
certificate broker next /CN=broker IP:127.0.0.1
call "127.0.0.1:$admin" ReloadCertificates '{}' >/dev/null
client_settings link both >"$dir/link.conf"
seq -f "word-%g" 1001 1400 | secure -t words -P -X enable.idempotence=true
until_true 30 mirrored 1400
# A connection that breaks is made anew with whom the link trusts by now, not with whom it trusted when it was first made.
kill -USR1 "${pids[wire]}"
seq -f "word-%g" 1401 1500 | secure -t words -P -X enable.idempotence=true
until_true 30 mirrored 1500
# So does a broker that starts.
stop west
start_west
until_true 30 answers "127.0.0.1:$west"
seq -f "word-%g" 1501 2000 | secure -t words -P -X enable.idempotence=true
until_true 30 mirrored 2000
# The old authority is taken out of it; who had trusted that one alone would be cut off.
link "$pki/link.key" "$pki/next.pem" >/dev/null
seq -f "word-%g" 2001 2100 | secure -t words -P -X enable.idempotence=true
until_true 30 mirrored 2100
stop west
stop east
kill_hard wire

#!/usr/bin/env bash
# One broker that demands certificates on every listener: a known client works with it, every other kind of peer is refused with a
# logged reason, and certificates change under it without a connection lost.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/pki.sh"
read -r port control < <(free_ports 2)
at=127.0.0.1:$port
authority old
authority new
authority stranger
certificate broker old /CN=broker IP:127.0.0.1,DNS:broker.test
certificate alice old "/O=Journeys/CN=alice"
certificate late old /CN=late "" -1
certificate mallory stranger /CN=mallory
cat "$pki/old.pem" >"$pki/trusted.pem"
settings=("log.dirs=$dir/data" "listeners=CLIENTS://$at,CONTROLLER://127.0.0.1:$control" controller.listener.names=CONTROLLER
  listener.security.protocol.map=CLIENTS:SSL,CONTROLLER:SSL inter.broker.listener.name=CLIENTS
  ssl.keystore.type=PEM "ssl.keystore.location=$pki/broker.pem" ssl.truststore.type=PEM "ssl.truststore.location=$pki/trusted.pem"
  ssl.client.auth=required "ssl.principal.mapping.rules=RULE:^CN=(.*?),.*\$/\$1/,DEFAULT" millrace.tls.reload.interval.ms=200
  offsets.topic.replication.factor=1 offsets.topic.num.partitions=2 group.initial.rebalance.delay.ms=0
  millrace.metrics.listener= millrace.admin.listener=)
start one "${settings[@]}"
as() { # NAME AUTHORITY: kcat is that one from now on
  client_settings "$1" "$2" >"$dir/kcat.conf"
  export KCAT_CONFIG=$dir/kcat.conf
}
logged() { grep -q -- "$1" "$dir/one.log"; }
as alice old
until_true 20 answers "$at"

# Small answers and large ones, which a plaintext listener would send from the page cache.
seq -f "small-%g" 1 1000 | timeout 20 kcat -b "$at" -t words -P -X enable.idempotence=true
python3 -c 'import random; r = random.Random(7); [print(r.randbytes(200_000).hex()) for _ in range(20)]' >"$dir/large"
timeout 30 kcat -b "$at" -t large -P -l "$dir/large"
expect "small records" 1000 "$(timeout 20 kcat -b "$at" -t words -C -o beginning -e -q | sort -u | wc -l)"
timeout 30 kcat -b "$at" -t large -C -o beginning -e -q | cmp - "$dir/large" || fail "large records came back changed"
timeout 20 kcat -b "$at" -G readers words -X auto.offset.reset=earliest -c 1000 -q >"$dir/group"
expect "records of a group" 1000 "$(sort -u "$dir/group" | wc -l)"

refused() { # WHY NAME AUTHORITY
  as "$2" "$3"
  if timeout 3 kcat -b "$at" -L >/dev/null 2>&1; then fail "the broker took one with $1"; fi
  until_true 5 logged "$1"
}
refused "peer did not return a certificate" "" old
refused "of CN=mallory is refused: unable to get local issuer certificate" mallory old
refused "of CN=late is refused: certificate has expired" late old
refused "alert unknown ca" alice stranger
as alice old
if timeout 3 kcat -b "localhost:$port" -L >/dev/null 2>&1; then fail "a client took a certificate of another name"; fi
echo security.protocol=plaintext >"$dir/kcat.conf"
if timeout 3 kcat -b "$at" -L >/dev/null 2>&1; then fail "a plaintext client was served"; fi
until_true 5 logged "the peer does not speak TLS"
python3 - "$port" "$control" <<'PY'
import random, socket, sys
r = random.Random(11)
for port in map(int, sys.argv[1:]):
    for size in [0, 1, 5, 6, 100, 20_000]:
        for start in [b"", b"\x16\x03\x01", b"\x16\x03\x01\x40\x00\x01"]:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                try:
                    s.sendall(start + r.randbytes(size))
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(4096):
                        pass
                except OSError:
                    pass
PY
as alice old
until_true 5 answers "$at"

# The authority is replaced: first both are trusted, then the broker shows a certificate of the new one. Who is connected stays.
cp "$dir/kcat.conf" "$dir/long.conf"
echo "before the change" | timeout 10 kcat -b "$at" -t news -P
timeout 60 kcat -F "$dir/long.conf" -b "$at" -t news -C -o beginning -u -c 2 -q >"$dir/long.out" 2>"$dir/long.log" &
reader=$!
heard() { grep -qx "$1" "$dir/long.out"; }
until_true 10 heard "before the change"
cat "$pki/old.pem" "$pki/new.pem" >"$pki/both.pem"
mv "$pki/both.pem" "$pki/trusted.pem"
certificate broker new /CN=broker IP:127.0.0.1,DNS:broker.test
certificate bob new "/O=Journeys/CN=bob"
as bob new
until_true 10 answers "$at"
logged 'event=tls.reloaded listener=CLIENTS' || fail "the change was not logged"
echo "after the change" | timeout 10 kcat -b "$at" -t news -P
until_true 10 heard "after the change"
wait $reader || fail "who was connected has failed"
expect "what who was connected complained of" "" "$(grep -v "^% Reading configuration" "$dir/long.log")"

# What can't be used is said, and the certificate in use stays.
echo "half a certificate" >"$pki/broker.pem"
until_true 5 logged 'event=tls.not_reloaded.*ssl.keystore.location'
until_true 5 answers "$at"
stop one

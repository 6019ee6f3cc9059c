#!/usr/bin/env bash
# A Cluster with TLS listeners: clients come with what the Secret main-ca holds, nobody else is let in; brokers and operator know each
# other by certificates; an authority follows another under a producer, with the operator killed in the middle, and nobody restarts.
source "$(dirname "$0")/lib.sh"
command -v openssl >/dev/null || { echo "openssl is not installed"; exit 77; }
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
  - {name: open, port: 9096, tls: true}
YAML
as() { # CLIENT ARGUMENT...
  timeout "${patience:-20}" kcat -b "$clients" -X security.protocol=ssl -X "ssl.ca.location=$dir/$1.ca" -X "ssl.certificate.location=$dir/$1.crt" \
    -X "ssl.key.location=$dir/$1.key" -X message.timeout.ms=15000 "${@:2}"
}
listener() { field ".status.listeners[?(@.name==\"$1\")].bootstrap"; }
refused() { ! timeout 4 kcat -b "$1" -X security.protocol="$2" "${@:3}" -L >"$dir/refused" 2>&1; }
# handshake ADDRESS ARGUMENT...: with TLS 1.2, where a server's refusal comes before the end of the handshake.
handshake() { timeout 5 openssl s_client -connect "$1" -tls1_2 -CAfile "$dir/first.ca" -verify_return_error "${@:2}" </dev/null >"$dir/handshake" 2>&1; }

start_operator --manifest "$dir/cluster.yaml"
until_ready
clients=$(listener tls) open=$(listener open)
until_true 10 grep -q '^Ready: Cluster main' "$dir/out"
client first
seq -f 'record-%g' 100 | as first -t hello -P -X acks=all
expect "records" 100 "$(as first -t hello -C -o beginning -e -q | wc -l)"
expect "brokers seen without a certificate where none is asked for" 3 \
  "$(timeout 20 kcat -b "$open" -X security.protocol=ssl -X "ssl.ca.location=$dir/first.ca" -L | grep -c '^  broker ')"
k get configmap main-ca -o 'jsonpath={.data.ca\.crt}' | cmp - "$dir/first.ca"

# Who doesn't know the authority, shows no certificate or speaks plaintext is told no.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -keyout "$dir/stranger.key" -out "$dir/stranger.crt" -subj /CN=stranger 2>/dev/null
refused "$open" ssl -X "ssl.ca.location=$dir/stranger.crt" || fail "a client that trusts a stranger is satisfied"
refused "$clients" ssl -X "ssl.ca.location=$dir/first.ca" || fail "a client without a certificate is let in"
refused "$clients" ssl -X "ssl.ca.location=$dir/first.ca" -X "ssl.certificate.location=$dir/stranger.crt" -X "ssl.key.location=$dir/stranger.key" ||
  fail "a stranger's certificate is let in"
refused "$clients" plaintext || fail "plaintext is let in"

# Replication, quorum and the operator's endpoint: a certificate is shown and demanded.
pod_ip=$(k get pod main-0 -o 'jsonpath={.status.podIP}')
for port in 9091 9093 9095; do
  handshake "$pod_ip:$port" -alpn h2 -cert "$dir/first.crt" -key "$dir/first.key" || fail "port $port: $(tail -3 "$dir/handshake")"
  ! handshake "$pod_ip:$port" -alpn h2 || fail "port $port lets in who shows no certificate"
done

# Another authority, under a producer that was given both: both are trusted, then the new one signs, then the old one is forgotten.
trusts() { k get secret main-ca -o 'jsonpath={.metadata.annotations.millrace\.dev/trusts}' | tr ',' '\n' | grep -c .; }
before=$(pod_uids)
k annotate cluster main millrace.dev/renew-authority=prepare >/dev/null
prepared() { [ "$(trusts)" = 2 ] && field '.status.conditions[?(@.type=="CertificatesValid")].message' | grep "doesn't sign yet"; }
until_true 40 prepared
client second   # Still of the old authority; it trusts both.
expect "records for who trusts both" 0 "$(as second -t hello -C -o end -e -q | wc -l)"
mkfifo "$dir/feed"
patience=150 as second -t hello -P -X acks=all -X enable.idempotence=true -X message.timeout.ms=60000 <"$dir/feed" 2>"$dir/producer.log" &
producer=$!
exec 9>"$dir/feed"
seq -f 'during-%g' 50 >&9
k annotate --overwrite cluster main millrace.dev/renew-authority=now >/dev/null
signs() { [ "$(k get secret main-ca -o 'jsonpath={.metadata.annotations.millrace\.dev/renewed-for}')" = now ]; }
until_true 40 signs
exec 9>&-
wait "$producer" || fail "the producer: $(cat "$dir/producer.log")"
kill_operator
start_operator
alone() { [ "$(trusts)" = 1 ] && [ "$(field '.status.conditions[?(@.type=="CertificatesValid")].reason')" = Issued ]; }
until_true 60 alone
until_ready 20
client third
seq -f 'after-%g' 50 | as third -t hello -P -X acks=all
expect "records in the end" 200 "$(as third -t hello -C -o beginning -e -q | sort -u | wc -l)"
refused "$open" ssl -X "ssl.ca.location=$dir/first.ca" || fail "the old authority is still used"
refused_in_the_end() { refused "$clients" ssl -X "ssl.ca.location=$dir/third.ca" -X "ssl.certificate.location=$dir/first.crt" -X "ssl.key.location=$dir/first.key"; }
until_true 20 refused_in_the_end
has_event() { [ -n "$(k get events --field-selector "reason=$1" -o name)" ]; }
for reason in AuthorityIntroduced AuthorityReplaced AuthorityRetired; do
  until_true 10 has_event "$reason"
done
expect "restarts" 0 "$(comm -23 <(echo "$before") <(pod_uids) | grep -c . || true)"

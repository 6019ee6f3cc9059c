#!/usr/bin/env bash
# A link from a Cluster that has nothing but TLS listeners, each of which asks for a certificate: the operator gives the link one of the
# source's authority, and another one when another authority takes over, under a producer. Switchover and the way back go the same way.
source "$(dirname "$0")/lib.sh"
command -v openssl >/dev/null || { echo "openssl is not installed"; exit 77; }
cat >"$dir/pair.yaml" <<'YAML'
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: main}
spec:
  replicas: 1
  storage: {size: 1Gi}
  tls: {}
  listeners:
  - {name: tls, port: 9094, tls: true, auth: TLS}
---
apiVersion: millrace.dev/v1
kind: Cluster
metadata: {name: west}
spec: {replicas: 1, storage: {size: 1Gi}}
---
apiVersion: millrace.dev/v1
kind: MirrorLink
metadata: {name: main-to-west}
spec: {clusterRef: {name: west}, source: {clusterRef: {name: main}}, topics: {include: ["orders*"]}}
YAML
link() { k get mirrorlink "${2:-main-to-west}" -o "jsonpath={$1}"; }
ready_link() {  # NAME REASON
  [ "$(link '.status.conditions[?(@.type=="Ready")].status}{.status.conditions[?(@.type=="Ready")].reason' "$1")" = "True$2" ] &&
    [ "$(link .status.observedGeneration "$1")" = "$(link .metadata.generation "$1")" ]
}
patch() { k patch mirrorlink "$1" --type=merge -p "{\"spec\":$2}" >/dev/null; }
at_main() { # CLIENT ARGUMENT...
  timeout "${patience:-20}" kcat -b "$secure" -X security.protocol=ssl -X "ssl.ca.location=$dir/$1.ca" -X "ssl.certificate.location=$dir/$1.crt" \
    -X "ssl.key.location=$dir/$1.key" -X message.timeout.ms=15000 -t orders "${@:2}"
}
at_west() { timeout 20 kcat -b "$(field .status.summary.bootstrap west)" -t orders -X message.timeout.ms=15000 "$@"; }
shape=(-C -o beginning -e -q -f '%p %o %T %s\n')
same() { # CLIENT
  at_main "$1" "${shape[@]}" | sort >"$dir/main" && at_west "${shape[@]}" | sort >"$dir/west" && [ -s "$dir/main" ] && cmp -s "$dir/main" "$dir/west"
}
issued() { k get secret main-to-west-link-certificate -o 'jsonpath={.data.tls\.crt}' | base64 -d >"$dir/issued" && openssl x509 -in "$dir/issued" -noout "$@"; }

start_operator --manifest "$dir/pair.yaml"
until_ready
until_true 40 kubectl wait --timeout=1s --for=condition=Ready cluster/west
secure=$(field '.status.listeners[?(@.name=="tls")].bootstrap')
client first
seq -f 'first-%g' 200 | at_main first -P -X acks=all
until_true 60 ready_link main-to-west Mirroring
until_true 30 same first
expect "the name that the source sees" "subject=CN = main-to-west" "$(issued -subject)"
openssl verify -CAfile "$dir/first.ca" "$dir/issued" >/dev/null || fail "the source's authority did not sign it"
expect "its owner" MirrorLink "$(k get secret main-to-west-link-certificate -o 'jsonpath={.metadata.ownerReferences[0].kind}')"

# Another authority: the link goes on, with a certificate of the new one.
before=$(issued -serial)
k annotate cluster main millrace.dev/renew-authority=now >/dev/null
trusts() { k get secret main-ca -o 'jsonpath={.metadata.annotations.millrace\.dev/trusts}' | tr ',' '\n' | grep -c .; }
alone() { [ "$(trusts)" = 1 ] && [ "$(field '.status.conditions[?(@.type=="CertificatesValid")].reason')" = Issued ] && [ "$(issued -serial)" != "$before" ]; }
until_true 90 alone
client second
openssl verify -CAfile "$dir/second.ca" "$dir/issued" >/dev/null || fail "the link's certificate is not of the new authority"
# A connection that stands proves nothing: the source's only broker is another process now.
k delete pod main-0 --wait=false >/dev/null
again() { seq -f 'second-%g' 200 | patience=8 at_main second -P -X acks=all -X message.timeout.ms=5000; }
until_true 60 again
until_true 60 same second

# Switchover: the fence goes over the same connections; then the way back.
patch main-to-west '{"state":"Promoted"}'
until_true 60 ready_link main-to-west Promoted
seq -f 'third-%g' 100 | at_west -P -X acks=all
if echo late | patience=6 at_main second -P -X acks=all -X message.timeout.ms=3000 2>/dev/null; then fail "the fenced source took a record"; fi
cat <<'YAML' | k apply -f - >/dev/null
apiVersion: millrace.dev/v1
kind: MirrorLink
metadata: {name: west-to-main}
spec: {clusterRef: {name: main}, source: {clusterRef: {name: west}}, topics: {include: ["orders*"]}, onExistingData: Truncate}
YAML
until_true 60 ready_link west-to-main Mirroring
patch west-to-main '{"state":"Promoted"}'
until_true 60 ready_link west-to-main Promoted
patch main-to-west '{"state":"Mirroring","onExistingData":"Truncate"}'
until_true 60 ready_link main-to-west Mirroring
seq -f 'fourth-%g' 100 | at_main second -P -X acks=all
until_true 60 same second
expect "records of the third kind" 100 "$(grep -c ' third-' "$dir/main")"

# With the link goes its certificate.
k delete mirrorlink main-to-west west-to-main --timeout=60s >/dev/null
gone() { ! k get secret main-to-west-link-certificate; }
until_true 30 gone
kill "$pid"; wait "$pid" || fail "it didn't end cleanly"; pid=

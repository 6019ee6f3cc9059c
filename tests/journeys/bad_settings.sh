#!/usr/bin/env bash
# Wrong settings: exit code 2, one readable message that names key, value and remedy, nothing touched on disk.
source "$(dirname "$0")/lib.sh"
refused() { # what-the-message-must-say setting...
  local wanted=$1; shift
  local args=() setting status=0
  for setting in "$@"; do args+=(--set "$setting"); done
  timeout 10 "$broker" --set "log.dirs=$dir/never" "${args[@]}" >"$dir/out.log" 2>&1 || status=$?
  expect "exit code for $*" 2 "$status"
  grep -qE -- "$wanted" "$dir/out.log" || { cat "$dir/out.log" >&2; fail "$* does not say: $wanted"; }
  [ ! -e "$dir/never" ] || fail "$*: something was written"
}
refused_file() { # what-the-message-must-say file
  local status=0
  (cd "$dir" && timeout 10 "$broker" --config "$2" --set log.dirs=never) >"$dir/out.log" 2>&1 || status=$?
  expect "exit code for --config $2" 2 "$status"
  grep -qE -- "$1" "$dir/out.log" || { cat "$dir/out.log" >&2; fail "--config $2 does not say: $1"; }
  [ ! -e "$dir/never" ] || fail "--config $2: something was written"
}
refused_file 'No such file' /nowhere/server.properties
refused_file 'Is a directory' "$dir"
refused_file 'are no settings' /dev/zero
head -c 1000000 /dev/zero | tr '\0' n >"$dir/long.properties"
refused_file 'has no value|is no known setting' long.properties
refused 'num\.partitions.*0' num.partitions=0
refused 'num\.partitions.*many' num.partitions=many
refused 'num\.partitons.*num\.partitions' num.partitons=3
refused 'zookeeper\.connect' zookeeper.connect=localhost:2181
refused 'log\.segment\.bytes.*-5' log.segment.bytes=-5
tls=("listeners=SECURE://127.0.0.1:0,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER
  listener.security.protocol.map=SECURE:SSL,CONTROLLER:PLAINTEXT inter.broker.listener.name=SECURE)
refused 'ssl\.keystore\.location: listener SECURE.*has no certificate; set it' "${tls[@]}"
refused 'ssl\.keystore\.location=/none:.*name a file' "${tls[@]}" ssl.keystore.type=PEM ssl.keystore.location=/none
refused 'listener\.name\.secure\.ssl\.keystore\.location=/etc/hostname: it is not PEM' "${tls[@]}" \
  listener.name.secure.ssl.keystore.type=PEM listener.name.secure.ssl.keystore.location=/etc/hostname
refused 'ssl\.keystore\.type=BCFKS: it is none of PEM, PKCS12, JKS' "${tls[@]}" ssl.keystore.type=BCFKS ssl.keystore.location=/none
refused 'listener\.security\.protocol\.map.*SASL is not offered yet' "${tls[@]}" listener.security.protocol.map=SECURE:SASL_SSL,CONTROLLER:PLAINTEXT

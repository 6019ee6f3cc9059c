#!/usr/bin/env bash
# The metadata log in a directory of its own (metadata.log.dir), and a directory that Apache Kafka's `kafka-storage format` has prepared.
source "$(dirname "$0")/lib.sh"
vectors=$(cd "$(dirname "$0")/../vectors" && pwd)
read -r port < <(free_ports 1)
at=127.0.0.1:$port
settings=("log.dirs=$dir/data" "metadata.log.dir=$dir/metadata" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:0"
  controller.listener.names=CONTROLLER offsets.topic.replication.factor=1 millrace.metrics.listener= millrace.admin.listener=)

# 4.0, as the file was made; without it a new cluster is of the newest version.
mkdir "$dir/metadata"
cp "$vectors/storage/bootstrap.checkpoint" "$dir/metadata/"
start one "${settings[@]}"
until_true 20 answers "$at"
seq 1 100 | timeout 20 kcat -b "$at" -t events -P
[ -d "$dir/data/events-0" ] || fail "the topic is not in log.dirs"
[ -d "$dir/metadata/__cluster_metadata-0" ] || fail "the metadata is not in metadata.log.dir"
expect "partitions beside the metadata" "" "$(ls "$dir/metadata" | grep '^events' || true)"
[ ! -e "$dir/data/__cluster_metadata-0" ] || fail "the metadata is in log.dirs too"
# The record: its name, then the level, 25 of 33.
grep -aqP 'metadata\.version\x00\x19' "$dir/metadata/__cluster_metadata-0/00000000000000000000.log" || fail "not the metadata.version of the format"

kill_hard one
start one "${settings[@]}"
until_true 20 answers "$at" events
expect "records after kill -9" 100 "$(timeout 20 kcat -b "$at" -t events -C -o beginning -e -q | wc -l)"
stop one
for part in data metadata; do
  [ -e "$dir/$part/.kafka_cleanshutdown" ] || fail "no mark of the clean shutdown in $part"
done

# From another place the start would be one of a cluster that has forgotten everything.
refused() { # what-the-message-must-say setting...
  local wanted=$1 status=0 setting args=(); shift
  for setting in "${settings[@]}" "$@"; do args+=(--set "$setting"); done
  timeout 10 "$broker" "${args[@]}" >"$dir/refused.log" 2>&1 || status=$?
  expect "exit code for $*" 2 "$status"
  grep -q -- "$wanted" "$dir/refused.log" || { cat "$dir/refused.log" >&2; fail "$* does not say: $wanted"; }
}
mv "$dir/metadata/__cluster_metadata-0" "$dir/data/"
refused 'holds a metadata log: move' "metadata.log.dir=$dir/metadata"
mv "$dir/data/__cluster_metadata-0" "$dir/gone"
refused 'holds events-0, but no __cluster_metadata-0 is in' "metadata.log.dir=$dir/metadata"

# A format for what this build does not run.
rm -r "$dir/data/events-0"
sed -i 's/metadata\.version/metadata.versio_/' "$dir/metadata/bootstrap.checkpoint"
status=0
"$broker" $(printf -- '--set %s ' "${settings[@]}") >"$dir/damaged.log" 2>&1 || status=$?
expect "exit code for a damaged format" 1 "$status"
grep -q 'bootstrap.checkpoint' "$dir/damaged.log" || fail "the file is not named"
echo "ok metadata in a directory of its own, prepared by kafka-storage"

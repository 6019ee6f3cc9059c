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
refused_file() { # what-the-message-must-say file argument...
  local status=0
  (cd "$dir" && timeout 10 "$broker" --config "${@:2}" --set log.dirs=never) >"$dir/out.log" 2>&1 || status=$?
  expect "exit code for --config $2" 2 "$status"
  grep -qE -- "$1" "$dir/out.log" || { cat "$dir/out.log" >&2; fail "--config $2 does not say: $1"; }
  [ ! -e "$dir/never" ] || fail "--config $2: something was written"
}
refused_file 'No such file' /nowhere/server.properties
refused_file 'Is a directory' "$dir"
refused_file 'are no settings' /dev/zero
expect "what is said of a file that is not there" "millrace-broker: --config /nowhere/server.properties: No such file or directory" \
  "$("$broker" --config /nowhere/server.properties 2>&1 || true)"
echo num.partitions=many >"$dir/bad.properties"
echo num.partitions=3 >"$dir/good.properties"
refused_file 'config is given twice: bad.properties and good.properties' bad.properties --config good.properties
refused_file 'config is given twice' good.properties --config good.properties
refused_file 'unknown argument server\.properties: settings in a file are --config server\.properties' good.properties server.properties
refused_file 'unknown argument --chek \(see --help\)' good.properties --chek
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
refused 'controller\.quorum\.voters.*me.*id@host:port' controller.quorum.voters=me
refused "listeners=nonsense: 'nonsense' is not NAME://host:port" listeners=nonsense
refused '^millrace-broker: listeners=PLAINTEXT://192\.0\.2\.1:1: bind: Cannot assign requested address; name an address of this machine' \
  listeners=PLAINTEXT://192.0.2.1:1
refused 'advertised\.listeners.*0\.0\.0\.0' listeners=PLAINTEXT://:0 advertised.listeners=PLAINTEXT://0.0.0.0:9092
refused 'process\.roles' process.roles=king
# Who votes is a controller, at an address for controllers, and who is a controller votes.
apart=("listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0" "controller.quorum.voters=1@127.0.0.1:1,2@127.0.0.1:2")
refused 'node\.id=4: is 4, which controller\.quorum\.voters does.*add 4@host:port there' "${apart[@]}" node.id=4
refused 'process\.roles=broker: has no controller, but controller\.quorum\.voters lists 2' "${apart[@]}" node.id=2 process.roles=broker
refused 'listeners=.*has PLAINTEXT, .*process\.roles is controller alone; remove it' "${apart[@]}" node.id=2 process.roles=controller
refused 'cluster\.id=not valid! =x.*take letters' 'cluster.id=not valid! =x'
refused 'broker\.id=3.*differs from node\.id' node.id=2 broker.id=3
refused 'num\.partitions.*99999999999' num.partitions=99999999999
printf '\xef\xbb\xbf# from another system\r\nnum.partitions=3\r\nlog.segment.bytes=\\\r\n  2000000\r\nnum.partitions=4\r\n' >"$dir/other.properties"
(cd "$dir" && timeout 10 "$broker" --config other.properties --check) >"$dir/out.log" 2>&1 || { cat "$dir/out.log" >&2; fail "carriage returns, continued lines or a mark of byte order are not taken"; }
expect "what is said of it" "warning: other.properties:5: num.partitions=4: was given before at other.properties:2 (this one counts)
the settings are in order" "$(<"$dir/out.log")"

# Directories: all are looked at before one is written to.
state() { (cd "$1" && find . ! -name .lock -printf '%p %y %s %T@\n' | sort); }
refused_directory() { # what-the-message-must-say setting...
  local wanted=$1 args=() setting status=0; shift
  for setting in "$@"; do args+=(--set "$setting"); done
  timeout 10 "$broker" "${quiet[@]}" "${args[@]}" >"$dir/out.log" 2>&1 || status=$?
  expect "exit code for $*" 2 "$status"
  grep -qE -- "$wanted" "$dir/out.log" || { cat "$dir/out.log" >&2; fail "$* does not say: $wanted"; }
  [ ! -e "$dir/never" ] || fail "$*: something was written"
}
read -r port taken < <(free_ports 2)
quiet=(--set millrace.metrics.listener= --set millrace.admin.listener= --set controller.listener.names=CONTROLLER
  --set "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:0")
served=("log.dirs=$dir/data" "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER
  millrace.metrics.listener= millrace.admin.listener=)
start one "${served[@]}"
until_true 20 answers "127.0.0.1:$port"
stop one
before=$(state "$dir/data")
refused_directory 'log\.dirs.*belongs to node 0, this is node 7' "log.dirs=$dir/never,$dir/data" node.id=7
refused_directory 'cluster\.id is other.*belongs to cluster' "log.dirs=$dir/data" cluster.id=other
refused_directory 'log\.dirs.*are one directory: name it once' "log.dirs=$dir/never,$dir/./never"
# Several nodes that each make an id up are as many clusters, and their disks keep it.
refused_directory 'controller\.quorum\.voters.*cluster\.id is not set.*: write cluster\.id=[A-Za-z0-9_-]{22} into .*format' "log.dirs=$dir/never" "controller.quorum.voters=0@127.0.0.1:1,2@127.0.0.1:2"
refused_directory 'controller\.quorum\.bootstrap\.servers.*cluster\.id is not set' "log.dirs=$dir/never" controller.quorum.bootstrap.servers=127.0.0.1:1
echo "not a directory" >"$dir/file"
refused_directory 'log\.dirs.*Not a directory' "log.dirs=$dir/never,$dir/file"
refused_directory 'log\.dirs.*Not a directory' "log.dirs=$dir/never,$dir/file/below"
expect "the file" "not a directory" "$(<"$dir/file")"
expect "the directory of before" "$before" "$(state "$dir/data")"
mkdir "$dir/fresh" "$dir/unknown"
: >"$dir/unknown/meta.properties"
refused_directory "log\\.dirs: $dir/unknown/meta\\.properties: it has no version: it is cut off.*put back what it held" "log.dirs=$dir/fresh,$dir/unknown"
echo version=9 >"$dir/unknown/meta.properties"
for order in "$dir/never,$dir/fresh,$dir/unknown" "$dir/unknown,$dir/fresh,$dir/never"; do
  refused_directory "log\.dirs.*meta\.properties of version '9'" "log.dirs=$order"
done
expect "the fresh directory" "" "$(ls -A "$dir/fresh")"
# One that another broker holds, among the others or for the metadata.
start one "${served[@]}"
until_true 20 answers "127.0.0.1:$port"
quiet[-1]=listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0
for order in "$dir/never,$dir/fresh,$dir/data" "$dir/data,$dir/fresh,$dir/never"; do
  refused_directory 'log\.dirs.*is locked by another process, '"${pids[one]}"': stop it, or name another directory' "log.dirs=$order"
done
rm -r "$dir/unknown"
refused_directory 'metadata\.log\.dir.*is locked by another process' "log.dirs=$dir/never,$dir/fresh" "metadata.log.dir=$dir/data"
expect "the fresh directory" "" "$(ls -A "$dir/fresh")"
stop one
# The metadata log is where the first of log.dirs was: with another one there the cluster would begin anew and know of no topic.
served[0]="log.dirs=$dir/data,$dir/second"
start one "${served[@]}"
until_true 20 answers "127.0.0.1:$port"
for topic in t1 t2 t3; do echo kept | timeout 20 kcat -b "127.0.0.1:$port" -P -t $topic; done
stop one
before=$(state "$dir/data")$(state "$dir/second")
refused_directory "log\\.dirs: the first, $dir/second, is where the metadata log is kept, but $dir/data holds one; name that one first, or set metadata\\.log\\.dir=$dir/data" \
  "log.dirs=$dir/second,$dir/data"
refused_directory "log\\.dirs: $dir/second holds t[123]-0, but no __cluster_metadata-0 is in $dir/second" "log.dirs=$dir/second"
refused_directory "log\\.dirs: $dir/second holds t[123]-0, but no __cluster_metadata-0 is in $dir/never" "log.dirs=$dir/never,$dir/second"
expect "the directories of before" "$before" "$(state "$dir/data")$(state "$dir/second")"
start one "${served[@]}"
until_true 20 answers "127.0.0.1:$port"
for topic in t1 t2 t3; do expect "records in $topic" kept "$(timeout 20 kcat -b "127.0.0.1:$port" -C -t $topic -o beginning -e -q)"; done
stop one
# Without its directory.id it is another voter's: the log says so and what to do, and doing it helps.
sed -i '/^directory\.id=/d' "$dir/data/meta.properties"
start other "${served[@]}"
until_true 20 grep -E 'storage\.directory_without_id' "$dir/other.log"
until_true 20 grep -oE 'write directory\.id=[^ ]+' "$dir/other.log"
kill_hard other
voter=$(grep -oE 'write directory\.id=[^ ]+' "$dir/other.log")
sed -i "s/^directory\.id=.*/${voter#write }/" "$dir/data/meta.properties"
start one "${served[@]}"
until_true 20 answers "127.0.0.1:$port"
stop one
before=$(state "$dir/data")
# An address that is taken ends the start, and costs nothing: the next one is a clean one still.
python3 -c 'import signal, socket, sys
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("held", flush=True)
signal.pause()' "$taken" >"$dir/held" &
pids[holder]=$!
until_true 10 grep held "$dir/held"
for listeners in "PLAINTEXT://127.0.0.1:$taken,CONTROLLER://127.0.0.1:0" "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:$taken"; do
  status=0
  timeout 10 "$broker" "${quiet[@]}" --set "log.dirs=$dir/data" --set "listeners=$listeners" >"$dir/out.log" 2>&1 || status=$?
  expect "exit code for an address that is taken" 2 "$status"
  expect "the mark of a clean stop is there" yes "$([ -e "$dir/data/.kafka_cleanshutdown" ] && echo yes)"
done
for setting in millrace.metrics.listener millrace.admin.listener; do
  refused_directory "^millrace-broker: $setting=127\.0\.0\.1:$taken: bind: Address already in use; stop what listens there, or take another port$" "log.dirs=$dir/never" "$setting=127.0.0.1:$taken"
done
expect "names in the directory" "$(cut -d' ' -f1-2 <<<"$before")" "$(state "$dir/data" | cut -d' ' -f1-2)"

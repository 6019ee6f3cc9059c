#!/usr/bin/env bash
# A broker that may open few files, in a container of 2 GiB where one can be made here: it reads both limits, holds more logs
# than it may keep open, answers a crowd of clients at once, and neither runs out nor is killed.
# FILES=20000 PARTITIONS=6500 is the size of docs/budgets.md; the suite runs a tenth of it.
source "$(dirname "$0")/lib.sh"
readonly files=${FILES:-2000} memory=$((2 << 30)) partitions=${PARTITIONS:-650} records=20000
ulimit -n $files 2>/dev/null || { echo "no $files files may be opened here ($(ulimit -Hn))"; exit 77; }

# The container: version 1 or 2 of control groups, whichever takes us.
group=
for try in /sys/fs/cgroup/memory:memory.limit_in_bytes /sys/fs/cgroup:memory.max; do
  candidate=${try%:*}/millrace-journey-$$
  mkdir "$candidate" 2>/dev/null || continue
  if (echo $memory >"$candidate/${try#*:}") 2>/dev/null; then group=$candidate; break; fi
  rmdir "$candidate"
done
remove_group() {
  local tries
  [ -n "$group" ] || return 0
  for tries in {1..50}; do
    if rmdir "$group" 2>/dev/null; then return 0; fi
    pause
  done
  echo "$group stays behind" >&2
}
trap 'finish; remove_group' EXIT

read -r port metrics < <(free_ports 2)
at=127.0.0.1:$port
[ -z "$group" ] || echo $BASHPID >"$group/cgroup.procs"
start one "log.dirs=$dir/data" "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER \
  num.partitions=$partitions millrace.admin.listener= "millrace.metrics.listener=127.0.0.1:$metrics"
[ -z "$group" ] || echo $BASHPID >"$(dirname "$group")/cgroup.procs"  # the clients stay outside
until_true 30 answers "$at"

scrape() { timeout 20 python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=15).read().decode())' "$metrics" >"$dir/scrape"; }
budget() { sed -nE "s/^millrace_budget\{[^}]*\"$1\"\} ([0-9.e+]+)$/\1/p" "$dir/scrape" | awk '{printf "%d", $1}'; }
scrape
expect "files that it may open" $files "$(budget open_files)"
[ "$(budget connections)" -gt 0 ] && [ $(($(budget connections) + $(budget log_files))) -lt $files ] ||
  fail "connections and log files exceed $files: $(grep ^millrace_budget "$dir/scrape")"
if [ -n "$group" ]; then
  [ "$(budget memory_bytes)" -gt 0 ] && [ "$(budget memory_bytes)" -le $memory ] || fail "memory of $(budget memory_bytes) in a container of $memory"
fi

# More logs, each of several files, than it may open; and every record comes back.
for topic in one two; do
  until_true 120 timeout 60 kcat -b "$at" -L -t $topic
  seq 1 $records | timeout 200 kcat -b "$at" -t $topic -P -X sticky.partitioning.linger.ms=0 -X message.timeout.ms=180000 ||
    fail "not every record was taken"
done
for topic in one two; do
  timeout 200 kcat -b "$at" -t $topic -C -e -q -X auto.offset.reset=earliest | sort -un >"$dir/read"
  expect "records of $topic read back" $records "$(wc -l <"$dir/read")"
done

# A crowd of clients at once, each answered.
timeout 60 python3 - "$port" $((files / 10)) <<'PY' || fail "not every client was answered"
import socket, struct, sys
versions = struct.pack(">hhih", 18, 0, 7, -1)  # ApiVersions, version 0, correlation 7, no client id
crowd = [socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30) for _ in range(int(sys.argv[2]))]
for one in crowd:
    one.sendall(struct.pack(">i", len(versions)) + versions)
for one in crowd:
    size, correlation = struct.unpack(">ii", one.recv(8, socket.MSG_WAITALL))
    assert correlation == 7 and size > 0, (size, correlation)
PY
open=$(ls "/proc/${pids[one]}/fd" | wc -l)
[ "$open" -lt $files ] || fail "$open files are open"
! grep -iE 'too many open files|EMFILE' "$dir/one.log" || fail "it ran out of files"
peak=0
for told in memory.max_usage_in_bytes memory.peak; do
  [ ! -r "$group/$told" ] || peak=$(<"$group/$told")
done
rss=$(awk '/VmHWM/ {print $2}' "/proc/${pids[one]}/status")
stop one
echo "two topics of $partitions partitions and $records records: $open files open of $files, $((rss / 1024)) MiB at most${group:+, its container of 2 GiB $((peak >> 20)) MiB with cached files}"

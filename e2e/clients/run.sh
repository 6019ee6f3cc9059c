#!/usr/bin/env bash
# Runs programs that nobody here wrote against a broker: each client in a broker of its own, each check of checks.txt by each client.
#   run.sh [--short] [--nodes N] [--only a,b] [--port P] [--broker PROGRAM] [--keep]
#   --short   what CI has time for: fewer records, and the clients and checks that it names as left out
#   --nodes   brokers in the cluster: 1 (default) or 3; a client with a file `nodes` has as many as it says
#   --only    clients to run (also ONLY=...); CHECKS="codecs topics" limits the checks
#   --keep    leaves the brokers' data and logs where the last line says
# Each client is a folder with a client.sh: `client.sh prepare` installs its pinned packages below $MILLRACE_E2E_CACHE,
# `client.sh run` asks the checks in $CHECKS and prints one line for each: ok|FAILED|n/a, a tab, the check, a tab, words.
# A check that was asked and not answered is a failure; so is a client that ends non-zero and a broker that logs an error.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
short= nodes=1 only=${ONLY:-} port=22100 keep= broker=${MILLRACE_BROKER:-}
while [ $# -gt 0 ]; do
  case $1 in
    --short) short=1 ;;
    --nodes) nodes=$2; shift ;;
    --only) only=$2; shift ;;
    --port) port=$2; shift ;;
    --broker) broker=$2; shift ;;
    --keep) keep=1 ;;
    *) sed -n '2,11s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
for program in "$broker" "$root/build/release/bin/millrace-broker" "$root/build/debug/bin/millrace-broker"; do
  if [ -n "$program" ] && [ -x "$program" ]; then broker=$program; break; fi
done
[ -x "$broker" ] || { echo "no millrace-broker: make build, or --broker PROGRAM" >&2; exit 2; }

all_checks=$(grep -v '^#' "$here/checks.txt" | cut -f1 | tr '\n' ' ')
all_clients=$(cd "$here" && ls -d */client.sh | xargs -n1 dirname | tr '\n' ' ')
clients=$all_clients
if [ -n "$short" ]; then clients=$(grep -v '^#' "$here/short.txt" | tr '\n' ' '); fi
if [ -n "$only" ]; then clients=${only//,/ }; fi
limited=${CHECKS:-}
checks=${CHECKS:-$all_checks}
for client in $clients; do
  [ -f "$here/$client/client.sh" ] || { echo "no client called $client; there are: $all_clients" >&2; exit 2; }
done

export MILLRACE_BROKER=$broker
export MILLRACE_E2E_CACHE=${MILLRACE_E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/clients}
export MILLRACE_CTL=$here/broker.sh
export RECORDS=${RECORDS:-$([ -n "$short" ] && echo 200 || echo 1000)} # a partition, in checks that count records
mkdir -p "$MILLRACE_E2E_CACHE"
work=$(mktemp -d "${TMPDIR:-/tmp}/millrace-clients-XXXXXX")
export MILLRACE_E2E_STATE=$work/none
program=
finish() {
  local status=$?
  if [ -n "$program" ]; then kill "$program" 2>/dev/null || true; wait "$program" 2>/dev/null || true; fi
  if [ -f "$MILLRACE_E2E_STATE/port" ]; then "$MILLRACE_CTL" down || true; fi
  if [ -n "$keep" ]; then echo "kept: $work"; else rm -rf "$work"; fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

passed=0 failed=0 absent=0
report() { # CLIENT ok|FAILED|n/a CHECK WORDS
  printf '%-16s %-19s %-6s %s\n' "$1" "$3" "$2" "$4"
  case $2 in
    ok) passed=$((passed + 1)) ;;
    n/a) absent=$((absent + 1)) ;;
    *) failed=$((failed + 1)) ;;
  esac
}

run_client() {
  local client=$1 dir=$work/$1 nodes=$nodes own_settings asked limit status=0 result check words seen=" "
  mkdir -p "$dir"
  if ! timeout 1500 "$here/$client/client.sh" prepare >"$dir/prepare.log" 2>&1; then
    report "$client" FAILED prepare "$(tail -n 2 "$dir/prepare.log" | tr '\n' ' ')"
    return
  fi
  export MILLRACE_E2E_STATE=$dir/brokers
  if [ -f "$here/$client/nodes" ]; then nodes=$(cat "$here/$client/nodes"); fi
  export BOOTSTRAP=127.0.0.1:$port NODES=$nodes
  for n in $(seq 2 "$nodes"); do BOOTSTRAP+=,127.0.0.1:$((port + n - 1)); done
  own_settings=()
  if [ -f "$here/$client/broker.settings" ]; then mapfile -t own_settings < <(grep -v '^#' "$here/$client/broker.settings"); fi
  if ! "$MILLRACE_CTL" up "$port" "$nodes" num.partitions=4 group.initial.rebalance.delay.ms=0 \
      group.consumer.min.session.timeout.ms=1000 group.consumer.session.timeout.ms=6000 \
      group.consumer.min.heartbeat.interval.ms=200 group.consumer.heartbeat.interval.ms=500 \
      "${own_settings[@]}" 2>"$dir/up.log"; then
    report "$client" FAILED broker-start "$(cat "$dir/up.log")"
    return
  fi
  asked=$checks
  if [ -z "$limited" ] && [ -x "$here/$client/checks" ]; then asked=$("$here/$client/checks"); fi
  mkfifo "$dir/answers"
  # timeout passes a signal on to the client and its processes, so nothing outlives this run.
  limit=${CLIENT_SECONDS:-$(cat "$here/$client/seconds" 2>/dev/null || echo 900)}
  CHECKS=$asked timeout -k 5 "$limit" "$here/$client/client.sh" run >"$dir/answers" 2>"$dir/stderr" &
  program=$!
  while IFS=$'\t' read -r result check words; do
    case $result in
      ok | FAILED | n/a) report "$client" "$result" "$check" "$words"; seen+="$check " ;;
    esac
  done <"$dir/answers"
  wait "$program" || status=$?
  program=
  for check in $asked; do
    case $seen in *" $check "*) ;; *) report "$client" FAILED "$check" "no answer" ;; esac
  done
  if [ "$status" != 0 ]; then report "$client" FAILED exit "status $status: $(tail -n 3 "$dir/stderr" | cut -c1-300 | tr '\n' ' ')"; fi
  if ! "$MILLRACE_CTL" down 2>"$dir/down.log"; then report "$client" FAILED broker-stop "$(cat "$dir/down.log")"; fi
  if grep -h 'level=error' "$MILLRACE_E2E_STATE"/node*.log >"$dir/errors"; then
    report "$client" FAILED broker-log "$(head -n 1 "$dir/errors" | cut -c1-300)"
  fi
  MILLRACE_E2E_STATE=$work/none
}

began=$SECONDS
for client in $clients; do run_client "$client"; done
if [ -n "$short" ]; then
  left=; for client in $all_clients; do case " $clients " in *" $client "*) ;; *) left+=" $client" ;; esac; done
  echo "short form, left out: clients${left:- none}; $RECORDS records a partition instead of 1000"
fi
echo "$((SECONDS - began)) s; $absent not offered by their client (each said above)"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

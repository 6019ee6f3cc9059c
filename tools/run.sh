#!/usr/bin/env bash
# Starts a broker on this machine, waits until it serves, and says what to try. Ctrl-C stops it; the data stays.
#   MILLRACE_RUN_DIR   where its data lies  (build/run)
#   MILLRACE_RUN_PORT  where clients connect (9092)
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${MILLRACE_RUN_DIR:-build/run}
port=${MILLRACE_RUN_PORT:-9092}
mkdir -p "$dir"
build/release/bin/millrace-broker \
  --set "log.dirs=$PWD/$dir/data" --set "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:0" \
  --set controller.listener.names=CONTROLLER --set offsets.topic.replication.factor=1 \
  --set group.initial.rebalance.delay.ms=0 >"$dir/broker.log" 2>&1 &
broker=$!
stop() { kill "$broker" 2>/dev/null || true; wait "$broker" 2>/dev/null || true; }
trap 'stop; exit 0' INT TERM
for _ in $(seq 300); do
  kill -0 "$broker" 2>/dev/null || { cat "$dir/broker.log" >&2; exit 1; }
  timeout 2 kcat -b "127.0.0.1:$port" -L >/dev/null 2>&1 && break
done
cat <<TEXT
Millrace serves on 127.0.0.1:$port (data in $dir/data, log in $dir/broker.log). Try:

  echo hello | kcat -b 127.0.0.1:$port -P -t greetings
  kcat -b 127.0.0.1:$port -C -t greetings -o beginning -e
  kcat -b 127.0.0.1:$port -L

Ctrl-C stops it; the data stays.
TEXT
wait "$broker"

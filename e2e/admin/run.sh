#!/usr/bin/env bash
# A gRPC client that nobody here wrote (Python's grpcio) against a running broker's admin endpoint: health, identity,
# topics, settings, refusals.  run.sh [BROKER]
set -euo pipefail
cd "$(dirname "$0")/../.."
broker=${1:-build/release/bin/millrace-broker}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/grpc-client
if [ ! -x "$cache/bin/python" ]; then
  python3 -m venv "$cache"
  "$cache/bin/pip" install -q grpcio==1.62.2 grpcio-tools==1.62.2 grpcio-health-checking==1.62.2
fi
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
"$cache/bin/python" -m grpc_tools.protoc -Ibroker/admin/proto -I"$("$cache/bin/python" -c \
  'import grpc_tools, os; print(os.path.join(os.path.dirname(grpc_tools.__file__), "_proto"))')" \
  --python_out="$work" --grpc_python_out="$work" $(cd broker/admin/proto && ls millrace/admin/v1/*.proto)
read -r kafka admin metrics < <(python3 - <<'PY'
import socket
held = [socket.socket() for _ in range(3)]
for one in held:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
PY
)
refused=0
"$broker" --set "log.dirs=$work/never" --set "millrace.admin.listener=0.0.0.0:$admin" >"$work/refusal" 2>&1 || refused=$?
if [ "$refused" = 2 ] && grep -q 'millrace.admin.tls' "$work/refusal" && [ ! -e "$work/never" ]; then
  echo "ok      admin  an open address without TLS is refused, and nothing is written"
else
  echo "FAILED  admin  an open address without TLS: exit $refused, $(cat "$work/refusal")"
  exit 1
fi
"$broker" --set "log.dirs=$work/data" --set "listeners=PLAINTEXT://127.0.0.1:$kafka,CONTROLLER://127.0.0.1:0" \
  --set controller.listener.names=CONTROLLER --set offsets.topic.replication.factor=1 \
  --set "millrace.admin.listener=127.0.0.1:$admin" --set "millrace.metrics.listener=127.0.0.1:$metrics" \
  --set node.id=7 --set broker.rack=east >"$work/log" 2>&1 &
pid=$!
PYTHONPATH=$work "$cache/bin/python" e2e/admin/client.py "127.0.0.1:$admin" "http://127.0.0.1:$metrics" || {
  tail -20 "$work/log"
  exit 1
}
kill -TERM "$pid"
wait "$pid"
pid=

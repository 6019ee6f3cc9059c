#!/usr/bin/env bash
# What operators ask of a cluster, through Python's grpcio, of three brokers: cordon, drain, restart checks, the quorum,
# elections (verbs.py), groups and offsets (groups.py).  verbs.sh [BROKER]
set -euo pipefail
cd "$(dirname "$0")/../.."
broker=${1:-build/release/bin/millrace-broker}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/grpc-client
if [ ! -x "$cache/bin/python" ]; then
  python3 -m venv "$cache"
  "$cache/bin/pip" install -q grpcio==1.62.2 grpcio-tools==1.62.2 grpcio-health-checking==1.62.2
fi
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT
"$cache/bin/python" -m grpc_tools.protoc -Ibroker/admin/proto -I"$("$cache/bin/python" -c \
  'import grpc_tools, os; print(os.path.join(os.path.dirname(grpc_tools.__file__), "_proto"))')" \
  --python_out="$work" --grpc_python_out="$work" $(cd broker/admin/proto && ls millrace/admin/v1/*.proto)
read -r -a ports < <(python3 - <<'PY'
import socket
held = [socket.socket() for _ in range(12)]
for one in held:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
PY
)
voters=1@127.0.0.1:${ports[3]},2@127.0.0.1:${ports[4]},3@127.0.0.1:${ports[5]}
racks=(x a b c)
for n in 1 2 3; do
  "$broker" --set node.id=$n --set process.roles=broker,controller --set "log.dirs=$work/b$n" \
    --set "broker.rack=${racks[$n]}" --set cluster.id=VerbsOfThreeBrokers001 --set "controller.quorum.voters=$voters" \
    --set "listeners=PLAINTEXT://127.0.0.1:${ports[$((n - 1))]},CONTROLLER://127.0.0.1:${ports[$((n + 2))]}" \
    --set controller.listener.names=CONTROLLER --set default.replication.factor=3 --set min.insync.replicas=2 \
    --set "millrace.metrics.listener=127.0.0.1:${ports[$((n + 8))]}" --set "millrace.admin.listener=127.0.0.1:${ports[$((n + 5))]}" \
    >"$work/b$n.log" 2>&1 &
  pids+=($!)
done
admin=("127.0.0.1:${ports[6]}" "127.0.0.1:${ports[7]}" "127.0.0.1:${ports[8]}")
told=0
PYTHONPATH=$work "$cache/bin/python" e2e/admin/verbs.py "${admin[@]}" || told=1
PYTHONPATH=$work "$cache/bin/python" e2e/admin/groups.py "127.0.0.1:${ports[0]},127.0.0.1:${ports[1]}" \
  "127.0.0.1:${ports[9]},127.0.0.1:${ports[10]},127.0.0.1:${ports[11]}" "${admin[@]}" || told=1
[ $told = 0 ] || tail -n 15 "$work"/b*.log
exit $told

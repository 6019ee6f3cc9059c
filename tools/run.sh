#!/usr/bin/env bash
# Starts a cluster of three brokers on this machine: millrace-operator in local mode with a manifest. It says what to try once the
# cluster is ready. Ctrl-C stops everything; the data stays, and so does what was changed with kubectl.
#   MILLRACE_RUN_DIR       where everything lies   (build/run)
#   MILLRACE_RUN_MANIFEST  what to begin with      (deploy/local/cluster.yaml)
#   MILLRACE_RUN_BIN       where the programs are  (build/release/bin)
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${MILLRACE_RUN_DIR:-build/run}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
log=$dir/operator.log
echo "Starting ${MILLRACE_RUN_MANIFEST:-deploy/local/cluster.yaml} below $dir (log in $log) ..."
"${MILLRACE_RUN_BIN:-build/release/bin}/millrace-operator" --local "$dir" \
  --manifest "${MILLRACE_RUN_MANIFEST:-deploy/local/cluster.yaml}" 2>>"$log" &
operator=$!
trap 'kill "$operator" 2>/dev/null || true' INT TERM
status=0
# A signal ends the first wait early; the second one collects how the operator ended.
wait "$operator" || status=$?
if kill -0 "$operator" 2>/dev/null; then
  echo "Stopping ..."
  status=0
  wait "$operator" || status=$?
fi
[ "$status" = 0 ] || tail -n 20 "$log" >&2
exit "$status"

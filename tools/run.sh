#!/usr/bin/env bash
# Starts a cluster of three brokers on this machine: millrace-operator in local mode with a manifest. It says what to try once the
# cluster is ready. Ctrl-C stops everything; the data stays, and so does what was changed with kubectl.
#   MILLRACE_RUN_DIR       where everything lies   (build/run)
#   MILLRACE_RUN_MANIFEST  what to begin with      (deploy/local/cluster.yaml)
#   MILLRACE_RUN_BIN       where the programs are  (build/release/bin)
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(realpath -m "${MILLRACE_RUN_DIR:-build/run}")
exec "${MILLRACE_RUN_BIN:-build/release/bin}/millrace-operator" --local "$dir" --log-file "$dir/operator.log" \
  --manifest "${MILLRACE_RUN_MANIFEST:-deploy/local/cluster.yaml}"

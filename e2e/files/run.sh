#!/usr/bin/env bash
# Our files before Kafka's tools (ours.sh), Kafka's directory under our broker and back (kafkas.sh), and every file of broker/storage against
# Kafka's own loader and cleaner (../peers/storage).   run.sh [--short]: the last one is left out
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export MILLRACE_BROKER=${MILLRACE_BROKER:-$here/../../build/debug/bin/millrace-broker}
for script in ours kafkas; do
  echo "== $script"
  timeout 600 "$here/$script.sh"
done
if [ "${1:-}" != --short ]; then
  echo "== the files, one by one"
  KAFKA_PEER=$here/../peers/kafka/kafka-peer.sh timeout 900 "$here/../peers/storage/run.sh" "$(dirname "$MILLRACE_BROKER")/storage_files"
fi

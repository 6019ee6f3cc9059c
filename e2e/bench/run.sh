#!/usr/bin/env bash
# What a broker costs, beside Apache Kafka in the same run: e2e/bench/run.sh [--short]. See README.md here.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake --preset release >/dev/null
ninja -C build/release millrace-broker millrace-load >/dev/null
exec python3 e2e/bench/bench.py "$@"

#!/usr/bin/env bash
# The rdkafka crate, with the librdkafka that it builds itself.
set -euo pipefail
here=$(cd "$(dirname "$0")/../rust" && pwd)
export CARGO_TARGET_DIR=$MILLRACE_E2E_CACHE/rust
case $1 in
  prepare) cd "$here"; exec cargo build --locked --quiet ;;
  run) exec "$CARGO_TARGET_DIR/debug/millrace-rdkafka-checks" ;;
esac

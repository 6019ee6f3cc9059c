#!/usr/bin/env bash
# Runs one end-to-end suite: e2e/run.sh SUITE [ARGS...], where e2e/SUITE/run.sh exists. Without a suite: lists them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=${1:-}
if [ -z "$suite" ] || [ ! -f "$here/$suite/run.sh" ]; then
  [ -z "$suite" ] || echo "no suite called $suite" >&2
  echo "suites:" >&2
  for run in "$here"/*/run.sh; do echo "  $(basename "$(dirname "$run")")" >&2; done
  exit 2
fi
shift
exec "$here/$suite/run.sh" "$@"

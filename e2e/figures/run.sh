#!/usr/bin/env bash
# The operator's figures as one table: run.sh [BIN]. BIN has the programs (build/release/bin). Wants a quiet machine.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec python3 "$here/operator.py" "${1:-$here/../../build/release/bin}" "$here/../../crds"

#!/usr/bin/env bash
# Installs the pinned packages and runs one of the programs beside this file: program.sh PROGRAM prepare|run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$MILLRACE_E2E_CACHE/python
case $2 in
  prepare)
    if ! cmp -s "$here/requirements.txt" "$home/installed.txt"; then
      rm -rf "$home"
      python3 -m venv "$home"
      "$home/bin/pip" -q install --no-deps -r "$here/requirements.txt"
      cp "$here/requirements.txt" "$home/installed.txt"
    fi ;;
  run) exec "$home/bin/python" -u "$here/$1.py" ;;
esac

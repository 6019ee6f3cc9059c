#!/usr/bin/env bash
# Installs the locked packages and runs the program beside this file: program.sh prepare|run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$MILLRACE_E2E_CACHE/node
case $1 in
  prepare)
    if ! cmp -s "$here/package-lock.json" "$home/installed.json"; then
      rm -rf "$home"; mkdir -p "$home"
      cp "$here/package.json" "$here/package-lock.json" "$home/"
      (cd "$home" && npm ci --ignore-scripts --no-audit --no-fund --silent)
      cp "$here/package-lock.json" "$home/installed.json"
    fi ;;
  run) export NODE_PATH=$home/node_modules; exec node "$here/with_kafkajs.js" ;;
esac

#!/usr/bin/env bash
# Builds and runs one of the Go programs beside this file: program.sh PROGRAM prepare|run. go.sum pins every module.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary=$MILLRACE_E2E_CACHE/go/$1
case $2 in
  prepare) mkdir -p "$MILLRACE_E2E_CACHE/go"; cd "$here"; exec go build -o "$binary" "./$1" ;;
  run) exec "$binary" ;;
esac

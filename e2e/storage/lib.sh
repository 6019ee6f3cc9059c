# Shared by the scripts of this suite; sourced, never run.
set -euo pipefail
broker=$(realpath "${MILLRACE_BROKER:?the program to run}")
for needed in kcat python3; do command -v $needed >/dev/null || { echo "$needed is not installed (make deps brings it)" >&2; exit 77; }; done
work=$(mktemp -d "${TMPDIR:-/tmp}/millrace-storage-XXXXXX")
pid=
finish() {
  local status=$?
  [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
  wait 2>/dev/null || true
  ! mountpoint -q "$work/disk" 2>/dev/null || umount "$work/disk"
  if [ $status != 0 ] && [ $status != 77 ]; then tail -n 20 "$work/ours.log" >&2 || true; fi
  rm -rf "$work"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
pause() { read -rt "${1:-0.1}" <> <(:) || true; }
until_true() { # SECONDS COMMAND...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || fail "in time: $*"; pause; done
}
port=${STORAGE_PORT:-$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}
at=127.0.0.1:$port
data=$work/data
launch() { # SETTING...
  local args=() setting
  for setting in "$@"; do args+=(--set "$setting"); done
  "$broker" --set "log.dirs=$data" --set "listeners=PLAINTEXT://$at,CONTROLLER://127.0.0.1:0" --set controller.listener.names=CONTROLLER \
    --set offsets.topic.replication.factor=1 --set millrace.metrics.listener= --set millrace.admin.listener= "${args[@]}" >>"$work/ours.log" 2>&1 &
  pid=$!
}
serves() { timeout 3 kcat -b "$at" -L; }
start() { launch "$@"; until_true 60 serves; }
kill_hard() { kill -9 "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; pid=; }
stop() { kill "$pid"; wait "$pid" || fail "the broker ended with $?"; pid=; }

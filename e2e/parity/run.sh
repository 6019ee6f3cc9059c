#!/usr/bin/env bash
# make e2e S=parity [ONLY=groups] [ARGS=--quick]: what Apache Kafka and Millrace answer to the same requests. See README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peer=$here/../peers/kafka/kafka-peer.sh
home=${KAFKA_PEER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace/kafka-peer}
compgen -G "$home/libs/kafka-clients-*.jar" >/dev/null || "$peer" install >/dev/null
exec python3 "$here/run.py" --broker "${MILLRACE_BROKER:?the millrace-broker to compare}" --only "${ONLY:-}" "$@"

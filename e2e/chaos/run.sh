#!/usr/bin/env bash
# make e2e S=chaos: real faults on real brokers (chaos.py) and, with FAILOVER=1, the table of gaps beside Apache Kafka
# (failover.py). Needs root (loop devices, namespaces), kcat, java and Kafka's jars (e2e/peers/kafka/kafka-peer.sh install).
#   --short: the faults that a few minutes have time for, and says which are left out
#   ROUNDS=1  SCENARIOS=kill,freeze,isolate,disk_full,power_one,power_all,move,nearest  CONTROL=1  FAILOVER=  RUNS=5
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export MILLRACE_BROKER=${MILLRACE_BROKER:-$root/build/${PRESET:-release}/bin/millrace-broker}
command -v javac >/dev/null || { echo "javac is not installed (make deps brings it)"; exit 77; }
command -v kcat >/dev/null || { echo "kcat is not installed (make deps brings it)"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "chaos needs root: loop devices and network namespaces"; exit 77; }
cd "$here"
if [ "${1:-}" = --short ]; then
  SCENARIOS=${SCENARIOS:-kill,isolate,disk_full,move}
  echo "short: $SCENARIOS, one round; freeze, the power cuts and the reader in its rack are left out"
fi
python3 chaos.py --rounds "${ROUNDS:-1}" ${SCENARIOS:+--scenarios "$SCENARIOS"} ${CONTROL:+--control}
[ -z "${FAILOVER:-}" ] || python3 failover.py --runs "${RUNS:-5}"

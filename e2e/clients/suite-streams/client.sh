#!/usr/bin/env bash
# Kafka Streams' own integration tests, on the brokers of suite-kafka.
set -euo pipefail
SUITE=suite-streams exec "$(dirname "$0")/../suite-kafka/client.sh" "$@"

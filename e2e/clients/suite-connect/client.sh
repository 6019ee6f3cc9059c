#!/usr/bin/env bash
# Kafka Connect's and MirrorMaker's own integration tests, on the brokers of suite-kafka.
set -euo pipefail
SUITE=suite-connect exec "$(dirname "$0")/../suite-kafka/client.sh" "$@"

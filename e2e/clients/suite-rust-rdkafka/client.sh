#!/usr/bin/env bash
# The rdkafka crate's own integration tests, over the librdkafka 2.12 that it brings along, at this broker's address.
set -euo pipefail
cd "$(dirname "$0")"
KAFKA_HOST=${BOOTSTRAP:-} KAFKA_VERSION=4.0.0 exec ../rust/suite.sh rdkafka 0.39.0 "$1"

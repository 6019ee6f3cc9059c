#!/usr/bin/env bash
# rskafka's own integration tests, a client in Rust without librdkafka.
set -euo pipefail
cd "$(dirname "$0")"
NEWER=rsasl@2.3.1 FEATURES=full TEST_INTEGRATION=1 TEST_BROKER_IMPL=kafka KAFKA_CONNECT=${BOOTSTRAP:-} exec ../rust/suite.sh rskafka 0.6.0 "$1"

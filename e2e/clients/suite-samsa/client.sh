#!/usr/bin/env bash
# samsa's own integration tests, another client in Rust.
set -euo pipefail
cd "$(dirname "$0")"
NEWER=rsasl@2.3.1 TEST_THREADS=1 FEATURES=integration_tests KAFKA_BROKERS=${BOOTSTRAP:-} exec ../rust/suite.sh samsa 0.1.8 "$1"

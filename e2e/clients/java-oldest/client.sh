#!/usr/bin/env bash
# The Java client 2.1.0, the oldest that a Kafka 4 broker serves.
exec "$(dirname "$0")/../java/program.sh" oldest Oldest "$@"

#!/usr/bin/env bash
exec "$(dirname "$0")/../python/program.sh" with_confluent_kafka "$@"

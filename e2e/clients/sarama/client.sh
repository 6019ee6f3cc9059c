#!/usr/bin/env bash
# sarama.
exec "$(dirname "$0")/../go/program.sh" sarama "$@"

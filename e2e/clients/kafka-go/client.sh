#!/usr/bin/env bash
# kafka-go, the one of segmentio.
exec "$(dirname "$0")/../go/program.sh" segmentio "$@"

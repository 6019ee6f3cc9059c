#!/usr/bin/env bash
# franz-go, with kadm for administration.
exec "$(dirname "$0")/../go/program.sh" franz "$@"

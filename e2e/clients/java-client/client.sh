#!/usr/bin/env bash
# The Java client 4.4.0.
exec "$(dirname "$0")/../java/program.sh" client Newest "$@"

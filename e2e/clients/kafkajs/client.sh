#!/usr/bin/env bash
# kafkajs; its codecs are plugged in from pure JavaScript packages.
exec "$(dirname "$0")/../node/program.sh" "$@"

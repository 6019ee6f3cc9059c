#!/usr/bin/env bash
# Wrong settings: exit code 2, one readable message that names key, value and remedy, nothing touched on disk.
source "$(dirname "$0")/lib.sh"
refused() { # what-the-message-must-say setting...
  local wanted=$1; shift
  local args=() setting status=0
  for setting in "$@"; do args+=(--set "$setting"); done
  timeout 10 "$broker" --set "log.dirs=$dir/never" "${args[@]}" >"$dir/out.log" 2>&1 || status=$?
  expect "exit code for $*" 2 "$status"
  grep -qE -- "$wanted" "$dir/out.log" || { cat "$dir/out.log" >&2; fail "$* does not say: $wanted"; }
  [ ! -e "$dir/never" ] || fail "$*: something was written"
}
refused 'num\.partitions.*0' num.partitions=0
refused 'num\.partitions.*many' num.partitions=many
refused 'num\.partitons.*num\.partitions' num.partitons=3
refused 'zookeeper\.connect' zookeeper.connect=localhost:2181
refused 'log\.segment\.bytes.*-5' log.segment.bytes=-5

#!/usr/bin/env bash
# Named tests of what only shows when much happens at once: order through everything, rebalances without end, 5,000 members.
ulimit -n 20000 2>/dev/null || true
exec "$(dirname "$0")/../go/program.sh" scenarios "$@"

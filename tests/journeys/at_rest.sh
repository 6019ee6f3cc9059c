#!/usr/bin/env bash
# A broker with all its endpoints and nothing to do: how soon it answers its first client on an empty directory, what it holds, what it burns.
source "$(dirname "$0")/lib.sh"
timeout 100 python3 "$(dirname "$0")/at_rest.py" "$broker" "$dir" || fail "see above"

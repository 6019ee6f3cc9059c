#!/usr/bin/env bash
# franz-go's own tests, from the same module that the client comes from, at this broker's address.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../go/suite.sh"
case $1 in
  prepare)
    own_copy github.com/twmb/franz-go
    build_tests pristine ./pkg/kgo ;;
  run)
    cd "$home/pristine/pkg/kgo"
    KGO_SEEDS=$BOOTSTRAP KGO_TEST_RF=$((NODES < 3 ? 1 : 3)) KGO_TEST_RECORDS=$((RECORDS * 25)) \
      run_tests "$MILLRACE_E2E_STATE/suite.log" "" "$home/kgo.test" -test.timeout 800s -test.run "$(asked_tests)" ;;
esac

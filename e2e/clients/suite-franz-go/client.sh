#!/usr/bin/env bash
# franz-go's own tests, from the same module that the client comes from, at this broker's address.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary=$MILLRACE_E2E_CACHE/go/kgo.test
case $1 in
  prepare) mkdir -p "${binary%/*}"; cd "$here/../go"; exec go test -c -o "$binary" github.com/twmb/franz-go/pkg/kgo ;;
  run)
    cd "$(cd "$here/../go" && go list -f '{{.Dir}}' github.com/twmb/franz-go/pkg/kgo)"
    # "--- PASS: TestName (1.23s)", indented for subtests.
    KGO_SEEDS=$BOOTSTRAP KGO_TEST_RF=$((NODES < 3 ? 1 : 3)) KGO_TEST_RECORDS=$((RECORDS * 25)) \
      "$binary" -test.v -test.timeout 800s -test.run "^($(tr ' \n' '||' <<<"$CHECKS" | sed 's/|*$//'))\$" 2>&1 | tee "$MILLRACE_E2E_STATE/suite.log" |
      awk '/^--- (PASS|FAIL|SKIP): / { result = $2; sub(":", "", result)
        print (result == "PASS" ? "ok" : result == "FAIL" ? "FAILED" : "n/a") "\t" $3 "\t" (result == "SKIP" ? "its own suite skips it" : $4); fflush() }' ;;
esac

#!/usr/bin/env bash
# watermill-kafka's own tests, over sarama 1.43: what the library asks of every message queue, of topics of 50 partitions at this broker's address.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$MILLRACE_E2E_CACHE/suite-watermill
module=github.com/ThreeDotsLabs/watermill-kafka/v3@v3.0.6
. "$here/../excuse.sh"
case $1 in
  prepare)
    if [ -x "$home/${module##*@}.test" ]; then exit 0; fi
    rm -rf "$home"; mkdir -p "$home/source"
    source=$(go mod download -json "$module" | jq -r .Dir)
    cp -r "$source/." "$home/source"; chmod -R u+w "$home/source"
    cd "$home/source"
    exec go test -mod=mod -c -o "$home/${module##*@}.test" ./pkg/kafka ;;
  run)
    cd "$home/source/pkg/kafka"
    # Tests of one level below the top are the checks: "    --- PASS: TestPublishSubscribe/TestResendOnError (1.23s)"; a test without parts is one.
    WATERMILL_TEST_KAFKA_BROKERS=$BOOTSTRAP "$home/${module##*@}.test" -test.v -test.timeout 800s \
      -test.run "^($(tr ' ' '\n' <<<"$CHECKS" | cut -d/ -f1 | sed '/^$/d' | sort -u | paste -sd '|'))\$" >"$MILLRACE_E2E_STATE/suite.log" 2>&1 || [ $? = 1 ]
    awk -v asked=" $(tr '\n' ' ' <<<"$CHECKS")" '/^ *--- (PASS|FAIL|SKIP): / { result = $2; sub(":", "", result)
      if (index(asked, " " $3 " ")) print (result == "PASS" ? "ok" : result == "FAIL" ? "FAILED" : "n/a") "\t" $3 "\t" (result == "SKIP" ? "its own suite skips it" : $4) }' \
      "$MILLRACE_E2E_STATE/suite.log" | excuse ;;
esac

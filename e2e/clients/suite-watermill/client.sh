#!/usr/bin/env bash
# watermill-kafka's own tests, over sarama 1.43: what the library asks of every message queue, of topics of 50 partitions at this broker's address.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../go/suite.sh"
case $1 in
  prepare)
    own_copy github.com/ThreeDotsLabs/watermill-kafka/v3@v3.0.6
    build_tests pristine ./pkg/kafka ;;
  run) # The checks are the tests of one level below the top (TestPublishSubscribe/TestResendOnError), or those without parts.
    cd "$home/pristine/pkg/kafka"
    WATERMILL_TEST_KAFKA_BROKERS=$BOOTSTRAP run_tests "$MILLRACE_E2E_STATE/suite.log" "" "$home/kafka.test" -test.timeout 800s -test.run "$(asked_tests)" ;;
esac

#!/usr/bin/env bash
# kafka-go's own tests, from the same module that the client comes from, at this broker's address. Two are not in tests.txt: TestNetworkAddress
# knows the port as a constant, and TestReaderConsumerGroup ends its process by a null pointer of its own, with Kafka 4.3.1 as well.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../go/suite.sh"
case $1 in
  prepare)
    own_copy github.com/segmentio/kafka-go
    build_tests pristine . ;;
  run)
    # Its tests know one port for a broker; the one that runs takes its place in their text.
    port=${BOOTSTRAP%%,*}; port=${port##*:}
    changed_copy "s/\\b9092\\b/$port/g" $(cd "$home/pristine" && ls ./*.go testing/*.go)
    build_tests source .
    cd "$home/source"
    KAFKA_VERSION=4.0.0 KAFKA_SKIP_NETTEST=1 run_tests "$MILLRACE_E2E_STATE/suite.log" "" "$home/suite.test" -test.timeout 800s -test.run "$(asked_tests)" ;;
esac

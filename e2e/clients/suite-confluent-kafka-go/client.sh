#!/usr/bin/env bash
# confluent-kafka-go's own integration tests, over the librdkafka 2.11 that its module brings along, at this broker's address.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../go/suite.sh"
case $1 in
  prepare)
    own_copy github.com/confluentinc/confluent-kafka-go/v2@v2.11.1
    build_tests pristine ./kafka ;;
  run)
    cd "$home/pristine/kafka"
    for protocol in classic consumer; do
      grep -q "$protocol\\." <<<"$CHECKS" || continue
      jq -n --arg at "$BOOTSTRAP" --arg name "$protocol" '{Brokers: $at, TopicName: "test-\($name)", GroupID: "group-\($name)", Config: ["api.version.request=true"]}' >testconf.json
      TEST_CONSUMER_GROUP_PROTOCOL=$protocol run_tests "$MILLRACE_E2E_STATE/$protocol.log" "$protocol." "$home/kafka.test" -test.timeout 400s -test.run '^TestIntegration$' -testify.m "$(asked_tests "$protocol\\.")"
    done ;;
esac

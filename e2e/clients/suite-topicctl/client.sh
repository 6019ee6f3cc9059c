#!/usr/bin/env bash
# topicctl's own tests (Segment's tool that lays out, moves, throttles and repairs topics), over kafka-go: six brokers in three zones.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../go/suite.sh"
packages="admin apply check groups messages"
case $1 in
  prepare)
    own_copy github.com/segmentio/topicctl@v1.10.0
    # Where the tests have a ZooKeeper beside the broker's address they ask it, not the broker.
    changed_copy '/ZKAddrs: /d' $(cd "$home/pristine" && grep -rl 'ZKAddrs: ' --include='*_test.go' pkg)
    for package in $packages; do build_tests source "./pkg/$package"; done ;;
  run)
    export KAFKA_TOPICS_TEST_KAFKA_ADDR=${BOOTSTRAP%%,*} KAFKA_TOPICS_TEST_BROKER_ADMIN=1
    for package in $packages; do
      grep -q "$package\\." <<<"$CHECKS" || continue
      cd "$home/source/pkg/$package"
      run_tests "$MILLRACE_E2E_STATE/$package.log" "$package." "$home/$package.test" -test.timeout 600s -test.run "$(asked_tests "$package\\.")"
    done ;;
esac

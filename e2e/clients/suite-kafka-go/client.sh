#!/usr/bin/env bash
# kafka-go's own tests, from the same module that the client comes from, at this broker's address.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$MILLRACE_E2E_CACHE/suite-kafka-go
# What is known to be absent in the broker, or wrong in the tests (absent.txt: NAME, a tab, why), is not a failure, and is said. Two are not
# in tests.txt: TestNetworkAddress knows the port as a constant, and TestReaderConsumerGroup ends its process by a null pointer of its own,
# with Kafka 4.3.1 as well.
. "$here/../excuse.sh"
case $1 in
  prepare)
    source=$(cd "$here/../go" && go mod download github.com/segmentio/kafka-go && go list -m -f '{{.Dir}}' github.com/segmentio/kafka-go)
    rm -rf "$home"; mkdir -p "$home/pristine"
    cp -r "$source/." "$home/pristine"; chmod -R u+w "$home/pristine"
    cd "$home/pristine"; exec go test -mod=mod -c -o "$home/kafka-go.test" . ;;
  run)
    # Its tests know one port for a broker; the one that runs takes its place in their text.
    port=${BOOTSTRAP%%,*}; port=${port##*:}
    rm -rf "$home/source"; cp -r "$home/pristine" "$home/source"
    cd "$home/source"
    sed -i "s/\\b9092\\b/$port/g" ./*.go testing/*.go
    go test -mod=mod -c -o "$home/kafka-go.test" .
    # "--- PASS: TestName (1.23s)", indented for subtests.
    KAFKA_VERSION=4.0.0 KAFKA_SKIP_NETTEST=1 "$home/kafka-go.test" -test.v -test.timeout 800s \
      -test.run "^($(tr ' \n' '||' <<<"$CHECKS" | sed 's/|*$//'))\$" 2>&1 | tee "$MILLRACE_E2E_STATE/suite.log" |
      awk '/^--- (PASS|FAIL|SKIP): / { result = $2; sub(":", "", result)
        print (result == "PASS" ? "ok" : result == "FAIL" ? "FAILED" : "n/a") "\t" $3 "\t" (result == "SKIP" ? "its own suite skips it" : $4); fflush() }' |
      excuse || [ $? = 1 ] ;; # 1: some test failed, which its line says
esac

#!/usr/bin/env bash
# confluent-kafka-go's own integration tests, over the librdkafka 2.11 that its module brings along, at this broker's address.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$MILLRACE_E2E_CACHE/suite-confluent-kafka-go
module=github.com/confluentinc/confluent-kafka-go/v2@v2.11.1
. "$here/../excuse.sh"
case $1 in
  prepare)
    if [ -x "$home/${module##*@}.test" ]; then exit 0; fi
    rm -rf "$home"; mkdir -p "$home/source"
    source=$(go mod download -json "$module" | jq -r .Dir)
    cp -r "$source/." "$home/source"; chmod -R u+w "$home/source"
    cd "$home/source"
    exec go test -mod=mod -c -o "$home/${module##*@}.test" ./kafka ;;
  run)
    cd "$home/source/kafka"
    status=0
    for protocol in classic consumer; do
      tests=$(grep -o "$protocol\\.[A-Za-z_]*" <<<"$CHECKS" | sed "s/^$protocol\\.//" | paste -sd '|') || continue
      jq -n --arg at "$BOOTSTRAP" --arg name "$protocol" '{Brokers: $at, TopicName: "test-\($name)", GroupID: "group-\($name)", Config: ["api.version.request=true"]}' >testconf.json
      # "    --- PASS: TestIntegration/TestName (1.23s)"
      TEST_CONSUMER_GROUP_PROTOCOL=$protocol "$home/${module##*@}.test" -test.v -test.timeout 400s -test.run '^TestIntegration$' -testify.m "^($tests)\$" 2>&1 |
        tee "$MILLRACE_E2E_STATE/$protocol.log" |
        awk -v protocol="$protocol" '/^    --- (PASS|FAIL|SKIP): / { result = $2; sub(":", "", result); name = $3; sub(".*/", "", name)
          print (result == "PASS" ? "ok" : result == "FAIL" ? "FAILED" : "n/a") "\t" protocol "." name "\t" (result == "SKIP" ? "its own suite skips it" : $4); fflush() }' |
        excuse || status=$?
    done
    [ "$status" -le 1 ] ;; # 1: some test failed, which its line says
esac

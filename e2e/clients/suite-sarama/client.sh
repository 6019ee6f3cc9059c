#!/usr/bin/env bash
# sarama's own functional tests, from the same module that the client comes from: five brokers, each behind a toxiproxy that the tests cut and break.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../go/suite.sh"
case $1 in
  prepare)
    own_copy github.com/IBM/sarama
    (cd "$home/pristine" && go build -mod=mod -o "$home/toxiproxy" github.com/Shopify/toxiproxy/v2/cmd/server) # as its go.mod has it
    build_tests pristine . -tags functional ;;
  run)
    port=${BOOTSTRAP%%,*}; port=${port##*:}
    # Its tests know the ports of the proxies; ours take their place in their text.
    changed_copy "s/\\b29090\\b/$((port + 49))/g" $(cd "$home/pristine" && ls functional*_test.go)
    build_tests source . -tags functional
    cd "$home/source"
    for n in 1 2 3 4 5; do
      printf '{"name":"kafka%d","listen":"127.0.0.1:%d","upstream":"127.0.0.1:%d","enabled":true}\n' "$n" $((port + 49 + n)) $((port + 39 + n))
    done | jq -s . >"$MILLRACE_E2E_STATE/proxies.json"
    "$home/toxiproxy" -host 127.0.0.1 -port $((port + 60)) -config "$MILLRACE_E2E_STATE/proxies.json" >"$MILLRACE_E2E_STATE/toxiproxy.log" 2>&1 &
    proxy=$!
    trap 'kill "$proxy"' EXIT
    trap 'exit 143' TERM
    end=$((SECONDS + 20))
    until (exec 3<>"/dev/tcp/127.0.0.1/$((port + 54))") 2>/dev/null; do
      [ $SECONDS -lt $end ] || { echo "toxiproxy does not listen" >&2; exit 1; }
      read -rt 0.1 <> <(:) || true
    done
    export PATH=$here/programs:$PATH TOXIPROXY_ADDR=http://127.0.0.1:$((port + 60)) KAFKA_VERSION=4.3.1
    run_tests "$MILLRACE_E2E_STATE/suite.log" "" "$home/suite.test" -test.timeout 1400s -test.run "$(asked_tests)" ;;
esac

#!/usr/bin/env bash
# sarama's own functional tests, from the same module that the client comes from: five brokers, each behind a toxiproxy that the tests cut and break.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$MILLRACE_E2E_CACHE/suite-sarama
. "$here/../excuse.sh"
case $1 in
  prepare)
    source=$(cd "$here/../go" && go mod download github.com/IBM/sarama && go list -m -f '{{.Dir}}' github.com/IBM/sarama)
    rm -rf "$home"; mkdir -p "$home/pristine"
    cp -r "$source/." "$home/pristine"; chmod -R u+w "$home/pristine"
    cd "$home/pristine"
    go build -mod=mod -o "$home/toxiproxy" github.com/Shopify/toxiproxy/v2/cmd/server # as its go.mod has it
    exec go test -mod=mod -tags functional -c -o "$home/sarama.test" . ;;
  run)
    port=${BOOTSTRAP%%,*}; port=${port##*:}
    # Its tests know the ports of the proxies; ours take their place in their text.
    rm -rf "$home/source"; cp -r "$home/pristine" "$home/source"
    cd "$home/source"
    sed -i "s/\\b29090\\b/$((port + 49))/g" ./functional*_test.go
    go test -mod=mod -tags functional -c -o "$home/sarama.test" .
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
    # "--- PASS: TestName (1.23s)", indented for subtests.
    PATH=$here/programs:$PATH TOXIPROXY_ADDR=http://127.0.0.1:$((port + 60)) KAFKA_VERSION=4.3.1 "$home/sarama.test" -test.v -test.timeout 1400s \
      -test.run "^($(tr ' \n' '||' <<<"$CHECKS" | sed 's/|*$//'))\$" 2>&1 | tee "$MILLRACE_E2E_STATE/suite.log" |
      awk '/^--- (PASS|FAIL|SKIP): / { result = $2; sub(":", "", result)
        print (result == "PASS" ? "ok" : result == "FAIL" ? "FAILED" : "n/a") "\t" $3 "\t" (result == "SKIP" ? "its own suite skips it" : $4); fflush() }' |
      excuse || [ $? = 1 ] ;; # 1: some test failed, which its line says
esac

#!/usr/bin/env bash
# Every metric that a dashboard or an alert rule in deploy/ names is in the table, with the labels it uses, and a broker that
# serves clients exposes it; and the figures are those of what was just done.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/pki.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
admin_call=$2
read -r port metrics admin source secure < <(free_ports 5)
at=127.0.0.1:$port
authority ours
certificate broker ours /CN=broker IP:127.0.0.1
start one "log.dirs=$dir/data" "listeners=PLAINTEXT://$at,SECURE://127.0.0.1:$secure,CONTROLLER://127.0.0.1:0" \
  controller.listener.names=CONTROLLER listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SECURE:SSL,CONTROLLER:PLAINTEXT \
  ssl.keystore.type=PEM "ssl.keystore.location=$pki/broker.pem" \
  offsets.topic.replication.factor=1 offsets.topic.num.partitions=2 group.initial.rebalance.delay.ms=0 num.partitions=1 \
  "millrace.admin.listener=127.0.0.1:$admin" "millrace.metrics.listener=127.0.0.1:$metrics"
start source "log.dirs=$dir/source" "listeners=PLAINTEXT://127.0.0.1:$source,CONTROLLER://127.0.0.1:0" controller.listener.names=CONTROLLER \
  millrace.admin.listener= millrace.metrics.listener=
until_true 20 answers "$at"
until_true 20 answers "127.0.0.1:$source"
seq 1 7 | timeout 20 kcat -b "127.0.0.1:$source" -t mirrored -P
timeout 20 "$admin_call" "127.0.0.1:$admin" ApplyLink '{"link":{"name":"west","source":{"bootstrap_servers":["127.0.0.1:'"$source"'"]},
  "topics":{"include":["mirrored"]}}}' >/dev/null
seq 1 10 | timeout 20 kcat -b "$at" -t counted -P
timeout 20 kcat -b "$at" -G readers counted -X auto.offset.reset=earliest -X auto.commit.interval.ms=50 -c 10 -q >"$dir/read"
seq 1 3 | timeout 20 kcat -b "$at" -t counted -P
if timeout 3 kcat -b "127.0.0.1:$secure" -L >/dev/null 2>&1; then fail "a plaintext client was served over TLS"; fi
scrape() { timeout 10 python3 - "$metrics" <<'PY'
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=5).read().decode())
PY
}
lag_is_three() { scrape >"$dir/scrape" && grep -q '^millrace_group_lag_records{.*group="readers".*} 3$' "$dir/scrape"; }
until_true 20 lag_is_three
mirrored() { scrape >"$dir/scrape" && grep -q '^millrace_mirror_bytes_total{link="west"} [1-9]' "$dir/scrape"; }
until_true 20 mirrored
figure() { sed -nE "s/^$1 ([0-9.e+]+)$/\1/p" "$dir/scrape"; }
expect "records in" 13 "$(figure 'millrace_produced_records_total\{topic="counted"\}')"
expect "groups" 1 "$(figure 'millrace_groups\{protocol="classic",state="Empty"\}')"
expect "active controllers" 1 "$(figure millrace_active_controller)"
expect "offline partitions" 0 "$(figure millrace_offline_partitions)"
expect "under-replicated partitions" 0 "$(figure millrace_under_replicated_partitions)"
grep -qE '^millrace_requests_total\{api="Produce",version="[0-9]+"\} [1-9]' "$dir/scrape" || fail "no produce request was counted"
grep -qE '^millrace_request_seconds_count\{api="Fetch"\} [1-9]' "$dir/scrape" || fail "no fetch was timed"
grep -qE '^millrace_log_bytes\{.*topic="counted"' "$dir/scrape" || fail "the log's size is not told"
timeout 20 python3 "$(dirname "$0")/metrics_named.py" "$root" "$dir/scrape" || fail "see above"
stop one; stop source

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
# What is refused is counted with its code: a batch that is too large, and an offset that is not there.
head -c 2000000 /dev/zero | tr '\0' x >"$dir/large"
timeout 20 kcat -b "$at" -t counted -P -X message.max.bytes=4000000 "$dir/large" >/dev/null 2>&1 || true
timeout 20 kcat -b "$at" -t counted -p 0 -o 1000000 -C -e -q -X auto.offset.reset=latest >/dev/null 2>&1 || true
lag_is_three() { scrape >"$dir/scrape" && grep -q '^millrace_group_lag_records{.*group="readers".*} 3$' "$dir/scrape"; }
until_true 20 lag_is_three
mirrored() { scrape >"$dir/scrape" && grep -q '^millrace_mirror_bytes_total{link="west"} [1-9]' "$dir/scrape"; }
until_true 20 mirrored
lag_ages() { scrape >"$dir/scrape" && grep -q '^millrace_group_lag_seconds{group="readers",topic="counted"} [0-9.]*[1-9]' "$dir/scrape"; }
until_true 20 lag_ages
figure() { sed -nE "s/^$1 ([0-9.e+]+)$/\1/p" "$dir/scrape"; }
expect "records in" 13 "$(figure 'millrace_produced_records_total\{topic="counted"\}')"
expect "groups" 1 "$(figure 'millrace_groups\{protocol="classic",state="Empty"\}')"
expect "active controllers" 1 "$(figure millrace_active_controller)"
expect "offline partitions" 0 "$(figure millrace_offline_partitions)"
expect "under-replicated partitions" 0 "$(figure millrace_under_replicated_partitions)"
grep -qE '^millrace_requests_total\{api="Produce",version="[0-9]+"\} [1-9]' "$dir/scrape" || fail "no produce request was counted"
grep -qE '^millrace_request_seconds_count\{api="Fetch"\} [1-9]' "$dir/scrape" || fail "no fetch was timed"
grep -qE '^millrace_log_bytes\{.*topic="counted"' "$dir/scrape" || fail "the log's size is not told"
expect "batches refused" 1 "$(figure 'millrace_failed_produce_requests_total\{topic="counted",error="MESSAGE_TOO_LARGE"\}')"
expect "produce errors" 1 "$(figure 'millrace_request_errors_total\{api="Produce",error="MESSAGE_TOO_LARGE"\}')"
grep -qE '^millrace_failed_fetch_requests_total\{topic="counted",error="OFFSET_OUT_OF_RANGE"\} [1-9]' "$dir/scrape" || fail "a refused fetch was not counted"
grep -qE '^millrace_rejected_bytes_total\{topic="counted"\} 2[0-9]{6}$|^millrace_rejected_bytes_total\{topic="counted"\} 2\.[0-9]+e' "$dir/scrape" \
  || fail "the refused bytes are not told: $(grep rejected_bytes "$dir/scrape")"
for counted in produce_requests fetch_requests; do
  grep -qE "^millrace_${counted}_total\{topic=\"counted\"\} [1-9]" "$dir/scrape" || fail "no $counted of the topic were counted"
done
expect "segments" 1 "$(figure 'millrace_log_segments\{topic="counted",partition="0"\}')"
expect "members of the group that left" 0 "$(figure 'millrace_group_members\{group="readers"\}')"
for none in unclean_elections_total leader_elections_total isr_shrinks_total isr_expands_total failed_isr_updates_total corrupt_batches_total \
  non_preferred_leaders replication_in_bytes_total waiting_produces; do
  expect "$none of one broker" 0 "$(figure "millrace_$none")"
done
for some in syncs_total sync_seconds_total start_seconds quorum_end_offset quorum_high_watermark; do
  awk -v of="millrace_$some" '$1 == of && $2 > 0 { found = 1 } END { exit !found }' "$dir/scrape" || fail "millrace_$some is not above zero"
done
timeout 20 python3 "$(dirname "$0")/metrics_named.py" "$root" "$dir/scrape" || fail "see above"
stop one; stop source

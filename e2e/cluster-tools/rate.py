"""Watches a copy by the receiving broker's own count of bytes, until it stands still: prints bytes and bytes a second.
  rate.py METRICS_PORT BYTES      BYTES: how much there is to copy at least"""
import sys, time, urllib.request

port, wanted = int(sys.argv[1]), int(sys.argv[2])


def copied():
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    rows = [line for line in text.splitlines() if line.startswith("millrace_reassignment_in_bytes_total")]
    return float(rows[0].split()[-1]) if rows else 0.0


start = None
last = (time.monotonic(), copied())
begin = last[1]
while True:
    now, count = time.monotonic(), copied()
    if count > last[1]:
        start = start or (now, count)
        last = (now, count)
    elif start and last[1] - begin >= wanted and now - last[0] > 2:
        break
    if now - (start or last)[0] > 90:
        sys.exit(f"{last[1] - begin:.0f} bytes came, {wanted} were to come")
    time.sleep(0.02)
if last[0] <= start[0]:
    sys.exit(f"all of {last[1] - begin:.0f} bytes came at once")
print(f"{last[1] - begin:.0f} {(last[1] - start[1]) / (last[0] - start[0]):.0f}")

#!/usr/bin/env python3
"""Catching up over a long wire: a relay of our own adds 50 ms each way between the source and the mirror.

   wan.py BROKER ADMIN_CALL [--megabytes-each 48] [--limit BYTES_PER_SECOND]

16 partitions side by side, 64 under a limit of the link, and one alone: MB/s of each partition (the slowest) and of all, and for the same 16
without the delay, what this machine gives. Then four over a line of 1 MB/s: there no answer comes within the patience of a request. PORT: first of six ports (25580). CXX: the compiler for the relay (c++).
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import wire

HERE = pathlib.Path(__file__).resolve().parent
PORT = int(os.environ.get("PORT", "25580"))
ONE_WAY_MS = 50
BATCH = 256_000


class Broker:
    def __init__(self, program, work, name, port, advertised=None):
        self.address, self.admin = f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"
        settings = [f"log.dirs={work}/{name}", f"listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:0",
                    "controller.listener.names=CONTROLLER", f"millrace.admin.listener={self.admin}", "millrace.metrics.listener=",
                    "offsets.topic.replication.factor=1", "auto.create.topics.enable=false"]
        if advertised:
            settings.append(f"advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}")
        self.process = subprocess.Popen([program, *[word for setting in settings for word in ("--set", setting)]],
                                        stdout=open(f"{work}/{name}.log", "w"), stderr=subprocess.STDOUT)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connect(address):
    for _ in range(300):
        try:
            return wire.Broker(address, 60)
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{address} does not answer")


def call(args, broker, name, message):
    end = time.monotonic() + 60
    while True:
        done = subprocess.run([args.admin_call, broker.admin, name, json.dumps(message)], capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return json.loads(done.stdout)
        if time.monotonic() > end:
            sys.exit(f"{name}: {done.stderr.strip()}")
        time.sleep(0.2)


def fill(args, source, topic, partitions, megabytes):
    call(args, source, "CreateTopics", {"topics": [{"name": topic, "partitions": partitions}]})
    writer = connect(source.address)
    data = wire.batch(os.urandom(BATCH), int(time.time() * 1000))
    for _ in range(max(1, megabytes * 1_000_000 // BATCH)):
        for first in range(0, partitions, 16):
            places = [(topic, p) for p in range(first, min(partitions, first + 16))]
            open_places = places
            while open_places:
                errors = writer.produce(open_places, data)
                open_places = [place for place, error in errors.items() if error != 0]
    return max(1, megabytes * 1_000_000 // BATCH) * len(data)


def catch_up(args, mirror, bootstrap, topic, partitions, each, limit):
    """Seconds until the slowest partition was all there, from when the first byte was."""
    before = mirror.cpu_seconds()
    call(args, mirror, "ApplyLink", {"link": {"name": topic, "source": {"bootstrap_servers": [bootstrap]}, "topics": {"include": [topic]},
                                              "limits": {"bytes_per_second": limit}}})
    first = done = None
    rounds = max(1, args.megabytes_each_now * 1_000_000 // BATCH)
    end = time.monotonic() + 300
    while done is None:
        rows = call(args, mirror, "ListMirrorPartitions", {"link": topic, "page": {"size": 1000}}).get("partitions", [])
        now = time.monotonic()
        ends = [max(0, int(row["end_offset"])) for row in rows]
        if first is None and sum(ends) > 0:
            first = (now, sum(ends))
        if len(ends) == partitions and min(ends) >= rounds:
            done = now
        if now > end:
            sys.exit(f"{topic}: {sum(ends)} of {partitions * rounds} batches after 300 s")
        time.sleep(0.02)
    took = max(0.05, done - first[0])
    total = each * partitions * (1 - first[1] / (partitions * rounds))
    return took, total / took / 1e6, mirror.cpu_seconds() - before


def measure(args, name, partitions, megabytes, delay_ms, limit=0, line=0):
    work = tempfile.mkdtemp(prefix="mirror-wan-")
    processes = []
    try:
        relay = subprocess.Popen([args.relay, str(PORT), str(PORT + 1), str(delay_ms), *([str(line)] if line else [])])
        processes.append(relay)
        source = Broker(args.broker, work, "source", PORT + 1, advertised=PORT)
        processes.append(source.process)
        mirror = Broker(args.broker, work, "mirror", PORT + 3)
        processes.append(mirror.process)
        connect(source.address), connect(mirror.address)
        args.megabytes_each_now = megabytes
        each = fill(args, source, "data", partitions, megabytes)
        took, rate, cpu = catch_up(args, mirror, f"127.0.0.1:{PORT}", "data", partitions, each, limit)
        most = limit or line
        of_limit = f", {100 * rate * 1e6 / most:.0f} % of the {'limit' if limit else 'line'}" if most else ""
        print(f"{name:>38}: {rate:7.1f} MB/s in all, {rate / partitions:6.1f} MB/s each, {took:5.1f} s, "
              f"{cpu / (each * partitions / 1e9):.1f} CPU-s per GB at the mirror{of_limit}", flush=True)
        return rate / partitions
    finally:
        for process in processes:
            process.kill()
            process.wait()
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("broker", type=os.path.realpath)
    parser.add_argument("admin_call", type=os.path.realpath)
    parser.add_argument("--megabytes-each", type=int, default=48)
    parser.add_argument("--limit", type=int, default=100_000_000)
    parser.add_argument("--only", help="a word of the one to measure")
    parser.add_argument("--goal", type=float, help="MB/s that each of 16 partitions must reach")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    with tempfile.TemporaryDirectory() as built:
        args.relay = f"{built}/relay"
        subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-O2", "-o", args.relay, str(HERE / "relay.cc")], check=True)
        rows = (("16 partitions, no delay", 16, args.megabytes_each, 0), ("16 partitions, 100 ms round trip", 16, args.megabytes_each, ONE_WAY_MS),
                ("64 partitions, 100 ms, limited", 64, max(1, args.megabytes_each // 2), ONE_WAY_MS, args.limit),
                ("one partition, 100 ms round trip", 1, args.megabytes_each * 4, ONE_WAY_MS),
                ("4 partitions, a line of 1 MB/s", 4, 12, ONE_WAY_MS, 0, 1_000_000))
        each = {row[0]: measure(args, *row) for row in rows if not args.only or args.only in row[0]}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")
    reached = each.get("16 partitions, 100 ms round trip")
    if args.goal and reached is not None and reached < args.goal:
        sys.exit(f"{reached:.1f} MB/s each, {args.goal} wanted")


if __name__ == "__main__":
    main()

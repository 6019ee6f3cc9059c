#!/usr/bin/env python3
"""Measures one Millrace broker beside one Apache Kafka broker: the same requests from the same client, turn by turn.

What counts is the broker's CPU time (user and system, of /proc), which does not depend on who is the bottleneck. Each
cell is measured in the order Kafka, Millrace, Millrace, Kafka after both are warm, and the medians are compared.
  --short    seconds instead of minutes: shows that the harness works; its figures are noise
  --only T   cells whose name has T in it, e.g. "128 KB", "64 in flight"
  --out F    also writes the table there
"""
import argparse
import collections
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from container import Container

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOAD = ROOT / "build/release/bin/millrace-load"
BROKER = ROOT / "build/release/bin/millrace-broker"
PEER = ROOT / "e2e/peers/kafka/kafka-peer.sh"
PARTITIONS = 8
MEMORY = 3 << 30  # Of each broker, its page cache included: less than what it keeps on disk.
ROOM = 20 << 30  # Bytes: what both brokers keep, and what they have yet to delete.
# Both write as fast as they can for minutes and keep 4 GiB each.
KEPT = ["log.retention.bytes=536870912", "log.segment.bytes=134217728", "log.retention.check.interval.ms=1000",
        "log.segment.delete.delay.ms=1000", "log.initial.task.delay.ms=1000"]
MODES = {  # What an acknowledgement means there and here.
    "replicated": (["log.flush.interval.messages=9223372036854775807"], ["millrace.durability=replicated"]),
    "synced": (["log.flush.interval.messages=1"], ["millrace.durability=synced"]),
}
CELLS = {  # name: (load, figure, goal)
    "produce 1 record, 30 in flight": (["produce", "bytes=100", "records=1", "depth=30"], "cpu_us_per_request", 0.25),
    "produce 16 KB": (["produce", "bytes=16384", "records=16", "connections=4", "depth=8"], "cpu_us_per_request", 0.35),
    "produce 128 KB": (["produce", "bytes=131072", "records=128", "connections=4", "depth=4"], "cpu_s_per_gb", 0.30),
    "fetch 129 KB": (["fetch", "bytes=132096", "records=128", "connections=4", "depth=4"], "cpu_us_per_request", 0.50),
}


# Many small requests at once, where what counts is how many of them share a sync of the disk.
CROWD = ["produce", "bytes=4096", "records=4", "connections=8", "depth=8"]
AtMost = collections.namedtuple("AtMost", "value")  # A goal that is no ratio.
Times = collections.namedtuple("Times", "value")  # So many times Kafka's figure, at least.


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rss_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024


def answers(port):
    """One ApiVersions request, version 0, and whether its answer came."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
            link.sendall(bytes.fromhex("0000000a" "0012" "0000" "00000001" "ffff"))
            return len(link.recv(16)) > 8
    except OSError:
        return False


def wait_for(port, seconds):
    end = time.monotonic() + seconds
    while not answers(port):
        if time.monotonic() > end:
            sys.exit(f"port {port} does not answer")
        time.sleep(0.002)


class Millrace:
    name = "millrace"

    def __init__(self, work, settings):
        self.port, self.work = free_port(), work / "millrace"
        self.work.mkdir()
        words = [f"log.dirs={self.work}/data", f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:0",
                 "controller.listener.names=CONTROLLER", f"num.partitions={PARTITIONS}",
                 "offsets.topic.replication.factor=1", "millrace.metrics.listener=127.0.0.1:0",
                 "millrace.admin.listener=127.0.0.1:0", *settings]
        command = [BROKER] + [item for word in words for item in ("--set", word)]
        self.log = open(self.work / "log", "w")
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        wait_for(self.port, 20)
        self.start_seconds = time.monotonic() - began
        self.pid = self.process.pid

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Kafka:
    name = "kafka"

    def __init__(self, work, settings):
        self.port = free_port()
        self.env = {**os.environ, "KAFKA_PEER_PORT": str(self.port), "KAFKA_PEER_NAME": f"bench-{os.getpid()}",
                    "KAFKA_PEER_HEAP": "1g"}
        self.run("install") if not self.installed() else None
        self.run("wipe")
        began = time.monotonic()
        self.run("start", f"num.partitions={PARTITIONS}", "num.network.threads=2", "num.io.threads=4", *settings)
        wait_for(self.port, 60)
        self.start_seconds = time.monotonic() - began
        self.pid = int(self.run("status").split("pid ")[1].split()[0])

    def installed(self):
        home = self.env.get("KAFKA_PEER_HOME", os.path.expanduser("~/.cache/millrace/kafka-peer"))
        return pathlib.Path(home, "libs").is_dir()

    def run(self, *words):
        return subprocess.run([PEER, *words], env=self.env, check=True, capture_output=True, text=True).stdout

    def stop(self):
        self.run("wipe")


def sync_p99_us(folder, count=2000):
    """Of one append of 4 KiB with its fdatasync, alone on the disk that the brokers use."""
    took = []
    with open(folder / "probe", "wb", buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append(1e6 * (time.perf_counter() - began))
    os.remove(folder / "probe")
    return statistics.quantiles(took, n=100)[98]


def measure_crowd(mode, sides, work, args, rows):
    """64 requests in flight, beside what one sync takes, turn by turn."""
    for partitions in (PARTITIONS, 64):
        topic = f"crowd{partitions}"
        probes, seen = [], {"kafka": [], "millrace": []}
        for side in sides.values():
            make_topic(side, topic, partitions)
        for who in ("kafka", "millrace", "millrace", "kafka"):
            os.sync()  # what the one before left unwritten is not this one's to wait for
            probes.append(sync_p99_us(work))
            seen[who].append(load(sides[who], topic, CROWD, partitions, warm=args.warm, seconds=args.seconds))
        probe = statistics.median(probes)
        p99 = {who: statistics.median(run["p99_us"] for run in runs) for who, runs in seen.items()}
        goal = AtMost(2 * probe + 2000) if partitions == PARTITIONS else None
        rows.append((mode, f"4 KB, 64 in flight over {partitions} partitions: p99, us (one sync: {probe:.0f})",
                     p99["kafka"], p99["millrace"], goal))


def kernel_seconds():
    """Processor time of the kernel's own threads so far: they write back what a broker leaves to them."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # It has ended.
        if fields[1] == "2":  # Its parent is kthreadd.
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def load(side, topic, words, partitions=PARTITIONS, **keys):
    command = [LOAD, words[0], str(side.port), topic, f"partitions={partitions}", f"pids={side.pid}", *words[1:],
               *(f"{key}={value}" for key, value in keys.items())]
    kernel = kernel_seconds()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{side.name}: {done.stderr}")
    seen = json.loads(done.stdout)
    if seen.get("cpu_s_per_gb"):
        # Of the warm-up, too, so by its share.
        share = keys.get("seconds", 0) / max(1, keys.get("seconds", 0) + keys.get("warm", 0))
        seen["with_kernel_s_per_gb"] = seen["cpu_s_per_gb"] + (kernel_seconds() - kernel) * share / (seen["bytes"] / 1e9)
    return seen


def create_topic(side, topic, partitions):
    """One CreateTopics request, version 2."""
    name = struct.pack(">h", len(topic)) + topic.encode()
    body = struct.pack(">i", 1) + name + struct.pack(">ihii", partitions, 1, 0, 0) + struct.pack(">i?", 30000, False)
    request = struct.pack(">hhih", 19, 2, 1, -1) + body
    with socket.create_connection(("127.0.0.1", side.port), timeout=30) as link:
        link.sendall(struct.pack(">i", len(request)) + request)
        answer = link.makefile("rb")
        answer = answer.read(struct.unpack(">i", answer.read(4))[0])
    # Correlation id, throttle time, one topic: its name and its error.
    error = struct.unpack(">h", answer[12 + len(name):14 + len(name)])[0]
    if error:
        sys.exit(f"{side.name}: CreateTopics: error {error}")


def make_topic(side, topic, partitions=PARTITIONS):
    create_topic(side, topic, partitions)
    for _ in range(200):
        seen = subprocess.run(["kcat", "-b", f"127.0.0.1:{side.port}", "-L", "-J", "-t", topic], check=True,
                              capture_output=True, text=True)
        parts = json.loads(seen.stdout)["topics"][0]["partitions"]
        if len(parts) == partitions and all(p.get("leader", -1) >= 0 for p in parts):
            return
        time.sleep(0.05)
    sys.exit(f"{side.name}: topic {topic} does not come up")


def measure(mode, args, rows):
    work = pathlib.Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    theirs, ours = ([*settings, *KEPT] for settings in MODES[mode])
    sides = {"kafka": Kafka(work, theirs), "millrace": Millrace(work, ours)}
    # Who does not wait for the disk fills a container with pages that are yet to be written, and finds them there when it needs room.
    boxes = {name: Container(f"bench-{name}", MEMORY) for name in sides if mode == "synced"}
    for name, box in boxes.items():
        box.take(sides[name].pid)
    try:
        if mode == "replicated":
            rows.append((mode, "start to ready, s", sides["kafka"].start_seconds, sides["millrace"].start_seconds, None))
            time.sleep(2)
            rows.append((mode, "resident, no topics, MiB", rss_mib(sides["kafka"].pid), rss_mib(sides["millrace"].pid), None))
        batches = 64
        for side in sides.values():
            make_topic(side, "bench")
            make_topic(side, "read")
            load(side, "bench", CELLS["produce 128 KB"][0], warm=2, seconds=args.warm_seconds)
            # What is read must not be old enough to go: two seconds' worth. One is less than a disk may stall.
            filled = load(side, "read", CELLS["produce 128 KB"][0], warm=0, seconds=2)
            batches = max(1, min(batches, filled["requests"] // (2 * PARTITIONS)))
        saturation = {}
        for name, (words, figure, goal) in CELLS.items():
            if args.only not in name or (words[0] == "fetch" and mode != "replicated"):
                continue
            keys = {"warm": args.warm, "seconds": args.seconds}
            if words[0] == "fetch":
                keys["offsets"] = batches
            seen = {"kafka": [], "millrace": []}
            for who in ("kafka", "millrace", "millrace", "kafka"):
                os.sync()  # what the one before left unwritten is not this one's to wait for
                seen[who].append(load(sides[who], "read" if words[0] == "fetch" else "bench", words, **keys))
            median = lambda who, what: statistics.median(run[what] for run in seen[who])
            rows.append((mode, f"{name}: {figure}", median("kafka", figure), median("millrace", figure), goal))
            if words[0] == "produce" and "bytes=16384" in words:
                for runs in seen.values():
                    for run in runs:
                        run["mb_per_core"] = run["bytes"] / 1e6 / run["cpu_seconds"]
                rows.append((mode, f"{name}: MB in a second of one core", median("kafka", "mb_per_core"),
                             median("millrace", "mb_per_core"), Times(3)))
            if figure == "cpu_s_per_gb":
                what = "with_kernel_s_per_gb"
                rows.append((mode, f"{name}: the same with the kernel's own threads", median("kafka", what), median("millrace", what), None))
            rows.append((mode, f"{name}: p99, us, as fast as it goes", median("kafka", "p99_us"), median("millrace", "p99_us"), None))
            saturation[name] = median("kafka", "per_second")
        if "produce 16 KB" in saturation:
            rate = max(1, int(saturation["produce 16 KB"] / 2))
            words = CELLS["produce 16 KB"][0][:3] + ["connections=4"]
            late = {who: load(sides[who], "bench", words, rate=rate, warm=args.warm, seconds=args.seconds) for who in sides}
            for what, goal in (("p50_us", None), ("p99_us", 0.5), ("p999_us", None)):
                rows.append((mode, f"produce 16 KB at {rate}/s (half of Kafka's most): {what}", late["kafka"][what],
                             late["millrace"][what], goal))
        if mode == "synced" and args.only in "64 in flight":
            measure_crowd(mode, sides, work, args, rows)
    finally:
        for side in sides.values():
            side.stop()
        for box in boxes.values():
            box.remove()
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--out")
    parser.add_argument("--mode", choices=MODES, action="append")
    args = parser.parse_args()
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < ROOM:
        sys.exit(f"{tempfile.gettempdir()} has {free >> 30} GiB free, this takes {ROOM >> 30} (TMPDIR says where else)")
    args.warm, args.seconds, args.warm_seconds = (1, 2, 3) if args.short else (3, 10, 60)
    rows = []
    try:
        for mode in args.mode or MODES:
            measure(mode, args, rows)
    finally:
        report(rows, args.out)


def report(rows, out):
    lines = ["| durability | what | Apache Kafka 4.3.1 | Millrace | ratio | goal |", "|---|---|---|---|---|---|"]
    for mode, what, theirs, ours, goal in rows:
        ratio = ours / theirs if theirs else float("nan")
        verdict = ""
        if isinstance(goal, AtMost):
            verdict = f"at most {goal.value:.0f}{'' if ours <= goal.value else ' (missed)'}"
        elif isinstance(goal, Times):
            verdict = f"{goal.value:.0f} times{'' if ratio >= goal.value else ' (missed)'}"
        elif goal is not None:
            verdict = f"{goal:.2f}{'' if ratio <= goal else ' (missed)'}"
        lines.append(f"| {mode} | {what} | {theirs:.3f} | {ours:.3f} | {ratio:.2f} | {verdict} |")
    text = "\n".join(lines)
    print(text)
    if out:
        pathlib.Path(out).write_text(text + "\n")


main()

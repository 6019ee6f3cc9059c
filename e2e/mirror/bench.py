#!/usr/bin/env python3
"""A mirror link beside MirrorMaker 2: the same Apache Kafka as the source, one contender after the other.

   bench.py BROKER ADMIN_CALL [--megabytes 200] [--seconds 15]

Figures: catching up (MB/s, MB per CPU-second of all that the contender needs at the destination), the age of records as a
consumer at the destination sees them while a producer writes 500 a second, and how long a new topic takes. MirrorMaker 2
writes into an Apache Kafka of its own, both in the shape of their quick starts. KAFKA_PEER and PORT are as in run.sh.
"""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PEER = os.environ.get("KAFKA_PEER", str(HERE / "../peers/kafka/kafka-peer.sh"))
PORT = int(os.environ.get("PORT", "25540"))
PARTITIONS = 8
RECORD = 1000
RATE = 500
PATIENCE = 60.0
TICKS = os.sysconf("SC_CLK_TCK")
# What may wait in a kcat before it gives up.
KCAT = ["timeout", "120", "kcat"]


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def peer(name, port, *words):
    env = dict(os.environ, KAFKA_PEER_NAME=name, KAFKA_PEER_PORT=str(port), KAFKA_PEER_HEAP="768m", KAFKA_PEER_TOOL_HEAP="512m")
    return subprocess.run([PEER, *words], check=True, capture_output=True, text=True, env=env).stdout


def peer_pid(name, port):
    return int(peer(name, port, "status").split()[2])


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def ends(address, topic):
    """Records in the topic; 0 while it isn't there."""
    asked = [f"{topic}:{p}:-1" for p in range(PARTITIONS)]
    done = subprocess.run([*KCAT, "-b", address, "-Q", *[w for a in asked for w in ("-t", a)]], capture_output=True, text=True)
    return sum(max(0, int(line.rsplit(" ", 1)[1])) for line in done.stdout.splitlines() if line[-1:].isdigit())


def wait_until(condition, seconds):
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if condition():
            return time.monotonic() - start
        time.sleep(0.05)
    return None


def fill(source, topic, megabytes):
    peer("bench-source", PORT, "cli", "topics", "--bootstrap-server", source, "--create", "--topic", topic, "--partitions", str(PARTITIONS))
    count = megabytes * 1_000_000 // RECORD
    line = ("%0*d" % (RECORD - 1, 7)) + "\n"
    producer = subprocess.Popen([*KCAT, "-b", source, "-t", topic, "-P", "-X", "acks=1", "-X", "batch.size=262144"], stdin=subprocess.PIPE, text=True)
    for _ in range(count):
        producer.stdin.write(line)
    producer.stdin.close()
    if producer.wait() != 0:
        sys.exit("the source could not be filled")
    return count


def ages(source, destination, topic, mirrored, seconds):
    """Seconds between a record's timestamp and its arrival at a consumer of the mirror, sorted."""
    producer = subprocess.Popen([*KCAT, "-b", source, "-t", topic, "-P", "-X", "linger.ms=1"], stdin=subprocess.PIPE, text=True)
    consumer = subprocess.Popen([*KCAT, "-b", destination, "-t", mirrored, "-C", "-o", "end", "-q", "-u", "-f", "%T\n", "-X", "fetch.wait.max.ms=100"],
                                stdout=subprocess.PIPE, text=True)
    seen = []

    def read():
        for line in consumer.stdout:
            seen.append(time.time() - int(line) / 1000)

    reader = threading.Thread(target=read)
    reader.start()
    start = time.monotonic()
    sent = 0
    while time.monotonic() - start < seconds:
        due = int((time.monotonic() - start) * RATE)
        for _ in range(due - sent):
            producer.stdin.write("x" * 200 + "\n")
        producer.stdin.flush()
        sent = due
        time.sleep(0.01)
    producer.stdin.close()
    producer.wait()
    time.sleep(3)
    consumer.terminate()
    consumer.wait()
    reader.join()
    return sorted(seen[len(seen) // 5:])  # the first fifth is warming up


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


class Ours:
    name = "link"

    def __init__(self, broker, admin_call, work, source):
        self.address, self.admin = f"127.0.0.1:{PORT + 2}", f"127.0.0.1:{PORT + 3}"
        self.admin_call, self.source = admin_call, source
        self.process = subprocess.Popen(
            [broker, "--set", f"log.dirs={work}/ours", "--set", f"listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:0", "--set",
             "controller.listener.names=CONTROLLER", "--set", f"millrace.admin.listener={self.admin}", "--set", "millrace.metrics.listener=",
             "--set", "offsets.topic.replication.factor=1"], stdout=open(f"{work}/ours.log", "w"), stderr=subprocess.STDOUT)
        if wait_until(lambda: subprocess.run(["timeout", "3", "kcat", "-b", self.address, "-L"], capture_output=True).returncode == 0, 30) is None:
            sys.exit("our broker does not answer")

    def start(self):
        run("timeout", "30", self.admin_call, self.admin, "ApplyLink",
            '{"link":{"name":"bench","source":{"bootstrap_servers":["%s"]},"topics":{"include":["bench*"]}}}' % self.source)

    def pids(self):
        return [self.process.pid]

    def topic(self, name):
        return name

    def stop(self):
        self.process.terminate()
        self.process.wait()


class MirrorMaker:
    name = "MirrorMaker 2"

    def __init__(self, work, source):
        self.port = PORT + 20
        peer("bench-target", self.port, "wipe")
        peer("bench-target", self.port, "start")
        self.address, self.work, self.process = f"127.0.0.1:{self.port}", work, None
        pathlib.Path(f"{work}/mm2.properties").write_text(
            f"clusters=A,B\nA.bootstrap.servers={source}\nB.bootstrap.servers={self.address}\nA->B.enabled=true\nA->B.topics=bench.*\n"
            "B->A.enabled=false\ntasks.max=2\nreplication.factor=1\ncheckpoints.topic.replication.factor=1\n"
            "heartbeats.topic.replication.factor=1\noffset-syncs.topic.replication.factor=1\noffset.storage.replication.factor=1\n"
            "status.storage.replication.factor=1\nconfig.storage.replication.factor=1\n")

    def start(self):
        env = dict(os.environ, KAFKA_PEER_NAME="bench-target", KAFKA_PEER_PORT=str(self.port), KAFKA_PEER_TOOL_HEAP="768m")
        self.process = subprocess.Popen([PEER, "java", "org.apache.kafka.connect.mirror.MirrorMaker", f"{self.work}/mm2.properties"], env=env,
                                        stdout=open(f"{self.work}/mm2.log", "w"), stderr=subprocess.STDOUT)

    def pids(self):
        return [self.process.pid, peer_pid("bench-target", self.port)] if self.process else [peer_pid("bench-target", self.port)]

    def topic(self, name):
        return f"A.{name}"

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
        peer("bench-target", self.port, "wipe")


def measure(contender, source, count, seconds):
    before = cpu_seconds(contender.pids())
    started = time.monotonic()
    contender.start()
    result = {"contender": contender.name}
    first = wait_until(lambda: ends(contender.address, contender.topic("bench")) > 0, 180)
    took = wait_until(lambda: ends(contender.address, contender.topic("bench")) >= count, 300)
    if first is None or took is None:
        sys.exit(f"{contender.name} did not catch up: {ends(contender.address, contender.topic('bench'))} of {count}")
    megabytes = count * RECORD / 1e6
    cpu = cpu_seconds(contender.pids()) - before
    result["first record s"] = first
    result["MB/s"] = megabytes / max(took, 0.1)
    result["caught up after s"] = time.monotonic() - started
    result["MB per CPU-s"] = megabytes / cpu
    seen = ages(source, contender.address, "bench", contender.topic("bench"), seconds)
    result["age p50 ms"] = percentile(seen, 0.5) * 1000
    result["age p99 ms"] = percentile(seen, 0.99) * 1000
    new = f"bench-new-{contender.name.split()[0].lower()}"
    peer("bench-source", PORT, "cli", "topics", "--bootstrap-server", source, "--create", "--topic", new, "--partitions", str(PARTITIONS))
    subprocess.run([*KCAT, "-b", source, "-t", new, "-P"], input="one\n", text=True, check=True)
    result["new topic s"] = wait_until(lambda: ends(contender.address, contender.topic(new)) > 0, PATIENCE)
    return result


def shown(value):
    if value is None:
        return f"> {PATIENCE:.0f}"
    return value if isinstance(value, str) else f"{value:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("broker")
    parser.add_argument("admin_call")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=15)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # Nothing is left running.
    work = tempfile.mkdtemp(prefix="mirror-bench-")
    source = f"127.0.0.1:{PORT}"
    contender = None
    results = []
    try:
        peer("bench-source", PORT, "wipe")
        peer("bench-source", PORT, "start")
        count = fill(source, "bench", args.megabytes)
        for make in (lambda: Ours(os.path.realpath(args.broker), os.path.realpath(args.admin_call), work, source), lambda: MirrorMaker(work, source)):
            contender = make()
            results.append(measure(contender, source, ends(source, "bench") if results else count, args.seconds))
            contender.stop()
            contender = None
    finally:
        if contender:
            contender.stop()
        peer("bench-source", PORT, "wipe")
        shutil.rmtree(work, ignore_errors=True)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, {args.megabytes} MB in {PARTITIONS} partitions")
    for name in results[0]:
        print(f"{name:>20}" + "".join(f"{shown(result[name]):>18}" for result in results))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How long a failover takes: a link of many partitions between two clusters, from the edit until every partition has taken a record.

   failover.py BROKER ADMIN_CALL [--topics 100] [--partitions 10] [--limit SECONDS]

Three ways: planned with both clusters up, forced with the source killed, and forced while the source's address swallows what is sent to it.
With --limit, a failover that takes longer fails. PORT: first of four ports (25560).
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import wire

PORT = int(os.environ.get("PORT", "25560"))


class Cluster:
    def __init__(self, broker, work, name, port):
        self.address, self.admin = f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"
        self.log = f"{work}/{name}.log"
        self.process = subprocess.Popen(
            [broker, *[word for setting in (
                f"log.dirs={work}/{name}", f"listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:0", "controller.listener.names=CONTROLLER",
                f"millrace.admin.listener={self.admin}", "millrace.metrics.listener=", "offsets.topic.replication.factor=1",
                "auto.create.topics.enable=false") for word in ("--set", setting)]], stdout=open(self.log, "a"), stderr=subprocess.STDOUT)

    def connect(self):
        for _ in range(300):
            try:
                return wire.Broker(self.address, 30)
            except OSError:
                time.sleep(0.1)
        sys.exit(f"{self.address} does not answer")

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


class Run:
    def __init__(self, args, work, way):
        self.args, self.way = args, way
        self.source = Cluster(args.broker, work, f"{way}-source", PORT)
        self.mirror = Cluster(args.broker, work, f"{way}-mirror", PORT + 2)
        self.places = [(f"topic-{t}", p) for t in range(args.topics) for p in range(args.partitions)]

    def call(self, cluster, name, message, patience=60):
        done = subprocess.run([self.args.admin_call, cluster.admin, name, json.dumps(message)], capture_output=True, text=True, timeout=patience)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout)

    def until(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except (RuntimeError, OSError):
                pass
            time.sleep(0.2)
        sys.exit(f"{self.way}: in {seconds} s not: {what}")

    def link(self, **more):
        self.call(self.mirror, "ApplyLink", {"link": {
            "name": "all", "source": {"bootstrap_servers": [self.source.address]}, "topics": {"include": ["*"]}, "groups": {"include": ["*"]}, **more}})

    def prepare(self):
        writer = self.source.connect()
        self.mirror.connect()
        topics = [{"name": f"topic-{t}", "partitions": self.args.partitions} for t in range(self.args.topics)]
        self.until(lambda: self.call(self.source, "CreateTopics", {"topics": topics}), 60, "topics made")
        self.write(writer, "before", 60)
        self.until(lambda: self.link() is None, 60, "link applied")

        def settled():
            partitions, after = [], ""
            while True:
                answer = self.call(self.mirror, "ListMirrorPartitions", {"link": "all", "page": {"size": 1000, "after": after}})
                partitions += answer.get("partitions", [])
                after = answer.get("next", "")
                if not after:
                    return len(partitions) == len(self.places) and all(int(one["end_offset"]) == 1 for one in partitions)

        self.until(settled, 180, "every partition mirrored")

    def write(self, broker, what, seconds):
        """Until every partition has taken a record; the codes met on the way."""
        open_places, met, end = set(self.places), {}, time.monotonic() + seconds
        data = wire.batch(what.encode(), int(time.time() * 1000))
        while open_places:
            for place, error in broker.produce(sorted(open_places), data).items():
                met[error] = met.get(error, 0) + 1
                if error == 0:
                    open_places.discard(place)
            if time.monotonic() > end:
                sys.exit(f"{self.way}: {len(open_places)} partitions take no writes after {seconds} s; error codes met: {met}")
            if open_places:
                time.sleep(0.02)
        return met

    def fail_over(self):
        writer = self.mirror.connect()
        writer.produce(self.places[:1], wire.batch(b"refused", int(time.time() * 1000)))  # who connects and says nothing is not kept
        if self.way == "killed":
            self.source.stop()
        elif self.way == "silent":
            self.source.process.send_signal(signal.SIGSTOP)
        start, cpu = time.monotonic(), self.mirror.cpu_seconds()
        self.link(state="LINK_DESIRED_PROMOTED", promotion="LINK_PROMOTION_PLANNED" if self.way == "planned" else "LINK_PROMOTION_FORCED")
        applied = time.monotonic() - start
        self.write(writer, "after", 120)
        took = time.monotonic() - start
        print(f"{self.way}: {len(self.places)} partitions of {self.args.topics} topics take writes {took:.2f} s after the edit "
              f"(which was answered after {applied:.2f} s); the mirror's broker worked {self.mirror.cpu_seconds() - cpu:.2f} CPU-s", flush=True)
        return took

    def stop(self):
        self.source.stop()
        self.mirror.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("broker", type=os.path.realpath)
    parser.add_argument("admin_call", type=os.path.realpath)
    parser.add_argument("--topics", type=int, default=100)
    parser.add_argument("--partitions", type=int, default=10)
    parser.add_argument("--limit", type=float)
    parser.add_argument("--ways", nargs="+", default=["planned", "killed", "silent"])
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    slow = []
    for way in args.ways:
        work = tempfile.mkdtemp(prefix="mirror-failover-")
        run = Run(args, work, way)
        try:
            run.prepare()
            took = run.fail_over()
            if args.limit and took > args.limit:
                slow.append(way)
        finally:
            run.stop()
            if os.environ.get("KEEP"):
                print(f"kept: {work}")
            else:
                shutil.rmtree(work, ignore_errors=True)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")
    if slow:
        sys.exit(f"slower than {args.limit} s: {', '.join(slow)}")


if __name__ == "__main__":
    main()

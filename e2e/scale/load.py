"""Clients of a cluster that changes its size: a steady idempotent producer with acks=all, the judge of what it was told,
and a watch over where replicas lie. librdkafka produces (through e2e/chaos/rdkafka.py), kcat reads.

    load.py produce BOOTSTRAP TOPIC PARTITIONS RATE BYTES OUT [SECONDS]   until SIGTERM, or for SECONDS; RATE 0: as fast as it goes
    load.py check BOOTSTRAP TOPIC PARTITIONS OUT...                       lost, doubled, reordered? exit 1 names them
    load.py latency OUT FROM TO                                           "COUNT P50 P99 MAX" in ms of what was sent in between
    load.py watch BOOTSTRAP BROKERS OUT                                   until SIGTERM: a line for each rule that is broken
"""
import ctypes
import json
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "chaos"))
import rdkafka  # noqa: E402

stopped = threading.Event()


class Load:
    """Record n goes to partition n modulo PARTITIONS under the key n; its report is found again by the opaque pointer."""

    def __init__(self, bootstrap, topic, partitions, size):
        self.partitions, self.value = partitions, b"." * size
        self.sent_at, self.reports = [], []
        self._callback = rdkafka._DELIVERED(self._delivered)
        self._client = rdkafka._client(rdkafka._PRODUCER, {
            "bootstrap.servers": bootstrap, "enable.idempotence": "true", "acks": "all", "linger.ms": 1,
            "message.timeout.ms": 120000, "queue.buffering.max.kbytes": 65536, "log_level": 3}, self._callback)
        self._rkt = rdkafka._topic_new(self._client, topic.encode(), None)

    def _delivered(self, _client, message, _opaque):
        m = message.contents
        self.reports.append(((m.private or 0) - 1, time.time(), m.err, m.offset))

    def send(self):
        number = len(self.sent_at)
        key = str(number).encode()
        due = time.time()
        while rdkafka._produce(self._rkt, number % self.partitions, rdkafka._MSG_F_COPY, self.value, len(self.value),
                               key, len(key), ctypes.c_void_p(number + 1)) != 0:
            rdkafka._poll(self._client, 10)  # the queue is full
        self.sent_at.append(due)

    def run(self, rate, seconds):
        begin = time.time()
        end = begin + seconds if seconds else float("inf")
        while not stopped.is_set() and time.time() < end:
            # A loop that turns without rest would take a core from those it measures.
            early = rate and begin + len(self.sent_at) / rate - time.time()
            if early > 0:
                time.sleep(early)
            rdkafka._poll(self._client, 0)
            self.send()
        patience = time.time() + 120
        while rdkafka._outq_len(self._client) > 0 and time.time() < patience:
            rdkafka._poll(self._client, 100)
        return rdkafka._outq_len(self._client)


def produce(bootstrap, topic, partitions, rate, size, out, seconds="0"):
    load = Load(bootstrap, topic, int(partitions), int(size))
    unanswered = load.run(float(rate), float(seconds))
    with open(out, "w") as file:
        for number, at, error, offset in load.reports:
            file.write(f"{number} {load.sent_at[number]:.6f} {at:.6f} {error} {offset}\n")
    failed = sum(1 for r in load.reports if r[2] != 0)
    last = max((r[1] for r in load.reports), default=time.time())
    span = last - load.sent_at[0] if load.sent_at else 0
    print(f"{len(load.sent_at)} sent, {failed} refused, {unanswered} unanswered, "
          f"{len(load.reports) * int(size) / max(span, 0.001) / 1e6:.1f} MB/s")
    return 1 if unanswered else 0


def reports_of(path):
    for line in open(path):
        number, sent, acked, error, offset = line.split()
        yield int(number), float(sent), float(acked), int(error), int(offset)


def check(bootstrap, topic, partitions, *outs):
    """Each file is one producer's; they used the topic one after the other, so offsets tell them apart."""
    partitions, wrong, acked = int(partitions), [], {}
    count = 0
    for out in outs:
        for number, _, _, error, offset in reports_of(out):
            if error == 0:
                count += 1
                acked[(number % partitions, offset)] = number
    reader = subprocess.Popen(["kcat", "-b", bootstrap, "-t", topic, "-C", "-o", "beginning", "-e", "-q", "-u",
                               "-X", "check.crcs=true", "-f", "%p %o %k\n"], stdout=subprocess.PIPE, text=True)
    newest, read = {}, 0
    for line in reader.stdout:
        partition, offset, number = (int(word) for word in line.split())
        read += 1
        known = acked.pop((partition, offset), None)
        if known is not None and known != number:
            wrong.append(f"{topic}-{partition} at {offset}: record {number}, acknowledged was {known}")
        # A later producer counts from 0 again; within one, numbers only rise.
        before = newest.get(partition, -1)
        if number <= before and number >= partitions:
            wrong.append(f"{topic}-{partition} at {offset}: record {number} behind {before}")
        newest[partition] = number
    if reader.wait() != 0:
        wrong.append("kcat could not read it all")
    wrong += [f"lost: record {number} of {topic}-{p}, acknowledged at {o}" for (p, o), number in acked.items()]
    print(f"{count} acknowledged, {read} read, {len(wrong)} wrong")
    for one in wrong[:10]:
        print(one)
    return 1 if wrong or count == 0 else 0


def latency(out, begin, end):
    begin, end = float(begin), float(end)
    took = sorted((acked - sent) * 1000 for _, sent, acked, error, _ in reports_of(out)
                  if error == 0 and begin <= sent < end)
    if not took:
        print("0 0 0 0")
        return 1
    at = lambda share: took[min(len(took) - 1, int(share * len(took)))]
    print(f"{len(took)} {at(0.5):.1f} {at(0.99):.1f} {took[-1]:.1f}")
    return 0


def watch(bootstrap, brokers, out):
    """BROKERS is read anew at each look, lines of "ID RACK [leaving]". While replicas move, a partition has its old and its new
    ones: they are in as many racks as it had replicas. What a leaving broker holds only becomes less."""
    held, looks = {}, 0
    with open(out, "w") as file:
        while not stopped.is_set():
            listed = subprocess.run(["kcat", "-b", bootstrap, "-L", "-J", "-m", "5"], capture_output=True, text=True)
            if listed.returncode == 0:
                looks += 1
                look_at(json.loads(listed.stdout), [line.split() for line in open(brokers)], held, file)
            stopped.wait(0.3)
    print(f"{looks} looks")
    return 0 if looks else 1


def look_at(view, brokers, held, file):
    rack_of = {int(line[0]): line[1] for line in brokers}
    leaving = {int(line[0]) for line in brokers if "leaving" in line}
    live = {rack for broker, rack in rack_of.items() if broker not in leaving}
    for topic in view["topics"]:
        for partition in topic["partitions"]:
            name = f"{topic['topic']}-{partition['partition']}"
            replicas = {r["id"] for r in partition["replicas"]}
            factor, before = held.get(name, (len(replicas), leaving))
            racks = {rack_of.get(r) for r in replicas}
            if None not in racks and len(racks) < min(factor, len(live)):
                print(f"{name}: replicas {sorted(replicas)} are in racks {sorted(racks)} only", file=file, flush=True)
            if replicas & leaving - before:
                print(f"{name}: leaving brokers {sorted(replicas & leaving - before)} got a replica", file=file, flush=True)
            held[name] = (factor, replicas)


def main():
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    commands = {"produce": produce, "check": check, "latency": latency, "watch": watch}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    return commands[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())

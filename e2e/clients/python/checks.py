"""What the Python clients' programs share: which checks are asked, how they are answered, the records sent and what must come back."""
import os
import random
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field

BOOTSTRAP = os.environ["BOOTSTRAP"]
COPIES = 3 if os.environ["NODES"] == "3" else 1
EACH = int(os.environ["RECORDS"])
PARTITIONS = 4
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class Failed(Exception):
    pass


class NotOffered(Exception):
    pass


def not_offered(reason):
    def check():
        raise NotOffered(reason)
    return check


def expect(what, want, got):
    if want != got:
        raise Failed(f"{what}: expected {want!r}, got {got!r}")


def expect_error(what, kind, action):
    """`kind` is an exception class, or what must appear in the words of one."""
    try:
        got = action()
    except Exception as error:
        if isinstance(kind, str) and kind in repr(error) or not isinstance(kind, str) and isinstance(error, kind):
            return
        raise Failed(f"{what}: expected {kind}, got {error!r}") from error
    raise Failed(f"{what}: expected {kind}, was accepted: {got!r}")


def run(checks):
    for name in os.environ["CHECKS"].split():
        if name not in checks:
            continue
        began = time.monotonic()
        try:
            words = checks[name]()
            print(f"ok\t{name}\t{words} ({time.monotonic() - began:.1f} s)", flush=True)
        except NotOffered as reason:
            print(f"n/a\t{name}\t{reason}", flush=True)
        except Exception as error:
            traceback.print_exc()
            words = str(error) if isinstance(error, Failed) else repr(error)
            print(f"FAILED\t{name}\t{' '.join(words.split())}", flush=True)


_names = 0


def fresh(prefix):
    global _names
    _names += 1
    return f"{prefix}-{os.getpid()}-{_names}"


def broker(*verb):
    done = subprocess.run([os.environ["MILLRACE_CTL"], *map(str, verb)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"broker.sh {verb}: {done.stderr}")


def eventually(what, within, true):
    end = time.monotonic() + within
    while not true():
        if time.monotonic() > end:
            raise Failed(f"not within {within} s: {what}")
        time.sleep(0.05)


@dataclass
class Record:
    partition: int
    key: bytes = None
    value: bytes = None
    headers: list = field(default_factory=list)


def sample(seed, partitions, each):
    """Text, binary and null values, keys and none, headers and none."""
    draw = random.Random(seed)
    records = []
    for i in range(each):
        for p in range(partitions):
            record = Record(p, None, f"record {i} of {p}, {'compressible ' * draw.randrange(8)}".encode())
            if i % 5 in (0, 1):
                record.key = f"key-{i % 17}".encode()
            if i % 5 == 1:
                record.value = None
            if i % 5 == 2:
                record.value = draw.randbytes(draw.randrange(1, 300))
            if i % 5 == 3:
                record.headers = [("trace", b"\x00\x01\xff"), ("trace", b"again"), ("größe", "ü".encode())]
            records.append(record)
    return records


def numbered(round_name, each, partitions=PARTITIONS):
    return [Record(p, None, f"{round_name}-{p}-{i:06}".encode()) for i in range(each) for p in range(partitions)]


def by_partition(records):
    parts = {}
    for record in records:
        parts.setdefault(record.partition, []).append(record)
    return parts


def same_records(sent, got):
    expect("records", len(sent), len(got))
    want, have = by_partition(sent), by_partition(got)
    for p, records in want.items():
        expect(f"records of partition {p}", len(records), len(have.get(p, [])))
        for i, (a, b) in enumerate(zip(records, have[p])):
            if (a.key, a.value, list(a.headers)) != (b.key, b.value, list(b.headers)):
                raise Failed(f"partition {p}, record {i}: sent {a}, got {b}")


class Owner:
    """One member's partitions, from its rebalance callbacks."""

    def __init__(self):
        self.guard = threading.Lock()
        self.parts = set()
        self.given = self.taken = 0

    def assign(self, parts):
        with self.guard:
            self.parts |= set(parts)
            self.given += len(set(parts))

    def revoke(self, parts):
        with self.guard:
            self.taken += len(self.parts & set(parts))
            self.parts -= set(parts)

    def owned(self):
        with self.guard:
            return sorted(self.parts)


def share(partitions, *owners):
    owned = [p for owner in owners for p in owner.owned()]
    return sorted(owned) == list(range(partitions))


class Seen:
    """What a group's members read, from several threads."""

    def __init__(self):
        self.guard = threading.Lock()
        self.values = {}

    def add(self, value):
        with self.guard:
            self.values[value] = self.values.get(value, 0) + 1

    def different(self):
        with self.guard:
            return len(self.values)

    def total(self):
        with self.guard:
            return sum(self.values.values())


class OtherProcess:
    """This program as a group member in a process of its own, so that it can die without a word."""

    def __init__(self, group, topic):
        self.process = subprocess.Popen([sys.executable, "-u", sys.argv[0], "member", group, topic], stdout=subprocess.PIPE, text=True)
        self.owned = 0
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        for line in self.process.stdout:
            if line.startswith("owns"):
                self.owned = len(line.split()) - 1

    def kill(self):
        self.process.kill()
        self.process.wait()


def be_a_member(owner):
    """Never returns: says what is owned until the process is killed."""
    last = None
    while True:
        if owner.owned() != last:
            last = owner.owned()
            print("owns", *last, flush=True)
        time.sleep(0.05)


def groups_join_leave(lib, **options):
    """`lib` offers new_topic, produce, join (a member with .owner and .leave()), committed(group, topic)."""
    topic, group, seen = lib.new_topic(), fresh("group"), Seen()
    lib.produce(topic, numbered("one", EACH))
    a = lib.join(group, topic, seen, **options)
    eventually("the first member owns all", 20, lambda: len(a.owner.owned()) == PARTITIONS)
    b = lib.join(group, topic, seen, **options)
    eventually("two members share", 30, lambda: share(PARTITIONS, a.owner, b.owner) and len(a.owner.owned()) == 2)
    lib.produce(topic, numbered("two", EACH))
    eventually("two rounds are read", 30, lambda: seen.different() == 2 * PARTITIONS * EACH)
    a.leave()
    eventually("the second member owns all", 20, lambda: len(b.owner.owned()) == PARTITIONS)
    lib.produce(topic, numbered("three", EACH))
    eventually("three rounds are read", 30, lambda: seen.different() == 3 * PARTITIONS * EACH)
    b.leave()
    expect("committed offsets", {p: 3 * EACH for p in range(PARTITIONS)}, lib.committed(group, topic))
    late = Seen()
    lib.produce(topic, numbered("four", EACH))
    c = lib.join(group, topic, late, **options)
    eventually("the fourth round is read", 30, lambda: late.different() == PARTITIONS * EACH)
    c.leave()
    expect("records that a later member read", PARTITIONS * EACH, late.total())
    return f"{3 * PARTITIONS * EACH} records over joins and leaves, {seen.total() - 3 * PARTITIONS * EACH} read again"


def groups_crash(lib):
    topic, group, seen = lib.new_topic(), fresh("group"), Seen()
    stays = lib.join(group, topic, seen)
    dies = OtherProcess(group, topic)
    try:
        eventually("the member to be killed has its share", 30, lambda: dies.owned == 2 and len(stays.owner.owned()) == 2)
    finally:
        dies.kill()
    began = time.monotonic()
    lib.produce(topic, numbered("after", EACH))
    eventually("the survivor owns all", 30, lambda: len(stays.owner.owned()) == PARTITIONS)
    took = time.monotonic() - began
    if took < 2:
        raise Failed(f"a session of 6 s ended after {took:.1f} s")
    eventually("everything is read", 20, lambda: seen.different() == PARTITIONS * EACH)
    stays.leave()
    return f"partitions moved {took:.1f} s after the kill, session 6 s"


def groups_static(lib):
    topic, group, seen = lib.new_topic(), fresh("group"), Seen()
    x = lib.join(group, topic, seen, instance="x")
    y = lib.join(group, topic, seen, instance="y")
    eventually("two static members share", 30, lambda: share(PARTITIONS, x.owner, y.owner) and len(x.owner.owned()) == 2)
    before, moves = x.owner.owned(), (y.owner.given, y.owner.taken)
    x.leave()
    x = lib.join(group, topic, seen, instance="x")
    eventually("the restarted member has partitions", 20, lambda: len(x.owner.owned()) == 2)
    expect("partitions of the restarted member", before, x.owner.owned())
    expect("moves that the other saw meanwhile", moves, (y.owner.given, y.owner.taken))
    x.leave()
    y.leave()
    return f"kept {before} over a restart"


def groups_cooperative(lib, **options):
    topic, group, seen = lib.new_topic(), fresh("group"), Seen()
    a = lib.join(group, topic, seen, **options)
    eventually("the first member owns all", 20, lambda: len(a.owner.owned()) == PARTITIONS)
    b = lib.join(group, topic, seen, **options)
    eventually("two members share", 30, lambda: share(PARTITIONS, a.owner, b.owner) and len(a.owner.owned()) == 2)
    expect("partitions taken from the first member", 2, a.owner.taken)
    b.leave()
    eventually("the first member owns all again", 30, lambda: len(a.owner.owned()) == PARTITIONS)
    expect("partitions ever taken from the first member", 2, a.owner.taken)
    a.leave()
    return "two of four moved, two stayed"

"""Requests that name the same thing again and again, up to what a request may be: see repeats.sh.

PORT belongs to the broker with process PID, LIMIT is its socket.request.max.bytes. It may take MEMORY MiB.
"""

import socket
import struct
import sys
import time

from wire import varint

PORT, PID, LIMIT, MEMORY = (int(word) for word in sys.argv[1:])
TOPIC, GROUP, BROKER, TOPIC_KIND, BROKER_KIND = "here", "readers", "1", 2, 4
PATIENCE = 5  # seconds that somebody else waits at most, on a machine that others load


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def compact(value):
    return varint(len(value) + 1) + value.encode()


def array(element, count=1):
    return struct.pack(">i", count) + element * count


def compact_array(element, count=1):
    return varint(count + 1) + element * count


def i8(value):
    return struct.pack(">b", value)


def i32(*values):
    return struct.pack(f">{len(values)}i", *values)


def i64(value):
    return struct.pack(">q", value)


def fill(element, array_of, room):
    """As many as there is room for."""
    return array_of(element, room // len(element))


def cases(room):
    """(what, key, version, is flexible, body): each list that a request has, as long as can be."""

    def both(what, key, version, topic, partition, before=b"", after=b""):
        """Old versions: the same partition of a topic, and the same topic."""
        yield what + ", a partition", key, version, False, before + array(topic + fill(partition, array, room)) + after
        yield what + ", a topic", key, version, False, before + fill(topic + array(partition), array, room) + after

    yield from both("ListOffsets", 2, 1, text(TOPIC), i32(0) + i64(-1), before=i32(-1))
    yield from both("ListOffsets of nothing", 2, 1, text("nowhere"), i32(0) + i64(-1), before=i32(-1))
    yield from both("Fetch", 1, 4, text(TOPIC), i32(0) + i64(0) + i32(1 << 20), before=i32(-1, 0, 1, 1 << 20) + i8(0))
    yield "Metadata", 3, 1, False, fill(text(TOPIC), array, room)
    yield "DescribeConfigs of a broker", 32, 1, False, fill(i8(BROKER_KIND) + text(BROKER) + i32(-1), array, room) + i8(1)
    yield "DescribeConfigs of a topic", 32, 1, False, fill(i8(TOPIC_KIND) + text(TOPIC) + i32(-1), array, room) + i8(1)
    keys = text("retention.ms")
    yield "DescribeConfigs, a key", 32, 1, False, array(i8(TOPIC_KIND) + text(TOPIC) + fill(keys, array, room)) + i8(0)
    # Groups that are told apart, have no settings of their own, and twelve that each of them could have.
    groups = b"".join(i8(32) + text(str(i)) + i32(-1) for i in range(room // 16))
    yield "DescribeConfigs of many groups", 32, 1, False, i32(room // 16) + groups + i8(1)
    yield from both("OffsetFetch", 9, 1, text(TOPIC), i32(0), before=text(GROUP))
    yield "OffsetFetch of a group", 9, 8, True, fill(compact(GROUP) + b"\0\0", compact_array, room) + b"\0\0"
    # Each time for another partition, so that nothing is said twice.
    asked = [compact(GROUP) + compact_array(compact(TOPIC) + compact_array(i32(i)) + b"\0") + b"\0" for i in range(room // 23)]
    yield "OffsetFetch of a group, for each partition", 9, 8, True, varint(len(asked) + 1) + b"".join(asked) + b"\0\0"
    yield "DescribeGroups", 15, 0, False, fill(text(GROUP), array, room)
    yield "ConsumerGroupDescribe", 69, 0, True, fill(compact(GROUP), compact_array, room) + b"\0\0"
    yield from both("DescribeLogDirs", 35, 1, text(TOPIC), i32(0))
    topic = compact(TOPIC)
    yield "DescribeProducers", 61, 0, True, compact_array(topic + fill(i32(0), compact_array, room) + b"\0") + b"\0"
    yield "DescribeProducers, a topic", 61, 0, True, fill(topic + compact_array(i32(0)) + b"\0", compact_array, room) + b"\0"
    yield "DescribeTopicPartitions", 75, 0, True, fill(topic + b"\0", compact_array, room) + i32(2000) + b"\xff\0"
    yield from both("OffsetForLeaderEpoch", 23, 2, text(TOPIC), i32(0, -1, 0))
    commit = text(GROUP) + i32(-1) + text("") + i64(-1)
    yield from both("OffsetCommit", 8, 2, text(TOPIC), i32(0) + i64(0) + text(""), before=commit)
    yield from both("OffsetDelete", 47, 0, text(TOPIC), i32(0), before=text(GROUP))
    yield "FindCoordinator", 10, 4, True, b"\0" + fill(compact(GROUP), compact_array, room) + b"\0"
    yield "LeaveGroup", 13, 3, False, text(GROUP) + fill(text("nobody") + b"\xff\xff", array, room)
    yield "DeleteGroups", 42, 0, False, fill(text("no-group"), array, room)
    new = text(TOPIC) + i32(1) + struct.pack(">h", 1) + i32(0, 0)
    yield "CreateTopics", 19, 2, False, fill(new, array, room) + i32(1000) + b"\1"
    config = text("retention.ms") + text("1")
    named = text("new") + i32(1) + struct.pack(">h", 1) + i32(0)
    yield "CreateTopics, a setting", 19, 2, False, array(named + fill(config, array, room)) + i32(1000) + b"\1"
    yield "CreateTopics, an assignment", 19, 2, False, (
        array(text("new") + i32(-1) + struct.pack(">h", -1) + fill(i32(0) + array(i32(1)), array, room) + i32(0)) + i32(1000) + b"\1"
    )
    yield "DeleteTopics", 20, 1, False, fill(text("nowhere"), array, room) + i32(1000)
    yield "CreatePartitions", 37, 0, False, fill(text(TOPIC) + i32(9, -1), array, room) + i32(1000) + b"\1"
    yield from both("DeleteRecords", 21, 0, text(TOPIC), i32(0) + i64(0), after=i32(1000))
    op = text("retention.ms") + b"\0" + text("1")
    alter = i8(TOPIC_KIND) + text(TOPIC)
    yield "IncrementalAlterConfigs", 44, 0, False, fill(alter + array(op), array, room) + b"\1"
    yield "IncrementalAlterConfigs, a setting", 44, 0, False, array(alter + fill(op, array, room)) + b"\1"
    yield "AlterConfigs", 33, 0, False, fill(alter + array(config), array, room) + b"\1"
    yield from both("ElectLeaders", 43, 0, text(TOPIC), i32(0), after=i32(1000))
    move = i32(0) + compact_array(i32(1)) + b"\0"
    yield "AlterPartitionReassignments", 45, 0, True, i32(1000) + compact_array(topic + fill(move, compact_array, room) + b"\0") + b"\0"
    yield "ListPartitionReassignments", 46, 0, True, i32(1000) + compact_array(topic + fill(i32(0), compact_array, room) + b"\0") + b"\0"
    quota = array(text("user") + text("u")) + array(text("producer_byte_rate") + struct.pack(">d", 1e6) + b"\0")
    yield "AlterClientQuotas", 49, 0, False, fill(quota, array, room) + b"\1"
    yield "DescribeClientQuotas", 48, 0, False, fill(text("user") + b"\0" + text("u"), array, room) + b"\0"
    acl = i8(2) + text(TOPIC) + i8(3) + text("User:u") + text("*") + i8(3) + i8(3)
    yield "CreateAcls", 30, 1, False, fill(acl, array, room)
    yield "AlterReplicaLogDirs", 34, 1, False, array(text("/nowhere") + array(text(TOPIC) + fill(i32(0), array, room)))


def mib_of(what):
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what)) / 1024


def dial():
    return socket.create_connection(("127.0.0.1", PORT), timeout=60)


def frame(key, version, flexible, body):
    payload = struct.pack(">hhi", key, version, 7) + b"\xff\xff" + (b"\0" if flexible else b"") + body
    return i32(len(payload)) + payload


def exactly(peer, count):
    got = bytearray()
    while len(got) < count:
        more = peer.recv(min(count - len(got), 1 << 20))
        if not more:
            raise ConnectionError("closed")
        got += more
    return bytes(got)


def answer(peer):
    return exactly(peer, struct.unpack(">i", exactly(peer, 4))[0])


def main():
    bystander = dial()
    # One question for the data loops, one for the coordinator, one for the controller.
    questions = [
        frame(3, 1, False, array(text(TOPIC))),
        frame(9, 1, False, text(GROUP) + array(text(TOPIC) + array(i32(0)))),
        frame(37, 0, False, array(text(TOPIC) + i32(0, -1)) + i32(1000) + b"\1"),
    ]
    for question in questions:
        bystander.sendall(question)
        answer(bystander)
    failed = 0
    for what, key, version, flexible, body in cases(LIMIT - 4096):
        peer = dial()
        peer.sendall(frame(key, version, flexible, body))
        began = time.monotonic()
        for question in questions:
            bystander.sendall(question)
            answer(bystander)
        waited = time.monotonic() - began
        try:
            got = len(answer(peer))
        except ConnectionError:
            got = None
        took, high = time.monotonic() - began, mib_of("VmHWM")
        print(f"{what}: answered with {got} bytes after {took:.2f} s, others waited {waited:.2f} s, {high:.0f} MiB at the highest", flush=True)
        peer.close()
        if waited > PATIENCE or high > MEMORY:
            print(f"FAILED: {what}", flush=True)
            failed += 1
            if high > MEMORY:
                with open(f"/proc/{PID}/clear_refs", "w") as marks:
                    marks.write("5")
    sys.exit(1 if failed else 0)


main()

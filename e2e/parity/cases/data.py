"""Records in, records out."""

import uuid

from records import batch, legacy
from registry import case
from sides import NO_ID

LATEST, EARLIEST, MAX_TIME, LOCAL, TIERED, PENDING = -1, -2, -3, -4, -5, -6


def topic_key(side, version, name, since=13):
    return {"TopicId": side.topic_id(name)} if version >= since else {"Name": name}


def put(side, label, version, name, data, partition=0, acks=-1, txn=None, **more):
    return side.ask(label, "Produce", version, {
        "Acks": acks, "TimeoutMs": 5000, "TransactionalId": txn,
        "TopicData": [{**topic_key(side, version, name), "PartitionData": [{"Index": partition, "Records": data}]}]}, **more)


@case("Produce")
def takes_batches(side, version):
    name = side.topic(partitions=2)
    put(side, "first", version, name, batch([b"a", b"b"]))
    put(side, "second", version, name, batch([b"c"]))
    put(side, "gzip", version, name, batch([b"d" * 100, b"e"], codec="gzip"))
    put(side, "acks 1", version, name, batch([b"f"]), acks=1)
    put(side, "other partition", version, name, batch([b"g"]), partition=1)
    side.ask("same partition twice", "Produce", version, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [{
        **topic_key(side, version, name), "PartitionData": [{"Index": 0, "Records": batch([b"h"])},
                                                            {"Index": 0, "Records": batch([b"i"])}]}]})
    side.ask("no topics", "Produce", version, {"Acks": -1, "TimeoutMs": 5000, "TopicData": []})


@case("Produce")
def refuses_bad_addresses(side, version):
    name = side.topic()
    put(side, "bad partition", version, name, batch(), partition=7)
    put(side, "negative partition", version, name, batch(), partition=-1)
    for acks in (2, -2):
        put(side, f"acks {acks}", version, name, batch(), acks=acks)
        put(side, f"acks {acks}, bad partition", version, name, batch(), acks=acks, partition=7)
    side.group()  # so that there is an internal topic
    put(side, "internal topic", version, "__consumer_offsets", batch(), acks=1)
    if version < 13:
        for label, absent in (("unknown topic", side.name("none")), ("invalid name", "a b"), ("empty name", "")):
            side.ask(label, "Produce", version, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [
                {"Name": absent, "PartitionData": [{"Index": 0, "Records": batch()}]}]})
        side.ask("same topic twice", "Produce", version, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [
            {"Name": name, "PartitionData": [{"Index": 0, "Records": batch()}]},
            {"Name": name, "PartitionData": [{"Index": 0, "Records": batch()}]}]})
    else:
        for label, identity in (("unknown id", uuid.UUID(int=77)), ("no id", NO_ID)):
            side.ask(label, "Produce", version, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [
                {"TopicId": identity, "PartitionData": [{"Index": 0, "Records": batch()}]}]})


@case("Produce")
def refuses_bad_batches(side, version):
    name = side.topic(partitions=40)
    bad = {
        "wrong crc": batch(break_crc=True), "no records": batch([]), "null": None, "empty": b"",
        "count too high": batch([b"a"], count=2), "count too low": batch([b"a", b"b"], count=1), "negative count": batch(count=-1),
        "last delta wrong": batch([b"a"], last_delta=3), "two batches": batch() + batch(), "magic 0": legacy(0),
        "magic 1": legacy(1), "magic 3": batch(magic=3), "control": batch(attributes=0x20), "cut": batch()[:-3],
        "transactional without id": batch(attributes=0x10, producer=5, epoch=0, sequence=0),
        "only a header": batch()[:30], "garbage": b"\x00" * 80, "offset deltas not in order": batch([b"a", b"b"], deltas=[1, 0]),
        "unknown codec": batch(attributes=7), "too large": batch([b"x" * 120000]), "base offset not zero": batch(base=17),
        "log append time": batch(attributes=8), "delete horizon": batch(attributes=0x40), "unused attribute": batch(attributes=0x80),
        "broken gzip": batch(raw=b"nothing zipped", attributes=1), "wrong max timestamp": batch([b"a"], max_time=9),
        "negative timestamp": batch(time=-1), "sequence without producer": batch(sequence=4),
        "producer without sequence": batch(producer=99, epoch=0, sequence=-1), "bytes after records": batch(raw=b"\x00" * 20),
        "null header key": batch([b"v"], headers=((None, b"x"),)),
    }
    for partition, (label, data) in enumerate(bad.items()):
        if data is None and version < 9:
            continue
        put(side, label, version, name, data, partition)
    if version >= 7:
        put(side, "zstd marked but not zipped", version, name, batch(raw=b"123", attributes=4), 39)


@case("Produce")
def transactional_batches_need_a_transaction(side, version):
    name = side.topic(partitions=3)
    side.ask("one of two without id", "Produce", version, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [{
        **topic_key(side, version, name), "PartitionData": [
            {"Index": 0, "Records": batch()}, {"Index": 1, "Records": batch(attributes=0x10, producer=5, epoch=0, sequence=0)}]}]})
    side.coordinator(side.name("tx"), kind=1)
    side.ask("id that nobody knows", "Produce", version, {"Acks": -1, "TimeoutMs": 5000, "TransactionalId": side.name("tx"), "TopicData": [{
        **topic_key(side, version, name), "PartitionData": [
            {"Index": 2, "Records": batch(attributes=0x10, producer=5, epoch=0, sequence=0)}]}]})
    fetch(side, "nothing was stored", 12, [(name, 0, 0), (name, 1, 0), (name, 2, 0)])


@case("Produce")
def one_bad_partition_does_not_spoil_the_others(side, version):
    name = side.topic(partitions=3)
    side.ask("mixed", "Produce", version, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [{
        **topic_key(side, version, name), "PartitionData": [
            {"Index": 0, "Records": batch()}, {"Index": 1, "Records": batch(break_crc=True)}, {"Index": 2, "Records": batch()},
            {"Index": 9, "Records": batch()}]}]})


def sized(size):
    """A batch of so many bytes; the lengths in it take fewer when it shrinks."""
    value = size
    while len(made := batch([b"x" * value])) != size:
        value += size - len(made)
    return made


@case("Produce", "top")
def as_much_at_once_as_kafka_takes(side, version):
    """Clients that gather what goes to one broker send batches of hundreds of partitions in one request, up to Kafka's 100 MiB."""
    name, data = side.topic(partitions=220), sized(95000)
    answer = side.tell("Produce", {"Acks": 1, "TimeoutMs": 30000, "TransactionalId": None, "TopicData": [
        {**topic_key(side, version, name), "PartitionData": [{"Index": p, "Records": data} for p in range(220)]}]}, version)
    side.note("20 MB", [answer.get("Unanswered"), sorted(p["ErrorCode"] for t in answer.get("Responses", []) for p in t["PartitionResponses"])])


@case("Produce", "top")
def the_largest_batch_is_told_by_its_limit(side, version):
    name = side.topic(max_message_bytes=5000)
    put(side, "as large as may be", version, name, sized(5000))
    put(side, "one byte more", version, name, sized(5001))
    name = side.topic("large", max_message_bytes=1100000, segment_bytes=1048576)
    put(side, "larger than the broker's own limit", version, name, sized(200000))
    put(side, "as large as a segment", version, name, sized(1048576))
    put(side, "larger than a segment", version, name, sized(1048577))
    put(side, "larger than both", version, name, sized(1100001))
    put(side, "goes on", version, name, batch())


@case("Produce", "top")
def a_compacted_topic_wants_keys(side, version):
    name = side.topic(cleanup_policy="compact")
    put(side, "without key", version, name, batch([b"a"]))
    put(side, "one of two without key", version, name, batch([b"a", b"b"], keys=[b"k", None]))
    put(side, "with key", version, name, batch([b"a"], key=b"k"))
    put(side, "tombstone", version, name, batch([None], key=b"k"))


@case("Produce", "top")
def timestamps_are_checked(side, version):
    far = 4102444800000
    name = side.topic(message_timestamp_after_max_ms=1000, message_timestamp_before_max_ms=1000)
    put(side, "far future", version, name, batch(time=far))
    put(side, "far past", version, name, batch(time=1000))
    put(side, "one record of two too new", version, name, batch([b"a", b"b"], time=1000, time_step=far))
    stamped = side.topic("stamped", message_timestamp_type="LogAppendTime")
    answer = side.tell("Produce", {"Acks": -1, "TimeoutMs": 5000, "TopicData": [
        {**topic_key(side, version, stamped), "PartitionData": [{"Index": 0, "Records": batch()}]}]}, version)
    part = answer["Responses"][0]["PartitionResponses"][0]
    side.note("append time", part["ErrorCode"])
    side.note("append time is told", part["LogAppendTimeMs"] > 1_600_000_000_000)


def new_producer(side):
    return side.until("InitProducerId", {"TransactionalId": None, "TransactionTimeoutMs": 1000}, lambda a: a["ErrorCode"] == 0)["ProducerId"]


@case("Produce", trap=29)
def sequences_of_an_idempotent_producer(side, version):
    name = side.topic()
    producer = new_producer(side)

    def step(label, sequence, count=1, epoch=0, producer=producer):
        put(side, label, version, name, batch([b"v"] * count, producer=producer, epoch=epoch, sequence=sequence))

    step("starts at 0", 0, 2)
    for i in range(5):
        step(f"goes on {i}", 2 + i)
    step("duplicate of the last", 6)
    step("duplicate of the fifth last", 2)
    step("duplicate of the sixth last", 0, 2)
    step("half a duplicate", 1)
    step("gap", 9)
    step("after the gap", 7)
    step("new epoch not from 0", 5, epoch=1)
    step("new epoch from 0", 0, epoch=1)
    step("old epoch", 8, epoch=0)
    step("epoch jump", 0, epoch=9)
    # Ours has it come twice, so that it overtakes nothing; to Kafka the second is a repeat, with the same answer.
    side.produce(name, batch(producer=producer + 1000, epoch=0, sequence=5))
    step("unknown producer not from 0", 5, producer=producer + 1000)
    step("unknown producer from 0", 0, producer=producer + 1001)


@case("Produce", "top", trap=29)
def sequences_wrap(side, version):
    name = side.topic()
    producer = new_producer(side)
    last = 2**31 - 1
    side.produce(name, batch([b"v"] * 2, producer=producer, epoch=0, sequence=last - 1))
    put(side, "unknown producer near the end", version, name, batch([b"v"] * 2, producer=producer, epoch=0, sequence=last - 1))
    put(side, "wrapped", version, name, batch(producer=producer, epoch=0, sequence=0))
    put(side, "again", version, name, batch([b"v"] * 2, producer=producer, epoch=0, sequence=last - 1))


def fetch(side, label, version, parts, ask=True, session=(0, -1), **more):
    """`parts`: (topic, partition, offset[, {fields}])."""
    topics = {}
    for name, partition, offset, *fields in parts:
        topics.setdefault(name, []).append({"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20,
                                            **(fields[0] if fields else {})})
    key = (lambda n: {"TopicId": n if isinstance(n, uuid.UUID) else side.topic_id(n)}) if version >= 13 else (lambda n: {"Topic": n})
    body = {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "SessionId": session[0], "SessionEpoch": session[1],
            "Topics": [{**key(n), "Partitions": p} for n, p in topics.items()], **more}
    return side.ask(label, "Fetch", version, body) if ask else side.tell("Fetch", body, version)


def fill(side, **options):
    name = side.topic(**options)
    for first in range(0, 9, 3):
        side.produce(name, batch([b"%d" % i for i in range(first, first + 3)], time=1000 + first * 10, time_step=10))
    return name


@case("Fetch", trap=16)
def reads_from_everywhere(side, version):
    name = fill(side, partitions=2)
    for offset in (0, 1, 3, 4, 8, 9, 10, -1, 100):
        fetch(side, f"offset {offset}", version, [(name, 0, offset)])
    fetch(side, "empty partition", version, [(name, 1, 0)])
    fetch(side, "unknown partition", version, [(name, 7, 0)])
    fetch(side, "committed", version, [(name, 0, 0)], IsolationLevel=1)
    fetch(side, "isolation 2", version, [(name, 0, 0)], IsolationLevel=2)
    fetch(side, "two partitions", version, [(name, 0, 0), (name, 1, 0)])
    fetch(side, "same partition twice", version, [(name, 0, 0), (name, 0, 3)])
    fetch(side, "nothing", version, [])
    if version < 13:
        fetch(side, "unknown topic", version, [(side.name("none"), 0, 0), (name, 0, 8)])
        fetch(side, "invalid topic", version, [("a b", 0, 0), ("", 0, 0)])
    else:
        fetch(side, "unknown id", version, [(uuid.UUID(int=5), 0, 0), (name, 0, 8)])
        fetch(side, "no id", version, [(NO_ID, 0, 0)])


@case("Fetch", trap=17)
def limits_never_starve(side, version):
    name = fill(side, partitions=2)
    side.produce(name, batch([b"z" * 500]), partition=1)
    fetch(side, "partition limit 1", version, [(name, 0, 1, {"PartitionMaxBytes": 1})])
    fetch(side, "partition limit 0", version, [(name, 0, 0, {"PartitionMaxBytes": 0})])
    fetch(side, "one limit for two", version, [(name, 0, 0, {"PartitionMaxBytes": 1}), (name, 1, 0, {"PartitionMaxBytes": 1})])
    fetch(side, "request limit 1", version, [(name, 0, 0), (name, 1, 0)], MaxBytes=1)
    fetch(side, "request limit 0", version, [(name, 0, 0), (name, 1, 0)], MaxBytes=0)
    fetch(side, "request limit 200", version, [(name, 0, 0), (name, 1, 0)], MaxBytes=200)
    fetch(side, "partition limit 150", version, [(name, 0, 0, {"PartitionMaxBytes": 150})])
    fetch(side, "negative limits", version, [(name, 0, 0, {"PartitionMaxBytes": -1})], MaxBytes=-1)


@case("Fetch", range(9, 99), trap=20)
def leader_epochs_are_checked(side, version):
    name = fill(side)
    for epoch in (-1, 0, 1, 7, -2):
        fetch(side, f"current epoch {epoch}", version, [(name, 0, 0, {"CurrentLeaderEpoch": epoch})])
    if version >= 12:
        for epoch in (-1, 0, 1, 5):
            fetch(side, f"last fetched epoch {epoch}", version, [(name, 0, 3, {"LastFetchedEpoch": epoch})])
            fetch(side, f"last fetched epoch {epoch} past the end", version, [(name, 0, 12, {"LastFetchedEpoch": epoch})])


@case("Fetch", "top")
def a_follower_must_be_a_replica(side, version):
    name = fill(side)
    for replica in (0, 1, 2, 9, -3):
        fetch(side, f"replica {replica}", version, [(name, 0, 0)], ReplicaState={"ReplicaId": replica, "ReplicaEpoch": -1})


@case("Fetch", range(7, 99))
def sessions_tell_only_what_changed(side, version):
    name, other = fill(side, partitions=2), side.topic("other")
    whole = fetch(side, "full", version, [(name, 0, 0), (name, 1, 0)], session=(0, 0))
    session = whole["SessionId"]
    side.note("a session is given", session != 0)
    fetch(side, "unchanged position, data again", version, [], session=(session, 1))
    fetch(side, "moved to the end", version, [(name, 0, 9)], session=(session, 2))
    fetch(side, "nothing new", version, [], session=(session, 3))
    side.produce(name, batch([b"more"]), partition=1)
    fetch(side, "one partition has news", version, [], session=(session, 4))
    fetch(side, "add a topic", version, [(name, 1, 1), (other, 0, 0)], session=(session, 5))
    key = {"TopicId": side.topic_id(name)} if version >= 13 else {"Topic": name}
    side.produce(name, batch([b"yet more"]), partition=1)
    fetch(side, "forget it", version, [], session=(session, 6), ForgottenTopicsData=[{**key, "Partitions": [1]}])
    fetch(side, "wrong epoch", version, [], session=(session, 9))
    fetch(side, "right epoch still works", version, [], session=(session, 7))
    fetch(side, "unknown session", version, [], session=(session + 12345, 1))
    fetch(side, "session that can't be", version, [], session=(0, 5))
    fetch(side, "an error stays in every answer", version, [(name, 7, 0)], session=(session, 8))
    fetch(side, "again", version, [], session=(session, 9))
    fetch(side, "closing", version, [], session=(session, -1))
    fetch(side, "after closing", version, [], session=(session, 10))
    replaced = fetch(side, "new session", version, [(name, 0, 9)], session=(0, 0))["SessionId"]
    fetch(side, "replaced by another", version, [(name, 0, 8)], session=(replaced, 0))
    fetch(side, "the old one is gone", version, [], session=(replaced, 1))


@case("Fetch", range(7, 99), trap=10)
def a_session_notices_deletion_and_recreation(side, version):
    name = fill(side)
    session = fetch(side, "full", version, [(name, 0, 9)], session=(0, 0))["SessionId"]
    side.tell("DeleteTopics", {"Topics": [{"Name": name}], "TimeoutMs": 10000})
    side.until("Metadata", {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False}, lambda a: a["Topics"][0]["ErrorCode"] == 3)
    fetch(side, "deleted", version, [], session=(session, 1))
    side.topic()
    fetch(side, "created again", version, [], session=(session, 2))


@case("Fetch", "top")
def waits_for_bytes_and_no_longer(side, version):
    import time
    name = fill(side)
    begin = time.monotonic()
    fetch(side, "at the end", version, [(name, 0, 9)], MaxWaitMs=300, MinBytes=1)
    side.note("it waited", 0.25 < time.monotonic() - begin < 3)
    begin = time.monotonic()
    fetch(side, "enough there", version, [(name, 0, 0)], MaxWaitMs=5000, MinBytes=1)
    fetch(side, "an error ends the wait", version, [(name, 0, 9), (name, 9, 0)], MaxWaitMs=5000, MinBytes=1000)
    side.note("it did not wait", time.monotonic() - begin < 3)


@case("Fetch")
def a_deletion_ends_the_wait(side, version):
    name = fill(side)
    key = {"TopicId": side.topic_id(name)} if version >= 13 else {"Topic": name}
    reader = side.connection("reader")
    reader.post("Fetch", version, {"MaxWaitMs": 9000, "MinBytes": 1, "MaxBytes": 1 << 20, "SessionId": 0, "SessionEpoch": -1, "Topics": [
        {**key, "Partitions": [{"Partition": 0, "FetchOffset": 9, "PartitionMaxBytes": 1 << 20}]}]})
    # Nothing shows that the broker has seen it; a whole answer on another connection comes later than that.
    fetch(side, "waiting does not hinder others", version, [(name, 0, 0)])
    side.tell("DeleteTopics", {"Topics": [{"Name": name}], "TimeoutMs": 10000})
    side.note("deleted", reader.answer("Fetch", version))


def offsets(side, label, version, parts, isolation=0, **more):
    topics = {}
    for name, partition, time, *fields in parts:
        topics.setdefault(name, []).append({"PartitionIndex": partition, "Timestamp": time, **(fields[0] if fields else {})})
    return side.ask(label, "ListOffsets", version, {
        "ReplicaId": -1, "IsolationLevel": isolation, "TimeoutMs": 5000,
        "Topics": [{"Name": n, "Partitions": p} for n, p in topics.items()], **more})


@case("ListOffsets", trap=12)
def offsets_by_time(side, version):
    name = fill(side, partitions=2)
    for time in (0, 1000, 1005, 1010, 1035, 1080, 1081, 10**15):
        offsets(side, f"time {time}", version, [(name, 0, time)])
    offsets(side, "empty partition", version, [(name, 1, 0)])


@case("ListOffsets", trap=15)
def special_offsets(side, version):
    name = fill(side, partitions=2)
    side.produce(name, batch([b"old"], time=5))
    for label, time in (("latest", -1), ("earliest", -2), ("max", -3), ("local", -4), ("tiered", -5), ("pending upload", -6),
                        ("unknown", -7), ("very negative", -100)):
        offsets(side, label, version, [(name, 0, time), (name, 1, time)])
    if version >= 2:
        offsets(side, "latest committed", version, [(name, 0, -1)], isolation=1)
        offsets(side, "time, committed", version, [(name, 0, 1000)], isolation=1)


@case("ListOffsets", trap=20)
def offsets_where_they_are_not(side, version):
    name = fill(side)
    offsets(side, "unknown partition", version, [(name, 5, -1), (name, 0, -1)])
    offsets(side, "unknown topic", version, [(side.name("none"), 0, -1)])
    offsets(side, "invalid topic", version, [("a b", 0, -1), ("", 0, -1)])
    offsets(side, "twice the same", version, [(name, 0, -1), (name, 0, -2)])
    offsets(side, "nothing", version, [])
    offsets(side, "as a replica", version, [(name, 0, -1)], ReplicaId=1)
    offsets(side, "as a replica that isn't one", version, [(name, 0, -1)], ReplicaId=5)
    offsets(side, "debugging replica", version, [(name, 0, -1)], ReplicaId=-2)
    if version >= 4:
        for epoch in (0, 1, 9):
            offsets(side, f"epoch {epoch}", version, [(name, 0, -1, {"CurrentLeaderEpoch": epoch})])


@case("OffsetForLeaderEpoch")
def ends_of_epochs(side, version):
    name = fill(side, partitions=2)
    for label, part in (("epoch 0", {"LeaderEpoch": 0}), ("epoch 4", {"LeaderEpoch": 4}), ("epoch -1", {"LeaderEpoch": -1}),
                        ("current 0", {"CurrentLeaderEpoch": 0, "LeaderEpoch": 0}),
                        ("current too new", {"CurrentLeaderEpoch": 6, "LeaderEpoch": 0}),
                        ("unknown partition", {"Partition": 9, "LeaderEpoch": 0}),
                        ("empty partition", {"Partition": 1, "LeaderEpoch": 0})):
        side.ask(label, "OffsetForLeaderEpoch", version, {
            "ReplicaId": -1, "Topics": [{"Topic": name, "Partitions": [{"Partition": 0, "CurrentLeaderEpoch": -1, **part}]}]})
    for topic in (side.name("none"), "a b"):
        side.ask(f"topic {topic[:3]}", "OffsetForLeaderEpoch", version, {
            "ReplicaId": -1, "Topics": [{"Topic": topic, "Partitions": [{"Partition": 0, "LeaderEpoch": 0}]}]})
    side.ask("nothing", "OffsetForLeaderEpoch", version, {"ReplicaId": -1, "Topics": []})


@case("DeleteRecords", trap=21)
def deletes_records(side, version):
    name = fill(side, partitions=2)

    def step(label, offset, partition=0, topic=name):
        side.ask(label, "DeleteRecords", version, {"TimeoutMs": 5000, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": partition, "Offset": offset}]}]})
    step("to 4", 4)
    step("below the start", 2)
    step("to the same", 4)
    step("past the end", 50)
    step("below -1", -2)
    step("all", -1)
    step("all again", -1)
    step("empty partition", 0, 1)
    step("unknown partition", 0, 9)
    step("unknown topic", 0, 0, side.name("none"))
    step("invalid topic", 0, 0, "a b")
    step("internal topic", 0, 0, "__consumer_offsets")
    fetch(side, "below the start", 12, [(name, 0, 2)])
    offsets(side, "earliest", 7, [(name, 0, -2)])
    compacted = side.topic("compacted", cleanup_policy="compact")
    side.produce(compacted, batch(key=b"k"))
    step("compacted topic", -1, 0, compacted)
    side.ask("nothing", "DeleteRecords", version, {"TimeoutMs": 5000, "Topics": []})
    side.ask("twice the same", "DeleteRecords", version, {"TimeoutMs": 5000, "Topics": [
        {"Name": name, "Partitions": [{"PartitionIndex": 1, "Offset": 0}, {"PartitionIndex": 1, "Offset": 0}]}]})


@case("InitProducerId")
def gives_producer_ids(side, version):
    new_producer(side)  # the first may find the broker without a block of ids
    first = side.ask("without transactional id", "InitProducerId", version, {"TransactionalId": None, "TransactionTimeoutMs": 1000})
    second = side.tell("InitProducerId", {"TransactionalId": None, "TransactionTimeoutMs": 1000}, version)
    side.note("ids differ", first.get("ProducerId") != second.get("ProducerId"))
    side.ask("timeout 0", "InitProducerId", version, {"TransactionalId": None, "TransactionTimeoutMs": 0})
    side.ask("timeout far too long", "InitProducerId", version, {"TransactionalId": None, "TransactionTimeoutMs": 2**31 - 1})
    side.ask("empty transactional id", "InitProducerId", version, {"TransactionalId": "", "TransactionTimeoutMs": 1000})
    if version >= 3:
        side.ask("with id and epoch", "InitProducerId", version, {
            "TransactionalId": None, "TransactionTimeoutMs": 1000, "ProducerId": first["ProducerId"], "ProducerEpoch": 0})
        side.ask("epoch without id", "InitProducerId", version, {
            "TransactionalId": None, "TransactionTimeoutMs": 1000, "ProducerId": -1, "ProducerEpoch": 3})
        side.ask("id without epoch", "InitProducerId", version, {
            "TransactionalId": None, "TransactionTimeoutMs": 1000, "ProducerId": 3, "ProducerEpoch": -1})


@case("DescribeProducers")
def describes_producers(side, version):
    name = side.topic(partitions=2)
    producer = new_producer(side)
    side.produce(name, batch([b"a", b"b"], producer=producer, epoch=0, sequence=0))
    side.produce(name, batch([b"c"], producer=producer, epoch=0, sequence=2))
    answer = side.tell("DescribeProducers", {"Topics": [{"Name": name, "PartitionIndexes": [0, 1, 5]}]}, version)
    for topic in answer["Topics"]:
        for partition in topic["Partitions"]:
            for active in partition["ActiveProducers"]:
                active["LastTimestamp"] = active["LastTimestamp"] > 0
    side.note("three partitions", answer)
    side.ask("unknown topic", "DescribeProducers", version, {"Topics": [{"Name": side.name("none"), "PartitionIndexes": [0]}]})
    side.ask("invalid topic", "DescribeProducers", version, {"Topics": [{"Name": "a b", "PartitionIndexes": [0]}]})
    side.ask("nothing", "DescribeProducers", version, {"Topics": []})

"""aiokafka asked what checks.txt lists."""
import asyncio
import sys
import threading
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

import checks
from checks import EACH, PARTITIONS, Failed, Record, eventually, expect, expect_error, fresh, numbered, same_records

ADDRESS = {"bootstrap_servers": checks.BOOTSTRAP}


def with_admin(action):
    """Runs `action(client)`, a coroutine function, with an administrator."""
    async def inside():
        client = AIOKafkaAdminClient(**ADDRESS)
        await client.start()
        try:
            return await action(client)
        finally:
            await client.close()
    return asyncio.run(inside())


def refused(response, what):
    """The code of the first topic in an answer that this client does not look at itself."""
    answers = getattr(response, "topic_errors", None) or getattr(response, "topic_error_codes", None)
    for answer in answers:
        if answer[1] != 0:
            raise errors.for_code(answer[1])(what)


def new_topic(partitions=PARTITIONS, configs=None):
    name = fresh("aiokafka")

    async def create(client):
        refused(await client.create_topics([NewTopic(name, partitions, checks.COPIES, topic_configs=configs or {})]), "create")
    with_admin(create)
    return name


def produce(topic, records, **options):
    async def inside():
        producer = AIOKafkaProducer(**ADDRESS, **options)
        await producer.start()
        try:
            waiting = [await producer.send(topic, record.value, record.key, partition=record.partition if record.partition >= 0 else None,
                                           headers=record.headers) for record in records]
            await asyncio.gather(*waiting)
        finally:
            await producer.stop()
    asyncio.run(inside())


def take(polled):
    return [Record(m.partition, m.key, m.value, list(m.headers)) for part in polled.values() for m in part]


def read_all(topic, want, partitions=PARTITIONS, **options):
    """Reads until `want` records came, then makes sure that no more do."""
    async def inside():
        consumer = AIOKafkaConsumer(**ADDRESS, auto_offset_reset="earliest", enable_auto_commit=False, **options)
        await consumer.start()
        consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
        await consumer.seek_to_beginning()
        got, end = [], time.monotonic() + 60
        while len(got) < want and time.monotonic() < end:
            got += take(await consumer.getmany(timeout_ms=200))
        got += take(await consumer.getmany(timeout_ms=300))
        await consumer.stop()
        return got
    return asyncio.run(inside())


class Listener(ConsumerRebalanceListener):
    def __init__(self, owner):
        self.owner = owner

    async def on_partitions_revoked(self, revoked):
        self.owner.revoke([p.partition for p in revoked])

    async def on_partitions_assigned(self, assigned):
        self.owner.assign([p.partition for p in assigned])


class Member:
    """A consumer with an event loop and a thread of its own."""

    def __init__(self, group, topic, seen, instance=None):
        self.owner = checks.Owner()
        self.stop = threading.Event()
        self.broken = None
        self.thread = threading.Thread(target=lambda: asyncio.run(self.consume(group, topic, seen, instance)), daemon=True)
        self.thread.start()

    async def consume(self, group, topic, seen, instance):
        consumer = AIOKafkaConsumer(**ADDRESS, group_id=group, group_instance_id=instance, auto_offset_reset="earliest",
                                    auto_commit_interval_ms=200, session_timeout_ms=6000, heartbeat_interval_ms=300,
                                    partition_assignment_strategy=(RangePartitionAssignor,))
        consumer.subscribe([topic], listener=Listener(self.owner))
        try:
            await consumer.start()
            while not self.stop.is_set():
                for record in take(await consumer.getmany(timeout_ms=100)):
                    seen.add(record.value)
        except Exception as error:
            self.broken = error
        finally:
            await consumer.stop()

    def leave(self):
        self.stop.set()
        self.thread.join()
        if self.broken:
            raise self.broken


def join(group, topic, seen, **options):
    return Member(group, topic, seen, **options)


def committed(group, topic):
    async def offsets(client):
        return await client.list_consumer_group_offsets(group)
    return {p.partition: at.offset for p, at in with_admin(offsets).items() if p.topic == topic and at.offset >= 0}


this = sys.modules[__name__]


def codecs():
    for codec in checks.CODECS:
        topic, sent = new_topic(), checks.sample(1, PARTITIONS, EACH)
        produce(topic, sent, compression_type=None if codec == "none" else codec, linger_ms=5)
        same_records(sent, read_all(topic, len(sent)))
    return f"{PARTITIONS * EACH} records in each of 5 codecs"


def topics():
    name = new_topic(3)

    def create(topic, partitions, copies, configs=None):
        async def inside(client):
            refused(await client.create_topics([NewTopic(topic, partitions, copies, topic_configs=configs or {})]), "create")
        return lambda: with_admin(inside)

    async def describe(client):
        return (await client.describe_topics([name]))[0]

    async def grow(client):
        refused(await client.create_partitions({name: NewPartitions(total_count=5)}), "grow")

    async def shrink(client):
        refused(await client.create_partitions({name: NewPartitions(total_count=2)}), "shrink")

    async def delete(client):
        refused(await client.delete_topics([name]), "delete")
    expect_error("create twice", errors.TopicAlreadyExistsError, create(name, 3, checks.COPIES))
    expect_error("create with a bad name", errors.InvalidTopicError, create("no spaces", 1, checks.COPIES))
    expect_error("create with too many copies", errors.InvalidReplicationFactorError, create(fresh("many"), 1, 9))
    expect_error("create with a bad setting", errors.InvalidConfigurationError, create(fresh("bad"), 1, checks.COPIES, {"retention.ms": "soon"}))
    eventually("three partitions", 10, lambda: len(with_admin(describe)["partitions"]) == 3)
    with_admin(grow)
    eventually("five partitions", 10, lambda: len(with_admin(describe)["partitions"]) == 5)
    expect_error("shrink", errors.InvalidPartitionsError, lambda: with_admin(shrink))
    with_admin(delete)
    expect_error("delete twice", errors.UnknownTopicOrPartitionError, lambda: with_admin(delete))
    return "created, grown from 3 to 5, deleted; six refusals"


def configs():
    topic = new_topic(1)

    def alter(settings):
        async def inside(client):
            response = await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])
            for answer in response:
                for resource in answer.resources:
                    if resource[0] != 0:
                        raise errors.for_code(resource[0])(str(resource))
        return lambda: with_admin(inside)

    async def describe(client):
        answer = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return {entry[0]: entry[1] for entry in answer[0].resources[0][4]}
    expect("retention.ms at first", "604800000", with_admin(describe)["retention.ms"])
    alter({"retention.ms": "1234567", "cleanup.policy": "compact"})()
    eventually("the new retention is described", 10, lambda: with_admin(describe)["retention.ms"] == "1234567")
    expect_error("a bad value", errors.InvalidConfigurationError, alter({"retention.ms": "soon"}))
    alter({"cleanup.policy": "compact"})()
    eventually("what is not named is the default again", 10, lambda: with_admin(describe)["retention.ms"] == "604800000")
    expect("the other setting", "compact", with_admin(describe)["cleanup.policy"])
    return "set and replaced (aiokafka has no incremental change); one refusal"


def delete_records():
    topic, sent = new_topic(1), checks.sample(2, 1, 100)
    part = TopicPartition(topic, 0)
    produce(topic, sent)

    def delete(at):
        async def inside(client):
            return (await client.delete_records({part: RecordsToDelete(before_offset=at)}))[part]
        return with_admin(inside)
    expect("low watermark", 40, delete(40))
    same_records(sent[40:], read_all(topic, 60, 1))
    expect_error("delete past the end", errors.OffsetOutOfRangeError, lambda: delete(101))
    expect("low watermark after deleting all", 100, delete(-1))
    produce(topic, sent[:1])
    same_records(sent[:1], read_all(topic, 1, 1))
    return "100 records, 40 gone, then all"


def groups_admin():
    topic, group, seen = new_topic(), fresh("group"), checks.Seen()
    produce(topic, numbered("first", 20))
    member = join(group, topic, seen)
    eventually("all read", 20, lambda: seen.different() == 20 * PARTITIONS)

    async def describe(client):
        found = (await client.describe_consumer_groups([group]))[0].groups[0]
        return found[2], len(found[5])

    async def listed(client):
        return [found for found in await client.list_consumer_groups() if found[0] == group]
    expect("state with a member", ("Stable", 1), with_admin(describe))
    expect("listed", 1, len(with_admin(listed)))
    member.leave()
    expect("state without members", ("Empty", 0), with_admin(describe))
    expect("committed", {p: 20 for p in range(PARTITIONS)}, committed(group, topic))
    return "listed, described, offsets read (aiokafka can't reset or delete)"


def broker_killed():
    topic, each = new_topic(), EACH * 3
    sent, trouble, acked = numbered("n", each), [], [0]

    def good(future):
        acked[0] += 1
        if future.exception():
            trouble.append(future.exception())

    def kill_twice():
        try:
            for third in (1, 2):
                eventually("records are acknowledged", 60, lambda: acked[0] >= third * len(sent) / 3)
                checks.broker("crash", 1 + third % checks.COPIES)
        except Exception as error:
            trouble.append(error)

    async def send_all():
        producer = AIOKafkaProducer(**ADDRESS, enable_idempotence=True, linger_ms=1, request_timeout_ms=60000)
        await producer.start()
        killer = threading.Thread(target=kill_twice)
        killer.start()
        for i, record in enumerate(sent):
            while i - acked[0] > 500 and not trouble:
                await asyncio.sleep(0.002)
            (await producer.send(topic, record.value, partition=record.partition)).add_done_callback(good)
        await producer.stop()
        killer.join()
    asyncio.run(send_all())
    expect("trouble", [], trouble)
    same_records(sent, read_all(topic, len(sent)))
    return f"{len(sent)} records through two kills"


def offsets_by_time():
    topic, base = new_topic(1), int(time.time() - 3600) * 1000

    async def inside():
        producer = AIOKafkaProducer(**ADDRESS)
        await producer.start()
        for i in range(100):
            await producer.send(topic, str(i).encode(), partition=0, timestamp_ms=base + i * 1000)
            if i % 10 == 9:
                await producer.flush()
        await producer.stop()
        consumer = AIOKafkaConsumer(**ADDRESS)
        await consumer.start()
        part = TopicPartition(topic, 0)
        consumer.assign([part])
        found = []
        for after in (-60000, 37000, 37001, 99000, 100000):
            answer = (await consumer.offsets_for_times({part: base + after}))[part]
            found.append(answer and answer.offset)
        expect("offsets after times", [0, 37, 38, 99, None], found)
        expect("earliest and latest", (0, 100), ((await consumer.beginning_offsets([part]))[part], (await consumer.end_offsets([part]))[part]))
        await consumer.stop()
    asyncio.run(inside())
    return "100 records a second apart"


def small_fetch():
    topic, sent = new_topic(), checks.sample(3, PARTITIONS, EACH)
    produce(topic, sent, max_batch_size=2000)
    same_records(sent, read_all(topic, len(sent), max_partition_fetch_bytes=100, fetch_max_bytes=512))
    return f"{len(sent)} records in fetches of 512 bytes"


def large_message():
    topic = new_topic(1, {"max.message.bytes": "4194304"})
    big = Record(0, None, checks.random.Random(4).randbytes(3_000_000))
    produce(topic, [big, Record(0, None, b"small")], max_request_size=5_000_000)
    same_records([big, Record(0, None, b"small")], read_all(topic, 2, 1, max_partition_fetch_bytes=1000))
    expect_error("too large for its topic", errors.MessageSizeTooLargeError, lambda: produce(new_topic(1), [big], max_request_size=5_000_000))
    return "3 MB there and back; refused by the default limit"


def auto_create():
    topic = fresh("auto")
    produce(topic, [Record(-1, str(i).encode(), str(i).encode()) for i in range(50)])
    expect("records", 50, len(read_all(topic, 50)))
    return "4 partitions as num.partitions says"


def unknown_topic():
    async def describe(client):
        answer = (await client.describe_topics([fresh("nowhere")]))[0]
        if answer["error_code"] != 0:
            raise errors.for_code(answer["error_code"])("describe")
        return answer
    expect_error("describe", errors.UnknownTopicOrPartitionError, lambda: with_admin(describe))
    return "describe is refused"


if sys.argv[1:2] == ["member"]:
    checks.be_a_member(join(sys.argv[2], sys.argv[3], checks.Seen()).owner)
checks.run({
    "codecs": codecs, "groups-join-leave": lambda: checks.groups_join_leave(this), "groups-crash": lambda: checks.groups_crash(this),
    "groups-static": lambda: checks.groups_static(this),
    "groups-cooperative": checks.not_offered("aiokafka has no cooperative assignor"),
    "groups-kip848": checks.not_offered("aiokafka has no consumer protocol of KIP-848"), "topics": topics, "configs": configs,
    "delete-records": delete_records, "groups-admin": groups_admin, "broker-killed": broker_killed, "offsets-by-time": offsets_by_time,
    "small-fetch": small_fetch, "large-message": large_message, "auto-create": auto_create, "unknown-topic": unknown_topic,
})

"""confluent-kafka (librdkafka) asked what checks.txt lists."""
import functools
import sys
import threading
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, ConsumerGroupState, ConsumerGroupType
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
                                   ResourceType)

import checks
from checks import EACH, PARTITIONS, Failed, Record, eventually, expect, fresh, numbered, same_records

ADDRESS = {"bootstrap.servers": checks.BOOTSTRAP, "reconnect.backoff.max.ms": 500, "topic.metadata.propagation.max.ms": 2000}


@functools.cache
def admin():
    """One for all: a client that nobody holds takes its unfinished calls with it."""
    return AdminClient(ADDRESS)


def done(futures):
    """Waits for every future and raises what one of them failed with."""
    return {key: future.result(20) for key, future in futures.items()}


def expect_code(what, code, action):
    try:
        got = action()
    except KafkaException as error:
        expect(what, KafkaError(code).name(), error.args[0].name())
        return
    raise Failed(f"{what}: was accepted: {got}")


def new_topic(partitions=PARTITIONS, config=None):
    name = fresh("confluent")
    done(admin().create_topics([NewTopic(name, partitions, checks.COPIES, config=config or {})]))
    return name


def produce(topic, records, **options):
    producer = Producer({**ADDRESS, **{key.replace("_", "."): value for key, value in options.items()}})
    failures = []

    def acked(error, _):
        if error:
            failures.append(error)
    for record in records:
        producer.produce(topic, record.value, record.key, record.partition, on_delivery=acked, headers=record.headers)
        producer.poll(0)
    expect("records left unsent", 0, producer.flush(100))
    if failures:
        raise KafkaException(failures[0])


def read_all(topic, want, partitions=PARTITIONS, start=OFFSET_BEGINNING, **options):
    """Reads until `want` records came, then makes sure that no more do."""
    consumer = Consumer({**ADDRESS, "group.id": fresh("reader"), "enable.auto.commit": False, "enable.partition.eof": False,
                         **{key.replace("_", "."): value for key, value in options.items()}})
    consumer.assign([TopicPartition(topic, p, start) for p in range(partitions)])
    got, end = [], time.monotonic() + 60
    while len(got) < want and time.monotonic() < end:
        got += take(consumer.consume(1000, 0.2))
    got += take(consumer.consume(1000, 0.3))
    consumer.close()
    return got


def take(messages):
    out = []
    for message in messages:
        if message.error():
            raise KafkaException(message.error())
        out.append(Record(message.partition(), message.key(), message.value(), message.headers() or []))
    return out


class Member:
    def __init__(self, group, topic, seen, instance=None, **options):
        self.owner = checks.Owner()
        config = {**ADDRESS, "group.id": group, "auto.offset.reset": "earliest", "auto.commit.interval.ms": 200,
                  "session.timeout.ms": 6000, "heartbeat.interval.ms": 300, "partition.assignment.strategy": "range"}
        if instance:
            config["group.instance.id"] = instance
        config.update({key.replace("_", "."): value for key, value in options.items()})
        if config.get("group.protocol") == "consumer":
            for key in ("session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"):
                del config[key]
        self.consumer = Consumer(config)
        self.consumer.subscribe([topic], on_assign=lambda _, given: self.owner.assign([p.partition for p in given]),
                                on_revoke=lambda _, taken: self.owner.revoke([p.partition for p in taken]))
        self.stop = threading.Event()
        self.broken = None
        self.thread = threading.Thread(target=self.poll, args=(seen,), daemon=True)
        self.thread.start()

    def poll(self, seen):
        try:
            while not self.stop.is_set():
                for record in take(self.consumer.consume(500, 0.05)):
                    seen.add(record.value)
        except KafkaException as error:
            self.broken = error

    def leave(self):
        self.stop.set()
        self.thread.join()
        self.consumer.close()
        if self.broken:
            raise self.broken


def join(group, topic, seen, **options):
    return Member(group, topic, seen, **options)


def committed(group, topic):
    answer = done(admin().list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))[group]
    return {p.partition: p.offset for p in answer.topic_partitions if p.topic == topic and p.offset >= 0}


this = sys.modules[__name__]


def codecs():
    for codec in checks.CODECS:
        topic, sent = new_topic(), checks.sample(1, PARTITIONS, EACH)
        produce(topic, sent, compression_type=codec, linger_ms=5)
        same_records(sent, read_all(topic, len(sent)))
    return f"{PARTITIONS * EACH} records in each of 5 codecs"


def kip848():
    words = checks.groups_join_leave(this, group_protocol="consumer")
    topic, group, seen = new_topic(), fresh("group"), checks.Seen()
    member = join(group, topic, seen, group_protocol="consumer", group_remote_assignor="range")
    eventually("a member with the range assignor owns all", 20, lambda: len(member.owner.owned()) == PARTITIONS)
    listed = admin().list_consumer_groups(types={ConsumerGroupType.CONSUMER}).result(20).valid
    expect("listed as a consumer group", [ConsumerGroupState.STABLE], [g.state for g in listed if g.group_id == group])
    described = done(admin().describe_consumer_groups([group]))[group]
    expect("members described", [PARTITIONS], [len(m.assignment.topic_partitions) for m in described.members])
    member.leave()
    return words


def topics():
    client = admin()
    name = new_topic(3)
    create = lambda *args, **more: done(client.create_topics([NewTopic(*args, **more)]))
    expect_code("create twice", KafkaError.TOPIC_ALREADY_EXISTS, lambda: create(name, 3, checks.COPIES))
    expect_code("create with a bad name", KafkaError.TOPIC_EXCEPTION, lambda: create("no spaces", 1, checks.COPIES))
    expect_code("create with too many copies", KafkaError.INVALID_REPLICATION_FACTOR, lambda: create(fresh("many"), 1, 9))
    expect_code("create with a bad setting", KafkaError.INVALID_CONFIG, lambda: create(fresh("bad"), 1, checks.COPIES, config={"retention.ms": "soon"}))
    validated = fresh("validated")
    done(client.create_topics([NewTopic(validated, 1, checks.COPIES)], validate_only=True))
    expect("validated only", False, validated in client.list_topics(timeout=10).topics)
    eventually("three partitions", 10, lambda: len(client.list_topics(name, 10).topics[name].partitions) == 3)
    done(client.create_partitions([NewPartitions(name, 5)]))
    eventually("five partitions", 10, lambda: len(client.list_topics(name, 10).topics[name].partitions) == 5)
    expect_code("shrink", KafkaError.INVALID_PARTITIONS, lambda: done(client.create_partitions([NewPartitions(name, 2)])))
    done(client.delete_topics([name]))
    expect_code("delete twice", KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: done(client.delete_topics([name])))
    return "created, validated, grown from 3 to 5, deleted; six refusals"


def setting(topic, key):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    entry = done(admin().describe_configs([resource]))[resource][key]
    return entry.value, entry.is_default


def alter(topic, key, value, operation):
    entry = ConfigEntry(key, value, incremental_operation=operation)
    done(admin().incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])]))


def configs():
    topic = new_topic(1)
    expect("retention.ms at first", ("604800000", True), setting(topic, "retention.ms"))
    alter(topic, "retention.ms", "1234567", AlterConfigOpType.SET)
    eventually("the new retention is described", 10, lambda: setting(topic, "retention.ms") == ("1234567", False))
    alter(topic, "cleanup.policy", "compact", AlterConfigOpType.APPEND)
    eventually("both policies", 10, lambda: setting(topic, "cleanup.policy")[0] == "delete,compact")
    expect_code("a bad value", KafkaError.INVALID_CONFIG, lambda: alter(topic, "retention.ms", "soon", AlterConfigOpType.SET))
    expect_code("an unknown setting", KafkaError.INVALID_CONFIG, lambda: alter(topic, "no.such", "1", AlterConfigOpType.SET))
    alter(topic, "retention.ms", None, AlterConfigOpType.DELETE)
    eventually("the default is back", 10, lambda: setting(topic, "retention.ms") == ("604800000", True))
    return "set, appended, deleted; two refusals"


def delete_records():
    topic, sent = new_topic(1), checks.sample(2, 1, 100)
    produce(topic, sent)
    delete = lambda at: done(admin().delete_records([TopicPartition(topic, 0, at)]))[TopicPartition(topic, 0)].low_watermark
    expect("low watermark", 40, delete(40))
    same_records(sent[40:], read_all(topic, 60, 1))
    expect_code("delete past the end", KafkaError.OFFSET_OUT_OF_RANGE, lambda: delete(101))
    expect("low watermark after deleting all", 100, delete(OFFSET_END))
    produce(topic, sent[:1])
    same_records(sent[:1], read_all(topic, 1, 1))
    return "100 records, 40 gone, then all"


def groups_admin():
    client = admin()
    topic, group, seen = new_topic(), fresh("group"), checks.Seen()
    produce(topic, numbered("first", 20))
    member = join(group, topic, seen)
    eventually("all read", 20, lambda: seen.different() == 20 * PARTITIONS)
    describe = lambda: done(client.describe_consumer_groups([group]))[group]
    expect("state with a member", (ConsumerGroupState.STABLE, 1), (describe().state, len(describe().members)))
    expect_code("delete a group with a member", KafkaError.NON_EMPTY_GROUP, lambda: done(client.delete_consumer_groups([group])))
    member.leave()
    expect("state without members", ConsumerGroupState.EMPTY, describe().state)
    done(client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 5)])]))
    again = checks.Seen()
    member = join(group, topic, again)
    eventually("fifteen are read again", 20, lambda: again.total() == 15)
    member.leave()
    expect("read again", 15, again.total())
    done(client.delete_consumer_groups([group]))
    expect("the deleted group is listed", [], [g for g in client.list_consumer_groups().result(20).valid if g.group_id == group])
    expect_code("delete twice", KafkaError.GROUP_ID_NOT_FOUND, lambda: done(client.delete_consumer_groups([group])))
    return "listed, described, reset, deleted; two refusals"


def broker_killed():
    topic, each = new_topic(), EACH * 5
    producer = Producer({**ADDRESS, "enable.idempotence": True, "linger.ms": 1, "message.timeout.ms": 90000})
    failures, acked = [], [0]

    def on_delivery(error, _):
        acked[0] += 1
        if error:
            failures.append(error)
    killer_broken = []

    def kill_twice():
        try:
            for third in (1, 2):
                eventually("records are acknowledged", 60, lambda: acked[0] >= third * each * PARTITIONS / 3)
                checks.broker("crash", 1 + third % checks.COPIES)
        except Exception as error:
            killer_broken.append(error)
    killer = threading.Thread(target=kill_twice)
    killer.start()
    sent = numbered("n", each)
    for i, record in enumerate(sent):
        while i - acked[0] > 500:
            producer.poll(0.1)
        producer.produce(topic, record.value, None, record.partition, on_delivery=on_delivery)
        producer.poll(0)
    expect("records left unsent", 0, producer.flush(100))
    killer.join()
    expect("trouble while killing", [], killer_broken)
    expect("records refused", [], failures)
    same_records(sent, read_all(topic, len(sent)))
    return f"{len(sent)} records through two kills"


def offsets_by_time():
    topic, base = new_topic(1), int(time.time() - 3600) * 1000
    producer = Producer(ADDRESS)
    for i in range(100):
        producer.produce(topic, str(i).encode(), partition=0, timestamp=base + i * 1000)
        if i % 10 == 9:
            producer.flush(20)
    lookup = lambda spec: list(done(admin().list_offsets({TopicPartition(topic, 0): spec})).values())[0]
    at = lambda time_ms: lookup(OffsetSpec.for_timestamp(time_ms)).offset
    expect("offsets after times", [0, 37, 38, 99, -1], [at(base - 60000), at(base + 37000), at(base + 37001), at(base + 99000), at(base + 100000)])
    expect("earliest and latest", [0, 100], [lookup(OffsetSpec.earliest()).offset, lookup(OffsetSpec.latest()).offset])
    newest = lookup(OffsetSpec.max_timestamp())
    expect("the latest time and its offset", (99, base + 99000), (newest.offset, newest.timestamp))
    return "100 records a second apart"


def small_fetch():
    topic, sent = new_topic(), checks.sample(3, PARTITIONS, EACH)
    produce(topic, sent, batch_num_messages=20)
    same_records(sent, read_all(topic, len(sent), fetch_message_max_bytes=100, fetch_max_bytes=1000, message_max_bytes=1000, receive_message_max_bytes=100000))
    return f"{len(sent)} records in fetches of 1000 bytes"


def large_message():
    topic = new_topic(1, {"max.message.bytes": "4194304"})
    big = Record(0, None, checks.random.Random(4).randbytes(3_000_000))
    produce(topic, [big, Record(0, None, b"small")], message_max_bytes=5_000_000)
    same_records([big, Record(0, None, b"small")], read_all(topic, 2, 1, fetch_message_max_bytes=1000))
    expect_code("too large for its topic", KafkaError.MSG_SIZE_TOO_LARGE, lambda: produce(new_topic(1), [big], message_max_bytes=5_000_000))
    return "3 MB there and back; refused by the default limit"


def auto_create():
    topic = fresh("auto")
    produce(topic, [Record(-1, str(i).encode(), str(i).encode()) for i in range(50)])
    expect("partitions", PARTITIONS, len(admin().list_topics(topic, 10).topics[topic].partitions))
    expect("records", 50, len(read_all(topic, 50)))
    return "4 partitions as num.partitions says"


def unknown_topic():
    consumer = Consumer({**ADDRESS, "group.id": fresh("reader"), "auto.offset.reset": "earliest", "allow.auto.create.topics": False})
    consumer.subscribe([fresh("nowhere")])
    end, error = time.monotonic() + 20, None
    while error is None and time.monotonic() < end:
        message = consumer.poll(0.2)
        error = message.error() if message else None
    consumer.close()
    expect("subscribing to nowhere", KafkaError.UNKNOWN_TOPIC_OR_PART, error and error.code())
    expect_code("produce to nowhere", KafkaError._UNKNOWN_TOPIC,
                lambda: produce(fresh("nowhere"), [Record(0, None, b"x")], allow_auto_create_topics=False, message_timeout_ms=8000))
    return "subscribe and produce are refused"


if sys.argv[1:2] == ["member"]:
    checks.be_a_member(join(sys.argv[2], sys.argv[3], checks.Seen()).owner)
checks.run({
    "codecs": codecs, "groups-join-leave": lambda: checks.groups_join_leave(this), "groups-crash": lambda: checks.groups_crash(this),
    "groups-static": lambda: checks.groups_static(this),
    "groups-cooperative": lambda: checks.groups_cooperative(this, partition_assignment_strategy="cooperative-sticky"),
    "groups-kip848": kip848, "topics": topics, "configs": configs, "delete-records": delete_records, "groups-admin": groups_admin,
    "broker-killed": broker_killed, "offsets-by-time": offsets_by_time, "small-fetch": small_fetch, "large-message": large_message,
    "auto-create": auto_create, "unknown-topic": unknown_topic,
})

"""kafka-python asked what checks.txt lists."""
import sys
import threading
import time

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.structs import OffsetAndMetadata

import checks
from checks import EACH, PARTITIONS, Record, eventually, expect, expect_error, fresh, numbered, same_records

ADDRESS = {"bootstrap_servers": checks.BOOTSTRAP.split(","), "reconnect_backoff_max_ms": 500}


def admin():
    return KafkaAdminClient(**ADDRESS)


def new_topic(partitions=PARTITIONS, configs=None):
    name = fresh("kafkapython")
    client = admin()
    client.create_topics({name: {"num_partitions": partitions, "replication_factor": checks.COPIES, "configs": configs or {}}}, wait_for_metadata=True)
    client.close()
    return name


def produce(topic, records, **options):
    producer = KafkaProducer(**ADDRESS, **options)
    waiting = [producer.send(topic, record.value, record.key, record.headers, record.partition if record.partition >= 0 else None)
               for record in records]
    producer.flush(60)
    for sent in waiting:
        sent.get(60)
    producer.close()


def read_all(topic, want, partitions=PARTITIONS, **options):
    """Reads until `want` records came, then makes sure that no more do."""
    consumer = KafkaConsumer(**ADDRESS, auto_offset_reset="earliest", enable_auto_commit=False, **options)
    consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
    consumer.seek_to_beginning()
    got, end = [], time.monotonic() + 60
    while len(got) < want and time.monotonic() < end:
        got += take(consumer.poll(200))
    got += take(consumer.poll(300))
    consumer.close()
    return got


def take(polled):
    return [Record(m.partition, m.key, m.value, list(m.headers)) for part in polled.values() for m in part]


class Member(ConsumerRebalanceListener):
    def __init__(self, group, topic, seen, instance=None, assignor=RangePartitionAssignor):
        self.owner = checks.Owner()
        self.consumer = KafkaConsumer(**ADDRESS, group_id=group, group_instance_id=instance, auto_offset_reset="earliest",
                                      auto_commit_interval_ms=200, session_timeout_ms=6000, heartbeat_interval_ms=300,
                                      partition_assignment_strategy=(assignor,))
        self.consumer.subscribe([topic], listener=self)
        self.stop = threading.Event()
        self.broken = None
        self.thread = threading.Thread(target=self.poll, args=(seen,), daemon=True)
        self.thread.start()

    def on_partitions_revoked(self, revoked):
        self.owner.revoke([p.partition for p in revoked])

    def on_partitions_assigned(self, assigned):
        self.owner.assign([p.partition for p in assigned])

    def poll(self, seen):
        try:
            while not self.stop.is_set():
                for record in take(self.consumer.poll(200)):
                    seen.add(record.value)
        except Exception as error:
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
    client = admin()
    found = client.list_group_offsets({group: None})[group]
    client.close()
    return {p.partition: at.offset for p, at in found.items() if p.topic == topic and at.offset >= 0}


this = sys.modules[__name__]


def codecs():
    for codec in checks.CODECS:
        topic, sent = new_topic(), checks.sample(1, PARTITIONS, EACH)
        produce(topic, sent, compression_type=None if codec == "none" else codec, linger_ms=5)
        same_records(sent, read_all(topic, len(sent)))
    return f"{PARTITIONS * EACH} records in each of 5 codecs"


def cooperative():
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
    return checks.groups_cooperative(this, assignor=CooperativeStickyAssignor)


def topics():
    client, name = admin(), new_topic(3)
    create = lambda topic, partitions, copies, **more: client.create_topics({topic: {"num_partitions": partitions, "replication_factor": copies, **more}})
    expect_error("create twice", errors.TopicAlreadyExistsError, lambda: create(name, 3, checks.COPIES))
    expect_error("create with too many copies", errors.InvalidReplicationFactorError, lambda: create(fresh("many"), 1, 9))
    expect_error("create with a bad setting", errors.InvalidConfigurationError, lambda: create(fresh("bad"), 1, checks.COPIES, configs={"retention.ms": "soon"}))
    count = lambda: len(client.describe_topics([name])[0]["partitions"])
    expect("partitions", 3, count())
    client.create_partitions({name: 5})
    eventually("five partitions", 10, lambda: count() == 5)
    expect_error("shrink", errors.InvalidPartitionsError, lambda: client.create_partitions({name: 2}))
    expect("listed", True, name in client.list_topics())
    client.delete_topics([name])
    eventually("it is gone from the list", 10, lambda: name not in client.list_topics())
    expect_error("delete twice", errors.UnknownTopicOrPartitionError, lambda: client.delete_topics([name]))
    client.close()
    return "created, grown from 3 to 5, deleted; five refusals"


def configs():
    client, topic = admin(), new_topic(1)
    resource = lambda settings=None: ConfigResource(ConfigResourceType.TOPIC, topic, settings)
    setting = lambda key: client.describe_configs([resource()], config_filter="all")["topic"][topic][key]
    expect("retention.ms at first", ("604800000", "DEFAULT_CONFIG"), (setting("retention.ms")["value"], setting("retention.ms")["config_source"]))
    client.alter_configs([resource({"retention.ms": "1234567"})])
    eventually("the new retention is described", 10, lambda: setting("retention.ms")["value"] == "1234567")
    client.alter_configs([resource({"cleanup.policy": ("APPEND", "compact")})])
    eventually("both policies", 10, lambda: setting("cleanup.policy")["value"] == "delete,compact")
    refused = client.alter_configs([resource({"retention.ms": "soon"})])
    expect("a bad value", True, "InvalidConfiguration" in repr(refused))
    client.reset_configs([resource({"retention.ms": None})])
    eventually("the default is back", 10, lambda: setting("retention.ms")["value"] == "604800000")
    client.close()
    return "set, appended, reset; one refusal"


def delete_records():
    client, topic, sent = admin(), new_topic(1), checks.sample(2, 1, 100)
    part = TopicPartition(topic, 0)
    produce(topic, sent)
    expect("low watermark", 40, client.delete_records({part: 40})[part]["low_watermark"])
    same_records(sent[40:], read_all(topic, 60, 1))
    expect_error("delete past the end", errors.OffsetOutOfRangeError, lambda: client.delete_records({part: 101}))
    expect("low watermark after deleting all", 100, client.delete_records({part: -1})[part]["low_watermark"])
    produce(topic, sent[:1])
    same_records(sent[:1], read_all(topic, 1, 1))
    client.close()
    return "100 records, 40 gone, then all"


def groups_admin():
    client = admin()
    topic, group, seen = new_topic(), fresh("group"), checks.Seen()
    produce(topic, numbered("first", 20))
    member = join(group, topic, seen)
    eventually("all read", 20, lambda: seen.different() == 20 * PARTITIONS)
    describe = lambda: client.describe_groups([group])[group]
    expect("state with a member", ("Stable", 1), (describe()["group_state"], len(describe()["members"])))
    expect("delete a group with a member", True, "NonEmptyGroup" in repr(client.delete_groups([group])))
    member.leave()
    expect("state without members", "Empty", describe()["group_state"])
    client.alter_group_offsets(group, {TopicPartition(topic, 0): OffsetAndMetadata(5, "", -1)})
    again = checks.Seen()
    member = join(group, topic, again)
    eventually("fifteen are read again", 20, lambda: again.total() == 15)
    member.leave()
    expect("read again", 15, again.total())
    client.delete_group_offsets(group, [TopicPartition(topic, 1)])
    expect("partitions with an offset", [0, 2, 3], sorted(committed(group, topic)))
    expect("delete", True, "NonEmpty" not in repr(client.delete_groups([group])))
    expect("the deleted group is listed", [], [g for g in client.list_groups() if g["group_id"] == group])
    expect("delete twice", True, "GroupIdNotFound" in repr(client.delete_groups([group])))
    client.close()
    return "listed, described, reset, deleted; two refusals"


def broker_killed():
    topic, each = new_topic(), EACH * 3
    producer = KafkaProducer(**ADDRESS, enable_idempotence=True, acks="all", retries=1000, linger_ms=1, delivery_timeout_ms=100000, max_block_ms=60000)
    trouble, acked = [], [0]

    def good(_):
        acked[0] += 1

    def kill_twice():
        try:
            for third in (1, 2):
                eventually("records are acknowledged", 60, lambda: acked[0] >= third * each * PARTITIONS / 3)
                checks.broker("crash", 1 + third % checks.COPIES)
        except Exception as error:
            trouble.append(error)
    killer = threading.Thread(target=kill_twice)
    killer.start()
    sent = numbered("n", each)
    for i, record in enumerate(sent):
        while i - acked[0] > 500 and not trouble:
            time.sleep(0.002)
        producer.send(topic, record.value, partition=record.partition).add_callback(good).add_errback(trouble.append)
    producer.flush(100)
    killer.join()
    producer.close()
    expect("trouble", [], trouble)
    same_records(sent, read_all(topic, len(sent)))
    return f"{len(sent)} records through two kills"


def offsets_by_time():
    topic, base = new_topic(1), int(time.time() - 3600) * 1000
    producer = KafkaProducer(**ADDRESS)
    for i in range(100):
        producer.send(topic, str(i).encode(), partition=0, timestamp_ms=base + i * 1000)
        if i % 10 == 9:
            producer.flush()
    producer.close()
    consumer = KafkaConsumer(**ADDRESS)
    part = TopicPartition(topic, 0)
    at = lambda time_ms: (lambda found: found and found.offset)(consumer.offsets_for_times({part: time_ms})[part])
    expect("offsets after times", [0, 37, 38, 99, None], [at(base - 60000), at(base + 37000), at(base + 37001), at(base + 99000), at(base + 100000)])
    expect("earliest and latest", (0, 100), (consumer.beginning_offsets([part])[part], consumer.end_offsets([part])[part]))
    consumer.close()
    return "100 records a second apart"


def small_fetch():
    topic, sent = new_topic(), checks.sample(3, PARTITIONS, EACH)
    produce(topic, sent, batch_size=2000)
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
    client = admin()
    expect("partitions", PARTITIONS, len(client.describe_topics([topic])[0]["partitions"]))
    client.close()
    return "4 partitions as num.partitions says"


def unknown_topic():
    client = admin()
    expect_error("list offsets", errors.UnknownTopicOrPartitionError, lambda: client.list_partition_offsets({TopicPartition(fresh("nowhere"), 0): -1}))
    client.close()
    consumer = KafkaConsumer(**ADDRESS, allow_auto_create_topics=False)
    expect("partitions of nowhere", True, not consumer.partitions_for_topic(fresh("nowhere")))
    consumer.close()
    return "list offsets is refused, there are no partitions"


if sys.argv[1:2] == ["member"]:
    checks.be_a_member(join(sys.argv[2], sys.argv[3], checks.Seen()).owner)
checks.run({
    "codecs": codecs, "groups-join-leave": lambda: checks.groups_join_leave(this), "groups-crash": lambda: checks.groups_crash(this),
    "groups-static": lambda: checks.groups_static(this), "groups-cooperative": cooperative,
    "groups-kip848": checks.not_offered("kafka-python has no consumer protocol of KIP-848"), "topics": topics, "configs": configs,
    "delete-records": delete_records, "groups-admin": groups_admin, "broker-killed": broker_killed, "offsets-by-time": offsets_by_time,
    "small-fetch": small_fetch, "large-message": large_message, "auto-create": auto_create, "unknown-topic": unknown_topic,
})

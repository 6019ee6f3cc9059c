"""What the examples share: where the broker is, topics, and short ways to send and to read."""
import itertools
import os
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ADDRESS = {"bootstrap.servers": sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9092"}
_numbers = itertools.count()
_admin = AdminClient(ADDRESS)


def topic(name, partitions=1, **config):
    """A new topic; its name is fresh, so an example can run again."""
    fresh = f"{name}-{os.getpid()}-{next(_numbers)}"
    settings = {key.replace("_", "."): str(value) for key, value in config.items()}
    for created in _admin.create_topics([NewTopic(fresh, partitions, config=settings)]).values():
        created.result(20)
    return fresh


class Sender:
    """An idempotent producer that fails loudly."""

    def __init__(self):
        self.producer = Producer({**ADDRESS, "enable.idempotence": True, "linger.ms": 2})

    def send(self, topic, value, key=None, headers=None):
        def delivered(error, _):
            if error:
                raise KafkaException(error)
        self.producer.produce(topic, value, key, headers=headers or [], on_delivery=delivered)
        self.producer.poll(0)

    def flush(self):
        left = self.producer.flush(30)
        assert left == 0, f"{left} records were not acknowledged"


class Reader:
    """A member of a group whose offsets are committed by hand: after the work, never before."""

    def __init__(self, group, *topics):
        self.consumer = Consumer({**ADDRESS, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                                  "session.timeout.ms": 6000, "heartbeat.interval.ms": 500})
        self.consumer.subscribe(list(topics))

    def read(self, seconds=1.0):
        """The next record, or None after so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.consumer.poll(0.1)
            if message is not None:
                if message.error():
                    raise KafkaException(message.error())
                return message
        return None

    def take(self, count, seconds=30):
        """Exactly so many records."""
        got, end = [], time.monotonic() + seconds
        while len(got) < count:
            message = self.read()
            if message is not None:
                got.append(message)
            assert time.monotonic() < end, f"{len(got)} of {count} records came in {seconds} s"
        return got

    def done(self, message):
        self.consumer.commit(message, asynchronous=False)

    def close(self):
        self.consumer.close()


def read_from(topic, partition, start):
    """Every record of a partition from an offset to its end now, outside any group."""
    consumer = Consumer({**ADDRESS, "group.id": "nobody", "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, start)])
    try:
        while True:
            message = consumer.poll(10)
            assert message is not None, "neither a record nor the end came in 10 s"
            if message.error():
                if message.error().name() == "_PARTITION_EOF":
                    return
                raise KafkaException(message.error())
            yield message
    finally:
        consumer.close()


def header(message, name, default=None):
    found = [value.decode() for key, value in message.headers() or [] if key == name]
    return found[-1] if found else default

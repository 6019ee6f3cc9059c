"""librdkafka through ctypes, as much of it as a chaos test needs: an idempotent producer with acks=all whose
every delivery report is kept with its time, and a reader that drains partitions. The library is the one kcat brings."""
import ctypes
import ctypes.util
import threading
import time

_lib = ctypes.CDLL(ctypes.util.find_library("rdkafka") or "librdkafka.so.1")
_PRODUCER, _CONSUMER = 0, 1
_MSG_F_COPY = 2
_PARTITION_EOF, _TIMED_OUT = -191, -185


class _Message(ctypes.Structure):
    _fields_ = [("err", ctypes.c_int), ("topic", ctypes.c_void_p), ("partition", ctypes.c_int32),
                ("payload", ctypes.c_void_p), ("len", ctypes.c_size_t), ("key", ctypes.c_void_p),
                ("key_len", ctypes.c_size_t), ("offset", ctypes.c_int64), ("private", ctypes.c_void_p)]


_DELIVERED = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_Message), ctypes.c_void_p)


def _declare(name, result, *arguments):
    function = getattr(_lib, "rd_kafka_" + name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_p, _s, _i = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_conf_new = _declare("conf_new", _p)
_conf_set = _declare("conf_set", _i, _p, _s, _s, _s, ctypes.c_size_t)
_conf_set_dr = _declare("conf_set_dr_msg_cb", None, _p, _DELIVERED)
_new = _declare("new", _p, _i, _p, _s, ctypes.c_size_t)
_destroy = _declare("destroy", None, _p)
_topic_new = _declare("topic_new", _p, _p, _s, _p)
_topic_destroy = _declare("topic_destroy", None, _p)
_produce = _declare("produce", _i, _p, ctypes.c_int32, _i, _s, ctypes.c_size_t, _p, ctypes.c_size_t, _p)
_poll = _declare("poll", _i, _p, _i)
_outq_len = _declare("outq_len", _i, _p)
_consume_start = _declare("consume_start", _i, _p, ctypes.c_int32, ctypes.c_int64)
_consume = _declare("consume", ctypes.POINTER(_Message), _p, ctypes.c_int32, _i)
_message_destroy = _declare("message_destroy", None, ctypes.POINTER(_Message))
_consume_stop = _declare("consume_stop", _i, _p, ctypes.c_int32)
_query_watermarks = _declare("query_watermark_offsets", _i, _p, _s, ctypes.c_int32, ctypes.POINTER(ctypes.c_int64),
                             ctypes.POINTER(ctypes.c_int64), _i)


def _client(kind, settings, delivered=None):
    conf, why = _conf_new(), ctypes.create_string_buffer(512)
    for name, value in settings.items():
        if _conf_set(conf, name.encode(), str(value).encode(), why, 512) != 0:
            raise ValueError(why.value.decode())
    if delivered:
        _conf_set_dr(conf, delivered)
    client = _new(kind, conf, why, 512)
    if not client:
        raise RuntimeError(why.value.decode())
    return client


class History:
    """What a producer was told: (number, time, error, offset) of each record "<name>-<number>"."""

    def __init__(self, topic, partition, name):
        self.topic, self.partition, self.name, self.reports = topic, partition, name, []

    def acked(self):
        return [r for r in self.reports if r[2] == 0]

    def wait_for_acks(self, more, patience):
        """Until `more` further records were acknowledged; False if that takes too long."""
        goal, end = len(self.reports) + more, time.monotonic() + patience
        while len(self.reports) < goal:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def longest_gap(self, begin, end):
        """The longest time without an acknowledgement that touches [begin, end]."""
        times = sorted(r[1] for r in self.acked())
        gaps = [(b - a) for a, b in zip(times, times[1:]) if b >= begin and a <= end]
        return max(gaps, default=float("inf"))


class Producer(History):
    """Sends "<name>-<number>" at a steady pace to one partition until stop()."""

    def __init__(self, bootstrap, topic, partition, name, interval=0.005, **settings):
        super().__init__(topic, partition, name)
        self.interval, self.sent = interval, 0
        self._stop = threading.Event()
        self._callback = _DELIVERED(self._delivered)
        self._client = _client(_PRODUCER, {
            "bootstrap.servers": bootstrap, "enable.idempotence": "true", "acks": "all", "linger.ms": 0,
            "message.timeout.ms": 120000, "log_level": 2, **settings}, self._callback)
        self._rkt = _topic_new(self._client, topic.encode(), None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _delivered(self, _client_pointer, message, _opaque):
        m = message.contents
        number = int(ctypes.string_at(m.payload, m.len).rsplit(b"-", 1)[1])
        self.reports.append((number, time.monotonic(), m.err, m.offset))

    def _run(self):
        due = time.monotonic()
        while not self._stop.is_set():
            value = f"{self.name}-{self.sent}".encode()
            if _produce(self._rkt, self.partition, _MSG_F_COPY, value, len(value), None, 0, None) == 0:
                self.sent += 1
            due = max(due + self.interval, time.monotonic() - 1)
            _poll(self._client, max(0, int((due - time.monotonic()) * 1000)))

    def stop(self, patience=60):
        """Waits for what is under way; how many records got no answer."""
        self._stop.set()
        self._thread.join()
        end = time.monotonic() + patience
        while _outq_len(self._client) > 0 and time.monotonic() < end:
            _poll(self._client, 100)
        left = _outq_len(self._client)
        _topic_destroy(self._rkt)
        _destroy(self._client) if left == 0 else None
        return left


def _end_now(client, topic, partition):
    """The high watermark; none while nobody says it."""
    low, high = ctypes.c_int64(), ctypes.c_int64()
    error = _query_watermarks(client, topic.encode(), partition, ctypes.byref(low), ctypes.byref(high), 2000)
    return high.value if error == 0 else None


def read_all(bootstrap, topic, partition, patience=60, **settings):
    """[(offset, value)] from the beginning to the end as it is now, also where producers go on."""
    client = _client(_CONSUMER, {"bootstrap.servers": bootstrap, "enable.partition.eof": "true", "log_level": 2,
                                 "group.id": "reader", "check.crcs": "true", **settings})
    rkt = _topic_new(client, topic.encode(), None)
    _consume_start(rkt, partition, -2)
    records, end, high = [], time.monotonic() + patience, None
    try:
        while time.monotonic() < end:
            if high is None:
                high = _end_now(client, topic, partition)
            elif records and records[-1][0] + 1 >= high:
                return records
            message = _consume(rkt, partition, 500)
            if not message:
                continue
            m = message.contents
            error = m.err
            if error == 0:
                records.append((m.offset, ctypes.string_at(m.payload, m.len).decode()))
            _message_destroy(message)
            if error == _PARTITION_EOF:
                return records
        raise TimeoutError(f"{topic}-{partition} was not read to its end in {patience} s")
    finally:
        _consume_stop(rkt, partition)
        _topic_destroy(rkt)
        _destroy(client)


def check_history(producers, records):
    """What is wrong with what was read, given what was acknowledged: lost, doubled, reordered, moved. Empty: nothing."""
    wrong, at, newest = [], {}, {}
    for offset, value in records:
        if value in at:
            wrong.append(f"duplicate: {value} at {at[value]} and {offset}")
        at[value] = offset
        name, number = value.rsplit("-", 1)
        if int(number) <= newest.get(name, -1):
            wrong.append(f"order: {value} at {offset} behind {name}-{newest[name]}")
        newest[name] = int(number)
    for producer in producers:
        for number, _, _, offset in producer.acked():
            value = f"{producer.name}-{number}"
            if value not in at:
                wrong.append(f"lost: {value}, acknowledged at {offset}")
            elif offset >= 0 and at[value] != offset:
                wrong.append(f"moved: {value}, acknowledged at {offset}, read at {at[value]}")
    return wrong

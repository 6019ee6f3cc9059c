"""As much of Kafka's protocol as the mirror's checks need: a record to each of many partitions at once."""
import socket
import struct

CRC32C = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    CRC32C.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def text(value):
    raw = value.encode()
    return struct.pack(">h", len(raw)) + raw


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value & ~0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def batch(value, timestamp_ms):
    """A record batch with one record that has no key."""
    record = b"\x00" + varint(0) + varint(0) + varint(-1) + varint(len(value)) + value + varint(0)
    body = struct.pack(">hiqqqhii", 0, 0, timestamp_ms, timestamp_ms, -1, -1, -1, 1) + varint(len(record)) + record
    return struct.pack(">qiibI", 0, len(body) + 9, -1, 2, crc32c(body)) + body


class Broker:
    def __init__(self, address, timeout=10):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.correlation = 0

    def read(self, size):
        parts = bytearray()
        while len(parts) < size:
            part = self.socket.recv(size - len(parts))
            if not part:
                raise ConnectionError("the broker closed the connection")
            parts += part
        return bytes(parts)

    def ask(self, key, version, body):
        self.correlation += 1
        frame = struct.pack(">hhi", key, version, self.correlation) + text("wire") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        answer = self.read(struct.unpack(">i", self.read(4))[0])
        return answer[4:]

    def produce(self, places, data, acks=-1):
        """`data` to each (topic, partition) of `places`; the error code of each."""
        topics = {}
        for topic, partition in places:
            topics.setdefault(topic, []).append(partition)
        body = struct.pack(">hhi", -1, acks, 10_000) + struct.pack(">i", len(topics))
        for topic, partitions in topics.items():
            body += text(topic) + struct.pack(">i", len(partitions))
            body += b"".join(struct.pack(">ii", partition, len(data)) + data for partition in partitions)
        answer, at, errors = self.ask(0, 3, body), 4, {}
        for _ in range(struct.unpack_from(">i", answer, 0)[0]):
            size = struct.unpack_from(">h", answer, at)[0]
            topic = answer[at + 2:at + 2 + size].decode()
            at += 2 + size
            count = struct.unpack_from(">i", answer, at)[0]
            at += 4
            for _ in range(count):
                partition, error = struct.unpack_from(">ih", answer, at)
                errors[topic, partition] = error
                at += 22
        return errors

    def coordinator(self, group):
        """The address of the group's coordinator."""
        answer = self.ask(10, 0, text(group))
        error, _, size = struct.unpack_from(">hih", answer, 0)
        if error:
            raise ConnectionError(f"no coordinator of {group}: {error}")
        return f"{answer[8:8 + size].decode()}:{struct.unpack_from('>i', answer, 8 + size)[0]}"

    def commit(self, group, offsets):
        """As a consumer that is on its own commits: {(topic, partition): offset}; the error code of each."""
        body = text(group) + struct.pack(">i", -1) + text("") + struct.pack(">qi", -1, len(offsets))
        for (topic, partition), offset in offsets.items():
            body += text(topic) + struct.pack(">iiq", 1, partition, offset) + text("")
        answer, at, errors = self.ask(8, 2, body), 4, {}
        for _ in range(struct.unpack_from(">i", answer, 0)[0]):
            size = struct.unpack_from(">h", answer, at)[0]
            topic = answer[at + 2:at + 2 + size].decode()
            at += 2 + size + 4
            partition, errors[topic] = struct.unpack_from(">ih", answer, at)
            errors[topic, partition] = errors.pop(topic)
            at += 6
        return errors

    def committed(self, group, places):
        """By place: the group's offset, -1 where it has none."""
        body = text(group) + struct.pack(">i", len(places))
        for topic, partition in places:
            body += text(topic) + struct.pack(">ii", 1, partition)
        answer, at, offsets = self.ask(9, 1, body), 4, {}
        for _ in range(struct.unpack_from(">i", answer, 0)[0]):
            size = struct.unpack_from(">h", answer, at)[0]
            topic = answer[at + 2:at + 2 + size].decode()
            at += 2 + size + 4
            partition, offset, size = struct.unpack_from(">iqh", answer, at)
            offsets[topic, partition] = offset
            at += 14 + max(0, size) + 2
        return offsets

    def delete_records(self, before):
        """{(topic, partition): offset}; the error code of each. Of the broker that leads them."""
        body = struct.pack(">i", len(before))
        for (topic, partition), offset in before.items():
            body += text(topic) + struct.pack(">iiq", 1, partition, offset)
        answer, at, errors = self.ask(21, 0, body + struct.pack(">i", 10_000)), 8, {}
        for _ in range(struct.unpack_from(">i", answer, 4)[0]):
            size = struct.unpack_from(">h", answer, at)[0]
            topic = answer[at + 2:at + 2 + size].decode()
            at += 2 + size + 4
            partition, _, error = struct.unpack_from(">iqh", answer, at)
            errors[topic, partition] = error
            at += 14
        return errors

    def end(self, topic, partition, timestamp=-1):
        """Where a log ends, or with -2 where it starts."""
        body = struct.pack(">ii", -1, 1) + text(topic) + struct.pack(">iiq", 1, partition, timestamp)
        answer = self.ask(2, 1, body)
        size = struct.unpack_from(">h", answer, 4)[0]
        _, error, _, offset = struct.unpack_from(">ihqq", answer, 10 + size)
        if error:
            raise ConnectionError(f"no end of {topic}-{partition}: {error}")
        return offset

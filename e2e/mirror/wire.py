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

"""Record batches of format 2, well made and badly made, and what a fetch returned."""

import gzip
import struct

POLYNOMIAL = 0x82F63B78
TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def blob(data):
    return varint(-1) if data is None else varint(len(data)) + data


def record(delta, key, value, headers=(), time_delta=0, attributes=0):
    body = struct.pack(">b", attributes) + varint(time_delta) + varint(delta) + blob(key) + blob(value)
    body += varint(len(headers)) + b"".join(blob(k) + blob(v) for k, v in headers)
    return varint(len(body)) + body


def batch(values=(b"value",), *, key=None, keys=None, base=0, time=1_000, producer=-1, epoch=-1, sequence=-1, attributes=0,
          magic=2, break_crc=False, count=None, last_delta=None, codec=None, raw=None, deltas=None, time_step=1, headers=(),
          max_time=None, leader_epoch=-1):
    """One batch. `values` may be empty; the named parts override what would be true."""
    n = len(values)
    payload = raw if raw is not None else b"".join(
        record(deltas[i] if deltas else i, keys[i] if keys else key, value, headers, i * time_step)
        for i, value in enumerate(values))
    if codec == "gzip":
        payload, attributes = gzip.compress(payload), attributes | 1
    after_crc = struct.pack(">hiqqqhii", attributes, n - 1 if last_delta is None else last_delta, time,
                            time + (n - 1) * time_step if max_time is None else max_time, producer, epoch, sequence,
                            n if count is None else count) + payload
    crc = crc32c(after_crc) ^ (1 if break_crc else 0)
    after_length = struct.pack(">ibI", leader_epoch, magic, crc) + after_crc
    return struct.pack(">qi", base, len(after_length)) + after_length


def legacy(magic=1, value=b"old"):
    """A message set of format 0 or 1."""
    import zlib
    body = struct.pack(">bb", magic, 0) + (struct.pack(">q", 1_000) if magic == 1 else b"")
    body += struct.pack(">i", -1) + struct.pack(">i", len(value)) + value
    message = struct.pack(">I", zlib.crc32(body)) + body
    return struct.pack(">qi", 0, len(message)) + message


def describe(data):
    """The batches in a fetch answer, as facts that can be compared."""
    found, at = [], 0
    while data and at + 12 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        if at + 12 + length > len(data):
            found.append("cut")
            break
        epoch, magic, crc = struct.unpack_from(">ibI", data, at + 12)
        fields = struct.unpack_from(">hiqqqhii", data, at + 21)
        found.append({
            "BaseOffset": base, "Length": length, "PartitionLeaderEpoch": epoch, "Magic": magic,
            "CrcIsRight": crc == crc32c(data[at + 21:at + 12 + length]), "Attributes": fields[0], "LastOffsetDelta": fields[1],
            "BaseTimestamp": fields[2], "MaxTimestamp": fields[3], "ProducerId": fields[4], "ProducerEpoch": fields[5],
            "BaseSequence": fields[6], "Count": fields[7]})
        at += 12 + length
    return found

#!/usr/bin/env python3
"""Every batch of a topic as it lies in a cluster: partition, first and last offset, epoch, checksum, digest of its bytes.

  batches.py HOST:PORT TOPIC PARTITIONS

Speaks ListOffsets 1 and Fetch 4, which every Kafka serves; the bytes are what the broker's file holds.
"""
import hashlib
import struct
import sys

import wire
from wire import text


class Broker(wire.Broker):
    def offset(self, topic, partition, which):
        body = struct.pack(">ii", -1, 1) + text(topic) + struct.pack(">iiq", 1, partition, which)
        answer = self.ask(2, 1, body)
        error, _, offset = struct.unpack_from(">hqq", answer, len(answer) - 18)
        if error:
            raise SystemExit(f"ListOffsets: error {error}")
        return offset

    def fetch(self, topic, partition, offset):
        body = struct.pack(">iiiib", -1, 500, 1, 1 << 24, 0) + struct.pack(">i", 1) + text(topic)
        body += struct.pack(">iiqi", 1, partition, offset, 1 << 22)
        answer = self.ask(1, 4, body)
        at = 4 + 4 + 2 + len(topic.encode()) + 4 + 4  # throttle, topics, name, partitions, index
        error, _, _, aborted = struct.unpack_from(">hqqi", answer, at)
        if error:
            raise SystemExit(f"Fetch of {topic}-{partition} at {offset}: error {error}")
        at += 22 + max(0, aborted) * 16
        size = struct.unpack_from(">i", answer, at)[0]
        return answer[at + 4:at + 4 + size]


def main():
    broker, topic = Broker(sys.argv[1]), sys.argv[2]
    for partition in range(int(sys.argv[3])):
        at, end = broker.offset(topic, partition, -2), broker.offset(topic, partition, -1)
        print(f"{topic}-{partition} from {at} to {end}")
        while at < end:
            data, position = broker.fetch(topic, partition, at), 0
            before = at
            while position + 61 <= len(data):
                base, length, epoch, _, crc, attributes, delta = struct.unpack_from(">qiibIhi", data, position)
                if position + 12 + length > len(data):
                    break
                batch = data[position:position + 12 + length]
                print(partition, base, base + delta, "epoch", epoch, f"crc {crc:08x} attributes {attributes:#x}",
                      hashlib.sha1(batch).hexdigest())
                position += 12 + length
                at = max(at, base + delta + 1)
            if at == before:
                break  # compaction left nothing up to the end


if __name__ == "__main__":
    main()

"""Crowds that ask for more memory than the broker at 127.0.0.1:PORT (process PID) has for requests: see bad_crowds.sh.

LIMIT is its socket.request.max.bytes, MEMORY its millrace.memory.limit in MiB.
"""

import socket
import struct
import sys
import time

PORT, PID, LIMIT, MEMORY = (int(word) for word in sys.argv[1:])
METADATA, API_VERSIONS = 3, 18
HEADER = struct.pack(">i", 7) + b"\xff\xff"  # correlation, no client id


def rss_mib():
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def dial():
    return socket.create_connection(("127.0.0.1", PORT), timeout=20)


def frame(key, version, rest=b""):
    payload = struct.pack(">hh", key, version) + HEADER + rest
    return struct.pack(">i", len(payload)) + payload


def exactly(peer, count):
    got = b""
    while len(got) < count:
        more = peer.recv(count - len(got))
        if not more:
            raise ConnectionError("closed")
        got += more
    return got


def calm(what):
    """Somebody who was there before is served at once, and memory is within its bounds."""
    began = time.monotonic()
    bystander.sendall(frame(API_VERSIONS, 0))
    exactly(bystander, struct.unpack(">i", exactly(bystander, 4))[0])
    took, mib = time.monotonic() - began, rss_mib()
    print(f"{what}: {mib:.0f} MiB resident, a bystander waited {took * 1000:.0f} ms")
    if took > 2:
        sys.exit(f"FAILED: {what}: a bystander waited {took:.1f} s")
    if mib > MEMORY:
        sys.exit(f"FAILED: {what}: {mib:.0f} MiB resident, {MEMORY} allowed")


def expect_end(what, peers):
    for peer in peers:
        try:
            if peer.recv(1) != b"":
                sys.exit(f"FAILED: {what}: an answer?")
        except ConnectionError:
            pass
        except TimeoutError:
            sys.exit(f"FAILED: {what}: a connection is kept")


bystander = dial()
calm("at first")

# Who asks for much again and again, and reads nothing of it: each answer says of 100,000 names that there is no such topic.
names = b"".join(b"\x00\x05" + b"%05d" % number for number in range(100_000))
request = frame(METADATA, 4, struct.pack(">i", 100_000) + names + b"\x00")
deaf = [dial() for _ in range(30)]
for peer in deaf:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(0.5)
    try:
        for _ in range(40):
            peer.sendall(request)
    except (TimeoutError, ConnectionError):
        pass
calm(f"{len(deaf)} peers that read nothing")
for peer in deaf:
    peer.close()

# Who announces large requests and sends a part.
half = [dial() for _ in range(300)]
for peer in half:
    try:
        peer.sendall(struct.pack(">i", LIMIT) + bytes([0, 0, 0, 7]) + HEADER + bytes(300_000))
    except (TimeoutError, ConnectionError):
        pass
    peer.settimeout(60)
calm(f"{len(half)} large requests that do not come")
expect_end("a large request that does not come", half)
calm("they are gone")

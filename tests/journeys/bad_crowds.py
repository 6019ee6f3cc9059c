"""Crowds that ask for more memory than the broker at 127.0.0.1:PORT (process PID) has for requests: see bad_crowds.sh.

CONTROL is the port of its controller listener.

LIMIT is its socket.request.max.bytes, MEMORY its millrace.memory.limit in MiB.
"""

import resource
import socket
import struct
import sys
import time

from wire import varint

PORT, CONTROL, PID, LIMIT, MEMORY = (int(word) for word in sys.argv[1:])
FETCH, METADATA, API_VERSIONS, ALTER_CONFIGS = 1, 3, 18, 33
TOPIC = b"here"  # exists, and is empty
HEADER = struct.pack(">i", 7) + b"\xff\xff"  # correlation, no client id


def mib_of(what):
    """VmRSS: resident now; VmHWM: at its highest."""
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what)) / 1024


def dial(port=PORT):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


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
    took, mib = time.monotonic() - began, mib_of("VmHWM")
    print(f"{what}: {mib_of('VmRSS'):.0f} MiB resident, {mib:.0f} at the highest, a bystander waited {took * 1000:.0f} ms")
    if took > 2:
        sys.exit(f"FAILED: {what}: a bystander waited {took:.1f} s")
    if mib > MEMORY:
        sys.exit(f"FAILED: {what}: {mib:.0f} MiB at the highest, {MEMORY} allowed")


def expect_end(what, peers):
    for peer in peers:
        try:
            if peer.recv(1) != b"":
                sys.exit(f"FAILED: {what}: an answer?")
        except ConnectionError:
            pass
        except TimeoutError:
            sys.exit(f"FAILED: {what}: a connection is kept")


def waiting_fetch(unknown=0, forgotten=0):
    """A fetch that waits for 24 days; so many partitions of it nobody knows, so many it takes back."""

    def topic(name, partitions):
        rest = struct.pack(">iqiqi", -1, 0, -1, -1, 1 << 20) + b"\0"
        each = b"".join(struct.pack(">i", number) + rest for number in range(partitions))
        return varint(len(name) + 1) + name + varint(partitions + 1) + each + b"\0"

    topics = b"\x03" + topic(TOPIC, 1) + topic(b"nowhere", unknown)
    body = struct.pack(">iiiibii", -1, 2**31 - 1, 2**31 - 1, 2**31 - 1, 0, 0, -1) + topics
    body += varint(forgotten + 1) + b"\x01\x01\x00" * forgotten + b"\x01\x00"
    return frame(FETCH, 12, b"\0" + body)


def crowd_of(count, request, port=PORT):
    peers = []
    for _ in range(count):
        peers.append(dial(port))
        peers[-1].settimeout(0.5)
        try:
            peers[-1].sendall(request)
        except (TimeoutError, ConnectionError):
            pass
    return peers


def answered(request, within):
    """Somebody with a large request of his own is served, though not at once."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            with dial() as peer:
                peer.sendall(request)
                exactly(peer, struct.unpack(">i", exactly(peer, 4))[0])
                return
        except (TimeoutError, ConnectionError):
            pass
    sys.exit(f"FAILED: a request of {len(request)} bytes was not served within {within} s")


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

# Whose requests become many times their bytes once they are decoded, and wait: the crowd is held to what there is, those
# who are let in end when others need it, and of those who left nothing stays.
for what, waiting in (
    ("partitions that nobody knows", waiting_fetch(unknown=8_000)),
    ("partitions taken back", waiting_fetch(forgotten=90_000)),
    ("small ones", waiting_fetch(unknown=200)),
):
    peers = crowd_of(150, waiting)
    calm(f"{len(peers)} fetches that wait, {what}")
    answered(request, 40)
    for peer in peers:
        peer.close()
    for _ in range(2):
        for peer in crowd_of(150, waiting):
            peer.close()
    calm(f"{2 * len(peers)} that went away, {what}")
    answered(request, 40)

# Whose requests to the controller become many times their bytes: settings of 900,000 resources that have no name.
nameless = b"\0" + varint(900_001) + b"\x02\x01\x01\0" * 900_000 + b"\0\0"
peers = crowd_of(60, frame(ALTER_CONFIGS, 2, nameless), CONTROL)
calm(f"{len(peers)} large requests to the controller")
for peer in peers:
    peer.settimeout(60)
expect_end("a large request to the controller", peers)
calm("they are gone")

# Who sends nearly all of requests that are not large: they cost nothing to begin.
resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
nearly = [dial() for _ in range(1200)]
for peer in nearly:
    peer.settimeout(0.2)
    try:
        peer.sendall(struct.pack(">i", 260_000) + bytes([0, 3, 0, 4]) + HEADER + bytes(255_000))
    except (TimeoutError, ConnectionError):
        pass
    peer.settimeout(60)
calm(f"{len(nearly)} requests that are nearly there")
expect_end("a request that is nearly there", nearly)
calm("they are gone")

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

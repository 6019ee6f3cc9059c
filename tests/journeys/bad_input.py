"""Speaks badly to the broker at 127.0.0.1:PORT (process PID, log at LOG) and looks at what that does to it. See bad_input.sh."""

import os
import pathlib
import re
import resource
import select
import socket
import struct
import subprocess
import sys
import time

PORT, PID, LOG = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
LIMIT = 1 << 20  # socket.request.max.bytes of this broker
PRODUCE, FETCH, METADATA, JOIN_GROUP, API_VERSIONS, CREATE_TOPICS = 0, 1, 3, 11, 18, 19


def rss_mib():
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def dial(timeout=10):
    return socket.create_connection(("127.0.0.1", PORT), timeout=timeout)


def header(key, version, correlation=7):
    return struct.pack(">hhih", key, version, correlation, -1)


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def is_closed(peer):
    """Whether the broker ends the connection without a word."""
    try:
        return peer.recv(1 << 16) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def exactly(peer, count):
    got = b""
    while len(got) < count:
        more = peer.recv(count - len(got))
        if not more:
            raise ConnectionError("closed")
        got += more
    return got


def ask(peer, payload):
    peer.sendall(frame(payload))
    (size,) = struct.unpack(">i", exactly(peer, 4))
    return exactly(peer, size)


def expect_reason(what, port):
    """The log says of the connection from that port why it was closed."""
    line = re.compile(rf"net\.connection_closed .*peer=127\.0\.0\.1:{port} reason=.+")
    end = time.monotonic() + 5
    while not line.search(LOG.read_text(errors="replace")):
        if time.monotonic() > end:
            sys.exit(f"FAILED: {what}: the log does not say why the connection was closed")
        select.select([], [], [], 0.02)


def expect_closed(what, *pieces):
    with dial() as peer:
        port = peer.getsockname()[1]
        for piece in pieces:
            try:
                peer.sendall(piece)
            except ConnectionError:
                break
        if not is_closed(peer):
            sys.exit(f"FAILED: {what}: the connection is still open")
    expect_reason(what, port)
    calm(what)


def calm(what):
    """A well-behaved client is served meanwhile, on a connection that it had before."""
    began = time.monotonic()
    ask(bystander, header(API_VERSIONS, 0))
    took = time.monotonic() - began
    if took > 2:
        sys.exit(f"FAILED: {what}: a bystander waited {took:.1f} s")
    if rss_mib() > start + 64:
        sys.exit(f"FAILED: {what}: {rss_mib():.0f} MiB resident, {start:.0f} before")


start = rss_mib()
bystander = dial()

# --- Frames
expect_closed("garbage", os.urandom(4096))
expect_closed("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
expect_closed("a TLS greeting", bytes.fromhex("16030100c8010000c40303") + os.urandom(190))
expect_closed("a negative length", struct.pack(">i", -5) + b"x" * 20)
expect_closed("a length of zero", struct.pack(">i", 0))
expect_closed("the largest length", struct.pack(">i", 2**31 - 1))
expect_closed("one byte over the limit", struct.pack(">i", LIMIT + 1))
expect_closed("half a header", frame(b"\x00\x12\x00"))
expect_closed("an API that is not", frame(header(999, 0)))
expect_closed("an API that only controllers serve", frame(header(62, 0)))

# --- Bodies
expect_closed("a count of two thousand million", frame(header(METADATA, 1) + struct.pack(">i", 2**31 - 1)))
expect_closed("a count that the bytes can't hold", frame(header(METADATA, 1) + struct.pack(">i", 1_000_000)))
expect_closed("a negative count where none is allowed", frame(header(CREATE_TOPICS, 2) + struct.pack(">i", -7)))
expect_closed("a string longer than its frame", frame(header(METADATA, 1) + struct.pack(">ih", 1, 30000) + b"short"))
expect_closed("a varint without end", frame(header(METADATA, 12) + b"\x00" + b"\xff" * 12))
expect_closed("a compact count of four thousand million", frame(header(METADATA, 12) + b"\x00" + b"\xff\xff\xff\xff\x0f"))
expect_closed("ten thousand million tags", frame(header(API_VERSIONS, 3) + b"\x00\x01\x01" + b"\xff\xff\xff\xff\x0f"))
expect_closed("records that claim more than there is", frame(
    header(PRODUCE, 7) + struct.pack(">hhii", -1, 1, 1000, 1) + struct.pack(">h", 1) + b"t" + struct.pack(">iii", 1, 0, 1 << 30)))

expect_closed("tags within tags that claim to be long", frame(
    header(API_VERSIONS, 3) + b"\x01\x00\x80\x80\x80\x80\x08" + b"\x02a\x02b\x01\x05\xff\xff\xff\xff\x07"))
expect_closed("a tag twice", frame(header(API_VERSIONS, 3) + b"\x00" + b"\x02a\x02b\x02\x50\x01x\x50\x01y"))

# --- Records of no known format: told to the producer, whose connection goes on.
for magic in (0, 1, 3, 127):
    batch = struct.pack(">qiiB", 0, 58, 0, magic) + os.urandom(53)
    body = struct.pack(">hhii", -1, 1, 1000, 1) + struct.pack(">h", 4) + b"calm" + struct.pack(">iii", 1, 0, len(batch)) + batch
    answer = ask(bystander, header(PRODUCE, 7) + body)
    (error,) = struct.unpack_from(">h", answer, 4 + 4 + 2 + 4 + 4 + 4)
    if error == 0:
        sys.exit(f"FAILED: a batch of magic {magic} was taken")
    calm(f"magic {magic}")

# --- A request and its second half that never comes
slow = [dial(timeout=20) for _ in range(50)]
for peer in slow:
    peer.sendall(struct.pack(">i", 500_000) + header(PRODUCE, 7))
silent = [dial(timeout=20) for _ in range(50)]
calm("50 half requests and 50 silent connections")
end = time.monotonic() + 8
for turn in range(40):  # a byte now and then does not help
    for peer in slow[:5]:
        try:
            peer.sendall(b"x")
        except OSError:
            pass
    if time.monotonic() > end:
        break
    select.select([], [], [], 0.1)
for peer in slow + silent:
    if not is_closed(peer):
        sys.exit("FAILED: a connection that says nothing, or not enough, is kept")
calm("slow peers are gone")

# --- Who asks and does not read the answers
deaf = dial()
deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
deaf.settimeout(1)
request = frame(header(API_VERSIONS, 0)) * 200
sent = 0
try:
    while sent < 64 << 20:
        sent += deaf.send(request)
except (TimeoutError, ConnectionError):
    pass
if sent >= 64 << 20:
    sys.exit("FAILED: a peer that reads no answer may ask for ever")
calm("a peer that does not read")
deaf.close()

# --- Thousands at once
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
wanted = 5000
if hard != resource.RLIM_INFINITY and hard < wanted + 200:
    wanted = max(500, hard - 200)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 200) if hard != resource.RLIM_INFINITY else wanted + 200, hard))
before = rss_mib()
crowd = []
for _ in range(wanted):
    peer = dial()
    peer.sendall(frame(header(API_VERSIONS, 0)))
    crowd.append(peer)
answered = 0
for peer in crowd:
    (size,) = struct.unpack(">i", exactly(peer, 4))
    exactly(peer, size)
    answered += 1
grown = rss_mib() - before
calm(f"{wanted} connections")
subprocess.run(["kcat", "-b", f"127.0.0.1:{PORT}", "-t", "calm", "-P"], input=b"during\n", check=True, timeout=20)
print(f"{answered} of {wanted} connections answered, {grown * 1024 / wanted:.1f} KiB resident for each; {rss_mib():.0f} MiB in all, {start:.0f} at the start")
if grown * 1024 / wanted > 16:
    sys.exit("FAILED: an idle connection costs more than 16 KiB")
for peer in crowd:
    peer.close()
calm("they are gone")

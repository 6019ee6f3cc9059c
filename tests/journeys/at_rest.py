"""Starts BROKER on empty directories below DIR and looks at it while nobody asks anything of it. See at_rest.sh.

What is held against the limits is processor time and memory, which others on the machine don't change; the time by the clock is told.
"""

import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import time

from free_ports import free_ports

BROKER, DIRECTORY = sys.argv[1], pathlib.Path(sys.argv[2])
STARTS, WINDOWS, WINDOW_SECONDS = 5, 3, 5
# At rest 0.1 % is what is wanted on a machine of its own; where others push its few turns out of the caches they cost more.
MOST_START_SECONDS, MOST_MIB, MOST_IDLE_SHARE = 0.150, 32, 0.002


def processor_seconds(pid):
    """Of all its threads, to the nanosecond: the clock of another process, as clock_getcpuclockid() names it."""
    return time.clock_gettime(~pid << 3 | 2)


def resident_mib(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def first_answer(port, end):
    """Asks for ApiVersions as soon as somebody listens; a broker answers once it serves."""
    request = struct.pack(">hhih", 18, 0, 7, -1)
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
                peer.sendall(struct.pack(">i", len(request)) + request)
                if len(peer.recv(8, socket.MSG_WAITALL)) == 8:
                    return
        except OSError:
            select.select([], [], [], 0.002)
    sys.exit("FAILED: no answer")


class Started:
    def __init__(self, name):
        port, controller, metrics, admin = free_ports(4)
        settings = [
            f"log.dirs={DIRECTORY / name}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "controller.listener.names=CONTROLLER",
            f"millrace.metrics.listener=127.0.0.1:{metrics}",
            f"millrace.admin.listener=127.0.0.1:{admin}",
        ]
        with open(DIRECTORY / f"{name}.log", "w") as log:
            began = time.monotonic()
            self.process = subprocess.Popen([BROKER, *(word for one in settings for word in ("--set", one))], stdout=log, stderr=log)
            first_answer(port, began + 30)
        self.seconds = time.monotonic() - began
        self.processor_seconds = processor_seconds(self.process.pid)

    def stop(self):
        self.process.terminate()
        if self.process.wait(timeout=30) != 0:
            sys.exit("FAILED: no clean stop")


starts = []
for number in range(STARTS):
    one = Started(f"start{number}")
    starts.append(one)
    if number + 1 < STARTS:
        one.stop()
pid = starts[-1].process.pid
shares = []
for _ in range(WINDOWS):
    before = processor_seconds(pid)
    began = time.monotonic()
    select.select([], [], [], WINDOW_SECONDS)  # what is measured is this time in which nothing happens
    shares.append((processor_seconds(pid) - before) / (time.monotonic() - began))
mib = resident_mib(pid)
starts[-1].stop()

burned = min(one.processor_seconds for one in starts)
print(
    f"first answer after {min(one.seconds for one in starts) * 1000:.0f} ms, {burned * 1000:.0f} ms of processor time; "
    f"at rest {mib:.1f} MiB and {min(shares) * 100:.3f} % of a processor"
)
if burned > MOST_START_SECONDS:
    sys.exit(f"FAILED: a start takes {burned * 1000:.0f} ms of processor time")
if mib > MOST_MIB:
    sys.exit(f"FAILED: {mib:.1f} MiB at rest")
if min(shares) > MOST_IDLE_SHARE:
    sys.exit(f"FAILED: {min(shares) * 100:.2f} % of a processor at rest")

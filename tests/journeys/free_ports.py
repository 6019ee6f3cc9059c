"""free_ports.py COUNT: ports of 127.0.0.1 that nobody has, and that nobody will get by chance.

What dials out gets a port from the kernel's range, and tests that run side by side ask for some at once: these are from below that range,
and are handed out in turn.
"""

import fcntl
import os
import pathlib
import socket
import sys
import tempfile

FIRST, END = 10240, 32000


def is_free(port):
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(count):
    ports = []
    with open(pathlib.Path(tempfile.gettempdir()) / f"millrace-ports-{os.getuid()}", "a+") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        turn.seek(0)
        port = int(turn.read() or FIRST)
        for _ in range(END - FIRST):
            port = port + 1 if FIRST <= port < END - 1 else FIRST
            if is_free(port):
                ports.append(port)
            if len(ports) == count:
                break
        else:
            sys.exit(f"free_ports: {len(ports)} of {count} ports between {FIRST} and {END} are free")
        turn.truncate(0)
        turn.write(str(port))
    return ports


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])))

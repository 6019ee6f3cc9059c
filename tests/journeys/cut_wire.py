#!/usr/bin/env python3
"""cut_wire.py PORT TO: a wire of our own: whoever connects to PORT speaks with TO. SIGUSR1 cuts every connection."""
import asyncio
import signal
import sys

port, to = map(int, sys.argv[1:3])
ends = set()


async def carry(reader, writer):
    ends.add(writer)
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # cut: the other end is told by the close below
    finally:
        ends.discard(writer)
        writer.close()


async def connected(reader, writer):
    try:
        there = await asyncio.open_connection("127.0.0.1", to)
    except OSError:
        writer.close()
        return
    await asyncio.gather(carry(reader, there[1]), carry(there[0], writer))


def cut():
    for end in list(ends):
        end.transport.abort()


async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, cut)
    await (await asyncio.start_server(connected, "127.0.0.1", port)).serve_forever()


asyncio.run(main())

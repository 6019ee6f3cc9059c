#!/usr/bin/env python3
"""Thousands of members of one group, in Kafka's bytes: all join at once, a tenth leaves while as many come, then quiet.

  group_storm.py PORT MEMBERS PROTOCOL SECONDS     PROTOCOL: classic or consumer; SECONDS of quiet in which nobody may be thrown out

Ends with 1 and the reason if a round takes too long, members disagree about the generation, or one is thrown out."""
import asyncio
import struct
import sys
import time

PORT, MEMBERS, PROTOCOL, QUIET = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
GROUP, TOPIC, PATIENCE, HEARTBEAT = f"storm-{PROTOCOL}", "storm", 120.0, 3.0
MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS = 79, 27


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def blob(value):
    return struct.pack(">i", len(value)) + value


def compact(value):
    return b"\0" if value is None else bytes([len(value) + 1]) + value.encode()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def raw(self, size):
        self.at += size
        return self.data[self.at - size : self.at]

    def text(self):
        size = self.take("h")
        return None if size < 0 else self.raw(size).decode()

    def blob(self):
        return self.raw(self.take("i"))

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def compact(self):
        size = self.varint()
        return None if size == 0 else self.raw(size - 1).decode()


class Link:
    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", PORT)
        return self

    async def ask(self, key, version, body, flexible=False):
        head = struct.pack(">hhi", key, version, 1) + text("storm") + (b"\0" if flexible else b"")
        self.writer.write(struct.pack(">i", len(head) + len(body)) + head + body)
        size, = struct.unpack(">i", await self.reader.readexactly(4))
        answer = Reader(await self.reader.readexactly(size))
        answer.raw(5 if flexible else 4)
        return answer

    def close(self):
        self.writer.close()


class Trouble(Exception):
    pass


class Classic:
    def __init__(self):
        self.member, self.generation, self.leaving = "", -1, False

    async def join(self):
        while True:
            answer = await self.link.ask(11, 5, text(GROUP) + struct.pack(">ii", 30000, 60000) + text(self.member) + text(None) +
                                         text("consumer") + struct.pack(">i", 1) + text("range") + blob(struct.pack(">hi", 0, 1) + text(TOPIC) + blob(b"")))
            answer.take("i")
            error, generation = answer.take("h"), answer.take("i")
            answer.text()
            leader, member = answer.text(), answer.text()
            if error == MEMBER_ID_REQUIRED:
                self.member = member
                continue
            if error == REBALANCE_IN_PROGRESS:
                continue
            if error:
                raise Trouble(f"join: error {error}")
            self.member = member
            given = b""
            members = []
            for _ in range(answer.take("i")):
                members.append(answer.text())
                answer.text()
                answer.blob()
            if leader == member:
                given = b"".join(text(one) + blob(struct.pack(">hii", 0, 0, -1)) for one in members)
            answer = await self.link.ask(14, 3, text(GROUP) + struct.pack(">i", generation) + text(member) + text(None) +
                                         struct.pack(">i", len(members) if given else 0) + given)
            answer.take("i")
            error = answer.take("h")
            if error == REBALANCE_IN_PROGRESS:
                continue
            if error:
                raise Trouble(f"sync: error {error}")
            self.generation = generation
            return

    async def beat(self):
        answer = await self.link.ask(12, 3, text(GROUP) + struct.pack(">i", self.generation) + text(self.member) + text(None))
        answer.take("i")
        error = answer.take("h")
        if error == REBALANCE_IN_PROGRESS:
            await self.join()
        elif error:
            raise Trouble(f"heartbeat: error {error}")

    async def leave(self):
        await self.link.ask(13, 3, text(GROUP) + struct.pack(">i", 1) + text(self.member) + text(None))


class Consumer:
    def __init__(self):
        self.member, self.generation, self.owned, self.new = "", 0, [], True

    async def heartbeat(self, epoch):
        owned = bytes([len(self.owned) + 1]) + b"".join(topic + self.array(parts) + b"\0" for topic, parts in self.owned)
        full = self.new or epoch < 0
        body = (compact(GROUP) + compact(self.member) + struct.pack(">i", epoch) + b"\0\0" + struct.pack(">i", 60000 if full else -1) +
                (b"\x02" + compact(TOPIC) if full else b"\0") + b"\0" + owned + b"\0")
        answer = await self.link.ask(68, 0, body, flexible=True)
        answer.take("i")
        error, message, member = answer.take("h"), answer.compact(), answer.compact()
        epoch = answer.take("i")
        answer.take("i")
        if error:
            raise Trouble(f"heartbeat: error {error} {message}")
        self.member, self.new = member or self.member, False
        if answer.take("b") >= 0:
            owned = []
            for _ in range(answer.varint() - 1):
                topic = answer.raw(16)
                owned.append((topic, [answer.take("i") for _ in range(answer.varint() - 1)]))
                answer.varint()
            self.owned = owned
        self.generation = epoch

    @staticmethod
    def array(parts):
        size, out = len(parts) + 1, b""
        while size >= 0x80:
            out += bytes([size & 0x7F | 0x80])
            size >>= 7
        return out + bytes([size]) + b"".join(struct.pack(">i", part) for part in parts)

    async def join(self):
        await self.heartbeat(0)

    async def beat(self):
        await self.heartbeat(self.generation)

    async def leave(self):
        await self.heartbeat(-1)


class Crowd:
    def __init__(self):
        self.members, self.tasks, self.trouble = {}, {}, []

    async def live(self, name, member):
        member.link = await Link().open()
        try:
            await member.join()
            self.members[name] = member
            while True:
                await asyncio.sleep(HEARTBEAT if PROTOCOL == "classic" else 1.0)
                await member.beat()
        except (Trouble, asyncio.IncompleteReadError, OSError) as why:
            self.trouble.append(f"{name}: {why!r}")

    def add(self, names):
        for name in names:
            self.tasks[name] = asyncio.create_task(self.live(name, Classic() if PROTOCOL == "classic" else Consumer()))

    async def remove(self, names):
        for name in names:
            self.tasks.pop(name).cancel()
        await asyncio.sleep(0)

        async def go(name):
            member = self.members.pop(name)
            member.link.close()  # Its last answer may still be on its way.
            member.link = await Link().open()
            await member.leave()
            member.link.close()

        for some in range(0, len(names), 200):
            await asyncio.gather(*(go(name) for name in names[some : some + 200]))

    def spread(self):
        """How many generations there are, and how many members are in none."""
        return len({member.generation for member in self.members.values()}), len(self.tasks) - len(self.members)

    async def settle(self, what):
        began = time.monotonic()
        while True:
            if self.trouble:
                raise SystemExit(f"{what}: {len(self.trouble)} in trouble: {self.trouble[:3]}")
            if self.spread() == (1, 0) and self.is_quiet():
                took = time.monotonic() - began
                print(f"{what}: {len(self.members)} members of one generation after {took:.1f} s", flush=True)
                return
            if time.monotonic() - began > PATIENCE:
                raise SystemExit(f"{what}: after {PATIENCE} s {self.spread()[0]} generations, {self.spread()[1]} members outside")
            await asyncio.sleep(0.1)

    def is_quiet(self):
        """A generation that nobody is about to leave: it has lasted for two heartbeats."""
        now, generation = time.monotonic(), next(iter(self.members.values())).generation
        if getattr(self, "seen", None) != generation:
            self.seen, self.since = generation, now
        return now - self.since > 2 * HEARTBEAT


async def find_coordinator():
    link = await Link().open()
    end = time.monotonic() + 30
    while (error := (await link.ask(10, 0, text(GROUP))).take("h")) != 0:
        if time.monotonic() > end:
            raise SystemExit(f"no coordinator: error {error}")
        await asyncio.sleep(0.1)
    # It may still have to load what it keeps.
    while (error := Reader((await link.ask(12, 0, text(GROUP) + struct.pack(">i", 1) + text("nobody"))).data[4:]).take("h")) in (14, 15, 16):
        if time.monotonic() > end:
            raise SystemExit(f"the coordinator does not load: error {error}")
        await asyncio.sleep(0.1)
    link.close()


async def main():
    await find_coordinator()
    crowd = Crowd()
    tenth = max(1, MEMBERS // 10)
    crowd.add(range(MEMBERS))
    await crowd.settle("all at once")
    for turn in range(2):
        leaving = list(crowd.members)[:tenth]
        crowd.add(range(MEMBERS + turn * tenth, MEMBERS + (turn + 1) * tenth))
        await crowd.remove(leaving)
        await crowd.settle("a tenth goes, a tenth comes")
    generation = next(iter(crowd.members.values())).generation
    await asyncio.sleep(QUIET)
    if crowd.trouble or crowd.spread() != (1, 0) or next(iter(crowd.members.values())).generation != generation:
        raise SystemExit(f"quiet: {crowd.trouble[:3]} {crowd.spread()}")
    print(f"quiet for {QUIET} s: nobody was thrown out", flush=True)
    await crowd.remove(list(crowd.members))


asyncio.run(main())

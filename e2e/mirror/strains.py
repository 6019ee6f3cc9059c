"""Moments of moments.py about what a mirror goes through: a full disk here, consumers that move over, a topic that is made anew at the wrong moment."""
import os
import pathlib
import signal
import subprocess
import time

import wire
from sides import Writer, dump, expect, moment, read_all, same, until


class Disk:
    """A small one of its own, where a broker of `world` will have its data; needs root."""

    def __init__(self, world, path, size):
        self.path = pathlib.Path(path)
        self.path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True)
        world.parts.insert(0, self)

    def fill(self, but):
        free = os.statvfs(self.path)
        with open(self.path / "filler", "ab") as filler:
            filler.write(bytes(max(0, free.f_bavail * free.f_bsize - but)))

    def free(self):
        (self.path / "filler").unlink()

    def close(self):
        subprocess.run(["umount", "-l", self.path], check=False)


class Reader:
    """A member of a group, as kcat is one: positions are committed now and then, and when it leaves. A signal has it drop a record that it was given, and
    commit it: in the middle of a flow it leaves after a number of records."""

    def __init__(self, world, side, group, topic, count=None):
        self.file = pathlib.Path(f"{world.work}/{group}-{time.monotonic_ns()}")
        self.process = subprocess.Popen(["kcat", "-b", side.address, "-G", group, "-X", "auto.offset.reset=earliest", "-q", "-u", "-f", "%s\n",
                                         *(["-c", str(count)] if count else []), topic],
                                        stdout=open(self.file, "w"), stderr=subprocess.DEVNULL)

    def values(self):
        return self.file.read_text().split("\n")[:-1]

    def wait(self):
        self.process.wait(30)
        return self.values()

    def leave(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def die(self):
        self.process.kill()
        self.process.wait()
        return self.values()


def filled(side, topic, megabytes):
    broker = wire.Broker(side.address, 20)
    for n in range(megabytes * 4):
        answer = broker.produce([(topic, n % 2)], wire.batch(os.urandom(125_000).hex().encode(), int(time.time() * 1000)))
        expect(set(answer.values()) == {0}, f"{topic} takes no record: {answer}")


@moment
def the_disk_here_is_full(world):
    """The destination's disk fills up while it copies, twice: with a reserve and without, and over a restart; with room again it goes on, and has the same."""
    if os.geteuid() != 0:
        return "not shown: no right to mount"
    east = world.ours("east")
    disk = Disk(world, f"{world.work}/west-1", "96m")
    west = world.ours("west", 1, "millrace.disk.reserve.bytes=16777216")
    east.topic("t", 2)
    filled(east, "t", 2)
    west.link(east)
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    for reserve in (16777216, 0):
        west.settings = (f"millrace.disk.reserve.bytes={reserve}",)
        west.kill(1)
        west.start(1)
        until(lambda: wire.Broker(west.address, 3), 30, "west answers")
        until(lambda: west.in_state("mirroring"), 40, "mirroring")
        disk.fill(reserve + 3_000_000)
        filled(east, "t", 8)
        behind = lambda: int(west.state().get("lag_records", west.state().get("lagRecords", 0)))
        until(lambda: behind() > 0, 20, "it is told that it is behind")
        time.sleep(3)
        lag = behind()
        expect(lag > 0, "it holds more than there is room for")
        here = dump(west.address, "t")
        expect(set(here) <= set(dump(east.address, "t")), "what is here is not the source's")
        west.kill(1)
        west.start(1)
        if reserve > 0:  # without one, not even a controller can be elected
            until(lambda: len(dump(west.address, "t")) >= len(here), 40, "a full disk is read after a restart")
        disk.free()
        until(lambda: same(east.address, west.address, "t"), 60, "level once there is room")
    until(lambda: west.in_state("mirroring"), 40, "mirroring at the end")
    return f"{lag} records waited for room"


@moment
def readers_move_over(world):
    """A group reads at the source and goes on at the mirror: after a planned promotion no record is skipped and none comes again, after a forced one none
    that the mirror has is skipped."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 3)
    places = [("t", p) for p in range(3)]
    writer = Writer(places, east, west)
    west.link(east)
    until(lambda: west.in_state("mirroring"), 30, "mirrored")
    before = Reader(world, east, "movers", "t", 300).wait()
    west.link(east, "PROMOTED")
    writer.wait_for(west, 200, 60)
    second = Reader(world, west, "movers", "t")
    writer.stop()
    wanted = {value for _, value in writer.all()}
    missing = lambda: sorted(wanted - set(before + second.values()))
    until(lambda: expect(not missing(), f"{len(missing())} of {len(wanted)} are not read: {missing()[:3]}") or True, 40, "all is read")
    after = second.leave()
    twice = set(before) & set(after)
    expect(not twice, f"{len(twice)} records were committed and came again: {sorted(twice)[:3]}")
    # The other way by force, in mid-reading and with the leader dead.
    east.link(west, truncate=True)
    until(lambda: same(west.address, east.address, "t"), 60, "the old primary follows")
    until(lambda: east.in_state("mirroring"), 30, "as a mirror")
    third = Reader(world, west, "movers", "t")
    again = Writer(places, west)
    again.wait_for(west, 500)
    until(lambda: len(third.values()) > 300, 30, "it reads")
    time.sleep(1)
    west.kill(1)
    again.stop()
    killed = third.die()
    east.link("127.0.0.1:%d" % west.port, "PROMOTED", "FORCED", truncate=True)
    late = Writer([("t", 0)], east)
    late.wait_for(east, 20, 60)
    late.stop()
    fourth = Reader(world, east, "movers", "t")
    here = {value for records in read_all(east.address, ["t"]).values() for _, value in records}
    read = lambda: set(before) | set(after) | set(killed) | set(fourth.values())
    until(lambda: here <= read(), 40, "all that the mirror has is read")
    fourth.leave()
    return f"{len(before)} and {len(after)} records without one twice; then {len(here)} with none skipped"


@moment
def made_anew_while_it_is_promoted(world):
    """The source's topic is deleted and made anew at the moment of the promotion, five times: what was mirrored stays, and nothing of the new one is in it."""
    east, west = world.ours("east"), world.ours("west")
    for n in range(5):
        topic = f"t{n}"
        east.topic(topic, 2)
        writer = Writer([(topic, p) for p in range(2)], east)
        writer.wait_for(east, 100)
        writer.stop()
        west.link(east, name=topic, topics=(topic,))
        until(lambda: same(east.address, west.address, topic), 30, "level")
        stood = dump(west.address, topic)
        if n % 2:
            west.link(east, "PROMOTED", name=topic, topics=(topic,))
        time.sleep(0.05 * n)
        east.call("DeleteTopics", {"topics": [{"name": topic}]})
        east.topic(topic, 2)
        if not n % 2:
            west.link(east, "PROMOTED", name=topic, topics=(topic,))
        anew = Writer([(topic, p) for p in range(2)], east)
        time.sleep(1)
        after = Writer([(topic, 0)], west)
        after.wait_for(west, 10, 60)
        after.stop()
        anew.stop()
        taken = {value for _, value in anew.all()}
        here = dump(west.address, topic)
        expect(set(stood) <= set(here), f"{topic}: what was mirrored is gone")
        mixed = [line for line in here if line.rsplit(" ", 1)[1] in taken]
        expect(not mixed, f"{topic}: records of another incarnation: {mixed[:3]}")
    return "five topics, each with what it had"


@moment
def the_destination_grows_and_loses_one(world):
    """Three brokers more join here while it mirrors; replicas move to them, leaders too; a new one is killed and comes back, then an old one."""
    east, west = world.ours("east"), world.ours("west", 3)
    east.topic("t", 6)
    west.link(east)
    until(lambda: west.in_state("mirroring"), 40, "mirrored")
    writer = Writer([("t", p) for p in range(6)], east)
    writer.wait_for(east, 200)
    for n in (4, 5, 6):
        west.join(n)
    writer.wait_for(east, 200)
    west.move("t", {p: [4 + p % 3, 4 + (p + 1) % 3, 1 + p % 3] for p in range(6)})
    until(lambda: west.call("ElectLeaders", {}) and all(west.leader_of("t", p) >= 4 for p in range(6)), 90, "the new ones lead")
    writer.wait_for(east, 200)
    west.kill(5)
    writer.wait_for(east, 200)
    writer.stop()
    until(lambda: same(east.address, west.address, "t"), 60, "level without a new one")
    west.join(5)
    again = Writer([("t", p) for p in range(6)], east)
    again.wait_for(east, 200)
    west.kill(2)
    again.wait_for(east, 200)
    west.start(2)
    again.stop()
    until(lambda: same(east.address, west.address, "t"), 60, "level with all of them")
    until(lambda: west.in_state("mirroring"), 60, "mirroring")
    return f"{len(writer.all()) + len(again.all())} records"

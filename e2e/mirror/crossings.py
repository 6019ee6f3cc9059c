"""Moments of moments.py in which two wishes cross: two links of one cluster on one topic, both sides told to follow at once, a promotion that is wished
again while it is taken back, a link or a mirror that is made anew over the fence of its past."""
import threading
import time

import wire
from sides import Writer, expect, expect_kept, missing, moment, same, until


def is_mirrored(west, name="link"):
    return lambda: west.in_state("mirroring", name)


def takes_writes(side, topic):
    return set(wire.Broker(side.address).produce([(topic, 0)], wire.batch(b"asked", int(time.time() * 1000))).values()) == {0}


def told_of(side, link):
    return sum(int(one.get("to", 0)) - int(one.get("from", 0)) for one in side.state(link).get("gaps", []))


@moment
def a_second_link_of_the_cluster_takes_its_promotion_back(world):
    """A topic is mirrored under its own name and under a prefix, by two links of one cluster, and both are promoted as planned. The second is set back: the
    source stays fenced, as the first one takes writes in its place, until that is set back as well."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 2)
    writer = Writer([("t", p) for p in range(2)], east, west)
    other = {"name": "prefixed", "naming": "LINK_NAMING_PREFIX", "alias": "e"}
    west.link(east, name="same")
    west.link(east, **other)
    for link in ("same", "prefixed"):
        until(is_mirrored(west, link), 30, f"{link} is mirrored")
    writer.wait_for(east, 50)
    west.link(east, "PROMOTED", name="same")
    until(lambda: west.in_state("promoted", "same"), 30, "promoted")
    west.link(east, "PROMOTED", **other)
    until(lambda: west.in_state("promoted", "prefixed"), 30, "promoted, too")
    west.link(east, truncate=True, **other)
    until(is_mirrored(west, "prefixed"), 30, "a mirror again")
    expect(not takes_writes(east, "t"), "the source takes writes beside the mirror that was promoted over it")
    writer.wait_for(west, 50)
    writer.stop()
    expect_kept(writer.all(), west.address, ["t"])
    west.link(east, truncate=True, name="same")
    until(is_mirrored(west, "same"), 30, "mirrored again")
    until(lambda: takes_writes(east, "t"), 20, "nobody wants the fence any more")
    return f"{len(writer.all())} records"


@moment
def both_sides_are_set_back_at_once(world):
    """After a split brain each side is told, at the same moment, to follow the other one: no record is cut on both."""
    notes = []
    for n in range(5):
        east, west = world.ours(f"east{n}"), world.ours(f"west{n}")
        east.topic("t", 2)
        first = Writer([("t", p) for p in range(2)], east)
        west.link(east, name="there")
        until(is_mirrored(west, "there"), 30, "mirrored")
        first.wait_for(east, 50)
        first.stop()
        until(lambda: same(east.address, west.address, "t"), 30, "level")
        west.link(east, "PROMOTED", "FORCED", name="there")
        until(lambda: west.in_state("promoted", "there"), 30, "promoted")
        adopts = n % 2 == 1  # the one side has no link yet
        if not adopts:
            east.link(west, truncate=True, name="back")
            until(is_mirrored(east, "back"), 30, "the old primary follows")
            until(lambda: same(east.address, west.address, "t"), 30, "level")
            east.link(west, "PROMOTED", "FORCED", name="back")
            until(lambda: east.in_state("promoted", "back"), 30, "promoted")
        tails = {side: Writer([("t", p) for p in range(2)], side) for side in (east, west)}
        for side, writer in tails.items():
            writer.wait_for(side, 40)
        for writer in tails.values():
            writer.stop()
        edits = [threading.Thread(target=one.link, args=(other,), kwargs={"truncate": True, "name": name})
                 for one, other, name in ((east, west, "back"), (west, east, "there"))]
        for edit in edits:
            edit.start()
        for edit in edits:
            edit.join()
        time.sleep(7)  # a look at the source and more
        kept = {side.name: [name for name, at in (("east", east), ("west", west)) if not missing(writer.all(), at.address, ["t"])[0]]
                for side, writer in tails.items()}
        expect(all(kept.values()) or len([one for one in kept.values() if one]) == 1 and any(len(one) == 2 for one in kept.values()),
               f"where the tail of each side is: {kept}")
        notes.append("+".join(name for name, places in kept.items() if places))
        for side in (east, west):
            side.close()
    return f"whose records were left: {', '.join(notes)}"


@moment
def a_hundred_and_fifty_partitions_are_cut_twice(world):
    """Each partition of a large topic has a tail of its own on the side that follows again, two times over: every one of them is told."""
    east, west = world.ours("east"), world.ours("west", 3)
    places = [("t", p) for p in range(150)]
    east.topic("t", len(places))
    west.link(east)
    until(is_mirrored(west), 30, "mirrored")
    for turn in (1, 2):
        west.link(east, "PROMOTED", "FORCED")
        until(lambda: west.in_state("promoted"), 60, "promoted")
        for side, count in ((east, 1), (west, 2)):
            left = set(places)
            def written():
                for address in side.addresses:
                    answers = wire.Broker(address).produce(sorted(left), wire.batch(f"{side.name}-{turn}".encode() * count, int(time.time() * 1000)))
                    left.difference_update({place for place, error in answers.items() if error == 0})
                return not left
            until(written, 30, f"{side.name} has a record in each partition")
        west.link(east, truncate=True)
        until(is_mirrored(west), 60, "follows again")
        until(lambda: same(east.address, west.address, "t"), 60, "level")
        entries = [one.split(":") for one in west.setting("t", "millrace.mirror.losses").split(",")]
        told = sum(int(one[3]) - int(one[2]) for one in entries)
        expect(told == turn * len(places), f"{turn * len(places)} records were cut, {told} are told")
    return f"{told} records"


@moment
def wished_again_while_it_is_taken_back(world):
    """A switchover that has long happened is taken back and wished again 0 to 1.8 s later: the source never takes writes beside the mirror, nothing that
    it acknowledged is lost, and what gives way here is told."""
    east, west = world.ours("east"), world.ours("west")
    given_up = []
    for n in range(10):
        topic, link = f"t{n}", f"link{n}"
        east.topic(topic, 2)
        writer = Writer([(topic, p) for p in range(2)], east, west)
        west.link(east, topics=[topic], name=link)
        until(is_mirrored(west, link), 30, "mirrored")
        writer.wait_for(east, 30)
        west.link(east, "PROMOTED", topics=[topic], name=link)
        writer.wait_for(west, 30)
        west.link(east, truncate=True, topics=[topic], name=link)
        time.sleep(n * 0.2)
        west.link(east, "PROMOTED", topics=[topic], name=link)
        until(lambda: west.in_state("promoted", link), 30, "promoted")
        writer.wait_for(west, 30, 60)
        writer.stop()
        expect(takes_writes(west, topic) and not takes_writes(east, topic), "one side takes writes, and that is the mirror")
        lost, twice = missing(writer.all(), west.address, [topic])
        expect(not twice and not [one for one in lost if one in writer.acknowledged[east]], f"lost {lost[:3]}, twice {twice[:3]}")
        expect(len(lost) <= told_of(west, link), f"{len(lost)} gave way, {told_of(west, link)} are told")
        given_up.append(len(lost))
    return f"records of the mirror that gave way: {', '.join(map(str, given_up))}"


@moment
def made_anew_over_a_fence_of_its_own(world):
    """After a planned promotion the link is deleted, or the mirror's topic, and the link is told to follow again: the fence of before goes."""
    east, west = world.ours("east"), world.ours("west")
    for what in ("link", "topic"):
        name = f"t{what}"
        east.topic(name, 2)
        writer = Writer([(name, p) for p in range(2)], east, west)
        west.link(east, topics=[name], name=what)
        until(is_mirrored(west, what), 30, "mirrored")
        writer.wait_for(east, 30)
        west.link(east, "PROMOTED", topics=[name], name=what)
        writer.wait_for(west, 30)
        if what == "link":
            west.call("DeleteLink", {"name": what, "topics": "TOPICS_KEEP_READ_ONLY"})
        else:
            west.call("DeleteTopics", {"topics": [{"name": name}]})
        west.link(east, truncate=True, topics=[name], name=what, sync={"configs_interval_ms": 2000})
        until(is_mirrored(west, what), 60, "follows again")
        writer.wait_for(east, 30, 30)
        writer.stop()
        until(lambda: same(east.address, west.address, name), 30, "level")
    return "with a link, and with a topic, that was made anew"

"""Moments of moments.py in which two wishes cross: two links of one cluster on one topic, a link or a mirror that is made anew over the fence of its past."""
import time

import wire
from sides import Writer, expect, expect_kept, moment, same, until


def is_mirrored(west, name="link"):
    return lambda: west.in_state("mirroring", name)


def takes_writes(side, topic):
    return set(wire.Broker(side.address).produce([(topic, 0)], wire.batch(b"asked", int(time.time() * 1000))).values()) == {0}


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

"""Moments of moments.py in which somebody pulls the ground away: topics made anew behind a paused link, records deleted before they were copied, clusters in
a ring, the opposite link set up too early, the one who looks after a link gone at the wrong moment."""
import json
import os
import pathlib
import signal
import subprocess
import time

import wire
from sides import PORT, Writer, dump, expect, expect_kept, missing, moment, same, until


def is_mirrored(side, name="link"):
    return lambda: side.in_state("mirroring", name)


def written(side, count, places=(("t", 0),)):
    writer = Writer(list(places), side)
    writer.wait_for(side, count)
    writer.stop()
    return writer.all()


def gaps_of(side, name="link"):
    return sorted((int(one["partition"].get("partition", 0)), int(one.get("from", 0)), int(one.get("to", 0)), one.get("truncated", False))
                  for one in side.state(name).get("gaps", []))


def takes_no_records(side, topic="t"):
    errors = wire.Broker(side.address).produce([(topic, 0)], wire.batch(b"early", int(time.time() * 1000)))
    return set(errors.values()) != {0}


@moment
def made_anew_behind_a_paused_link(world):
    """While the link is paused, and once more while the destination is down, the topic is deleted and made anew at the source, with more records than
    before: not one of them gets into the old mirror."""
    for how in ("paused", "down"):
        source, west = (world.kafka() if how == "paused" else world.ours("east")), world.ours(f"west-{how}")
        source.topic("t", 1)
        written(source, 100)
        west.link(source)
        until(is_mirrored(west), 40, "mirrored")
        until(lambda: same(source.address, west.address, "t"), 30, "level")
        before = dump(west.address, "t")
        if how == "paused":
            west.link(source, "PAUSED")
            until(lambda: west.in_state("paused"), 20, "paused")
            source.run("cli", "topics", "--bootstrap-server", source.address, "--delete", "--topic", "t")
        else:
            west.kill(1)
            source.call("DeleteTopics", {"topics": [{"name": "t"}]})
        time.sleep(1)
        source.topic("t", 1)
        written(source, 300)
        if how == "paused":
            west.link(source)
        else:
            west.start(1)
            until(lambda: wire.Broker(west.address, 3), 30, "it is back")
        until(lambda: west.in_state("halted"), 40, "halted")
        expect(dump(west.address, "t") == before, "two incarnations are mixed")
        west.link(source, policy={"on_source_topic_recreated": "REACTION_ARCHIVE_AND_RESTART"})
        until(lambda: same(source.address, west.address, "t"), 60, "archived and copied from the start")
        expect(len(dump(west.address, "t.archived.1")) == len(before), "the archive is not what was there")
    return "behind a paused link of Apache Kafka, and while the destination was down"


@moment
def deleted_before_it_was_copied(world):
    """The source deletes what a paused mirror has not got, in one partition half of it and in another all: the gap is told exactly, the rest arrives, and
    where nothing is left the mirror still ends where the source does."""
    kafka, west = world.kafka(), world.ours("west")
    kafka.topic("t", 2)
    places = [("t", 0), ("t", 1)]
    first = written(kafka, 100, places)
    west.link(kafka)
    until(is_mirrored(west), 40, "mirrored")
    until(lambda: same(kafka.address, west.address, "t"), 30, "level")
    west.link(kafka, "PAUSED")
    until(lambda: west.in_state("paused"), 20, "paused")
    ours = [wire.Broker(west.address).end("t", p) for p in range(2)]
    second = written(kafka, 300, places)
    theirs = [wire.Broker(kafka.address).end("t", p) for p in range(2)]
    cut = [ours[0] + 60, theirs[1]]
    errors = wire.Broker(kafka.address).delete_records({("t", p): cut[p] for p in range(2)})
    expect(set(errors.values()) == {0}, f"{errors}")
    west.link(kafka)
    until(lambda: [wire.Broker(west.address).end("t", p) for p in range(2)] == theirs, 40, "the mirror ends where the source does")
    until(lambda: gaps_of(west) == [(p, ours[p], cut[p], False) for p in range(2)], 20, f"the gaps are told: {gaps_of(west)}")
    until(lambda: [wire.Broker(west.address).end("t", p, -2) for p in range(2)] == cut, 20, "the mirror begins where the source does")
    expect(same(kafka.address, west.address, "t"), "the sides differ")
    west.link(kafka, "PROMOTED", "FORCED")
    until(lambda: west.in_state("promoted"), 30, "promoted")
    report = west.state().get("last_failover", west.state().get("lastFailover", {}))
    after = Writer(places, west)
    after.wait_for(west, 20)
    after.stop()
    expect([wire.Broker(west.address).end("t", p, -2) for p in range(2)] == cut, "the promoted topic begins elsewhere")
    expect(min(int(line.split(" ")[1]) for line in dump(west.address, "t") if line.startswith("1 ")) == theirs[1], "an offset of the source was used again")
    expect(int(report.get("lost_records_at_most", report.get("lostRecordsAtMost", 0))) == 0, f"the report says {report}")
    return f"{len(first) + len(second)} records, {cut[0] - ours[0]} and {cut[1] - ours[1]} of them gone before they were copied"


@moment
def the_way_back_set_up_before_the_failover(world):
    """The opposite link is there before anybody needs it. It does nothing to the primary while that leads; after the planned switchover the old primary
    follows by itself, and takes over again."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 2)
    writer = Writer([("t", 0), ("t", 1)], east, west)
    west.link(east, name="there")
    until(is_mirrored(west, "there"), 40, "mirrored")
    east.link(west, truncate=True, name="back")
    writer.wait_for(east, 300)
    expect(not is_mirrored(east, "back")(), "the primary follows its own mirror")
    west.link(east, "PROMOTED", name="there")
    writer.wait_for(west, 100, 60)
    until(is_mirrored(east, "back"), 60, f"the old primary follows by itself: {east.state('back')}")
    east.link(west, "PROMOTED", name="back")
    writer.wait_for(east, 100, 60)
    west.link(east, "MIRRORING", truncate=True, name="there")
    until(is_mirrored(west, "there"), 60, "and the standby follows again")
    writer.stop()
    until(lambda: same(east.address, west.address, "t"), 40, "level")
    expect_kept(writer.all(), west.address, ["t"])
    expect(not gaps_of(west, "there") and not gaps_of(east, "back"), "a switchover cut something")
    return f"{len(writer.all())} records"


@moment
def three_in_a_row_lose_the_first(world):
    """South follows west follows east. East dies, west takes over by force and south goes on. East comes back: behind south, whose records came through
    west from east, it is refused as a loop, and nothing of it is touched; behind west it follows. Then south takes over by plan, and both follow it."""
    east, west, south = world.ours("east"), world.ours("west"), world.ours("south")
    east.topic("t", 2)
    first = Writer([("t", 0), ("t", 1)], east)
    west.link(east, name="one")
    south.link(west, name="two")
    until(is_mirrored(south, "two"), 60, "the third has it")
    first.wait_for(east, 200)
    first.stop()
    until(lambda: same(east.address, south.address, "t"), 40, "level")
    east.kill(1)
    west.link(east, "PROMOTED", "FORCED", name="one")
    second = Writer([("t", 0), ("t", 1)], west, south)
    second.wait_for(west, 100, 60)
    until(is_mirrored(south, "two"), 60, "the third goes on")
    east.start(1)
    until(lambda: wire.Broker(east.address, 3), 30, "east is back")
    before = dump(east.address, "t")
    east.link(south, truncate=True, name="three")
    until(lambda: east.in_state("halted", "three"), 30, f"refused: {east.state('three')}")
    expect(dump(east.address, "t") == before, "what is refused was changed")
    east.call("DeleteLink", {"name": "three", "topics": "TOPICS_KEEP_READ_ONLY"})
    east.link(west, truncate=True, name="four")
    until(is_mirrored(east, "four"), 60, f"east follows west: {east.state('four')}")
    second.wait_for(west, 50)
    south.link(west, "PROMOTED", name="two")
    second.wait_for(south, 100, 60)
    west.link(south, truncate=True, name="five")
    west.call("DeleteLink", {"name": "one", "topics": "TOPICS_KEEP_READ_ONLY"})  # what it promoted is the other link's to take over
    until(is_mirrored(west, "five"), 60, f"west follows south: {west.state('five')}")
    until(is_mirrored(east, "four"), 60, f"east follows west: {east.state('four')}")
    second.wait_for(south, 50)
    second.stop()
    for side in (west, east):
        until(lambda: same(south.address, side.address, "t"), 60, "all three are the same")
    expect_kept(first.all() + second.all(), east.address, ["t"])
    return f"{len(first.all()) + len(second.all())} records"


@moment
def the_true_source_is_back_behind_its_address(world):
    """Another cluster answers at the source's address for a while, then the true one again: the link goes on by itself."""
    port = PORT + 180
    east, west = world.ours("east", port=port), world.ours("west")
    east.topic("t", 1)
    first = written(east, 100)
    west.link(east)
    until(is_mirrored(west), 30, "mirrored")
    east.kill(1)
    other = world.ours("other", port=port)
    until(lambda: west.state().get("reason") == "ClusterIdMismatch", 90, "another cluster is noticed")
    other.kill(1)
    east.start(1)
    until(lambda: wire.Broker(east.address, 3), 30, "it is back")
    second = written(east, 100)
    until(lambda: same(east.address, west.address, "t"), 60, f"the link goes on: {west.state()}")
    until(is_mirrored(west), 30, "mirroring")
    expect_kept(first + second, west.address, ["t"])
    return f"{len(first) + len(second)} records"


@moment
def deleted_by_clients_at_the_mirror(world):
    """Clients of the destination try what only the owner of a topic may: to delete its records, to add partitions, to change its settings. The mirror stays
    what the source is."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 1)
    first = written(east, 200)
    west.link(east)
    until(is_mirrored(west), 30, "mirrored")
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    errors = wire.Broker(west.address).delete_records({("t", 0): 50})
    expect(set(errors.values()) != {0}, "records of a mirror were deleted")
    west.call("CreatePartitions", {"topics": [{"name": "t", "total": 3}]})  # its answer says that it is refused
    expect(west.topics()["t"] == 1, "a mirror has got partitions that its source lacks")
    second = written(east, 50)
    until(lambda: same(east.address, west.address, "t"), 30, "level again")
    expect_kept(first + second, west.address, ["t"])
    return f"{len(first) + len(second)} records"


@moment
def the_one_who_looks_after_it_is_gone_when_it_is_deleted(world):
    """A planned promotion is under way, the broker that looks after the link dies, and the link is deleted: the source is not left fenced."""
    east, west = world.ours("east"), world.ours("west", 3)
    for n in range(3):
        topic, link = f"t{n}", f"link{n}"
        east.topic(topic, 3)
        writer = Writer([(topic, p) for p in range(3)], east)
        slowly = {"limits": {"bytes_per_second": 500}}
        west.link(east, topics=[topic], name=link, **slowly)
        until(lambda: west.in_state("mirroring", link) or west.in_state("catching_up", link), 40, "mirrored")
        writer.wait_for(east, 300)
        west.link(east, "PROMOTED", topics=[topic], name=link, **slowly)
        until(lambda: any("mirror.source_fenced" in west.log(k) and f'{topic}' in west.log(k) for k in (1, 2, 3)), 20, "fenced")
        runner = next(k for k in (1, 2, 3) if any("mirror.source_fenced" in line and topic in line for line in west.log(k).splitlines()))
        west.kill(runner)
        until(lambda: west.call("DeleteLink", {"name": link, "topics": "TOPICS_KEEP_READ_ONLY"}) is not None, 30, "deleted")
        have = len(writer.acknowledged[east])
        try:
            until(lambda: len(writer.acknowledged[east]) > have + 50, 40, "the source takes records again")
        finally:
            west.start(runner)
            writer.stop()
    return "3 links deleted in mid-promotion, each without its runner"


@moment
def five_hundred_topics_promoted(world):
    """A link of five hundred topics under a writer: planned, with nothing lost; then back."""
    east, west = world.ours("east"), world.ours("west")
    east.call("CreateTopics", {"topics": [{"name": f"t{n}", "partitions": 2} for n in range(500)]})
    places = [(f"t{n}", n % 2) for n in range(0, 500, 25)]
    writer = Writer(places, east, west)
    west.link(east)
    until(lambda: west.in_state("mirroring") and len(west.topics()) == 500, 90, "all are mirrored")
    writer.wait_for(east, 200)
    start = time.monotonic()
    west.link(east, "PROMOTED")
    until(lambda: west.in_state("promoted"), 60, f"all are promoted: {west.state().get('topics_by_state', west.state().get('topicsByState'))}")
    took = time.monotonic() - start
    writer.wait_for(west, 200, 60)
    writer.stop()
    lost, twice = missing(writer.all(), west.address, sorted({topic for topic, _ in places}))
    expect(not lost and not twice, f"lost {lost[:3]}, twice {twice[:3]}")
    return f"{len(writer.all())} records, promoted in {took:.1f} s"


@moment
def everything_both_ways_with_prefixes(world):
    """Active-active by the shortest wish: each side takes everything of the other one. Each has the other's topics once, neither its own again, and both
    links are well."""
    east, west = world.ours("east"), world.ours("west")
    for side in (east, west):
        side.topic("t", 1)
        written(side, 50)
    west.link(east, topics=["*"], naming="LINK_NAMING_PREFIX", alias="e", name="from-east")
    east.link(west, topics=["*"], naming="LINK_NAMING_PREFIX", alias="w", name="from-west")
    until(is_mirrored(west, "from-east"), 40, f"west has east's: {west.state('from-east')}")
    until(is_mirrored(east, "from-west"), 40, f"east has west's: {east.state('from-west')}")
    time.sleep(7)  # a look at the source and more
    for side, name in ((west, "from-east"), (east, "from-west")):
        until(is_mirrored(side, name), 1, f"it is well: {side.state(name)}")
        expect("came from this cluster" in side.state(name).get("message", ""), f"nothing is said of what is left out: {side.state(name)}")
    expect(set(west.topics()) == {"t", "e.t"} and set(east.topics()) == {"t", "w.t"}, f"{west.topics()} and {east.topics()}")
    expect(same(east.address, west.address, "t", "e.t") and same(west.address, east.address, "t", "w.t"), "the sides differ")
    return "each has the other's topics once"


def failed_back(world, east, west, writer, before_back, **there):
    """East was lost after west had taken over; it follows anew, takes over, and west follows it again by the usual edits."""
    east.link(west, truncate=True, name="back")
    until(is_mirrored(east, "back"), 60, f"the old primary has it again: {east.state('back')}")
    east.link(west, "PROMOTED", truncate=True, name="back")
    writer.wait_for(east, 100, 60)
    west.link(east, "MIRRORING", truncate=True, name="there", **there)
    until(is_mirrored(west, "there"), 40, f"the standby follows again: {west.state('there')}")
    writer.wait_for(east, 50)
    writer.stop()
    until(lambda: same(east.address, west.address, "t"), 40, "level")
    expect_kept(before_back + writer.all(), west.address, ["t"])
    expect(not gaps_of(west, "there"), f"something was cut: {gaps_of(west, 'there')}")


@moment
def the_topic_was_deleted_at_the_old_primary(world):
    """After the failover somebody deletes the topic at the old primary, to begin anew. The way back makes it there again, under another id: the standby
    knows it for the copy of its own, and follows."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 2)
    first = written(east, 100, [("t", 0), ("t", 1)])
    west.link(east, name="there")
    until(is_mirrored(west, "there"), 40, "mirrored")
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    west.link(east, "PROMOTED", "FORCED", name="there")
    until(lambda: west.in_state("promoted", "there"), 30, "promoted")
    east.call("DeleteTopics", {"topics": [{"name": "t"}]})
    writer = Writer([("t", 0), ("t", 1)], west, east)
    writer.wait_for(west, 100)
    failed_back(world, east, west, writer, first)
    return f"{len(first) + len(writer.all())} records"


@moment
def the_old_primary_is_rebuilt_from_nothing(world):
    """The primary burns down. Another cluster takes its place, at its address, with nothing: it follows, takes over, and the standby, told whom to expect
    now, follows it. Before it is told, it appends nothing."""
    port = PORT + 180
    east, west = world.ours("east", port=port), world.ours("west")
    east.topic("t", 2)
    first = written(east, 100, [("t", 0), ("t", 1)])
    west.link(east, name="there")
    until(is_mirrored(west, "there"), 40, "mirrored")
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    east.kill(1)
    west.link(east, "PROMOTED", "FORCED", name="there")
    until(lambda: west.in_state("promoted", "there"), 30, "promoted")
    other = world.ours("other", port=port)
    writer = Writer([("t", 0), ("t", 1)], west, other)
    writer.wait_for(west, 100)
    west.link(other, "PROMOTED", "FORCED", name="there")
    until(lambda: west.state("there").get("reason") == "ClusterIdMismatch", 40, f"another cluster is noticed: {west.state('there')}")
    failed_back(world, other, west, writer, first, source_more={"expected_cluster_id": other.cluster_id})
    return f"{len(first) + len(writer.all())} records"


@moment
def what_was_written_apart_on_a_rebuilt_primary_cuts_nothing(world):
    """As above, but somebody has made a topic of that name on the new cluster and written to it, more than the standby has. The standby is told to follow it
    all the same: it halts, and not a record of it is cut."""
    port = PORT + 180
    east, west = world.ours("east", port=port), world.ours("west")
    east.topic("t", 1)
    first = written(east, 100)
    west.link(east, name="there")
    until(is_mirrored(west, "there"), 40, "mirrored")
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    east.kill(1)
    west.link(east, "PROMOTED", "FORCED", name="there")
    until(lambda: west.in_state("promoted", "there"), 30, "promoted")
    second = written(west, 50)
    before = dump(west.address, "t")
    other = world.ours("other", port=port)
    other.topic("t", 1)
    written(other, 400)
    west.link(other, "MIRRORING", truncate=True, name="there", source_more={"expected_cluster_id": other.cluster_id})
    until(lambda: west.in_state("halted", "there"), 40, f"halted: {west.state('there')}")
    expect(dump(west.address, "t") == before, "what is here was changed")
    west.link(other, "PROMOTED", "FORCED", name="there", source_more={"expected_cluster_id": other.cluster_id})
    until(lambda: west.in_state("promoted", "there"), 30, "promoted again")
    third = written(west, 50)
    expect_kept(first + second + third, west.address, ["t"])
    return f"{len(first + second + third)} records kept"


@moment
def promoted_by_force_from_a_paused_link(world):
    """The link is paused with all that was there, another one behind; the source dies, and both are promoted by force: the reports say what is known to be
    lost, nothing of the first and exactly what was seen of the second."""
    east, west = world.ours("east"), world.ours("west")
    for topic in ("t", "u"):
        east.topic(topic, 1)
    first = written(east, 100)
    west.link(east, topics=["t"])
    until(is_mirrored(west), 40, "mirrored")
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    time.sleep(1)  # an answer that has nothing new
    west.link(east, "PAUSED", topics=["t"])
    until(lambda: west.in_state("paused"), 20, "paused")
    written(east, 3000, [("u", 0)])
    slowly = {"limits": {"bytes_per_second": 4000}}
    west.link(east, topics=["u"], name="slow", **slowly)
    until(lambda: "u" in west.topics() and len(dump(west.address, "u")) > 0, 30, "some of it is here")
    east.kill(1)
    for link, topic in (("link", "t"), ("slow", "u")):
        west.link(east, "PROMOTED", "FORCED", topics=[topic], name=link, **slowly)
        until(lambda: west.in_state("promoted", link), 30, "promoted")
    lost = {}
    for link in ("link", "slow"):
        report = west.state(link).get("last_failover", west.state(link).get("lastFailover", {}))
        lost[link] = int(report.get("lost_records_at_most", report.get("lostRecordsAtMost", 0)))
    have = wire.Broker(west.address).end("u", 0)
    expect(lost["link"] == -1, f"nobody knows what the paused one lacks, and it reports {lost['link']}")
    expect(lost["slow"] >= 3000 - have and lost["slow"] > 0, f"the slow one reports {lost['slow']}, and has {have} of more than 3000")
    expect_kept(first, west.address, ["t"])
    return f"{lost['slow']} of the slow one are known to be lost, {have} are here"


@moment
def an_empty_partition_keeps_its_place(world):
    """The source has deleted all that a partition had before it was mirrored. The destination is killed and started, the source is dead for good: the promoted
    topic goes on where the source's ended, and a group that is there misses nothing."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 1)
    written(east, 100)
    end = wire.Broker(east.address).end("t", 0)
    wire.Broker(east.address).delete_records({("t", 0): end})
    west.link(east)
    until(is_mirrored(west), 40, "mirrored")
    until(lambda: wire.Broker(west.address).end("t", 0) == end, 30, "the mirror ends where the source does")
    east.kill(1)
    west.kill(1)
    west.start(1)
    until(lambda: wire.Broker(west.address, 3), 30, "it is back")
    west.link(east, "PROMOTED", "FORCED")
    until(lambda: west.in_state("promoted"), 30, "promoted")
    after = written(west, 20)
    first = min(int(line.split(" ")[1]) for line in dump(west.address, "t"))
    expect(first == end, f"new records begin at {first}, the source's ended at {end}")
    return f"{len(after)} records behind {end}"


@moment
def a_limit_that_is_edited_while_it_holds(world):
    """A link so narrow that it would take minutes is widened, and narrowed and widened again, with a backlog behind it: each edit holds at once."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 4)
    done = written(east, 3000, [("t", p) for p in range(4)])
    for n, limit in enumerate((1000, 0, 1000, 0)):
        more = {"limits": {"bytes_per_second": limit}} if limit else {}
        if n == 2:
            west.link(east, **more)
            done += written(east, 2000, [("t", p) for p in range(4)])
        west.link(east, **more)
        if limit:
            time.sleep(4)
            expect(not same(east.address, west.address, "t"), "the limit is not felt")
        else:
            until(lambda: same(east.address, west.address, "t"), 15, "level once it is wide")
    expect_kept(done, west.address, ["t"])
    return f"{len(done)} records"


@moment
def kafka_elects_who_was_left_behind(world):
    """An unclean election at Apache Kafka: what only the dead leader had was mirrored, and goes, told and kept aside; what is written in its place comes.
    A group that had read it stands no further than the mirror reaches."""
    kafka = world.kafka("replica.lag.time.max.ms=2000", "unclean.leader.election.enable=true", "broker.session.timeout.ms=4000",
                        "unclean.leader.election.interval.ms=1000", nodes=3)
    west = world.ours("west", port=PORT + 40)
    kafka.run("cli", "topics", "--bootstrap-server", kafka.address, "--create", "--topic", "t", "--replica-assignment", "2:3", "--config",
              "unclean.leader.election.enable=true", "--config", "min.insync.replicas=1")

    def put(first, last):
        done = subprocess.run(f"seq {first} {last} | timeout 30 kcat -b {kafka.address} -t t -p 0 -P -X acks=1 -X batch.num.messages=5", shell=True)
        expect(done.returncode == 0, "records are taken")

    def leads(node):
        done = subprocess.run(["timeout", "5", "kcat", "-b", kafka.address, "-L", "-J", "-t", "t"], capture_output=True, text=True)
        return json.loads(done.stdout)["topics"][0]["partitions"][0]["leader"] == node

    put(1, 100)
    west.link(kafka)
    until(is_mirrored(west), 60, "mirrored")
    until(lambda: same(kafka.address, west.address, "t"), 30, "level")
    os.kill(kafka.process_of(3), signal.SIGSTOP)
    put(101, 150)
    until(lambda: len(dump(west.address, "t")) == 150, 30, "what the leader has alone is mirrored")
    group = lambda address: wire.Broker(wire.Broker(address).coordinator("g"))
    until(lambda: set(group(kafka.address).commit("g", {("t", 0): 150}).values()) == {0}, 20, "the group has read it all")
    until(lambda: group(west.address).committed("g", [("t", 0)])["t", 0] == 150, 30, "the position is copied")
    os.kill(kafka.process_of(2), signal.SIGKILL)
    time.sleep(1)
    os.kill(kafka.process_of(3), signal.SIGCONT)
    until(lambda: leads(3), 60, "who was left behind leads")
    put(1001, 1020)
    until(lambda: same(kafka.address, west.address, "t"), 60, "level again")
    common = len(dump(west.address, "t")) - 20
    expect(gaps_of(west) == [(0, common, 150, True)], f"{150 - common} were cut, told: {gaps_of(west)}")
    expect(list(pathlib.Path(world.work).rglob("*.diverged.quarantined")), "what was cut is not kept")
    until(lambda: group(west.address).committed("g", [("t", 0)])["t", 0] == common + 20, 20, "the position is where the mirror ends")
    return f"{150 - common} records were cut, told and kept"

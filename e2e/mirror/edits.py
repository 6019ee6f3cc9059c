"""Edits of a link that runs: each is felt by what is already under way, not only by what begins later."""
import subprocess
import sys
import time

import wire
from groups import position
from sides import HERE, PORT, Broken, Writer, dump, expect, moment, same, until


class Wire:
    """A wire of our own to somebody who listens elsewhere: it can be gone."""

    def __init__(self, world, port, to):
        self.words = [sys.executable, str(HERE.parents[1] / "tests/journeys/cut_wire.py"), str(port), str(to)]
        self.process = None
        world.parts.append(self)
        self.lay()

    def lay(self):
        self.process = subprocess.Popen(self.words)

    def close(self):
        self.process.kill()
        self.process.wait()


def begun(world, topics=1, partitions=2):
    """Two clusters of ours, and topics at the first."""
    east, west = world.ours("east"), world.ours("west")
    for n in range(topics):
        east.topic(f"t{n or ''}", partitions)
    return east, west


def connections_to(port):
    """Established ones, whose ever they are."""
    wanted = f":{port:04X}"
    with open("/proc/net/tcp") as table:
        return sum(line.split()[2].endswith(wanted) and line.split()[3] == "01" for line in table.readlines()[1:])


def commit(address, group, topic, count):
    subprocess.run(["timeout", "20", "kcat", "-b", address, "-G", group, "-X", "auto.offset.reset=earliest", "-q", "-c", str(count), topic],
                   stdout=subprocess.DEVNULL, check=False)


def produced(side, topic, partition, records, size):
    broker = wire.Broker(side.address, 20)
    for n in range(records):
        answer = broker.produce([(topic, partition)], wire.batch(bytes([65 + n % 26]) * size, int(time.time() * 1000)))
        expect(set(answer.values()) == {0}, f"{topic}-{partition} takes no record: {answer}")


@moment
def groups_are_copied_more_often(world):
    """The interval of groups was an hour; shortened, it does not have to pass first."""
    east, west = begun(world, partitions=1)
    west.link(east, groups={"include": ["*"], "interval_ms": 3_600_000})
    writer = Writer([("t", 0)], east)
    writer.wait_for(east, 100)
    writer.stop()
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    commit(east.address, "readers", "t", 50)
    west.link(east, groups={"include": ["*"], "interval_ms": 500})
    until(lambda: position(west, "readers") == 50, 15, "the group's offsets are here")
    return "within seconds of the edit"


@moment
def connections_are_more_and_fewer(world):
    """A backlog is under way when the link gets more connections, and fewer."""
    east, west = begun(world, partitions=8)
    for partition in range(8):
        produced(east, "t", partition, 24, 900_000)
    limits = lambda count, rate=12_000_000: {"limits": {"bytes_per_second": rate, "connections_per_broker": count}}
    west.link(east, **limits(1))
    until(lambda: west.in_state("catching_up"), 30, "copying")
    few = lambda: connections_to(east.port)
    counts = []
    time.sleep(3)
    counts.append(few())
    west.link(east, **limits(6))
    until(lambda: few() > counts[0] + 2, 10, f"more than {counts[0]} connections")
    counts.append(few())
    west.link(east, **limits(1))
    until(lambda: few() <= counts[0], 10, f"{counts[0]} connections again")
    expect(not same(east.address, west.address, "t"), "it was over too soon: nothing was shown")
    west.link(east, **limits(6, 0))
    until(lambda: same(east.address, west.address, "t"), 60, "level")
    return f"{counts[0]}, {counts[1]}, {few()} connections"


@moment
def names_stay(world):
    """Mirrors carry the link's naming: another one is refused while there are mirrors, and nothing has changed."""
    east, west = begun(world)
    writer = Writer([("t", 0)], east)
    west.link(east, naming="LINK_NAMING_PREFIX", alias="east")
    until(lambda: west.in_state("mirroring"), 30, "mirrored")
    for other in ({"naming": "LINK_NAMING_PREFIX", "alias": "other"}, {"naming": "LINK_NAMING_IDENTITY"}):
        spec = {"name": "link", "source": {"bootstrap_servers": east.bootstrap}, "topics": {"include": ["t*"]}, **other}
        try:
            west.call("ApplyLink", {"link": spec})
        except Broken as error:
            expect("naming" in str(error), f"refused for another reason: {error}")
        else:
            raise Broken(f"taken: {other}")
    writer.wait_for(east, 50)
    writer.stop()
    until(lambda: same(east.address, west.address, "t", "east.t"), 20, "still mirrored")
    expect(set(west.topics()) == {"east.t"}, f"topics {west.topics()}")
    return "two other names were refused"


@moment
def leaders_out_of_reach(world):
    """The source answers at its first address, but not where its leaders are: the link tells it, and what a failover would lose grows."""
    port = PORT + 55
    east = world.ours("east", 1, f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}")
    west = world.ours("west")
    line = Wire(world, port, east.port)
    east.topic("t", 2)
    writer = Writer([("t", p) for p in range(2)], east)
    west.link(east)
    until(lambda: west.in_state("mirroring"), 30, "mirrored")
    line.close()
    writer.wait_for(east, 200)
    rpo = lambda: int(west.state().get("rpo_ms", west.state().get("rpoMs", 0)))
    until(lambda: rpo() > 10_000, 60, "what would be lost grows")
    until(lambda: west.in_state("source_unavailable"), 60, "it is told")
    said = west.state()
    line.lay()
    writer.wait_for(east, 100)
    writer.stop()
    until(lambda: west.in_state("mirroring"), 60, "mirroring again")
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    until(lambda: rpo() < 2000, 20, "nothing would be lost")
    return f"told: {said.get('message') or said.get('reason')}, {said.get('worst_topics', said.get('worstTopics'))}"


@moment
def addresses_that_are_none(world):
    """Addresses that can't be read are told until they can be, whatever else is edited."""
    east, west = begun(world)
    west.link("nowhere")
    until(lambda: west.state().get("reason") == "BadBootstrapServers", 20, "told")
    west.link("nowhere", topics=("t*", "u*"))
    time.sleep(3)
    expect(west.state().get("reason") == "BadBootstrapServers", f"after another edit: {west.state()}")
    west.link(east)
    produced(east, "t", 0, 3, 100)
    until(lambda: same(east.address, west.address, "t"), 30, "mirrored")
    return "told before and after"


@moment
def topics_are_excluded_and_included(world):
    """A topic that is excluded while it is mirrored stays as it is, a mirror; included again it goes on."""
    east, west = begun(world, topics=2)
    written = lambda count: [produced(east, topic, 0, count, 100) for topic in ("t", "t1")]
    by_state = lambda: west.state().get("topics_by_state", west.state().get("topicsByState"))
    west.link(east)
    until(lambda: west.in_state("mirroring"), 30, "mirrored")
    written(50)
    until(lambda: same(east.address, west.address, "t1"), 20, "level")
    west.link(east, topics_more={"exclude": ["t1"]})
    until(lambda: by_state() == {"mirroring": 1, "paused": 1}, 15, "one is paused")
    stood = dump(west.address, "t1")
    written(20)
    until(lambda: same(east.address, west.address, "t"), 20, "the other goes on")
    expect(dump(west.address, "t1") == stood, "what is excluded was mirrored on")
    state = west.state()
    expect(state.get("topics_as_wished", state.get("topicsAsWished")) == 2, f"not as wished: {state}")
    west.link(east, "PROMOTED", topics_more={"exclude": ["t1"]})
    until(lambda: by_state() == {"promoted": 1, "paused": 1}, 30, "the other is promoted alone")
    expect(east.setting("t1", "millrace.fenced") != "true", "the source of what is excluded is fenced")
    west.link(east, "MIRRORING", truncate=True)
    until(lambda: west.in_state("mirroring"), 30, "both mirror again")
    until(lambda: same(east.address, west.address, "t") and same(east.address, west.address, "t1"), 30, "level")
    return f"{len(stood)} records stood still"


@moment
def mirrors_that_begin_late(world):
    """startFrom: Latest: a mirror begins at the end of its source, with whatever comes after."""
    east, west = begun(world)
    produced(east, "t", 0, 20, 100)
    west.link(east, topics_more={"start_from": "START_FROM_LATEST"})
    until(lambda: "t" in west.topics(), 30, "begun")
    until(lambda: west.in_state("mirroring"), 30, "mirrored")
    produced(east, "t", 0, 5, 100)
    until(lambda: [line.split(" ")[1] for line in dump(west.address, "t")] == ["20", "21", "22", "23", "24"], 20, "what came after, at its offsets")
    return "5 of 25 records"


@moment
def another_identity_is_expected(world):
    """Who expects another cluster than the one that is followed is told that this is not it."""
    east, west = begun(world)
    produced(east, "t", 0, 3, 100)
    west.link(east)
    until(lambda: west.in_state("mirroring"), 30, "mirrored")
    west.link(east, source_more={"expected_cluster_id": "somebody-else"})
    until(lambda: west.state().get("reason") == "ClusterIdMismatch", 20, "told")
    stood = dump(west.address, "t")
    produced(east, "t", 0, 3, 100)
    time.sleep(2)
    expect(dump(west.address, "t") == stood, "it is mirrored all the same")
    west.link(east, source_more={"expected_cluster_id": east.cluster_id})
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    return "told, and mended by another edit"


@moment
def settings_are_compared_more_often(world):
    """The interval of settings was an hour; shortened, it does not have to pass first."""
    east, west = begun(world)
    west.link(east, sync={"configs_interval_ms": 3_600_000})
    until(lambda: "t" in west.topics(), 30, "begun")
    time.sleep(6)
    east.call("AlterConfigs", {"resources": [{"resource": {"type": "CONFIG_RESOURCE_TYPE_TOPIC", "name": "t"},
                                             "alterations": [{"key": "retention.ms", "op": "OP_SET", "value": "7777777"}]}]})
    west.link(east, sync={"configs_interval_ms": 1000})
    until(lambda: west.setting("t", "retention.ms") == "7777777", 20, "the setting is here")
    return "within seconds of the edit"

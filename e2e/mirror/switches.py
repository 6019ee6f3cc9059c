"""Moments of moments.py in which roles change: switchovers and failbacks while somebody dies, deletes, takes back what was asked for, or was never
who he seemed to be."""
import pathlib
import random
import subprocess
import time

import wire
from sides import PORT, Writer, dump, expect, expect_kept, moment, read_all, same, until


def is_mirrored(west, name="link"):
    return lambda: west.in_state("mirroring", name)


@moment
def leader_killed_between_fence_and_seal(world):
    """A broker of the destination is killed some milliseconds after the edit: before the fence, between fence and seal, after it. Nine times."""
    east, west = world.ours("east"), world.ours("west", 3)
    rounds = 9
    for n in range(rounds):
        topic, link = f"t{n}", f"link{n}"
        east.topic(topic, 6)
        writer = Writer([(topic, p) for p in range(6)], east, west)
        west.link(east, topics=[topic], name=link)
        until(is_mirrored(west, link), 60, f"{topic} is mirrored")
        writer.wait_for(east, 50)
        west.link(east, "PROMOTED", topics=[topic], name=link)
        time.sleep(0.02 * n)
        victim = west.leader_of(topic, n % 6) if n % 2 else 1 + n % 3
        west.kill(max(1, victim))
        writer.wait_for(west, 60, 90)
        west.start(max(1, victim))
        until(lambda: west.in_state("promoted", link), 60, f"{topic} is promoted")
        writer.stop()
        expect_kept(writer.all(), west.address, [topic])
        until(lambda: sorted(west.sealed_epochs(topic)) == list(range(6)), 30, "every partition is sealed")
    return f"{rounds} switchovers, a broker killed 0 to {20 * (rounds - 1)} ms after each edit"


@moment
def source_controller_killed_during_the_drain(world):
    """Each broker of the source is killed once, right before or right after the edit; the fence comes through, or is asked for again."""
    east, west = world.ours("east", 3), world.ours("west")
    count = 0
    for n in range(6):
        topic, link, victim = f"t{n}", f"link{n}", 1 + n % 3
        east.topic(topic, 3)
        writer = Writer([(topic, p) for p in range(3)], east, west)
        west.link(east, topics=[topic], name=link)
        until(is_mirrored(west, link), 60, f"{topic} is mirrored")
        writer.wait_for(east, 50)
        if n < 3:
            east.kill(victim)
            west.link(east, "PROMOTED", topics=[topic], name=link)
        else:
            west.link(east, "PROMOTED", topics=[topic], name=link)
            time.sleep(random.random() / 10)
            east.kill(victim)
        writer.wait_for(west, 60, 90)
        east.start(victim)
        until(lambda: west.in_state("promoted", link), 60, f"{topic} is promoted")
        writer.stop()
        expect_kept(writer.all(), west.address, [topic])
        count += len(writer.all())
        until(lambda: east.setting(topic, "millrace.fenced") == "true", 30, "the source is fenced")
    return f"{count} records in 6 switchovers"


@moment
def failback_under_writers(world):
    """There and back, and there again, with a producer that never rests: whoever is promoted goes on where the other one ended."""
    east, west = world.ours("east"), world.ours("west", 3)
    east.topic("t", 4)
    writer = Writer([("t", p) for p in range(4)], east, west)
    west.link(east, name="there")
    until(is_mirrored(west, "there"), 40, "mirrored")
    writer.wait_for(east, 100)
    turns = 0
    west.link(east, "PROMOTED", name="there")
    writer.wait_for(west, 200, 60)
    east.link(west, truncate=True, name="back")
    for _ in range(3):
        until(is_mirrored(east, "back"), 60, "the old primary follows under writes")
        east.link(west, "PROMOTED", name="back")
        writer.wait_for(east, 100, 60)
        west.link(east, "MIRRORING", truncate=True, name="there")
        until(is_mirrored(west, "there"), 60, "the standby follows again")
        writer.wait_for(east, 100, 60)
        west.link(east, "PROMOTED", name="there")
        writer.wait_for(west, 100, 60)
        east.link(west, "MIRRORING", truncate=True, name="back")
        turns += 2
    until(is_mirrored(east, "back"), 60, "the old primary follows")
    writer.stop()
    until(lambda: same(east.address, west.address, "t"), 40, "both sides are the same")
    expect_kept(writer.all(), west.address, ["t"])
    expect(not west.state("there").get("gaps") and not east.state("back").get("gaps"), "a switchover cut something")
    return f"{len(writer.all())} records, {turns + 1} switchovers"


@moment
def split_brain_and_healed(world):
    """Both sides are promoted by force, two times over, and both take records; then one follows the other: the winner's records are all there, and
    what the loser had alone is told and kept aside."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 2)
    first = Writer([("t", p) for p in range(2)], east)
    west.link(east, name="there")
    until(is_mirrored(west, "there"), 40, "mirrored")
    first.wait_for(east, 100)
    first.stop()
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    common = len(dump(east.address, "t"))
    cut = 0
    for winner, loser, link, back in ((west, east, "there", "back"), (east, west, "back", "there")):
        winner.link(loser, "PROMOTED", "FORCED", name=link)
        until(lambda: winner.in_state("promoted", link), 30, "promoted by force")
        winners, losers = Writer([("t", p) for p in range(2)], winner), Writer([("t", p) for p in range(2)], loser)
        winners.wait_for(winner, 150)
        losers.wait_for(loser, 90)
        winner.link(loser, "PROMOTED", "FORCED", name=link)  # once more changes nothing
        winners.wait_for(winner, 20)
        winners.stop()
        losers.stop()
        loser.link(winner, "MIRRORING", truncate=True, name=back)
        until(is_mirrored(loser, back), 60, "the loser follows")
        until(lambda: same(winner.address, loser.address, "t"), 40, "healed")
        expect_kept(winners.all(), loser.address, ["t"])
        told = sum(int(one.get("to", 0)) - int(one.get("from", 0)) for one in loser.state(back).get("gaps", []))
        expect(told >= len(losers.all()), f"{told} records are told to be cut, {len(losers.all())} were acknowledged")
        cut += told
        there = {value for records in read_all(winner.address, ["t"]).values() for _, value in records}
        expect(not there & {value for _, value in losers.all()}, "records of the loser came back")
    kept = list(pathlib.Path(world.work).rglob("*.diverged.quarantined"))
    expect(kept, "nothing was kept aside")
    return f"{common} common records, {cut} cut in two heals and told, {len(kept)} files kept aside"


@moment
def two_standbys_promoted(world):
    """Two mirrors of one dead source are both promoted and both written to; then one follows the other: not a record of its own stays."""
    east, west, south = world.ours("east"), world.ours("west"), world.ours("south")
    east.topic("t", 2)
    first = Writer([("t", p) for p in range(2)], east)
    for side in (west, south):
        side.link(east)
        until(is_mirrored(side), 40, "mirrored")
    first.wait_for(east, 100)
    first.stop()
    for side in (west, south):
        until(lambda: same(east.address, side.address, "t"), 30, "level")
    east.kill(1)
    for side in (west, south):
        side.link(east, "PROMOTED", "FORCED")
    writers = {side: Writer([("t", p) for p in range(2)], side) for side in (west, south)}
    for side in (west, south):
        writers[side].wait_for(side, 120, 60)
        writers[side].stop()
    expect(west.sealed_epochs("t") != south.sealed_epochs("t"), "both write in the same epoch")
    south.call("DeleteLink", {"name": "link", "topics": "TOPICS_KEEP_READ_ONLY"})
    south.link(west, truncate=True, name="heal")
    until(lambda: same(west.address, south.address, "t"), 60, "healed")
    expect_kept(first.all() + writers[west].all(), south.address, ["t"])
    there = {value for records in read_all(south.address, ["t"]).values() for _, value in records}
    expect(not there & {value for _, value in writers[south].all()}, "two histories are mixed in one log")
    return f"{len(first.all())} common records, {len(writers[south].all())} gave way"


@moment
def written_apart_under_one_name(world):
    """A topic of the source's name was written here by itself, in epochs of the same numbers, and is taken over with onExistingData: Truncate: it halts,
    and nothing is added to it or cut from it. Deleted here, it is copied."""
    for theirs, ours in ((200, 80), (80, 200)):
        east, west = world.ours(f"east{theirs}"), world.ours(f"west{theirs}")
        for side, count in ((east, theirs), (west, ours)):
            side.topic("t", 1)
            writer = Writer([("t", 0)], side)
            writer.wait_for(side, count)
            writer.stop()
        before = dump(west.address, "t")
        west.link(east, truncate=True)
        until(lambda: west.in_state("halted"), 40, "halted")
        expect(any(one.get("reason") == "Divergence" for one in west.state().get("worst_topics", west.state().get("worstTopics", []))), "no word of why")
        expect(dump(west.address, "t") == before, "another topic's records were changed")
        west.call("DeleteTopics", {"topics": [{"name": "t"}]})
        until(lambda: same(east.address, west.address, "t"), 40, "copied")
    return "longer and shorter than the source's, both halted, both copied once they were deleted"


@moment
def written_apart_and_compacted(world):
    """The same with compacted topics, which may have the same history and not the same bytes: what differs at one offset is told all the same."""
    for theirs, ours in ((200, 80), (80, 200)):
        east, west = world.ours(f"east{theirs}"), world.ours(f"west{theirs}")
        for side, count in ((east, theirs), (west, ours)):
            side.topic("t", 1, cleanup_policy="compact")
            lines = "".join(f"{side.name}-{n}:value-{n}\n" for n in range(count))
            done = subprocess.run(["timeout", "20", "kcat", "-b", side.address, "-t", "t", "-P", "-K", ":", "-X", "batch.num.messages=1"], input=lines, text=True)
            expect(done.returncode == 0, "keyed records are taken")
        before = dump(west.address, "t")
        west.link(east, truncate=True)
        until(lambda: west.in_state("halted"), 40, "halted")
        expect(dump(west.address, "t") == before, "another topic's records were changed")
        west.call("DeleteTopics", {"topics": [{"name": "t"}]})
        until(lambda: same(east.address, west.address, "t"), 40, "copied")
    return "longer and shorter than the source's, both halted, both copied once they were deleted"


@moment
def deleted_at_the_source_during_the_seal(world):
    """The source's topic is deleted some milliseconds after the edit: the mirror is promoted with what it has, and stays."""
    east, west = world.ours("east"), world.ours("west")
    for n in range(4):
        topic, link = f"t{n}", f"link{n}"
        east.topic(topic, 3)
        writer = Writer([(topic, p) for p in range(3)], east)
        west.link(east, topics=[topic], name=link)
        until(is_mirrored(west, link), 40, "mirrored")
        writer.wait_for(east, 100)
        writer.stop()
        until(lambda: same(east.address, west.address, topic), 30, "level")
        west.link(east, "PROMOTED", topics=[topic], name=link)
        time.sleep(0.03 * n)
        east.call("DeleteTopics", {"topics": [{"name": topic}]})
        until(lambda: west.in_state("promoted", link), 40, "promoted")
        after = Writer([(topic, p) for p in range(3)], west)
        after.wait_for(west, 30)
        after.stop()
        expect_kept(writer.all() + after.all(), west.address, [topic])
    return "4 topics, deleted 0 to 90 ms after the edit"


@moment
def promoted_demoted_and_promoted_within_ten_seconds(world):
    """The source takes records again in between, and each promotion begins an epoch of its own: what was written in the first one can be told from
    what is written in the second."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 3)
    writer = Writer([("t", p) for p in range(3)], east, west)
    west.link(east)
    until(is_mirrored(west), 30, "mirrored")
    start = time.monotonic()
    west.link(east, "PROMOTED")
    writer.wait_for(west, 30)
    until(lambda: west.in_state("promoted"), 10, "promoted")
    first = west.sealed_epochs("t")
    given_up = set(writer.acknowledged[west])
    west.link(east, "MIRRORING", truncate=True)
    writer.wait_for(east, 30)
    until(is_mirrored(west), 20, "a mirror again")
    given_up = set(writer.acknowledged[west])
    west.link(east, "PROMOTED")
    until(lambda: len(set(writer.acknowledged[west]) - given_up) > 30, 20, "the mirror takes records again")
    took = time.monotonic() - start
    until(lambda: west.in_state("promoted"), 10, "promoted")
    writer.stop()
    second = west.sealed_epochs("t")
    expect(all(second[p] > first[p] for p in first) and len(second) == 3, f"epochs of the second promotion {second}, of the first {first}")
    kept = writer.acknowledged[east] + [one for one in writer.acknowledged[west] if one not in given_up]
    expect_kept(kept, west.address, ["t"])
    return f"{len(kept)} records, {len(given_up)} given up by the demotion, {took:.1f} s; epochs {first[0]} and {second[0]}"


@moment
def another_cluster_behind_the_address(world):
    """The source is gone, and another cluster with a topic of the same name answers at its address: it is not read, not fenced, not taken for the
    source by a planned promotion; a forced one goes through."""
    port = PORT + 180
    east, west = world.ours("east", port=port), world.ours("west")
    east.topic("t", 2)
    writer = Writer([("t", p) for p in range(2)], east)
    west.link(east)
    until(is_mirrored(west), 30, "mirrored")
    writer.wait_for(east, 100)
    writer.stop()
    until(lambda: same(east.address, west.address, "t"), 30, "level")
    before = dump(west.address, "t")
    west.link(east, "PAUSED")  # so that the exchange is not met in the middle of a fetch alone
    west.link(east)
    east.kill(1)
    other = world.ours("other", port=port)
    other.topic("t", 2)
    theirs = Writer([("t", p) for p in range(2)], other)
    theirs.wait_for(other, 500)
    until(lambda: west.state().get("reason") == "ClusterIdMismatch", 60, "another cluster is noticed")
    west.link(other, "PROMOTED")
    theirs.wait_for(other, 300)
    expect(other.setting("t", "millrace.fenced") != "true", "a cluster that is not the source is fenced")
    errors = wire.Broker(west.address).produce([("t", 0)], wire.batch(b"early", int(time.time() * 1000)))
    expect(set(errors.values()) != {0}, "a planned promotion took another cluster for its source")
    message = west.state().get("message", "")
    expect("not" in message and "cluster" in message, f"the message says nothing of it: {message}")
    expect(dump(west.address, "t") == before, "the mirror has changed")
    west.link(other, "PROMOTED", "FORCED")
    after = Writer([("t", p) for p in range(2)], west)
    after.wait_for(west, 20, 40)
    after.stop()
    theirs.stop()
    expect_kept(writer.all() + after.all(), west.address, ["t"])
    return f"{len(before)} records kept, {len(theirs.all())} of another cluster left alone; it said: {message}"


@moment
def two_followers_of_one_source_take_over(world):
    """Two clusters follow one, and both are promoted: whichever is set back, the source stays fenced while the other one takes writes in its place."""
    east, west, north = world.ours("east"), world.ours("west"), world.ours("north")
    east.topic("t", 2)
    writer = Writer([("t", p) for p in range(2)], east)
    for follower in (west, north):
        follower.link(east)
        until(is_mirrored(follower), 30, "mirrored")
    writer.wait_for(east, 100)
    for follower in (west, north):
        follower.link(east, "PROMOTED")
        until(lambda: follower.in_state("promoted"), 40, "promoted")
    writer.stop()
    expect(sorted(east.setting("t", "millrace.fenced.by").split(",")) == sorted(f"{c.cluster_id}/t" for c in (west, north)), "the source knows who fences it")
    for follower in (west, north):
        expect_kept(writer.all(), follower.address, ["t"])
    west.link(east, truncate=True)
    until(is_mirrored(west), 40, "west follows again")
    expect(east.setting("t", "millrace.fenced") == "true", "the fence of the other follower was lifted")
    errors = wire.Broker(east.address).produce([("t", 0)], wire.batch(b"early", int(time.time() * 1000)))
    expect(set(errors.values()) != {0}, "a fenced source took a record")
    north.link(east, truncate=True)
    until(is_mirrored(north), 40, "north follows again")
    expect(east.setting("t", "millrace.fenced") != "true", "nobody wants the fence any more")
    late = Writer([("t", p) for p in range(2)], east)
    late.wait_for(east, 50)
    late.stop()
    for follower in (west, north):
        until(lambda: same(east.address, follower.address, "t"), 30, "level")
    expect_kept(writer.all() + late.all(), north.address, ["t"])
    return f"{len(writer.all())} and {len(late.all())} records"


@moment
def kafka_dies_and_comes_back_during_a_planned_promotion(world):
    """Apache Kafka can't be fenced: its end has to stand still. It dies in the middle of that, comes back, and is written to once more first."""
    kafka, west = world.kafka(), world.ours("west")
    kafka.topic("t", 3)
    writer = Writer([("t", p) for p in range(3)], kafka)
    west.link(kafka)
    until(is_mirrored(west), 40, "mirrored")
    writer.wait_for(kafka, 200)
    west.link(kafka, "PROMOTED")
    until(lambda: "can't be fenced" in west.state().get("message", ""), 30, "it says that the source can't be fenced")
    writer.stop()
    kafka.stop()
    time.sleep(12)  # longer than a standstill: who can't be asked doesn't stand still
    expect(not west.in_state("promoted"), "promoted without a word of the source")
    kafka.start()
    late = Writer([("t", p) for p in range(3)], kafka)
    late.wait_for(kafka, 100)
    late.stop()
    until(lambda: west.in_state("promoted"), 60, "promoted")
    expect_kept(writer.all() + late.all(), west.address, ["t"])
    expect(same(kafka.address, west.address, "t"), "the sides differ")
    return f"{len(writer.all())} records before, {len(late.all())} after it was back"


@moment
def writers_of_a_fenced_source_lose_nothing(world):
    """Twenty switchovers of a topic under eight producers, with the seal right behind the fence: whatever was acknowledged is on the other side."""
    east, west = world.ours("east"), world.ours("west")
    count = 0
    for n in range(20):
        topic, link = f"t{n}", f"link{n}"
        east.topic(topic, 4)
        writers = [Writer([(topic, p % 4)], east, west) for p in range(8)]
        west.link(east, topics=[topic], name=link)
        until(is_mirrored(west, link), 40, "mirrored")
        writers[0].wait_for(east, 20)
        west.link(east, "PROMOTED", topics=[topic], name=link)
        for writer in writers:
            writer.wait_for(west, 10, 40)
        for writer in writers:
            writer.stop()
        for writer in writers:
            expect_kept(writer.all(), west.address, [topic])
            count += len(writer.all())
        west.call("DeleteLink", {"name": link, "topics": "TOPICS_KEEP_READ_ONLY"})
    return f"{count} records in 20 switchovers"

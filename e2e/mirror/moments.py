#!/usr/bin/env python3
"""Failovers and failbacks at bad moments, under a producer, with Apache Kafka or a cluster of ours as the source.

   moments.py BROKER ADMIN_CALL [MOMENT ...]      all of them without a name

kcat judges what is where. KAFKA_PEER: the script that runs Kafka (default: e2e/peers/kafka/kafka-peer.sh). PORT: first of sixty ports (25600).
"""
import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time

import wire
from sides import MOMENTS, PEER, PORT, Broken, World, Writer, dump, expect, missing, moment, same, until


@moment
def promoted_while_topics_are_made(world):
    """Sixty topics appear at the source, and the link is promoted by force before all their mirrors are there."""
    east, west = world.ours("east"), world.ours("west")
    west.link(east)
    until(lambda: west.state().get("phase") == "LINK_PHASE_ACTIVE", 20, "the link is active")
    east.call("CreateTopics", {"topics": [{"name": f"t{i}", "partitions": 3} for i in range(60)]})
    until(lambda: len(west.topics()) > 0, 20, "the first mirror is there")
    west.link(east, "PROMOTED", "FORCED")
    until(lambda: west.in_state("promoted"), 30, "every mirror is promoted")
    names = west.topics()
    writer = wire.Broker(west.address, 20)
    places = [(name, p) for name, count in names.items() for p in range(count)]
    errors = writer.produce(places, wire.batch(b"after", int(time.time() * 1000)))
    expect(set(errors.values()) == {0}, f"errors of a promoted mirror: {set(errors.values())}")
    time.sleep(6)  # a look at the source and more
    expect(west.topics() == names, "mirrors are made after the promotion")
    return f"{len(names)} of 60 topics were mirrored, all of them take records"


@moment
def promoted_while_a_broker_is_down(world):
    """Of three brokers here one is dead when the edit comes; it is there again afterwards."""
    kafka, west = world.kafka(), world.ours("west", 3)
    kafka.topic("t", 6)
    writer = Writer([("t", p) for p in range(6)], kafka)
    writer.wait_for(kafka, 300)
    west.link(kafka)
    until(lambda: west.in_state("mirroring"), 40, "mirrored")
    writer.stop()
    until(lambda: same(kafka.address, west.address, "t"), 30, "level")
    west.kill(2)
    west.link(kafka, "PROMOTED", "FORCED")
    after = Writer([("t", 0)], west)
    after.wait_for(west, 20, 60)
    after.stop()
    until(lambda: sum(int(one.get("partitions", 0)) for one in [west.state().get("last_failover", west.state().get("lastFailover", {}))]) == 6,
          60, "all six partitions are sealed")
    west.start(2)
    lost, twice = missing(writer.all() + after.all(), west.address, ["t"])
    expect(not lost and not twice, f"lost {lost[:3]}, twice {twice[:3]}")
    until(lambda: len(re.findall(r"isrs: [123],[123],[123]$", subprocess.run(["timeout", "5", "kcat", "-b", west.address, "-L", "-t", "t"],
                                                                          capture_output=True, text=True).stdout, re.M)) == 6, 60, "all replicas in sync")
    return f"{len(writer.all())} records, sealed with two of three brokers"


@moment
def flipped_three_times_in_a_second(world):
    """Mirroring, Promoted, Mirroring, Promoted: whatever the edits have begun, the last one holds and nothing is lost."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 3)
    writer = Writer([("t", p) for p in range(3)], east, west)
    west.link(east)
    until(lambda: west.in_state("mirroring"), 30, "mirrored")
    start = time.monotonic()
    west.link(east, "PROMOTED")
    west.link(east, "MIRRORING", truncate=True)
    west.link(east, "PROMOTED")
    took = time.monotonic() - start
    writer.wait_for(west, 100, 60)
    west.link(east, "PROMOTED")
    until(lambda: west.in_state("promoted"), 20, "promoted")
    writer.stop()
    # What the first promotion took and the second edit gave up is told.
    lost, twice = missing(writer.all(), west.address, ["t"])
    told = sum(int(one.get("to", 0)) - int(one.get("from", 0)) for one in west.state().get("gaps", []))
    given_up = [one for one in lost if one in writer.acknowledged[west]]
    expect(lost == given_up and len(given_up) <= told and not twice, f"lost {lost[:3]}, {told} told, twice {twice[:3]} of {len(writer.all())}")
    return f"{len(writer.all())} records, three edits in {took:.1f} s, {len(given_up)} given up and told"


@moment
def called_off_at_once(world):
    """Promoted and called off within moments, three times: the source takes records again, and the mirror follows it."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 3)
    writer = Writer([("t", p) for p in range(3)], east)
    west.link(east)
    until(lambda: west.in_state("mirroring"), 30, "mirrored")
    for _ in range(3):
        west.link(east, "PROMOTED")
        time.sleep(random.random() / 2)
        west.link(east, "MIRRORING", truncate=True)
    writer.wait_for(east, 200, 60)
    writer.stop()
    until(lambda: same(east.address, west.address, "t"), 40, "level again")
    until(lambda: west.in_state("mirroring"), 20, "a mirror again")
    lost, twice = missing(writer.all(), east.address, ["t"])
    expect(not lost and not twice, f"lost {lost[:3]}, twice {twice[:3]}")
    return f"{len(writer.all())} records"


@moment
def deleted_while_it_is_promoted(world):
    """The link is deleted in the middle of a planned promotion: the source is not left fenced."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 3)
    writer = Writer([("t", p) for p in range(3)], east)
    west.link(east)
    until(lambda: west.in_state("mirroring"), 30, "mirrored")
    slowly = {"limits": {"bytes_per_second": 500}}  # so that there is a middle
    west.link(east, **slowly)
    writer.wait_for(east, 200)
    west.link(east, "PROMOTED", **slowly)
    fenced = len(writer.acknowledged[east])
    until(lambda: west.in_state("promoting"), 10, "promoting")
    until(lambda: "mirror.source_fenced" in west.log(), 10, "fenced")
    west.call("DeleteLink", {"name": "link", "topics": "TOPICS_KEEP_READ_ONLY"})
    writer.wait_for(east, 100, 30)
    west.link(east, name="again")
    writer.stop()
    until(lambda: same(east.address, west.address, "t"), 40, "level under the new link")
    errors = wire.Broker(west.address).produce([("t", 0)], wire.batch(b"early", int(time.time() * 1000)))
    expect(set(errors.values()) != {0}, "the mirror took a record")
    return f"{len(writer.all())} records, {fenced} of them before the edit"


@moment
def source_under_another_name(world):
    """The source's address is written another way while a producer is at it."""
    kafka, west = world.kafka(), world.ours("west")
    kafka.topic("t", 3)
    writer = Writer([("t", p) for p in range(3)], kafka)
    west.link(kafka)
    until(lambda: west.in_state("mirroring"), 40, "mirrored")
    for name in (f"localhost:{kafka.port}", f"127.0.0.1:{kafka.port}", f"localhost:{kafka.port}"):
        west.link(name)
        writer.wait_for(kafka, 100)
    writer.stop()
    until(lambda: same(kafka.address, west.address, "t"), 40, "level")
    until(lambda: west.in_state("mirroring"), 20, "mirroring")
    return f"{len(writer.all())} records"


@moment
def source_comes_back_empty(world):
    """The source loses its disk and comes back as the same cluster, without topics, then with one of that name."""
    kafka, west = world.kafka(), world.ours("west")
    kafka.topic("t", 2)
    writer = Writer([("t", p) for p in range(2)], kafka)
    west.link(kafka)
    until(lambda: west.in_state("mirroring"), 40, "mirrored")
    writer.wait_for(kafka, 200)
    writer.stop()
    until(lambda: same(kafka.address, west.address, "t"), 30, "level")
    before = dump(west.address, "t")
    kafka.run("wipe")
    kafka.start()
    until(lambda: west.in_state("orphaned"), 60, "orphaned")
    kafka.topic("t", 2)
    again = Writer([("t", p) for p in range(2)], kafka)
    again.wait_for(kafka, 500)
    again.stop()
    until(lambda: west.in_state("halted"), 60, "halted, for it is another topic")
    expect(dump(west.address, "t") == before, "the mirror has changed")
    west.link(kafka, "PROMOTED")
    after = Writer([("t", 0)], west)
    after.wait_for(west, 10, 40)
    after.stop()
    return f"{len(before)} records are still here, and it was promoted"


@moment
def credentials_wrong_then_right(world):
    """A login that the source refuses, then the right one; then it is changed at the source while the link runs."""
    port = PORT + 5
    jaas = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_mirror="right";'
    kafka = world.kafka(f"listeners=PLAINTEXT://127.0.0.1:{PORT},AUTH://127.0.0.1:{port},CONTROLLER://127.0.0.1:{PORT + 1}",
                        f"advertised.listeners=PLAINTEXT://127.0.0.1:{PORT},AUTH://127.0.0.1:{port}",
                        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,AUTH:SASL_PLAINTEXT",
                        "sasl.enabled.mechanisms=PLAIN", f"listener.name.auth.plain.sasl.jaas.config={jaas}")
    west = world.ours("west")
    kafka.topic("t", 2)
    writer = Writer([("t", p) for p in range(2)], kafka)
    writer.wait_for(kafka, 100)
    login = lambda password: {"sasl": {"mechanism": "PLAIN", "username": "mirror", "password": password}}
    west.link(f"127.0.0.1:{port}", source_more=login("wrong"))
    until(lambda: west.state().get("reason") == "Unauthorized", 30, "refused")
    expect(west.topics() == {}, "something was made without a login")
    west.link(f"127.0.0.1:{port}", source_more=login("right"))
    until(lambda: west.in_state("mirroring"), 60, "mirrored")
    west.link(f"127.0.0.1:{port}", source_more=login("wrong"))
    until(lambda: west.state().get("reason") == "Unauthorized", 40, "refused again")
    west.link(f"127.0.0.1:{port}", source_more=login("right"))
    writer.wait_for(kafka, 100)
    writer.stop()
    until(lambda: same(kafka.address, west.address, "t"), 60, "level")
    return f"{len(writer.all())} records"


@moment
def partitions_grow_during_a_promotion(world):
    """Partitions are added at the source right before the edit and right after it; what was written to them is here."""
    east, west = world.ours("east"), world.ours("west")
    east.topic("t", 2)
    writer = Writer([("t", p) for p in range(8)], east, west)
    west.link(east)
    until(lambda: west.in_state("mirroring"), 30, "mirrored")
    east.grow("t", 5)
    writer.wait_for(east, 200)
    west.link(east, "PROMOTED")
    east.grow("t", 8)
    writer.wait_for(west, 100, 60)
    writer.stop()
    until(lambda: west.in_state("promoted"), 30, "promoted")
    lost, twice = missing(writer.all(), west.address, ["t"])
    expect(not lost and not twice, f"lost {lost[:3]}, twice {twice[:3]} of {len(writer.all())}")
    return f"{len(writer.all())} records, {west.topics()['t']} partitions"


@moment
def tombstones_of_a_compacted_topic(world):
    """Keys are written and deleted at Apache Kafka while it compacts; the mirror has the same, tombstones too."""
    kafka, west = world.kafka("log.cleaner.backoff.ms=300", "log.retention.check.interval.ms=500"), world.ours("west", 1, "log.cleaner.backoff.ms=3600000")
    kafka.topic("t", 1, cleanup_policy="compact", segment_ms=800, min_cleanable_dirty_ratio="0.01", max_compaction_lag_ms=500, delete_retention_ms=600000)
    west.link(kafka)
    until(lambda: west.in_state("mirroring"), 40, "mirrored")
    for round_ in range(4):
        lines = "".join(f"k{i}:v{round_}-{i}\n" for i in range(200)) + "".join(f"k{i}:\n" for i in range(0, 200, 3))
        done = subprocess.run(["timeout", "20", "kcat", "-b", kafka.address, "-t", "t", "-P", "-K", ":", "-Z", "-X", "batch.num.messages=20"],
                              input=lines, text=True)
        expect(done.returncode == 0, "the source takes no records")
        time.sleep(1.5)
    until(lambda: len(dump(kafka.address, "t")) < 700, 40, "the source has compacted")
    west.link(kafka, "PAUSED")
    until(lambda: west.in_state("paused"), 20, "paused")
    west.call("DeleteTopics", {"topics": [{"name": "t"}]})  # copied anew, from a log with holes
    west.link(kafka)
    until(lambda: same(kafka.address, west.address, "t"), 60, "level")
    kept = [line for line in dump(west.address, "t") if line.split(" ")[4] == "-1"]
    expect(kept, "no tombstone is there: nothing was shown")
    west.link(kafka, "PROMOTED", "FORCED")
    after = Writer([("t", 0)], west)
    time.sleep(3)
    after.stop()
    expect(not after.all(), "a compacted topic took a record without a key")
    done = subprocess.run("echo key:value | timeout 20 kcat -b %s -t t -P -K : -X message.timeout.ms=15000" % west.address, shell=True)
    expect(done.returncode == 0, "the promoted topic takes no keyed record")
    return f"{len(kept)} tombstones on both sides"


@moment
def a_compacted_mirror_does_not_grow_for_ever(world):
    """Keys are written over and over; both sides compact, each by itself, through a restart here and a promotion: the latest of each key is the same."""
    kafka, west = world.kafka("log.cleaner.backoff.ms=300"), world.ours("west", 1, "log.cleaner.backoff.ms=300")
    kafka.topic("t", 1, cleanup_policy="compact", segment_ms=500, min_cleanable_dirty_ratio="0.01", max_compaction_lag_ms=500)
    west.link(kafka)
    until(lambda: west.in_state("mirroring"), 40, "mirrored")

    def write(address, word, rounds):
        for n in range(rounds):
            lines = "".join(f"k{i % 40}:{word}{n}-{i}\n" for i in range(400))
            done = subprocess.run(["timeout", "20", "kcat", "-b", address, "-t", "t", "-P", "-K", ":", "-X", "batch.num.messages=20"], input=lines, text=True)
            expect(done.returncode == 0, "no records are taken")
            time.sleep(0.7)

    def latest(address):
        last = {}
        done = subprocess.run(["timeout", "40", "kcat", "-b", address, "-t", "t", "-C", "-o", "beginning", "-e", "-q", "-f", "%k %o %s\n"],
                              capture_output=True, text=True)
        for line in done.stdout.splitlines():
            last[line.split(" ")[0]] = line
        return last

    write(kafka.address, "before", 6)
    until(lambda: len(dump(west.address, "t")) < 1000, 40, "2,400 records have become less here")
    west.kill(1)
    write(kafka.address, "meanwhile", 2)
    west.start(1)
    until(lambda: latest(west.address) == latest(kafka.address), 40, "the latest of each key is the same")
    expect(west.in_state("mirroring"), "what was compacted apart is taken for another history")
    west.link(kafka, "PROMOTED", "FORCED")
    until(lambda: west.in_state("promoted"), 30, "promoted")
    before = latest(west.address)
    west.link(kafka, truncate=True)
    until(lambda: west.in_state("mirroring"), 40, "a mirror again")
    expect(before == latest(west.address) == latest(kafka.address), "a promotion and its end have changed what is there")
    return f"{len(dump(west.address, 't'))} records here, {len(dump(kafka.address, 't'))} at the source, of 3,200"


@moment
def a_group_that_is_active_on_both_sides(world):
    """Members of one group read here and there: what is committed here stays, and the link says nothing over it."""
    kafka, west = world.kafka(), world.ours("west")
    kafka.topic("t", 1)
    writer = Writer([("t", 0)], kafka)
    writer.wait_for(kafka, 400)
    west.link(kafka)
    until(lambda: west.in_state("mirroring"), 40, "mirrored")

    def read(address, count):
        done = subprocess.run(["timeout", "40", "kcat", "-b", address, "-G", "g", "t", "-X", "auto.offset.reset=earliest", "-c", str(count), "-q",
                               "-X", "auto.commit.interval.ms=100"], capture_output=True, text=True)
        expect(done.returncode == 0 and len(done.stdout.splitlines()) == count, f"a member at {address} has read {len(done.stdout.splitlines())}")

    def position(address):
        done = subprocess.run(["timeout", "60", PEER, "cli", "consumer-groups", "--bootstrap-server", address, "--describe", "--group", "g"],
                              env=dict(os.environ, KAFKA_PEER_TOOL_HEAP="200m"), capture_output=True, text=True)
        rows = [line.split() for line in done.stdout.splitlines() if line.startswith("g ")]
        return int(rows[0][3]) if rows and rows[0][3].isdigit() else None

    read(kafka.address, 100)
    until(lambda: position(west.address) == position(kafka.address) and position(west.address), 40, "the position is copied while nobody reads here")
    read(west.address, 50)
    mine = position(west.address)
    read(kafka.address, 200)
    writer.stop()
    time.sleep(4)  # rounds of the link
    theirs = position(kafka.address)
    expect(position(west.address) == mine, f"the link wrote {position(west.address)} over {mine}")
    expect(theirs > mine, f"the source is at {theirs}, we at {mine}: nothing was shown")
    return f"here {mine}, at the source {theirs}"


import crossings  # noqa: E402,F401
import edits  # noqa: E402,F401
import groups  # noqa: E402,F401
import hazards  # noqa: E402,F401
import strains  # noqa: E402,F401
import switches  # noqa: E402,F401  (more of them)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("broker", type=os.path.realpath)
    parser.add_argument("admin_call", type=os.path.realpath)
    parser.add_argument("moments", nargs="*", metavar="MOMENT", help=", ".join(one.__name__ for one in MOMENTS))
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    broken = []
    for one in MOMENTS:
        if args.moments and one.__name__ not in args.moments:
            continue
        world, start = World(args), time.monotonic()
        failed = True
        try:
            print(f"ok {one.__name__}: {one(world)} ({time.monotonic() - start:.0f} s)", flush=True)
            failed = False
        except Broken as error:
            print(f"FAILED {one.__name__}: {error}", flush=True)
            broken.append(one.__name__)
        finally:
            world.close(failed)
    if broken:
        sys.exit(f"failed: {', '.join(broken)}")


if __name__ == "__main__":
    main()

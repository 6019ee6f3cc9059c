#!/usr/bin/env python3
"""Real brokers, real faults, a history checker: producers (librdkafka's and Kafka's own, idempotent, acks=all) write while
something happens to the brokers, then everything is read back. Acknowledged = read back exactly once, in order, where it
was said.

  MILLRACE_BROKER=... e2e/chaos/chaos.py [--scenarios kill,freeze,...] [--long]
"""
import argparse
import os
import random
import shutil
import sys
import time

from cluster import NODES, Cluster, find_broker, scratch, wait_until
from java_client import JavaProducer, JavaReader, compile_client
from rdkafka import Producer, check_history, read_all
from surroundings import Disk, Network

TOPIC = "chaos"


class Run:
    """A cluster under producers on two partitions, and what was seen of it."""

    def __init__(self, name, kind, port, broker, network=None):
        self.name, self.kind, self.network = name, kind, network
        self.directory = scratch(f"chaos-{name}-{kind}")
        self.classes = compile_client(self.directory)
        self.disks = {}
        with_disks = name in ON_DISKS
        if with_disks:
            self.disks = {n: Disk(f"{self.directory}/{n}.disk") for n in NODES}
        self.cluster = Cluster(kind, self.directory, port, broker=broker, settings=SETTINGS.get(name),
                               place=network.place if network else None,
                               data=(lambda n: f"{self.directory}/{n}.disk/data") if with_disks else None,
                               nodes=(*NODES, SPARE) if name == "move" else NODES)
        self.producers, self.ended, self.readers = [], [], []

    def begin(self):
        self.cluster.start_all()
        # Both partitions are moved alike: none may begin on the spare.
        self.cluster.create_topic(TOPIC, 2, led_by=NODES[0] if self.name == "move" else None)
        if self.kind == "kafka":
            os.sync()  # it doesn't sync what its format step wrote; no cluster is cut off that young
        # Who is frozen or cut off is given up after a few seconds, not after librdkafka's minute.
        patience = {"socket.timeout.ms": 4000, "request.timeout.ms": 4000}
        self.producers = [Producer(self.cluster.bootstrap, TOPIC, p, f"producer{p}", interval=0.01, **patience)
                          for p in (0, 1)]
        self.producers += [JavaProducer(self.classes, f"{self.directory}/java.log", self.cluster.bootstrap, TOPIC, p,
                                        f"java{p}", interval=0.02, **{"request.timeout.ms": 4000}) for p in (0, 1)]
        for producer in self.producers:
            if not producer.wait_for_acks(200, 60):
                raise RuntimeError(f"{producer.name} did not get going")

    def leader(self):
        return wait_until("a leader", lambda: self.cluster.partitions(TOPIC).get(0, (0,))[0])

    def goes_on(self, patience=60):
        """All producers make progress again."""
        for producer in self.producers:
            if not producer.wait_for_acks(100, patience):
                raise RuntimeError(f"{producer.name} got no acknowledgement for {patience} s")

    def end(self):
        """What the history says; the cluster must be whole."""
        left = sum(producer.stop() for producer in self.producers)
        self.cluster.wait_whole(TOPIC)
        wrong = [f"{left} records never got an answer"] if left else []
        for partition in (0, 1):
            wrong += check_history([p for p in self.producers + self.ended if p.partition == partition], self.read(partition))
        return wrong

    def read(self, partition):
        return read_all(self.cluster.bootstrap, TOPIC, partition)

    def acked(self):
        return sum(len(producer.acked()) for producer in self.producers)

    def close(self, keep):
        for client in [*self.readers, *(p for p in self.producers if isinstance(p, JavaProducer))]:
            client.kill()
        self.cluster.close()
        for disk in self.disks.values():
            disk.close()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)


def kill(run, rounds):
    run.begin()
    for _ in range(rounds):
        victim = random.choice([run.leader(), random.choice(NODES)])
        run.cluster.kill(victim)
        run.goes_on()
        run.cluster.start(victim)
        run.cluster.wait_whole(TOPIC)


def freeze(run, rounds):
    run.begin()
    for _ in range(rounds):
        victim = run.leader()
        thaw = run.cluster.freeze(victim)
        time.sleep(8)
        run.goes_on()
        thaw()
        run.cluster.wait_whole(TOPIC)


def isolate(run, rounds):
    run.begin()
    for _ in range(rounds):
        victim = run.leader()
        run.network.isolate(victim)
        run.goes_on()
        run.network.join(victim)
        run.cluster.wait_whole(TOPIC)


def disk_full(run, rounds):
    run.begin()
    for _ in range(rounds):
        victim = run.leader()
        run.disks[victim].fill()
        time.sleep(6)
        run.disks[victim].make_room()
        if run.cluster.processes[victim].poll() is not None:  # it may end itself: its operator starts it again
            run.cluster.processes.pop(victim)
            run.cluster.start(victim)
        run.goes_on()
        run.cluster.wait_whole(TOPIC)


def cut(run, nodes):
    for node in nodes:
        run.disks[node].cut_power()
    for node in nodes:
        run.cluster.kill(node)
    for node in nodes:
        run.disks[node].repower()
        run.cluster.start(node)


def power_one(run, rounds):
    run.begin()
    for _ in range(rounds):
        cut(run, [run.leader()])
        run.goes_on()
        run.cluster.wait_whole(TOPIC)


def power_all(run, rounds):
    run.begin()
    for _ in range(rounds):
        cut(run, NODES)
        # Kafka's producers end for good where the records before theirs are gone: what counts there is what can be read.
        if run.kind == "millrace":
            run.goes_on(120)
        run.cluster.wait_whole(TOPIC)


def in_the_middle(run, target):
    """Both partitions have a replica that is not there yet. The broker that is asked may not have heard of the move so far."""
    def seen():
        found = run.cluster.replicas(TOPIC)
        if len(found) == 2 and all(brokers > set(target) for brokers in found.values()):
            return "in the middle"
        return "over" if moved(run, target) else None
    return wait_until("a move that has begun", seen) == "in the middle"


def move(run, rounds):
    """A replica moves to a fourth broker, slowly, and in the middle of it somebody dies: who gets it, who led, who decides."""
    run.begin()
    # Ballast that takes its time, as records of a producer like any other.
    for partition in (0, 1):
        bulk = Producer(run.cluster.bootstrap, TOPIC, partition, "bulk" + "." * 20_000, interval=0.001)
        if not bulk.wait_for_acks(600, 60) or bulk.stop():
            raise RuntimeError("the ballast was not taken")
        run.ended.append(bulk)
    for _ in range(rounds):
        for who in ("the newcomer", "the leader", "the active controller"):
            have = run.cluster.replicas(TOPIC)[0]
            newcomer, = set(run.cluster.nodes) - have
            leader = run.leader()
            target = [newcomer, *sorted(have - {leader})]
            run.cluster.reassign(TOPIC, (0, 1), target, "--execute", "--throttle", "200000")
            if not in_the_middle(run, target):
                raise RuntimeError("the move was over before anybody could die")
            victim = {"the newcomer": newcomer, "the leader": leader}.get(who) or run.cluster.controller()
            run.cluster.kill(victim)
            run.goes_on()
            if not in_the_middle(run, target):
                raise RuntimeError(f"the move did not outlive {who}")
            run.cluster.start(victim)
            run.cluster.reassign(TOPIC, (0, 1), target, "--execute", "--additional", "--throttle", "100000000")
            wait_until(f"the move after {who} had died", lambda: moved(run, target), 120)
            said = run.cluster.reassign(TOPIC, (0, 1), target, "--verify")
            if said.count("is completed") != 2:
                raise RuntimeError(f"kafka-reassign-partitions --verify: {said}")


def moved(run, target):
    found = run.cluster.replicas(TOPIC)
    return len(found) == 2 and all(brokers == set(target) for brokers in found.values())


def nearest(run, rounds):
    """Kafka's consumer reads from the replica in its rack (KIP-392), goes on elsewhere when that dies, and comes back."""
    run.begin()
    leader = run.leader()
    near = next(n for n in NODES if n != leader)
    reader = JavaReader(run.classes, f"{run.directory}/java.log", run.cluster.bootstrap, TOPIC, 0,
                        **{"client.rack": f"rack-{near}", "metadata.max.age.ms": 2000, "request.timeout.ms": 4000})
    run.readers.append(reader)

    def reads_near():
        before = dict(reader.bytes_from)
        goal = len(reader.read) + 200
        wait_until("200 records more", lambda: len(reader.read) >= goal)
        came = {n: reader.bytes_from.get(n, 0) - before.get(n, 0) for n in NODES}
        return came[near] > 4 * max(came[n] for n in NODES if n != near)

    for _ in range(rounds):
        wait_until(f"what is read comes from the rack of {near}", reads_near)
        run.cluster.kill(near)
        goal = len(reader.read) + 300
        wait_until("the reader goes on", lambda: len(reader.read) >= goal)
        run.goes_on()
        run.cluster.start(near)
        run.cluster.wait_whole(TOPIC)
    wait_until(f"what is read comes from the rack of {near} again", reads_near)
    if not reader.end(30):
        raise RuntimeError("the reader did not end")
    # Once, in order, without a gap: whichever replica said it.
    if reader.read != run.read(0)[:len(reader.read)]:
        raise RuntimeError("the reader saw something else than what is there")


SCENARIOS = {"kill": kill, "freeze": freeze, "isolate": isolate, "disk_full": disk_full, "power_one": power_one,
             "power_all": power_all, "move": move, "nearest": nearest}
ON_DISKS = {"disk_full", "power_one", "power_all"}
SETTINGS = {"nearest": lambda node: [f"broker.rack=rack-{node}", "replica.selector.class="
                                     "org.apache.kafka.common.replica.RackAwareReplicaSelector"]}
SPARE = 4


def perform(name, kind, rounds, port, broker):
    """(what is wrong, acknowledged records)"""
    network = Network(f"mr{port}", "10.213.77", NODES) if name == "isolate" else None
    run, wrong = None, ["did not come to its end"]
    try:
        run = Run(name, kind, port, broker, network=network)
        SCENARIOS[name](run, rounds)
        wrong = run.end()
    except (RuntimeError, TimeoutError) as error:
        wrong = [str(error)]
    finally:
        if run:
            run.close(keep=bool(wrong) and kind == "millrace")
        if network:
            network.close()
    return wrong, run.acked() if run else 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--scenarios", default=",".join(SCENARIOS))
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--port", type=int, default=27300)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--control", action="store_true", help="stock Kafka in the power cut of all nodes, too")
    given = arguments.parse_args()
    random.seed(given.seed)
    broker, failed = find_broker(), False
    for name in given.scenarios.split(","):
        begin = time.monotonic()
        wrong, acked = perform(name, "millrace", given.rounds, given.port, broker)
        failed = failed or bool(wrong)
        print(f"{name:10} {'FAILED' if wrong else 'ok':6} {acked} acknowledged, {len(wrong)} wrong, "
              f"{time.monotonic() - begin:.0f} s", flush=True)
        for line in wrong[:10]:
            print(f"    {line[:300]}", flush=True)
    if given.control:
        # The positive control: a harness that finds nothing wrong here would find nothing anywhere.
        wrong, acked = perform("power_all", "kafka", 1, given.port + 100, "")
        lost = sum(line.startswith("lost") for line in wrong)
        print(f"control    stock Kafka, power cut of all nodes: {acked} acknowledged, {lost} lost", flush=True)
        if lost == 0:
            failed = True
            print("    nothing is known to be lost: " + ("; ".join(wrong[:3]) or "all was read"), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

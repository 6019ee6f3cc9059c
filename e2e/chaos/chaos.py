#!/usr/bin/env python3
"""Real brokers, real faults, a history checker: producers (librdkafka, idempotent, acks=all) write while something
happens to the brokers, then everything is read back. Acknowledged = read back exactly once, in order, where it was said.

  MILLRACE_BROKER=... e2e/chaos/chaos.py [--scenarios kill,freeze,...] [--long]
"""
import argparse
import os
import random
import shutil
import sys
import time

from cluster import NODES, Cluster, find_broker, scratch, wait_until
from rdkafka import Producer, check_history, read_all
from surroundings import Disk, Network

TOPIC = "chaos"


class Run:
    """A cluster under two producers on two partitions, and what was seen of it."""

    def __init__(self, name, kind, port, broker, settings=(), with_disks=False, network=None):
        self.name, self.kind = name, kind
        self.directory = scratch(f"chaos-{name}-{kind}")
        self.disks = {}
        if with_disks:
            self.disks = {n: Disk(f"{self.directory}/{n}.disk") for n in NODES}
        self.cluster = Cluster(kind, self.directory, port, broker=broker, settings=settings,
                               place=network.place if network else None,
                               data=(lambda n: f"{self.directory}/{n}.disk/data") if with_disks else None)
        self.producers = []

    def begin(self):
        self.cluster.start_all()
        self.cluster.create_topic(TOPIC, 2)
        if self.kind == "kafka":
            os.sync()  # it doesn't sync what its format step wrote; no cluster is cut off that young
        # Who is frozen or cut off is given up after a few seconds, not after librdkafka's minute.
        patience = {"socket.timeout.ms": 4000, "request.timeout.ms": 4000}
        self.producers = [Producer(self.cluster.bootstrap, TOPIC, p, f"producer{p}", interval=0.01, **patience)
                          for p in (0, 1)]
        for producer in self.producers:
            if not producer.wait_for_acks(300, 60):
                raise RuntimeError("the producers did not get going")

    def leader(self):
        return wait_until("a leader", lambda: self.cluster.partitions(TOPIC).get(0, (0,))[0])

    def goes_on(self, patience=60):
        """Both producers make progress again."""
        for producer in self.producers:
            if not producer.wait_for_acks(200, patience):
                raise RuntimeError(f"{producer.name} got no acknowledgement for {patience} s")

    def end(self):
        """What the history says; the cluster must be whole."""
        left = sum(producer.stop() for producer in self.producers)
        self.cluster.wait_whole(TOPIC)
        wrong = [f"{left} records never got an answer"] if left else []
        for producer in self.producers:
            wrong += check_history([producer], read_all(self.cluster.bootstrap, TOPIC, producer.partition))
        return wrong

    def acked(self):
        return sum(len(producer.acked()) for producer in self.producers)

    def close(self, keep):
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


SCENARIOS = {"kill": kill, "freeze": freeze, "isolate": isolate, "disk_full": disk_full, "power_one": power_one,
             "power_all": power_all}
ON_DISKS = {"disk_full", "power_one", "power_all"}


def perform(name, kind, rounds, port, broker):
    """(what is wrong, acknowledged records)"""
    network = Network(f"mr{port}", "10.213.77", NODES) if name == "isolate" else None
    run, wrong = None, ["did not come to its end"]
    try:
        run = Run(name, kind, port, broker, with_disks=name in ON_DISKS, network=network)
        run.network = network
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
            print(f"    {line}", flush=True)
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

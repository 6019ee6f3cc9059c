#!/usr/bin/env python3
"""How long a steady idempotent producer (librdkafka, acks=all, RF 3, min ISR 2) waits when something happens to a
broker: the longest time between two acknowledgements. Millrace and Apache Kafka, the same harness, the same run.

  MILLRACE_BROKER=build/release/bin/millrace-broker e2e/chaos/failover.py [--runs 5] [--kinds millrace,kafka] [--faults ...]
"""
import argparse
import shutil
import statistics
import sys
import threading
import time

from cluster import NODES, Cluster, find_broker, scratch
from rdkafka import Producer, check_history, read_all

FAULTS = ("leader_kill", "follower_kill", "controller_kill", "leader_stop", "leader_freeze")
GOALS = {"leader_kill": 1.0, "follower_kill": 0.7, "controller_kill": 1.5, "leader_stop": 0.4, "leader_freeze": 3.0}
TOPIC, PARTITIONS = "failover", 6
FREEZE = 12


def choose(cluster, fault):
    """(victim, partition): a partition to write to and the node that the fault hits."""
    controller = cluster.controller()
    for partition, (leader, _) in sorted(cluster.partitions(TOPIC).items()):
        if fault == "controller_kill" and leader != controller:
            return controller, partition
        if fault == "follower_kill" and leader == controller:
            return next(n for n in NODES if n != controller), partition
        if fault.startswith("leader_") and leader != controller:
            return leader, partition
    return None


def one_run(cluster, fault, number):
    cluster.wait_whole(TOPIC)
    chosen = None
    while chosen is None:
        chosen = choose(cluster, fault)
        time.sleep(0.2)
    victim, partition = chosen
    # A client waits for a frozen broker as long as it likes: librdkafka a minute, unless told otherwise.
    settings = {"socket.timeout.ms": 3000, "request.timeout.ms": 3000} if fault == "leader_freeze" else {}
    producer = Producer(cluster.bootstrap, TOPIC, partition, f"{fault}{number}", **settings)
    if not producer.wait_for_acks(200, 30):
        raise RuntimeError("the producer did not get going")
    begin = time.monotonic()
    if fault.endswith("_kill"):
        cluster.kill(victim)
    elif fault == "leader_stop":
        cluster.stop(victim)
    else:
        thaw = threading.Timer(FREEZE, cluster.freeze(victim))
        thaw.start()
    resumed = producer.wait_for_acks(300, 60)
    end = time.monotonic()
    if fault == "leader_freeze":
        thaw.join()
    elif victim not in cluster.processes:
        cluster.start(victim)
    lost = producer.stop()
    if not resumed or lost:
        raise RuntimeError(f"{fault}: {lost} records without an answer")
    return producer.longest_gap(begin, end), partition, producer


def measure(kind, faults, runs, port):
    directory = scratch(f"failover-{kind}")
    cluster = Cluster(kind, directory, port, broker=find_broker() if kind == "millrace" else "")
    gaps, wrong, producers = {}, [], {}
    try:
        cluster.start_all()
        cluster.create_topic(TOPIC, PARTITIONS)
        for number in range(runs):
            for fault in faults:
                gap, partition, producer = one_run(cluster, fault, number)
                gaps.setdefault(fault, []).append(gap)
                producers.setdefault(partition, []).append(producer)
                print(f"{kind:9} {fault:16} run {number + 1}: {gap:6.2f} s", flush=True)
        cluster.wait_whole(TOPIC)
        for partition, senders in producers.items():
            wrong += check_history(senders, read_all(cluster.bootstrap, TOPIC, partition))
    finally:
        cluster.close()
        if not wrong:
            shutil.rmtree(directory, ignore_errors=True)
    for line in wrong[:20]:
        print(f"{kind}: {line}", flush=True)
    return gaps, wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--kinds", default="millrace,kafka")
    arguments.add_argument("--faults", default=",".join(FAULTS))
    arguments.add_argument("--port", type=int, default=27000)
    given = arguments.parse_args()
    faults, kinds = given.faults.split(","), given.kinds.split(",")
    results, broken = {}, False
    for position, kind in enumerate(kinds):
        results[kind], wrong = measure(kind, faults, given.runs, given.port + 100 * position)
        broken = broken or (kind == "millrace" and bool(wrong))
    print("\n| fault | " + " | ".join(f"{kind} median / worst" for kind in kinds) + " | goal |")
    print("| --- |" + " --- |" * (len(kinds) + 1))
    for fault in faults:
        cells = [f"{statistics.median(results[k][fault]):.2f} / {max(results[k][fault]):.2f} s" for k in kinds]
        print(f"| {fault} | " + " | ".join(cells) + f" | {GOALS[fault]:.1f} s |")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""What three brokers cost together, beside three of Apache Kafka: one topic of three replicas, acks=all, the same requests
from the same client, turn by turn in the order Kafka, Millrace, Millrace, Kafka. What counts is the CPU time of all three.
  --short    seconds instead of minutes: shows that the harness works; its figures are noise
  --mode M   replicated or synced; both without it
  --out F    also writes the table there
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "e2e/chaos"))
from container import Container  # noqa: E402
from cluster import NODES, Cluster, scratch  # noqa: E402

LOAD, BROKER = ROOT / "build/release/bin/millrace-load", ROOT / "build/release/bin/millrace-broker"
PARTITIONS = 4
MEMORY = 4 << 30  # Of three brokers together, their page cache included: less than they keep on disk.
# Three brokers on one disk, as fast as they can: no more of it stays than this run needs.
KEPT = ["log.retention.bytes=536870912", "log.segment.bytes=67108864", "log.retention.check.interval.ms=1000",
        "log.segment.delete.delay.ms=1000", "log.initial.task.delay.ms=1000"]
MODES = {
    "replicated": {"kafka": [], "millrace": ["millrace.durability=replicated"]},
    "synced": {"kafka": ["log.flush.interval.messages=1"], "millrace": ["millrace.durability=synced"]},
}
CELLS = {
    "produce 16 KB": ["bytes=16384", "records=16", "connections=4", "depth=8"],
    "produce 128 KB": ["bytes=131072", "records=128", "connections=4", "depth=4"],
}
GOAL = 0.35


def load(cluster, pids, words, **keys):
    # Every partition is led by the first node: the client speaks to one broker.
    command = [LOAD, "produce", str(cluster.port + 10 * NODES[0]), "bench", f"partitions={PARTITIONS}",
               "pids=" + ",".join(map(str, pids)), *words, *(f"{key}={value}" for key, value in keys.items())]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{cluster.kind}: {done.stderr}")
    return json.loads(done.stdout)


def made(kind, port, settings):
    return Cluster(kind, scratch(f"bench-{kind}"), port, broker=str(BROKER), settings=lambda node: [*settings, *KEPT])


def measure(mode, args, rows):
    sides, boxes, seen = {}, {}, {}
    first_port = 27300 + 200 * list(MODES).index(mode)  # who was killed a moment ago may still hold the others
    try:
        for kind, port in (("kafka", first_port), ("millrace", first_port + 100)):
            sides[kind] = made(kind, port, MODES[mode][kind])
            sides[kind].start_all()
            sides[kind].create_topic("bench", PARTITIONS, led_by=NODES[0])
        pids = {kind: [side.worker(node) if kind == "millrace" else side.processes[node].pid for node in NODES]
                for kind, side in sides.items()}
        for kind in sides if mode == "synced" else ():
            boxes[kind] = Container(f"bench-{kind}", MEMORY)
            boxes[kind].take(*pids[kind])
        for kind, side in sides.items():
            load(side, pids[kind], CELLS["produce 128 KB"], warm=2, seconds=args.warm_seconds)
        for name, words in CELLS.items():
            for kind in ("kafka", "millrace", "millrace", "kafka"):
                os.sync()  # what the one before left unwritten is not this one's to wait for
                seen.setdefault((name, kind), []).append(
                    load(sides[kind], pids[kind], words, warm=args.warm, seconds=args.seconds))
            for figure, goal in (("cpu_s_per_gb", GOAL), ("per_second", None), ("p99_us", None)):
                theirs, ours = (statistics.median(run[figure] for run in seen[name, kind]) for kind in ("kafka", "millrace"))
                rows.append((mode, f"{name}: {figure}", theirs, ours, goal))
                print(mode, name, figure, theirs, ours, flush=True)
        for kind, side in sides.items():
            side.wait_whole("bench")
    finally:
        for side in sides.values():
            side.close()
            subprocess.run(["rm", "-rf", side.directory], check=True)
        for box in boxes.values():
            box.remove()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--mode", choices=MODES, action="append")
    parser.add_argument("--out")
    args = parser.parse_args()
    args.warm, args.seconds, args.warm_seconds = (1, 3, 5) if args.short else (3, 10, 45)
    rows, began = [], time.monotonic()
    for mode in args.mode or MODES:
        measure(mode, args, rows)
    lines = ["| durability | three replicas, acks=all | Apache Kafka 4.3.1 | Millrace | ratio | goal |", "|---|---|---|---|---|---|"]
    for mode, what, theirs, ours, goal in rows:
        verdict = "" if goal is None else f"{goal:.2f}{'' if ours <= goal * theirs else ' (missed)'}"
        lines.append(f"| {mode} | {what} | {theirs:.3f} | {ours:.3f} | {ours / theirs:.2f} | {verdict} |")
    print("\n".join([*lines, f"{time.monotonic() - began:.0f} s"]))
    if args.out:
        pathlib.Path(args.out).write_text("\n".join(lines) + "\n")


main()

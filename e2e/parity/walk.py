#!/usr/bin/env python3
"""Random walks: the same random requests to Kafka and to millrace-broker, until the answers differ. See README.md."""

import argparse
import os
import random
import sys
import tempfile
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import compare  # noqa: E402
import run  # noqa: E402
import sides  # noqa: E402
import walks  # noqa: E402
import wire  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True, help="the millrace-broker to compare")
    parser.add_argument("--port", type=int, default=23100, help="Kafka listens here, millrace 100 above")
    parser.add_argument("--kafka-at", type=int, help="a Kafka that already runs on this port")
    parser.add_argument("--keep", action="store_true", help="leave Kafka running")
    parser.add_argument("--only", default="", help="walks whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--walks", type=int, default=5, help="of each kind")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def take(walk, side, seed, steps):
    """The side's transcript of one walk. What to ask next is drawn alike on both sides."""
    draw = random.Random(seed)
    try:
        state = walk(side, draw)
        next(state)
        for _ in range(steps):
            next(state)
    except StopIteration:
        pass
    finally:
        side.close()
    return side.transcript


def first_difference(name, ours, theirs, known):
    for place, (left, right) in enumerate(zip(ours, theirs)):
        found = [one for one in compare.differences([left], [right]) if not known.covers(name, one[0], one[1])]
        if found:
            return place, found
    return None


def main():
    options = arguments()
    protocol = wire.Protocol(run.find_jar())
    directory = tempfile.mkdtemp(prefix="millrace-walk-")
    ours = sides.start_ours(options.broker, options.port + 100, directory)
    theirs = sides.Broker("kafka", options.kafka_at) if options.kafka_at else sides.Kafka(run.peer_script(), options.port)
    known = compare.Known(os.path.join(HERE, "known_walks.txt"))
    try:
        ours.wait()
        theirs.wait()
        return walk_all(protocol, ours, theirs, known, options)
    finally:
        ours.stop()
        if not options.keep and not options.kafka_at:
            theirs.stop()


def walk_all(protocol, ours, theirs, known, options):
    served = run.both(run.served_by(protocol, ours), run.served_by(protocol, theirs), protocol)
    stamp = f"w{int(time.time()) % 1000000}"
    differing = steps = 0
    for name, walk in walks.WALKS:
        if options.only not in name:
            continue
        for seed in range(options.seed, options.seed + options.walks):
            pair = [sides.Side(protocol, b, served, f"{stamp}.{name}.{seed}") for b in (ours, theirs)]
            left, right = (compare.normal(take(walk, s, f"{name} {seed}", options.steps), s.scope) for s in pair)
            steps += len(right)
            found = first_difference(name, left, right, known)
            if found is None:
                continue
            place, paths = found
            differing += 1
            print(f"{name} seed {seed}, step {place}")
            for label, fact in right[max(0, place - (100 if options.verbose else 6)):place]:
                print(f"    {label} -> {run.short(fact)}")
            for label, path, a, b in paths:
                print(f"  {label} | {path}\n    millrace {run.short(a)}\n    kafka    {run.short(b)}", flush=True)
    print(f"{steps} answers compared: {differing} walks ended in a difference")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

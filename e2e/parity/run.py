#!/usr/bin/env python3
"""Asks Apache Kafka and millrace-broker the same things and compares what they answer. See README.md."""

import argparse
import concurrent.futures
import glob
import importlib
import os
import signal
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import compare  # noqa: E402
import registry  # noqa: E402
import sides  # noqa: E402
import wire  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", help="the millrace-broker to compare")
    parser.add_argument("--port", type=int, default=23100, help="Kafka listens here, millrace 100 above")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--keep", action="store_true", help="leave Kafka running for the next run (--kafka-at)")
    parser.add_argument("--kafka-at", type=int, help="a Kafka that already runs on this port")
    parser.add_argument("--quick", action="store_true", help="newest and oldest version of each API alone")
    parser.add_argument("--seconds", type=float, help="begin no case after so long, and say how far it came")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def peer_script():
    return os.path.join(HERE, "..", "peers", "kafka", "kafka-peer.sh")


def find_jar():
    home = os.environ.get("KAFKA_PEER_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "millrace", "kafka-peer")
    jars = glob.glob(os.path.join(home, "libs", "kafka-clients-*.jar"))
    if not jars:
        raise SystemExit("no kafka-clients jar: run e2e/peers/kafka/kafka-peer.sh install")
    return jars[0]


def served_by(protocol, broker):
    """{api: its versions} as the broker itself says."""
    connection = wire.Connection(protocol, sides.HOST, broker.port)
    answer = connection.ask("ApiVersions", 4, {"ClientSoftwareName": "parity", "ClientSoftwareVersion": "1"})
    connection.close()
    return {protocol.by_key[a["ApiKey"]]: range(a["MinVersion"], a["MaxVersion"] + 1)
            for a in answer["ApiKeys"] if a["ApiKey"] in protocol.by_key}


def both(first, second, protocol):
    """Versions that both serve and that the definitions describe."""
    common = {}
    for api in first.keys() & second.keys():
        versions = [v for v in first[api] if v in second[api] and v in protocol.requests[api].versions]
        if versions:
            common[api] = versions
    return common


def planned(served, options):
    for api, wanted, _, function in registry.CASES:
        versions = served.get(api, [])
        if wanted == "top":
            versions = versions[-1:]
        elif wanted is not None:
            versions = [v for v in versions if v in wanted]
        if options.quick and len(versions) > 2:
            versions = [versions[0], versions[-1]]
        for version in versions:
            name = f"{function.__module__.split('.')[-1]}.{function.__name__}"
            if options.only in f"{name}.v{version}":
                yield f"{name}.v{version}", function, version


def play(function, version, side):
    try:
        function(side, version)
    except Exception:  # noqa: BLE001 - the trace is the finding
        side.note("the case broke", traceback.format_exc(limit=-3))
    finally:
        side.close()
    return side.transcript


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    protocol = wire.Protocol(find_jar())
    for module in sorted(glob.glob(os.path.join(HERE, "cases", "*.py"))):
        importlib.import_module("cases." + os.path.basename(module)[:-3])
    known = compare.Known(os.path.join(HERE, "known.txt"))
    directory = tempfile.mkdtemp(prefix="millrace-parity-")
    ours = sides.start_ours(options.broker, options.port + 100, directory)
    if options.kafka_at:
        theirs = sides.Broker("kafka", options.kafka_at)
    else:
        theirs = sides.Kafka(peer_script(), options.port)
    try:
        ours.wait()
        theirs.wait()
        status = compare_all(protocol, ours, theirs, known, options)
    finally:
        ours.stop()
        if not options.keep and not options.kafka_at:
            theirs.stop()
    print(f"log of millrace-broker: {directory}/millrace.log")
    return status


def compare_all(protocol, ours, theirs, known, options):
    here, there = served_by(protocol, ours), served_by(protocol, theirs)
    served = both(here, there, protocol)
    run = f"p{int(time.time()) % 100000}" if options.kafka_at else "p"
    found, accepted, steps = {}, 0, 0
    cases = list(planned(served, options))
    began, played = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, function, version in cases:
            if options.seconds and time.monotonic() - began > options.seconds:
                break
            played += 1
            pair = [sides.Side(protocol, b, served, f"{run}.{name}") for b in (ours, theirs)]
            left, right = (compare.normal(t, s.scope) for t, s in
                           zip(pool.map(lambda s: play(function, version, s), pair), pair))
            steps += len(right)
            for label, path, a, b in compare.differences(left, right):
                if known.covers(name, label, path):
                    accepted += 1
                else:
                    finding = (name.rpartition(".")[0], path, short(a), short(b))
                    found.setdefault(finding, []).append((version, label))
            if options.verbose:
                print(f"-- {name}: {len(right)} steps")
    for (name, path, a, b), places in found.items():
        versions = sorted({v for v, _ in places})
        steps_of = list(dict.fromkeys(s for _, s in places))
        print(f"{name} v{','.join(map(str, versions))} | {'; '.join(steps_of)} | {path}\n  millrace {a}\n  kafka    {b}")
    new = sum(map(len, found.values()))
    print_apis(protocol, here, there)
    covered = {api for api, *_ in registry.CASES} & served.keys()
    if played < len(cases):
        print(f"the time was over after {played} of {len(cases)} cases")
    print(f"{played} cases over {len(covered)} of {len(served)} APIs, {steps} answers compared: "
          f"{new} differences, {accepted} known")
    for rule in known.unused() if not (options.only or options.quick or played < len(cases)) else ():
        print(f"known.txt has a rule that nothing needs: {rule[0].pattern} | {rule[1].pattern} | {rule[2].pattern}")
        new += 1
    return 1 if new else 0


def print_apis(protocol, here, there):
    """What Kafka's broker serves and we don't, and the other way round."""
    for api in sorted(there.keys() | here.keys(), key=lambda a: protocol.requests[a].key):
        a, b = here.get(api), there.get(api)
        if a != b:
            print(f"api {protocol.requests[api].key} {api}: millrace {span(a)}, kafka {span(b)}")


def span(versions):
    return "absent" if versions is None else f"{versions[0]}-{versions[-1]}"


def short(value):
    text = str(value)
    return text if len(text) < 300 else text[:300] + " ..."


if __name__ == "__main__":
    sys.exit(main())

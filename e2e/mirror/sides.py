"""What the checks of moments.py stand on: clusters of Apache Kafka and of ours, writers that know what was acknowledged, and kcat, which judges."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
from struct import error as struct_error  # of an answer that was cut off

import wire

HERE = pathlib.Path(__file__).resolve().parent
PEER = os.environ.get("KAFKA_PEER", str(HERE.parent / "peers/kafka/kafka-peer.sh"))
PORT = int(os.environ.get("PORT", "25600"))
MOMENTS = []


def moment(function):
    MOMENTS.append(function)
    return function


class Broken(Exception):
    pass


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    last = ""
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (Broken, OSError, subprocess.SubprocessError) as error:
            last = f" ({error})"
        time.sleep(0.1)
    raise Broken(f"not within {seconds} s: {what}{last}")


def expect(condition, what):
    if not condition:
        raise Broken(what)


def dump(address, topic, *more):
    done = subprocess.run(["timeout", "40", "kcat", "-b", address, "-t", topic, "-C", "-o", "beginning", "-e", "-q", "-f", "%p %o %T %k %S %s\n", *more],
                          capture_output=True, text=True)
    expect(done.returncode == 0, f"{topic} can't be read at {address}: {done.stderr.strip()}")
    return sorted(done.stdout.splitlines())


class Kafka:
    def __init__(self, port, *settings, nodes=1):
        self.port, self.address, self.addresses = port, f"127.0.0.1:{port}", [f"127.0.0.1:{port}"]
        self.env = dict(os.environ, KAFKA_PEER_PORT=str(port), KAFKA_PEER_NAME=f"moments-{port}", KAFKA_PEER_HEAP="400m", KAFKA_PEER_TOOL_HEAP="200m",
                        KAFKA_PEER_NODES=str(nodes))
        self.settings = settings
        self.run("wipe")
        self.start()

    def run(self, *words):
        done = subprocess.run(["timeout", "120", PEER, *words], env=self.env, capture_output=True, text=True)
        expect(done.returncode == 0, f"{words}: {done.stdout[-500:]} {done.stderr[-500:]}")
        return done.stdout

    def start(self):
        self.run("start", *self.settings)

    def stop(self):
        self.run("stop")

    def process_of(self, node):
        found = [line.split()[2] for line in self.run("status").splitlines() if line.startswith(f"node{node} ")]
        expect(found, f"node {node} runs")
        return int(found[0])

    def topic(self, name, partitions, **settings):
        self.run("cli", "topics", "--bootstrap-server", self.address, "--create", "--topic", name, "--partitions", str(partitions),
                 *[word for key, value in settings.items() for word in ("--config", f"{key.replace('_', '.')}={value}")])

    def grow(self, name, partitions):
        self.run("cli", "topics", "--bootstrap-server", self.address, "--alter", "--topic", name, "--partitions", str(partitions))

    def close(self):
        self.run("wipe")


class Millrace:
    """One to three brokers of ours."""

    def __init__(self, args, work, name, port, nodes=1, *settings):
        self.args, self.work, self.name, self.port, self.count = args, work, name, port, nodes
        self.settings, self.cluster_id = settings, f"Moments{name:x<14}a"
        self.processes = {}
        for n in range(1, nodes + 1):
            self.start(n)
        until(lambda: wire.Broker(self.address, 3), 40, f"{name} answers")

    def address_of(self, n):
        return f"127.0.0.1:{self.port + 3 * (n - 1)}"

    @property
    def addresses(self):
        return [self.address_of(n) for n, process in self.processes.items() if process.poll() is None]

    @property
    def address(self):
        return self.addresses[0]

    @property
    def bootstrap(self):
        return [self.address_of(n) for n in range(1, self.count + 1)]

    def admin_of(self, n):
        return f"127.0.0.1:{self.port + 3 * (n - 1) + 1}"

    def start(self, n):
        quorum = ",".join(f"{k}@127.0.0.1:{self.port + 3 * (k - 1) + 2}" for k in range(1, self.count + 1))
        copies = str(min(3, self.count))
        settings = [f"node.id={n}", "process.roles=broker,controller", f"log.dirs={self.work}/{self.name}-{n}",
                    f"listeners=PLAINTEXT://{self.address_of(n)},CONTROLLER://127.0.0.1:{self.port + 3 * (n - 1) + 2}",
                    "controller.listener.names=CONTROLLER", f"controller.quorum.voters={quorum}", f"cluster.id={self.cluster_id}",
                    f"millrace.admin.listener={self.admin_of(n)}", "millrace.metrics.listener=", f"offsets.topic.replication.factor={copies}",
                    "offsets.topic.num.partitions=4", "group.initial.rebalance.delay.ms=0", f"default.replication.factor={copies}",
                    f"min.insync.replicas={max(1, int(copies) - 1)}", "auto.create.topics.enable=false", *self.settings]
        self.processes[n] = subprocess.Popen([self.args.broker, *[word for one in settings for word in ("--set", one)]],
                                             stdout=open(f"{self.work}/{self.name}-{n}.log", "a"), stderr=subprocess.STDOUT)

    def join(self, n):
        """A broker that is no controller."""
        ports = [self.port + 3 * (n - 1) + k for k in range(3)]
        quorum = ",".join(f"{k}@127.0.0.1:{self.port + 3 * (k - 1) + 2}" for k in range(1, self.count + 1))
        settings = [f"node.id={n}", "process.roles=broker", f"log.dirs={self.work}/{self.name}-{n}", f"listeners=PLAINTEXT://127.0.0.1:{ports[0]}",
                    "controller.listener.names=CONTROLLER", f"controller.quorum.voters={quorum}", f"cluster.id={self.cluster_id}",
                    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", f"millrace.admin.listener=127.0.0.1:{ports[1]}",
                    "millrace.metrics.listener=", *self.settings]
        self.processes[n] = subprocess.Popen([self.args.broker, *[word for one in settings for word in ("--set", one)]],
                                             stdout=open(f"{self.work}/{self.name}-{n}.log", "a"), stderr=subprocess.STDOUT)
        until(lambda: wire.Broker(self.address_of(n), 3), 40, f"{self.name}-{n} answers")

    def move(self, topic, replicas):
        """Replicas by partition."""
        plan = pathlib.Path(f"{self.work}/plan.json")
        plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": p, "replicas": to} for p, to in replicas.items()]}))
        env = dict(os.environ, KAFKA_PEER_TOOL_HEAP="200m")
        done = subprocess.run(["timeout", "60", PEER, "cli", "reassign-partitions", "--bootstrap-server", self.address, "--reassignment-json-file", str(plan),
                               "--execute"], env=env, capture_output=True, text=True)
        expect(done.returncode == 0, f"replicas can't be moved: {done.stdout[-400:]} {done.stderr[-400:]}")

    def kill(self, n):
        self.processes[n].kill()
        self.processes[n].wait()

    def call(self, call, message, n=None):
        alive = [k for k, process in self.processes.items() if process.poll() is None]
        done = subprocess.run([self.args.admin_call, self.admin_of(n or alive[0]), call, json.dumps(message)], capture_output=True, text=True, timeout=60)
        expect(done.returncode == 0, f"{call}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def topic(self, name, partitions, **settings):
        wanted = {"name": name, "partitions": partitions, "configs": {key.replace("_", "."): str(value) for key, value in settings.items()}}
        # Refused, in the answer's topics, while no broker has registered.
        until(lambda: self.call("CreateTopics", {"topics": [wanted]}) and name in self.topics(), 20, f"{name} is made")

    def grow(self, name, partitions):
        self.call("CreatePartitions", {"topics": [{"name": name, "total": partitions}]})

    def link(self, source, state="MIRRORING", promotion="PLANNED", truncate=False, topics=("t*",), name="link", **more):
        bootstrap = source.bootstrap if isinstance(source, Millrace) else [source] if isinstance(source, str) else [source.address]
        spec = {"name": name, "source": {"bootstrap_servers": bootstrap, **more.pop("source_more", {})},
                "topics": {"include": list(topics), **more.pop("topics_more", {})},
                "groups": {"include": ["*"], "interval_ms": 500}, "state": f"LINK_DESIRED_{state}", "promotion": f"LINK_PROMOTION_{promotion}",
                "truncate_existing": truncate, **more}
        until(lambda: self.call("ApplyLink", {"link": spec}), 30, f"link {name} is applied")

    def state(self, name="link"):
        """As whoever looks after the link says; the others know less."""
        states = []
        for n, process in self.processes.items():
            if process.poll() is None:
                states.append(self.call("GetLink", {"name": name}, n).get("state", {}))
        return max(states, key=lambda one: (bool(one.get("message")), len(one.get("worstTopics", one.get("worst_topics", [])))))

    def in_state(self, wanted, name="link"):
        by_state = self.state(name).get("topics_by_state", self.state(name).get("topicsByState", {}))
        return bool(by_state) and set(by_state) == {wanted}

    def log(self, n=1):
        return pathlib.Path(f"{self.work}/{self.name}-{n}.log").read_text()

    def setting(self, topic, name):
        """What is set for the topic itself; None if nothing is."""
        answer = self.call("DescribeConfigs", {"resources": [{"type": "CONFIG_RESOURCE_TYPE_TOPIC", "name": topic}], "keys": [name]})
        return answer["resources"][0].get("entries", [{}])[0].get("value") or None

    def sealed_epochs(self, topic):
        """By partition: the first epoch of its own that it was promoted into."""
        entries = self.setting(topic, "millrace.mirror.promotion") or ""
        return {int(one.split(":")[0]): int(one.split(":")[3]) for one in entries.split(",") if one}

    def leader_of(self, topic, partition):
        """The number of the broker."""
        done = subprocess.run(["timeout", "10", "kcat", "-b", self.address, "-L", "-J", "-t", topic], capture_output=True, text=True)
        for one in json.loads(done.stdout)["topics"][0]["partitions"]:
            if one["partition"] == partition:
                return one["leader"]
        return -1

    def topics(self):
        done = subprocess.run(["timeout", "10", "kcat", "-b", self.address, "-L", "-J"], capture_output=True, text=True)
        return {one["topic"]: len(one["partitions"]) for one in json.loads(done.stdout)["topics"] if not one["topic"].startswith("__")}

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


class Writer:
    """Numbered records, one after the other, to whichever side takes them; knows which were acknowledged where."""
    writers = 0

    def __init__(self, places, *sides):
        Writer.writers += 1
        self.name = Writer.writers
        self.places, self.sides = places, sides
        self.acknowledged = {side: [] for side in sides}
        self.order = []  # of all sides
        self.met = {}  # what was answered last, by side and place
        self.next, self.stopping = 0, False
        self.connections = {}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def ways(self):
        return [(side, address) for side in self.sides for address in side.addresses]

    def run(self):
        at = {place: 0 for place in self.places}  # who took its last record, if he still does
        while not self.stopping:
            place, ways = self.places[self.next % len(self.places)], self.ways()
            if not ways:
                time.sleep(0.02)
                continue
            side, address = ways[at[place] % len(ways)]
            value = f"{self.name}-{self.sides.index(side)}-{self.next}"
            self.next += 1  # it may be there all the same: never twice under one number
            error = self.send(address, place, value)
            self.met[side, place] = error
            if error == 0:
                self.acknowledged[side].append((place, value))
                self.order.append((place, value))
                time.sleep(0.002)
            else:
                at[place] += 1
                time.sleep(0.01)

    def send(self, address, place, value):
        try:
            connection = self.connections.get(address) or wire.Broker(address, 5)
            self.connections[address] = connection
            return connection.produce([place], wire.batch(value.encode(), int(time.time() * 1000)))[place]
        except (OSError, KeyError, IndexError, struct_error) as error:
            self.connections.pop(address, None)
            return str(error)

    def wait_for(self, side, count, seconds=40):
        have = len(self.acknowledged[side])
        met = lambda: ", ".join(f"{place[0]}-{place[1]}: {error}" for (of, place), error in sorted(self.met.items(), key=lambda one: one[0][1]) if of == side)
        try:
            until(lambda: len(self.acknowledged[side]) >= have + count, seconds, f"{count} more records are taken")
        except Broken as error:
            raise Broken(f"{error}; {len(self.acknowledged[side]) - have} were, last answers {met()}") from None

    def stop(self):
        self.stopping = True
        self.thread.join()

    def all(self):
        """In the order in which they were acknowledged."""
        return list(self.order)


def read_all(address, topics):
    """Values with their offsets, by place, in the order of the log."""
    there = {}
    for topic in topics:
        for line in dump(address, topic):
            place, offset = line.split(" ")[:2]
            there.setdefault((topic, int(place)), []).append((int(offset), line.rsplit(" ", 1)[1]))
    return {place: sorted(records) for place, records in there.items()}


def missing(writer_records, address, topics):
    there = {}
    for place, records in read_all(address, topics).items():
        for _, value in records:
            there[*place, value] = there.get((*place, value), 0) + 1
    lost = [one for one in writer_records if there.get((*one[0], one[1]), 0) == 0]
    twice = [key for key, count in there.items() if count > 1]
    return lost, twice


def expect_kept(writer_records, address, topics):
    """Every acknowledged record once, and each place's in the order in which they were acknowledged."""
    lost, twice = missing(writer_records, address, topics)
    expect(not lost and not twice, f"lost {lost[:3]} ({len(lost)}), twice {twice[:3]} of {len(writer_records)} at {address}")
    at = {(place, value): n for place, records in read_all(address, topics).items() for n, (_, value) in enumerate(records)}
    last = {}
    for place, value in writer_records:
        expect(at[place, value] > last.get(place, -1), f"{value} lies before one that was acknowledged earlier, at {address}")
        last[place] = at[place, value]


def same(a, b, topic, there=None):
    left, right = dump(a, topic), dump(b, there or topic)
    return bool(left) and left == right


class World:
    def __init__(self, args):
        self.args, self.parts = args, []
        self.work = tempfile.mkdtemp(prefix="mirror-moments-")

    def kafka(self, *settings, nodes=1):
        """Of several nodes the second has port PORT + 10, and so on; the first one leads the quorum."""
        self.parts.append(Kafka(PORT, *settings, nodes=nodes))
        return self.parts[-1]

    def ours(self, name, nodes=1, *settings, port=None):
        port = port or PORT + 10 + 12 * sum(isinstance(one, Millrace) for one in self.parts)
        self.parts.append(Millrace(self.args, self.work, name, port, nodes, *settings))
        return self.parts[-1]

    def close(self, failed):
        for part in self.parts:
            if failed and isinstance(part, Millrace):
                for n in part.processes:
                    print(f"--- {part.name}-{n}", *pathlib.Path(f"{self.work}/{part.name}-{n}.log").read_text().splitlines()[-15:], sep="\n")
            part.close()
        if os.environ.get("KEEP"):
            print(f"kept: {self.work}")
        else:
            shutil.rmtree(self.work, ignore_errors=True)



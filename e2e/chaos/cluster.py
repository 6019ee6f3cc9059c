"""Three real broker processes, Millrace's or Apache Kafka's, each broker and controller, and maybe others that are brokers
alone, on loopback ports or in network namespaces of their own. Everything a node did is in DIR/<node>.log."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

KAFKA_LIBS = os.environ.get("KAFKA_PEER_LIBS", os.path.expanduser("~/.cache/millrace/kafka-peer/libs"))
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers", "kafka")
NODES = (1, 2, 3)


def wait_until(what, condition, patience=60):
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"in {patience} s: {what}")
        time.sleep(0.05)


def jars():
    return f"{KAFKA_LIBS}/*"


def java(heap, *arguments, classes="", options=()):
    """The command that runs a program of Kafka's, or of ours below `classes`."""
    return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-Djava.awt.headless=true", *options,
            f"-Dlog4j2.configurationFile={PEER}/log4j2.yaml", "-cp", f"{classes}:{jars()}" if classes else jars(), *arguments]


class Cluster:
    """`place(node)`: (address, command prefix) of a node; default: loopback and ports from `port` on. `settings(node)`: its
    own. `nodes` beyond the three of NODES are brokers alone."""

    def __init__(self, kind, directory, port, broker="", settings=None, place=None, data=None, nodes=NODES):
        self.kind, self.directory, self.port, self.broker, self.nodes = kind, directory, port, broker, nodes
        self.settings, self.place = settings or (lambda node: []), place or (lambda node: ("127.0.0.1", []))
        self.data = data or (lambda node: f"{directory}/{node}.data")
        self.processes = {}
        os.makedirs(directory, exist_ok=True)

    def address(self, node):
        return f"{self.place(node)[0]}:{self.port + 10 * node}"

    @property
    def bootstrap(self):
        return ",".join(self.address(n) for n in self.nodes)

    def _properties(self, node):
        voters = ",".join(f"{n}@{self.place(n)[0]}:{self.port + 10 * n + 1}" for n in NODES)
        controls = node in NODES
        listeners = f"PLAINTEXT://{self.address(node)}"
        if controls:
            listeners += f",CONTROLLER://{self.place(node)[0]}:{self.port + 10 * node + 1}"
        lines = [
            f"node.id={node}", f"process.roles={'broker,controller' if controls else 'broker'}",
            f"log.dirs={self.data(node)}", f"listeners={listeners}",
            "controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            f"controller.quorum.voters={voters}", "default.replication.factor=3", "min.insync.replicas=2",
            "offsets.topic.replication.factor=3", "offsets.topic.num.partitions=2", "auto.create.topics.enable=false",
            *self.settings(node)]
        if self.kind == "millrace":
            lines += ["cluster.id=cGVlcmthZmthcGVlcmthZg", "millrace.metrics.listener=", "millrace.admin.listener=",
                      "millrace.supervisor=restart"]
        path = f"{self.directory}/{node}.properties"
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def start(self, node):
        properties, prefix = self._properties(node), self.place(node)[1]
        if self.kind == "millrace":
            command = [self.broker, "--config", properties]
        else:
            if not os.path.exists(f"{self.data(node)}/meta.properties"):
                subprocess.run(java("256m", "kafka.tools.StorageTool", "format", "-t", "cGVlcmthZmthcGVlcmthZg",
                                    "-c", properties), check=True, capture_output=True)
            command = java("384m", "kafka.Kafka", properties)
        log = open(f"{self.directory}/{node}.log", "ab")
        self.processes[node] = subprocess.Popen(prefix + command, stdout=log, stderr=log, start_new_session=True,
                                                env={**os.environ, "KAFKA_PEER_LOG": "INFO"})

    def start_all(self):
        for node in self.nodes:
            self.start(node)
        wait_until("all brokers", lambda: len(self.metadata().get("brokers", [])) == len(self.nodes), 120)

    def signal(self, node, number):
        self.processes[node].send_signal(number)

    def worker(self, node):
        """The process that serves: below a supervisor, or the only one."""
        pid = self.processes[node].pid
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return int((children.read().split() or [pid])[0])

    def freeze(self, node):
        """Stops it; the answer lets it go on, if it is still there."""
        pid = self.worker(node)
        os.kill(pid, signal.SIGSTOP)

        def thaw():
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass  # its supervisor has ended it
        return thaw

    def kill(self, node):
        self.signal(node, signal.SIGKILL)
        self.processes.pop(node).wait()

    def stop(self, node, patience=60):
        self.signal(node, signal.SIGTERM)
        status = self.processes.pop(node).wait(patience)
        if status not in (0, 143):
            raise RuntimeError(f"node {node} ended with {status}")

    def close(self):
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()

    def metadata(self, topic="", ask=None):
        servers = ask or ",".join(self.address(n) for n in self.nodes if n in self.processes) or self.bootstrap
        command = ["kcat", "-b", servers, "-L", "-J", "-m", "3"] + (["-t", topic] if topic else [])
        try:
            return json.loads(subprocess.run(command, capture_output=True, timeout=8).stdout or b"{}")
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            return {}

    def partitions(self, topic):
        """{partition: (leader, isr)}"""
        topics = self.metadata(topic).get("topics", [])
        return {p["partition"]: (p["leader"], sorted(r["id"] for r in p["isrs"]))
                for t in topics if t["topic"] == topic for p in t.get("partitions", [])}

    def replicas(self, topic):
        """{partition: its brokers}; while one is moved, with those that come and those that go."""
        topics = self.metadata(topic).get("topics", [])
        return {p["partition"]: {r["id"] for r in p["replicas"]}
                for t in topics if t["topic"] == topic for p in t.get("partitions", [])}

    def _tool(self, name, *arguments):
        done = subprocess.run(java("128m", f"org.apache.kafka.tools.{name}", "--bootstrap-server", self.bootstrap, *arguments),
                              capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stdout} {done.stderr}")
        return done.stdout

    def create_topic(self, topic, partitions, led_by=None):
        """Three replicas of each partition, anywhere, or all led by one node."""
        where = ["--partitions", str(partitions), "--replication-factor", "3"]
        if led_by:
            order = [led_by, *(node for node in NODES if node != led_by)]
            where = ["--replica-assignment", ",".join([":".join(map(str, order))] * partitions)]
        self._tool("TopicCommand", "--create", "--topic", topic, *where)
        self.wait_whole(topic)

    def reassign(self, topic, partitions, brokers, *arguments):
        """What kafka-reassign-partitions says of moving these partitions to `brokers`."""
        path = f"{self.directory}/moves.json"
        with open(path, "w") as file:
            json.dump({"version": 1, "partitions": [{"topic": topic, "partition": p, "replicas": list(brokers)}
                                                    for p in partitions]}, file)
        return self._tool("reassign.ReassignPartitionsCommand", "--reassignment-json-file", path, *arguments)

    def wait_whole(self, topic, patience=120):
        def whole():
            found = self.partitions(topic)
            return found and all(len(isr) == 3 and leader > 0 for leader, isr in found.values())
        wait_until(f"{topic} with all replicas in sync", whole, patience)

    def controller(self):
        """Who became the active controller last, as the logs tell."""
        mark = re.compile(rb"metadata\.controller_active epoch=(\d+)" if self.kind == "millrace"
                          else rb"Becoming the active controller at epoch (\d+)")
        claims = []
        for node in NODES:
            with open(f"{self.directory}/{node}.log", "rb") as log:
                claims += [(int(epoch), node) for epoch in mark.findall(log.read())]
        return max(claims)[1]


def scratch(name):
    directory = f"{os.environ.get('TMPDIR', '/tmp')}/millrace-{name}-{os.getpid()}"
    shutil.rmtree(directory, ignore_errors=True)
    return directory


def find_broker():
    broker = os.environ.get("MILLRACE_BROKER", "")
    if not os.access(broker, os.X_OK):
        sys.exit("MILLRACE_BROKER does not name a broker program (make build makes one)")
    return broker

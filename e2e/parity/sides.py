"""The two brokers under comparison, and one case's view of either."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
import uuid

from wire import Closed, Connection, Silent, WireError

HOST = "127.0.0.1"
NO_ID = uuid.UUID(int=0)

# What both are told. Short times where a case would otherwise have to wait for Kafka's defaults.
SETTINGS = {
    "num.partitions": "2",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "100",
    "group.max.session.timeout.ms": "60000",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": "5000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "1000",
    "group.max.size": "8",
    # Assign at once: when Kafka gathers changes, what a member is told first is a matter of milliseconds.
    "group.consumer.assignment.interval.ms": "0",
    "message.max.bytes": "100000",
    "auto.create.topics.enable": "true",
}


class Broker:
    """One running broker."""

    def __init__(self, name, port, process=None):
        self.name, self.port, self.process = name, port, process

    def wait(self, seconds=90):
        """Until it answers. Kafka's start takes some ten seconds of CPU."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process and self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended with {self.process.returncode}")
            with contextlib.suppress(OSError):
                socket.create_connection((HOST, self.port), timeout=1).close()
                return
            time.sleep(0.1)
        raise SystemExit(f"{self.name} does not answer on port {self.port}")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)


def start_ours(binary, port, directory, extra=()):
    data = os.path.join(directory, "millrace")
    shutil.rmtree(data, ignore_errors=True)
    own = {"node.id": "1", "log.dirs": data, "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{port + 1}",
           "controller.listener.names": "CONTROLLER", "millrace.metrics.listener": "", "millrace.admin.listener": ""}
    command = [binary]
    for key, value in {**own, **SETTINGS, **dict(extra)}.items():
        command += ["--set", f"{key}={value}"]
    log = open(os.path.join(directory, "millrace.log"), "w")
    return Broker("millrace", port, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))


class Kafka(Broker):
    """Apache Kafka by e2e/peers/kafka/kafka-peer.sh."""

    def __init__(self, script, port):
        super().__init__("kafka", port)
        self.script = script
        self.environment = {**os.environ, "KAFKA_PEER_PORT": str(port), "KAFKA_PEER_NAME": f"parity-{port}",
                            "KAFKA_PEER_HEAP": "512m"}
        self._run("wipe")
        self._run("start", *(f"{k}={v}" for k, v in SETTINGS.items()))

    def _run(self, *arguments):
        subprocess.run([self.script, *arguments], env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def stop(self):
        self._run("wipe")


class Side:
    """What a case holds: a broker, a connection to it, and the transcript of what was answered."""

    def __init__(self, protocol, broker, served, scope):
        self.protocol, self.broker, self.served, self.scope = protocol, broker, served, scope
        self.transcript = []
        self._connections = {}

    def name(self, word):
        """A name of this case's own, the same on both sides."""
        return f"{self.scope}.{word}"

    def connection(self, who="parity"):
        if who not in self._connections:
            self._connections[who] = Connection(self.protocol, HOST, self.broker.port, who)
        return self._connections[who]

    def close(self):
        for connection in self._connections.values():
            connection.close()

    def top(self, api):
        """The newest version that both serve."""
        return self.served[api][-1]

    def tell(self, api, body, version=None, who="parity"):
        """Asks without recording: the scenery of a case."""
        return self._ask(api, self.top(api) if version is None else version, body, who)

    def ask(self, label, api, version, body, who="parity"):
        """Asks, and what comes back is compared with the other side."""
        answer = self._ask(api, version, body, who)
        self.note(label, answer)
        return answer

    def note(self, label, fact):
        self.transcript.append((label, fact))

    def until(self, api, body, wanted, seconds=15, version=None, who="parity"):
        """Asks again until the answer is as wanted."""
        end = time.monotonic() + seconds
        while True:
            answer = self.tell(api, body, version, who)
            if wanted(answer) or time.monotonic() > end:
                return answer
            time.sleep(0.02)

    def _ask(self, api, version, body, who):
        try:
            return self.connection(who).ask(api, version, body)
        except (Closed, Silent, WireError) as end:
            self._connections.pop(who).close()
            return {"Unanswered": f"{type(end).__name__} {end}" if isinstance(end, WireError) else type(end).__name__}

    # --- scenery that many cases need

    def topic(self, word="t", partitions=1, **configs):
        name = self.name(word)
        self.tell("CreateTopics", {"timeoutMs": 10000, "Topics": [{
            "Name": name, "NumPartitions": partitions, "ReplicationFactor": 1,
            "Configs": [{"Name": k.replace("_", "."), "Value": str(v)} for k, v in configs.items()]}]})
        self.ready(name, partitions)
        return name

    def ready(self, name, partitions=1):
        """Metadata comes before the replica: until every partition answers for itself."""
        self.until("ListOffsets", {"ReplicaId": -1, "Topics": [{"Name": name, "Partitions": [
            {"PartitionIndex": p, "Timestamp": -1} for p in range(partitions)]}]},
            lambda a: all(p["ErrorCode"] == 0 for p in a["Topics"][0]["Partitions"]))

    def topic_id(self, name):
        answer = self.tell("Metadata", {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})
        return answer["Topics"][0].get("TopicId", NO_ID)

    def produce(self, topic, data, partition=0, acks=-1, transactional_id=None):
        return self.tell("Produce", {
            "TransactionalId": transactional_id, "Acks": acks, "TimeoutMs": 10000,
            "TopicData": [{"Name": topic, "PartitionData": [{"Index": partition, "Records": data}]}]}, version=12)

    def coordinator(self, key, kind=0):
        return self.until("FindCoordinator", {"Key": key, "KeyType": kind}, lambda a: a["ErrorCode"] == 0, version=3)

    def group(self, word="g"):
        """A group id whose coordinator is ready."""
        name = self.name(word)
        self.coordinator(name)
        self.until("Heartbeat", {"GroupId": name, "MemberId": "nobody"}, lambda a: a["ErrorCode"] not in (14, 15, 16))
        return name

"""What a random walk does: each asks for things that a client may ask for, in an order that no client would."""

import time
import uuid

from records import batch
from sides import NO_ID, Silent
from wire import Closed

WALKS = []
NOW = int(time.time() * 1000)  # For records that retention shall leave alone; the same on both sides.
PATIENCE = 0.2  # How long an answer may take before it counts as being held back.


def walk(function):
    WALKS.append((function.__name__, function))
    return function


class Party:
    """Connections on which an answer may be held back."""

    def __init__(self, side):
        self.side, self.waiting = side, {}

    def ask(self, label, who, api, version, body, on_answer=lambda a: a):
        connection = self.side.connection(who)
        connection.post(api, version, body)
        self.waiting[who] = (label, api, version, on_answer)
        self.listen()

    def listen(self):
        for who in list(self.waiting):
            label, api, version, on_answer = self.waiting[who]
            connection = self.side.connection(who)
            connection.socket.settimeout(PATIENCE)
            try:
                answer = connection.answer(api, version)
            except Silent:
                continue
            except Closed:
                answer = {"Unanswered": "Closed"}
            finally:
                connection.socket.settimeout(10)
            del self.waiting[who]
            self.side.note(f"{who}: {label}", on_answer(answer))

    def is_waiting(self, who):
        return who in self.waiting


@walk
def producers(side, draw):
    name = side.topic()
    ids = [side.until("InitProducerId", {"TransactionalId": None, "TransactionTimeoutMs": 1000},
                      lambda a: a["ErrorCode"] == 0)["ProducerId"] for _ in range(2)]
    for producer in ids:
        side.produce(name, batch(producer=producer, epoch=0, sequence=0, time=NOW))
    after = {producer: [0, 1] for producer in ids}
    yield
    while True:
        producer = draw.choice(ids)
        epoch, sequence = after[producer]
        kind = draw.random()
        if kind < 0.5:
            step = 0
        else:
            step = draw.choice((-8, -7, -6, -5, -4, -3, -2, -1, 1, 2, -sequence, 2**31 - 1 - sequence))
        said_epoch = epoch + draw.choice((0,) * 12 + (1, -1, 2))
        if said_epoch > epoch and draw.random() < 0.7:
            first = 0
        else:
            first = max(0, sequence + step)
        count = draw.choice((1, 1, 2, 3))
        acks = draw.choice((-1, 1))
        if said_epoch < 0:
            continue
        version = draw.choice(list(side.served["Produce"]))
        topic = {"TopicId": side.topic_id(name)} if version >= 13 else {"Name": name}
        answer = side.ask(f"v{version} producer {ids.index(producer)} epoch {said_epoch} sequence {first} count {count} acks {acks}",
                          "Produce", version, {"Acks": acks, "TimeoutMs": 5000, "TransactionalId": None, "TopicData": [
                              {**topic, "PartitionData": [{"Index": 0, "Records": batch([b"v"] * count, producer=producer, epoch=said_epoch,
                                                                                        sequence=first, time=NOW)}]}]})
        if answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0 and (said_epoch > epoch or first == sequence):
            after[producer] = [said_epoch, first + count]
        yield


@walk
def sessions(side, draw):
    names = [side.topic("a", partitions=2), side.topic("b", partitions=2)]
    version = draw.choice([v for v in side.served["Fetch"] if v >= 7])
    identity = {n: side.topic_id(n) for n in names}
    session, epoch = 0, 0
    ends = {(n, p): 0 for n in names for p in (0, 1)}
    yield

    def topics(parts, fetch):
        by_topic = {}
        for name, partition in parts:
            said = {"Partition": partition, "FetchOffset": draw.choice((0, ends[name, partition] if partition < 2 else 0)),
                    "PartitionMaxBytes": draw.choice((1, 100, 1 << 20)), "CurrentLeaderEpoch": draw.choice((-1, -1, 0, 1) if version >= 9 else (-1,))}
            by_topic.setdefault(name, []).append(said if fetch else partition)
        return [{**({"TopicId": identity[n]} if version >= 13 else {"Topic": n}), "Partitions": p} for n, p in by_topic.items()]

    def some():
        parts = [(n, p) for n in names for p in (0, 1, 7)]
        return draw.sample(parts, draw.randrange(0, 4))
    while True:
        if draw.random() < 0.3:
            name, partition = draw.choice(names), draw.choice((0, 1))
            side.produce(name, batch([b"x" * 50] * 2, time=NOW), partition=partition)
            ends[name, partition] += 2
        wanted, forgotten = topics(some(), True), topics(some(), False)
        kind = draw.random()
        if session == 0 or kind < 0.1:
            said, at = draw.choice((0, session)), draw.choice((0, 0, 0, -1))
        elif kind < 0.2:
            said, at = session + draw.choice((0, 7)), epoch + draw.choice((-1, 1, 3))
        else:
            said, at = session, epoch
        answer = side.tell("Fetch", {
            "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "SessionId": said, "SessionEpoch": at,
            "Topics": wanted, "ForgottenTopicsData": forgotten}, version)
        # Kafka names a topic once for its readable partitions and once more for the others.
        side.note(f"v{version} {'same' if said == session else 'other'} session epoch {at}", {**answer, "Responses": [
            {"Of": next(n for n in names if n == t.get("Topic") or identity[n] == t.get("TopicId")), "Of what": p}
            for t in answer["Responses"] for p in t["Partitions"]]})
        if at == 0:
            session, epoch = answer["SessionId"], 1
        elif at == -1 and said == session:
            session = 0
        elif answer.get("ErrorCode") == 0 and said == session:
            epoch = at + 1
            if answer["SessionId"] == 0:
                session = 0
        yield


def counted(value, field=""):
    """Which of two members has which partition is the assignor's choice; how many each has is compared."""
    if isinstance(value, dict):
        return {k: counted(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return len(value) if field == "Partitions" and all(isinstance(v, int) for v in value) else [counted(v, field) for v in value]
    return len(value) if field in ("Assignment", "MemberAssignment") and isinstance(value, bytes) else value


PROTOCOLS = ([{"Name": "range", "Metadata": b"\x00\x01"}, {"Name": "sticky", "Metadata": b"\x00\x02"}], [{"Name": "range", "Metadata": b"\x00\x07"}],
             [{"Name": "sticky", "Metadata": b"\x00\x02"}], [{"Name": "strange", "Metadata": b""}])


@walk
def members(side, draw):
    """Two members, dynamic or static, of one classic group."""
    group, name = side.group(), side.topic(partitions=2)
    party = Party(side)
    static = draw.random() < 0.5
    state = {who: {"id": "", "generation": -1, "instance": f"instance-{who}" if static and who == "a" else None} for who in "ab"}
    yield

    def remember(who):
        def keep(answer):
            if answer.get("MemberId") and answer.get("ErrorCode") in (0, 79):
                state[who]["id"] = answer["MemberId"]
            if answer.get("ErrorCode") == 0 and "GenerationId" in answer:
                state[who]["generation"] = answer["GenerationId"]
            return answer
        return keep

    def version_of(api, since=0):
        return draw.choice([v for v in side.served[api] if v >= since])
    while True:
        who = draw.choice("ab")
        me = state[who]
        other = state["b" if who == "a" else "a"]
        identity = draw.choice([me["id"]] * 8 + ["", other["id"], "stranger"])
        generation = me["generation"] + draw.choice((0,) * 8 + (1, -1))
        instance = draw.choice([me["instance"]] * 8 + ["nobody"])
        since = lambda v: {"GroupInstanceId": instance} if v else {}  # noqa: E731
        op = draw.choice(("join",) * 5 + ("sync",) * 5 + ("beat",) * 3 + ("leave", "commit", "commit", "fetch", "describe", "delete", "drop"))
        if party.is_waiting(who) and op in ("join", "sync"):
            op = "beat"
        about = f"as {'itself' if identity == me['id'] else identity[:8] and 'another'} generation {generation} instance {instance}"
        if op == "join":
            version = version_of("JoinGroup", 5 if me["instance"] else 0)
            chosen = draw.choice((0,) * 8 + (1, 1, 2, 3))
            party.ask(f"joins v{version} with {chosen} {about}", who, "JoinGroup", version, {
                "GroupId": group, "SessionTimeoutMs": 30000, "RebalanceTimeoutMs": 30000, "MemberId": identity, "ProtocolType": "consumer",
                "Protocols": PROTOCOLS[chosen], **since(version >= 5)}, remember(who))
        elif op == "sync":
            version = version_of("SyncGroup", 3 if me["instance"] else 0)
            protocol = draw.choice((("consumer", "range"),) * 8 + (("consumer", "sticky"), ("connect", "range"), (None, None)))
            party.ask(f"syncs v{version} {protocol} {about}", who, "SyncGroup", version, {
                "GroupId": group, "GenerationId": generation, "MemberId": identity, **since(version >= 3),
                "Assignments": [{"MemberId": s["id"], "Assignment": s["instance"].encode() if s["instance"] else b"w"}
                                for s in state.values() if s["id"]] if draw.random() < 0.8 else [],
                **({"ProtocolType": protocol[0], "ProtocolName": protocol[1]} if version >= 5 else {})})
        elif op == "beat":
            version = version_of("Heartbeat", 3 if me["instance"] else 0)
            side.ask(f"{who} beats v{version} {about}", "Heartbeat", version, {
                "GroupId": group, "GenerationId": generation, "MemberId": identity, **since(version >= 3)}, who="beats")
        elif op == "leave":
            version = version_of("LeaveGroup")
            leaving = {"MemberId": identity} if version < 3 else {"Members": [
                {"MemberId": draw.choice((identity, "")), "GroupInstanceId": instance}]}
            side.ask(f"{who} leaves v{version} {about}", "LeaveGroup", version, {"GroupId": group, **leaving}, who="beats")
        elif op == "commit":
            version = draw.choice([v for v in side.served["OffsetCommit"] if v < 10])
            side.ask(f"{who} commits v{version} {about}", "OffsetCommit", version, {
                "GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": identity, **since(version >= 7), "Topics": [
                    {"Name": draw.choice((name, name, name, "nowhere")), "Partitions": [
                        {"PartitionIndex": draw.choice((0, 1, 5)), "CommittedOffset": draw.randrange(9), "CommittedMetadata": ""}]}]}, who="beats")
        elif op == "fetch":
            side.ask("offsets", "OffsetFetch", 7, {"GroupId": group, "Topics": None}, who="beats")
        elif op == "describe":
            answer = side.tell("DescribeGroups", {"Groups": [group]}, draw.choice((5, 6)), who="beats")
            for one in answer["Groups"]:
                for part in one["Members"]:
                    part.pop("MemberMetadata")
            side.note("described", answer)
        elif op == "delete" and draw.random() < 0.3:
            side.ask("delete", "DeleteGroups", 2, {"GroupsNames": [group]}, who="beats")
        elif op == "drop":
            side.ask("drop offsets", "OffsetDelete", 0, {"GroupId": group, "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": 0}]}]},
                     who="beats")
        party.listen()
        yield


@walk
def consumers(side, draw):
    """Members of KIP-848, some of them static, and a classic one that comes along."""
    group, name, other = side.group(), side.topic(partitions=4), side.topic("other", partitions=1)
    topic = side.topic_id(name)
    ids = [str(uuid.UUID(int=n)) for n in (1, 2)]
    state = {i: {"epoch": 0, "owned": []} for i in ids}
    instances = {ids[0]: "one" if draw.random() < 0.5 else None, ids[1]: None}
    yield
    while True:
        who = draw.choice(ids)
        me = state[who]
        version = draw.choice(list(side.served["ConsumerGroupHeartbeat"]))
        epoch = draw.choice([me["epoch"]] * 10 + [0, me["epoch"] - 1, me["epoch"] + 1, -1] + ([-2] if instances[who] else []))
        identity = draw.choice([who] * 12 + [str(uuid.UUID(int=3))])
        instance = draw.choice([instances[who]] * 10 + ["one"])
        body = {"GroupId": group, "MemberId": identity, "MemberEpoch": epoch, "InstanceId": instance}
        full = epoch == 0 or draw.random() < 0.15
        if full:
            body |= {"RebalanceTimeoutMs": 30000, "SubscribedTopicNames": draw.choice(([name],) * 4 + ([], ["nowhere"], [name, other])),
                     "TopicPartitions": [] if epoch == 0 else me["owned"]}
        elif draw.random() < 0.6:
            body["TopicPartitions"] = draw.choice([me["owned"]] * 6 + [[], [{"TopicId": topic, "Partitions": [0]}]])
        if draw.random() < 0.1:
            body["SubscribedTopicNames"] = draw.choice(([name], [], [name, other]))
        if draw.random() < 0.05:
            body["ServerAssignor"] = "range"
        answer = side.tell("ConsumerGroupHeartbeat", body, version)
        side.note(f"v{version} member {ids.index(who)}{'' if identity == who else ' as another'} epoch {epoch} instance {instance} "
                          f"{ {k: v if k != 'TopicPartitions' else sorted(len(t['Partitions']) for t in v) for k, v in body.items() if k in ('SubscribedTopicNames', 'ServerAssignor', 'TopicPartitions')} }",
                  counted(answer))
        if answer["ErrorCode"] == 0 and identity == who:
            me["epoch"] = max(0, answer["MemberEpoch"])
            if answer["MemberEpoch"] < 0:
                me["owned"] = []
            elif answer.get("Assignment"):
                me["owned"] = answer["Assignment"]["TopicPartitions"]
        if draw.random() < 0.15:
            side.note("described", counted(side.tell("ConsumerGroupDescribe", {"GroupIds": [group]}, 1)))
        if draw.random() < 0.15:
            said = draw.choice((who, "", "x"))
            side.ask(f"commits as {'itself' if said == who else said}", "OffsetCommit", 9, {
                "GroupId": group, "GenerationIdOrMemberEpoch": me["epoch"] + draw.choice((0, 0, 1, -1)), "MemberId": said, "Topics": [
                    {"Name": draw.choice((name, other)), "Partitions": [{"PartitionIndex": draw.choice((0, 3)), "CommittedOffset": 1, "CommittedMetadata": ""}]}]})
        yield


@walk
def settings(side, draw):
    name = side.topic()
    keys = {"retention.ms": ("1", "-1", "x", "", "99999999999999999999", " 5"), "cleanup.policy": ("compact", "delete", "compact,delete", "", "x", ","),
            "segment.bytes": ("1048576", "1", "0"), "min.insync.replicas": ("1", "0", "2"), "max.message.bytes": ("0", "-1", "5"),
            "compression.type": ("gzip", "producer", "none", "uncompressed", "lz5"), "compression.gzip.level": ("1", "0", "-1", "10"),
            "compression.zstd.level": ("22", "23", "-131072"), "message.timestamp.type": ("CreateTime", "LogAppendTime", "createtime"),
            "unclean.leader.election.enable": ("true", "TRUE", "yes"), "follower.replication.throttled.replicas": ("*", "", "1:1", "0:1,1:2", "a"),
            "leader.replication.throttled.replicas": ("*", "none", "0:0"), "min.cleanable.dirty.ratio": ("0", "1", "1.1", ".5"),
            "local.retention.ms": ("-2", "5"), "remote.storage.enable": ("false", "true"), "max.compaction.lag.ms": ("1", "0"),
            "min.compaction.lag.ms": ("5", "-1"), "no.such.thing": ("1",), "flush.ms": ("5",), "segment.jitter.ms": ("5",),
            "message.timestamp.before.max.ms": ("-1", "0", "5"), "delete.retention.ms": ("0", "-1"), "file.delete.delay.ms": ("0",),
            "index.interval.bytes": ("0", "-1"), "preallocate": ("true", "1"), "retention.bytes": ("-1", "-2", "0"),
            "local.retention.bytes": ("-2", "-3"), "remote.log.copy.disable": ("true",), "remote.log.delete.on.disable": ("true",)}
    yield
    while True:
        version = draw.choice(list(side.served["IncrementalAlterConfigs"]))
        asked = []
        for key in draw.sample(sorted(keys), draw.choice((1, 1, 1, 2, 3))):
            operation = draw.choice((0, 0, 0, 1, 2, 3))
            value = None if operation == 1 and draw.random() < 0.8 else draw.choice(keys[key])
            asked.append({"Name": key, "Value": value, "ConfigOperation": operation})
        side.ask(f"v{version} {[(a['Name'], a['Value'], a['ConfigOperation']) for a in asked]}", "IncrementalAlterConfigs", version, {
            "Resources": [{"ResourceType": 2, "ResourceName": name, "Configs": asked}], "ValidateOnly": draw.random() < 0.2})
        if draw.random() < 0.2:
            side.topic("after")
            answer = side.tell("DescribeConfigs", {"Resources": [{"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": sorted(keys)}],
                                                   "IncludeSynonyms": True}, 4)
            side.note("described", answer)
        yield


@walk
def topics(side, draw):
    names = [side.name(w) for w in "abc"]
    side.group()  # so that the offsets topic is there
    yield

    def assignments(count):
        return [{"PartitionIndex": draw.choice((i, i, i, 5)), "BrokerIds": draw.choice(([1],) * 6 + ([], [2], [1, 1], [1, 2]))} for i in range(count)]
    while True:
        name = draw.choice(names)
        op = draw.choice(("create", "create", "delete", "grow", "look", "reassign", "elect", "list"))
        if op == "create":
            version = draw.choice(list(side.served["CreateTopics"]))
            asked = {"Name": draw.choice([name] * 6 + ["a/b", "__cluster_metadata", "__consumer_offsets", ""]), "NumPartitions": draw.choice((1, 2, 3, -1, 0, -2)),
                     "ReplicationFactor": draw.choice((1, 1, 1, -1, 0, 2, -2)), "Configs": [{"Name": "retention.ms", "Value": draw.choice(("1", "x", None, ""))}] if draw.random() < 0.3 else []}
            if draw.random() < 0.3:
                asked |= {"NumPartitions": draw.choice((-1, -1, 2)), "ReplicationFactor": draw.choice((-1, -1, 1)), "Assignments": assignments(draw.choice((1, 2)))}
            answer = side.tell("CreateTopics", {"timeoutMs": 10000, "Topics": [asked], "validateOnly": draw.random() < 0.2}, version)
            for one in answer.get("Topics", []):
                one.pop("Configs", None)
            side.note(f"create v{version} {asked}", answer)
        elif op == "delete":
            version = draw.choice(list(side.served["DeleteTopics"]))
            side.ask(f"delete v{version} {name[-1]}", "DeleteTopics", version, {
                "TimeoutMs": 10000, **({"Topics": [{"Name": name}]} if version >= 6 else {"TopicNames": [name]})})
        elif op == "grow":
            version = draw.choice(list(side.served["CreatePartitions"]))
            count = draw.choice((1, 2, 3, 4, 0))
            assigned = None if draw.random() < 0.6 else [{"BrokerIds": a["BrokerIds"]} for a in assignments(draw.choice((0, 1, 2)))]
            side.ask(f"grow v{version} {name[-1]} to {count} {assigned}", "CreatePartitions", version, {
                "TimeoutMs": 10000, "ValidateOnly": draw.random() < 0.2, "Topics": [{"Name": name, "Count": count, "Assignments": assigned}]})
        elif op == "look":
            side.topic("after")
            answer = side.tell("Metadata", {"Topics": [{"Name": n} for n in names], "AllowAutoTopicCreation": False}, 12)
            side.note("look", [[t["ErrorCode"], t["Name"], len(t["Partitions"])] for t in answer["Topics"]])
        elif op == "reassign":
            version = draw.choice(list(side.served["AlterPartitionReassignments"]))
            replicas = draw.choice(([1], None, [], [2], [1, 1], [1, 2]))
            side.ask(f"reassign v{version} {name[-1]} {replicas}", "AlterPartitionReassignments", version, {"TimeoutMs": 5000, "Topics": [
                {"Name": name, "Partitions": [{"PartitionIndex": draw.choice((0, 1, 9)), "Replicas": replicas}]}]})
        elif op == "elect":
            version = draw.choice(list(side.served["ElectLeaders"]))
            side.ask(f"elect v{version} {name[-1]}", "ElectLeaders", version, {"ElectionType": draw.choice((0, 1)) if version else 0, "TimeoutMs": 5000, "TopicPartitions": [
                {"Topic": name, "Partitions": [draw.choice((0, 1, 9))]}]})
        elif op == "list":
            side.ask("reassignments", "ListPartitionReassignments", 0, {"TimeoutMs": 5000, "Topics": [{"Name": name, "PartitionIndexes": [0, 1, 9]}]})
        yield


# Requests that change nothing, drawn from their definitions.
READING = """ListOffsets OffsetForLeaderEpoch Metadata DescribeConfigs DescribeGroups DescribeTopicPartitions DescribeCluster DescribeProducers
OffsetFetch FindCoordinator ListGroups DescribeClientQuotas ListPartitionReassignments DescribeLogDirs ConsumerGroupDescribe Heartbeat SyncGroup
DescribeUserScramCredentials""".split()
# What says whose group or address it is, or only how long to wait.
LEFT_ALONE = {"TimeoutMs", "AllowAutoTopicCreation", "RequireStable", "IncludeFencedBrokers", "EndpointType", "KeyType"}


@walk
def questions(side, draw):
    name, group = side.topic(partitions=2), side.group()
    side.produce(name, batch([b"a", b"b"]))
    side.tell("OffsetCommit", {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
        {"Name": name, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1, "CommittedMetadata": ""}]}]}, 9)
    topic, stranger = side.topic_id(name), uuid.UUID(int=0x77)
    pools = {"string": ("", "x", "a b"), "uuid": (topic, topic, NO_ID, stranger), "bool": (True, False), "int8": (0, 1, 2), "int16": (0, 1, 5),
             "int32": (0, 1, -1, 7), "int64": (0, 1, -1, 1000, -2), "float64": (0.5,), "uint16": (1,), "bytes": (b"", b"x"), "records": (b"",)}
    texts = {"Topic": (name, name, name, side.name("none"), "a b", ""), "Group": (group, group, side.name("none")), "GroupId": (group, group, side.name("none")),
             "TopicName": (name,), "ResourceName": (name, group, "1", "", "7"), "ConfigurationKeys": ("retention.ms", "x"), "Key": (group, ""),
             "CoordinatorKeys": (group, ""), "StatesFilter": ("Stable", "Empty", "x"), "TypesFilter": ("classic", "x"), "EntityType": ("user", "client-id", "ip", "x"),
             "Groups": (group, side.name("none")), "GroupIds": (group, side.name("none")), "Name": (name, name, side.name("none"), "a b"),
             "MemberId": ("", "x")}
    numbers = {"ResourceType": (2, 4, 32, 2, 99), "ReplicaId": (-1, -1, -2, 1, 7), "Timestamp": (-1, -2, -3, -4, 0, 1001, 5000), "IsolationLevel": (0, 1)}
    yield

    def one(message, field, version):
        if field.element in message.structs:
            return {f.name: several(message, f, version) for f in message.structs[field.element]
                    if version in f.versions and f.name not in LEFT_ALONE}
        pool = texts.get(field.name) or texts.get(field.name.rstrip("s")) if field.element == "string" else numbers.get(field.name)
        return draw.choice(pool or pools[field.element])

    def several(message, field, version):
        if version in field.nullable and draw.random() < 0.15:
            return None
        if not field.is_array:
            return one(message, field, version)
        items = [one(message, field, version) for _ in range(draw.choice((0, 1, 1, 1, 2)))]
        # What is named twice is another matter (known.txt).
        name = next((k for k in ("Name", "Topic", "PartitionIndex", "Partition", "GroupId", "ResourceName") if items and isinstance(items[0], dict) and k in items[0]), None)
        seen = [item[name] if name else item for item in items]
        return [item for place, item in enumerate(items) if seen[place] not in seen[:place]]
    while True:
        api = draw.choice([a for a in READING if a in side.served])
        version = draw.choice(list(side.served[api]))
        if api == "Metadata" and version < 4:
            continue  # these create what they ask for
        message = side.protocol.requests[api]
        body = {f.name: several(message, f, version) for f in message.fields if version in f.versions and f.name not in LEFT_ALONE}
        if api in ("Metadata", "ListGroups", "DescribeTopicPartitions", "DescribeLogDirs", "DescribeClientQuotas"):
            # All there is, is another thing on each side.
            if not body.get("Topics", True) or api in ("ListGroups", "DescribeClientQuotas"):
                continue
        if api == "Metadata":
            body["AllowAutoTopicCreation"] = False
        answer = side.tell(api, body, version)
        for result in answer.get("Results") or ():
            for mine in ("LogDir", "TotalBytes", "UsableBytes", "Configs"):
                result.pop(mine, None) if isinstance(result, dict) else None
        told = {k: str(v).replace(str(topic), "TOPIC").replace(side.scope, "~") for k, v in body.items()}
        side.note(f"{api} v{version} {told}", answer)
        yield


def subscription(*names, owned=()):
    """What Java's consumer puts into JoinGroup: version 1 with names, no user data, and what it owns."""
    text = b"".join(len(n).to_bytes(2, "big") + n.encode() for n in names)
    owns = b"".join(len(n).to_bytes(2, "big") + n.encode() + len(p).to_bytes(4, "big") + b"".join(i.to_bytes(4, "big") for i in p)
                    for n, p in owned)
    return b"\x00\x01" + len(names).to_bytes(4, "big") + text + b"\xff\xff\xff\xff" + len(owned).to_bytes(4, "big") + owns


@walk
def migrations(side, draw):
    """A classic consumer and one of KIP-848 in one group, which changes its kind as they come and go."""
    group, name = side.group(), side.topic(partitions=2)
    party = Party(side)
    me = {"id": "", "generation": -1}
    other = {"epoch": 0, "owned": []}
    identity = str(uuid.UUID(int=1))
    yield

    def remember(answer):
        if answer.get("MemberId") and answer.get("ErrorCode") in (0, 79):
            me["id"] = answer["MemberId"]
        if answer.get("ErrorCode") == 0 and "GenerationId" in answer:
            me["generation"] = answer["GenerationId"]
        return answer
    while True:
        op = draw.choice(("join", "join", "join", "sync", "sync", "sync", "beat", "beat", "leave", "commit", "consume", "consume", "consume", "go", "look", "list"))
        said, generation = draw.choice([me["id"]] * 8 + ["", "stranger"]), me["generation"] + draw.choice((0,) * 8 + (1, -1))
        about = f"as {'itself' if said == me['id'] else 'another'} generation {generation}"
        if op == "join" and not party.is_waiting("a"):
            version = draw.choice([v for v in side.served["JoinGroup"] if v >= 4])
            owned = [(name, draw.choice(([0], [0, 1], [1])))] if draw.random() < 0.6 else []
            metadata = draw.choice([subscription(name, owned=owned)] * 6 + [subscription("nowhere")])
            # A stranger that is refused takes an empty consumer group out of Kafka's memory, though not out of its log.
            said = "" if said == "stranger" else said
            party.ask(f"joins v{version} {metadata.hex()[-24:]} {about}", "a", "JoinGroup", version, {
                "GroupId": group, "SessionTimeoutMs": 30000, "RebalanceTimeoutMs": 30000, "MemberId": said, "ProtocolType": "consumer",
                "Protocols": [{"Name": n, "Metadata": metadata} for n in ("range", "cooperative-sticky")]}, remember)
        elif op == "sync" and not party.is_waiting("a"):
            version = draw.choice(list(side.served["SyncGroup"]))
            party.ask(f"syncs v{version} {about}", "a", "SyncGroup", version, {
                "GroupId": group, "GenerationId": generation, "MemberId": said, "Assignments": [],
                **({"ProtocolType": "consumer", "ProtocolName": draw.choice(("range",) * 5 + ("x",))} if version >= 5 else {})}, counted)
        elif op == "beat":
            side.ask(f"beats {about}", "Heartbeat", 4, {"GroupId": group, "GenerationId": generation, "MemberId": said}, who="beats")
        elif op == "leave" and draw.random() < 0.5:
            side.ask(f"leaves {about}", "LeaveGroup", 5, {"GroupId": group, "Members": [{"MemberId": said}]}, who="beats")
        elif op == "commit":
            version = draw.choice([v for v in side.served["OffsetCommit"] if v < 10])
            side.ask(f"commits v{version} {about}", "OffsetCommit", version, {
                "GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": said, "Topics": [
                    {"Name": name, "Partitions": [{"PartitionIndex": draw.choice((0, 1)), "CommittedOffset": 1, "CommittedMetadata": ""}]}]}, who="beats")
        elif op in ("consume", "go"):
            epoch = draw.choice([other["epoch"]] * 8 + [0, other["epoch"] + 1]) if op == "consume" else -1
            body = {"GroupId": group, "MemberId": identity, "MemberEpoch": epoch}
            if epoch == 0:
                body |= {"RebalanceTimeoutMs": 30000, "SubscribedTopicNames": [name], "TopicPartitions": []}
            elif draw.random() < 0.7:
                body["TopicPartitions"] = other["owned"]
            answer = side.tell("ConsumerGroupHeartbeat", body, who="beats")
            side.note(f"the other beats with epoch {epoch} {[len(t['Partitions']) for t in body.get('TopicPartitions', [])]}", counted(answer))
            if answer["ErrorCode"] == 0:
                other["epoch"] = max(0, answer["MemberEpoch"])
                other["owned"] = [] if answer["MemberEpoch"] < 0 else answer["Assignment"]["TopicPartitions"] if answer.get("Assignment") else other["owned"]
        elif op == "look":
            side.note("described", counted(side.tell("ConsumerGroupDescribe", {"GroupIds": [group]}, 1, who="beats")))
            side.note("described as classic", counted(side.tell("DescribeGroups", {"Groups": [group]}, 6, who="beats")))
        elif op == "list":
            side.note("listed", [g for g in side.tell("ListGroups", {}, who="beats")["Groups"] if g["GroupId"] == group])
        party.listen()
        yield


@walk
def records_of_a_partition(side, draw):
    """Offsets by time, deleted records and epochs, on one partition that grows and is cut."""
    name = side.topic()
    end = start = 0
    yield
    while True:
        op = draw.choice(("produce", "produce", "produce", "cut", "offsets", "offsets", "fetch", "fetch", "epoch"))
        if op == "produce":
            count, time_ = draw.choice((1, 2, 3)), draw.choice((1000, 2000, 3000, 10))
            codec = draw.choice((None, None, "gzip"))
            side.produce(name, batch([b"v"] * count, time=time_, time_step=draw.choice((0, 10)), codec=codec))
            end += count
        elif op == "cut":
            version = draw.choice(list(side.served["DeleteRecords"]))
            offset = draw.choice((start, end, -1, end + 1, -2, (start + end) // 2))
            side.ask(f"cut v{version} at {offset}", "DeleteRecords", version, {"TimeoutMs": 5000, "Topics": [
                {"Name": name, "Partitions": [{"PartitionIndex": 0, "Offset": offset}]}]})
            if offset == -1 or start < offset <= end:
                start = end if offset == -1 else offset
        elif op == "offsets":
            version = draw.choice(list(side.served["ListOffsets"]))
            time_ = draw.choice((-1, -2, -3, -4, -5, 0, 10, 1000, 1010, 1500, 2000, 2010, 3000, 4000))
            side.ask(f"offsets v{version} at {time_}", "ListOffsets", version, {
                "ReplicaId": draw.choice((-1, -1, -2)), "IsolationLevel": draw.choice((0, 1)), "TimeoutMs": 1000, "Topics": [
                    {"Name": name, "Partitions": [{"PartitionIndex": 0, "Timestamp": time_, "CurrentLeaderEpoch": draw.choice((-1, 0))}]}]})
        elif op == "fetch":
            version = draw.choice(list(side.served["Fetch"]))
            offset = draw.choice((start, end, start - 1, end + 1, (start + end) // 2))
            topic = {"TopicId": side.topic_id(name)} if version >= 13 else {"Topic": name}
            answer = side.tell("Fetch", {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "SessionEpoch": -1, "IsolationLevel": draw.choice((0, 1)), "Topics": [
                {**topic, "Partitions": [{"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}]}]}, version)
            for part in answer["Responses"][0]["Partitions"]:
                if part["ErrorCode"]:  # known.txt: we still say where the log begins and ends
                    part |= {"HighWatermark": 0, "LastStableOffset": 0, "LogStartOffset": 0} if version >= 5 else {"HighWatermark": 0, "LastStableOffset": 0}
            side.note(f"fetch v{version} from {offset}", answer)
        elif op == "epoch":
            version = draw.choice(list(side.served["OffsetForLeaderEpoch"]))
            side.ask(f"epoch v{version}", "OffsetForLeaderEpoch", version, {"ReplicaId": -1, "Topics": [{"Topic": name, "Partitions": [
                {"Partition": 0, "CurrentLeaderEpoch": draw.choice((-1, 0, 1)), "LeaderEpoch": draw.choice((-1, 0, 1))}]}]})
        yield

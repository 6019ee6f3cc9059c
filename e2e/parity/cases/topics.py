"""Topics come, grow and go."""

import uuid

from cases.configs import OURS
from registry import case
from sides import NO_ID


def create(side, label, version, *topics, ask=True, **more):
    defaults = {"NumPartitions": 1, "ReplicationFactor": 1}
    body = {"timeoutMs": 10000, "Topics": [{**defaults, **t} for t in topics], **more}
    answer = side.tell("CreateTopics", body, version)
    for topic in answer.get("Topics", []):
        if topic.get("Configs"):
            topic["Configs"] = [c for c in topic["Configs"] if not OURS.fullmatch(c["Name"])]
    if ask:
        side.note(label, answer)
    return answer


def configs(**pairs):
    return [{"Name": k.replace("_", "."), "Value": v} for k, v in pairs.items()]


@case("CreateTopics", trap=8)
def creates(side, version):
    name = side.name
    create(side, "plain", version, {"Name": name("a"), "NumPartitions": 2})
    create(side, "again", version, {"Name": name("a")})
    create(side, "defaults" if version >= 4 else "no defaults yet", version, {
        "Name": name("b"), "NumPartitions": -1, "ReplicationFactor": -1})
    create(side, "assigned", version, {"Name": name("c"), "NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [
        {"PartitionIndex": 0, "BrokerIds": [1]}, {"PartitionIndex": 1, "BrokerIds": [1]}]})
    create(side, "with settings", version, {"Name": name("d"), "Configs": configs(cleanup_policy="compact", retention_ms="5")})
    create(side, "null setting", version, {"Name": name("e"), "Configs": configs(cleanup_policy=None)})
    create(side, "two, one bad", version, {"Name": name("f")}, {"Name": "a b"})
    create(side, "none", version)
    for word in "abcdef":
        side.tell("DeleteTopics", {"TimeoutMs": 5000, "Topics": [{"Name": name(word)}]})


@case("CreateTopics")
def refuses_what_makes_no_sense(side, version):
    n = side.name("x")
    bad = {
        "no partitions": {"NumPartitions": 0}, "minus two partitions": {"NumPartitions": -2},
        "replication 0": {"ReplicationFactor": 0}, "replication 2 of 1": {"ReplicationFactor": 2},
        "replication -2": {"ReplicationFactor": -2}, "empty name": {"Name": ""}, "dot": {"Name": "."}, "dots": {"Name": ".."},
        "space": {"Name": "a b"}, "long": {"Name": "x" * 250}, "slash": {"Name": "a/b"},
        "internal": {"Name": "__consumer_offsets"}, "the quorum's": {"Name": "__cluster_metadata"}, "unknown setting": {"Configs": configs(no_such_setting="1")},
        "bad value": {"Configs": configs(retention_ms="soon")}, "out of range": {"Configs": configs(min_insync_replicas="0")},
        "bad policy": {"Configs": configs(cleanup_policy="shred")}, "same setting twice": {
            "Configs": configs(retention_ms="1") + configs(retention_ms="2")},
        "assignment and count": {"NumPartitions": 1, "ReplicationFactor": 1, "Assignments": [{"PartitionIndex": 0, "BrokerIds": [1]}]},
        "assignment of none": {"NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [{"PartitionIndex": 0, "BrokerIds": []}]},
        "unknown broker": {"NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [{"PartitionIndex": 0, "BrokerIds": [9]}]},
        "broker twice": {"NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [{"PartitionIndex": 0, "BrokerIds": [1, 1]}]},
        "gap in partitions": {"NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [
            {"PartitionIndex": 0, "BrokerIds": [1]}, {"PartitionIndex": 2, "BrokerIds": [1]}]},
        "partition twice": {"NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [
            {"PartitionIndex": 0, "BrokerIds": [1]}, {"PartitionIndex": 0, "BrokerIds": [1]}]},
        "far too many partitions": {"NumPartitions": 2_000_000},
    }
    for label, part in bad.items():
        create(side, label, version, {"Name": n, **part})
    create(side, "the same name twice in a request", version, {"Name": n}, {"Name": n, "NumPartitions": 2})
    side.tell("CreateTopics", {"timeoutMs": 5000, "Topics": [{"Name": n + "_a.b", "NumPartitions": 1, "ReplicationFactor": 1}]})
    create(side, "collides in metrics", version, {"Name": n + ".a_b"})
    side.tell("DeleteTopics", {"TimeoutMs": 5000, "Topics": [{"Name": n + "_a.b"}]})


@case("CreateTopics")
def only_validates(side, version):
    n = side.name("v")
    create(side, "good", version, {"Name": n}, validateOnly=True)
    create(side, "bad", version, {"Name": n, "NumPartitions": 0}, validateOnly=True)
    create(side, "bad setting", version, {"Name": n, "Configs": configs(retention_ms="x")}, validateOnly=True)
    side.ask("nothing was made", "Metadata", 12, {"Topics": [{"Name": n}], "AllowAutoTopicCreation": False})


@case("DeleteTopics")
def deletes(side, version):
    one, two, three = (side.topic(w) for w in "abc")

    def drop(label, *names):
        body = {"Topics": [{"Name": n} for n in names]} if version >= 6 else {"TopicNames": list(names)}
        side.ask(label, "DeleteTopics", version, {"TimeoutMs": 5000, **body})
    drop("one", one)
    drop("again", one)
    drop("two, one unknown", two, side.name("none"))
    drop("twice the same", three, three)
    drop("invalid name", "a b")
    drop("empty name", "")
    drop("nothing")
    side.ask("gone", "Metadata", 12, {"Topics": [{"Name": one}], "AllowAutoTopicCreation": False})


@case("DeleteTopics", range(6, 99), trap=10)
def deletes_by_id(side, version):
    name = side.topic()
    identity = side.topic_id(name)

    def drop(label, **topic):
        side.ask(label, "DeleteTopics", version, {"TimeoutMs": 5000, "Topics": [topic]})
    drop("unknown id", Name=None, TopicId=uuid.UUID(int=99))
    drop("neither", Name=None, TopicId=NO_ID)
    drop("both", Name=name, TopicId=identity)
    side.ask("same id twice", "DeleteTopics", version, {"TimeoutMs": 5000, "Topics": [
        {"Name": None, "TopicId": identity}, {"Name": None, "TopicId": identity}]})
    side.ask("name and id of one", "DeleteTopics", version, {"TimeoutMs": 5000, "Topics": [
        {"Name": None, "TopicId": identity}, {"Name": name, "TopicId": NO_ID}]})
    drop("by id", Name=None, TopicId=identity)
    drop("by id again", Name=None, TopicId=identity)


@case("CreatePartitions")
def grows(side, version):
    name = side.topic(partitions=2)

    def grow(label, count, assignments=None, topic=name, **more):
        side.ask(label, "CreatePartitions", version, {"TimeoutMs": 5000, "Topics": [
            {"Name": topic, "Count": count, "Assignments": assignments}], **more})
    grow("only validated", 5, ValidateOnly=True)
    grow("to 3", 3)
    grow("to the same", 3)
    grow("to fewer", 1)
    grow("to none", 0)
    grow("to minus one", -1)
    grow("assigned", 4, [{"BrokerIds": [1]}])
    grow("too many assigned", 5, [{"BrokerIds": [1]}, {"BrokerIds": [1]}])
    grow("unknown broker", 5, [{"BrokerIds": [7]}])
    grow("broker twice", 5, [{"BrokerIds": [1, 1]}])
    grow("no broker", 5, [{"BrokerIds": []}])
    grow("unknown topic", 5, topic=side.name("none"))
    grow("invalid topic", 5, topic="a b")
    side.ask("same topic twice", "CreatePartitions", version, {"TimeoutMs": 5000, "Topics": [
        {"Name": name, "Count": 9, "Assignments": None}, {"Name": name, "Count": 8, "Assignments": None}]})
    side.ask("nothing", "CreatePartitions", version, {"TimeoutMs": 5000, "Topics": []})
    side.until("Metadata", {"Topics": [{"Name": name}]}, lambda a: len(a["Topics"][0]["Partitions"]) > 3, version=12)
    side.ask("in the end", "Metadata", 12, {"Topics": [{"Name": name}]})


@case("ElectLeaders")
def elects(side, version):
    name = side.topic(partitions=2)

    def elect(label, kind, partitions, topic=name):
        side.ask(label, "ElectLeaders", version, {"ElectionType": kind, "TimeoutMs": 5000, "TopicPartitions": [
            {"Topic": topic, "Partitions": partitions}]})
    elect("preferred", 0, [0, 1])
    if version >= 1:
        elect("unclean", 1, [0])
        elect("unknown kind", 5, [0])
    elect("unknown partition", 0, [0, 9])
    elect("unknown topic", 0, [0], side.name("none"))
    elect("twice", 0, [0, 0])
    side.ask("nothing", "ElectLeaders", version, {"TimeoutMs": 5000, "TopicPartitions": []})


@case("AlterPartitionReassignments")
def reassigns(side, version):
    name = side.topic(partitions=2)

    def move(label, replicas, partition=0, topic=name, **more):
        side.ask(label, "AlterPartitionReassignments", version, {"TimeoutMs": 5000, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": partition, "Replicas": replicas}]}], **more})
    move("to where it is", [1])
    move("cancel nothing", None)
    move("unknown broker", [5])
    move("no broker", [])
    move("broker twice", [1, 1])
    move("negative broker", [-1])
    move("unknown partition", [1], 8)
    move("unknown topic", [1], topic=side.name("none"))
    if version >= 1:
        move("may not change the factor", [1, 5], AllowReplicationFactorChange=False)
    side.ask("nothing", "AlterPartitionReassignments", version, {"TimeoutMs": 5000, "Topics": []})


@case("ListPartitionReassignments")
def lists_reassignments(side, version):
    name = side.topic()
    side.ask("one topic", "ListPartitionReassignments", version, {"TimeoutMs": 5000, "Topics": [
        {"Name": name, "PartitionIndexes": [0, 4]}]})
    side.ask("unknown topic", "ListPartitionReassignments", version, {"TimeoutMs": 5000, "Topics": [
        {"Name": side.name("none"), "PartitionIndexes": [0]}]})
    side.ask("all", "ListPartitionReassignments", version, {"TimeoutMs": 5000, "Topics": None})


@case("DescribeLogDirs")
def describes_log_directories(side, version):
    name = side.topic(partitions=2)
    for label, topics in (("one topic", [{"Topic": name, "Partitions": [0, 1, 7]}]),
                          ("unknown topic", [{"Topic": side.name("none"), "Partitions": [0]}]), ("no topics", [])):
        answer = side.tell("DescribeLogDirs", {"Topics": topics}, version)
        for directory in answer.get("Results", []):
            for mine in ("LogDir", "TotalBytes", "UsableBytes"):
                if mine in directory:
                    directory[mine] = type(directory[mine]).__name__
        side.note(label, answer)


@case("AlterReplicaLogDirs")
def refuses_to_move_between_directories_that_are_not(side, version):
    name = side.topic()
    for label, path, topic, partition in (("unknown directory", "/nowhere", name, 0), ("relative path", "a/b", name, 0),
                                          ("unknown topic", "/nowhere", side.name("none"), 0), ("unknown partition", "/nowhere", name, 4)):
        side.ask(label, "AlterReplicaLogDirs", version, {"Dirs": [{"Path": path, "Topics": [{"Name": topic, "Partitions": [partition]}]}]})
    side.ask("nothing", "AlterReplicaLogDirs", version, {"Dirs": []})


@case("DescribeQuorum")
def describes_the_quorum(side, version):
    for label, topic, partition in (("metadata", "__cluster_metadata", 0), ("other partition", "__cluster_metadata", 1), ("other topic", "x", 0)):
        answer = side.tell("DescribeQuorum", {"Topics": [{"TopicName": topic, "Partitions": [{"PartitionIndex": partition}]}]}, version)
        for found in answer.get("Topics", []):
            for one in found["Partitions"]:
                one["HighWatermark"] = one["HighWatermark"] > 0
                one["LeaderEpoch"] = one["LeaderEpoch"] > 0
                for role in ("CurrentVoters", "Observers"):
                    for replica in one.get(role, []):
                        for mine in ("LogEndOffset", "LastFetchTimestamp", "LastCaughtUpTimestamp"):
                            if mine in replica:
                                replica[mine] = replica[mine] > 0
        side.note(label, answer)
    side.ask("nothing", "DescribeQuorum", version, {"Topics": []})


@case("UpdateFeatures")
def updates_features(side, version):
    def update(label, feature, level, validate=True, **more):
        side.ask(label, "UpdateFeatures", version, {"timeoutMs": 5000, "FeatureUpdates": [
            {"Feature": feature, "MaxVersionLevel": level, **more}], **({"ValidateOnly": validate} if version >= 1 else {})})
    if version >= 1:
        update("same level", "group.version", 1)
        update("too high", "group.version", 99)
        update("down without leave", "transaction.version", 1)
        update("down with leave", "transaction.version", 1, UpgradeType=2)
        update("unknown upgrade type", "transaction.version", 1, UpgradeType=9)
    update("unknown feature", "no.such.feature", 1)
    update("empty name", "", 1)
    update("negative", "group.version", -1)
    side.ask("nothing", "UpdateFeatures", version, {"timeoutMs": 5000, "FeatureUpdates": []})


@case("UnregisterBroker")
def unregisters(side, version):
    for broker in (77, -1):
        side.ask(f"broker {broker}", "UnregisterBroker", version, {"BrokerId": broker})


@case("AddRaftVoter")
def adds_no_voter_here(side, version):
    body = {"ClusterId": None, "TimeoutMs": 1000, "VoterId": 9, "VoterDirectoryId": uuid.UUID(int=4),
            "Listeners": [{"Name": "CONTROLLER", "Host": "localhost", "Port": 1}]}
    side.ask("wrong cluster", "AddRaftVoter", version, {**body, "ClusterId": "not-this-cluster-at-all"})


@case("RemoveRaftVoter")
def removes_no_voter_here(side, version):
    side.ask("wrong cluster", "RemoveRaftVoter", version, {"ClusterId": "not-this-cluster-at-all", "VoterId": 9, "VoterDirectoryId": NO_ID})


@case("CreateTopics")
def a_change_without_time_is_not_made(side, version):
    for timeout in (0, -1):
        name = side.name(f"t{-timeout}")
        create(side, "one good, one bad", version, {"Name": name}, {"Name": "a b"}, timeoutMs=timeout)
        there = side.topic(f"there{-timeout}")
        for api, body in {
                "CreatePartitions": {"Topics": [{"Name": there, "Count": 3}]},
                "DeleteTopics": {"Topics": [{"Name": there}]},
                "ElectLeaders": {"ElectionType": 0, "TopicPartitions": [{"Topic": there, "Partitions": [0]}]},
                "AlterPartitionReassignments": {"Topics": [{"Name": there, "Partitions": [{"PartitionIndex": 0, "Replicas": [1]}]}]},
                "ListPartitionReassignments": {"Topics": None}}.items():
            side.ask(api, api, side.top(api), {"TimeoutMs": timeout, **body})
        for topic in (name, there):
            side.ask("still as before", "Metadata", side.top("Metadata"), {"Topics": [{"Name": topic}], "AllowAutoTopicCreation": False})

"""What a client asks first: versions, metadata, coordinators, configurations."""

from registry import case
from sides import NO_ID


@case("ApiVersions")
def says_what_it_serves(side, version):
    answer = side.tell("ApiVersions", {"ClientSoftwareName": "parity", "ClientSoftwareVersion": "1.0"}, version)
    answer["ApiKeys"] = [a for a in answer["ApiKeys"] if (side.protocol.by_key.get(a["ApiKey"]) or "") in side.served]
    side.note("versions of what both serve", answer)


@case("ApiVersions", range(3, 99))
def refuses_a_client_without_a_proper_name(side, version):
    for name, number in (("", "1"), ("x", ""), ("-x", "1"), ("a b", "1"), ("a", "1 2"), ("a.b-c", "1.2-x")):
        answer = side.tell("ApiVersions", {"ClientSoftwareName": name, "ClientSoftwareVersion": number}, version)
        side.note(f"name [{name}] version [{number}]", answer.get("ErrorCode", answer))


@case("ApiVersions", "top", trap=2)
def a_version_from_the_future_is_answered_in_layout_0(side, version):
    connection = side.connection()
    connection.send_raw(side.protocol.frame("ApiVersions", 3, {}, 7).replace(b"\x00\x12\x00\x03", b"\x00\x12\x00\x63"))
    _, answer = side.protocol.read_answer("ApiVersions", 0, connection.receive())
    answer["ApiKeys"] = [a for a in answer["ApiKeys"] if a["ApiKey"] == 18]
    for row in answer["ApiKeys"]:
        row["MaxVersion"] = min(row["MaxVersion"], 4)  # 4.4 has version 5
    side.note("answer", answer)
    side.ask("the connection lives on", "ListGroups", 4, {"StatesFilter": ["Dead"]})


@case("Metadata")
def describes_a_topic_by_name(side, version):
    name = side.topic(partitions=3)
    side.ask("by name", "Metadata", version, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})
    side.ask("twice", "Metadata", version, {"Topics": [{"Name": name}, {"Name": name}]})
    side.ask("none", "Metadata", version, {"Topics": [] if version > 0 else None})
    if version >= 8:
        answer = side.ask("with operations", "Metadata", version, {
            "Topics": [{"Name": name}, {"Name": side.name("none")}, {"Name": "a b"}], "AllowAutoTopicCreation": False, "IncludeTopicAuthorizedOperations": True,
            **({"IncludeClusterAuthorizedOperations": True} if version < 11 else {})})


@case("Metadata", trap=6)
def null_asks_for_all_topics_and_empty_for_none(side, version):
    name = side.topic()
    for label, topics in (("null", None), ("empty", [])):
        if version == 0 and topics is None:
            continue
        answer = side.tell("Metadata", {"Topics": topics}, version)
        side.note(label, [t for t in answer.get("Topics", [answer]) if t.get("Name") == name])


@case("Metadata")
def unknown_and_invalid_topics(side, version):
    names = [side.name("absent"), "", "a b", ".", "..", "x" * 250, "ä"]
    body = {"Topics": [{"Name": n} for n in names]}
    if version >= 4:
        body["AllowAutoTopicCreation"] = False
        side.ask("no creation", "Metadata", version, body)
    else:
        for name in names[1:]:
            side.ask(f"one name [{name[:9]}]", "Metadata", version, {"Topics": [{"Name": name}]})


@case("Metadata", range(12, 99), trap=10)
def topics_by_id(side, version):
    name = side.topic()
    identity = side.topic_id(name)
    side.ask("by id", "Metadata", version, {"Topics": [{"Name": None, "TopicId": identity}]})
    unknown = type(identity)(int=0x123456789)
    side.ask("unknown id", "Metadata", version, {"Topics": [{"Name": None, "TopicId": unknown}]})
    side.ask("zero id, no name", "Metadata", version, {"Topics": [{"Name": None, "TopicId": NO_ID}]})
    side.ask("id and name", "Metadata", version, {"Topics": [{"Name": name, "TopicId": identity}]})


@case("Metadata", range(12, 99))
def who_asks_by_id_asks_by_nothing_else(side, version):
    one, two = side.topic("a"), side.topic("b")
    side.ask("mixed", "Metadata", version, {"Topics": [{"Name": None, "TopicId": side.topic_id(one)}, {"Name": two},
                                                       {"Name": side.name("none")}]})


@case("Metadata", range(10, 12))
def ids_before_they_were_served(side, version):
    name = side.topic()
    side.ask("no name", "Metadata", version, {"Topics": [{"Name": None, "TopicId": NO_ID}, {"Name": name}]})
    side.ask("id", "Metadata", version, {"Topics": [{"Name": name, "TopicId": side.topic_id(name)}]})


@case("Metadata", trap=7)
def creates_a_topic_when_asked(side, version):
    name = side.name("new")
    first = side.ask("first", "Metadata", version, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": True})
    side.until("Metadata", {"Topics": [{"Name": name}]}, lambda a: a["Topics"][0]["ErrorCode"] == 0, version=version)
    side.ask("then", "Metadata", version, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": True})


@case("DescribeCluster")
def describes_the_cluster(side, version):
    side.ask("plain", "DescribeCluster", version, {})
    side.ask("with operations", "DescribeCluster", version, {"IncludeClusterAuthorizedOperations": True})
    if version >= 1:
        for kind in (0, 1, 2, 3):
            side.ask(f"endpoint type {kind}", "DescribeCluster", version, {"EndpointType": kind})
    if version >= 2:
        side.ask("with fenced", "DescribeCluster", version, {"IncludeFencedBrokers": True})


@case("FindCoordinator", trap=24)
def finds_coordinators(side, version):
    group = side.name("g")
    side.coordinator(group)
    if version < 4:
        side.ask("group", "FindCoordinator", version, {"Key": group})
        side.ask("empty", "FindCoordinator", version, {"Key": ""})
        if version >= 1:
            side.ask("bad type", "FindCoordinator", version, {"Key": group, "KeyType": 7})
    else:
        side.ask("two groups", "FindCoordinator", version, {"CoordinatorKeys": [group, group + "2"]})
        side.ask("same group twice", "FindCoordinator", version, {"CoordinatorKeys": [group, group]})
        side.ask("none", "FindCoordinator", version, {"CoordinatorKeys": []})
        side.ask("empty", "FindCoordinator", version, {"CoordinatorKeys": [""]})
        side.ask("bad type", "FindCoordinator", version, {"CoordinatorKeys": [group], "KeyType": 7})
        side.ask("transaction", "FindCoordinator", version, {"CoordinatorKeys": ["x"], "KeyType": 1})
        side.ask("share key", "FindCoordinator", version, {"CoordinatorKeys": ["x"], "KeyType": 2})


@case("DescribeTopicPartitions")
def describes_partitions_in_pages(side, version):
    one, two = side.topic("a", partitions=3), side.topic("b", partitions=2)
    both = [{"Name": one}, {"Name": two}]
    side.ask("both", "DescribeTopicPartitions", version, {"Topics": both, "ResponsePartitionLimit": 2000})
    side.ask("limit 2", "DescribeTopicPartitions", version, {"Topics": both, "ResponsePartitionLimit": 2})
    side.ask("limit 3", "DescribeTopicPartitions", version, {"Topics": both, "ResponsePartitionLimit": 3})
    side.ask("limit 0", "DescribeTopicPartitions", version, {"Topics": both, "ResponsePartitionLimit": 0})
    side.ask("from a cursor", "DescribeTopicPartitions", version, {
        "Topics": both, "ResponsePartitionLimit": 2, "Cursor": {"TopicName": one, "PartitionIndex": 2}})
    side.ask("cursor past the end", "DescribeTopicPartitions", version, {
        "Topics": both, "ResponsePartitionLimit": 2, "Cursor": {"TopicName": one, "PartitionIndex": 9}})
    side.ask("negative cursor", "DescribeTopicPartitions", version, {
        "Topics": both, "ResponsePartitionLimit": 2, "Cursor": {"TopicName": one, "PartitionIndex": -1}})
    side.ask("unknown and invalid", "DescribeTopicPartitions", version, {
        "Topics": [{"Name": side.name("none")}, {"Name": "a b"}, {"Name": ""}, {"Name": one}, {"Name": one}],
        "ResponsePartitionLimit": 2000})

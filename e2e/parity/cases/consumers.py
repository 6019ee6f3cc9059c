"""Groups of KIP-848, and the way between them and classic ones."""

import uuid

from cases.groups import PROTOCOLS, commit, commit_body, enter, fetch_offsets, join_body, settled, sync_body
from registry import case
from sides import SETTINGS


def member(number):
    return str(uuid.UUID(int=number))


def beat(side, label, version, group, who, epoch, ask=True, **more):
    """A heartbeat; one that joins says everything."""
    body = {"GroupId": group, "MemberId": who, "MemberEpoch": epoch, **more}
    if epoch == 0:
        body = {"RebalanceTimeoutMs": 5000, "TopicPartitions": [], **body}
    return side.ask(label, "ConsumerGroupHeartbeat", version, body) if ask else side.tell("ConsumerGroupHeartbeat", body, version)


def until_assigned(side, version, group, who, count, epoch=0, **more):
    """Joins or goes on, and beats until it has so many partitions."""
    state = {"epoch": epoch, "count": -1}

    def asked(answer):
        if answer.get("Assignment"):
            state["count"] = sum(len(t["Partitions"]) for t in answer["Assignment"]["TopicPartitions"])
            state["owned"] = answer["Assignment"]["TopicPartitions"]
        return state["count"] == count
    answer = beat(side, "", version, group, who, epoch, ask=False, **more)
    if not asked(answer):
        answer = side.until("ConsumerGroupHeartbeat", {"GroupId": group, "MemberId": who, "MemberEpoch": answer["MemberEpoch"]}, asked,
                            version=version, seconds=5)
    return answer["MemberEpoch"], state.get("owned")


def coordinator_knows(side, group, name, partitions):
    """Until the group's coordinator has heard of the topic: another group of its own gets all of it."""
    def home(key):
        hashed = 0
        for letter in key:
            hashed = (31 * hashed + ord(letter)) & 0xFFFFFFFF
        return (hashed & 0x7FFFFFFF) % int(SETTINGS["offsets.topic.num.partitions"])
    probe = next(key for key in (f"{group}.probe{n}" for n in range(1000)) if home(key) == home(group))
    epoch, _ = until_assigned(side, 0, probe, member(9), partitions, SubscribedTopicNames=[name])
    side.tell("ConsumerGroupHeartbeat", {"GroupId": probe, "MemberId": member(9), "MemberEpoch": -1}, 0)


@case("ConsumerGroupHeartbeat", trap=26)
def a_member_comes_and_goes(side, version):
    group, name = side.group(), side.topic(partitions=3)
    coordinator_knows(side, group, name, 3)
    me = member(1)
    beat(side, "joins", version, group, me, 0, SubscribedTopicNames=[name])
    beat(side, "joins again", version, group, me, 0, SubscribedTopicNames=[name])
    epoch, owned = until_assigned(side, version, group, me, 3, 0, SubscribedTopicNames=[name])
    side.note("owns", owned)
    beat(side, "owns it", version, group, me, epoch, TopicPartitions=owned)
    beat(side, "nothing changed", version, group, me, epoch)
    beat(side, "full heartbeat", version, group, me, epoch, TopicPartitions=owned, RebalanceTimeoutMs=5000, SubscribedTopicNames=[name])
    beat(side, "old epoch", version, group, me, epoch - 1)
    beat(side, "old epoch, without what it owns", version, group, me, epoch - 1, TopicPartitions=[])
    beat(side, "new epoch", version, group, me, epoch + 1)
    beat(side, "unknown member", version, group, member(2), epoch)
    side.ask("described", "ConsumerGroupDescribe", 1, {"GroupIds": [group]})
    beat(side, "leaves", version, group, me, -1)
    beat(side, "leaves again", version, group, me, -1)
    side.ask("described when empty", "ConsumerGroupDescribe", 1, {"GroupIds": [group]})
    beat(side, "returns with its epoch", version, group, me, epoch)


@case("ConsumerGroupHeartbeat")
def refuses_bad_heartbeats(side, version):
    group, name = side.group(), side.topic()
    good = {"SubscribedTopicNames": [name]}
    beat(side, "empty group", version, "", member(1), 0, **good)
    beat(side, "blank group", version, "  ", member(1), 0, **good)
    beat(side, "empty member", version, group, "", 0, **good)
    beat(side, "epoch -3", version, group, member(1), -3)
    beat(side, "epoch -2 without an instance", version, group, member(1), -2)
    beat(side, "no subscription", version, group, member(1), 0)
    beat(side, "empty subscription", version, group, member(1), 0, SubscribedTopicNames=[])
    beat(side, "no rebalance timeout", version, group, member(1), 0, RebalanceTimeoutMs=-1, **good)
    beat(side, "owns before it joined", version, group, member(1), 0, TopicPartitions=[{"TopicId": side.topic_id(name), "Partitions": [0]}], **good)
    beat(side, "null partitions", version, group, member(1), 0, TopicPartitions=None, **good)
    beat(side, "empty instance", version, group, member(1), 0, InstanceId="", **good)
    beat(side, "empty rack", version, group, member(1), 0, RackId="", **good)
    beat(side, "empty assignor", version, group, member(1), 0, ServerAssignor="", **good)
    beat(side, "unknown assignor", version, group, member(1), 0, ServerAssignor="best", **good)
    beat(side, "unknown group, epoch 5", version, side.group("none"), member(1), 5)
    beat(side, "unknown group leaves", version, side.group("none"), member(1), -1)
    beat(side, "topic that is not", version, group, member(1), 0, SubscribedTopicNames=[side.name("none")])
    if version >= 1:
        beat(side, "bad pattern", version, group, member(3), 0, SubscribedTopicRegex="a[")
        beat(side, "lookahead", version, group, member(3), 0, SubscribedTopicRegex="a(?=b)")
        beat(side, "a named group", version, group, member(4), 0, SubscribedTopicRegex="(?<word>x)")
        beat(side, "half a letter", version, group, member(3), 0, SubscribedTopicRegex="\\C")
        beat(side, "empty pattern", version, group, member(3), 0, SubscribedTopicRegex="")


@case("ConsumerGroupHeartbeat")
def assignors(side, version):
    one, two = side.topic("a", partitions=5), side.topic("b", partitions=2)
    for assignor in ("range", "uniform"):
        group = side.group(assignor)
        epochs = {}
        for number in (1, 2):
            answer = beat(side, f"{assignor}: member {number} joins", version, group, member(number), 0,
                          SubscribedTopicNames=[one, two], ServerAssignor=assignor)
            epochs[number] = answer["MemberEpoch"]
        # The first gives up what the second is to have; then both have their part.
        answer = beat(side, f"{assignor}: first is told", version, group, member(1), epochs[1], ask=False)
        kept = (answer.get("Assignment") or {}).get("TopicPartitions", [])
        side.note(f"{assignor}: first keeps", sorted(len(t["Partitions"]) for t in kept))
        answer = beat(side, f"{assignor}: first obeys", version, group, member(1), answer["MemberEpoch"], TopicPartitions=kept)
        side.until("ConsumerGroupHeartbeat", {"GroupId": group, "MemberId": member(2), "MemberEpoch": epochs[2]},
                   lambda a: a.get("Assignment") and a["Assignment"]["TopicPartitions"], version=version, seconds=5)
        described = side.tell("ConsumerGroupDescribe", {"GroupIds": [group]}, 1)["DescribedGroups"][0]
        side.note(f"{assignor}: targets", [
            {"MemberId": m["MemberId"], "Parts": [{"TopicName": t["TopicName"], "Partitions": t["Partitions"]}
                                                  for t in m["TargetAssignment"]["TopicPartitions"]]} for m in described["Members"]])
        side.note(f"{assignor}: state", [described["GroupState"], described["GroupEpoch"], described["AssignmentEpoch"], described["AssignorName"]])


@case("ConsumerGroupHeartbeat")
def static_consumers(side, version):
    group, name = side.group(), side.topic(partitions=2)
    sub = {"SubscribedTopicNames": [name], "InstanceId": "one"}
    epoch, owned = until_assigned(side, version, group, member(1), 2, 0, **sub)
    beat(side, "same instance, other member", version, group, member(2), 0, **sub)
    beat(side, "goes for a while", version, group, member(1), -2, InstanceId="one")
    beat(side, "beats while away", version, group, member(1), epoch, InstanceId="one")
    back = beat(side, "another takes its place", version, group, member(2), 0, **sub)
    beat(side, "the old one is fenced", version, group, member(1), epoch, InstanceId="one")
    beat(side, "the old one leaves", version, group, member(1), -1, InstanceId="one")
    beat(side, "unknown instance", version, group, member(2), back["MemberEpoch"], InstanceId="two")
    beat(side, "unknown instance leaves", version, group, member(9), -2, InstanceId="two")
    beat(side, "leaves for good", version, group, member(2), -1, InstanceId="one")
    side.ask("described", "ConsumerGroupDescribe", 1, {"GroupIds": [group]})


@case("ConsumerGroupHeartbeat", range(1, 99))
def patterns(side, version):
    group = side.group()
    one = side.topic("logs-a")
    side.topic("other")
    pattern = side.scope.replace(".", "\\.") + "\\.logs-.*"
    beat(side, "joins", version, group, member(1), 0, SubscribedTopicRegex=pattern)
    epoch, _ = until_assigned(side, version, group, member(1), 1, 0, SubscribedTopicRegex=pattern)
    described = side.tell("ConsumerGroupDescribe", {"GroupIds": [group]}, 1)["DescribedGroups"][0]
    side.note("found by pattern", [t["TopicName"] for m in described["Members"] for t in m["TargetAssignment"]["TopicPartitions"]])
    beat(side, "names as well", version, group, member(1), epoch, SubscribedTopicNames=[side.name("other")])


@case("ConsumerGroupDescribe")
def describes(side, version):
    group, name = side.group(), side.topic(partitions=2)
    side.ask("not there", "ConsumerGroupDescribe", version, {"GroupIds": [side.group("none")]})
    side.ask("empty id", "ConsumerGroupDescribe", version, {"GroupIds": [""]})
    side.ask("nothing", "ConsumerGroupDescribe", version, {"GroupIds": []})
    classic = side.group("classic")
    settled(side, classic)
    side.ask("a classic group", "ConsumerGroupDescribe", version, {"GroupIds": [classic]})
    until_assigned(side, 0, group, member(1), 2, 0, SubscribedTopicNames=[name], RackId="r1", InstanceId="i1")
    side.ask("with a member", "ConsumerGroupDescribe", version, {"GroupIds": [group, group]})
    side.ask("with operations", "ConsumerGroupDescribe", version, {"GroupIds": [group], "IncludeAuthorizedOperations": True})
    side.ask("as a classic one", "DescribeGroups", 6, {"Groups": [group]})
    side.ask("as a classic one, v5", "DescribeGroups", 5, {"Groups": [group]})


@case("OffsetCommit", range(9, 99), trap=26)
def commits_of_a_consumer(side, version):
    group, name = side.group(), side.topic(partitions=2)
    epoch, _ = until_assigned(side, 1, group, member(1), 2, 0, SubscribedTopicNames=[name])
    commit(side, "right epoch", version, group, [(name, 0, 5)], member=member(1), generation=epoch)
    commit(side, "old epoch", version, group, [(name, 0, 6)], member=member(1), generation=epoch - 1)
    commit(side, "new epoch", version, group, [(name, 0, 6)], member=member(1), generation=epoch + 1)
    commit(side, "unknown member", version, group, [(name, 0, 6)], member=member(2), generation=epoch)
    commit(side, "from outside", version, group, [(name, 0, 6)])
    side.ask("in an old version", "OffsetCommit", 8, commit_body(side, 8, group, [(name, 0, 6)], member=member(1), generation=epoch + 1))
    for label, who, when in (("right", member(1), epoch), ("old epoch", member(1), epoch - 1), ("new epoch", member(1), epoch + 1),
                             ("unknown", member(2), epoch), ("outside", None, -1)):
        side.ask(f"fetch: {label}", "OffsetFetch", 9, {"Groups": [{"GroupId": group, "MemberId": who, "MemberEpoch": when, "Topics": [
            {"Name": name, "PartitionIndexes": [0]}]}]})


@case("DeleteGroups", "top")
def a_live_consumer_group_is_not_deleted(side, version):
    group, name = side.group(), side.topic()
    until_assigned(side, 1, group, member(1), 1, 0, SubscribedTopicNames=[name])
    side.ask("live", "DeleteGroups", version, {"GroupsNames": [group]})
    side.ask("offset of a subscribed topic", "OffsetDelete", 0, {"GroupId": group, "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": 0}, {"PartitionIndex": 7}]}]})
    beat(side, "leaves", 1, group, member(1), -1)
    side.ask("empty", "DeleteGroups", version, {"GroupsNames": [group]})


@case("JoinGroup", "top")
def a_group_moves_between_the_protocols(side, version):
    group, name = side.group(), side.topic(partitions=2)
    meta = b"\x00\x01" + (1).to_bytes(4, "big") + len(name).to_bytes(2, "big") + name.encode() + b"\xff\xff\xff\xff" + b"\x00\x00\x00\x00"
    protocols = [{"Name": "range", "Metadata": meta}]
    joined = enter(side, group, protocols=protocols)
    classic = joined["MemberId"]
    empty = b"\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff"
    side.tell("SyncGroup", sync_body(group, joined["GenerationId"], classic, [(classic, empty)]))
    first = beat(side, "a consumer joins a classic group", 1, group, member(1), 0, ask=False, SubscribedTopicNames=[name])
    side.note("a consumer joins a classic group", [first["ErrorCode"], first["MemberEpoch"] > 0])
    side.ask("the group is now", "ListGroups", 5, {"TypesFilter": ["nothing of the kind"]})
    found = [g for g in side.tell("ListGroups", {})["Groups"] if g["GroupId"] == group]
    side.note("listed", found)
    side.ask("the classic member is told", "Heartbeat", 4, {"GroupId": group, "GenerationId": joined["GenerationId"], "MemberId": classic})
    again = side.tell("JoinGroup", join_body(group, classic, protocols=protocols), version)
    side.note("and joins", {k: again.get(k) for k in ("ErrorCode", "ProtocolName", "ProtocolType", "SkipAssignment")})
    work = side.tell("SyncGroup", sync_body(group, again["GenerationId"], classic), 5)
    side.note("one of two partitions is its work", [work["ErrorCode"], len(work["Assignment"])])
    described = side.tell("ConsumerGroupDescribe", {"GroupIds": [group]}, 1)["DescribedGroups"][0]
    side.note("kinds of members", sorted(m["MemberType"] for m in described["Members"]))
    beat(side, "the consumer leaves", 1, group, member(1), -1)
    found = [g for g in side.tell("ListGroups", {})["Groups"] if g["GroupId"] == group]
    side.note("classic again", found)


@case("ConsumerGroupHeartbeat", "top")
def a_consumer_may_not_join_a_group_of_another_kind(side, version):
    group, name = side.group(), side.topic()
    settled(side, group, kind="connect")
    beat(side, "connect", version, group, member(1), 0, SubscribedTopicNames=[name])
    simple = side.group("simple")
    side.tell("OffsetCommit", commit_body(side, 9, simple, [(name, 0, 5)]), 9)
    beat(side, "an empty one with offsets", version, simple, member(1), 0, SubscribedTopicNames=[name])
    fetch_offsets(side, "keeps them", 7, simple, {name: [0]})

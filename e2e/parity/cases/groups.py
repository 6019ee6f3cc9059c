"""Classic groups: members, generations, offsets."""

import time
import uuid

from records import batch
from registry import case

PROTOCOLS = [{"Name": "range", "Metadata": b"\x00\x01"}, {"Name": "sticky", "Metadata": b"\x00\x02"}]


def join_body(group, member="", instance=None, protocols=PROTOCOLS, kind="consumer", session=10000, rebalance=10000, version=9, **more):
    return {"GroupId": group, "SessionTimeoutMs": session, "RebalanceTimeoutMs": rebalance, "MemberId": member, "ProtocolType": kind,
            "Protocols": protocols, **({"GroupInstanceId": instance} if version >= 5 else {}), **more}


def join(side, label, version, group, member="", **more):
    return side.ask(label, "JoinGroup", version, join_body(group, member, version=version, **more))


def enter(side, group, version=9, who="parity", **more):
    """A member that is in: joins, with the id it is told if one is asked for."""
    answer = side.tell("JoinGroup", join_body(group, version=version, **more), version, who)
    if answer.get("ErrorCode") == 79:
        answer = side.tell("JoinGroup", join_body(group, answer["MemberId"], version=version, **more), version, who)
    return answer


def sync_body(group, generation, member, assignments=(), instance=None, version=5, **more):
    return {"GroupId": group, "GenerationId": generation, "MemberId": member,
            "Assignments": [{"MemberId": m, "Assignment": a} for m, a in assignments],
            **({"GroupInstanceId": instance} if version >= 3 else {}),
            **({"ProtocolType": "consumer", "ProtocolName": "range"} if version >= 5 else {}), **more}


def settled(side, group, **more):
    """A group of one, stable: its member id."""
    joined = enter(side, group, **more)
    side.tell("SyncGroup", sync_body(group, joined["GenerationId"], joined["MemberId"], [(joined["MemberId"], b"work")],
                                     instance=more.get("instance")))
    return joined["MemberId"], joined["GenerationId"]


@case("JoinGroup", trap=23)
def a_first_member(side, version):
    group = side.group()
    first = join(side, "no member id", version, group)
    if first["ErrorCode"] == 79:
        first = join(side, "with the id it was told", version, group, first["MemberId"])
    join(side, "again, same protocols", version, group, first["MemberId"])
    join(side, "unknown member", version, group, "nobody-knows-me")
    side.ask("as DescribeGroups sees it", "DescribeGroups", 5, {"Groups": [group]})


@case("JoinGroup")
def refuses_bad_joins(side, version):
    group = side.group()
    join(side, "empty group id", version, "")
    join(side, "session too short", version, group, session=5)
    join(side, "session too long", version, group, session=10**8)
    join(side, "no protocols", version, group, protocols=[])
    join(side, "empty protocol type", version, group, kind="")
    join(side, "no protocol type, no protocols", version, group, kind="", protocols=[])
    join(side, "member of a group that is not", version, side.group("other"), "ghost")
    member, _ = settled(side, group)
    join(side, "other protocol type", version, group, kind="connect")
    join(side, "no protocol in common", version, group, protocols=[{"Name": "mine", "Metadata": b""}])
    join(side, "known member, other type", version, group, member, kind="connect")


@case("SyncGroup")
def syncs(side, version):
    group = side.group()
    joined = enter(side, group)
    member, generation = joined["MemberId"], joined["GenerationId"]

    def sync(label, generation=generation, member=member, group=group, assignments=(), **more):
        return side.ask(label, "SyncGroup", version, sync_body(group, generation, member, assignments, version=version, **more))
    sync("wrong generation", generation + 1)
    sync("unknown member", member="x")
    sync("empty member", member="")
    sync("unknown group", group=side.group("none"))
    sync("empty group", group="")
    if version >= 5:
        sync("wrong protocol type", ProtocolType="connect")
        sync("wrong protocol", ProtocolName="sticky")
        sync("null protocol", ProtocolName=None, ProtocolType=None, assignments=[(member, b"work")])
    sync("leader assigns", assignments=[(member, b"work"), ("stranger", b"nothing")])
    sync("again", assignments=[(member, b"other work")])
    if version >= 3:
        sync("with an instance id that is none", instance="i")


@case("Heartbeat")
def beats(side, version):
    group = side.group()

    def beat(label, generation, member, group=group, **more):
        side.ask(label, "Heartbeat", version, {"GroupId": group, "GenerationId": generation, "MemberId": member, **more})
    beat("unknown group", 1, "x", side.group("none"))
    beat("empty group", 1, "x", "")
    joined = enter(side, group)
    member, generation = joined["MemberId"], joined["GenerationId"]
    beat("before sync", generation, member)
    side.tell("SyncGroup", sync_body(group, generation, member, [(member, b"w")]))
    beat("in time", generation, member)
    beat("old generation", generation - 1, member)
    beat("generation -1", -1, member)
    beat("new generation", generation + 1, member)
    beat("unknown member", generation, "x")
    beat("empty member", generation, "")
    if version >= 3:
        beat("unknown instance", generation, member, GroupInstanceId="i")
    other = side.connection("other")
    other.post("JoinGroup", 3, join_body(group, version=3))
    side.until("Heartbeat", {"GroupId": group, "GenerationId": generation, "MemberId": member}, lambda a: a["ErrorCode"] == 27)
    beat("a rebalance is on", generation, member)
    beat("a rebalance is on, old generation", generation - 1, member)


@case("LeaveGroup")
def leaves(side, version):
    group = side.group()

    def leave(label, *members, group=group):
        """`members`: (member id, instance id)."""
        if version < 3:
            return side.ask(label, "LeaveGroup", version, {"GroupId": group, "MemberId": members[0][0]})
        return side.ask(label, "LeaveGroup", version, {"GroupId": group, "Members": [
            {"MemberId": m, "GroupInstanceId": i} for m, i in members]})
    leave("unknown group", ("x", None), group=side.group("none"))
    leave("empty group", ("x", None), group="")
    member, _ = settled(side, group)
    leave("unknown member", ("x", None))
    leave("empty member", ("", None))
    leave("member", (member, None))
    leave("again", (member, None))
    side.ask("then", "DescribeGroups", 5, {"Groups": [group]})
    if version >= 3:
        static = side.group("static")
        member, _ = settled(side, static, instance="one")
        leave("wrong member id for the instance", ("x", "one"), group=static)
        leave("unknown instance", ("", "two"), group=static)
        leave("two at a time, one unknown", ("", "one"), ("", "two"), group=static)
        leave("no members", group=static)


@case("JoinGroup", range(5, 99), trap=22)
def static_members(side, version):
    group = side.group()
    first = join(side, "first", version, group, instance="one")
    member, generation = first["MemberId"], first["GenerationId"]
    side.tell("SyncGroup", sync_body(group, generation, member, [(member, b"work")], instance="one"))
    second = join(side, "returns without its id", version, group, instance="one")
    side.note("a new member id", second["MemberId"] != member)
    side.note("the same generation", second["GenerationId"] == generation)
    side.ask("old id is fenced: heartbeat", "Heartbeat", 4, {
        "GroupId": group, "GenerationId": generation, "MemberId": member, "GroupInstanceId": "one"})
    side.ask("old id is fenced: join", "JoinGroup", version, join_body(group, member, instance="one", version=version))
    side.ask("old id is fenced: sync", "SyncGroup", 5, sync_body(group, generation, member, instance="one"))
    side.ask("old id is fenced: commit", "OffsetCommit", 9, {
        "GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member, "GroupInstanceId": "one", "Topics": []})
    side.ask("new id syncs", "SyncGroup", 5, sync_body(group, second["GenerationId"], second["MemberId"], [(second["MemberId"], b"x")],
                                                       instance="one"))
    side.ask("unknown instance beats", "Heartbeat", 4, {
        "GroupId": group, "GenerationId": generation, "MemberId": second["MemberId"], "GroupInstanceId": "two"})
    join(side, "returns with other protocols", version, group, instance="one", protocols=[{"Name": "range", "Metadata": b"changed"}])
    side.ask("described", "DescribeGroups", 5, {"Groups": [group]})


@case("JoinGroup", "top")
def a_second_member_starts_a_rebalance(side, version):
    group = side.group()
    member, generation = settled(side, group)
    told = side.tell("JoinGroup", join_body(group), version, "second")
    side.note("asked for an id first", told["ErrorCode"])
    second = side.connection("second")
    second.post("JoinGroup", version, join_body(group, told["MemberId"]))
    side.until("Heartbeat", {"GroupId": group, "GenerationId": generation, "MemberId": member}, lambda a: a["ErrorCode"] == 27)
    side.ask("commit while rebalancing", "OffsetCommit", 8, {
        "GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member, "Topics": []})
    side.ask("described meanwhile", "DescribeGroups", 5, {"Groups": [group]})
    lead = join(side, "leader joins again", version, group, member)
    follow = second.answer("JoinGroup", version)
    side.note("follower", follow)
    second.post("SyncGroup", 5, sync_body(group, follow["GenerationId"], follow["MemberId"]))
    side.ask("leader syncs", "SyncGroup", 5, sync_body(group, lead["GenerationId"], member, [
        (member, b"one"), (follow["MemberId"], b"two")]))
    side.note("follower's work", second.answer("SyncGroup", 5))
    side.ask("stable", "DescribeGroups", 5, {"Groups": [group]})
    side.ask("follower leaves", "LeaveGroup", 5, {"GroupId": group, "Members": [{"MemberId": follow["MemberId"]}]})
    side.ask("leader hears of it", "Heartbeat", 4, {"GroupId": group, "GenerationId": lead["GenerationId"], "MemberId": member})


@case("JoinGroup", "top")
def who_does_not_come_back_in_time_is_out(side, version):
    group = side.group()
    member, generation = settled(side, group, session=30000, rebalance=600)
    told = side.tell("JoinGroup", join_body(group, rebalance=600), version, "second")
    began = time.monotonic()
    answer = side.tell("JoinGroup", join_body(group, told["MemberId"], rebalance=600), version, "second")
    side.note("the second alone is in", answer)
    side.note("after the rebalance timeout", 0.4 < time.monotonic() - began < 5)
    side.ask("the first is unknown", "Heartbeat", 4, {"GroupId": group, "GenerationId": generation, "MemberId": member})


@case("JoinGroup", "top")
def a_silent_member_is_out_after_its_session(side, version):
    group = side.group()
    member, generation = settled(side, group, session=400)
    side.until("DescribeGroups", {"Groups": [group]}, lambda a: a["Groups"][0]["GroupState"] == "Empty", version=5)
    side.ask("empty", "DescribeGroups", 5, {"Groups": [group]})
    side.ask("beats too late", "Heartbeat", 4, {"GroupId": group, "GenerationId": generation, "MemberId": member})


@case("JoinGroup", "top")
def a_group_is_full(side, version):
    group = side.group()
    for _ in range(8):
        side.tell("JoinGroup", join_body(group), version)
    join(side, "one too many", version, group)


@case("JoinGroup", "top")
def the_common_protocol_wins(side, version):
    group = side.group()
    first = enter(side, group, protocols=[{"Name": "a", "Metadata": b"1"}, {"Name": "b", "Metadata": b"2"}])
    side.note("chosen", first["ProtocolName"])
    told = side.tell("JoinGroup", join_body(group, protocols=[{"Name": "b", "Metadata": b"3"}]), version, "second")
    second = side.connection("second")
    second.post("JoinGroup", version, join_body(group, told["MemberId"], protocols=[{"Name": "b", "Metadata": b"3"}]))
    side.until("Heartbeat", {"GroupId": group, "GenerationId": first["GenerationId"], "MemberId": first["MemberId"]},
               lambda a: a["ErrorCode"] == 27)
    join(side, "both know b", version, group, first["MemberId"], protocols=[{"Name": "a", "Metadata": b"1"}, {"Name": "b", "Metadata": b"2"}])


def commit_body(side, version, group, parts, member="", generation=-1, **more):
    topics = {}
    for name, partition, offset, *rest in parts:
        topics.setdefault(name, []).append({"PartitionIndex": partition, "CommittedOffset": offset,
                                            **(rest[0] if rest else {"CommittedMetadata": ""})})
    key = (lambda n: {"TopicId": n if isinstance(n, uuid.UUID) else side.topic_id(n)}) if version >= 10 else (lambda n: {"Name": n})
    return {"GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member,
            "Topics": [{**key(n), "Partitions": p} for n, p in topics.items()], **more}


def commit(side, label, version, *rest, **more):
    return side.ask(label, "OffsetCommit", version, commit_body(side, version, *rest, **more))


def fetch_offsets(side, label, version, group, topics, ask=True, **more):
    """`topics`: {name: [partitions]} or None for all."""
    if version >= 10:
        wanted = None if topics is None else [{"TopicId": n if isinstance(n, uuid.UUID) else side.topic_id(n), "PartitionIndexes": p}
                                              for n, p in topics.items()]
    elif version >= 8:
        wanted = None if topics is None else [{"Name": n, "PartitionIndexes": p} for n, p in topics.items()]
    else:
        wanted = None if topics is None else [{"Name": n, "PartitionIndexes": p} for n, p in topics.items()]
        return side.ask(label, "OffsetFetch", version, {"GroupId": group, "Topics": wanted, **more})
    return side.ask(label, "OffsetFetch", version, {"Groups": [{"GroupId": group, "Topics": wanted}], **more})


@case("OffsetCommit")
def commits(side, version):
    group, name = side.group(), side.topic(partitions=3)
    commit(side, "from outside, group is new", version, group, [(name, 0, 5), (name, 1, 7, {"CommittedMetadata": "note"})])
    if version < 5:
        commit(side, "with retention", version, group, [(name, 2, 5)], RetentionTimeMs=10000)
    commit(side, "negative offset", version, group, [(name, 0, -1)])
    commit(side, "very negative offset", version, group, [(name, 0, -100)])
    commit(side, "null metadata", version, group, [(name, 2, 5, {"CommittedMetadata": None})])
    commit(side, "metadata too long", version, group, [(name, 0, 5, {"CommittedMetadata": "x" * 5000}), (name, 1, 9)])
    commit(side, "unknown partition", version, group, [(name, 9, 5), (name, 0, 6)])
    if version < 10:
        commit(side, "unknown topic", version, group, [(side.name("none"), 0, 5), (name, 0, 8)])
        commit(side, "invalid topic", version, group, [("a b", 0, 5), ("", 0, 1)])
    else:
        commit(side, "unknown id", version, group, [(uuid.UUID(int=3), 0, 5), (name, 0, 8)])
        commit(side, "no id", version, group, [(uuid.UUID(int=0), 0, 5)])
    commit(side, "empty group id", version, "", [(name, 0, 5)])
    commit(side, "nothing", version, group, [])
    commit(side, "twice the same", version, group, [(name, 0, 1), (name, 0, 2)])
    fetch_offsets(side, "what is there", 7, group, {name: [0, 1, 2]})


@case("OffsetCommit", trap=26)
def commits_as_a_member(side, version):
    group, name = side.group(), side.topic()
    commit(side, "generation of a group that is not", version, group, [(name, 0, 5)], member="m", generation=4)
    member, generation = settled(side, group)
    commit(side, "member", version, group, [(name, 0, 5)], member=member, generation=generation)
    commit(side, "old generation", version, group, [(name, 0, 6)], member=member, generation=generation - 1)
    commit(side, "new generation", version, group, [(name, 0, 6)], member=member, generation=generation + 1)
    commit(side, "unknown member", version, group, [(name, 0, 6)], member="x", generation=generation)
    commit(side, "unknown member, unknown partition", version, group, [(name, 9, 6)], member="x", generation=generation)
    commit(side, "unknown member, one of two partitions", version, group, [(name, 9, 6), (name, 0, 6)], member="x", generation=generation)
    commit(side, "from outside a live group", version, group, [(name, 0, 6)])
    commit(side, "no member, right generation", version, group, [(name, 0, 6)], generation=generation)
    if version >= 7:
        commit(side, "unknown instance", version, group, [(name, 0, 6)], member=member, generation=generation, GroupInstanceId="i")
    fetch_offsets(side, "what is there", 7, group, {name: [0]})


@case("OffsetFetch", trap=25)
def fetches_offsets(side, version):
    group, name, other = side.group(), side.topic(partitions=2), side.topic("o")
    side.tell("OffsetCommit", commit_body(side, 9, group, [(name, 0, 5, {"CommittedMetadata": "m", "CommittedLeaderEpoch": 3}),
                                                           (other, 0, 8)]), 9)
    fetch_offsets(side, "some", version, group, {name: [0, 1], other: [0]})
    fetch_offsets(side, "unknown partition", version, group, {name: [7]})
    if version >= 2:
        fetch_offsets(side, "all", version, group, None)
        fetch_offsets(side, "all of a group that is not", version, side.group("none"), None)
    fetch_offsets(side, "of a group that is not", version, side.group("none"), {name: [0]})
    if version < 10:
        fetch_offsets(side, "unknown topic", version, group, {side.name("none"): [0]})
        fetch_offsets(side, "invalid topic", version, group, {"a b": [0]})
    else:
        fetch_offsets(side, "unknown id", version, group, {uuid.UUID(int=3): [0]})
        fetch_offsets(side, "no id", version, group, {uuid.UUID(int=0): [0]})
    fetch_offsets(side, "empty group id", version, "", {name: [0]})
    fetch_offsets(side, "no topics", version, group, {})
    fetch_offsets(side, "no partitions", version, group, {name: []})
    fetch_offsets(side, "twice the same partition", version, group, {name: [0, 0]})
    if version >= 7:
        fetch_offsets(side, "stable", version, group, {name: [0, 1]}, RequireStable=True)


@case("OffsetFetch", range(8, 99))
def fetches_offsets_of_several_groups(side, version):
    one, two, name = side.group("one"), side.group("two"), side.topic(partitions=2)
    for group, offset in ((one, 4), (two, 6)):
        side.tell("OffsetCommit", commit_body(side, 9, group, [(name, 0, offset)]), 9)
    topic = [{**({"TopicId": side.topic_id(name)} if version >= 10 else {"Name": name}), "PartitionIndexes": [0, 1]}]
    side.ask("two", "OffsetFetch", version, {"Groups": [{"GroupId": one, "Topics": topic}, {"GroupId": two, "Topics": None}]})
    side.ask("one twice", "OffsetFetch", version, {"Groups": [{"GroupId": one, "Topics": topic}, {"GroupId": one, "Topics": topic}]})
    parts = [[{**topic[0], "PartitionIndexes": [partition]}] for partition in (0, 1)]
    side.ask("one for each partition", "OffsetFetch", version, {"Groups": [{"GroupId": one, "Topics": part} for part in parts]})
    side.ask("one is not", "OffsetFetch", version, {"Groups": [{"GroupId": one, "Topics": topic}, {"GroupId": side.group("x"), "Topics": topic}]})
    side.ask("none", "OffsetFetch", version, {"Groups": []})
    if version >= 9:
        for label, member, epoch in (("member of a group without", "m", 1), ("null member", None, -1), ("empty member with epoch", "", 3)):
            side.ask(label, "OffsetFetch", version, {"Groups": [{"GroupId": one, "MemberId": member, "MemberEpoch": epoch, "Topics": topic}]})


@case("OffsetDelete")
def deletes_offsets(side, version):
    group, name, other = side.group(), side.topic(partitions=2), side.topic("o")

    def drop(label, group, *parts):
        side.ask(label, "OffsetDelete", version, {"GroupId": group, "Topics": [
            {"Name": n, "Partitions": [{"PartitionIndex": p} for p in ps]} for n, ps in parts]})
    drop("group that is not", side.group("none"), (name, [0]))
    drop("empty group id", "", (name, [0]))
    side.tell("OffsetCommit", commit_body(side, 9, group, [(name, 0, 5), (name, 1, 6), (other, 0, 8)]), 9)
    drop("one", group, (name, [0]))
    drop("again", group, (name, [0]))
    drop("unknown partition", group, (name, [9]))
    drop("unknown topic", group, (side.name("none"), [0]))
    drop("nothing", group)
    fetch_offsets(side, "left", 7, group, None)
    subscribed = b"\x00\x00\x00\x00\x00\x01" + len(name).to_bytes(2, "big") + name.encode() + b"\xff\xff\xff\xff"
    live = side.group("live")
    side.tell("OffsetCommit", commit_body(side, 9, live, [(name, 0, 5), (other, 0, 8)]), 9)
    settled(side, live, protocols=[{"Name": "range", "Metadata": subscribed}])
    drop("subscribed and not", live, (name, [0]), (other, [0]))
    connect = side.group("connect")
    settled(side, connect, kind="connect")
    drop("a group of another kind that is not empty", connect, (name, [0]))


@case("DescribeGroups")
def describes_groups(side, version):
    group = side.group()
    settled(side, group)
    side.ask("live", "DescribeGroups", version, {"Groups": [group]})
    side.ask("not there", "DescribeGroups", version, {"Groups": [side.group("none")]})
    side.ask("empty id", "DescribeGroups", version, {"Groups": [""]})
    side.ask("two and one twice", "DescribeGroups", version, {"Groups": [group, side.name("none"), group]})
    side.ask("nothing", "DescribeGroups", version, {"Groups": []})
    if version >= 3:
        side.ask("with operations", "DescribeGroups", version, {"Groups": [group], "IncludeAuthorizedOperations": True})
    empty, name = side.group("empty"), side.topic()
    side.tell("OffsetCommit", commit_body(side, 9, empty, [(name, 0, 5)]), 9)
    side.ask("offsets alone", "DescribeGroups", version, {"Groups": [empty]})


@case("ListGroups")
def lists_groups(side, version):
    live, empty, name = side.group("live"), side.group("empty"), side.topic()
    settled(side, live)
    side.tell("OffsetCommit", commit_body(side, 9, empty, [(name, 0, 5)]), 9)
    modern = side.group("modern")
    side.tell("ConsumerGroupHeartbeat", {"GroupId": modern, "MemberId": str(uuid.UUID(int=1)), "MemberEpoch": 0, "RebalanceTimeoutMs": 5000,
                                         "SubscribedTopicNames": [name], "TopicPartitions": []})

    def ask(label, **body):
        answer = side.tell("ListGroups", body, version)
        answer["Groups"] = [g for g in answer.get("Groups", []) if g["GroupId"] in (live, empty, modern)]
        side.note(label, answer)
    ask("all")
    if version >= 4:
        for states in (["Stable"], ["Empty"], ["stable"], ["Dead"], ["Empty", "Stable"], ["NoSuchState"], [""]):
            ask(f"states {states}", StatesFilter=states)
    if version >= 5:
        for types in (["classic"], ["consumer"], ["Classic"], ["share"], ["nonsense"], ["classic", "consumer"]):
            ask(f"types {types}", TypesFilter=types)
        ask("state and type", StatesFilter=["Stable"], TypesFilter=["consumer"])


@case("DeleteGroups")
def deletes_groups(side, version):
    live, empty, name = side.group("live"), side.group("empty"), side.topic()
    settled(side, live)
    side.tell("OffsetCommit", commit_body(side, 9, empty, [(name, 0, 5)]), 9)

    def drop(label, *groups):
        side.ask(label, "DeleteGroups", version, {"GroupsNames": list(groups)})
    drop("live", live)
    drop("not there", side.group("none"))
    drop("empty id", "")
    drop("several", live, empty, side.name("none"))
    drop("again", empty)
    drop("twice the same", side.name("none"), side.name("none"))
    drop("nothing")
    fetch_offsets(side, "offsets went with it", 7, empty, None)
    side.ask("described", "DescribeGroups", 5, {"Groups": [empty]})


@case("OffsetCommit", "top")
def offsets_of_a_deleted_topic_go(side, version):
    group, name = side.group(), side.topic()
    side.tell("OffsetCommit", commit_body(side, 9, group, [(name, 0, 5)]), 9)
    side.tell("DeleteTopics", {"Topics": [{"Name": name}], "TimeoutMs": 5000})
    side.until("OffsetFetch", {"GroupId": group, "Topics": None}, lambda a: a.get("Topics") == [], version=7)
    fetch_offsets(side, "gone", 7, group, None)
    side.topic()
    fetch_offsets(side, "still gone when the topic is back", 7, group, {name: [0]})


@case("ListOffsets", "top", trap=14)
def the_epoch_is_that_of_the_offset(side, version):
    name = side.topic()
    side.produce(name, batch())
    for time_ in (-1, -2, -3, 0):
        side.ask(f"at {time_}", "ListOffsets", version, {"ReplicaId": -1, "Topics": [
            {"Name": name, "Partitions": [{"PartitionIndex": 0, "Timestamp": time_}]}]})

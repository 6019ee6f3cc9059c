"""Transactions: who writes them, who ends them, who reads them."""

from cases.data import fetch, offsets
from records import batch
from registry import case


def begin(side, word="tx", timeout=30000, version=4):
    """A transactional producer: (its id, producer id, epoch)."""
    name = side.name(word)
    side.coordinator(name, kind=1)
    answer = side.until("InitProducerId", {"TransactionalId": name, "TransactionTimeoutMs": timeout},
                        lambda a: a["ErrorCode"] not in (14, 15, 16, 51), version=version)
    return name, answer["ProducerId"], answer["ProducerEpoch"]


def add(side, name, producer, epoch, topic, partitions=(0,), version=3):
    return side.tell("AddPartitionsToTxn", {
        "V3AndBelowTransactionalId": name, "V3AndBelowProducerId": producer, "V3AndBelowProducerEpoch": epoch,
        "V3AndBelowTopics": [{"Name": topic, "Partitions": list(partitions)}]}, version)


def write(side, name, producer, epoch, topic, sequence, count=1):
    return side.produce(topic, batch([b"t"] * count, producer=producer, epoch=epoch, sequence=sequence, attributes=0x10),
                        transactional_id=name)


def end(side, label, version, name, producer, epoch, committed):
    return side.ask(label, "EndTxn", version, {"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch, "Committed": committed})


@case("EndTxn", trap=27)
def ends(side, version):
    topic = side.topic()
    name, producer, epoch = begin(side)
    end(side, "nothing to commit", version, name, producer, epoch, True)
    end(side, "nothing to abort", version, name, producer, epoch, False)
    end(side, "unknown id", version, side.name("other"), producer, epoch, True)
    end(side, "empty id", version, "", producer, epoch, True)
    end(side, "other producer", version, name, producer + 1, epoch, True)
    name, producer, epoch = begin(side, "second")
    add(side, name, producer, epoch, topic)
    write(side, name, producer, epoch, topic, 0)
    end(side, "old epoch", version, name, producer, epoch - 1, True)
    answer = end(side, "commit", version, name, producer, epoch, True)
    epoch = answer.get("ProducerEpoch", epoch) if version >= 5 else epoch
    end(side, "commit again", version, name, producer, epoch, True)
    end(side, "abort what is committed", version, name, producer, epoch, False)


@case("EndTxn", "top", trap=13)
def readers_of_committed_stop_at_the_last_stable_offset(side, version):
    topic = side.topic()
    side.produce(topic, batch([b"plain"], time=10))
    name, producer, epoch = begin(side)
    add(side, name, producer, epoch, topic)
    write(side, name, producer, epoch, topic, 0, 2)
    side.produce(topic, batch([b"behind"], time=5000))
    fetch(side, "open: committed", 12, [(topic, 0, 0)], IsolationLevel=1)
    fetch(side, "open: uncommitted", 12, [(topic, 0, 0)])
    for isolation in (0, 1):
        for label, time in (("latest", -1), ("time behind the transaction", 4000), ("max", -3)):
            offsets(side, f"open: {label}, isolation {isolation}", 7, [(topic, 0, time)], isolation)
    side.tell("EndTxn", {"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch, "Committed": False}, 4)
    side.until("ListOffsets", {"ReplicaId": -1, "IsolationLevel": 1, "Topics": [{"Name": topic, "Partitions": [
        {"PartitionIndex": 0, "Timestamp": -1}]}]}, lambda a: a["Topics"][0]["Partitions"][0]["Offset"] == 5, version=7)
    fetch(side, "aborted: committed", 12, [(topic, 0, 0)], IsolationLevel=1)
    offsets(side, "aborted: latest takes the marker's offset too", 7, [(topic, 0, -1)], 1)


@case("InitProducerId", range(3, 99), trap=28)
def a_producer_is_fenced_by_the_next(side, version):
    if "EndTxn" not in side.served:
        return
    topic = side.topic()
    name, producer, epoch = begin(side, version=version)
    add(side, name, producer, epoch, topic)
    write(side, name, producer, epoch, topic, 0)
    answer = side.until("InitProducerId", {"TransactionalId": name, "TransactionTimeoutMs": 30000},
                        lambda a: a["ErrorCode"] not in (14, 15, 16, 51), version=version)
    side.note("the next", {**answer, "ProducerEpoch": answer["ProducerEpoch"] > epoch})
    for old in (3, 4):
        side.ask(f"the old one ends, version {old}", "EndTxn", old if old in side.served["EndTxn"] else 3, {
            "TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch, "Committed": True})
    side.note("the old one writes", write(side, name, producer, epoch, topic, 1)["Responses"][0]["PartitionResponses"][0]["ErrorCode"])
    side.ask("timeout too long", "InitProducerId", version, {"TransactionalId": name, "TransactionTimeoutMs": 2**31 - 1})
    side.ask("timeout 0", "InitProducerId", version, {"TransactionalId": name, "TransactionTimeoutMs": 0})


@case("AddPartitionsToTxn")
def adds_partitions(side, version):
    topic = side.topic()
    name, producer, epoch = begin(side)

    def step(label, topic=topic, partitions=(0,), name=name, producer=producer, epoch=epoch, **more):
        topics = [{"Name": topic, "Partitions": list(partitions)}]
        if version < 4:
            body = {"V3AndBelowTransactionalId": name, "V3AndBelowProducerId": producer, "V3AndBelowProducerEpoch": epoch,
                    "V3AndBelowTopics": topics}
        else:
            body = {"Transactions": [{"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch, "Topics": topics, **more}]}
        side.ask(label, "AddPartitionsToTxn", version, body)
    if version >= 4:
        step("only asked, not there", VerifyOnly=True)
    step("one")
    step("again")
    step("unknown topic", side.name("none"))
    step("unknown partition", partitions=(0, 9))
    step("unknown id", name=side.name("other"))
    step("other producer", producer=producer + 1)
    step("old epoch", epoch=epoch - 1)
    step("new epoch", epoch=epoch + 1)


@case("TxnOffsetCommit", trap=31)
def offsets_in_a_transaction(side, version):
    group, topic = side.group(), side.topic()
    name, producer, epoch = begin(side)
    side.ask("group is added", "AddOffsetsToTxn", 3, {"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch, "GroupId": group})

    def step(label, group=group, producer=producer, epoch=epoch, **more):
        side.ask(label, "TxnOffsetCommit", version, {
            "TransactionalId": name, "GroupId": group, "ProducerId": producer, "ProducerEpoch": epoch,
            "Topics": [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 5, "CommittedMetadata": ""}]}], **more})
    step("committed")
    if version >= 3:
        step("as a member of a group without", MemberId="x", GenerationId=3)
    step("empty group", group="")
    ask = {"Groups": [{"GroupId": group, "Topics": [{"Name": topic, "PartitionIndexes": [0]}]}]}
    side.ask("not seen before the end", "OffsetFetch", 8, ask)
    side.ask("unstable", "OffsetFetch", 8, {**ask, "RequireStable": True})
    side.tell("EndTxn", {"TransactionalId": name, "ProducerId": producer, "ProducerEpoch": epoch, "Committed": True}, 4)
    side.until("OffsetFetch", ask, lambda a: a["Groups"][0]["Topics"][0]["Partitions"][0]["CommittedOffset"] == 5, version=8)
    side.ask("seen", "OffsetFetch", 8, {**ask, "RequireStable": True})


@case("DescribeTransactions")
def describes_transactions(side, version):
    topic = side.topic()
    name, producer, epoch = begin(side)
    add(side, name, producer, epoch, topic)
    answer = side.tell("DescribeTransactions", {"TransactionalIds": [name, side.name("none"), ""]}, version)
    for state in answer["TransactionStates"]:
        state["TransactionStartTimeMs"] = state["TransactionStartTimeMs"] > 0
    side.note("three", answer)


@case("ListTransactions")
def lists_transactions(side, version):
    topic = side.topic()
    name, producer, epoch = begin(side)
    add(side, name, producer, epoch, topic)

    def ask(label, **body):
        answer = side.tell("ListTransactions", body, version)
        answer["TransactionStates"] = [t for t in answer["TransactionStates"] if t["TransactionalId"] == name]
        side.note(label, answer)
    ask("all")
    ask("ongoing", StateFilters=["Ongoing"])
    ask("empty", StateFilters=["Empty"])
    ask("unknown state", StateFilters=["Nowhere"])
    ask("by producer", ProducerIdFilters=[producer])
    if version >= 1:
        ask("long ones", DurationFilter=10**6)
    if version >= 2:
        ask("by pattern", TransactionalIdPattern=".*tx")
        ask("bad pattern", TransactionalIdPattern="(")

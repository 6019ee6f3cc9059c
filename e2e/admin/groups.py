"""Groups and offsets of a cluster of three, asked through one broker, with kcat as producer and consumer:
groups.py BOOTSTRAP METRICS_1,METRICS_2,METRICS_3 ADMIN_1 ADMIN_2 ADMIN_3"""
import re
import subprocess
import sys
import urllib.request

import grpc
from harness import checks, finish, stubs_of, until
from millrace.admin.v1 import cluster_pb2, common_pb2, groups_pb2 as groups, topics_pb2 as topics

bootstrap = sys.argv[1]
TOPIC, ALONE, NAMES, PER_PARTITION = "payments", "alone", [f"team-{n}" for n in range(6)], 20
DRY = common_pb2.Guard(dry_run=True)


check = checks("groups")


def kcat(*arguments, text=""):
    done = subprocess.run(["kcat", "-b", bootstrap, *arguments], input=text, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"kcat {arguments}: {done.stderr}")
    return done.stdout.split("\n")[:-1]


def produce(partition, first, topic=TOPIC):
    kcat("-P", "-t", topic, "-p", str(partition), text="".join(f"{partition}:{first + n}\n" for n in range(PER_PARTITION)))


def consume(group, topic=TOPIC):
    return kcat("-G", group, "-q", "-e", "-X", "auto.offset.reset=earliest", topic)


def scraped_lag(group):
    """{partition: records} as the brokers' /metrics say together."""
    found = {}
    for address in sys.argv[2].split(","):
        page = urllib.request.urlopen(f"http://{address}/metrics", timeout=15).read().decode()
        for partition, lag in re.findall(rf'^millrace_group_lag_records{{group="{group}",topic="{ALONE}",partition="(\d+)"}} (\S+)$', page, re.M):
            found[int(partition)] = float(lag)
    return found


stubs = stubs_of(sys.argv[3:])
one = stubs[0]

one.CreateTopics(topics.CreateTopicsRequest(topics=[topics.NewTopic(name=TOPIC, partitions=3, replication_factor=3)]), timeout=15)
for partition in range(3):
    produce(partition, 0)
read = {name: consume(name) for name in NAMES}
check("every group reads everything", all(len(values) == 3 * PER_PARTITION for values in read.values()), read)

everywhere = [stub.ListGroups(groups.ListGroupsRequest(), timeout=15) for stub in stubs]
check("every broker lists every group", all({g.id for g in found.groups} >= set(NAMES) for found in everywhere), everywhere)
check("nobody is silent", not any(found.silent_brokers for found in everywhere), everywhere)
coordinators = {g.id: g.coordinator_id for g in everywhere[0].groups}
check("several brokers coordinate them", len(set(coordinators.values())) > 1, coordinators)
described = one.DescribeGroups(groups.DescribeGroupsRequest(groups=NAMES + ["nobody"]), timeout=15).groups
check("each is described by its coordinator", all(
    g.state == "Empty" and g.coordinator_id == coordinators[g.id] for g in described if g.id in NAMES), described)
check("who isn't there is dead", described[-1].id == "nobody" and described[-1].state in ("", "Dead"), described[-1])

lag = lambda stub=one: {g.group: g for g in stub.GroupLag(groups.GroupLagRequest(with_partitions=True), timeout=15).groups}
check("nobody is behind", all(lag()[name].total_records == 0 for name in NAMES), lag())
for partition in range(3):
    produce(partition, PER_PARTITION)
check("everybody is behind by what was added, over all leaders, whoever is asked", all(
    lag(stub)[name].total_records == 3 * PER_PARTITION for stub in stubs for name in NAMES), lag())

details = one.DescribeTopics(topics.DescribeTopicsRequest(topics=[topics.TopicRef(name=TOPIC)], with_details=True), timeout=15)
partitions = details.topics[0].partitions
check("partitions are known with their ends and sizes", all(
    (p.start_offset, p.end_offset) == (0, 2 * PER_PARTITION) and p.size_bytes > 0 for p in partitions), partitions)

new = lambda partition, **to: groups.NewOffset(topic=TOPIC, partition=partition, **to)
wish = dict(group=NAMES[0], offsets=[new(0, earliest=True), new(1, latest=True), new(2, offset=5)])
after = [5 if p == 2 else 2 * PER_PARTITION if p == 1 else 0 for p in range(3)]
tried = one.AlterGroupOffsets(groups.AlterGroupOffsetsRequest(guard=DRY, **wish), timeout=15)
check("a trial says where a group would go on", [o.after for o in tried.offsets] == after, tried)
check("and moves nothing", lag()[NAMES[0]].total_records == 3 * PER_PARTITION, lag()[NAMES[0]])
altered = one.AlterGroupOffsets(groups.AlterGroupOffsetsRequest(**wish), timeout=15)
check("offsets are altered", [(o.before, o.after) for o in altered.offsets] == [(PER_PARTITION, a) for a in after], altered)
check("the group goes on there", len(consume(NAMES[0])) == 6 * PER_PARTITION - sum(after))
far = one.AlterGroupOffsets(groups.AlterGroupOffsetsRequest(group=NAMES[0], offsets=[new(0, offset=99)]), timeout=15)
check("an offset that isn't there is refused with what is", "99 is not within 0 to 40" in far.offsets[0].error.message, far)
one.AlterGroupOffsets(groups.AlterGroupOffsetsRequest(group=NAMES[1], offsets=[new(0, forget=True)]), timeout=15)
check("a forgotten offset is none", {p.partition.partition for p in lag()[NAMES[1]].partitions} == {1, 2}, lag()[NAMES[1]])

# One replica each: whoever coordinates the group holds at most one of them.
one.CreateTopics(topics.CreateTopicsRequest(topics=[topics.NewTopic(name=ALONE, configs={"min.insync.replicas": "1"}, assignment=[
    topics.ReplicaList(broker_ids=[n]) for n in (1, 2, 3)])]), timeout=15)
for partition in range(3):
    produce(partition, 0, ALONE)
consume("alone", ALONE)
for partition in range(3):
    produce(partition, PER_PARTITION, ALONE)
check("metrics tell the lag of partitions that are elsewhere", scraped_lag("alone") == dict.fromkeys(range(3), PER_PARTITION), scraped_lag("alone"))

member = subprocess.Popen(["kcat", "-b", bootstrap, "-G", NAMES[2], "-q", TOPIC], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    state = lambda: one.DescribeGroups(groups.DescribeGroupsRequest(groups=[NAMES[2]]), timeout=15).groups[0].state
    check("a member joins", until(lambda: state() == "Stable"), state())
    described = one.DescribeGroups(groups.DescribeGroupsRequest(groups=[NAMES[2]]), timeout=15).groups[0]
    check("a member's partitions are told", len(described.members) == 1 and
          sorted(p.partition for p in described.members[0].assignment) == [0, 1, 2], described)
    check("and who reads a partition", {p.member_id for p in lag()[NAMES[2]].partitions} == {described.members[0].id}, lag()[NAMES[2]])
    try:
        one.AlterGroupOffsets(groups.AlterGroupOffsetsRequest(group=NAMES[2], offsets=[new(0, earliest=True)]), timeout=15)
        check("a group with members is left alone", False)
    except grpc.RpcError as error:
        check("a group with members is left alone",
              error.code() == grpc.StatusCode.FAILED_PRECONDITION and "has members" in error.details(), error)
finally:
    member.kill()
    member.wait()

found = one.DescribeLogDirs(cluster_pb2.DescribeLogDirsRequest(topics=[ALONE], with_replicas=True), timeout=15)
check("directories of all brokers, with the replicas of a topic", not found.silent_brokers and
      {d.broker_id: [r.partition.partition for r in d.replicas] for d in found.directories} == {1: [0], 2: [1], 3: [2]}, found)
wanted = [topics.ConfigResource(type=topics.CONFIG_RESOURCE_TYPE_BROKER, name=str(n)) for n in (1, 2, 3)]
settings = one.DescribeConfigs(topics.DescribeConfigsRequest(resources=wanted, keys=["broker.rack"]), timeout=15)
check("each broker's own settings", [[e.value for e in r.entries] for r in settings.resources] == [["a"], ["b"], ["c"]], settings)

before = lambda offset: [topics.RecordsBefore(topic=TOPIC, partition=p, before_offset=offset) for p in range(3)]
tried = one.DeleteRecords(topics.DeleteRecordsRequest(guard=DRY, partitions=before(-1)), timeout=30)
check("a trial says what would be deleted", [p.start_offset for p in tried.partitions] == [2 * PER_PARTITION] * 3, tried)
deleted = one.DeleteRecords(topics.DeleteRecordsRequest(partitions=before(30)), timeout=30)
check("each leader deletes its records", [p.start_offset for p in deleted.partitions] == [30] * 3, deleted)
check("what is before is gone", len(consume("late")) == 3 * 10)
gone = one.DeleteGroups(groups.DeleteGroupsRequest(groups=NAMES[3:] + ["nobody"]), timeout=15)
check("groups are deleted by their coordinators", [g.error.kafka_error for g in gone.groups] == [69, 0, 0, 0], gone)
check("and are no longer listed", not {g.id for g in stubs[2].ListGroups(groups.ListGroupsRequest(), timeout=15).groups} & set(NAMES[3:]))
finish()
